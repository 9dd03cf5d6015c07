//! The one keymap: what each key does, where, and in which words. The footer, the help and the README's
//! table are made from it; nothing else knows a key.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

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

/// A key with its modifiers. `SHIFT` is not looked at where the character already says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
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

const fn char(character: char) -> Chord {
    Chord { code: KeyCode::Char(character), modifiers: KeyModifiers::NONE }
}

const fn key(code: KeyCode) -> Chord {
    Chord { code, modifiers: KeyModifiers::NONE }
}

const fn shift(code: KeyCode) -> Chord {
    Chord { code, modifiers: KeyModifiers::SHIFT }
}

const fn line(
    chords: &'static [Chord],
    scope: Scope,
    views: &'static [View],
    action: Action,
    short: &'static str,
    words: &'static str,
) -> Binding {
    Binding { chords, scope, views, action, short, words, label: "" }
}

const fn labelled(label: &'static str, binding: Binding) -> Binding {
    Binding { label, ..binding }
}

use Scope::{Everywhere, Live, Replay};

const LISTS: &[View] = &[View::Layers, View::Log];
const OVERVIEW: &[View] = &[View::Overview];
const LAYERS: &[View] = &[View::Layers];
const LOG: &[View] = &[View::Log];

/// The keymap, in the order in which it is shown.
pub const KEYMAP: &[Binding] = &[
    labelled("1–5", line(&[char('1')], Everywhere, &[], Action::View(View::Overview), "", "show a view")),
    line(&[char('2')], Everywhere, &[], Action::View(View::Layers), "", ""),
    line(&[char('3')], Everywhere, &[], Action::View(View::Partition), "", ""),
    line(&[char('4')], Everywhere, &[], Action::View(View::Training), "", ""),
    line(&[char('5')], Everywhere, &[], Action::View(View::Log), "", ""),
    line(&[key(KeyCode::Tab)], Everywhere, &[], Action::Turn(1), "", "next view"),
    line(&[shift(KeyCode::BackTab)], Everywhere, &[], Action::Turn(-1), "", "previous view"),
    line(&[key(KeyCode::Up), char('k')], Everywhere, &[], Action::Move(-1), "", ""),
    labelled(
        "↑↓ jk",
        line(&[key(KeyCode::Down), char('j')], Everywhere, &[], Action::Move(1), "select", "select a row"),
    ),
    line(&[key(KeyCode::PageUp)], Everywhere, &[], Action::Page(-1), "", ""),
    labelled(
        "PgUp PgDn",
        line(&[key(KeyCode::PageDown)], Everywhere, &[], Action::Page(1), "", "a page up or down"),
    ),
    line(&[key(KeyCode::Home)], Everywhere, &[], Action::First, "", ""),
    labelled("Home End", line(&[key(KeyCode::End)], Everywhere, &[], Action::Last, "", "first or last row")),
    line(&[key(KeyCode::Enter)], Everywhere, OVERVIEW, Action::Enter, "details", "a worker's details"),
    line(&[key(KeyCode::Enter)], Replay, LOG, Action::Enter, "go there", "seek to a log line's moment"),
    line(&[key(KeyCode::Esc)], Everywhere, &[], Action::Leave, "", "close what is open, clear filters"),
    line(&[char('t')], Live, &[], Action::Throttle, "throttle", "throttle the selected worker"),
    line(&[char('T')], Live, &[], Action::Unthrottle, "", "give it all of its CPU again"),
    line(&[char('a')], Live, &[], Action::Accept, "accept", "accept the proposal"),
    line(&[char('x')], Live, &[], Action::Reject, "reject", "reject the proposal"),
    line(&[char('u')], Live, &[], Action::Undo, "undo", "back to the partition before"),
    line(&[char('f')], Live, &[], Action::Freeze, "freeze", "freeze, or thaw: no proposal is applied"),
    line(&[char('e')], Live, &[], Action::Edit, "edit", "edit blocks and rows"),
    line(&[char('v')], Live, &[], Action::Verify, "verify", "compare the next output with one device's"),
    line(&[char('b')], Live, &[], Action::Train, "", "pause or resume training"),
    line(&[char(' ')], Live, &[], Action::Hold, "hold", "hold the drawing, the lab runs on"),
    line(&[char(' ')], Replay, &[], Action::Toggle, "play", "play or pause"),
    line(&[key(KeyCode::Left)], Replay, &[], Action::Seek(-1), "", ""),
    labelled("←→", line(&[key(KeyCode::Right)], Replay, &[], Action::Seek(1), "1 s", "a second back or on")),
    line(&[shift(KeyCode::Left)], Replay, &[], Action::Seek(-10), "", ""),
    labelled(
        "⇧← ⇧→",
        line(&[shift(KeyCode::Right)], Replay, &[], Action::Seek(10), "10 s", "ten seconds back or on"),
    ),
    line(&[char(',')], Replay, &[], Action::Step(-1), "", ""),
    labelled(", .", line(&[char('.')], Replay, &[], Action::Step(1), "event", "an event back or on")),
    line(&[char('[')], Replay, &[], Action::Moment(-1), "", ""),
    labelled(
        "[ ]",
        line(&[char(']')], Replay, &[], Action::Moment(1), "mark", "previous or next moment on the bar"),
    ),
    line(&[char('-')], Replay, &[], Action::Speed(SpeedChange::Halve), "", ""),
    line(&[char('+')], Replay, &[], Action::Speed(SpeedChange::Double), "", ""),
    labelled(
        "- + =",
        line(
            &[char('=')],
            Replay,
            &[],
            Action::Speed(SpeedChange::One),
            "speed",
            "half, double, normal speed",
        ),
    ),
    line(&[char('g')], Replay, &[], Action::Start, "", ""),
    labelled("g G", line(&[char('G')], Replay, &[], Action::End, "ends", "to the start or the end")),
    line(&[char('/')], Everywhere, LISTS, Action::Find, "find", "only rows that hold a text"),
    line(&[char('s')], Everywhere, LAYERS, Action::Sort, "sort", "next order: layer, time, error, worker"),
    line(&[char('d')], Everywhere, LAYERS, Action::OneWorker, "worker", "one worker's layers only"),
    line(&[char('w')], Everywhere, LOG, Action::Severity, "severity", "warnings and errors only, or all"),
    line(&[char('m')], Live, &[], Action::Mark, "mark", "name this moment"),
    line(&[char(':')], Everywhere, &[], Action::Command, "command", "a command in words; Tab completes"),
    line(&[char('?'), key(KeyCode::F(1))], Everywhere, &[], Action::Help, "help", "this help"),
    line(
        &[char('q'), Chord { code: KeyCode::Char('c'), modifiers: KeyModifiers::CONTROL }],
        Everywhere,
        &[],
        Action::Quit,
        "quit",
        "leave",
    ),
];

impl Chord {
    fn matches(self, event: &KeyEvent) -> bool {
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
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&markdown()), "paste this table into README.md:\n{}", markdown());
    }
}
