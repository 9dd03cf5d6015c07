//! What was recorded is what is replayed: at any time, forward and back.
#![allow(clippy::unwrap_used)] // the helpers below are tests too

mod story;

use std::sync::LazyLock;

use collab_core::event::Event;
use collab_core::lab::Lab;
use collab_core::time::Micros;
use collab_sessions::{Completeness, Entry, MomentKind, ReadError, Session, Stepped};
use proptest::prelude::*;
use story::{fold, open, record, story, until};

/// One recorded session for every property here.
static RECORDED: LazyLock<(Vec<Event>, Session)> = LazyLock::new(|| {
    let events = story(11, 40);
    let session = open(&record(&events));
    (events, session)
});

fn replayed(session: &Session) -> Vec<Event> {
    let mut events = Vec::new();
    let take = |entry: Entry<'_>| {
        let event = entry.event().unwrap();
        assert_eq!(entry.topic, event.what.channel().topic());
        events.push(event);
        Ok::<(), ReadError>(())
    };
    session.visit(take).unwrap();
    events
}

#[test]
fn a_finished_session_is_opened_by_its_index_and_replays_to_the_same_lab() {
    let (events, session) = &*RECORDED;
    assert_eq!(session.completeness(), Completeness::Complete);
    assert_eq!(session.events(), events.len() as u64);
    assert_eq!(session.length(), fold(events).now);
    assert!(session.keyframes().count() > 5, "a seek must not fold from the start");
    assert!(session.seek(session.length()).unwrap().lab() == &fold(events));
    assert!(&replayed(session) == events);
}

#[test]
fn stepping_forward_shows_every_lab_in_between() {
    let events = story(2, 12);
    let session = open(&record(&events));
    let mut cursor = session.start().unwrap();
    let mut lab = Lab::default();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(cursor.position(), index as u64);
        assert_eq!(cursor.peek(), Some(lab.now.max(event.at)));
        assert_eq!(cursor.step().unwrap(), Some(Stepped::Applied(Box::new(event.clone()))));
        lab.apply(event);
        assert!(index % 10 != 0 || cursor.lab() == &lab, "after event {index}");
    }
    assert!(cursor.lab() == &lab);
    assert_eq!(cursor.peek(), None);
    assert_eq!(cursor.step().unwrap(), None);
}

#[test]
fn stepping_back_takes_event_after_event_back_across_keyframes() {
    let events = story(3, 7);
    let session = open(&record(&events));
    let boundary = session.keyframes().nth(1).unwrap();
    for from in [Micros(60_000), boundary + Micros(60_000)] {
        let mut cursor = session.seek(from).unwrap();
        let start = until(&events, from);
        for count in (start.saturating_sub(90)..start).rev() {
            assert!(cursor.step_back().unwrap());
            assert_eq!(cursor.position(), count as u64);
            assert!(cursor.lab() == &fold(&events[..count]), "back before event {count}");
        }
    }
    let mut cursor = session.start().unwrap();
    assert!(!cursor.step_back().unwrap());
    assert!(cursor.lab() == &Lab::default());
}

#[test]
fn every_moment_can_be_jumped_to_and_from() {
    let (events, session) = &*RECORDED;
    let marks = events.iter().filter(|event| {
        matches!(&event.what, collab_core::event::What::CommandGiven { verb, .. } if verb.name() == "mark")
    });
    let is_mark = |moment: &collab_sessions::Moment| moment.kind == MomentKind::Mark;
    assert_eq!(session.moments().iter().filter(|moment| is_mark(moment)).count(), marks.count());
    for kind in [MomentKind::Mark, MomentKind::Command, MomentKind::WorkerLost, MomentKind::Switched] {
        assert!(session.moments().iter().any(|moment| moment.kind == kind), "{kind:?}");
    }
    let marks: Vec<_> = session.moments().iter().filter(|moment| is_mark(moment)).collect();
    assert!(marks.len() > 2);
    let mut cursor = session.start().unwrap();
    for moment in marks.iter().chain(marks.iter().rev()) {
        cursor.seek(moment.at).unwrap();
        let last = cursor.lab().marks.last().unwrap();
        assert_eq!(last.name, moment.label);
        assert!(cursor.lab() == &fold(&events[..until(events, moment.at)]));
    }
}

#[test]
fn a_session_without_its_index_is_scanned_to_the_same_contents() {
    let (events, complete) = &*RECORDED;
    let bytes = record(events);
    let recovered = open(&bytes[..bytes.len() - 1]);
    assert!(matches!(recovered.completeness(), Completeness::Recovered { .. }));
    assert_eq!(recovered.events(), complete.events());
    assert_eq!(recovered.length(), complete.length());
    assert_eq!(recovered.moments(), complete.moments());
    assert_eq!(recovered.keyframes().collect::<Vec<_>>(), complete.keyframes().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_seek_equals_folding_from_the_start(part in 0.0f64..1.1) {
        let (events, session) = &*RECORDED;
        let to = Micros((session.length().0 as f64 * part) as u64);
        let count = until(events, to);
        let cursor = session.seek(to).unwrap();
        prop_assert_eq!(cursor.position(), count as u64);
        prop_assert!(cursor.lab() == &fold(&events[..count]));
        let next = events.get(count).map(|_| cursor.peek().unwrap() > to);
        prop_assert!(next.unwrap_or(cursor.peek().is_none()));
    }

    #[test]
    fn a_seek_to_the_time_of_an_event_applies_it(index in 0usize..2000) {
        let (events, session) = &*RECORDED;
        let at = fold(&events[..=index]).now;
        let cursor = session.seek(at).unwrap();
        prop_assert!(cursor.position() > index as u64);
    }

    #[test]
    fn wherever_a_cursor_came_from_it_shows_the_same_lab(parts in prop::collection::vec(0.0f64..1.0, 1..6)) {
        let (events, session) = &*RECORDED;
        let mut cursor = session.start().unwrap();
        for part in parts {
            let to = Micros((session.length().0 as f64 * part) as u64);
            cursor.seek(to).unwrap();
            let count = until(events, to);
            prop_assert_eq!(cursor.position(), count as u64);
            let mut lab = fold(&events[..count.saturating_sub(1)]);
            if count > 0 {
                cursor.step_back().unwrap();
                prop_assert!(cursor.lab() == &lab);
                cursor.step().unwrap();
                lab.apply(&events[count - 1]);
            }
            prop_assert!(cursor.lab() == &lab);
        }
    }
}
