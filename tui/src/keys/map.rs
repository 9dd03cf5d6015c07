//! The table of keys.

use crossterm::event::KeyCode;

use super::Scope::{Everywhere, Live, Replay};
use super::chord::{Chord, char, control, key, shift};
use super::{Action, Binding, Scope};
use crate::screen::{SpeedChange, View};

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
    line(&[char('q'), control('c')], Everywhere, &[], Action::Quit, "quit", "leave"),
];
