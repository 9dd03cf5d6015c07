//! Numbers and names as people read them: one decimal in ms, thin space in thousands.

use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

/// U+2009, between groups of three digits.
const THIN: char = '\u{2009}';

/// `1284` as `1 284`.
pub(super) fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

/// Milliseconds with one decimal.
pub(super) fn ms(value: f64) -> String {
    if value.abs() < 9999.95 {
        return format!("{value:.1}");
    }
    let tenths = (value.abs() * 10.0).round() as u64;
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{}.{}", thousands(tenths / 10), tenths % 10)
}

/// A fraction as whole percent, `—` if unknown.
pub(super) fn percent(part: Option<f64>) -> String {
    part.map_or_else(|| "—".to_owned(), |part| format!("{:.0} %", (part * 100.0).round() + 0.0))
}

/// A fraction as signed percent with a true minus.
pub(super) fn signed_percent(part: f64) -> String {
    let value = (part * 100.0).round();
    match value {
        value if value < 0.0 => format!("−{:.0} %", -value),
        value if value > 0.0 => format!("+{value:.0} %"),
        _ => "0 %".to_owned(),
    }
}

/// A difference in ms with a sign.
pub(super) fn signed_ms(value: f64) -> String {
    match format!("{:.1}", value.abs()) {
        text if text == "0.0" => text,
        text if value < 0.0 => format!("−{text}"),
        text => format!("+{text}"),
    }
}

/// Bytes in powers of 1024.
pub(super) fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 999.5 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(scaled < 9.95);
    format!("{scaled:.decimals$} {}", UNITS[unit])
}

/// Multiply-accumulates.
pub(super) fn macs(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.2} G", value / 1e9),
        value if value >= 1e6 => format!("{:.1} M", value / 1e6),
        value if value >= 1e3 => format!("{:.0} k", value / 1e3),
        value => format!("{value:.0}"),
    }
}

/// A rate of a link.
pub(super) fn rate(mbps: f64) -> String {
    match mbps {
        mbps if mbps >= 9999.5 => format!("{:.0} Gb/s", mbps / 1000.0),
        mbps if mbps >= 999.5 => format!("{:.1} Gb/s", mbps / 1000.0),
        mbps if mbps >= 9.95 => format!("{mbps:.0} Mb/s"),
        mbps => format!("{mbps:.1} Mb/s"),
    }
}

/// Cells that `text` takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// `text` in at most `cells` cells, with `…` where something was cut off.
pub fn shorten(text: &str, cells: usize) -> String {
    match cells {
        _ if width(text) <= cells => text.to_owned(),
        0 => String::new(),
        _ => format!("{}…", fitting(text.graphemes(true), cells - 1).concat()),
    }
}

/// The same with the beginning cut off: of long names the end tells most.
pub fn shorten_front(text: &str, cells: usize) -> String {
    match cells {
        _ if width(text) <= cells => text.to_owned(),
        0 => String::new(),
        _ => format!("…{}", end(text, cells - 1)),
    }
}

/// `text` with blanks behind it, to `cells` cells at least.
pub fn padded(text: &str, cells: usize) -> String {
    format!("{text}{}", " ".repeat(cells.saturating_sub(width(text))))
}

/// As much of the end of `text` as `cells` cells hold.
pub(super) fn end(text: &str, cells: usize) -> &str {
    let kept: usize = fitting(text.graphemes(true).rev(), cells).iter().map(|it| it.len()).sum();
    &text[text.len() - kept..]
}

/// The first of these characters as they are drawn, an accent with its letter, that `cells` cells hold.
fn fitting<'a>(graphemes: impl Iterator<Item = &'a str>, cells: usize) -> Vec<&'a str> {
    let mut taken = 0;
    let fits = |grapheme: &&str| {
        taken += width(grapheme);
        taken <= cells
    };
    graphemes.take_while(fits).collect()
}

/// `text` in lines of at most `cells` cells, broken between words; a word that is too long is broken within.
pub(super) fn wrap(text: &str, cells: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= cells => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.extend(pieces(word, cells)),
        }
    }
    lines
}

/// `word` in pieces of at most `cells` cells.
fn pieces(word: &str, cells: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut taken = 0;
    for grapheme in word.graphemes(true) {
        let wide = width(grapheme);
        if taken + wide > cells.max(1) && taken > 0 {
            pieces.push(String::new());
            taken = 0;
        }
        taken += wide;
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(grapheme);
        }
    }
    pieces
}

/// Parts of several spans in lines of at most `cells` cells, `gap` cells between two of a line; no part is broken.
pub(super) fn flow<'a>(parts: Vec<Vec<Span<'a>>>, gap: usize, cells: usize) -> Vec<Line<'a>> {
    let mut lines: Vec<Line> = Vec::new();
    for part in parts {
        let wide: usize = part.iter().map(Span::width).sum();
        match lines.last_mut() {
            Some(line) if line.width() + gap + wide <= cells => {
                line.push_span(Span::raw(" ".repeat(gap)));
                line.extend(part);
            }
            _ => lines.push(Line::from(part)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(thousands(1_234_567), "1\u{2009}234\u{2009}567");
        assert_eq!(thousands(999), "999");
        assert_eq!(ms(110.46), "110.5");
        assert_eq!(ms(12345.67), "12\u{2009}345.7");
        assert_eq!(ms(-99999.96), "−100\u{2009}000.0");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(6 * 1024), "6.0 KiB");
        assert_eq!(bytes(1023 * 1024), "1.0 MiB");
        assert_eq!(bytes(800_000), "781 KiB");
        assert_eq!(signed_percent(-0.021), "−2 %");
        assert_eq!(signed_percent(0.001), "0 %");
        assert_eq!(signed_ms(-0.01), "0.0");
        assert_eq!(signed_ms(-19.1), "−19.1");
        assert_eq!(rate(37.6), "38 Mb/s");
        assert_eq!(rate(2500.0), "2.5 Gb/s");
    }

    #[test]
    fn long_names_are_cut_to_the_cells_there_are() {
        assert_eq!(shorten("efficientnet", 6), "effic…");
        assert_eq!(shorten("网络网络", 5), "网络…");
        assert_eq!(shorten("ab", 0), "");
        assert_eq!(shorten_front("网络网络", 4), "…络");
        assert_eq!(end("ab网", 2), "网");
        assert_eq!(shorten_front("blocks.0.expand", 9), "….expand".replace("….", "…0."));
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a 网络网络 b", 5), ["a", "网络", "网络", "b"].map(String::from).to_vec());
        let parts = ["one", "two", "three"].map(|word| vec![Span::raw(word)]).to_vec();
        let lines: Vec<String> = flow(parts, 2, 8).iter().map(Line::to_string).collect();
        assert_eq!(lines, ["one  two", "three"]);
    }

    proptest! {
        #[test]
        fn what_is_cut_off_never_takes_more_cells_than_there_are(
            text in "([a-c]|网|e\u{301}|❤\u{fe0f}|👩\u{200d}👩\u{200d}👧|\u{200b}| ){0,12}", cells in 0usize..14,
        ) {
            for short in [shorten(&text, cells), shorten_front(&text, cells), end(&text, cells).to_owned()] {
                prop_assert!(width(&short) <= cells, "{short:?} in {cells}");
            }
            // A character may be wider than a line of one cell.
            for line in wrap(&text, cells.max(2)) {
                prop_assert!(width(&line) <= cells.max(2), "{line:?} in {cells}");
            }
        }
    }
}
