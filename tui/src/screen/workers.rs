//! The table of workers.

use collab_core::event::LinkShape;
use collab_core::id::{Node, WorkerId};
use collab_core::lab::{Phase, WorkerState};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::panel::Panel;
use super::ui::{Hits, Target};
use super::widgets::table::{self, Column, Fitted};
use super::widgets::{bar, spark};
use super::{Scene, WIDE, notice, text};

/// Half the cells of the bar of a network being received.
const BAR_CELLS: usize = 10;

fn columns(is_wide: bool) -> [Column; 9] {
    let throttle = if is_wide { 17 } else { 12 };
    [
        table::left("  worker", 16, 0),
        table::left("link", 18, 2),
        table::left("throttle", throttle, 0),
        table::right("cpu", 5, 4),
        table::right("temp", 5, 6),
        table::right("rows", 5, 1),
        table::growing("busy", 11, 1),
        table::right("wait", 4, 3),
        table::right("predicted", 9, 5),
    ]
}

/// Draws it with the sentence that says where to look.
pub(super) fn draw(
    scene: &Scene,
    note: Option<(Option<WorkerId>, String)>,
    area: Rect,
    buf: &mut Buffer,
    hits: &mut Hits,
) {
    let theme = scene.theme;
    let lab = scene.lab;
    let is_emulated = lab.workers.iter().any(|worker| worker.info.emulation.is_some());
    let mut panel = Panel::new(theme, "Workers");
    if is_emulated {
        panel = panel.with("≈ emulated", theme.dim());
    }
    let inner = panel.draw(theme, area, buf);
    let fitted = Fitted::new(&columns(area.width >= WIDE), table::GAP, inner.width);
    fitted.head(Rect { height: 1, ..inner }, theme.dim(), buf);
    let notes = u16::from(note.is_some());
    let page = usize::from(inner.height.saturating_sub(1 + notes));
    let first = table::first_row(scene.ui.worker, lab.workers.len(), page);
    for (offset, worker) in lab.workers.iter().skip(first).take(page).enumerate() {
        let row = Rect { y: inner.y + 1 + offset as u16, height: 1, ..inner };
        draw_worker(scene, first + offset, worker, &fitted, row, buf);
        hits.add(row, Target::Worker(first + offset));
    }
    hits.page = page;
    table::scrollbar(
        Rect { y: inner.y + 1, height: page as u16, width: inner.width + 1, ..inner },
        first,
        lab.workers.len(),
        page,
        theme.dim(),
        buf,
    );
    if let Some((worker, sentence)) = note
        && inner.height > 1
    {
        let mut line = Line::from(Span::styled("  ▲ ", theme.warning()));
        if let Some(worker) = worker {
            line.push_span(Span::styled(format!("{worker}  "), theme.worker(worker)));
        }
        let room = usize::from(inner.width).saturating_sub(line.width());
        line.push_span(Span::styled(text::shorten(&sentence, room), theme.text()));
        buf.set_line(inner.x, inner.bottom() - 1, &line, inner.width);
    }
}

fn draw_worker(
    scene: &Scene,
    index: usize,
    worker: &WorkerState,
    fitted: &Fitted,
    row: Rect,
    buf: &mut Buffer,
) {
    let theme = scene.theme;
    let mut cells = vec![name(scene, index, worker, fitted.width(0).unwrap_or(0))];
    if let Some(sentence) = unready(worker) {
        fitted.row(&cells, row, buf);
        let offset = fitted.width(0).unwrap_or(0) as u16 + 2;
        let rest = Rect { x: row.x + offset, width: row.width.saturating_sub(offset), ..row };
        let sentence = text::shorten(&sentence, usize::from(rest.width));
        let line = match &worker.phase {
            Phase::Lost { .. } => Line::styled(sentence, theme.error()),
            _ => Line::styled(sentence, theme.dim()),
        };
        buf.set_line(rest.x, rest.y, &line, rest.width);
        return;
    }
    let status = worker.status.as_ref();
    cells.push(link(scene, worker));
    cells.push(throttle(scene, worker, fitted.width(2).unwrap_or(0)));
    cells.push(Line::raw(text::percent(status.map(|it| it.cpu_percent / 100.0))));
    let warm =
        status.and_then(|it| it.temperature_c).map_or_else(|| "—".to_owned(), |it| format!("{it:.0} °C"));
    cells.push(Line::raw(warm));
    cells.push(Line::raw(text::percent(scene.lab.share(index))));
    let busy_cells = fitted.width(6).unwrap_or(0).saturating_sub(6);
    let curve = spark::line(worker.busy.iter().map(|part| f64::from(*part)), 1.0, busy_cells);
    cells.push(Line::from(vec![
        Span::styled(curve, theme.worker(worker.info.worker)),
        Span::raw(format!("{:>6}", text::percent(worker.mean_busy()))),
    ]));
    cells.push(Line::raw(text::percent(worker.mean_wait())));
    cells.push(match scene.lab.worker_mape(index) {
        Some(error) => Line::raw(format!("±{:.1} %", error * 100.0)),
        None => Line::styled("—", theme.dim()),
    });
    fitted.row(&cells, row, buf);
}

