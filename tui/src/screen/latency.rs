//! The latency of late runs as a curve over time, with what should be and what one device alone would take.

use std::collections::VecDeque;

use collab_core::command::Verb;
use collab_core::lab::{Lab, RunSample};
use collab_core::time::Micros;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::panel::Panel;
use super::widgets::plot::{self, Plot};
use super::{Scene, text};

/// The longest time shown, s.
const WINDOW: f64 = 120.0;
/// The shortest, so that the first runs do not fill the panel.
const LEAST_WINDOW: f64 = 5.0;
/// One device alone is drawn only up to this many times the slowest run.
const SINGLE_REACH: f64 = 2.5;
/// Runs of which the line is the median: an outlier is a dot beside it.
const SMOOTHED: usize = 5;

/// What the two axes span.
struct Axes {
    from: f64,
    until: f64,
    low: f64,
    high: f64,
}

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let lab = scene.lab;
    let Some(axes) = Axes::of(lab) else { return };
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
    let labels = 7;
    let chart = Rect { x: inner.x + labels, width: inner.width - labels, height: chart_height, ..inner };
    draw_axis(scene, &axes, chart, buf);
    if let Some((_, single)) = lab.best_single() {
        draw_single(&axes, single, theme.line(), chart, buf);
    }
    draw_predicted(lab, &axes, theme.dim(), chart, buf);
    draw_runs(lab, &axes, theme.text(), chart, buf);
    draw_moments(scene, &axes, Rect { y: chart.bottom(), height: 1, ..chart }, buf);
    let below = Rect { y: chart.bottom() + 1, height: legend.len() as u16, ..inner };
    super::panel::write(legend, below, buf);
}

impl Axes {
    fn of(lab: &Lab) -> Option<Self> {
        let until = lab.now.secs();
        let first = lab.runs.recent.front()?.at.secs();
        let from = first.max(until - WINDOW).min(until - LEAST_WINDOW);
        let mut values: Vec<f64> = visible(lab, from).map(|sample| sample.ms).collect();
        values.sort_by(f64::total_cmp);
        let rank = |part: f64| values.get(((values.len() as f64 - 1.0).max(0.0) * part) as usize).copied();
        // A few stragglers may leave the panel; they are still in p95 and in the exports.
        let (mut low, mut high) = (rank(0.01)?, rank(0.985)?);
        if let Some(predicted) = lab.running().and_then(|running| running.predicted_ms) {
            (low, high) = (low.min(predicted), high.max(predicted.min(high * SINGLE_REACH)));
        }
        if let Some((_, single)) = lab.best_single()
            && single < high * SINGLE_REACH
        {
            (low, high) = (low.min(single), high.max(single));
        }
        let margin = ((high - low) * 0.08).max(high * 0.01).max(0.05);
        Some(Self { from, until, low: (low - margin).max(0.0), high: high + margin })
    }

    /// From 0 at the top to 1 at the bottom; `None` outside.
    fn down(&self, ms: f64) -> Option<f64> {
        let part = (self.high - ms) / (self.high - self.low);
        (0.0..=1.0).contains(&part).then_some(part)
    }

    /// From 0 at the left to 1 at the right; `None` outside.
    fn along(&self, at: Micros) -> Option<f64> {
        let part = (at.secs() - self.from) / (self.until - self.from);
        (0.0..=1.0).contains(&part).then_some(part)
    }
}

fn visible(lab: &Lab, from: f64) -> impl Iterator<Item = &RunSample> {
    lab.runs.recent.iter().filter(move |sample| sample.at.secs() >= from)
}

fn draw_axis(scene: &Scene, axes: &Axes, chart: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    for y in chart.y..chart.bottom() {
        buf.set_string(chart.x - 1, y, "│", theme.line());
    }
    let most = usize::from(chart.height / 2).clamp(2, 6);
    let decimals = usize::from(axes.high - axes.low < 3.0);
    for tick in plot::ticks(axes.low, axes.high, most) {
        let Some(part) = axes.down(tick) else { continue };
        let y = chart.y + ((part * f64::from(chart.height)) as u16).min(chart.height - 1);
        buf.set_string(chart.x - 7, y, format!("{tick:>5.decimals$} ┤"), theme.dim());
    }
}

