//! Row ranges, the currency of every split.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A half-open range of rows `[start, end)` along a tensor's split axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rows {
    /// First row.
    pub start: u32,
    /// One past the last row.
    pub end: u32,
}

impl Rows {
    /// No rows at all.
    pub const EMPTY: Rows = Rows { start: 0, end: 0 };

    /// The range `[start, end)`; empty if `end ≤ start`.
    pub fn new(start: u32, end: u32) -> Self {
        if end <= start { Self { start, end: start } } else { Self { start, end } }
    }

    /// All of `count` rows.
    pub fn all(count: u32) -> Self {
        Self { start: 0, end: count }
    }

    /// How many rows.
    pub fn len(self) -> u32 {
        self.end - self.start
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// The rows in both.
    pub fn intersect(self, other: Rows) -> Rows {
        Rows::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The smallest range that holds both; an empty range adds nothing.
    pub fn hull(self, other: Rows) -> Rows {
        if self.is_empty() {
            other
        } else if other.is_empty() {
            self
        } else {
            Rows { start: self.start.min(other.start), end: self.end.max(other.end) }
        }
    }

    /// Whether every row of `other` is here.
    pub fn contains(self, other: Rows) -> bool {
        other.is_empty() || (self.start <= other.start && other.end <= self.end)
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

/// Which input rows an operator needs for given output rows, along the split axis.
///
/// One affine form covers every operator: with output rows `[a, b)`
///
/// ```text
/// first = ⌊(a·num + lo) / den⌋          last = ⌊((b−1)·num + hi) / den⌋
/// ```
///
/// clamped to the rows there are. The first row depends on `a` only and the last on `b` only, which is
/// what makes the work of a fused span separable: work(a, b) = F(b) − G(a). That needs `lo ≤ hi`: else a
/// request for no rows would have to be widened, and its end would depend on its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowMap {
    /// Input rows per `den` output rows.
    pub num: u32,
    /// At least 1.
    pub den: u32,
    /// Offset of the first row needed.
    pub lo: i32,
    /// Offset of the last row needed, at least `lo`.
    pub hi: i32,
}

impl RowMap {
    /// Row by row: elementwise operators, batch norm, concat along another axis.
    pub const SAME: RowMap = RowMap { num: 1, den: 1, lo: 0, hi: 0 };

    /// Every output row needs every input row: global pools, flatten, dense layers, broadcasts of one row.
    pub fn whole(input_rows: u32) -> Self {
        RowMap { num: 0, den: 1, lo: 0, hi: (input_rows as i32 - 1).max(0) }
    }

    /// A convolution or pool: output row `o` reads `o·stride − pad_before + t·dilation` for `t < kernel`.
    pub fn window(kernel: u32, stride: u32, dilation: u32, pad_before: u32) -> Self {
        let reach = (kernel as i32 - 1) * dilation as i32;
        RowMap { num: stride, den: 1, lo: -(pad_before as i32), hi: reach - pad_before as i32 }
    }

    /// A transposed convolution: input row `i` writes `i·stride − pad_before + t·dilation` for `t < kernel`.
    ///
    /// With a stride beyond the kernel's reach some output rows are written by nobody; they ask for one row.
    pub fn transposed(kernel: u32, stride: u32, dilation: u32, pad_before: u32) -> Self {
        let reach = (kernel as i32 - 1) * dilation as i32;
        let pad = pad_before as i32;
        let lo = pad - reach + stride as i32 - 1;
        RowMap { num: 1, den: stride, lo, hi: pad.max(lo) }
    }

    /// The input rows needed for output rows `rows`, of `input_rows` there are.
    ///
    /// Rows that lie in the padding are clamped away; a non-empty request needs at least one row.
    pub fn need(self, rows: Rows, input_rows: u32) -> Rows {
        if rows.is_empty() || input_rows == 0 {
            return Rows::EMPTY;
        }
        let first = self.first(rows.start, input_rows);
        Rows::new(first, self.end(rows.end, input_rows).max(first + 1))
    }

    /// The first input row needed for output rows from `start` on, of `input_rows` (at least 1) there are.
    pub fn first(self, start: u32, input_rows: u32) -> u32 {
        self.at(start, self.lo).clamp(0, i64::from(input_rows) - 1) as u32
    }

    /// One past the last input row needed for output rows before `end` (at least 1), of `input_rows`.
    pub fn end(self, end: u32, input_rows: u32) -> u32 {
        (self.at(end - 1, self.hi) + 1).clamp(1, i64::from(input_rows)) as u32
    }

    fn at(self, row: u32, offset: i32) -> i64 {
        let numerator = i64::from(row) * i64::from(self.num) + i64::from(offset);
        if self.den == 1 { numerator } else { numerator.div_euclid(i64::from(self.den)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rows a window operator touches, by looking at every tap.
    fn touched(rows: Rows, input: u32, tap: impl Fn(i64) -> Vec<i64>) -> Rows {
        let mut seen = Rows::EMPTY;
        for out in rows.start..rows.end {
            for row in tap(i64::from(out)) {
                if (0..i64::from(input)).contains(&row) {
                    seen = seen.hull(Rows::new(row as u32, row as u32 + 1));
                }
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn a_window_needs_exactly_the_rows_its_taps_touch(
            kernel in 1u32..8, stride in 1u32..5, dilation in 1u32..4, pad in 0u32..6,
            input in 1u32..60, a in 0u32..40, n in 1u32..20,
        ) {
            let rows = Rows::new(a, a + n);
            let tap = |out: i64| (0..i64::from(kernel))
                .map(|t| out * i64::from(stride) - i64::from(pad) + t * i64::from(dilation)).collect();
            let seen = touched(rows, input, tap);
            let need = RowMap::window(kernel, stride, dilation, pad).need(rows, input);
            prop_assert!(need.contains(seen));
            let inside = i64::from(a) * i64::from(stride) >= i64::from(pad)
                && i64::from((a + n - 1) * stride + (kernel - 1) * dilation) < i64::from(input + pad);
            if inside {
                prop_assert_eq!(need, seen, "no tap is in the padding");
            }
        }

        #[test]
        fn a_transposed_convolution_needs_every_row_that_writes_to_its_output(
            kernel in 1u32..6, stride in 1u32..4, dilation in 1u32..3, pad in 0u32..3,
            input in 1u32..40, a in 0u32..60, n in 1u32..20,
        ) {
            let rows = Rows::new(a, a + n);
            let mut seen = Rows::EMPTY;
            for i in 0..input {
                for t in 0..kernel {
                    let out = i64::from(i * stride + t * dilation) - i64::from(pad);
                    if (i64::from(rows.start)..i64::from(rows.end)).contains(&out) {
                        seen = seen.hull(Rows::new(i, i + 1));
                    }
                }
            }
            let need = RowMap::transposed(kernel, stride, dilation, pad).need(rows, input);
            prop_assert!(need.contains(seen), "{need} does not hold {seen}");
        }
    }

    #[test]
    fn need_is_clamped_to_the_rows_there_are() {
        let conv = RowMap::window(3, 1, 1, 1);
        assert_eq!(conv.need(Rows::new(0, 4), 8), Rows::new(0, 5));
        assert_eq!(conv.need(Rows::new(4, 8), 8), Rows::new(3, 8));
        assert_eq!(RowMap::whole(8).need(Rows::new(2, 3), 8), Rows::all(8));
        assert_eq!(conv.need(Rows::EMPTY, 8), Rows::EMPTY);
    }
}
