//! A history in one row of characters.

/// Seven heights: the eighth would join the row above.
const HEIGHTS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];

/// The last `cells` of `values` (0…`top`), padded on the left.
pub(in crate::screen) fn line(
    values: impl DoubleEndedIterator<Item = f64>,
    top: f64,
    cells: usize,
) -> String {
    let mut heights: Vec<char> = values
        .rev()
        .take(cells)
        .map(|value| {
            let part = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
            HEIGHTS[((part * 6.0).round()) as usize]
        })
        .collect();
    heights.resize(cells, ' ');
    heights.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_value_stands_at_the_right() {
        assert_eq!(line([0.0, 0.5, 1.0].into_iter(), 1.0, 5), "  ▁▄▇");
        assert_eq!(line([0.0, 0.5, 1.0].into_iter(), 1.0, 2), "▄▇");
        assert_eq!(line([3.0].into_iter(), 0.0, 1), "▁");
    }
}
