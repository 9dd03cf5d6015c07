//! The selected layer: its numbers, and where its prediction comes from.

use collab_core::network::{Kind, Layer};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::layers::{self, Row};
use super::panel::{self, Panel};
use super::terms::{self, Explained};
use super::widgets::{bar, spark};
use super::{Scene, scatter, text};

/// Factors closer to 1 than this are not worth a line.
const WORTH_SAYING: f64 = 0.005;
/// Instead of reasons.
const NOT_CALIBRATED: &str = "not calibrated: predicted from its own times";
/// Cells of a time in a column.
const MS: usize = 6;
/// Kinds of work told one by one.
const TERMS: usize = 4;

/// Draws it in a tall panel; an empty one if nothing is selected.
pub(super) fn draw(scene: &Scene, row: Option<&Row>, area: Rect, buf: &mut Buffer) {
    let Some((inner, row, layer)) = open(scene, row, Line::default(), area, buf) else { return };
    let room = usize::from(inner.width);
    let height = usize::from(inner.height);
    let mut lines = times(scene, row);
    let why = reasons(scene, row, room);
    let facts = facts(row, layer, room);
    // Air where there is room for it.
    if lines.len() + why.len() + facts.len() + 2 <= height {
        lines.push(Line::default());
    }
    lines.extend(why);
    if lines.len() + facts.len() < height {
        lines.push(Line::default());
    }
    lines.extend(facts);
    lines.extend(peers(scene, row));
    panel::write(lines, inner, buf);
}

/// Draws it in a flat panel: its numbers, the reasons and all layers as a cloud side by side.
pub(super) fn draw_flat(scene: &Scene, rows: &[Row], row: Option<&Row>, area: Rect, buf: &mut Buffer) {
    let Some((inner, row, layer)) = open(scene, row, Line::default(), area, buf) else { return };
    let parts = [Constraint::Length(27), Constraint::Fill(1), Constraint::Length(21)];
    let [left, middle, right] = inner.layout(&Layout::horizontal(parts).spacing(1));
    let numbers = times(scene, row).into_iter().chain(facts(row, layer, usize::from(left.width)));
    panel::write(numbers, left, buf);
    panel::write(reasons(scene, row, usize::from(middle.width)), middle, buf);
    scatter::draw(scene, rows, Some(row), right, buf);
}

/// Draws it in a few lines: its numbers, what they are made of, and what the layer is, as far as there is room. `foot` stands on
/// the border below.
pub(super) fn draw_dense(scene: &Scene, row: Option<&Row>, foot: Line, area: Rect, buf: &mut Buffer) {
    let Some((inner, row, layer)) = open(scene, row, foot, area, buf) else { return };
    let room = usize::from(inner.width);
    // How far apart they are stands in the row.
    let times = times(scene, row).into_iter().take(2).map(|line| line.spans);
    let mut lines = text::flow(times.collect(), 3, room);
    lines.extend(text::flow(reasons_in_words(scene, row), 2, room));
    let facts = facts(row, layer, room).into_iter().map(|line| line.spans);
    lines.extend(text::flow(facts.collect(), 3, room));
    panel::write(lines, inner, buf);
}

/// Draws the panel; what is inside, the row and its layer.
fn open<'a>(
    scene: &'a Scene,
    row: Option<&'a Row>,
    foot: Line,
    area: Rect,
    buf: &mut Buffer,
) -> Option<(Rect, &'a Row, &'a Layer)> {
    let theme = scene.theme;
    let known = row.and_then(|row| Some((row, scene.lab.network.as_ref()?.layers.get(row.layer as usize)?)));
    let Some((row, layer)) = known else {
        Panel::new(theme, "Layer").foot(foot).draw(theme, area, buf);
        return None;
    };
    let room = usize::from(area.width).saturating_sub(17);
    let title = format!("L{} {}", row.layer, text::shorten_front(&layer.name, room));
    let panel = Panel::new(theme, title).with(format!("on {}", row.worker), theme.worker(row.worker));
    Some((panel.foot(foot).draw(theme, area, buf), row, layer))
}

