//! The second view: every layer on every worker, predicted against measured.

use collab_core::id::WorkerId;
use collab_core::lab::Lab;
use collab_core::predict::MODEL;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::layer_detail;
use super::panel::{self, Panel};
use super::ui::{Hits, LayerSort, Target, Ui};
use super::widgets::bar;
use super::widgets::table::{self, Column, Fitted};
use super::{Scene, WIDE, text};

/// From this error on a layer gets a sign.
const WRONG: f64 = 0.2;
/// The deviation bar's reach to each side.
const REACH: f64 = 0.5;
/// Cells of the deviation bar on each side.
const HALF: usize = 5;

/// A layer on a worker, measured or only predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) layer: u32,
    pub(super) worker: WorkerId,
    pub(super) block: u32,
    pub(super) rows: u32,
    pub(super) predicted: Option<f64>,
    pub(super) measured: Option<f64>,
}

impl Row {
    /// Predicted against measured, +0.1 is 10 % too high.
    pub(super) fn error(&self) -> Option<f64> {
        let measured = self.measured.filter(|measured| *measured > 0.0)?;
        Some(self.predicted? / measured - 1.0)
    }
}

/// Everything measured, and what the running partition predicts beyond it.
pub(super) fn all(lab: &Lab) -> Vec<Row> {
    let mut rows: Vec<Row> = lab
        .layers
        .iter()
        .map(|state| Row {
            layer: state.layer,
            worker: state.worker,
            block: state.block,
            rows: state.rows,
            predicted: state.predicted_ms,
            measured: state.measured.median(),
        })
        .collect();
    let measured = rows.len();
    for predicted in lab.running().into_iter().flat_map(|running| &running.layers) {
        let key = (predicted.layer, predicted.worker);
        if rows[..measured].binary_search_by_key(&key, |row| (row.layer, row.worker)).is_err() {
            rows.push(Row {
                layer: predicted.layer,
                worker: predicted.worker,
                block: predicted.block,
                rows: predicted.rows,
                predicted: Some(predicted.ms),
                measured: None,
            });
        }
    }
    rows.sort_by_key(|row| (row.layer, row.worker));
    rows
}

/// The rows that the operator asked for, in the order asked for.
pub(super) fn chosen(ui: &Ui, lab: &Lab) -> Vec<Row> {
    let mut rows = all(lab);
    let wanted = ui.find_layer.to_lowercase();
    rows.retain(|row| {
        let named = wanted.is_empty()
            || lab.network.as_ref().and_then(|network| network.layers.get(row.layer as usize)).is_some_and(
                |layer| {
                    format!("l{} {} {}", row.layer, layer.name, layer.op).to_lowercase().contains(&wanted)
                },
            );
        named && ui.one_worker.is_none_or(|worker| worker == row.worker)
    });
    let time = |row: &Row| row.measured.or(row.predicted).unwrap_or(0.0);
    let error = |row: &Row| row.error().map_or(-1.0, f64::abs);
    match ui.sort {
        LayerSort::Layer => {}
        LayerSort::Time => rows.sort_by(|a, b| time(b).total_cmp(&time(a))),
        LayerSort::Error => rows.sort_by(|a, b| error(b).total_cmp(&error(a))),
        LayerSort::Worker => rows.sort_by_key(|row| (row.worker, row.layer)),
    }
    rows
}

fn columns() -> [Column; 9] {
    [
        table::growing("  layer", 16, 0),
        table::growing("op", 11, 2),
        table::right("block", 5, 5),
        table::left("on", 2, 0),
        table::right("rows", 4, 4),
        table::right("predicted", 9, 1),
        table::right("measured", 8, 0),
        table::right("error", 8, 1),
        table::left("−50 %│+50 %", 2 * HALF as u16 + 1, 3),
    ]
}

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let rows = chosen(scene.ui, scene.lab);
    let [top, fit] = area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(3)]));
    let is_wide = area.width >= WIDE;
    let (table, detail) = if is_wide {
        let [left, right] = top.layout(&Layout::horizontal([Constraint::Min(0), Constraint::Length(32)]));
        (left, right)
    } else {
        let [upper, lower] = top.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(6)]));
        (upper, lower)
    };
    let selected = scene.ui.layer.min(rows.len().saturating_sub(1));
    draw_table(scene, &rows, selected, table, buf, hits);
    layer_detail::draw(scene, rows.get(selected), detail, buf);
    draw_fit(scene, fit, buf);
}

