//! A measurement beside its prediction on one line: the prediction in the middle, its interval hollow, what was
//! measured solid.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// The relative error at either end.
const REACH: f64 = 0.2;
/// Cells on either side of the middle.
const HALF: usize = 6;
/// Cells of it.
pub(in crate::screen) const CELLS: usize = 2 * HALF + 1;
/// For a table's head.
pub(in crate::screen) const HEAD: &str = "−20 % │ +20 %";

/// All in relative errors, +0.1 is 10 % more than predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::screen) struct ErrorBar {
    /// The half-width of the prediction's interval.
    pub(in crate::screen) half: Option<f64>,
    /// Between which most measurements are.
    pub(in crate::screen) spread: Option<(f64, f64)>,
    /// The measurement in the middle.
    pub(in crate::screen) middle: Option<f64>,
}

impl ErrorBar {
    fn cell(error: f64) -> usize {
        let along = (error / REACH).clamp(-1.0, 1.0) * HALF as f64;
        (HALF as f64 + along).round() as usize
    }

    /// Its characters: `╌` the interval, `━` the spread, `●` the middle one, `◀ ▶` where that is beyond the end.
    fn glyphs(&self) -> [char; CELLS] {
        let mut glyphs = [' '; CELLS];
        if let Some(half) = self.half {
            glyphs[Self::cell(-half)..=Self::cell(half)].fill('╌');
        }
        glyphs[HALF] = '│';
        if let Some((low, high)) = self.spread {
            glyphs[Self::cell(low)..=Self::cell(high.max(low))].fill('━');
            glyphs[HALF] = if glyphs[HALF] == '━' { '┿' } else { glyphs[HALF] };
        }
        if let Some(middle) = self.middle {
            glyphs[Self::cell(middle)] = match middle / REACH {
                part if part > 1.05 => '▶',
                part if part < -1.05 => '◀',
                _ => '●',
            };
        }
        glyphs
    }

    /// As a line: the middle in `axis`, the interval in `hollow`, what was measured in `solid`.
    pub(in crate::screen) fn line(&self, axis: Style, hollow: Style, solid: Style) -> Line<'static> {
        let style = |glyph: char| match glyph {
            '│' => axis,
            '╌' => hollow,
            _ => solid,
        };
        Line::from_iter(self.glyphs().map(|glyph| Span::styled(glyph.to_string(), style(glyph))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(half: f64, low: f64, middle: f64, high: f64) -> String {
        let bar = ErrorBar { half: Some(half), spread: Some((low, high)), middle: Some(middle) };
        bar.glyphs().iter().collect()
    }

    #[test]
    fn the_interval_is_hollow_what_was_measured_solid_and_what_is_far_off_is_an_arrow() {
        assert_eq!(drawn(0.1, 0.02, 0.05, 0.07), "   ╌╌╌│━●╌   ");
        assert_eq!(drawn(0.1, -0.04, 0.05, 0.09), "   ╌╌━┿━━●   ".replace("━━●", "━●━"));
        assert_eq!(drawn(0.03, 0.3, 0.4, 0.5), "     ╌│╌    ▶");
        assert_eq!(drawn(0.03, -0.5, -0.4, -0.3), "◀    ╌│╌     ");
        assert_eq!(ErrorBar::default().glyphs().iter().collect::<String>(), "      │      ");
    }
}
