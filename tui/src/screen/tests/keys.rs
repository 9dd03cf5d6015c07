//! What keys and the mouse ask for.

use collab_core::command::{Settled, Verb};
use collab_core::id::WorkerId;
use collab_core::time::Micros;
use crossterm::event::{KeyCode, MouseButton, MouseEventKind};
use proptest::prelude::*;

use super::desk::Desk;
use super::story;
use crate::keys::{KEYMAP, Scope};
use crate::screen::request::{PlaybackRequest, Request};
use crate::screen::ui::View;
use crate::stage::Extent;

const SIZE: (u16, u16) = (120, 35);

fn throttle(worker: u8, percent: f64) -> Request {
    Request::Verb(Verb::Throttle { worker: WorkerId(worker), percent })
}

#[test]
fn t_offers_the_next_share_of_the_selected_worker_and_capital_t_clears_it() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    desk.type_text("t");
    assert!(desk.text().contains(":throttle A 60"));
    desk.type_text("\n");
    assert_eq!(desk.asked(), [throttle(0, 60.0)]);
    desk.press(KeyCode::Down).type_text("t\n");
    assert_eq!(desk.asked(), [throttle(1, 30.0)], "B runs at 60 % already");
    desk.type_text("T");
    assert_eq!(desk.asked(), [throttle(1, 100.0)]);
}

#[test]
fn typing_replaces_the_share_that_t_offers() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    desk.type_text("t45\n");
    assert_eq!(desk.asked(), [throttle(0, 45.0)]);
    desk.type_text("t").press(KeyCode::Left).press(KeyCode::Right).type_text(".5\n");
    assert_eq!(desk.asked(), [throttle(0, 60.5)], "who moves the cursor takes what is offered");
    desk.type_text("t").press(KeyCode::Backspace).type_text("\n");
    assert!(desk.text().contains("▲ to what share? throttle A 60"), "{}", desk.text());
}

#[test]
fn e_offers_the_running_partition_and_tells_what_an_edit_should_take() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    desk.type_text("e");
    let (_, row) = desk.find(":edit 0-4:96,46,0/5-6:96,46,0");
    assert_eq!(row, 34, "in the last line");
    let line = desk.text().lines().last().unwrap().to_owned();
    assert!(line.contains("○ ") && line.contains("now ○ ") && line.contains("● "), "{line}");
    desk.press(KeyCode::Backspace).type_text("x");
    assert!(desk.text().contains("'x' is no number of rows"));
    desk.press(KeyCode::Backspace).type_text("0\n");
    let edit = Verb::Edit { partition: "0-4:96,46,0/5-6:96,46,0".to_owned() };
    assert_eq!(desk.asked(), [Request::Verb(edit)]);
}

#[test]
fn a_wrong_command_stays_in_the_prompt_with_its_reason() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    desk.type_text(":throttle D 60\n");
    assert!(desk.text().contains("▲ there is no worker D, the fleet is A to C"));
    assert_eq!(desk.asked(), []);
    for _ in 0..4 {
        desk.press(KeyCode::Backspace);
    }
    desk.press(KeyCode::Tab);
    assert!(desk.text().contains(":throttle A"), "{}", desk.text());
    desk.press(KeyCode::Tab);
    assert!(desk.text().contains(":throttle B"), "{}", desk.text());
    desk.press(KeyCode::Esc);
    assert!(desk.ui.prompt.is_none());
}

#[test]
fn freeze_thaws_what_is_frozen() {
    let mut story = story::demo();
    let mut desk = Desk::new(&story.lab, SIZE);
    assert_eq!(desk.type_text("f").asked(), [Request::Verb(Verb::Freeze)]);
    let freeze = story.command(Verb::Freeze, "", "");
    story.settle(freeze, Settled::Done);
    let mut desk = Desk::new(&story.lab, SIZE);
    assert!(desk.text().contains("▲ frozen"));
    assert_eq!(desk.type_text("f").asked(), [Request::Verb(Verb::Thaw)]);
}

#[test]
fn a_refused_command_is_told_in_the_last_line() {
    let mut story = story::demo();
    let accept = story.command(Verb::Accept, "", "");
    story.settle(accept, Settled::Refused("B has no memory for it".to_owned()));
    let desk = Desk::new(&story.lab, SIZE);
    assert!(desk.text().lines().last().unwrap().contains("▲ accept: B has no memory for it"));
}

