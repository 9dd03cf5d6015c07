//! A key as it is pressed and as it is printed on keyboards.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers. `SHIFT` is not looked at where the character already says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    pub(super) code: KeyCode,
    pub(super) modifiers: KeyModifiers,
}

/// A character.
pub(super) const fn char(character: char) -> Chord {
    key(KeyCode::Char(character))
}

/// A key alone.
pub(super) const fn key(code: KeyCode) -> Chord {
    Chord { code, modifiers: KeyModifiers::NONE }
}

/// A key with Shift.
pub(super) const fn shift(code: KeyCode) -> Chord {
    Chord { code, modifiers: KeyModifiers::SHIFT }
}

/// A character with Control.
pub(super) const fn control(character: char) -> Chord {
    Chord { code: KeyCode::Char(character), modifiers: KeyModifiers::CONTROL }
}

impl Chord {
    /// Whether it is what was pressed.
    pub fn matches(self, event: &KeyEvent) -> bool {
        let relevant = match self.code {
            KeyCode::Char(_) => KeyModifiers::CONTROL | KeyModifiers::ALT,
            KeyCode::BackTab => KeyModifiers::NONE,
            _ => KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT,
        };
        event.code == self.code && event.modifiers & relevant == self.modifiers & relevant
    }

    /// As it is printed on keyboards.
    pub fn label(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(character) if self.modifiers.contains(KeyModifiers::CONTROL) => {
                return format!("^{}", character.to_ascii_uppercase());
            }
            KeyCode::Char(character) => return character.to_string(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::BackTab => "Tab".to_owned(),
            KeyCode::F(number) => format!("F{number}"),
            code => format!("{code:?}"),
        };
        if self.modifiers.contains(KeyModifiers::SHIFT) { format!("⇧{name}") } else { name }
    }
}
