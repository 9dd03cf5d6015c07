//! All that is known of the selected worker.

use collab_core::event::{Host, LinkShape};
use collab_core::id::Node;
use collab_core::lab::{Phase, WorkerState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::{Scene, text};

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let Some(worker) = scene.lab.workers.get(scene.ui.worker) else { return };
    let title = format!("{} {}", worker.info.worker, worker.info.name);
    let remark = Line::styled("Esc closes", theme.dim());
    let inner = Panel::new(theme, title).remark(remark).draw(theme, area, buf);
    let lines = facts(scene, worker).into_iter().map(|(label, value)| {
        let value = text::shorten(&value, usize::from(inner.width).saturating_sub(12));
        Line::from(vec![Span::styled(format!("{label:<12}"), theme.dim()), Span::raw(value)])
    });
    let rest = panel::write(lines, inner, buf);
    panel::write(links(scene, worker), rest, buf);
}

fn facts(scene: &Scene, worker: &WorkerState) -> Vec<(&'static str, String)> {
    let info = &worker.info;
    let host = &info.host;
    let phase = match &worker.phase {
        Phase::Ready => "ready".to_owned(),
        Phase::Joined => "connected".to_owned(),
        Phase::Loading { done, total } => {
            format!("receives {} of {}", text::bytes(*done), text::bytes(*total))
        }
        Phase::Lost { reason } => format!("✗ lost: {reason}"),
    };
    let mut facts = vec![("state", format!("{phase}, since {}", worker.phase_since))];
    facts.extend(state(scene, worker));
    if let Some(single) = worker.single_ms {
        facts.push(("alone", format!("{} ms at 100 % CPU", text::ms(single))));
    }
    if let Some(error) = scene.lab.worker_mape(scene.ui.worker) {
        facts.push(("predicted", format!("its blocks ±{:.1} %", error * 100.0)));
    }
    let limit = info
        .memory_limit
        .map_or_else(|| "no limit".to_owned(), |limit| format!("{} allowed", text::bytes(limit)));
    let used = worker
        .status
        .as_ref()
        .map_or_else(String::new, |status| format!("{} used, ", text::bytes(status.memory)));
    facts.push(("memory", format!("{used}{limit}")));
    let told =
        [("○", scene.lab.peak_memory(info.worker)), ("●", worker.status.as_ref().map(|it| it.memory_peak))];
    let peak =
        told.map(|(sign, bytes)| Some(format!("{sign} {}", text::bytes(bytes.filter(|bytes| *bytes > 0)?))));
    if peak.iter().any(Option::is_some) {
        facts.push(("its peak", peak.into_iter().flatten().collect::<Vec<_>>().join("   ")));
    }
    if let Some(emulation) = &info.emulation {
        facts.push(("emulates", format!("{}, ×{} slower", emulation.name, emulation.slowdown)));
    }
    // Nothing is known of the device of one that never answered.
    if *host != Host::default() {
        let cores = if host.cores == 1 { "1 core".to_owned() } else { format!("{} cores", host.cores) };
        facts.push(("device", format!("{}, {cores}, {}", host.cpu, text::bytes(host.memory))));
        facts.push(("vectors", host.isa.clone()));
        facts.push(("system", host.os.clone()));
    }
    facts.push(("address", info.address.clone()));
    facts.push(("key", info.fingerprint.short()));
    facts
}

/// What the operator can change, and what follows from it.
fn state(scene: &Scene, worker: &WorkerState) -> Vec<(&'static str, String)> {
    let Some(status) = &worker.status else { return Vec::new() };
    let throttle = worker.throttle;
    let share = if throttle.is_pending() {
        format!("{:.0} %, ○ {:.0} % asked for", throttle.percent, throttle.asked)
    } else {
        format!("{:.0} %", throttle.percent)
    };
    let owned: Vec<String> = scene.lab.running().map_or_else(Vec::new, |running| {
        let blocks = running.plan.blocks.iter();
        blocks.map(|block| block.rows(scene.ui.worker).len().to_string()).collect()
    });
    let mut state = vec![("cpu share", share)];
    if !owned.is_empty() {
        let blocks = if owned.len() == 1 { "in one block" } else { "by block" };
        state.push(("rows", format!("{} {blocks}", owned.join(", "))));
    }
    state.push(("sends over", shape(status.link)));
    if status.dropped + status.refused > 0 {
        state.push((
            "▲ dropped",
            format!("{} reports, {} connections refused", status.dropped, status.refused),
        ));
    }
    state
}

fn shape(link: LinkShape) -> String {
    let rate = link
        .rate_mbps
        .map_or_else(|| "an unpaced link".to_owned(), |rate| format!("{} paced", text::rate(rate)));
    if link.delay_ms > 0.0 { format!("{rate}, +{} ms", text::ms(link.delay_ms)) } else { rate }
}

fn links(scene: &Scene, worker: &WorkerState) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let node = Node::Worker(worker.info.worker);
    let mut lines =
        vec![Line::default(), Line::styled("link          rtt ms        rate    clock ms", theme.dim())];
    for link in scene.lab.links.iter().filter(|link| link.from == node || link.to == node) {
        let rate = link.rate_mbps.map_or_else(|| "—".to_owned(), text::rate);
        let ends = format!("{} → {}", link.from, link.to);
        let clock = text::signed_ms(link.offset_ms);
        lines.push(Line::raw(format!("{ends:<10} {:>9.2} {rate:>11} {clock:>11}", link.rtt_ms)));
    }
    if lines.len() == 2 { Vec::new() } else { lines }
}
