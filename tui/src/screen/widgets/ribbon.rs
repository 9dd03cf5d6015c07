//! A partition as a ribbon: blocks from left to right, rows from top to bottom, one band per worker.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::screen::text;

/// Rows of one worker in one block.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::screen) struct Band {
    /// The worker's letter.
    pub(in crate::screen) letter: String,
    /// Its colour, for words.
    pub(in crate::screen) style: Style,
    /// Its colour, for areas.
    pub(in crate::screen) area: Style,
    /// Rows it owns.
    pub(in crate::screen) rows: u32,
}

/// A block.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::screen) struct Slab {
    /// Above it: the first of these that fits.
    pub(in crate::screen) titles: Vec<String>,
    /// Its part of the width.
    pub(in crate::screen) weight: f64,
    /// From the top.
    pub(in crate::screen) bands: Vec<Band>,
    /// Below its end: what is exchanged there, the first of these that fits.
    pub(in crate::screen) exchanges: Vec<String>,
}

/// How a ribbon is drawn.
#[derive(Clone, Copy, Debug)]
pub(in crate::screen) struct Look {
    /// Whether it only might run.
    pub(in crate::screen) is_hollow: bool,
    /// Whether letters must tell workers apart.
    pub(in crate::screen) is_mono: bool,
    /// For words.
    pub(in crate::screen) dim: Style,
    /// For what separates blocks.
    pub(in crate::screen) line: Style,
}

/// Cells between two blocks.
const GAP: u16 = 1;

/// Draws `slabs` over all of `area`: a row of titles, the bands, a row of exchanges.
pub(in crate::screen) fn draw(slabs: &[Slab], look: Look, area: Rect, buf: &mut Buffer) {
    let count = slabs.len() as u16;
    if count == 0 || area.height < 3 {
        return;
    }
    if area.width < count * 2 {
        let told = format!("{count} blocks are too many to draw here");
        buf.set_stringn(area.x, area.y, told, usize::from(area.width), look.dim);
        return;
    }
    let widths =
        shares(&slabs.iter().map(|slab| slab.weight).collect::<Vec<_>>(), area.width - GAP * (count - 1));
    let mut x = area.x;
    for (index, (slab, &width)) in slabs.iter().zip(&widths).enumerate() {
        buf.set_string(x, area.y, fitting(&slab.titles, usize::from(width)), look.dim);
        let map = Rect { x, y: area.y + 1, width, height: area.height - 2 };
        bands(&slab.bands, look, map, buf);
        x += width + GAP;
        if index + 1 < slabs.len() {
            for y in map.y..map.bottom() {
                buf.set_string(x - GAP, y, "│", look.line);
            }
            // Its arrow stands under the line, and its words do not touch those before.
            let exchange = fitting(&slab.exchanges, usize::from(width));
            buf.set_string(x - text::width(exchange) as u16, area.bottom() - 1, exchange, look.dim);
        }
    }
}

/// The first of `texts` that takes at most `cells` cells; nothing if none does.
fn fitting(texts: &[String], cells: usize) -> &str {
    texts.iter().find(|text| text::width(text) <= cells).map_or("", String::as_str)
}

fn bands(bands: &[Band], look: Look, area: Rect, buf: &mut Buffer) {
    let owned: Vec<&Band> = bands.iter().filter(|band| band.rows > 0).collect();
    let weights: Vec<f64> = owned.iter().map(|band| f64::from(band.rows)).collect();
    let heights = if owned.len() > usize::from(area.height) {
        vec![1; usize::from(area.height)]
    } else {
        shares(&weights, area.height)
    };
    let mut y = area.y;
    for (band, &height) in owned.iter().zip(&heights) {
        let letter = if look.is_hollow { band.letter.to_lowercase() } else { band.letter.clone() };
        let fill = match (look.is_mono, look.is_hollow) {
            (true, _) => letter.clone(),
            (false, true) => "░".to_owned(),
            (false, false) => "█".to_owned(),
        };
        let cells = usize::from(area.width);
        for row in y..y + height {
            buf.set_stringn(area.x, row, fill.repeat(cells), cells, band.area);
        }
        if !look.is_mono {
            let long =
                if owned.len() == 1 { format!(" {letter} ") } else { format!(" {letter} {} ", band.rows) };
            let label = if text::width(&long) <= cells { long } else { letter };
            let start = area.x + area.width.saturating_sub(text::width(&label) as u16) / 2;
            buf.set_stringn(start, y + height / 2, label, cells, band.style);
        } else {
            let long = format!(" {} ", band.rows);
            if text::width(&long) + 2 <= cells {
                let start = area.x + (area.width - text::width(&long) as u16) / 2;
                buf.set_string(start, y + height / 2, long, band.style);
            }
        }
        y += height;
    }
}

/// Divides `total` cells by `weights`, at least one cell each while there are enough.
pub(in crate::screen) fn shares(weights: &[f64], total: u16) -> Vec<u16> {
    let count = weights.len();
    if count == 0 || usize::from(total) < count {
        return vec![0; count];
    }
    let sum: f64 = weights.iter().sum::<f64>().max(1e-12);
    let spare = f64::from(total) - count as f64;
    let mut edges = vec![0u16];
    let mut along = 0.0;
    for (index, weight) in weights.iter().enumerate() {
        along += weight.max(0.0) / sum;
        edges.push((index + 1) as u16 + (along * spare).round() as u16);
    }
    edges.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_has_a_cell_and_all_cells_are_shared() {
        for weights in [vec![1.0], vec![1.0, 0.0, 5.0], vec![52.0, 31.0, 17.0], vec![0.0; 4]] {
            for total in 4..40 {
                let shares = shares(&weights, total);
                assert!(shares.iter().all(|share| *share > 0), "{weights:?} in {total}");
                if weights.iter().sum::<f64>() > 0.0 {
                    assert_eq!(shares.iter().sum::<u16>(), total);
                }
            }
        }
    }

    #[test]
    fn a_band_too_narrow_for_its_number_still_has_its_letter() {
        let band = |letter: &str, rows| Band {
            letter: letter.to_owned(),
            style: Style::new(),
            area: Style::new(),
            rows,
        };
        let slab = Slab {
            titles: vec!["block 1".into(), "1".into()],
            weight: 1.0,
            bands: vec![band("A", 3), band("B", 3)],
            exchanges: vec!["halo 3 KiB →".into()],
        };
        let look = Look { is_hollow: false, is_mono: false, dim: Style::new(), line: Style::new() };
        let area = Rect::new(0, 0, 3, 4);
        let mut buf = Buffer::empty(area);
        draw(&[slab], look, area, &mut buf);
        assert_eq!(buf, Buffer::with_lines(["1  ", "█A█", "█B█", "   "]));
    }
}