fn name(scene: &Scene, index: usize, worker: &WorkerState, cells: usize) -> Line<'static> {
    let is_selected = index == scene.ui.worker;
    let style = scene.theme.worker(worker.info.worker);
    let emulated = if worker.info.emulation.is_some() { "≈" } else { "" };
    let label = format!("{} {emulated}{}", worker.info.worker, worker.info.name);
    let label = text::shorten(&label, cells.saturating_sub(2));
    let style = if is_selected { scene.theme.selected(style) } else { style };
    Line::from(vec![Span::raw(if is_selected { "▸ " } else { "  " }), Span::styled(label, style)])
}

/// What a worker that cannot work yet, or any more, is doing.
fn unready(worker: &WorkerState) -> Option<String> {
    match &worker.phase {
        Phase::Ready => None,
        Phase::Joined => Some("○  connected, waits for the network".to_owned()),
        Phase::Loading { done, total } => {
            let part = *done as f64 / (*total).max(1) as f64;
            let (solid, _, rest) = bar::asked(part, part, BAR_CELLS * 2);
            let (done, total) = (text::bytes(*done), text::bytes(*total));
            Some(format!("○  receives the network  {solid}{rest}  {done} of {total}"))
        }
        Phase::Lost { reason } => Some(format!("✗  lost: {reason}")),
    }
}

/// The round trip to a worker and what it can send; hollow while a change was asked for and not acknowledged.
fn link(scene: &Scene, worker: &WorkerState) -> Line<'static> {
    let theme = scene.theme;
    let Some(link) = scene.lab.link(Node::Lab, Node::Worker(worker.info.worker)) else {
        return Line::styled("○  not measured", theme.dim());
    };
    let sending = scene.lab.sending_mbps(worker.info.worker);
    let rate = sending.map_or_else(|| "—".to_owned(), text::rate);
    let slow = notice::slow_links(scene.lab).map_or_else(Vec::new, |(_, slow)| slow);
    let is_slow = slow.iter().any(|(slow, _)| *slow == worker.info.worker);
    let (sign, style) = match (is_pending(worker), is_slow) {
        (true, _) => ("○", theme.text()),
        (false, true) => ("▲", theme.warning()),
        (false, false) => ("●", theme.good()),
    };
    Line::from(vec![
        Span::styled(sign, style),
        Span::raw(format!("{:>5} ms {rate:>8}", text::ms(link.rtt_ms))),
    ])
}

fn is_pending(worker: &WorkerState) -> bool {
    let Some(asked) = worker.link_asked else { return false };
    let now = worker.status.as_ref().map_or(LinkShape::default(), |status| status.link);
    let differs = |a: f64, b: f64| (a - b).abs() > 0.05;
    let rates = match (asked.rate_mbps, now.rate_mbps) {
        (Some(asked), Some(now)) => differs(asked, now),
        (asked, now) => asked.is_some() != now.is_some(),
    };
    rates || differs(asked.delay_ms, now.delay_ms)
}

/// The CPU share: solid as acknowledged, hollow where a change is not acknowledged yet.
fn throttle(scene: &Scene, worker: &WorkerState, cells: usize) -> Line<'static> {
    let throttle = worker.throttle;
    let bar_cells = cells.saturating_sub(7);
    let (solid, hollow, rest) = bar::asked(throttle.percent / 100.0, throttle.asked / 100.0, bar_cells);
    let sign = if throttle.is_pending() { "○" } else { " " };
    let style = scene.theme.worker(worker.info.worker);
    Line::from(vec![
        Span::styled(format!("{solid}{hollow}"), style),
        Span::styled(rest, scene.theme.line()),
        Span::raw(format!("{sign}{:>4.0} %", throttle.asked)),
    ])
}
