//! From key presses and the mouse to what changes on the screen and what the program is asked for.

use collab_core::command::Verb;
use collab_core::id::WorkerId;
use collab_core::lab::Lab;
use collab_core::time::Micros;
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::log;
use super::request::{self, PlaybackRequest, Request};
use super::ui::{Ask, Prompt, Target, Ui, View};
use super::words::{self, Context};
use crate::keys::{self, Action, Scope};
use crate::stage::Shown;

/// CPU shares that `t` offers one after the other, %.
const SHARES: [f64; 3] = [100.0, 60.0, 30.0];

/// Live or replay.
pub(super) fn mode(shown: &Shown) -> Scope {
    if shown.playback.is_some() { Scope::Replay } else { Scope::Live }
}

/// Whether an event changes nothing whatever the state: the mouse merely moves, a key is let go.
pub(super) fn is_idle(event: &Event) -> bool {
    match event {
        Event::Mouse(mouse) => mouse.kind == MouseEventKind::Moved,
        Event::Key(key) => key.kind == KeyEventKind::Release,
        Event::FocusGained | Event::FocusLost => true,
        _ => false,
    }
}

/// Takes an event of the terminal into account.
pub(super) fn handle(event: &Event, ui: &mut Ui, shown: &Shown) -> Option<Request> {
    match event {
        Event::Key(key) => press(key, ui, shown),
        Event::Mouse(mouse) => point(mouse, ui, shown),
        Event::Paste(text) => {
            let prompt = ui.prompt.as_mut()?;
            text.chars().filter(|character| !character.is_control()).for_each(|it| prompt.insert(it));
            follow_search(ui);
            None
        }
        _ => None,
    }
}

fn press(key: &KeyEvent, ui: &mut Ui, shown: &Shown) -> Option<Request> {
    ui.message = None;
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    if ui.prompt.is_some() && !is_interrupt {
        return type_key(key, ui, shown);
    }
    let mode = mode(shown);
    match keys::action(key, mode, ui.view) {
        Some(action) => act(action, ui, shown),
        None => {
            // A key of the other mode is answered with why it does nothing.
            ui.message =
                keys::action(key, mode.other(), ui.view).map(|_| request::out_of_place(mode).to_owned());
            None
        }
    }
}

/// While the help is open: it is read, left, or the program is.
fn read_help(action: Action, ui: &mut Ui) -> Option<Request> {
    let (page, end) = (ui.hits.page as i64, ui.hits.rows.saturating_sub(ui.hits.page));
    let moved = |by: i64| ui.help_line.saturating_add_signed(by as isize).min(end);
    match action {
        Action::Move(by) => ui.help_line = moved(by),
        Action::Page(by) => ui.help_line = moved(by * page),
        Action::First => ui.help_line = 0,
        Action::Last => ui.help_line = end,
        Action::Quit => return Some(Request::Quit),
        _ => ui.help = false,
    }
    None
}

fn act(action: Action, ui: &mut Ui, shown: &Shown) -> Option<Request> {
    if ui.help {
        return read_help(action, ui);
    }
    let lab = &shown.lab;
    let many = 1_000_000;
    match action {
        Action::View(view) => ui.view = view,
        Action::Turn(by) => ui.view = ui.view.turned(by),
        Action::Move(by) => ui.select(by, lab),
        Action::Page(by) => ui.select(by * ui.hits.page.max(2) as i64 - by.signum(), lab),
        Action::First => ui.select(-many, lab),
        Action::Last => ui.select(many, lab),
        Action::Enter => return enter(ui, shown),
        Action::Leave => ui.leave(),
        Action::Find => {
            let text = ui.find().map(|text| text.clone()).unwrap_or_default();
            ui.prompt = Some(Prompt::new(Ask::Find, &text));
        }
        Action::Sort => ui.sort = ui.sort.next(),
        Action::OneWorker => {
            let next = ui.one_worker.map_or(0, |worker| worker.index() + 1);
            ui.one_worker = (next < lab.workers.len()).then(|| WorkerId::at(next));
            ui.layer = 0;
        }
        Action::Severity => {
            ui.severe = !ui.severe;
            ui.line = None;
        }
        Action::Help => {
            ui.help = true;
            ui.help_line = 0;
        }
        Action::Hold => ui.held = if ui.held.is_some() { None } else { Some(Box::new(lab.clone())) },
        Action::Command => ask(ui, ""),
        Action::Mark => ask(ui, "mark "),
        Action::Throttle => {
            let now = selected(ui, lab)?;
            let asked = lab.worker(now)?.throttle.asked;
            let next = SHARES.into_iter().find(|share| *share < asked - 0.5).unwrap_or(SHARES[0]);
            let text = words::words_of(&Verb::Throttle { worker: now, percent: next });
            ui.prompt = Some(Prompt::offering(Ask::Command, &text));
        }
        Action::Edit => {
            let plan = lab.offered().or(lab.running()).map(|known| known.plan.to_string());
            ask(ui, &words::words_of(&Verb::Edit { partition: plan.unwrap_or_default() }));
        }
        _ => return requested(action, ui, shown),
    }
    None
}