/// Every key that is valid in `mode`, in every view.
fn press_everything(desk: &mut Desk, mode: Scope) {
    for view in ['1', '2', '3', '4', '5'] {
        for binding in KEYMAP.iter().filter(|binding| binding.scope == mode) {
            desk.press(KeyCode::Char(view));
            if let Some(character) =
                binding.chords[0].label().chars().next().filter(char::is_ascii_alphabetic)
            {
                desk.type_text(&character.to_string());
            }
            desk.type_text("\n");
            desk.press(KeyCode::Esc);
        }
    }
}

#[test]
fn a_read_only_lab_asks_for_nothing_but_marks() {
    let mut story = story::demo();
    story.propose("0-2:90,52,0/3-6:100,42,0");
    story.lab.session.read_only = true;
    let mut desk = Desk::new(&story.lab, SIZE);
    press_everything(&mut desk, Scope::Live);
    desk.type_text(":accept\n:throttle A 5\n:link A off\n:undo\n");
    assert!(desk.text().contains("▲ this lab is read-only"));
    assert_eq!(desk.asked(), []);
    desk.type_text("mbefore\n");
    assert_eq!(desk.asked(), [Request::Verb(Verb::Mark { name: "before".to_owned() })]);
}

#[test]
fn a_replay_asks_for_no_verb_at_all() {
    let mut story = story::demo();
    story.propose("0-2:90,52,0/3-6:100,42,0");
    let mut desk = Desk::replaying(&story.lab, SIZE);
    press_everything(&mut desk, Scope::Live);
    desk.type_text(":accept\n:mark x\n:throttle A 5\n");
    assert!(desk.text().contains("▲ this is a replay"));
    let asked = desk.asked();
    assert!(asked.iter().all(|request| matches!(request, Request::Playback(_))), "{asked:?}");
}

#[test]
fn a_replay_is_moved_in_by_keys_words_lines_and_the_bar() {
    let lab = story::demo().lab;
    let mut desk = Desk::replaying(&lab, SIZE);
    let playback = |request| Request::Playback(request);
    desk.type_text(" ,]G:0:07\n").press(KeyCode::Left);
    let expected = [
        PlaybackRequest::Toggle,
        PlaybackRequest::Step(-1),
        PlaybackRequest::Moment(1),
        PlaybackRequest::End,
        PlaybackRequest::SeekTo(Micros(7_000_000)),
        PlaybackRequest::SeekBy(-1.0),
    ];
    assert_eq!(desk.asked(), expected.map(playback));
    desk.type_text("5").press(KeyCode::Home).type_text("\n");
    assert_eq!(desk.asked(), [playback(PlaybackRequest::SeekTo(lab.log[0].at))]);
    let (left, row) = desk.find("├━");
    desk.click(left, row).mouse(MouseEventKind::Drag(MouseButton::Left), 200, 3);
    desk.mouse(MouseEventKind::Up(MouseButton::Left), 200, 3);
    desk.mouse(MouseEventKind::Drag(MouseButton::Left), 5, 3);
    let length = desk.shown.playback.as_ref().unwrap().length;
    let ends = [Micros(0), length].map(|at| playback(PlaybackRequest::SeekTo(at)));
    assert_eq!(desk.asked(), ends, "a drag goes on outside of the bar and ends with the button");
}

#[test]
fn a_key_of_the_other_mode_says_why_it_does_nothing() {
    let lab = story::demo().lab;
    let mut desk = Desk::replaying(&lab, SIZE);
    assert!(desk.type_text("t").text().contains("▲ this is a replay"));
    let mut desk = Desk::new(&lab, SIZE);
    assert!(desk.press(KeyCode::Left).text().contains("▲ there is no time to move in"));
    assert!(!desk.type_text("z").text().contains("▲ there is"), "a key of no mode is nothing");
}

#[test]
fn a_live_lab_has_no_time_to_move_in() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    desk.type_text(":4:47\n");
    assert_eq!(desk.asked(), []);
    assert!(desk.text().contains("▲ there is no time to move in"));
}

