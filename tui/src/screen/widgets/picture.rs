//! Pictures in half blocks, two pixels to a cell; without colours in five shades, one pixel to a cell.

use collab_core::event::{FoundBox, Thumbnail};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::theme::Theme;

/// From dark to light.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// What boxes are drawn with.
const OUTLINE: [u8; 3] = [255, 235, 60];

/// Pixels as they will be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grid {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

/// The cells a picture of `width × height` pixels takes at most of `room`, its shape kept.
pub(in crate::screen) fn fit(picture: &Thumbnail, room: Rect) -> (u16, u16) {
    let (width, height) = (f64::from(picture.width.max(1)), f64::from(picture.height.max(1)));
    let scale = (f64::from(room.width) / width).min(f64::from(room.height) * 2.0 / height);
    let cells = |pixels: f64| (pixels * scale).round().max(1.0) as u16;
    (cells(width).min(room.width), cells(height / 2.0).min(room.height))
}

/// Draws `picture` with `boxes` on it into all of `area`.
pub(in crate::screen) fn draw(
    picture: &Thumbnail,
    boxes: &[FoundBox],
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) {
    if area.width == 0 || area.height == 0 {
        return;
    }
    let Some(mut grid) = Grid::scaled(picture, area.width.into(), usize::from(area.height) * 2) else {
        return;
    };
    boxes.iter().for_each(|found| grid.outline(found));
    for y in 0..area.height {
        for x in 0..area.width {
            let upper = grid.pixels[usize::from(y) * 2 * grid.width + usize::from(x)];
            let lower = grid.pixels[(usize::from(y) * 2 + 1) * grid.width + usize::from(x)];
            let cell = &mut buf[(area.x + x, area.y + y)];
            match (theme.pixel(upper), theme.pixel(lower)) {
                (Some(upper), Some(lower)) => cell.set_char('▀').set_style(Style::new().fg(upper).bg(lower)),
                _ => {
                    let is_outline = upper == OUTLINE || lower == OUTLINE;
                    let light = if is_outline { 1.0 } else { (luminance(upper) + luminance(lower)) / 2.0 };
                    cell.set_char(SHADES[(light * 4.999) as usize])
                }
            };
        }
    }
}

fn luminance([r, g, b]: [u8; 3]) -> f64 {
    (0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b)) / 255.0
}

impl Grid {
    /// Each pixel is the mean of those it covers, or the nearest one when enlarged. `None` if the picture has
    /// fewer bytes than it says.
    fn scaled(picture: &Thumbnail, width: usize, height: usize) -> Option<Self> {
        let (from_width, from_height) = (usize::from(picture.width), usize::from(picture.height));
        if from_width == 0 || from_height == 0 || picture.rgb.len() < from_width * from_height * 3 {
            return None;
        }
        let range = |at: usize, count: usize, from: usize| {
            let start = at * from / count;
            start..((at + 1) * from).div_ceil(count).clamp(start + 1, from)
        };
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let mut sum = [0u32; 3];
                let mut count = 0;
                for row in range(y, height, from_height) {
                    for column in range(x, width, from_width) {
                        let at = (row * from_width + column) * 3;
                        let pixel = &picture.rgb[at..at + 3];
                        sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(*value));
                        count += 1;
                    }
                }
                pixels.push(sum.map(|sum| (sum / count) as u8));
            }
        }
        Some(Self { width, height, pixels })
    }

    fn outline(&mut self, found: &FoundBox) {
        let at = |part: f64, size: usize| ((part.clamp(0.0, 1.0) * size as f64) as usize).min(size - 1);
        let (left, right) = (at(found.x, self.width), at(found.x + found.width, self.width));
        let (top, bottom) = (at(found.y, self.height), at(found.y + found.height, self.height));
        for x in left..=right {
            self.pixels[top * self.width + x] = OUTLINE;
            self.pixels[bottom * self.width + x] = OUTLINE;
        }
        for y in top..=bottom {
            self.pixels[y * self.width + left] = OUTLINE;
            self.pixels[y * self.width + right] = OUTLINE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u16, height: u16, rgb: &[u8]) -> Thumbnail {
        Thumbnail { width, height, rgb: rgb.to_vec() }
    }

    #[test]
    fn a_smaller_picture_is_the_mean_and_a_larger_one_repeats() {
        let two = picture(2, 1, &[0, 0, 0, 100, 200, 50]);
        assert_eq!(Grid::scaled(&two, 1, 1).unwrap().pixels, [[50, 100, 25]]);
        let four = Grid::scaled(&two, 4, 1).unwrap().pixels;
        assert_eq!(four, [[0, 0, 0], [0, 0, 0], [100, 200, 50], [100, 200, 50]]);
    }

    #[test]
    fn a_picture_with_too_few_bytes_is_not_drawn() {
        assert_eq!(Grid::scaled(&picture(2, 2, &[0; 11]), 2, 2), None);
        assert_eq!(Grid::scaled(&picture(0, 0, &[]), 2, 2), None);
    }

    #[test]
    fn a_picture_keeps_its_shape() {
        assert_eq!(fit(&picture(100, 100, &[]), Rect::new(0, 0, 30, 10)), (20, 10));
        assert_eq!(fit(&picture(200, 100, &[]), Rect::new(0, 0, 30, 30)), (30, 8));
    }
}
