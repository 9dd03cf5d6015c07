//! Training as curves: best and mean of the population and the agent alone, the running partition and the
//! fastest one known as levels. Everything here is predicted.

use collab_core::event::Trained;
use collab_core::lab::TrainingPoint;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::widgets::plot::{self, Plot};
use super::{Scene, text};
use crate::keys::Scope;

/// Cells for the numbers of the axis.
const LABELS: u16 = 7;
/// Values above this many times the best are cut off.
const REACH: f64 = 1.6;

/// Draws it.
pub(super) fn draw(scene: &Scene, last: &Trained, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let is_live = scene.mode() == Scope::Live;
    let (state, style) = match (scene.lab.training.paused, is_live) {
        (true, true) => ("▲ paused, b resumes", theme.warning()),
        (true, false) => ("▲ paused", theme.warning()),
        (false, true) => ("b pauses", theme.dim()),
        (false, false) => ("", theme.dim()),
    };
    let title = format!("generation {}, ms as predicted", text::thousands(last.generation));
    let panel = Panel::new(theme, "Training").with(title, theme.dim());
    let inner = panel.remark(Line::styled(state, style)).draw(theme, area, buf);
    let words = legend(scene, last, usize::from(inner.width));
    let height = inner.height.saturating_sub(words.len() as u16);
    if height < 3 || inner.width < LABELS + 10 {
        panel::write(words, inner, buf);
        return;
    }
    let chart = Rect { x: inner.x + LABELS, width: inner.width - LABELS, height, ..inner };
    let points: Vec<&TrainingPoint> = scene.lab.training.points.iter().collect();
    let late = &points[points.len().saturating_sub(usize::from(chart.width) * 2)..];
    draw_chart(scene, late, chart, buf);
    panel::write(words, Rect { y: chart.bottom(), height: inner.height - height, ..inner }, buf);
}

/// What the lines are, and the losses.
fn legend(scene: &Scene, last: &Trained, room: usize) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let number = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), text::ms);
    let part = |label: &'static str, value: String| vec![Span::styled(label, theme.dim()), Span::raw(value)];
    let curves = vec![
        part("⠒ best ", number(Some(last.best_ms))),
        part("⠂ mean ", number(Some(last.mean_ms))),
        part("○ agent ", number(last.agent_ms)),
        part("┄ running ", number(last.running_ms)),
        part("╌ best known ", number(last.best_known_ms)),
    ];
    let loss = |value: Option<f64>| {
        value.map_or_else(|| "—".to_owned(), |loss| format!("{loss:+.4}").replace('-', "−"))
    };
    let losses = vec![
        part("actor's loss ", loss(last.actor_loss)),
        part("critic's, on measured runs ", loss(last.critic_loss)),
    ];
    let mut lines = text::flow(curves, 2, room);
    lines.extend(text::flow(losses, 2, room));
    lines
}

fn draw_chart(scene: &Scene, points: &[&TrainingPoint], chart: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let curves = points.iter().flat_map(|point| [Some(point.best_ms), Some(point.mean_ms), point.agent_ms]);
    let levels = points.iter().flat_map(|point| [point.running_ms, point.best_known_ms]);
    let values: Vec<f64> = curves.chain(levels).flatten().collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max).min(least * REACH);
    let margin = ((most - least) * 0.1).max(least * 0.005);
    let (low, high) = (least - margin, most + margin);
    let down = |ms: f64| ((high - ms) / (high - low)).clamp(0.0, 1.0);
    let line = |ms: f64| chart.y + ((down(ms) * f64::from(chart.height)) as u16).min(chart.height - 1);
    for y in chart.y..chart.bottom() {
        buf.set_string(chart.x - 1, y, "│", theme.line());
    }
    let decimals = usize::from(high - low < 5.0);
    for tick in plot::ticks(low, high, usize::from(chart.height / 2).clamp(2, 6)) {
        buf.set_string(chart.x - LABELS, line(tick), format!("{tick:>5.decimals$} ┤"), theme.dim());
    }
    let along =
        |at: usize, columns: usize| at * columns.saturating_sub(1) / points.len().saturating_sub(1).max(1);
    for x in chart.x..chart.right() {
        let part = f64::from(x - chart.x) / f64::from(chart.width.saturating_sub(1).max(1));
        let Some(point) = points.get((part * points.len().saturating_sub(1) as f64).round() as usize) else {
            continue;
        };
        for (level, sign) in [(point.running_ms, "┄"), (point.best_known_ms, "╌")] {
            if let Some(ms) = level {
                buf.set_string(x, line(ms), sign, theme.dim());
            }
        }
    }
    let mut draw = |value: &dyn Fn(&TrainingPoint) -> f64, is_line: bool, style: Style| {
        let mut plot = Plot::new(chart.width, chart.height);
        let (columns, rows) = (plot.columns(), plot.rows());
        let place = |at: usize| {
            let row = (down(value(points[at])) * rows as f64) as usize;
            (along(at, columns), row.min(rows - 1))
        };
        for at in 0..points.len() {
            match at.checked_sub(1).filter(|_| is_line) {
                Some(before) => plot.line(place(before), place(at)),
                None => plot.dot(place(at).0, place(at).1),
            }
        }
        plot.draw(chart, style, buf);
    };
    draw(&|point| point.mean_ms, false, theme.dim());
    draw(&|point| point.best_ms, true, theme.accent());
    // The agent is a ring now and then, so that three curves stay apart without colours.
    let step = (points.len() / 8).max(1);
    for (at, point) in points.iter().enumerate().filter(|(at, _)| (at + 1).is_multiple_of(step)) {
        if let Some(ms) = point.agent_ms {
            let x = chart.x + along(at, usize::from(chart.width)) as u16;
            buf.set_string(x, line(ms), "○", theme.text());
        }
    }
}
