//! Rows of columns; columns that matter least go first where there is no room.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::Line;

/// Cells between two columns where there is room.
pub(in crate::screen) const GAP: u16 = 2;

/// A column.
#[derive(Clone, Copy, Debug)]
pub(in crate::screen) struct Column {
    head: &'static str,
    width: u16,
    right: bool,
    rank: u8,
    grows: bool,
}

/// A column of text, `width` cells wide. The columns with the highest `rank` are dropped first; 0 never is.
pub(in crate::screen) const fn left(head: &'static str, width: u16, rank: u8) -> Column {
    Column { head, width, right: false, rank, grows: false }
}

/// A column of numbers.
pub(in crate::screen) const fn right(head: &'static str, width: u16, rank: u8) -> Column {
    Column { head, width, right: true, rank, grows: false }
}

/// A column of text that takes the room that is left over.
pub(in crate::screen) const fn growing(head: &'static str, least: u16, rank: u8) -> Column {
    Column { head, width: least, right: false, rank, grows: true }
}

/// Which columns are shown and where: index, offset, width.
#[derive(Clone, Debug)]
pub(in crate::screen) struct Fitted {
    columns: Vec<Column>,
    places: Vec<(usize, u16, u16)>,
}

impl Fitted {
    /// Fits `columns` into `width` cells, `gap` cells between them.
    pub(in crate::screen) fn new(columns: &[Column], gap: u16, width: u16) -> Self {
        let mut kept: Vec<usize> = (0..columns.len()).collect();
        let total = |kept: &[usize]| {
            let wide: u16 = kept.iter().map(|&at| columns[at].width).sum();
            wide + gap * (kept.len() as u16).saturating_sub(1)
        };
        while total(&kept) > width {
            let Some(&worst) = kept.iter().rev().max_by_key(|&&at| columns[at].rank) else { break };
            let highest = columns[worst].rank;
            let Some(last) = kept.iter().rposition(|&at| columns[at].rank == highest) else { break };
            if highest == 0 {
                break;
            }
            kept.remove(last);
        }
        let growing = kept.iter().filter(|&&at| columns[at].grows).count() as u16;
        let mut spare = width.saturating_sub(total(&kept));
        let mut offset = 0;
        let mut places = Vec::with_capacity(kept.len());
        let mut still = growing;
        for at in kept {
            let mut wide = columns[at].width;
            if columns[at].grows {
                let more = spare / still;
                still -= 1;
                spare -= more;
                wide += more;
            }
            places.push((at, offset, wide));
            offset += wide + gap;
        }
        Self { columns: columns.to_vec(), places }
    }

    /// The width of column `index`; `None` if it is not shown.
    pub(in crate::screen) fn width(&self, index: usize) -> Option<usize> {
        self.places.iter().find(|(at, ..)| *at == index).map(|(.., wide)| usize::from(*wide))
    }

    /// Writes the head.
    pub(in crate::screen) fn head(&self, area: Rect, style: Style, buf: &mut Buffer) {
        let cells: Vec<Line> = self.columns.iter().map(|column| Line::styled(column.head, style)).collect();
        self.row(&cells, area, buf);
    }

    /// Writes a row into the first line of `area`.
    pub(in crate::screen) fn row(&self, cells: &[Line], area: Rect, buf: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        for &(at, offset, wide) in &self.places {
            let Some(cell) = cells.get(at) else { continue };
            let room = wide.min(area.width.saturating_sub(offset));
            let taken = (cell.width() as u16).min(room);
            let right = self.columns[at].right || cell.alignment == Some(Alignment::Right);
            let shift = if right { room - taken } else { 0 };
            buf.set_line(area.x + offset + shift, area.y, cell, room - shift);
        }
    }
}

/// The first row to show so that `selected` is seen among `rows`, `page` at a time, in the middle if possible.
pub(in crate::screen) fn first_row(selected: usize, rows: usize, page: usize) -> usize {
    selected.saturating_sub(page / 2).min(rows.saturating_sub(page))
}

/// Draws where in a list one is, on the panel's right border, if not all of it is seen.
pub(in crate::screen) fn scrollbar(
    area: Rect,
    first: usize,
    rows: usize,
    page: usize,
    style: Style,
    buf: &mut Buffer,
) {
    if rows <= page || page == 0 || area.height == 0 {
        return;
    }
    let height = usize::from(area.height);
    let size = (height * page / rows).max(1);
    let start = (height - size) * first / (rows - page).max(1);
    for at in start..start + size {
        buf.set_string(area.right(), area.y + at as u16, "┃", style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [left("a", 5, 0), right("b", 5, 2), growing("c", 5, 1), left("d", 5, 2)];

    #[test]
    fn what_matters_least_goes_first_and_the_growing_column_takes_the_rest() {
        let shown = |width| {
            let fitted = Fitted::new(&COLUMNS, GAP, width);
            fitted.places.iter().map(|(at, ..)| *at).collect::<Vec<_>>()
        };
        assert_eq!(shown(26), [0, 1, 2, 3]);
        assert_eq!(shown(25), [0, 1, 2]);
        assert_eq!(shown(15), [0, 2]);
        assert_eq!(shown(3), [0]);
        assert_eq!(Fitted::new(&COLUMNS, GAP, 30).width(2), Some(9));
    }

    #[test]
    fn the_selected_row_is_always_seen() {
        for rows in 0..40 {
            for selected in 0..rows {
                let first = first_row(selected, rows, 7);
                assert!(first <= selected && selected < first + 7 && first + rows.min(7) <= rows);
            }
        }
    }
}
