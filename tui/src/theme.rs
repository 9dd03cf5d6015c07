//! Colours and how the screen does without them. Owns no glyphs: form says what colour only repeats.
//!
//! Workers have the colours of Okabe and Ito, which people with any colour vision can tell apart; darker ones of the same
//! hues where the terminal says that its background is light. Without colours (`NO_COLOR`) only bold, dim and reversed are
//! used.

use collab_core::id::WorkerId;
use ratatui::style::{Color, Modifier, Style};

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 24 bits.
    True,
    /// The 256 colours of xterm.
    Indexed,
    /// None.
    Mono,
}

/// What the terminal draws on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// Black or nearly so; taken for granted where the terminal does not say.
    Dark,
    /// White or nearly so.
    Light,
}

/// What things look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// How many colours there are.
    pub depth: Depth,
    /// What they must be read on.
    pub background: Background,
}

/// A colour, and the nearest of xterm's.
type Ink = (u32, u8);

/// A colour as it is read on a dark background, and on a light one.
#[derive(Clone, Copy)]
struct Hue {
    dark: Ink,
    light: Ink,
}

const fn hue(dark: Ink, light: Ink) -> Hue {
    Hue { dark, light }
}

const DIM: Hue = hue((0x8b919c, 245), (0x5f6672, 241));
const LINE: Hue = hue((0x4d535e, 240), (0xb4bac4, 249));
const ACCENT: Hue = hue((0xb49cff, 141), (0x6a3fd0, 56));
const WARNING: Hue = hue((0xffd75f, 221), (0x8a6100, 94));
const ERROR: Hue = hue((0xff6f61, 203), (0xc0271a, 124));
const GOOD: Hue = hue((0x5fd7a0, 79), (0x0b7a4b, 29));

/// Okabe and Ito's colours, blue lightened so that it reads on black; and the xterm indices of a shade of each for areas,
/// nearer to the background.
const WORKERS: [(Hue, u8, u8); 8] = [
    (hue((0x56b4e9, 74), (0x0072b2, 25)), 24, 117),
    (hue((0xe69f00, 178), (0x9a6700, 94)), 94, 222),
    (hue((0x00b383, 36), (0x00735a, 29)), 23, 115),
    (hue((0xcc79a7, 175), (0xa23f7d, 132)), 96, 218),
    (hue((0xf0e442, 227), (0x716700, 58)), 100, 229),
    (hue((0xd55e00, 166), (0xb34700, 130)), 52, 216),
    (hue((0x4a90d9, 68), (0x2f5fa8, 61)), 18, 111),
    (hue((0xb0b0b0, 249), (0x606060, 241)), 240, 252),
];

impl Theme {
    /// With so many colours, on a dark background.
    pub const fn new(depth: Depth) -> Self {
        Self { depth, background: Background::Dark }
    }

