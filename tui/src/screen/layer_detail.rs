//! The selected layer: its numbers, and where its prediction comes from.

use collab_core::network::{Kind, Layer};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::layers::Row;
use super::panel::{self, Panel};
use super::widgets::{bar, spark};
use super::{Scene, text};

/// Draws it; an empty panel if nothing is selected.
pub(super) fn draw(scene: &Scene, row: Option<&Row>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let known = row.and_then(|row| Some((row, scene.lab.network.as_ref()?.layers.get(row.layer as usize)?)));
    let Some((row, layer)) = known else {
        Panel::new(theme, "Layer").draw(theme, area, buf);
        return;
    };
    let room = usize::from(area.width).saturating_sub(14);
    let title = format!("L{} {}", row.layer, text::shorten(&layer.name, room));
    let panel = Panel::new(theme, title).with(format!("on {}", row.worker), theme.worker(row.worker));
    let inner = panel.draw(theme, area, buf);
    let times = times(scene, row);
    let facts = facts(row, layer);
    let pair = |(label, value): (&'static str, String)| {
        Line::from(vec![Span::styled(format!("{label:<11}"), theme.dim()), Span::raw(value)])
    };
    if inner.height < 8 {
        // Side by side where the panel is flat.
        let half = Rect { width: inner.width / 2, ..inner };
        panel::write(times.into_iter().map(pair), half, buf);
        let right = Rect { x: inner.x + half.width, width: inner.width - half.width, ..inner };
        panel::write(facts.into_iter().map(pair), right, buf);
        return;
    }
    let mut lines: Vec<Line> =
        times.into_iter().chain([("", String::new())]).chain(facts).map(pair).collect();
    lines.push(Line::default());
    lines.extend(peers(scene, row));
    panel::write(lines, inner, buf);
}

fn times(scene: &Scene, row: &Row) -> Vec<(&'static str, String)> {
    let number = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), |value| format!("{value:.2} ms"));
    let mut times = vec![("measured", number(row.measured)), ("predicted", number(row.predicted))];
    let state = scene.lab.layers.iter().find(|it| it.layer == row.layer && it.worker == row.worker);
    if let Some(state) = state {
        let values = || state.measured.ms.iter().map(|ms| f64::from(*ms));
        let (low, high) =
            values().fold((f64::INFINITY, 0.0f64), |(low, high), ms| (low.min(ms), high.max(ms)));
        times.push((
            "spread",
            format!("{low:.2}–{high:.2}  {}", spark::line(values().map(|ms| ms - low), high - low, 10)),
        ));
    }
    times
}

fn facts(row: &Row, layer: &Layer) -> Vec<(&'static str, String)> {
    let macs = layer.row_macs as f64 * f64::from(row.rows);
    let of_all = layer.output.rows;
    let mut facts = vec![
        ("operator", layer.op.clone()),
        ("rows", format!("{} of {of_all}", row.rows)),
        ("MACs", format!("{} {}", text::macs(macs), kind(layer.kind))),
    ];
    let rate = |ms: f64| format!("{}MAC/s", text::macs(macs / ms * 1e3));
    if macs > 0.0 {
        if let Some(measured) = row.measured.filter(|ms| *ms > 0.0) {
            facts.push(("speed", rate(measured)));
        }
        if let Some(predicted) = row.predicted.filter(|ms| *ms > 0.0) {
            facts.push(("taken as", rate(predicted)));
        }
    } else {
        facts.push(("taken as", "free: it has no MACs".to_owned()));
    }
    facts.push(("output", text::bytes(layer.output.bytes(row.rows))));
    facts.push(("weights", text::bytes(layer.weight_bytes)));
    facts.push(("block", (row.block + 1).to_string()));
    facts
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Conv => "convolution",
        Kind::Pointwise => "1×1",
        Kind::Depthwise => "depthwise",
        Kind::Grouped => "grouped",
        Kind::Transposed => "transposed",
        Kind::Dense => "dense",
        Kind::Pool => "pool",
        Kind::Lrn => "normalisation",
        Kind::Resize => "resize",
        Kind::Elementwise => "elementwise",
        Kind::Move => "moves values",
        Kind::Other => "",
    }
}

/// The same layer on the other workers.
fn peers(scene: &Scene, row: &Row) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let same = scene.lab.layers.iter().filter(|it| it.layer == row.layer);
    let times: Vec<_> = same.filter_map(|it| Some((it.worker, it.rows, it.measured.median()?))).collect();
    if times.len() < 2 {
        return Vec::new();
    }
    let slowest = times.iter().map(|(.., ms)| *ms).fold(0.0, f64::max).max(1e-9);
    let mut lines = vec![Line::styled("this layer by worker", theme.dim())];
    lines.extend(times.into_iter().map(|(worker, rows, ms)| {
        Line::from(vec![
            Span::styled(format!("{worker:<2}"), theme.worker(worker)),
            Span::styled(bar::thin(ms / slowest, 10, false), theme.worker(worker)),
            Span::raw(format!(" {ms:>7.2} ms")),
            Span::styled(format!(" {rows:>4}"), theme.dim()),
        ])
    }));
    lines
}
