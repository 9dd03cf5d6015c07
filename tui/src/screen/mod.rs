//! Everything drawn and typed. Draws what the stage shows and turns keys into requests; owns no fact about
//! the lab and no time.

mod answer;
mod balance;
mod candidates;
mod fit;
mod footer;
mod header;
mod help;
mod input;
mod latency;
mod layer_detail;
mod layers;
mod learning_curve;
mod log;
mod notice;
mod overview;
mod panel;
mod partition;
mod preview;
mod proposal;
mod replay_bar;
mod request;
mod scatter;
mod starting;
mod terms;
mod text;
mod training;
mod ui;
mod why;
mod widgets;
mod words;
mod worker_detail;
mod workers;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use collab_core::lab::Lab;
use crossterm::event::{Event, EventStream};
use futures_util::{Stream, StreamExt};
use ratatui::backend::Backend;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::{Frame, Terminal};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use request::{PlaybackRequest, Request, SpeedChange};
pub use text::{padded, shorten, shorten_front, width};
pub use ui::View;

use crate::keys::Scope;
use crate::stage::{Shown, Stage};
use crate::terminal;
use crate::theme::Theme;
use request::refuse;
use ui::{Hits, Ui};

/// The shortest time between two drawings.
const FRAME: Duration = Duration::from_millis(33);
/// The smallest screen that is drawn on.
const SMALLEST: (u16, u16) = (80, 24);
/// From this width on panels stand side by side that else stand one under the other.
const WIDE: u16 = 100;
/// Cells that a panel's border tells of a text that is searched for, however long: rows must not be missing unsaid.
const SOUGHT: usize = 16;

/// How the screen starts.
#[derive(Clone, Copy, Debug)]
pub struct ScreenOptions {
    /// The colours.
    pub theme: Theme,
    /// The first view.
    pub view: View,
    /// Whether the mouse is listened to.
    pub mouse: bool,
}

impl ScreenOptions {
    /// As the environment wants it.
    pub fn from_env() -> Self {
        let theme = Theme::from_env(|name| std::env::var(name).ok());
        Self { theme, view: View::Overview, mouse: true }
    }
}

/// Draws the stage on the real terminal until the operator or a signal ends it.
///
/// Sends [`Request::Quit`] before it returns. Dropping the future gives the terminal back too.
///
/// # Errors
///
/// If the terminal cannot be read or written.
pub async fn run(
    stage: Arc<Stage>,
    requests: mpsc::UnboundedSender<Request>,
    options: ScreenOptions,
) -> anyhow::Result<()> {
    let mut entered = terminal::Entered::new(options.mouse)?;
    let events = EventStream::new();
    drive(&mut entered.terminal, events, terminal::taken_away(), &stage, &requests, options).await
}

/// The same on any terminal, with any events; ends with `ending` or when the events end.
///
/// # Errors
///
/// If the terminal or the events fail.
pub async fn drive<B, E>(
    terminal: &mut Terminal<B>,
    mut events: E,
    ending: impl Future<Output = ()>,
    stage: &Stage,
    requests: &mpsc::UnboundedSender<Request>,
    options: ScreenOptions,
) -> anyhow::Result<()>
where
    B: Backend,
    B::Error: Send + Sync + 'static,
    E: Stream<Item = io::Result<Event>> + Unpin,
{
    let mut ui = Ui::new(options.view);
    let mut changes = stage.watch();
    let mut next_frame = Instant::now();
    let mut stale = true;
    tokio::pin!(ending);
    loop {
        tokio::select! {
            // Drawing comes before input, so that no flood of events can keep it from happening.
            biased;
            () = &mut ending => break,
            () = tokio::time::sleep_until(next_frame), if stale => {
                changes.mark_unchanged();
                terminal.draw(|frame| draw(frame, &stage.look(), &mut ui, options.theme))?;
                next_frame = Instant::now() + FRAME;
                stale = false;
            }
            event = events.next() => {
                let Some(event) = event.transpose()? else { break };
                if input::is_idle(&event) {
                    continue;
                }
                stale = true;
                let asked = {
                    let shown = stage.look();
                    let request = input::handle(&event, &mut ui, &shown);
                    request.map(|request| (refuse(&request, &shown, ui.lab(&shown)), request))
                };
                let Some((refused, request)) = asked else { continue };
                if let Some(sentence) = refused {
                    ui.message = Some(sentence.to_owned());
                    continue;
                }
                if request == Request::Quit || requests.send(request).is_err() {
                    break;
                }
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    break;
                }
                stale = true;
            }
        }
    }
    // Nobody may be left to tell; the screen ends all the same.
    let _ = requests.send(Request::Quit);
    Ok(())
}

/// What is drawn from.
#[derive(Clone, Copy)]
struct Scene<'a> {
    lab: &'a Lab,
    shown: &'a Shown,
    ui: &'a Ui,
    theme: Theme,
}

impl Scene<'_> {
    fn mode(&self) -> Scope {
        input::mode(self.shown)
    }
}

/// Draws one frame and remembers where things are.
fn draw(frame: &mut Frame, shown: &Shown, ui: &mut Ui, theme: Theme) {
    let area = frame.area();
    let lab = ui.lab(shown);
    let scene = Scene { lab, shown, ui, theme };
    let mut hits = Hits::default();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let ((width, height), here) = (SMALLEST, (area.width, area.height));
        let whole = format!("collab needs {width}×{height} cells, this screen has {}×{}", here.0, here.1);
        let short = format!("needs {width}×{height}, has {}×{}", here.0, here.1);
        let text = if text::width(&whole) <= usize::from(area.width) { whole } else { short };
        let row = Rect { y: area.y + area.height / 2, height: area.height.min(1), ..area };
        panel::centred(&text, theme.strong(), row, frame.buffer_mut());
    } else {
        let cursor = draw_all(&scene, area, frame.buffer_mut(), &mut hits);
        if let Some(cursor) = cursor {
            frame.set_cursor_position(cursor);
        }
    }
    ui.hits = hits;
}

fn draw_all(scene: &Scene, area: Rect, buf: &mut Buffer, hits: &mut Hits) -> Option<Position> {
    let bar = if scene.shown.playback.is_some() { 4 } else { 0 };
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(bar),
        Constraint::Length(1),
    ];
    let [state, tabs, body, session, keys] = area.layout(&Layout::vertical(rows));
    header::draw_state(scene, state, buf);
    header::draw_tabs(scene, tabs, buf, hits);
    if scene.ui.help {
        help::draw(scene, body, buf, hits);
    } else {
        match scene.ui.view {
            View::Overview => overview::draw(scene, body, buf, hits),
            View::Layers => layers::draw(scene, body, buf, hits),
            View::Partition => partition::draw(scene, body, buf),
            View::Training => training::draw(scene, body, buf),
            View::Log => log::draw(scene, body, buf, hits),
        }
    }
    if let Some(playback) = &scene.shown.playback {
        replay_bar::draw(scene, playback, session, buf, hits);
    }
    footer::draw(scene, keys, buf)
}

#[cfg(test)]
mod tests;
