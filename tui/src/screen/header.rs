//! The state line and the tabs.

use collab_core::event::Verdict;
use collab_core::lab::Phase;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::ui::{Hits, Target, View};
use super::{Scene, text};

/// A part of the state line; the highest rank is dropped first where there is no room.
type Part = (u8, Vec<Span<'static>>);

/// Draws the state line: what this is, who is there, what runs, whether it is right, and the recording.
pub(super) fn draw_state(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let mut left: Vec<Part> = vec![(0, vec![Span::styled("collab", theme.strong())]), (0, state(scene))];
    left.extend(workers(scene));
    left.extend(network(scene));
    if scene.lab.runs.done > 0 {
        let runs = format!("run {}", text::thousands(scene.lab.runs.done));
        left.push((3, vec![Span::styled(runs, theme.text())]));
    }
    left.extend(verdict(scene));
    if scene.lab.frozen {
        left.push((1, vec![Span::styled("▲ frozen", theme.warning())]));
    }
    let mut right = recording(scene);
    if scene.lab.runs.lost > 0 {
        let lost = format!("{} lost", text::thousands(scene.lab.runs.lost));
        right.push((1, vec![Span::styled(lost, theme.error())]));
    } else if scene.lab.runs.done > 0 {
        right.push((5, vec![Span::styled("0 lost", theme.dim())]));
    }
    let room = usize::from(area.width);
    while total(&left, 3) + total(&right, 2) + 1 > room {
        let worst = left.iter().chain(&right).map(|(rank, _)| *rank).max().unwrap_or(0);
        if worst == 0 {
            break;
        }
        let side = if right.iter().any(|(rank, _)| *rank == worst) { &mut right } else { &mut left };
        let at = side.iter().rposition(|(rank, _)| *rank == worst).unwrap_or(0);
        side.remove(at);
    }
    buf.set_line(area.x + 1, area.y, &join(&left, "   "), area.width - 1);
    let line = join(&right, "  ");
    let wide = line.width() as u16;
    buf.set_line(area.right().saturating_sub(wide + 1), area.y, &line, wide);
}

fn total(parts: &[Part], gap: usize) -> usize {
    let cells = |(_, spans): &Part| spans.iter().map(Span::width).sum::<usize>() + gap;
    parts.iter().map(cells).sum()
}

fn join(parts: &[Part], gap: &'static str) -> Line<'static> {
    let mut line = Line::default();
    for (index, (_, spans)) in parts.iter().enumerate() {
        if index > 0 {
            line.push_span(Span::raw(gap));
        }
        line.extend(spans.iter().cloned());
    }
    line
}

fn state(scene: &Scene) -> Vec<Span<'static>> {
    let theme = scene.theme;
    if let Some(playback) = &scene.shown.playback {
        let speed = match playback.speed {
            speed if (speed - 1.0).abs() < 1e-9 => String::new(),
            speed => format!(" ×{speed}"),
        };
        let sign = if playback.playing { '▶' } else { '‖' };
        let word = if playback.following { "WATCH" } else { "REPLAY" };
        return vec![Span::styled(format!("{sign} {word}{speed}"), theme.accent())];
    }
    if scene.ui.held.is_some() {
        let behind = (scene.shown.lab.now - scene.lab.now).secs();
        let runs = scene.shown.lab.runs.done.saturating_sub(scene.lab.runs.done);
        let text = format!("‖ held, {behind:.0} s and {} runs behind", text::thousands(runs));
        return vec![Span::styled(text, theme.warning())];
    }
    let name = if scene.lab.session.mode == "demo" { "DEMO" } else { "LIVE" };
    if scene.lab.ended {
        return vec![Span::styled(format!("○ {name} ended"), theme.dim())];
    }
    vec![Span::styled("●", theme.good()), Span::styled(format!(" {name}"), theme.strong())]
}

fn workers(scene: &Scene) -> Option<Part> {
    let workers = &scene.lab.workers;
    if workers.is_empty() {
        return None;
    }
    let ready = workers.iter().filter(|worker| worker.is_ready()).count();
    let is_lost = workers.iter().any(|worker| matches!(worker.phase, Phase::Lost { .. }));
    let text = format!("{ready}/{} workers", workers.len());
    let style = if is_lost { scene.theme.error() } else { scene.theme.text() };
    Some((1, vec![Span::styled(if is_lost { format!("▲ {text}") } else { text }, style)]))
}

fn network(scene: &Scene) -> Vec<Part> {
    let Some(network) = &scene.lab.network else { return Vec::new() };
    let name = text::shorten(&network.name, 24);
    let layers = format!("{} layers", network.layers.len());
    vec![
        (2, vec![Span::styled(name, scene.theme.text())]),
        (6, vec![Span::styled(layers, scene.theme.dim())]),
    ]
}

fn verdict(scene: &Scene) -> Option<Part> {
    let (sign, style) = match scene.lab.runs.overall()? {
        "bit-equal" => ("✓ bit-equal".to_owned(), scene.theme.good()),
        "within" => ("✓ within 1e-5".to_owned(), scene.theme.good()),
        _ => match scene.lab.verdict {
            Verdict::Differs(by) => (format!("✗ differs by {by:.0e}"), scene.theme.error()),
            _ => ("✗ differed".to_owned(), scene.theme.error()),
        },
    };
    Some((1, vec![Span::styled(sign, style)]))
}

fn recording(scene: &Scene) -> Vec<Part> {
    let theme = scene.theme;
    let Some(recording) = &scene.shown.recording else { return Vec::new() };
    if recording.failed.is_some() {
        return vec![(0, vec![Span::styled("▲ not recorded", theme.error())])];
    }
    vec![
        (
            2,
            vec![
                Span::styled("●", theme.error()),
                Span::styled(format!(" REC {}", scene.shown.lab.now), theme.text()),
            ],
        ),
        (4, vec![Span::styled(text::bytes(recording.bytes), theme.dim())]),
    ]
}

/// Draws the tabs.
pub(super) fn draw_tabs(scene: &Scene, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let mut x = area.x + 1;
    for (index, view) in View::ALL.into_iter().enumerate() {
        let is_open = view == scene.ui.view && !scene.ui.help;
        let label = format!("{} {}", index + 1, view.name());
        let (label, style) = if is_open {
            (format!("▌{label}▐"), scene.theme.accent())
        } else {
            (format!(" {label} "), scene.theme.dim())
        };
        let wide = text::width(&label) as u16;
        buf.set_string(x, area.y, label, style);
        hits.add(Rect { x, width: wide, ..area }, Target::Tab(view));
        x += wide + 1;
    }
    let help = Line::from(vec![
        Span::styled("?", scene.theme.accent()),
        Span::styled(" help  ", scene.theme.dim()),
        Span::styled("q", scene.theme.accent()),
        Span::styled(" quit", scene.theme.dim()),
    ]);
    let wide = help.width() as u16;
    if x + wide + 1 < area.right() {
        buf.set_line(area.right() - wide - 1, area.y, &help, wide);
    }
}
