//! Predicted against measured as a cloud of dots over two logarithmic axes: on the diagonal both agree.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::layers::Row;
use super::widgets::plot::Plot;

/// Cells for the numbers of the upright axis.
const LABELS: u16 = 6;

/// Draws `rows`, the `selected` one as a full circle, over all of `area`.
pub(super) fn draw(scene: &Scene, rows: &[Row], selected: Option<&Row>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let pairs: Vec<(f64, f64)> = rows.iter().filter_map(pair).collect();
    if area.height < 3 || area.width < LABELS + 6 || pairs.is_empty() {
        return;
    }
    let values = || pairs.iter().flat_map(|(predicted, measured)| [*predicted, *measured]);
    let low = values().fold(f64::INFINITY, f64::min) * 0.8;
    let high = values().fold(0.0, f64::max) * 1.25;
    let chart = Rect { x: area.x + LABELS, width: area.width - LABELS, height: area.height - 1, ..area };
    let along = |ms: f64| ((ms / low).ln() / (high / low).ln()).clamp(0.0, 1.0);
    for y in chart.y..chart.bottom() {
        buf.set_string(chart.x - 1, y, "│", theme.line());
    }
    for (power, label) in decades(low, high) {
        let y = chart.bottom() - 1 - (along(power) * f64::from(chart.height - 1)).round() as u16;
        buf.set_string(chart.x - LABELS, y, format!("{label:>4} ┤"), theme.dim());
        let x = chart.x + (along(power) * f64::from(chart.width - 1)).round() as u16;
        if x + label.len() as u16 <= chart.right() {
            buf.set_string(x, chart.bottom(), &label, theme.dim());
        }
    }
    let mut plot = Plot::new(chart.width, chart.height);
    let (columns, height) = (plot.columns() - 1, plot.rows() - 1);
    let place = |predicted: f64, measured: f64| {
        let x = (along(predicted) * columns as f64).round() as usize;
        (x, height - (along(measured) * height as f64).round() as usize)
    };
    // The diagonal has gaps, so that dots on it are still seen.
    let mut diagonal = Plot::new(chart.width, chart.height);
    for step in (0..=columns).step_by(3) {
        let part = step as f64 / columns as f64;
        diagonal.dot(step, height - (part * height as f64).round() as usize);
    }
    diagonal.draw(chart, theme.line(), buf);
    for (predicted, measured) in &pairs {
        let (x, y) = place(*predicted, *measured);
        plot.dot(x, y);
    }
    plot.draw(chart, theme.text(), buf);
    if let Some((predicted, measured)) = selected.and_then(pair) {
        let (x, y) = place(predicted, measured);
        let (x, y) = (chart.x + x as u16 / 2, chart.y + y as u16 / 4);
        buf[(x, y)].set_char('●').set_style(theme.accent());
    }
}

fn pair(row: &Row) -> Option<(f64, f64)> {
    let has_place = |ms: f64| ms > 0.0 && ms.is_finite();
    row.predicted
        .zip(row.measured)
        .filter(|(predicted, measured)| has_place(*predicted) && has_place(*measured))
}

/// Round values between `low` and `high`, with their numbers: powers of ten, and twice and five times these where
/// there are few.
fn decades(low: f64, high: f64) -> Vec<(f64, String)> {
    let factors: &[f64] = if high / low < 30.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = (low.log10().floor() as i32)..=(high.log10().floor() as i32);
    let values =
        powers.flat_map(|power| factors.iter().map(move |factor| (power, factor * 10f64.powi(power))));
    let inside = values.filter(|(_, value)| (low..=high).contains(value));
    inside.map(|(power, value)| (value, format!("{value:.*}", (-power).max(0) as usize))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axes_have_round_numbers_as_short_as_they_can_be() {
        let labels = |low, high| decades(low, high).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(0.02, 300.0), ["0.1", "1", "10", "100"]);
        assert_eq!(labels(0.15, 3.0), ["0.2", "0.5", "1", "2"]);
    }
}
