//! The second view: every layer on every worker, predicted against measured.

use collab_core::id::WorkerId;
use collab_core::lab::{Lab, Samples};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::ui::{Hits, LayerSort, Target, Ui};
use super::widgets::errorbar::{self, ErrorBar};
use super::widgets::table::{self, Column, Fitted};
use super::{SOUGHT, Scene, WIDE, fit, layer_detail, scatter, terms, text};

/// From this error on a layer gets a sign.
const WRONG: f64 = 0.2;
/// Rows of the view from which on every kind of prediction has a row of its own.
const TALL: u16 = 30;
/// Rows of the view from which on a narrow screen has the cloud, too.
const ROOMY: u16 = 24;
/// Rows of the view from which on the fit has a panel.
const MIDDLE: u16 = 20;
/// Rows of a narrow screen's layer, with the cloud and without.
const FLAT: (u16, u16) = (8, 5);

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
    /// Measured against predicted: +0.1 took 10 % longer than it should.
    pub(super) fn error(&self) -> Option<f64> {
        let predicted = self.predicted.filter(|predicted| *predicted > 0.0)?;
        Some(self.measured? / predicted - 1.0)
    }

    /// Whether it is so far off that it gets a sign.
    pub(super) fn is_wrong(&self) -> bool {
        self.error().is_some_and(|error| error.abs() > WRONG)
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
                    let words = format!("l{} {} {} {}", row.layer, layer.name, layer.op, row.worker);
                    words.to_lowercase().contains(&wanted)
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
        table::right("error", 7, 1),
        table::left(errorbar::HEAD, errorbar::CELLS as u16, 3),
    ]
}

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let rows = chosen(scene.ui, scene.lab);
    let is_wide = area.width >= WIDE;
    let of_fit = match area.height {
        TALL.. => fit::TALL,
        MIDDLE.. => 4,
        _ if is_wide => 3,
        _ => 0,
    };
    let [top, below] = area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(of_fit)]));
    let selected = scene.ui.layer.min(rows.len().saturating_sub(1));
    let row = rows.get(selected);
    if is_wide {
        let [table, right] = top.layout(&Layout::horizontal([Constraint::Min(0), Constraint::Length(32)]));
        let [detail, cloud] = right.layout(&Layout::vertical([Constraint::Fill(5), Constraint::Fill(4)]));
        draw_table(scene, &rows, selected, table, buf, hits);
        layer_detail::draw(scene, row, detail, buf);
        let panel = Panel::new(scene.theme, "Measured ↑").with("predicted →", scene.theme.dim());
        let inner = panel.draw(scene.theme, cloud, buf);
        scatter::draw(scene, &rows, row, inner, buf);
    } else {
        let is_roomy = area.height >= ROOMY;
        let lower = if is_roomy { FLAT.0 } else { FLAT.1 };
        let [table, detail] = top.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(lower)]));
        draw_table(scene, &rows, selected, table, buf, hits);
        if is_roomy {
            layer_detail::draw_flat(scene, &rows, row, detail, buf);
        } else {
            let room = usize::from(detail.width).saturating_sub(6);
            let foot = if of_fit == 0 { fit::in_a_line(scene, room) } else { Line::default() };
            layer_detail::draw_dense(scene, row, foot, detail, buf);
        }
    }
    if of_fit > 0 {
        fit::draw(scene, &rows, below, buf);
    }
}

fn draw_table(scene: &Scene, rows: &[Row], selected: usize, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let theme = scene.theme;
    let ui = scene.ui;
    let mut remarks = vec![ui.sort.name().to_owned()];
    remarks.extend(ui.one_worker.map(|worker| format!("only {worker}")));
    if !ui.find_layer.is_empty() {
        remarks.push(format!("'{}'", text::shorten(&ui.find_layer, SOUGHT)));
    }
    // What is left out matters more than what the columns say themselves.
    let is_filtered = remarks.len() > 1;
    let units = if is_filtered { "ms per run" } else { "predicted against measured, ms per run" };
    let panel = Panel::new(theme, "Layers").with(units, theme.dim());
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
    let doubt = if terms::unreliable(scene.lab, row).is_empty() { " " } else { "?" };
    let is_wrong = row.is_wrong();
    let error_style = if is_wrong { theme.warning() } else { theme.text() };
    let sign = if is_wrong { "▲" } else { " " };
    let error = row.error().map_or_else(
        || Line::styled("○ ", theme.dim()),
        |error| Line::styled(format!("{}{sign}", text::signed_percent(error.min(9.99))), error_style),
    );
    vec![
        Line::from(vec![Span::raw(if is_selected { "▸ " } else { "  " }), Span::styled(label, name_style)]),
        Line::styled(
            text::shorten(&op, fitted.width(1).unwrap_or(0)),
            if repeats { theme.line() } else { theme.dim() },
        ),
        Line::styled((row.block + 1).to_string(), theme.dim()),
        Line::styled(row.worker.to_string(), theme.worker(row.worker)),
        Line::raw(row.rows.to_string()),
        Line::from(vec![
            Span::styled(number(row.predicted), theme.dim()),
            Span::styled(doubt, theme.warning()),
        ]),
        Line::raw(number(row.measured)),
        error,
        error_bar(scene, row),
    ]
}

/// What was measured, around what was predicted, with the interval that four of five should be within.
fn error_bar(scene: &Scene, row: &Row) -> Line<'static> {
    let theme = scene.theme;
    let Some(predicted) = row.predicted.filter(|predicted| *predicted > 0.0) else { return Line::default() };
    let accuracy = scene.lab.accuracy.worker(row.worker.index());
    let off = |ms: f64| ms / predicted - 1.0;
    let spread = samples(scene.lab, row).and_then(spread);
    let bar = ErrorBar {
        half: accuracy.map(|accuracy| accuracy.layers.half()),
        spread: spread.map(|(low, high)| (off(low), off(high))),
        middle: row.error(),
    };
    bar.line(
        theme.line(),
        theme.dim(),
        if row.is_wrong() { theme.warning() } else { theme.worker(row.worker) },
    )
}

/// The late times of a row.
pub(super) fn samples<'a>(lab: &'a Lab, row: &Row) -> Option<&'a Samples> {
    let at = lab.layers.binary_search_by_key(&(row.layer, row.worker), |state| (state.layer, state.worker));
    Some(&lab.layers[at.ok()?].measured)
}

/// The times that four of five late ones are between, ms.
pub(super) fn spread(samples: &Samples) -> Option<(f64, f64)> {
    let mut times: Vec<f64> = samples.ms.iter().map(|ms| f64::from(*ms)).collect();
    times.sort_by(f64::total_cmp);
    let last = times.len().checked_sub(1)?;
    Some((times[last / 10], times[last - last / 10]))
}
