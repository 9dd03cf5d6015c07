//! Intervals along time: predicted (hollow) under measured (solid), a lane for each node.

use collab_core::event::SpanKind;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::plot;

/// An interval, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::screen) struct Interval {
    /// What is done.
    pub(in crate::screen) kind: SpanKind,
    /// In which block.
    pub(in crate::screen) block: u32,
    /// Start.
    pub(in crate::screen) start: f64,
    /// End.
    pub(in crate::screen) end: f64,
}

/// A node's intervals.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::screen) struct Lane {
    /// Left of it.
    pub(in crate::screen) label: String,
    /// How that is drawn.
    pub(in crate::screen) label_style: Style,
    /// The node's colour.
    pub(in crate::screen) style: Style,
    /// As they were.
    pub(in crate::screen) measured: Vec<Interval>,
    /// As they should be.
    pub(in crate::screen) predicted: Vec<Interval>,
}

/// Cells for labels.
const LABEL: u16 = 5;

/// Draws lanes from `0` to `until` ms with an axis below. Where there is no room for two rows a lane, only
/// the measured row is drawn, or the predicted one if nothing was measured.
pub(in crate::screen) fn draw(lanes: &[Lane], until: f64, dim: Style, area: Rect, buf: &mut Buffer) {
    if area.height < 2 || area.width <= LABEL + 10 || until <= 0.0 {
        return;
    }
    let track = Rect { x: area.x + LABEL, width: area.width - LABEL, ..area };
    let room = area.height - 1;
    let lanes_count = lanes.len() as u16;
    let tall = if lanes_count * 3 <= room + 1 {
        3
    } else if lanes_count * 2 <= room + 1 {
        2
    } else {
        1
    };
    // One row short: the first lane is the lab's, which computes nothing, so its prediction is missed least.
    let is_short = tall == 2 && lanes_count * 2 > room;
    let mut y = area.y;
    for (index, lane) in lanes.iter().enumerate() {
        if y >= area.y + room {
            break;
        }
        let tall = if is_short && index == 0 { 1 } else { tall };
        buf.set_stringn(area.x, y, &lane.label, usize::from(LABEL), lane.label_style);
        let rows = [(&lane.measured, false), (&lane.predicted, true)];
        let shown = rows.into_iter().filter(|(intervals, _)| tall > 1 || !intervals.is_empty());
        for (row, (intervals, is_hollow)) in (y..area.y + room).zip(shown.take(tall.min(2).into())) {
            paint(intervals, until, is_hollow, lane.style, Rect { y: row, height: 1, ..track }, buf);
        }
        y += tall;
    }
    let axis = Rect { y: area.bottom() - 1, height: 1, ..track };
    for tick in plot::ticks(0.0, until, usize::from(track.width / 12).max(2)) {
        let x = axis.x + (tick / until * f64::from(axis.width - 1)) as u16;
        let label = format!("{tick}");
        if x + label.len() as u16 <= axis.right() {
            buf.set_string(x, axis.y, label, dim);
        }
    }
}

/// The glyph of a kind.
pub(in crate::screen) fn glyph(kind: SpanKind, is_hollow: bool) -> char {
    match (kind, is_hollow) {
        (SpanKind::Compute, false) => '█',
        (SpanKind::Compute, true) => '░',
        (SpanKind::Send, false) => '▒',
        (SpanKind::Send, true) => '╌',
        // Receiving is not drawn: the sender's bar and the wait say it.
        (SpanKind::Wait | SpanKind::Receive, _) => '·',
    }
}

/// A cell shows what most of it is; computing hides sending, which overlaps with it.
fn paint(intervals: &[Interval], until: f64, is_hollow: bool, style: Style, area: Rect, buf: &mut Buffer) {
    let cell_ms = until / f64::from(area.width);
    let mut block_before = None;
    for x in 0..area.width {
        let (from, to) = (f64::from(x) * cell_ms, f64::from(x + 1) * cell_ms);
        let covered = |kind: SpanKind| {
            let of_kind = intervals.iter().filter(|interval| interval.kind == kind);
            of_kind.map(|interval| (interval.end.min(to) - interval.start.max(from)).max(0.0)).sum::<f64>()
        };
        let kinds = [(SpanKind::Compute, 2.0), (SpanKind::Send, 1.0), (SpanKind::Wait, 0.5)];
        let most = kinds
            .map(|(kind, weight)| (kind, covered(kind) * weight))
            .into_iter()
            .filter(|(_, part)| *part > cell_ms * 0.2)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((kind, _)) = most else { continue };
        let mut character = glyph(kind, is_hollow);
        if kind == SpanKind::Compute {
            let middle = (from + to) / 2.0;
            let at = intervals.iter().find(|it| it.kind == kind && it.start <= middle && middle < it.end);
            let block = at.map(|it| it.block).or(block_before);
            if block_before.is_some() && block != block_before {
                character = if is_hollow { '┊' } else { '▐' };
            }
            block_before = block;
        }
        buf[(area.x + x, area.y)].set_char(character).set_style(style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_is_solid_predicted_is_hollow_and_a_new_block_is_seen() {
        let span = |kind, block, start, end| Interval { kind, block, start, end };
        let measured = vec![
            span(SpanKind::Compute, 0, 0.0, 4.0),
            span(SpanKind::Send, 0, 4.0, 6.0),
            span(SpanKind::Wait, 1, 6.0, 8.0),
            span(SpanKind::Compute, 1, 8.0, 12.0),
        ];
        let style = Style::new();
        let lane =
            Lane { label: "A".into(), label_style: style, style, predicted: measured.clone(), measured };
        let area = Rect::new(0, 0, 21, 4);
        let mut buf = Buffer::empty(area);
        draw(&[lane], 16.0, Style::new(), area, &mut buf);
        let lines = [
            "A    ████▒▒··▐███    ",
            "     ░░░░╌╌··┊░░░    ",
            "                     ",
            "     0        10     ",
        ];
        assert_eq!(buf, Buffer::with_lines(lines));
    }
}