/// Measured, predicted, and how far apart they are.
fn times(scene: &Scene, row: &Row) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let number = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), |value| format!("{value:.2} ms"));
    let mut measured = Line::from(vec![
        Span::styled("● measured  ", theme.dim()),
        Span::styled(number(row.measured), theme.strong()),
    ]);
    if let Some(samples) = layers::samples(scene.lab, row) {
        let values = || samples.ms.iter().map(|ms| f64::from(*ms));
        let (low, high) =
            values().fold((f64::INFINITY, 0.0f64), |(low, high), ms| (low.min(ms), high.max(ms)));
        let curve = spark::line(values().map(|ms| ms - low), high - low, 8);
        measured.push_span(Span::styled(format!("  {curve}"), theme.dim()));
    }
    let mut predicted =
        Line::from(vec![Span::styled("○ predicted ", theme.dim()), Span::raw(number(row.predicted))]);
    let accuracy = scene.lab.accuracy.worker(row.worker.index());
    if let Some(accuracy) = accuracy.filter(|_| row.predicted.is_some()) {
        let half = format!("  ±{:.0} %", accuracy.layers.half() * 100.0);
        predicted.push_span(Span::styled(half, theme.dim()));
    }
    let mut lines = vec![measured, predicted];
    if let Some(error) = row.error() {
        let told = match text::signed_percent(error.abs()).trim_start_matches('+') {
            "0 %" => "as long as predicted".to_owned(),
            part if error > 0.0 => format!("{part} more than predicted"),
            part => format!("{part} less than predicted"),
        };
        let sign = if row.is_wrong() { Span::styled("▲ ", theme.warning()) } else { Span::raw("  ") };
        lines.push(Line::from(vec![sign, Span::styled(told, theme.dim())]));
    }
    lines
}

/// `0.44 ms = 0.31 MACs + 0.13 bytes`, a line for each kind of work, and what was learnt since.
fn reasons(scene: &Scene, row: &Row, room: usize) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let Some(explained) = terms::explained(scene.lab, row) else {
        return text::wrap(NOT_CALIBRATED, room)
            .into_iter()
            .map(|line| Line::styled(line, theme.dim()))
            .collect();
    };
    let most = explained.terms.first().map_or(1e-9, |(_, ms)| ms.max(1e-9));
    let told = if explained.terms.len() > TERMS { TERMS - 1 } else { TERMS };
    let line = |ms: f64, name: String| {
        Line::from(vec![
            Span::raw(format!("{:>MS$} ", short_ms(ms))),
            Span::styled(bar::thin(ms / most, 5, true), theme.worker(row.worker)),
            Span::styled(format!(" {}", text::shorten(&name, room.saturating_sub(13))), theme.dim()),
        ])
    };
    let mut lines: Vec<Line> =
        explained.terms.iter().take(told).map(|(term, ms)| line(*ms, term.name().to_owned())).collect();
    let rest = &explained.terms[told.min(explained.terms.len())..];
    if !rest.is_empty() {
        let ms = rest.iter().map(|(_, ms)| ms).sum();
        lines.push(line(ms, format!("{} others", rest.len())));
    }
    lines.extend(text::flow(sum(scene, row, &explained, MS), 1, room));
    let doubts = terms::unreliable(scene.lab, row);
    if !doubts.is_empty() {
        let names: Vec<&str> = doubts.iter().map(|term| term.name()).collect();
        let words = text::wrap(&format!("few samples: {}", names.join(", ")), room.saturating_sub(2));
        lines.extend(words.into_iter().enumerate().map(|(index, words)| {
            let sign = Span::styled(if index == 0 { "? " } else { "  " }, theme.warning());
            Line::from(vec![sign, Span::styled(words, theme.dim())])
        }));
    }
    lines
}

