//! The offered partition beside the running one, and below it the answer where there is room.

use collab_core::event::Proposal;
use collab_core::id::WorkerId;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
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
    let room = usize::from(inner.width);
    let keys = Line::from(vec![
        Span::styled("a", theme.accent()),
        Span::styled(" accept  ", theme.dim()),
        Span::styled("x", theme.accent()),
        Span::styled(" reject  ", theme.dim()),
        Span::styled("3", theme.accent()),
        Span::styled(" compare", theme.dim()),
    ]);
    let mut lines = headline(scene, new, room);
    let now = lab.running();
    // How many blocks there are is said where it makes a difference.
    let differ = now.is_some_and(|now| now.plan.blocks.len() != new.plan.blocks.len());
    if let Some(now) = now {
        lines.extend(text::flow(summary(scene, "now", now, differ), 2, room));
    }
    lines.extend(text::flow(summary(scene, "new", new, differ), 2, room));
    lines.extend(doubts(scene).into_iter().flat_map(|it| text::wrap(&it, room)).map(Line::raw));
    if let Some(comparison) = why::told(lab, new) {
        lines.extend(text::flow(why::parts(scene, comparison), 2, room));
        lines.extend(text::wrap(&why::circumstances(comparison), room).into_iter().map(Line::raw));
    }
    let words = text::wrap(&new.reason, room).into_iter().map(|line| Line::styled(line, theme.dim()));
    lines.extend(words);
    // What does not fit is left out from the end; the keys never are.
    let height = usize::from(inner.height);
    if lines.len() >= height {
        lines.truncate(height.saturating_sub(2));
        lines.push(Line::styled("…", theme.dim()));
    }
    lines.push(keys);
    let rest = panel::write(lines, inner, buf);
    if rest.height >= 7 && (lab.answer.is_some() || lab.before.is_some()) {
        let whole = Rect { x: area.x, width: area.width, height: 1, ..rest };
        let rule = Line::from(vec![
            Span::styled("├─ ", theme.line()),
            Span::styled("Answer", theme.strong()),
            Span::styled(
                format!(" {}┤", "─".repeat(usize::from(area.width).saturating_sub(11))),
                theme.line(),
            ),
        ]);
        buf.set_style(whole, Style::reset());
        buf.set_line(whole.x, whole.y, &rule, whole.width);
        answer::draw_inside(scene, Rect { y: rest.y + 1, height: rest.height - 1, ..rest }, buf);
    }
}

/// How much faster it should be: both partitions as predicted when the last run began.
fn headline(scene: &Scene, new: &Proposal, room: usize) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let id = new.partition;
    let told = match scene.lab.outlook().map(|outlook| outlook.gain()) {
        Some(gain) if gain.abs() < 0.005 => format!("Partition {id} should be as fast"),
        Some(gain) if gain > 0.0 => format!("Partition {id} should be {:.0} % faster", gain * 100.0),
        Some(gain) => format!("Partition {id} would now be {:.0} % slower", -gain * 100.0),
        None => format!("Partition {id}, not predicted yet"),
    };
    let told = if text::width(&told) > room { told.replace("Partition ", "") } else { told };
    let by = format!("by {}", new.planner);
    text::flow(vec![vec![Span::styled(told, theme.strong())], vec![Span::styled(by, theme.dim())]], 3, room)
}

/// What to expect where late runs missed their predictions, and whether what was measured speaks against the offer.
fn doubts(scene: &Scene) -> Vec<String> {
    let Some(outlook) = scene.lab.outlook() else { return Vec::new() };
    let mut told = Vec::new();
    let expected = outlook.new_ms * outlook.correction;
    if (outlook.correction - 1.0).abs() >= 0.005 {
        let (factor, ms) = (outlook.correction, text::ms(expected));
        told.push(format!("late runs took ×{factor:.2} of predicted: expect {ms} ms"));
    }
    let measured = scene.lab.measured_ms(0.5);
    if let Some(ms) = measured.filter(|ms| outlook.gain() > 0.0 && expected > *ms) {
        let slower = (expected / ms - 1.0) * 100.0;
        told.push(format!("▲ {slower:.0} % slower than {} was measured", outlook.running));
    }
    told
}

/// `now #37`, `○ 111.2 ms`, `● 110.5 ms`, `A 52 B 31 C 17 %`, `3 blocks`.
fn summary(scene: &Scene, word: &'static str, proposal: &Proposal, blocks: bool) -> Vec<Vec<Span<'static>>> {
    let theme = scene.theme;
    let outlook = scene.lab.outlook();
    let is_new = word == "new";
    let predicted = match outlook {
        Some(outlook) if is_new => Some(outlook.new_ms),
        Some(outlook) => Some(outlook.now_ms),
        None => proposal.predicted_ms,
    };
    let predicted = predicted.map_or_else(|| "○ —".to_owned(), |ms| format!("○ {} ms", text::ms(ms)));
    let mut parts = vec![
        vec![Span::styled(format!("{word} {:<3}", proposal.partition.to_string()), theme.dim())],
        vec![Span::raw(predicted)],
    ];
    if !is_new {
        let measured = scene.lab.measured_ms(0.5);
        let measured = measured.map_or_else(|| "● —".to_owned(), |ms| format!("● {} ms", text::ms(ms)));
        parts.push(vec![Span::raw(measured)]);
    }
    if let Some(network) = &scene.lab.network {
        let shares = proposal.plan.shares(network);
        let shown = shares.len().min(4);
        let mut part = Vec::new();
        for (worker, share) in shares.iter().enumerate().take(shown) {
            let worker = WorkerId::at(worker);
            let share = if *share > 0.0 { format!(" {:.0} ", share * 100.0) } else { " — ".to_owned() };
            part.push(Span::styled(worker.to_string(), theme.worker(worker)));
            part.push(Span::raw(share));
        }
        part.push(Span::raw(if shares.len() > shown { "… %" } else { "%" }));
        parts.push(part);
    }
    if blocks {
        let count = proposal.plan.blocks.len();
        let plural = if count == 1 { "block" } else { "blocks" };
        parts.push(vec![Span::styled(format!("{count} {plural}"), theme.dim())]);
    }
    parts
}
