//! The latency of late runs as a curve over time, with what was predicted before each, what the next should
//! take, and what one device alone would take.

mod axes;

use std::collections::VecDeque;

use collab_core::command::Verb;
use collab_core::lab::{Lab, Prediction, RunSample};
use collab_core::time::Micros;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use self::axes::{Axes, WINDOW, visible};
use super::panel::Panel;
use super::widgets::plot::{self, Plot};
use super::{Scene, text};

/// Runs of which the line is the median at least: an outlier is a dot beside it.
const SMOOTHED: usize = 5;
/// Predicted runs of which it is said how many took what they should.
const FEW: usize = 5;
/// Cells for the numbers of the axis.
const LABELS: u16 = 7;
/// Cells at the right for the next run.
const NEXT: u16 = 2;

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let lab = scene.lab;
    let Some(axes) = Axes::of(lab) else {
        let inner = Panel::new(theme, "Latency").with("ms", theme.dim()).draw(theme, area, buf);
        let told = format!("No run ended in the last {WINDOW:.0} s.");
        super::panel::write([Line::styled(told, theme.dim())], inner, buf);
        return;
    };
    let seconds = axes.until - axes.from;
    let panel = Panel::new(theme, "Latency").with("ms", theme.dim());
    let inner =
        panel.remark(Line::styled(format!("last {seconds:.0} s"), theme.dim())).draw(theme, area, buf);
    let mut legend = legend(scene, inner.width);
    legend.truncate(usize::from(inner.height / 3).max(1));
    let chart_height = inner.height.saturating_sub(legend.len() as u16 + 1);
    if chart_height < 2 || inner.width < 16 {
        super::panel::write(legend, inner, buf);
        return;
    }
    let chart = Rect { x: inner.x + LABELS, width: inner.width - LABELS, height: chart_height, ..inner };
    let past = Rect { width: chart.width - NEXT, ..chart };
    draw_axis(scene, &axes, chart, buf);
    if let Some((_, single)) = lab.best_single_now() {
        draw_single(&axes, single, theme.line(), chart, buf);
    }
    draw_predicted(lab, &axes, theme.dim(), past, buf);
    draw_runs(lab, &axes, theme.text(), past, buf);
    if let Some(next) = lab.prediction() {
        draw_next(&axes, next, theme.text(), theme.dim(), chart, buf);
    }
    draw_moments(scene, &axes, Rect { y: chart.bottom(), height: 1, ..past }, buf);
    let below = Rect { y: chart.bottom() + 1, height: legend.len() as u16, ..inner };
    super::panel::write(legend, below, buf);
}

fn draw_axis(scene: &Scene, axes: &Axes, chart: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    for y in chart.y..chart.bottom() {
        buf.set_string(chart.x - 1, y, "│", theme.line());
    }
    let most = usize::from(chart.height / 2).clamp(2, 6);
    let decimals = usize::from(axes.high - axes.low < 3.0);
    for tick in plot::ticks(axes.low, axes.high, most) {
        let Some(y) = axes.row(tick, chart) else { continue };
        buf.set_string(chart.x - LABELS, y, format!("{tick:>5.decimals$} ┤"), theme.dim());
    }
}

fn draw_single(axes: &Axes, ms: f64, style: Style, chart: Rect, buf: &mut Buffer) {
    let Some(y) = axes.row(ms, chart) else { return };
    for x in chart.x..chart.right() {
        buf[(x, y)].set_char('╌').set_style(style);
    }
}

/// What was predicted before each run.
fn draw_predicted(lab: &Lab, axes: &Axes, style: Style, chart: Rect, buf: &mut Buffer) {
    let mut samples = visible(lab, axes.from).peekable();
    let mut level = None;
    for x in chart.x..chart.right() {
        let until =
            axes.from + (axes.until - axes.from) * f64::from(x + 1 - chart.x) / f64::from(chart.width);
        let mut here = Vec::new();
        while let Some(sample) = samples.next_if(|sample| sample.at.secs() <= until) {
            here.extend(sample.predicted.map(|(ms, _)| f64::from(ms)));
        }
        level = median(here).or(level);
        if let Some(y) = level.and_then(|ms| axes.row(ms, chart)) {
            buf[(x, y)].set_char('┄').set_style(style);
        }
    }
}

/// At the right end: what the next run should take, and between which bounds four of five are.
fn draw_next(axes: &Axes, next: &Prediction, style: Style, dim: Style, chart: Rect, buf: &mut Buffer) {
    let x = chart.right() - 1;
    let (least, most) = next.bounds();
    let row = |ms: f64| axes.row(ms, chart);
    let inside = |ms: f64| row(ms.clamp(axes.low, axes.high)).unwrap_or(chart.y);
    for y in inside(most)..=inside(least) {
        // A bound that is not seen has no end: the line goes on beyond the panel.
        let glyph = match (row(most) == Some(y), row(least) == Some(y)) {
            (true, false) => '┬',
            (false, true) => '┴',
            _ => '┊',
        };
        buf[(x, y)].set_char(glyph).set_style(dim);
    }
    if let Some(y) = axes.row(next.ms, chart) {
        buf[(x, y)].set_char('○').set_style(style);
    }
}

