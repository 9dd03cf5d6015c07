//! Whatever the size of the screen and whatever is typed, clicked or pasted, something is drawn.

use crossterm::event::{KeyCode, MouseButton, MouseEventKind};
use proptest::prelude::*;

use super::desk::Desk;
use super::networks;
use super::story::{self, Story};

/// A lab that has just begun, one whose network is on its way, or one that runs.
fn story(which: usize) -> Story {
    let mut story = Story::new();
    match which % 3 {
        0 => {}
        1 => {
            story.connect(networks::enlarging(), 2);
        }
        _ => story = story::demo(),
    }
    story
}

/// What an operator does.
#[derive(Clone, Debug)]
enum Deed {
    Press(KeyCode),
    Paste(String),
    Click(u16, u16),
    Drag(u16, u16),
    Scroll(bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    let named = [
        KeyCode::Up,
        KeyCode::Down,
        KeyCode::Left,
        KeyCode::Right,
        KeyCode::PageUp,
        KeyCode::PageDown,
        KeyCode::Home,
        KeyCode::End,
        KeyCode::Tab,
        KeyCode::BackTab,
        KeyCode::Enter,
        KeyCode::Esc,
        KeyCode::Backspace,
        KeyCode::F(1),
    ];
    let characters = "12345jktTaxufevb ,.[]-+=gG/sdwm:?q".chars().map(KeyCode::Char);
    let keys: Vec<KeyCode> = named.into_iter().chain(characters).collect();
    prop_oneof![
        6 => prop::sample::select(keys).prop_map(Deed::Press),
        2 => any::<char>().prop_map(|character| Deed::Press(KeyCode::Char(character))),
        1 => ".{0,40}".prop_map(Deed::Paste),
        1 => prop::sample::select(vec!["throttle B 60", "edit 0-6:=", "4:47", "mark 网络", "link A 1mbit"])
            .prop_map(|text| Deed::Paste(text.to_owned())),
        1 => (0u16..220, 0u16..70).prop_map(|(x, y)| Deed::Click(x, y)),
        1 => (0u16..220, 0u16..70).prop_map(|(x, y)| Deed::Drag(x, y)),
        1 => any::<bool>().prop_map(Deed::Scroll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn any_size_and_any_deeds_leave_a_screen_with_the_cursor_on_it(
        which in 0usize..3, replays: bool, width in 1u16..220, height in 1u16..70,
        deeds in prop::collection::vec(deed(), 0..60),
    ) {
        let lab = story(which).lab;
        let mut desk = if replays { Desk::replaying(&lab, (width, height)) } else { Desk::new(&lab, (width, height)) };
        for deed in deeds {
            match deed {
                Deed::Press(code) => desk.press(code),
                Deed::Paste(text) => desk.paste(&text),
                Deed::Click(x, y) => desk.click(x, y),
                Deed::Drag(x, y) => desk.mouse(MouseEventKind::Drag(MouseButton::Left), x, y),
                Deed::Scroll(up) => {
                    let kind = if up { MouseEventKind::ScrollUp } else { MouseEventKind::ScrollDown };
                    desk.mouse(kind, 0, 0)
                }
            };
            let (x, y) = desk.cursor();
            prop_assert!(x < width && y < height, "{x}, {y}");
        }
    }
}