/// `0.44 ×0.98 learnt +0.12 at cuts ×1.67 CPU share = 0.92`: as calibrated, and what makes more or less of it.
/// The first number takes `cells` cells at least.
fn sum(scene: &Scene, row: &Row, explained: &Explained, cells: usize) -> Vec<Vec<Span<'static>>> {
    let theme = scene.theme;
    let mut parts = vec![vec![Span::raw(format!("{:>cells$}", short_ms(explained.calibrated_ms)))]];
    let Explained { calibrated_ms, learnt, at_cuts_ms, throttle, .. } = *explained;
    let said = |factor: f64| (factor - 1.0).abs() >= WORTH_SAYING;
    let more = [
        (said(learnt), format!("×{learnt:.2}"), "learnt"),
        (at_cuts_ms >= WORTH_SAYING * calibrated_ms, format!("+{}", short_ms(at_cuts_ms)), "at cuts"),
        (said(throttle), format!("×{throttle:.2}"), "CPU share"),
    ];
    let more = more.into_iter().filter(|(is_said, ..)| *is_said && calibrated_ms > 0.0);
    parts.extend(
        more.map(|(_, number, name)| vec![Span::raw(number), Span::styled(format!(" {name}"), theme.dim())]),
    );
    if let Some(predicted) = row.predicted {
        parts.push(vec![Span::styled(format!("= {}", short_ms(predicted)), theme.strong())]);
    }
    parts
}

/// The same in few words: the kinds of work that take longest, a part for each, and their sum.
fn reasons_in_words(scene: &Scene, row: &Row) -> Vec<Vec<Span<'static>>> {
    let theme = scene.theme;
    let Some(explained) = terms::explained(scene.lab, row) else {
        return vec![vec![Span::styled(NOT_CALIBRATED, theme.dim())]];
    };
    let longest = explained.terms.iter().take(TERMS - 1).map(|(term, ms)| {
        let number = Span::raw(short_ms(*ms));
        vec![number, Span::styled(format!(" {}", term.name()), theme.dim())]
    });
    // One part, so that it is not broken where there is room for it.
    let sum = sum(scene, row, &explained, 0).into_iter();
    let sum = sum.reduce(|told, part| [told, vec![Span::raw(" ")], part].concat());
    longest.chain(sum).collect()
}

/// More decimals where there is less.
fn short_ms(ms: f64) -> String {
    let decimals = if ms < 0.1 { 3 } else { 2 };
    format!("{ms:.decimals$}")
}

fn facts(row: &Row, layer: &Layer, room: usize) -> Vec<Line<'static>> {
    let macs = layer.row_macs as f64 * f64::from(row.rows);
    let mut facts = vec![
        vec![layer.op.clone(), format!("{} of {} rows", row.rows, layer.output.rows)],
        match row.measured.filter(|ms| *ms > 0.0 && macs > 0.0) {
            Some(ms) => {
                vec![format!("{} MACs,", text::macs(macs)), format!("{}MAC/s", text::macs(macs / ms * 1e3))]
            }
            None if macs > 0.0 => vec![format!("{} MACs", text::macs(macs)), kind(layer.kind).to_owned()],
            None => vec![kind(layer.kind).to_owned()],
        },
        vec![format!("out {}", text::bytes(layer.output.bytes(row.rows)))],
    ];
    if layer.weight_bytes > 0 {
        facts[2].push(format!("weights {}", text::bytes(layer.weight_bytes)));
    }
    let parts = |fact: Vec<String>| {
        fact.into_iter().map(|part| vec![Span::raw(text::shorten(&part, room))]).collect()
    };
    facts.into_iter().flat_map(|fact| text::flow(parts(fact), 1, room)).collect()
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
    let line = |(worker, rows, ms): (collab_core::id::WorkerId, u32, f64)| {
        Line::from(vec![
            Span::styled(format!("{worker:<2}"), theme.worker(worker)),
            Span::styled(bar::thin(ms / slowest, 10, false), theme.worker(worker)),
            Span::raw(format!(" {ms:>7.2} ms")),
            Span::styled(format!(" {rows:>4}"), theme.dim()),
        ])
    };
    times.into_iter().map(line).collect()
}