/// The line is the median of the runs that end in one column of dots, of a few at least; the slowest of them
/// is a dot above it.
fn draw_runs(lab: &Lab, axes: &Axes, style: Style, chart: Rect, buf: &mut Buffer) {
    let mut plot = Plot::new(chart.width, chart.height);
    let (columns, rows) = (plot.columns(), plot.rows());
    let row = |ms: f64| {
        let part = axes.down(ms.clamp(axes.low, axes.high)).unwrap_or(0.0);
        ((part * rows as f64) as usize).min(rows - 1)
    };
    let column = |sample: &RunSample| {
        let along = axes.along(sample.at).unwrap_or(0.0);
        ((along * columns as f64) as usize).min(columns - 1)
    };
    let mut samples = visible(lab, axes.from).peekable();
    let mut before: Option<(usize, usize)> = None;
    let mut late: VecDeque<f64> = VecDeque::new();
    let mut partition = None;
    while let Some(first) = samples.next() {
        let at = column(first);
        let mut sample = first;
        let mut here = 0;
        let mut slowest = 0.0f64;
        loop {
            if partition.replace(sample.partition) != Some(sample.partition) {
                late.clear();
                here = 0;
            }
            late.push_back(sample.ms);
            here += 1;
            slowest = slowest.max(sample.ms);
            let Some(next) = samples.next_if(|next| column(next) == at) else { break };
            sample = next;
        }
        late.drain(..late.len() - late.len().min(SMOOTHED.max(here)));
        if axes.down(slowest).is_some() {
            plot.dot(at, row(slowest));
        }
        let middle = median(late.iter().copied().collect()).unwrap_or(slowest);
        let here = (at, row(middle));
        plot.line(before.unwrap_or(here), here);
        before = Some(here);
    }
    plot.draw(chart, style, buf);
}

/// The one in the middle, the lower of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// Under the curve: where another partition began to run, and what the operator did.
fn draw_moments(scene: &Scene, axes: &Axes, row: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let lab = scene.lab;
    let mut moments: Vec<(Micros, String)> = Vec::new();
    let samples: Vec<&RunSample> = visible(lab, axes.from).collect();
    for pair in samples.windows(2).filter(|pair| pair[0].partition != pair[1].partition) {
        moments.push((pair[1].at, format!("◆{}", pair[1].partition)));
    }
    for command in &lab.commands {
        let label = match &command.verb {
            Verb::Throttle { worker, percent } => format!("t {worker} {percent:.0} %"),
            Verb::Link { worker, .. } => format!("l {worker}"),
            Verb::Freeze => "f".to_owned(),
            Verb::Mark { name } => format!("m {}", text::shorten(name, 12)),
            _ => continue,
        };
        moments.push((command.at, label));
    }
    moments.sort();
    let mut free = row.x;
    for (at, label) in moments {
        let Some(part) = axes.along(at) else { continue };
        let x = row.x + (part * f64::from(row.width - 1)) as u16;
        let short: String = label.chars().take(1).collect();
        let whole = x >= free && x + text::width(&label) as u16 <= row.right();
        let label = if whole { &label } else { &short };
        if x >= free {
            buf.set_string(x, row.y, label, theme.dim());
            free = x + text::width(label) as u16 + 1;
        }
    }
}

/// Measured, predicted, and the best device alone, in as few lines as they fit.
fn legend(scene: &Scene, width: u16) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let lab = scene.lab;
    let (middle, late) = (lab.measured_ms(0.5), lab.measured_ms(0.95));
    let number = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), text::ms);
    let mut parts = vec![vec![
        Span::styled("━━ ", theme.text()),
        Span::styled("measured p50 ", theme.dim()),
        Span::styled(number(middle), theme.strong()),
        Span::styled("  p95 ", theme.dim()),
        Span::styled(number(late), theme.text()),
    ]];
    if let Some(next) = lab.prediction() {
        parts.push(vec![
            Span::styled("┄○ predicted ", theme.dim()),
            Span::styled(text::ms(next.ms), theme.text()),
            Span::styled(format!(" ±{}", text::ms(next.ms * next.half)), theme.text()),
        ]);
        if let Some((held, count)) = lab.accuracy.run_interval().coverage().filter(|(_, count)| *count >= FEW)
        {
            let told = format!("{} of {count} runs within", text::percent(Some(held)));
            parts.push(vec![Span::styled(told, theme.dim())]);
        }
    }
    if let Some((worker, alone)) = lab.best_single_now() {
        let letter = worker.info.worker;
        let mut part = vec![
            Span::styled("╌╌ ", theme.line()),
            Span::styled("best alone ", theme.dim()),
            Span::styled(format!("{letter} "), theme.worker(letter)),
            Span::styled(text::ms(alone), theme.text()),
        ];
        // While workers are measured, one of them alone is no gain over another.
        if let Some(middle) = middle.filter(|middle| *middle > 0.0 && lab.is_planned()) {
            let style = if alone > middle { theme.good() } else { theme.text() };
            part.push(Span::styled(format!("  ×{:.2}", alone / middle), style));
        }
        parts.push(part);
    }
    text::flow(parts, 3, usize::from(width))
}
