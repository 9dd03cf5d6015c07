//! The last line: the keys that are valid now, or a line of input, or a sentence for the operator.

use collab_core::command::Settled;
use collab_core::lab::Progress;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::ui::{Ask, Prompt};
use super::{Scene, View, preview, text, words};
use crate::keys::{Action, Binding, KEYMAP, Scope};

/// How long a refusal stands in the last line, s of the session.
const REFUSAL_SECONDS: f64 = 8.0;

/// How a key is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shade {
    Bright,
    Grey,
    Hidden,
}

/// Draws the last line; returns where the cursor is if something is being typed.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) -> Option<Position> {
    if let Some(prompt) = &scene.ui.prompt {
        return Some(draw_prompt(scene, prompt, area, buf));
    }
    if let Some(sentence) = scene.ui.message.clone().or_else(|| refusal(scene)) {
        let line = Line::from(vec![
            Span::styled(" ▲ ", scene.theme.warning()),
            Span::styled(text::shorten(&sentence, usize::from(area.width) - 4), scene.theme.text()),
        ]);
        buf.set_line(area.x, area.y, &line, area.width);
        return None;
    }
    let mut x = area.x + 1;
    for binding in KEYMAP.iter().filter(|binding| !binding.short.is_empty()) {
        let shade = shade(scene, binding);
        if shade == Shade::Hidden {
            continue;
        }
        let keys = binding.chords.first().map_or_else(String::new, |chord| chord.label());
        let keys = if binding.label.is_empty() { keys } else { binding.label.replace(" jk", "") };
        let word = word(scene, binding);
        let wide = (text::width(&keys) + 1 + word.len()) as u16;
        if x + wide >= area.right() {
            continue;
        }
        let (key, rest) = match shade {
            Shade::Bright => (scene.theme.accent(), scene.theme.dim()),
            _ => (scene.theme.line(), scene.theme.line()),
        };
        let line = Line::from(vec![Span::styled(keys, key), Span::raw(" "), Span::styled(word, rest)]);
        buf.set_line(x, area.y, &line, wide);
        x += wide + 2;
    }
    None
}

/// The footer's word, where it depends on the state.
fn word(scene: &Scene, binding: &Binding) -> &'static str {
    match binding.action {
        Action::Move(_) if scene.ui.help => "scroll",
        Action::Freeze if scene.lab.frozen => "thaw",
        Action::Hold if scene.ui.held.is_some() => "go on",
        Action::Toggle if scene.shown.playback.as_ref().is_some_and(|playback| playback.playing) => "pause",
        _ => binding.short,
    }
}

fn shade(scene: &Scene, binding: &Binding) -> Shade {
    // Under the help every other key only closes it.
    if scene.ui.help && !matches!(binding.action, Action::Move(_)) {
        return Shade::Hidden;
    }
    if !binding.is_valid(scene.mode(), scene.ui.view) || matches!(binding.action, Action::Quit | Action::Help)
    {
        return Shade::Hidden;
    }
    let is_verb = binding.scope == Scope::Live && binding.action != Action::Hold;
    let is_move = binding.scope == Scope::Replay;
    let is_following = scene.shown.playback.as_ref().is_some_and(|playback| playback.following);
    if (is_verb && scene.lab.session.read_only) || (is_move && is_following) {
        return Shade::Grey;
    }
    match binding.action {
        // There are no rows to be seen selected.
        Action::Move(_) if scene.ui.view == View::Training && !scene.ui.help => Shade::Hidden,
        Action::Accept | Action::Reject if scene.lab.offered().is_none() => Shade::Hidden,
        Action::Undo if scene.lab.past.is_empty() => Shade::Hidden,
        Action::Throttle if scene.lab.workers.is_empty() => Shade::Hidden,
        Action::Edit | Action::Verify | Action::Freeze if scene.lab.current.is_none() => Shade::Hidden,
        _ => Shade::Bright,
    }
}

/// The last command, if it was refused a moment ago.
fn refusal(scene: &Scene) -> Option<String> {
    let command = scene.lab.commands.back()?;
    let Progress::Settled(Settled::Refused(reason)) = &command.progress else { return None };
    let age = (scene.lab.now - command.settled_at?).secs();
    (age < REFUSAL_SECONDS).then(|| format!("{}: {reason}", command.verb))
}

fn draw_prompt(scene: &Scene, prompt: &Prompt, area: Rect, buf: &mut Buffer) -> Position {
    let theme = scene.theme;
    let sign = match prompt.ask {
        Ask::Command => ":",
        Ask::Find => "/",
    };
    buf.set_string(area.x + 1, area.y, sign, theme.accent());
    let remark = match (&prompt.error, prompt.ask) {
        (Some(error), _) => Some((format!("▲ {error}"), theme.warning())),
        (None, Ask::Command) => match preview::of_edit(&prompt.text, scene.lab) {
            Some(Ok(predicted)) => Some((predicted, theme.strong())),
            Some(Err(sentence)) => Some((sentence, theme.dim())),
            None => words::hint(&prompt.text).map(|hint| (hint.to_owned(), theme.dim())),
        },
        (None, Ask::Find) => Some(("Enter keeps it, Esc clears it".to_owned(), theme.dim())),
    };
    // What is said of a long text stays, and the text is shown around the cursor.
    let all = usize::from(area.width) - 4;
    let kept = remark.as_ref().map_or(0, |(remark, _)| text::width(remark) + 3).min(all / 2);
    let room = all - kept;
    let (typed, after) = prompt.around_cursor();
    let typed = text::end(typed, room - 1);
    let (end, _) = buf.set_stringn(area.x + 2, area.y, format!("{typed}{after}"), room, theme.text());
    // The cursor stands behind what is offered, all of which typing replaces.
    let offered = prompt.offered as u16;
    buf.set_style(Rect { x: end - offered, width: offered, height: 1, ..area }, theme.selected(theme.text()));
    if let Some((remark, style)) = remark {
        let room = usize::from(area.right().saturating_sub(end + 4));
        buf.set_string(end + 3, area.y, text::shorten(&remark, room), style);
    }
    Position::new(area.x + 2 + text::width(typed) as u16, area.y)
}
