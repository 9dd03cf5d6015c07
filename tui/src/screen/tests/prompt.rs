//! The line of input: pasted into, wider than the screen, left by the mouse; and a proposal that changes behind a held
//! drawing.

use collab_core::command::Verb;
use crossterm::event::KeyCode;

use super::desk::Desk;
use super::story;
use crate::screen::request::Request;
use crate::screen::ui::View;

const SIZE: (u16, u16) = (120, 35);

#[test]
fn a_search_that_is_pasted_is_followed_like_one_that_is_typed() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    desk.type_text("2/").paste("conv3\r\n");
    assert_eq!(desk.ui.hits.rows, 2);
    desk.press(KeyCode::Enter);
    assert_eq!(desk.ui.hits.rows, 2, "Enter keeps it");
}

#[test]
fn a_paste_without_end_ends_and_without_a_prompt_does_nothing() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    desk.paste("taxq");
    assert_eq!((desk.asked(), desk.ui.prompt.is_none()), (Vec::new(), true));
    desk.type_text(":").paste(&"mark ab 网".repeat(100_000));
    assert!(desk.ui.prompt.as_ref().unwrap().text.len() < 10_000);
    desk.type_text("\n");
    assert!(matches!(&desk.asked()[..], [Request::Verb(Verb::Mark { .. })]));
}

#[test]
fn the_cursor_stays_on_the_line_however_wide_what_is_typed() {
    for size in [SIZE, (80, 24)] {
        let mut desk = Desk::new(&story::demo().lab, size);
        desk.type_text(":mark ");
        for character in "网络".chars().cycle().take(90) {
            desk.type_text(&character.to_string());
            let (column, row) = desk.cursor();
            assert!(column < size.0 && row + 1 == size.1, "{column}, {row} of {size:?}");
        }
        let line = desk.text().lines().last().unwrap().replace(' ', "");
        assert!(line.contains("网络▲") || line.ends_with("网络NAME"), "what was typed last is seen: {line}");
        desk.press(KeyCode::Home);
        assert_eq!(desk.cursor().0, 2);
    }
}

#[test]
fn characters_are_deleted_on_both_sides_of_the_cursor() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    desk.type_text(":xmark half").press(KeyCode::Home).press(KeyCode::Delete).press(KeyCode::End);
    desk.press(KeyCode::Delete).press(KeyCode::Left).press(KeyCode::Left).press(KeyCode::Backspace);
    desk.press(KeyCode::Delete).type_text("\n");
    assert_eq!(desk.asked(), [Request::Verb(Verb::Mark { name: "hf".to_owned() })]);
}

#[test]
fn a_search_is_told_on_the_border_however_long() {
    let mut desk = Desk::new(&story::demo().lab, (80, 24));
    for view in ["2", "5"] {
        desk.type_text(view).type_text("/").type_text(&"none".repeat(20)).type_text("\n");
        assert!(desk.text().contains("'nonenonenonenon…'"), "{}", desk.text());
    }
}

#[test]
fn a_click_on_a_tab_closes_the_help_and_the_search_of_the_view_that_is_left() {
    let mut desk = Desk::new(&story::demo().lab, SIZE);
    let (column, row) = desk.find("5 Log");
    desk.type_text("?").click(column, row);
    assert_eq!((desk.ui.help, desk.ui.view), (false, View::Log));
    let (column, row) = desk.find("2 Layers");
    desk.type_text("/lost").click(column, row);
    assert!(desk.ui.prompt.is_none());
    assert_eq!((desk.ui.find_line.as_str(), desk.ui.find_layer.as_str()), ("lost", ""));
}

#[test]
fn what_is_offered_behind_a_held_drawing_is_not_accepted_unseen() {
    let mut story = story::demo();
    story.propose("0-2:90,52,0/3-6:100,42,0");
    let mut desk = Desk::new(&story.lab, SIZE);
    desk.type_text(" ");
    story.propose("0-2:80,62,0/3-6:100,42,0");
    desk.shown.lab = story.lab.clone();
    desk.type_text("a");
    assert!(desk.text().contains("▲ what is offered has changed"), "{}", desk.text());
    desk.type_text("x");
    assert_eq!(desk.asked(), []);
    desk.type_text(" a");
    assert_eq!(desk.asked(), [Request::Verb(Verb::Accept)]);
}
