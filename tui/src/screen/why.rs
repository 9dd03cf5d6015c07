//! Why an offered partition should be faster: where its time differs from the running one's.

use collab_core::event::{Comparison, Proposal};
use collab_core::id::WorkerId;
use collab_core::lab::Lab;
use ratatui::text::Span;

use super::{Scene, text};

/// Differences below this are not worth their cells, ms.
const WORTH_SAYING: f64 = 0.05;

/// The comparison that was told of `offered`, if one was.
pub(super) fn told<'a>(lab: &'a Lab, offered: &Proposal) -> Option<&'a Comparison> {
    lab.compared.as_ref().filter(|comparison| comparison.partition == offered.partition)
}

/// `compute A +11.1 B −19.1`, `transfer −1.0`, `recomputed halo −0.8`, `waiting −2.0`, `total −8.9`: new less now, where
/// they differ, each a part that stays in one line.
pub(super) fn parts(scene: &Scene, comparison: &Comparison) -> Vec<Vec<Span<'static>>> {
    let theme = scene.theme;
    let mut compute = vec![Span::styled("compute", theme.dim())];
    for (at, &ms) in comparison.compute_ms.iter().enumerate().filter(|(_, ms)| ms.abs() >= WORTH_SAYING) {
        let worker = WorkerId::at(at);
        compute.push(Span::styled(format!(" {worker} "), theme.worker(worker)));
        compute.push(Span::raw(text::signed_ms(ms)));
    }
    let mut parts = vec![compute];
    let total = scene.lab.outlook().map_or(comparison.new_ms - comparison.now_ms, |it| it.new_ms - it.now_ms);
    let others = [
        ("transfer", comparison.transfer_ms),
        ("recomputed halo", comparison.halo_ms),
        ("waiting", comparison.wait_ms),
    ];
    let others = others.into_iter().filter(|(_, ms)| ms.abs() >= WORTH_SAYING);
    for (name, ms) in others.chain([("total", total)]) {
        parts.push(vec![Span::styled(format!("{name} "), theme.dim()), Span::raw(text::signed_ms(ms))]);
    }
    parts
}

/// What it answers, and how soon; empty if conditions did not change.
pub(super) fn circumstances(comparison: &Comparison) -> String {
    if comparison.because.is_empty() {
        return String::new();
    }
    let soon = comparison.after_ms.map(|ms| format!(", answered in {} ms", text::ms(ms)));
    format!("{}{}", comparison.because, soon.unwrap_or_default())
}
