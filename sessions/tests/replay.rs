//! What was recorded is what is replayed: at any time, forward and back.

mod story;

use std::io::Cursor as Bytes;

use collab_core::lab::Lab;
use collab_core::time::Micros;
use collab_sessions::{Completeness, MomentKind, Recorder, Session, Stepped};
use proptest::prelude::*;
use story::{fold, story, until};

/// Records as the lab does: each event before it is applied.
fn record(events: &[collab_core::event::Event]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/session.mcap");
    let mut recorder = Recorder::create(&path).unwrap();
    let mut lab = Lab::default();
    for event in events {
        recorder.write(event, &lab).unwrap();
        lab.apply(event);
    }
    let recorded = recorder.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(recorded.bytes, bytes.len() as u64);
    assert_eq!(recorded.events, events.len() as u64);
    bytes
}

fn open(bytes: &[u8]) -> Session {
    Session::read("test", Bytes::new(bytes.to_vec())).unwrap()
}

#[test]
fn a_finished_session_is_opened_by_its_index_and_replays_to_the_same_lab() {
    let events = story(1, 60);
    let session = open(&record(&events));
    assert_eq!(session.completeness(), Completeness::Complete);
    assert_eq!(session.events(), events.len() as u64);
    assert_eq!(session.length(), fold(&events).now);
    assert!(session.keyframes().count() > 5, "a seek must not fold from the start");
    assert!(session.seek(session.length()).unwrap().lab() == &fold(&events));
    let mut replayed = Vec::new();
    session
        .visit(|entry| {
            replayed.push(entry.event().unwrap());
            Ok::<(), collab_sessions::ReadError>(())
        })
        .unwrap();
    assert!(replayed == events);
}

#[test]
fn stepping_forward_shows_every_lab_in_between() {
    let events = story(2, 12);
    let session = open(&record(&events));
    let mut cursor = session.start().unwrap();
    let mut lab = Lab::default();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(cursor.position(), index as u64);
        let stepped = cursor.step().unwrap();
        assert_eq!(stepped, Some(Stepped::Applied(Box::new(event.clone()))));
        lab.apply(event);
        assert!(cursor.lab() == &lab, "after event {index}");
    }
    assert_eq!(cursor.peek(), None);
    assert_eq!(cursor.step().unwrap(), None);
}
