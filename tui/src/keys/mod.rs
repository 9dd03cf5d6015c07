//! The one keymap: what each key does, where, and in which words. The footer, the help and the README's
//! table are made from it; nothing else knows a key.

mod chord;
mod map;

use crossterm::event::KeyEvent;

pub use self::chord::Chord;
pub use self::map::KEYMAP;
use crate::screen::{SpeedChange, View};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Show a view.
    View(View),
    /// Show the view after (1) or before (-1) this one.
    Turn(i64),
    /// Move the selection by rows.
    Move(i64),
    /// Move the selection by pages.
    Page(i64),
    /// Select the first row.
    First,
    /// Select the last row.
    Last,
    /// Go in: details, or the moment of a log line.
    Enter,
    /// Go out: close what is open.
    Leave,
    /// Ask for a text that rows must hold.
    Find,
    /// The next order of rows.
    Sort,
    /// Only the next worker's rows.
    OneWorker,
    /// Only lines that matter.
    Severity,
    /// Ask for a mark's name.
    Mark,
    /// Show or hide the help.
    Help,
    /// Leave the program.
    Quit,
    /// Ask for a command in words.
    Command,
    /// Ask for the selected worker's CPU share.
    Throttle,
    /// Give the selected worker all of its CPU.
    Unthrottle,
    /// Freeze or thaw.
    Freeze,
    /// Run the proposal.
    Accept,
    /// Drop the proposal.
    Reject,
    /// Back to the partition before.
    Undo,
    /// Ask for a partition.
    Edit,
    /// Compare the next output.
    Verify,
    /// Pause or resume training.
    Train,
    /// Stop or go on drawing.
    Hold,
    /// Play or pause the replay.
    Toggle,
    /// Seek by seconds.
    Seek(i64),
    /// Step by events.
    Step(i64),
    /// Seek to the moment on the bar after (1) or before (-1).
    Moment(i64),
    /// Change the replay's speed.
    Speed(SpeedChange),
    /// Seek to the start.
    Start,
    /// Seek to the end.
    End,
}

/// Where a key is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a live session and in a replay.
    Everywhere,
    /// While the lab runs.
    Live,
    /// In a replay.
    Replay,
}

impl Scope {
    /// For headings.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Everywhere => "everywhere",
            Scope::Live => "live",
            Scope::Replay => "replay",
        }
    }

    /// The mode that this is not; `Everywhere` counts as live.
    pub fn other(self) -> Self {
        if self == Scope::Replay { Scope::Live } else { Scope::Replay }
    }

    /// Whether it holds in `mode`, which is `Live` or `Replay`.
    pub fn holds_in(self, mode: Scope) -> bool {
        self == Scope::Everywhere || self == mode
    }
}

/// A line of the keymap.
#[derive(Debug)]
pub struct Binding {
    /// Any of these.
    pub chords: &'static [Chord],
    /// Where it is valid.
    pub scope: Scope,
    /// In which views; all if empty.
    pub views: &'static [View],
    /// What it asks for.
    pub action: Action,
    /// A word or two for the footer; empty keeps it out.
    pub short: &'static str,
    /// For the help.
    pub words: &'static str,
    /// Shown in place of the chords, for keys of one kind: `1–5`.
    pub label: &'static str,
}

impl Binding {
    /// Its keys, for people.
    pub fn keys(&self) -> String {
        if !self.label.is_empty() {
            return self.label.to_owned();
        }
        self.chords.iter().map(|chord| chord.label()).collect::<Vec<_>>().join(" ")
    }

    /// Whether it is valid in `view` while `mode`.
    pub fn is_valid(&self, mode: Scope, view: View) -> bool {
        self.scope.holds_in(mode) && (self.views.is_empty() || self.views.contains(&view))
    }
}

/// What `event` asks for in `view` while `mode`, which is `Live` or `Replay`.
pub fn action(event: &KeyEvent, mode: Scope, view: View) -> Option<Action> {
    let valid = KEYMAP.iter().filter(|binding| binding.is_valid(mode, view));
    let mut hit = valid.filter(|binding| binding.chords.iter().any(|chord| chord.matches(event)));
    hit.next().map(|binding| binding.action)
}

/// The keys as a table in Markdown, for the README.
#[cfg(test)]
pub fn markdown() -> String {
    let mut text = String::from("| key | where | what |\n|---|---|---|\n");
    for binding in KEYMAP.iter().filter(|binding| !binding.words.is_empty()) {
        let views: Vec<&str> = binding.views.iter().map(|view| view.name()).collect();
        let place = match (binding.scope, views.is_empty()) {
            (scope, true) => scope.name().to_owned(),
            (Scope::Everywhere, false) => views.join(", "),
            (scope, false) => format!("{}, {}", views.join(", "), scope.name()),
        };
        text.push_str(&format!("| `{}` | {place} | {} |\n", binding.keys(), binding.words));
    }
    text
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    #[test]
    fn no_key_means_two_things_at_one_place() {
        for mode in [Scope::Live, Scope::Replay] {
            for view in View::ALL {
                let mut seen: Vec<(Chord, Action)> = Vec::new();
                for binding in KEYMAP.iter().filter(|binding| binding.is_valid(mode, view)) {
                    for chord in binding.chords {
                        let before = seen.iter().find(|(other, _)| other == chord);
                        assert_eq!(before, None, "{} twice in {view:?}", chord.label());
                        seen.push((*chord, binding.action));
                    }
                }
            }
        }
    }

    #[test]
    fn every_key_of_the_map_is_found_by_its_own_event() {
        for binding in KEYMAP {
            let mode = if binding.scope == Scope::Replay { Scope::Replay } else { Scope::Live };
            let view = binding.views.first().copied().unwrap_or(View::Overview);
            for chord in binding.chords {
                let event = KeyEvent::new(chord.code, chord.modifiers);
                assert_eq!(action(&event, mode, view), Some(binding.action), "{}", chord.label());
            }
        }
        let capital = KeyEvent::new(KeyCode::Char('T'), KeyModifiers::SHIFT);
        assert_eq!(action(&capital, Scope::Live, View::Overview), Some(Action::Unthrottle));
        let control = KeyEvent::new(KeyCode::Char('t'), KeyModifiers::CONTROL);
        assert_eq!(action(&control, Scope::Live, View::Overview), None);
    }

    #[test]
    fn every_action_is_explained_by_some_line_of_the_help() {
        let explained = |binding: &Binding| {
            let kind = std::mem::discriminant(&binding.action);
            KEYMAP
                .iter()
                .any(|other| !other.words.is_empty() && std::mem::discriminant(&other.action) == kind)
        };
        for binding in KEYMAP.iter().filter(|binding| binding.action != Action::First) {
            assert!(explained(binding) || binding.action == Action::Start, "{}", binding.keys());
        }
    }

    #[test]
    fn the_readme_table_is_made_from_the_keymap() {
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(&markdown()), "paste this table into README.md:\n{}", markdown());
    }
}
