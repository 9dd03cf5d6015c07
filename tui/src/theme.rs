//! Colours and how the screen does without them. Owns no glyphs: form says what colour only repeats.
//!
//! Workers have the colours of Okabe and Ito, which people with any colour vision can tell apart. Without
//! colours (`NO_COLOR`) only bold, dim and reversed are used.

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

/// What things look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// How many colours there are.
    pub depth: Depth,
}

/// Okabe and Ito's colours, blue lightened so that it reads on black; with their nearest xterm index, and
/// the index of a darker shade.
const WORKERS: [(u32, u8, u8); 8] = [
    (0x56b4e9, 74, 24),
    (0xe69f00, 178, 94),
    (0x00b383, 36, 23),
    (0xcc79a7, 175, 96),
    (0xf0e442, 227, 100),
    (0xd55e00, 166, 52),
    (0x4a90d9, 68, 18),
    (0xb0b0b0, 249, 240),
];

impl Theme {
    /// From the environment: `NO_COLOR` (any value but the empty one), `COLORTERM`, `TERM`.
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
        Self { depth }
    }

    fn fg(self, rgb: u32, index: u8) -> Style {
        match self.depth {
            Depth::True => Style::new().fg(rgb_color(rgb)),
            Depth::Indexed => Style::new().fg(Color::Indexed(index)),
            Depth::Mono => Style::new(),
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
            _ => self.fg(0x8b919c, 245),
        }
    }

    /// Borders, rules, axes.
    pub fn line(self) -> Style {
        match self.depth {
            Depth::Mono => Style::new().add_modifier(Modifier::DIM),
            _ => self.fg(0x4d535e, 240),
        }
    }

    /// What has the focus: the tab that is open, keys, the prompt.
    pub fn accent(self) -> Style {
        self.fg(0xb49cff, 141).add_modifier(Modifier::BOLD)
    }

    /// `▲`: look here.
    pub fn warning(self) -> Style {
        self.fg(0xffd75f, 221).add_modifier(Modifier::BOLD)
    }

    /// Something failed.
    pub fn error(self) -> Style {
        self.fg(0xff6f61, 203).add_modifier(Modifier::BOLD)
    }

    /// Something is as promised.
    pub fn good(self) -> Style {
        self.fg(0x5fd7a0, 79)
    }

    /// A worker's colour.
    pub fn worker(self, worker: WorkerId) -> Style {
        let (rgb, index, _) = WORKERS[worker.index() % WORKERS.len()];
        self.fg(rgb, index)
    }

    /// A worker's colour for large areas: darker, so that they do not outshine everything else.
    pub fn worker_area(self, worker: WorkerId) -> Style {
        let (rgb, _, index) = WORKERS[worker.index() % WORKERS.len()];
        let darker = |shift: u32| ((rgb >> shift & 0xff) * 45 / 100) << shift;
        self.fg(darker(16) | darker(8) | darker(0), index)
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
    fn without_colours_no_style_has_one() {
        let theme = Theme { depth: Depth::Mono };
        let workers = (0..10).map(|at| theme.worker(WorkerId::at(at)));
        let others =
            [theme.dim(), theme.line(), theme.accent(), theme.warning(), theme.error(), theme.good()];
        assert!(workers.chain(others).all(|style| style.fg.is_none() && style.bg.is_none()));
        assert!(theme.selected(theme.text()).add_modifier.contains(Modifier::REVERSED));
    }
}
