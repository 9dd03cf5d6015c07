//! Horizontal bars: thick, thin and being changed.

/// Eighths of a cell, from the left.
const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A bar of `cells` cells filled to `part` (0…1) with eighths of a cell; the rest is blank.
pub(in crate::screen) fn smooth(part: f64, cells: usize) -> String {
    let eighths = (part.clamp(0.0, 1.0) * cells as f64 * 8.0).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    let rest = cells.saturating_sub(eighths.div_ceil(8));
    bar.push_str(&" ".repeat(rest));
    bar
}

/// A share as it is (`now`) and as it is asked for (`asked`), both 0…1: `▇` (a gap keeps rows apart) where both agree, `░` where it
/// is yet to change, `·` where there is nothing. Returned as (solid, hollow, rest).
pub(in crate::screen) fn asked(now: f64, asked: f64, cells: usize) -> (String, String, String) {
    let at = |part: f64| (part.clamp(0.0, 1.0) * cells as f64).round() as usize;
    let (low, high) = (at(now.min(asked)), at(now.max(asked)));
    ("▇".repeat(low), "░".repeat(high - low), "·".repeat(cells - high))
}

/// A thin bar of `cells` cells drawn to `part` (0…1) in half cells.
pub(in crate::screen) fn thin(part: f64, cells: usize, is_hollow: bool) -> String {
    let halves = (part.clamp(0.0, 1.0) * cells as f64 * 2.0).round() as usize;
    let (full, end) = if is_hollow { ("┄", "") } else { ("━", "╸") };
    let mut bar = full.repeat(halves / 2);
    bar.push_str(if halves.is_multiple_of(2) { "" } else { end });
    let taken = bar.chars().count();
    bar.push_str(&" ".repeat(cells.saturating_sub(taken)));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(smooth(0.5, 4), "██  ");
        assert_eq!(smooth(0.53125, 4), "██▏ ");
        assert_eq!(smooth(7.0, 2), "██");
        assert_eq!(smooth(-1.0, 2), "  ");
    }

    #[test]
    fn what_is_asked_for_is_hollow_until_it_is_so() {
        let parts = |now, wanted| asked(now, wanted, 5);
        assert_eq!(parts(1.0, 0.6), ("▇▇▇".into(), "░░".into(), String::new()));
        assert_eq!(parts(0.6, 1.0), ("▇▇▇".into(), "░░".into(), String::new()));
        assert_eq!(parts(0.6, 0.6), ("▇▇▇".into(), String::new(), "··".into()));
    }
}
