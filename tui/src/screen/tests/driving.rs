//! The loop: when it draws, and when it ends.

use std::future::pending;
use std::io;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use futures_util::{Stream, StreamExt, stream};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tokio::sync::mpsc;

use super::story;
use crate::screen::request::Request;
use crate::screen::ui::View;
use crate::screen::{ScreenOptions, drive};
use crate::stage::{Shown, Stage};
use crate::theme::{Depth, Theme};

const OPTIONS: ScreenOptions =
    ScreenOptions { theme: Theme::new(Depth::True), view: View::Overview, mouse: false };

fn stage() -> Stage {
    Stage::new(Shown { lab: story::demo().lab, recording: None, playback: None })
}

fn terminal() -> Terminal<TestBackend> {
    Terminal::new(TestBackend::new(100, 30)).unwrap()
}

/// Keys, one every 50 ms, and then silence.
fn keys(text: &'static str) -> impl Stream<Item = io::Result<Event>> + Unpin {
    let typed = stream::iter(text.chars()).then(|character| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(Event::Key(KeyEvent::new(KeyCode::Char(character), KeyModifiers::NONE)))
    });
    Box::pin(typed.chain(stream::pending()))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(20);
    runtime.block_on(async { tokio::time::timeout(limit, future).await.expect("the screen ends in time") })
}

#[test]
fn keys_become_requests_and_q_ends_the_screen() {
    let (requests, mut asked) = mpsc::unbounded_channel();
    let (stage, mut terminal) = (stage(), terminal());
    block_on(drive(&mut terminal, keys("v5q"), pending(), &stage, &requests, OPTIONS)).unwrap();
    assert_eq!(asked.try_recv().unwrap(), Request::Verb(collab_core::command::Verb::Verify));
    assert_eq!(asked.try_recv().unwrap(), Request::Quit);
    assert!(asked.try_recv().is_err());
    let shown = format!("{}", terminal.backend());
    assert!(shown.contains("▌5 Log▐"), "{shown}");
}

#[test]
fn a_signal_ends_the_screen_and_tells_the_program() {
    let (requests, mut asked) = mpsc::unbounded_channel();
    let ending = async { tokio::time::sleep(Duration::from_millis(20)).await };
    let (stage, mut terminal) = (stage(), terminal());
    block_on(drive(&mut terminal, keys(""), ending, &stage, &requests, OPTIONS)).unwrap();
    assert_eq!(asked.try_recv().unwrap(), Request::Quit);
}

#[test]
fn many_changes_are_one_drawing_and_no_change_is_none() {
    let (requests, _asked) = mpsc::unbounded_channel();
    let (stage, mut terminal) = (stage(), terminal());
    let ending = async {
        for _ in 0..500 {
            stage.change(|shown| shown.lab.now.0 += 1);
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        // Nothing changes any more: the last change is drawn, and then nothing.
        tokio::time::sleep(Duration::from_millis(400)).await;
    };
    let begun = std::time::Instant::now();
    block_on(drive(&mut terminal, keys(""), ending, &stage, &requests, OPTIONS)).unwrap();
    let changing = begun.elapsed() - Duration::from_millis(400);
    let most = changing.as_millis() as usize / 33 + 2;
    let drawn = terminal.get_frame().count();
    assert!((1..=most).contains(&drawn), "{drawn} drawings, at most {most} expected");
}

#[test]
fn a_key_is_drawn_even_while_nothing_else_happens() {
    let (requests, _asked) = mpsc::unbounded_channel();
    let (stage, mut terminal) = (stage(), terminal());
    let ending = async { tokio::time::sleep(Duration::from_millis(400)).await };
    block_on(drive(&mut terminal, keys("3"), ending, &stage, &requests, OPTIONS)).unwrap();
    assert!(format!("{}", terminal.backend()).contains("▌3 Partition▐"));
}
