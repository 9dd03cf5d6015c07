//! Before the first run: what is done, what is being waited for.

use collab_core::lab::{Lab, Phase, WorkerState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::{Scene, View, text};
use crate::keys::{Action, KEYMAP};

/// What a newcomer tries first.
const HINTS: [Action; 9] = [
    Action::View(View::Overview),
    Action::Enter,
    Action::Throttle,
    Action::Unthrottle,
    Action::Edit,
    Action::Undo,
    Action::Verify,
    Action::Toggle,
    Action::Help,
];

/// A step on the way to the first run.
struct Step {
    is_done: bool,
    what: &'static str,
    detail: String,
}

/// Draws the steps; those done solid, those to come hollow.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let inner = Panel::new(theme, "Starting").draw(theme, area, buf);
    let steps = steps(scene.lab);
    let next = steps.iter().position(|step| !step.is_done);
    let indent = if inner.width > 90 { "    " } else { "" };
    let room = usize::from(inner.width).saturating_sub(indent.len() + 24);
    let mut lines = Vec::new();
    if inner.height as usize > steps.len() * 2 + 1 {
        lines.push(Line::default());
    }
    for (index, step) in steps.iter().enumerate() {
        let (sign, style) = match (step.is_done, Some(index) == next) {
            (true, _) => ("●", theme.good()),
            (false, true) => ("○", theme.accent()),
            (false, false) => ("○", theme.dim()),
        };
        let words = if step.is_done || Some(index) == next { theme.text() } else { theme.dim() };
        lines.push(Line::from(vec![
            Span::raw(indent),
            Span::styled(sign, style),
            Span::styled(format!(" {:<22}", step.what), words),
            Span::styled(text::shorten(&step.detail, room), theme.dim()),
        ]));
        if inner.height as usize > steps.len() * 2 + 1 {
            lines.push(Line::default());
        }
    }
    panel::write(lines, inner, buf);
}

/// What there will be to try, from the keymap.
pub(super) fn draw_hints(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let inner = Panel::new(theme, "To try once it runs").draw(theme, area, buf);
    let scope = scene.mode();
    let hints = KEYMAP.iter().filter(|binding| {
        let is_typical = HINTS.contains(&binding.action) && !binding.words.is_empty();
        is_typical && binding.scope.holds_in(scope)
    });
    let lines = hints.map(|binding| {
        Line::from(vec![
            Span::styled(format!("{:>7}  ", binding.keys()), theme.accent()),
            Span::styled(binding.words, theme.dim()),
        ])
    });
    panel::write([Line::default()].into_iter().chain(lines), inner, buf);
}

fn steps(lab: &Lab) -> Vec<Step> {
    let is_there = |worker: &&WorkerState| !matches!(worker.phase, Phase::Lost { .. });
    // Nobody waits for one that is lost.
    let workers = lab.workers.iter().filter(is_there).count();
    let ready = lab.workers.iter().filter(|worker| worker.is_ready()).count();
    let timed = lab.workers.iter().filter(is_there).filter(|worker| worker.single_ms.is_some()).count();
    let step = |is_done, what, detail| Step { is_done, what, detail };
    let network = lab.network.as_ref().map_or_else(String::new, |network| {
        format!("{}, {} layers, {}", network.name, network.layers.len(), text::bytes(network.weight_bytes()))
    });
    let names: Vec<&str> =
        lab.workers.iter().filter(is_there).map(|worker| worker.info.name.as_str()).collect();
    let held = lab.workers.iter().filter_map(|worker| match worker.phase {
        Phase::Loading { done, total } => Some((done, total, worker.info.worker)),
        _ => None,
    });
    // All wait for the one that has least.
    let loading = held
        .min()
        .map(|(done, total, worker)| format!("{worker} has {} of {}", text::bytes(done), text::bytes(total)));
    let of_all = |count: usize| if workers > 0 { format!("{count} of {workers}") } else { String::new() };
    // A worker that could not be calibrated is timed all the same, and not waited for.
    let is_known = |worker: &&WorkerState| worker.profile.is_some() || worker.single_ms.is_some();
    let known = lab.workers.iter().filter(is_there).filter(is_known).count();
    let next = lab.workers.iter().filter(is_there).find(|worker| worker.profile.is_none());
    let calibrating = match next.filter(|_| workers > 0 && ready == workers) {
        Some(worker) => format!("calibrating {}", worker.info.worker),
        None => of_all(known),
    };
    let plan =
        lab.running().map_or_else(String::new, |running| format!("{} {}", running.partition, running.plan));
    let singles: Vec<String> = lab
        .workers
        .iter()
        .filter_map(|worker| Some(format!("{} {} ms", worker.info.worker, text::ms(worker.single_ms?))))
        .collect();
    vec![
        step(lab.network.is_some(), "read the network", network),
        step(workers > 0, "connect the workers", names.join(", ")),
        step(
            workers > 0 && ready == workers,
            "send them the network",
            loading.unwrap_or_else(|| of_all(ready)),
        ),
        step(workers > 0 && known == workers, "calibrate them", calibrating),
        step(workers > 0 && timed == workers, "time each one alone", singles.join("  ")),
        step(lab.current.is_some(), "prepare a partition", plan),
        step(lab.runs.done > 0, "first run", String::new()),
    ]
}
