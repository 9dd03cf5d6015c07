//! Sessions that somebody tampered with: whatever stands in them, they are folded and drawn, or refused.

use std::io::{Cursor, Read as _};
use std::sync::LazyLock;

use collab_core::event::Event;
use collab_core::lab::Lab;
use collab_sessions::{ReadError, Session, read_keyframe};
use proptest::prelude::*;
use serde_json::Value;

use super::desk::Desk;
use crate::screen::ui::View;

/// Events of the sample session, as they are in its file.
static EVENTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../sessions/samples/throttle.mcap");
    let mut bytes = Vec::new();
    std::fs::File::open(sample).unwrap().read_to_end(&mut bytes).unwrap();
    let session = Session::read("sample", Cursor::new(bytes)).unwrap();
    let mut events = Vec::new();
    session
        .visit(|entry| {
            events.push(String::from_utf8(entry.json.to_vec()).unwrap());
            Ok::<(), ReadError>(())
        })
        .unwrap();
    events
});

/// As a reader of sessions takes an event.
fn event(json: &str) -> Option<Event> {
    serde_json::from_str(json).ok().filter(Event::is_possible)
}

/// The places of all numbers and lists in `value`.
fn places(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Number(_) => found.push(at),
        Value::Array(items) => {
            // Long lists are of one kind.
            for index in (0..items.len()).filter(|index| *index < 12 || index % 37 == 0) {
                places(&items[index], format!("{at}/{index}"), found);
            }
            found.push(at);
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| places(field, format!("{at}/{name}"), found));
        }
        _ => {}
    }
}

/// `json` with one number changed, or one list shortened or doubled.
fn tampered(json: &str, place: prop::sample::Index, change: usize) -> String {
    let mut value: Value = serde_json::from_str(json).unwrap();
    let mut found = Vec::new();
    places(&value, String::new(), &mut found);
    if found.is_empty() {
        return json.to_owned();
    }
    let at = value.pointer_mut(&found[place.index(found.len())]).unwrap();
    match at {
        Value::Array(items) => match change % 3 {
            0 => drop(items.pop()),
            1 => items.clear(),
            _ => items.extend(items.clone()),
        },
        number => {
            let numbers = [
                Value::from(0),
                Value::from(1),
                Value::from(-1),
                Value::from(3),
                Value::from(63),
                Value::from(255),
                Value::from(65_535),
                Value::from(u32::MAX),
                Value::from(i32::MAX),
                Value::from(u64::MAX),
                Value::from(1e-300),
                Value::from(1e30),
                Value::from(1e300),
                Value::from(-2.5),
            ];
            *number = numbers[change % numbers.len()].clone();
        }
    }
    value.to_string()
}

/// Folds on and draws every view.
fn show(mut lab: Lab, rest: &[String]) {
    for json in rest {
        if let Some(event) = event(json) {
            lab.apply(&event);
        }
    }
    for size in [(120, 35), (80, 24)] {
        let mut desk = Desk::replaying(&lab, size);
        for view in View::ALL {
            desk.ui.view = view;
            desk.ui.detail = true;
            desk.draw();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_event_that_says_what_cannot_be_is_folded_and_drawn_or_passed_over(
        which: prop::sample::Index, place: prop::sample::Index, change in 0usize..64,
    ) {
        // Half of the time among the first events, which are of every kind.
        let events = &*EVENTS;
        let at = which.index(if change % 2 == 0 { 120.min(events.len()) } else { events.len() });
        let mut lab = Lab::default();
        events[..at].iter().filter_map(|json| event(json)).for_each(|event| lab.apply(&event));
        if let Some(event) = event(&tampered(&events[at], place, change)) {
            lab.apply(&event);
        }
        let rest = &events[at + 1..events.len().min(at + 400)];
        show(lab, rest);
    }

    #[test]
    fn a_keyframe_that_says_what_cannot_be_is_folded_on_and_drawn_or_refused(
        which: prop::sample::Index, place: prop::sample::Index, change in 0usize..64,
    ) {
        let events = &*EVENTS;
        let at = which.index(events.len());
        let mut lab = Lab::default();
        events[..at].iter().filter_map(|json| event(json)).for_each(|event| lab.apply(&event));
        let keyframe = tampered(&serde_json::to_string(&lab).unwrap(), place, change);
        if let Some(lab) = read_keyframe(keyframe.as_bytes()) {
            show(lab, &events[at..events.len().min(at + 400)]);
        }
    }
}