#[test]
fn a_session_that_is_watched_stays_at_its_end_and_says_so() {
    let mut desk = Desk::replaying(&story::demo().lab, SIZE);
    let playback = desk.shown.playback.as_mut().unwrap();
    (playback.following, playback.extent) = (true, Extent::Growing);
    desk.draw();
    let text = desk.text();
    assert!(
        text.contains("▶ WATCH") && text.contains("being recorded") && !text.contains("recovered"),
        "{text}"
    );
    for key in [KeyCode::Left, KeyCode::Char(' '), KeyCode::Char('g')] {
        assert!(desk.press(key).text().contains("▲ this session is watched at its end"));
    }
    assert_eq!(desk.asked(), []);
}

#[test]
fn the_mouse_selects_rows_and_tabs() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    let (column, row) = desk.find("pi4-lab");
    desk.click(column, row);
    assert_eq!((desk.ui.worker, desk.ui.detail), (1, false));
    desk.click(column, row);
    assert!(desk.ui.detail, "a second click opens the details");
    let (column, row) = desk.find("2 Layers");
    desk.click(column, row);
    assert_eq!(desk.ui.view, View::Layers);
    let (column, row) = desk.find("conv3");
    desk.click(column, row);
    assert_eq!(desk.ui.layer, 4);
    desk.mouse(MouseEventKind::ScrollUp, 0, 0);
    assert_eq!(desk.ui.layer, 3);
}

#[test]
fn the_worker_that_a_throttle_would_be_for_is_seen_wherever_one_can_be_selected() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    let reversed = |desk: &Desk, (x, y): (u16, u16)| {
        desk.buffer()[(x, y)].modifier.contains(ratatui::style::Modifier::REVERSED)
    };
    desk.type_text("3j");
    let lane = |desk: &Desk, letter: &str| {
        let below = desk.find("Timeline of run").1;
        let screen = desk.text();
        let lanes = screen.lines().enumerate().skip(usize::from(below) + 1);
        let mut lanes = lanes.filter(|(_, line)| line.starts_with(&format!("│ {letter} ")));
        (2, lanes.next().expect("its lane").0 as u16)
    };
    assert!(reversed(&desk, lane(&desk, "B")) && !reversed(&desk, lane(&desk, "A")));
    assert!(desk.text().contains("↑↓ select"));
    desk.type_text("4");
    assert!(!desk.text().contains("↑↓ select"), "nothing that is selected is to be seen there");
}

#[test]
fn layers_are_found_sorted_and_filtered_by_worker() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    let rows = |desk: &Desk| desk.ui.hits.rows;
    desk.type_text("2");
    assert_eq!(rows(&desk), 14, "seven layers on A and on B");
    desk.type_text("/CONV3\n");
    assert_eq!(rows(&desk), 2);
    desk.type_text("dd");
    assert_eq!((rows(&desk), desk.ui.one_worker), (1, Some(WorkerId(1))));
    desk.press(KeyCode::Esc);
    assert_eq!(rows(&desk), 14);
    desk.type_text("s");
    let first = desk.text().lines().nth(4).unwrap().to_owned();
    let is_longest = ["conv5", "conv6"].iter().any(|name| first.contains(name));
    assert!(desk.text().contains("by time") && is_longest, "{first}");
    desk.type_text("sss");
    assert!(desk.text().contains("by layer"));
}

#[test]
fn held_drawing_stays_while_the_lab_runs_on() {
    let mut story = story::demo();
    let mut desk = Desk::new(&story.lab, SIZE);
    desk.type_text(" ");
    story.run(16);
    desk.shown.lab = story.lab.clone();
    desk.draw();
    assert!(desk.text().contains("‖ held, 2 s and 16 runs behind"), "{}", desk.text());
    assert!(desk.text().contains("run 110"), "drawn as it was");
    desk.type_text(" ");
    assert!(desk.text().contains("run 126"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_sequence_of_keys_panics_or_gets_around_read_only(keys in proptest::collection::vec(0usize..22, 0..40)) {
        let mut story = story::demo();
        story.lab.session.read_only = true;
        let mut desk = Desk::new(&story.lab, (90, 26));
        let odd = [KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::Down, KeyCode::End, KeyCode::Backspace];
        for key in keys {
            match odd.get(key) {
                Some(code) => desk.press(*code),
                None => desk.type_text(&"taxufev25/:sdw? "[key - odd.len()..][..1]),
            };
        }
        let harmless = |request: &Request| match request {
            Request::Verb(verb) => !verb.changes_the_lab(),
            _ => true,
        };
        prop_assert!(desk.asked().iter().all(harmless));
    }
}