fn draw_single(axes: &Axes, ms: f64, style: Style, chart: Rect, buf: &mut Buffer) {
    let Some(part) = axes.down(ms) else { return };
    let y = chart.y + ((part * f64::from(chart.height)) as u16).min(chart.height - 1);
    for x in chart.x..chart.right() {
        buf[(x, y)].set_char('╌').set_style(style);
    }
}

/// What should be: a level for as long as a partition ran, where it is still known what was predicted.
fn draw_predicted(lab: &Lab, axes: &Axes, style: Style, chart: Rect, buf: &mut Buffer) {
    let mut samples = visible(lab, axes.from).peekable();
    let mut partition = samples.peek().map(|sample| sample.partition);
    for x in chart.x..chart.right() {
        let until =
            axes.from + (axes.until - axes.from) * f64::from(x + 1 - chart.x) / f64::from(chart.width);
        while let Some(sample) = samples.next_if(|sample| sample.at.secs() <= until) {
            partition = Some(sample.partition);
        }
        let predicted = partition.and_then(|partition| lab.partitions.get(&partition)?.predicted_ms);
        if let Some(part) = predicted.and_then(|ms| axes.down(ms)) {
            let y = chart.y + ((part * f64::from(chart.height)) as u16).min(chart.height - 1);
            buf[(x, y)].set_char('┄').set_style(style);
        }
    }
}

/// Each run is a dot; the line is the median of the few runs before.
fn draw_runs(lab: &Lab, axes: &Axes, style: Style, chart: Rect, buf: &mut Buffer) {
    let mut plot = Plot::new(chart.width, chart.height);
    let (columns, rows) = (plot.columns(), plot.rows());
    let row = |part: f64| ((part * rows as f64) as usize).min(rows - 1);
    let mut before: Option<(usize, usize)> = None;
    let mut late: VecDeque<f64> = VecDeque::new();
    let mut partition = None;
    for sample in visible(lab, axes.from) {
        let Some(along) = axes.along(sample.at) else { continue };
        let column = ((along * columns as f64) as usize).min(columns - 1);
        if let Some(down) = axes.down(sample.ms) {
            plot.dot(column, row(down));
        }
        if partition.replace(sample.partition) != Some(sample.partition) {
            late.clear();
        }
        if late.len() == SMOOTHED {
            late.pop_front();
        }
        late.push_back(sample.ms);
        let mut sorted: Vec<f64> = late.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[(sorted.len() - 1) / 2].clamp(axes.low, axes.high);
        let here = (column, row(axes.down(median).unwrap_or(0.0)));
        plot.line(before.unwrap_or(here), here);
        before = Some(here);
    }
    plot.draw(chart, style, buf);
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
    let quantile = |part| lab.runs.quantile_ms(lab.current?, part);
    let (middle, late) = (quantile(0.5), quantile(0.95));
    let number = |value: Option<f64>| value.map_or_else(|| "—".to_owned(), text::ms);
    let mut parts = vec![vec![
        Span::styled("━━ ", theme.text()),
        Span::styled("measured p50 ", theme.dim()),
        Span::styled(number(middle), theme.strong()),
        Span::styled("  p95 ", theme.dim()),
        Span::styled(number(late), theme.text()),
    ]];
    if let Some(predicted) = lab.running().and_then(|running| running.predicted_ms) {
        let predicted = Span::styled(text::ms(predicted), theme.text());
        parts.push(vec![Span::styled("┄┄ predicted ", theme.dim()), predicted]);
    }
    if let Some((worker, alone)) = lab.best_single() {
        let letter = worker.info.worker;
        let mut part = vec![
            Span::styled("╌╌ ", theme.line()),
            Span::styled("best alone ", theme.dim()),
            Span::styled(format!("{letter} "), theme.worker(letter)),
            Span::styled(text::ms(alone), theme.text()),
        ];
        if let Some(middle) = middle.filter(|middle| *middle > 0.0) {
            let style = if alone > middle { theme.good() } else { theme.text() };
            part.push(Span::styled(format!("  ×{:.2}", alone / middle), style));
        }
        parts.push(part);
    }
    let mut lines: Vec<Line> = Vec::new();
    for part in parts {
        let wide: usize = part.iter().map(Span::width).sum();
        match lines.last_mut() {
            Some(line) if line.width() + 3 + wide <= usize::from(width) => {
                line.push_span(Span::raw("   "));
                line.extend(part);
            }
            _ => lines.push(Line::from(part)),
        }
    }
    lines
}
