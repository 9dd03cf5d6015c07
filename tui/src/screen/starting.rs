//! Before the first planned partition runs: what is done, what is being waited for.

use collab_core::event::Proposal;
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

/// A step on the way to the first planned partition.
struct Step {
    is_done: bool,
    what: &'static str,
    detail: String,
}

/// Draws the steps; those done solid, those to come hollow.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let inner = Panel::new(theme, "Starting").draw(theme, area, buf);
    let indent = if inner.width > 90 { "    " } else { "" };
    let room = usize::from(inner.width).saturating_sub(indent.len() + 24);
    let steps = steps(scene.lab, room);
    let next = steps.iter().position(|step| !step.is_done);
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
    let (wide, gap) = if inner.width > 40 { (7, 2) } else { (5, 1) };
    let room = usize::from(inner.width).saturating_sub(wide + gap);
    let lines = hints.map(|binding| {
        Line::from(vec![
            Span::styled(format!("{:>wide$}{:gap$}", binding.keys(), ""), theme.accent()),
            Span::styled(text::shorten(binding.words, room), theme.dim()),
        ])
    });
    panel::write([Line::default()].into_iter().chain(lines), inner, buf);
}

/// The steps, with as much about each as has room in so many cells.
fn steps(lab: &Lab, room: usize) -> Vec<Step> {
    let fitting = |whole: String, short: String| if text::width(&whole) <= room { whole } else { short };
    let is_there = |worker: &&WorkerState| !matches!(worker.phase, Phase::Lost { .. });
    // Nobody waits for one that is lost.
    let workers = lab.workers.iter().filter(is_there).count();
    let ready = lab.workers.iter().filter(|worker| worker.is_ready()).count();
    let timed = lab.workers.iter().filter(is_there).filter(|worker| worker.single_ms.is_some()).count();
    let step = |is_done, what, detail| Step { is_done, what, detail };
    let network = lab.network.as_ref().map_or_else(String::new, |network| {
        let (name, layers) = (&network.name, network.layers.len());
        let whole = format!("{name}, {layers} layers, {}", text::bytes(network.weight_bytes()));
        fitting(whole, name.clone())
    });
    let names: Vec<&str> =
        lab.workers.iter().filter(is_there).map(|worker| worker.info.name.as_str()).collect();
    let of_all = |count: usize| if workers > 0 { format!("{count} of {workers}") } else { String::new() };
    // A worker that could not be calibrated is timed all the same, and not waited for.
    let is_known = |worker: &&WorkerState| worker.profile.is_some() || worker.single_ms.is_some();
    let known = lab.workers.iter().filter(is_there).filter(is_known).count();
    let next = lab.workers.iter().filter(is_there).find(|worker| worker.profile.is_none());
    let calibrating = match next.filter(|_| workers > 0 && ready == workers) {
        Some(worker) => format!("calibrating {}", worker.info.worker),
        None => of_all(known),
    };
    let plan = lab.offered().map(|offered| {
        let id = offered.partition.to_string();
        fitting(format!("{id} {}", offered.plan), id)
    });
    let singles: Vec<String> = lab
        .workers
        .iter()
        .filter_map(|worker| Some(format!("{} {} ms", worker.info.worker, text::ms(worker.single_ms?))))
        .collect();
    let mut steps = vec![
        step(lab.network.is_some(), "read the network", network),
        step(workers > 0, "connect the workers", fitting(names.join(", "), workers.to_string())),
        step(
            workers > 0 && ready == workers,
            "send them the network",
            loading(lab).unwrap_or_else(|| of_all(ready)),
        ),
        step(workers > 0 && known == workers, "calibrate them", calibrating),
        step(
            workers > 0 && timed == workers,
            "time each one alone",
            fitting(singles.join("  "), of_all(timed)),
        ),
    ];
    if workers != 1 {
        let together = lab.running().filter(|running| running.planner == Proposal::SOUNDING);
        let detail = together.map_or_else(String::new, |running| running.partition.to_string());
        steps.push(step(lab.is_planned() || plan.is_some(), "time all together", detail));
    }
    steps.push(step(lab.is_planned(), "run what is planned", plan.unwrap_or_default()));
    steps
}

/// How far the worker is that has least of the network: all wait for it.
fn loading(lab: &Lab) -> Option<String> {
    let held = lab.workers.iter().filter_map(|worker| match worker.phase {
        Phase::Loading { done, total } => Some((done, total, worker.info.worker)),
        _ => None,
    });
    let (done, total, worker) = held.min()?;
    Some(format!("{worker} has {} of {}", text::bytes(done), text::bytes(total)))
}