fn draw_table(scene: &Scene, rows: &[Row], selected: usize, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let theme = scene.theme;
    let ui = scene.ui;
    let mut remarks = vec![ui.sort.name().to_owned()];
    remarks.extend(ui.one_worker.map(|worker| format!("only {worker}")));
    if !ui.find_layer.is_empty() {
        remarks.push(format!("'{}'", ui.find_layer));
    }
    let panel = Panel::new(theme, "Layers").with("predicted against measured, ms per run", theme.dim());
    let inner = panel.remark(Line::styled(remarks.join("   "), theme.accent())).draw(theme, area, buf);
    let page = usize::from(inner.height.saturating_sub(1));
    (hits.rows, hits.page) = (rows.len(), page);
    if rows.is_empty() {
        let sentence = if all(scene.lab).is_empty() {
            "No layer was timed yet: times appear with the first run."
        } else {
            "No layer is like that. Esc clears the filters."
        };
        panel::write([Line::styled(sentence, theme.dim())], inner, buf);
        return;
    }
    let fitted = Fitted::new(&columns(), 1, inner.width);
    fitted.head(inner, theme.dim(), buf);
    let first = table::first_row(selected, rows.len(), page);
    let mut before = None;
    for (offset, row) in rows.iter().skip(first).take(page).enumerate() {
        let line = Rect { y: inner.y + 1 + offset as u16, height: 1, ..inner };
        let is_selected = first + offset == selected;
        let repeats = ui.sort == LayerSort::Layer && before == Some(row.layer) && !is_selected;
        fitted.row(&cells(scene, row, is_selected, repeats, &fitted), line, buf);
        hits.add(line, Target::Row(first + offset));
        before = Some(row.layer);
    }
    let track = Rect { y: inner.y + 1, height: page as u16, width: inner.width + 1, ..inner };
    table::scrollbar(track, first, rows.len(), page, theme.dim(), buf);
}

fn cells(scene: &Scene, row: &Row, is_selected: bool, repeats: bool, fitted: &Fitted) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let known = scene.lab.network.as_ref().and_then(|network| network.layers.get(row.layer as usize));
    let name = known.map_or_else(String::new, |layer| layer.name.clone());
    let op = known.map_or_else(String::new, |layer| layer.op.clone());
    // A name that repeats is dimmed, so that the eye finds where the next layer begins.
    let quiet = if repeats { theme.line() } else { theme.text() };
    let name_style = if is_selected { theme.selected(theme.text()) } else { quiet };
    let number = format!("L{:<3} ", row.layer);
    let room = fitted.width(0).unwrap_or(0).saturating_sub(2 + number.len());
    let label = format!("{number}{}", text::shorten_front(&name, room));
    let number = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), |value| format!("{value:.2}"));
    let error = row.error();
    let is_free = row.predicted == Some(0.0);
    let is_wrong = !is_free && error.is_some_and(|error| error.abs() > WRONG);
    let error_style = if is_wrong { theme.warning() } else { theme.text() };
    let sign = if is_wrong { "▲" } else { " " };
    let worker = theme.worker(row.worker);
    vec![
        Line::from(vec![Span::raw(if is_selected { "▸ " } else { "  " }), Span::styled(label, name_style)]),
        Line::styled(
            text::shorten(&op, fitted.width(1).unwrap_or(0)),
            if repeats { theme.line() } else { theme.dim() },
        ),
        Line::styled((row.block + 1).to_string(), theme.dim()),
        Line::styled(row.worker.to_string(), worker),
        Line::raw(row.rows.to_string()),
        Line::styled(number(row.predicted), theme.dim()),
        Line::raw(number(row.measured)),
        error.filter(|_| !is_free).map_or_else(
            || Line::styled(if is_free { "free " } else { "○ " }, theme.dim()),
            |error| Line::styled(format!("{}{sign}", text::signed_percent(error.min(9.99))), error_style),
        ),
        deviation(error.filter(|_| !is_free), theme.line(), if is_wrong { theme.warning() } else { worker }),
    ]
}

/// The bar in the worker's colour, its middle line dim.
fn deviation(error: Option<f64>, line: Style, style: Style) -> Line<'static> {
    let drawn = bar::deviation(error.unwrap_or(0.0) / REACH, HALF);
    let spans =
        drawn.chars().map(|glyph| Span::styled(glyph.to_string(), if glyph == '│' { line } else { style }));
    Line::from_iter(spans)
}

/// How well predictions fit: over all layers, and over blocks.
fn draw_fit(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let rows = all(scene.lab);
    let errors: Vec<f64> = rows.iter().filter_map(Row::error).collect();
    let panel = Panel::new(theme, "Fit").remark(Line::styled(MODEL, theme.dim()));
    let inner = panel.draw(theme, area, buf);
    if errors.is_empty() {
        panel::write([Line::styled("Nothing to compare yet.", theme.dim())], inner, buf);
        return;
    }
    let count = errors.len() as f64;
    let close = errors.iter().filter(|error| error.abs() <= 0.1).count();
    let bias = errors.iter().sum::<f64>() / count;
    let mut parts =
        vec![("within ±10 %", format!("{close} of {}", errors.len())), ("bias", text::signed_percent(bias))];
    if let Some(layers) = scene.lab.layer_mape() {
        parts.insert(1, ("MAPE", format!("{:.1} %", layers * 100.0)));
    }
    if let Some(blocks) = scene.lab.block_mape() {
        parts.push(("blocks MAPE", format!("{:.1} %", blocks * 100.0)));
    }
    let mut line = Line::default();
    for (label, value) in parts {
        line.push_span(Span::styled(format!("{label} "), theme.dim()));
        line.push_span(Span::styled(format!("{value}    "), theme.strong()));
    }
    let free = rows.iter().filter(|row| row.predicted == Some(0.0) && row.measured.is_some()).count();
    let remark = format!("{free} without MACs taken as free");
    if free > 0 && line.width() + remark.len() <= usize::from(inner.width) {
        line.push_span(Span::styled(remark, theme.dim()));
    }
    panel::write([line], inner, buf);
}
