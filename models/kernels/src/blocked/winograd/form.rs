//! How rows are transformed: along, by themselves or in pairs, and their sums back, with 16 channels side by side.

use crate::Map;
use crate::isa::{Vector, load, store};
use crate::sizes::{ALONG, COLUMNS};
use crate::tile::PANEL;
use crate::winograd::pairs::{self, DOWN};
use crate::winograd::{columns, forth};

/// How rows are transformed. No type parameter: the products between the transforms are compiled once.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Each row by itself: its products sum over three input rows.
    Rows,
    /// Pairs of rows, of which neighbours share two of four input rows.
    Pairs,
}

impl Form {
    /// Output rows that are computed together: a unit.
    pub(super) const fn rows(self) -> usize {
        match self {
            Form::Rows => 1,
            Form::Pairs => 2,
        }
    }

    /// Products of a unit for each group of columns.
    pub(super) const fn points(self) -> usize {
        match self {
            Form::Rows => ALONG,
            Form::Pairs => DOWN * ALONG,
        }
    }

    /// Transformed rows that a unit multiplies, one of which the next unit does not.
    pub(super) const fn read(self) -> usize {
        match self {
            Form::Rows => 3,
            Form::Pairs => 1,
        }
    }

    /// Transforms one group of columns of one block, from row `line` on, into `count` transformed rows.
    #[inline(always)]
    pub(super) fn forth<V: Vector>(
        self,
        v: V,
        source: &Source<'_>,
        line: isize,
        count: usize,
        to: &mut Places<'_>,
    ) {
        let Form::Pairs = self else {
            for row in 0..count {
                to.put::<V>(row, 0, source.along(v, line + row as isize));
            }
            return;
        };
        let (mut first, mut second) = (source.along(v, line), source.along(v, line + 1));
        for pair in 0..count {
            let below = line + 2 * (pair as isize + 1);
            let (third, fourth) = (source.along(v, below), source.along(v, below + 1));
            let mut points = [[v.splat_f32s(0.0); ALONG]; DOWN];
            for along in 0..ALONG {
                let down = pairs::down(v, [first[along], second[along], third[along], fourth[along]]);
                for i in 0..DOWN {
                    points[i][along] = down[i];
                }
            }
            for (down, points) in points.into_iter().enumerate() {
                to.put::<V>(pair, down * ALONG, points);
            }
            (first, second) = (third, fourth);
        }
    }

    /// The columns of each row of a unit, of the sums at the points, which lie `apart`; of one row twice.
    #[inline(always)]
    pub(super) fn back<V: Vector>(self, v: V, sums: &[f32], apart: usize) -> [[V::f32s; COLUMNS]; 2] {
        if let Form::Pairs = self {
            let [upper, lower] = pairs::up(v, sums, apart);
            return [columns(v, upper), columns(v, lower)];
        }
        let mut points = [v.splat_f32s(0.0); ALONG];
        for (along, point) in points.iter_mut().enumerate() {
            *point = load::<V>(&sums[along * apart..]);
        }
        [columns(v, points); 2]
    }
}

/// A group of columns of one block of a map.
pub(super) struct Source<'a> {
    pub(super) map: &'a Map<'a>,
    pub(super) block: usize,
    /// Columns of zeros left of the map, and its first column in the group, counted from these.
    pub(super) left: usize,
    pub(super) column: usize,
}

impl Source<'_> {
    /// Row `line` transformed along; zeros where the map has none.
    #[inline(always)]
    fn along<V: Vector>(&self, v: V, line: isize) -> [V::f32s; ALONG] {
        let zeros = [v.splat_f32s(0.0); ALONG];
        let Some(line) = usize::try_from(line).ok().filter(|&line| line < self.map.rows()) else {
            return zeros;
        };
        let row = self.map.row(self.block, line);
        let mut pixels = zeros;
        let first = self.column.wrapping_sub(self.left);
        if let Some(values) = row.get(first.wrapping_mul(PANEL)..).and_then(|row| row.get(..ALONG * PANEL)) {
            for (i, pixel) in pixels.iter_mut().enumerate() {
                *pixel = load::<V>(&values[i * PANEL..]);
            }
        } else {
            for (i, pixel) in pixels.iter_mut().enumerate() {
                let column = (self.column + i).checked_sub(self.left);
                if let Some(column) = column.filter(|&column| column < row.len() / PANEL) {
                    *pixel = load::<V>(&row[column * PANEL..]);
                }
            }
        }
        forth(v, pixels)
    }
}

/// Where the transformed rows of a group of columns of one block go.
pub(super) struct Places<'a> {
    pub(super) values: &'a mut [f32],
    /// Values from one row to the next, and from one point to the next.
    pub(super) row: usize,
    pub(super) point: usize,
}

impl Places<'_> {
    /// Writes a row at the points from number `first` on.
    #[inline(always)]
    fn put<V: Vector>(&mut self, row: usize, first: usize, values: [V::f32s; ALONG]) {
        for (along, value) in values.into_iter().enumerate() {
            store::<V>(&mut self.values[row * self.row + (first + along) * self.point..], value);
        }
    }
}
