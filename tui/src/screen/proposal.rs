//! The offered partition beside the running one, and below it the answer where there is room.

use collab_core::event::Proposal;
use collab_core::id::WorkerId;
use collab_core::network::Network;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::{Scene, answer, text, why};

/// Draws it; nothing if there is no proposal.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let lab = scene.lab;
    let Some(new) = lab.offered() else { return };
    let remark = if lab.frozen { "▲ frozen" } else { "new" };
    let inner = Panel::new(theme, "Proposal")
        .remark(Line::styled(remark, if lab.frozen { theme.warning() } else { theme.accent() }))
        .draw(theme, area, buf);
    let now = lab.running();
    let mut lines = vec![headline(scene, new, now)];
    if let Some(now) = now {
        lines.push(summary(scene, "now", now, false));
    }
    lines.push(summary(scene, "new", new, true));
    let room = usize::from(inner.width);
    if let Some(comparison) = why::told(lab, new) {
        lines.push(why::line(scene, "why", comparison));
        let circumstances = why::circumstances(comparison);
        if !circumstances.is_empty() {
            lines.push(Line::raw(text::shorten(&circumstances, room)));
        }
    }
    let reason = text::wrap(&new.reason, room).into_iter().take(3);
    lines.extend(reason.map(|line| Line::styled(line, theme.dim())));
    lines.push(Line::from(vec![
        Span::styled("a", theme.accent()),
        Span::styled(" accept  ", theme.dim()),
        Span::styled("x", theme.accent()),
        Span::styled(" reject  ", theme.dim()),
        Span::styled("3", theme.accent()),
        Span::styled(" compare", theme.dim()),
    ]));
    let rest = panel::write(lines, inner, buf);
    if rest.height >= 7 && (lab.answer.is_some() || lab.before.is_some()) {
        let whole = Rect { x: area.x, width: area.width, height: 1, ..rest };
        let rule = format!("├─ Answer {}┤", "─".repeat(usize::from(area.width).saturating_sub(11)));
        buf.set_string(whole.x, whole.y, rule, theme.line());
        buf.set_string(whole.x + 3, whole.y, "Answer", theme.strong());
        answer::draw_inside(scene, Rect { y: rest.y + 1, height: rest.height - 1, ..rest }, buf);
    }
}

/// How much faster it should be: as planning told, else by what was measured of the running partition, else as
/// predicted.
fn headline(scene: &Scene, new: &Proposal, now: Option<&Proposal>) -> Line<'static> {
    let theme = scene.theme;
    let measured = now.and_then(|now| scene.lab.runs.quantile_ms(now.partition, 0.5));
    let told = why::told(scene.lab, new);
    let before = told.map(|told| told.now_ms).or(measured).or(now.and_then(|now| now.predicted_ms));
    let gain = match (before, told.map(|told| told.new_ms).or(new.predicted_ms)) {
        (Some(before), Some(after)) if before > 0.0 => {
            let part = 1.0 - after / before;
            let word = if part >= 0.0 { "faster" } else { "slower" };
            format!("should be {:.0} % {word}", part.abs() * 100.0)
        }
        _ => "cannot be predicted".to_owned(),
    };
    Line::from(vec![
        Span::styled(format!("Partition {} {gain}", new.partition), theme.strong()),
        Span::styled(format!("   by {}", new.planner), theme.dim()),
    ])
}

/// `now #37  ● 110.5 ms  A 52 B 31 C 17 %  3 blocks`.
fn summary(scene: &Scene, word: &'static str, proposal: &Proposal, is_hollow: bool) -> Line<'static> {
    let theme = scene.theme;
    let id = format!("{word} {:<4}", proposal.partition.to_string());
    let measured = scene.lab.runs.quantile_ms(proposal.partition, 0.5).filter(|_| !is_hollow);
    let time = match (measured, proposal.predicted_ms) {
        (Some(ms), _) => format!("● {} ms", text::ms(ms)),
        (None, Some(ms)) => format!("○ {} ms", text::ms(ms)),
        (None, None) => "—".to_owned(),
    };
    let mut line = Line::from(vec![Span::styled(id, theme.dim()), Span::raw(format!("{time:<11}"))]);
    if let Some(network) = &scene.lab.network {
        let parts = shares(network, proposal);
        let shown = parts.len().min(4);
        for (worker, part) in parts.iter().enumerate().take(shown) {
            let worker = WorkerId::at(worker);
            let share = if *part > 0.0 { format!("{:.0}", part * 100.0) } else { "—".to_owned() };
            line.push_span(Span::styled(format!(" {worker}"), theme.worker(worker)));
            line.push_span(Span::raw(format!(" {share}")));
        }
        line.push_span(Span::raw(if parts.len() > shown { " … %" } else { " %" }));
    }
    let blocks = proposal.plan.blocks.len();
    let plural = if blocks == 1 { "block" } else { "blocks" };
    line.push_span(Span::styled(format!("   {blocks} {plural}"), theme.dim()));
    line
}

/// Each worker's part of the work on split rows, 0…1.
pub(super) fn shares(network: &Network, proposal: &Proposal) -> Vec<f64> {
    let workers = proposal.plan.workers();
    let mut own = vec![0.0; workers];
    for block in &proposal.plan.blocks {
        let rows = f64::from(network.cut(block.span().end).rows.max(1));
        let layers = &network.layers[network.layers_of(&block.span())];
        let work =
            layers.iter().map(|layer| layer.row_macs * u64::from(layer.output.rows)).sum::<u64>() as f64;
        for (worker, part) in own.iter_mut().enumerate() {
            *part += work * f64::from(block.rows(worker).len()) / rows;
        }
    }
    let all: f64 = own.iter().sum();
    own.iter().map(|part| if all > 0.0 { part / all } else { 0.0 }).collect()
}