    /// From the environment: `NO_COLOR` (any value but the empty one), `COLORTERM`, `TERM`, `COLORFGBG`.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str, wanted: &[&str]| {
            variable(name).is_some_and(|value| wanted.iter().any(|part| value.contains(part)))
        };
        let depth = if variable("NO_COLOR").is_some_and(|value| !value.is_empty()) || is("TERM", &["dumb"]) {
            Depth::Mono
        } else if is("COLORTERM", &["truecolor", "24bit"]) || is("TERM", &["direct", "kitty", "ghostty"]) {
            Depth::True
        } else {
            Depth::Indexed
        };
        // `15;0` or `0;default;15`: the last is the background, of the sixteen colours of old.
        let behind = variable("COLORFGBG").and_then(|value| value.rsplit(';').next()?.parse().ok());
        let is_light = behind.is_some_and(|index: u8| index == 7 || (9..=15).contains(&index));
        let theme = Self::new(depth);
        if is_light { Self { background: Background::Light, ..theme } } else { theme }
    }

    fn fg(self, (rgb, index): Ink) -> Style {
        match self.depth {
            Depth::True => Style::new().fg(rgb_color(rgb)),
            Depth::Indexed => Style::new().fg(Color::Indexed(index)),
            Depth::Mono => Style::new(),
        }
    }

    fn of(self, hue: Hue) -> Style {
        match self.background {
            Background::Dark => self.fg(hue.dark),
            Background::Light => self.fg(hue.light),
        }
    }

    /// Plain text.
    pub fn text(self) -> Style {
        Style::new()
    }

    /// What matters most in a line.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Labels, units, explanations.
    pub fn dim(self) -> Style {
        match self.depth {
            Depth::Mono => Style::new().add_modifier(Modifier::DIM),
            _ => self.of(DIM),
        }
    }

    /// Borders, rules, axes.
    pub fn line(self) -> Style {
        match self.depth {
            Depth::Mono => Style::new().add_modifier(Modifier::DIM),
            _ => self.of(LINE),
        }
    }

    /// What has the focus: the tab that is open, keys, the prompt.
    pub fn accent(self) -> Style {
        self.of(ACCENT).add_modifier(Modifier::BOLD)
    }

    /// `▲`: look here.
    pub fn warning(self) -> Style {
        self.of(WARNING).add_modifier(Modifier::BOLD)
    }

    /// Something failed.
    pub fn error(self) -> Style {
        self.of(ERROR).add_modifier(Modifier::BOLD)
    }

    /// Something is as promised.
    pub fn good(self) -> Style {
        self.of(GOOD)
    }

    /// A worker's colour.
    pub fn worker(self, worker: WorkerId) -> Style {
        self.of(WORKERS[worker.index() % WORKERS.len()].0)
    }

    /// A worker's colour for large areas: nearer to the background, so that they do not outshine everything else.
    pub fn worker_area(self, worker: WorkerId) -> Style {
        let (Hue { dark: (rgb, _), .. }, on_dark, on_light) = WORKERS[worker.index() % WORKERS.len()];
        let (behind, index) = match self.background {
            Background::Dark => (0x00, on_dark),
            Background::Light => (0xff, on_light),
        };
        let nearer = |shift: u32| (((rgb >> shift & 0xff) * 45 + behind * 55) / 100) << shift;
        self.fg((nearer(16) | nearer(8) | nearer(0), index))
    }

    /// Adds what marks a selection whatever the colours.
    pub fn selected(self, style: Style) -> Style {
        style.add_modifier(Modifier::REVERSED)
    }

    /// A pixel's colour; `None` without colours.
    pub fn pixel(self, [r, g, b]: [u8; 3]) -> Option<Color> {
        match self.depth {
            Depth::True => Some(Color::Rgb(r, g, b)),
            Depth::Indexed => {
                let level = |value: u8| (u16::from(value) * 5 + 127) / 255;
                Some(Color::Indexed((16 + 36 * level(r) + 6 * level(g) + level(b)) as u8))
            }
            Depth::Mono => None,
        }
    }
}

fn rgb_color(rgb: u32) -> Color {
    Color::Rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theme(set: &[(&str, &str)]) -> Depth {
        let variable =
            |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Theme::from_env(variable).depth
    }

    #[test]
    fn the_environment_says_how_many_colours_there_are() {
        assert_eq!(theme(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(theme(&[("TERM", "xterm-256color")]), Depth::Indexed);
        assert_eq!(theme(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Depth::Mono);
        assert_eq!(theme(&[("COLORTERM", "truecolor"), ("NO_COLOR", "")]), Depth::True);
    }

    #[test]
    fn words_are_read_on_the_background_that_the_terminal_says_it_has() {
        let background = |value: &str| {
            let variable = |name: &str| (name == "COLORFGBG").then(|| value.to_owned());
            Theme::from_env(variable).background
        };
        assert_eq!(["15;0", "7;default;8", "odd", ""].map(background), [Background::Dark; 4]);
        assert_eq!(["0;15", "0;default;7"].map(background), [Background::Light; 2]);
        // As WCAG has it: relative luminances, and words readable from 4.5 on.
        let luminance = |rgb: u32| {
            let part = |shift: u32| {
                let value = f64::from(rgb >> shift & 0xff) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
        };
        let words = [DIM, ACCENT, WARNING, ERROR, GOOD].into_iter().chain(WORKERS.map(|worker| worker.0));
        for hue in words {
            let (on_black, on_white) = (luminance(hue.dark.0), luminance(hue.light.0));
            assert!((on_black + 0.05) / 0.05 >= 4.5, "{:06x} on black", hue.dark.0);
            assert!(1.05 / (on_white + 0.05) >= 4.5, "{:06x} on white", hue.light.0);
        }
    }

    #[test]
    fn without_colours_no_style_has_one() {
        let theme = Theme::new(Depth::Mono);
        let workers = (0..10).map(|at| theme.worker(WorkerId::at(at)));
        let others =
            [theme.dim(), theme.line(), theme.accent(), theme.warning(), theme.error(), theme.good()];
        assert!(workers.chain(others).all(|style| style.fg.is_none() && style.bg.is_none()));
        assert!(theme.selected(theme.text()).add_modifier.contains(Modifier::REVERSED));
    }
}
