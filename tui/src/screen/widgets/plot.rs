//! Dots and lines in braille, two by four to a cell.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Bits of a braille character by column and row.
const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// A canvas of dots.
#[derive(Clone, Debug)]
pub(in crate::screen) struct Plot {
    width: usize,
    height: usize,
    cells: Vec<u8>,
}

impl Plot {
    /// For an area of `width × height` cells.
    pub(in crate::screen) fn new(width: u16, height: u16) -> Self {
        let (width, height) = (usize::from(width), usize::from(height));
        Self { width, height, cells: vec![0; width * height] }
    }

    /// Dots across.
    pub(in crate::screen) fn columns(&self) -> usize {
        self.width * 2
    }

    /// Dots down.
    pub(in crate::screen) fn rows(&self) -> usize {
        self.height * 4
    }

    /// Sets a dot; from the upper left. Outside of the canvas nothing happens.
    pub(in crate::screen) fn dot(&mut self, x: usize, y: usize) {
        if x < self.columns() && y < self.rows() {
            self.cells[y / 4 * self.width + x / 2] |= BITS[x % 2][y % 4];
        }
    }

    /// Joins two dots.
    pub(in crate::screen) fn line(&mut self, from: (usize, usize), to: (usize, usize)) {
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1)).max(1);
        let between = |a: usize, b: usize, step: usize| {
            (a as f64 + (b as f64 - a as f64) * step as f64 / steps as f64).round() as usize
        };
        for step in 0..=steps {
            self.dot(between(from.0, to.0, step), between(from.1, to.1, step));
        }
    }

    /// Writes the cells that hold dots.
    pub(in crate::screen) fn draw(&self, area: Rect, style: Style, buf: &mut Buffer) {
        for (index, &dots) in self.cells.iter().enumerate().filter(|(_, dots)| **dots != 0) {
            let (x, y) = (index % self.width, index / self.width);
            let character = char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' ');
            let cell = &mut buf[(area.x + x as u16, area.y + y as u16)];
            cell.reset();
            cell.set_char(character).set_style(style);
        }
    }
}

/// Round values between `low` and `high`, at most `most` of them.
pub(in crate::screen) fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let span = (high - low).max(1e-9);
    let rough = span / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|at| at as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_drawn_dot_by_dot() {
        let mut plot = Plot::new(2, 1);
        plot.line((0, 0), (3, 3));
        plot.dot(99, 0);
        let area = Rect::new(0, 0, 2, 1);
        let mut buf = Buffer::empty(area);
        plot.draw(area, Style::new(), &mut buf);
        assert_eq!(buf, Buffer::with_lines(["⠑⢄"]));
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(87.0, 121.0, 5), [90.0, 100.0, 110.0, 120.0]);
        assert_eq!(ticks(0.0, 1.0, 2), [0.0, 0.5, 1.0]);
        assert!(ticks(5.0, 5.0, 3).len() <= 3);
    }
}
