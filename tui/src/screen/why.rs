//! Why an offered partition should be faster: where its time differs from the running one's.

use collab_core::event::{Comparison, Proposal};
use collab_core::id::WorkerId;
use collab_core::lab::Lab;
use ratatui::text::{Line, Span};

use super::{Scene, text};

/// Differences below this are not worth their cells, ms.
const WORTH_SAYING: f64 = 0.05;

/// The comparison that was told of `offered`, if one was.
pub(super) fn told<'a>(lab: &'a Lab, offered: &Proposal) -> Option<&'a Comparison> {
    lab.compared.as_ref().filter(|comparison| comparison.partition == offered.partition)
}

/// `compute A +11.1  B −19.1   transfer −1.0   recomputed halo −0.8   waiting −2.0`, after `word`.
pub(super) fn line(scene: &Scene, word: &str, comparison: &Comparison) -> Line<'static> {
    let theme = scene.theme;
    let mut line = Line::from(Span::styled(format!("{word} compute"), theme.dim()));
    for (at, &ms) in comparison.compute_ms.iter().enumerate().filter(|(_, ms)| ms.abs() >= WORTH_SAYING) {
        let worker = WorkerId::at(at);
        line.push_span(Span::styled(format!(" {worker} "), theme.worker(worker)));
        line.push_span(Span::raw(text::signed_ms(ms)));
    }
    for (name, ms) in [
        ("transfer", comparison.transfer_ms),
        ("recomputed halo", comparison.halo_ms),
        ("waiting", comparison.wait_ms),
    ] {
        line.push_span(Span::styled(format!("  {name} "), theme.dim()));
        line.push_span(Span::raw(text::signed_ms(ms)));
    }
    line.push_span(Span::styled("  total ", theme.dim()));
    line.push_span(Span::raw(text::signed_ms(comparison.new_ms - comparison.now_ms)));
    line
}

/// What it answers, how soon, and what measured runs corrected.
pub(super) fn circumstances(comparison: &Comparison) -> String {
    let mut told = Vec::new();
    if !comparison.because.is_empty() {
        let soon = comparison.after_ms.map(|ms| format!(", answered in {} ms", text::ms(ms)));
        told.push(format!("{}{}", comparison.because, soon.unwrap_or_default()));
    }
    if (comparison.correction - 1.0).abs() >= 0.005 {
        told.push(format!("corrected ×{:.2} by measured runs", comparison.correction));
    }
    told.join("; ")
}