/// The request that an action is.
fn requested(action: Action, ui: &Ui, shown: &Shown) -> Option<Request> {
    let playback = |request| Some(Request::Playback(request));
    let verb = match action {
        Action::Unthrottle => Verb::Throttle { worker: selected(ui, &shown.lab)?, percent: 100.0 },
        Action::Freeze if shown.lab.frozen => Verb::Thaw,
        Action::Freeze => Verb::Freeze,
        Action::Train if shown.lab.training.paused => Verb::ResumeTraining,
        Action::Train => Verb::PauseTraining,
        Action::Accept => Verb::Accept,
        Action::Reject => Verb::Reject { reason: String::new() },
        Action::Undo => Verb::Undo,
        Action::Verify => Verb::Verify,
        Action::Quit => return Some(Request::Quit),
        Action::Toggle => return playback(PlaybackRequest::Toggle),
        Action::Seek(seconds) => return playback(PlaybackRequest::SeekBy(seconds as f64)),
        Action::Step(by) => return playback(PlaybackRequest::Step(by)),
        Action::Moment(by) => return playback(PlaybackRequest::Moment(by)),
        Action::Speed(change) => return playback(PlaybackRequest::Speed(change)),
        Action::Start => return playback(PlaybackRequest::Start),
        Action::End => return playback(PlaybackRequest::End),
        _ => return None,
    };
    Some(Request::Verb(verb))
}

fn selected(ui: &Ui, lab: &Lab) -> Option<WorkerId> {
    (ui.worker < lab.workers.len()).then(|| WorkerId::at(ui.worker))
}

fn ask(ui: &mut Ui, text: &str) {
    ui.prompt = Some(Prompt::new(Ask::Command, text));
}

fn enter(ui: &mut Ui, shown: &Shown) -> Option<Request> {
    match ui.view {
        View::Overview => {
            ui.detail = !ui.detail;
            None
        }
        View::Log => {
            let at = log::selected(ui, ui.lab(shown)).map(|line| line.at)?;
            Some(Request::Playback(PlaybackRequest::SeekTo(at)))
        }
        _ => None,
    }
}

fn type_key(key: &KeyEvent, ui: &mut Ui, shown: &Shown) -> Option<Request> {
    let prompt = ui.prompt.as_mut()?;
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Esc => close_prompt(ui),
        KeyCode::Enter => return submit(ui, shown),
        KeyCode::Backspace if prompt.text.is_empty() => close_prompt(ui),
        KeyCode::Backspace => prompt.delete(),
        KeyCode::Delete => prompt.delete_next(),
        KeyCode::Char('w') if control => prompt.delete_word(),
        KeyCode::Char('u') if control => *prompt = Prompt::new(prompt.ask, ""),
        KeyCode::Left => prompt.step(-1),
        KeyCode::Right => prompt.step(1),
        KeyCode::Home => prompt.step(i64::MIN),
        KeyCode::End => prompt.step(i64::MAX),
        KeyCode::Tab if prompt.ask == Ask::Command => prompt.complete(&shown.lab),
        KeyCode::Char(character) if !control && !key.modifiers.contains(KeyModifiers::ALT) => {
            prompt.insert(character);
        }
        _ => {}
    }
    follow_search(ui);
    None
}

/// Rows follow a search while it is typed.
fn follow_search(ui: &mut Ui) {
    if let Some(Prompt { ask: Ask::Find, text, .. }) = &ui.prompt {
        let text = text.clone();
        find(ui, text);
    }
}

/// Esc in a search gives it up; in a command it does nothing else than close.
fn close_prompt(ui: &mut Ui) {
    if ui.prompt.take().is_some_and(|prompt| prompt.ask == Ask::Find) {
        find(ui, String::new());
    }
}

fn find(ui: &mut Ui, text: String) {
    if let Some(slot) = ui.find() {
        *slot = text;
    }
    ui.layer = 0;
    ui.line = None;
}

fn submit(ui: &mut Ui, shown: &Shown) -> Option<Request> {
    let mut prompt = ui.prompt.take()?;
    if prompt.ask == Ask::Find || prompt.text.trim().is_empty() {
        return None;
    }
    let context = Context { workers: shown.lab.workers.len(), network: shown.lab.network.as_deref() };
    match words::parse(&prompt.text, context) {
        Ok(request) => Some(request),
        Err(sentence) => {
            prompt.error = Some(sentence);
            ui.prompt = Some(prompt);
            None
        }
    }
}

fn point(mouse: &MouseEvent, ui: &mut Ui, shown: &Shown) -> Option<Request> {
    let hit = ui.hits.at(mouse.column, mouse.row);
    match mouse.kind {
        MouseEventKind::ScrollUp => return act(Action::Move(-1), ui, shown),
        MouseEventKind::ScrollDown => return act(Action::Move(1), ui, shown),
        MouseEventKind::Up(_) => ui.dragging = false,
        MouseEventKind::Drag(MouseButton::Left) if ui.dragging => return seek(mouse.column, ui, shown),
        MouseEventKind::Down(MouseButton::Left) => match hit?.1 {
            Target::Tab(view) => {
                // What was open was about the view that is left.
                ui.help = false;
                ui.prompt.take_if(|prompt| prompt.ask == Ask::Find);
                ui.view = view;
            }
            Target::Worker(worker) if ui.worker == worker => ui.detail = !ui.detail,
            Target::Worker(worker) => ui.worker = worker,
            Target::Row(row) if ui.view == View::Layers => ui.layer = row,
            Target::Row(row) => ui.line = (row + 1 < ui.hits.rows).then_some(row),
            Target::Bar => {
                ui.dragging = true;
                return seek(mouse.column, ui, shown);
            }
        },
        _ => {}
    }
    None
}

/// Seeks to where the replay's bar was pointed at, its ends included.
fn seek(column: u16, ui: &Ui, shown: &Shown) -> Option<Request> {
    let bar = ui.hits.bar()?;
    let length = shown.playback.as_ref()?.length;
    let part = f64::from(column.saturating_sub(bar.x)) / f64::from(bar.width.saturating_sub(1).max(1));
    let at = Micros((length.0 as f64 * part.min(1.0)) as u64);
    Some(Request::Playback(PlaybackRequest::SeekTo(at)))
}
