//! Files that are no sessions, damaged, hostile, or written by another version.
#![allow(clippy::unwrap_used)] // the helpers below are tests too

mod story;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Cursor as Bytes;
use std::sync::{Arc, LazyLock};

use collab_core::event::Event;
use collab_core::lab::Lab;
use collab_core::time::Micros;
use collab_sessions::{ReadError, Session, Stepped, export};
use mcap::{Compression, WriteOptions};
use proptest::prelude::*;
use story::{fold, open, record, story};

fn refusal(bytes: &[u8]) -> String {
    Session::read("lab.mcap", Bytes::new(bytes.to_vec())).unwrap_err().to_string()
}

/// Reads everything there is to read.
fn exercise(bytes: &[u8]) {
    let Ok(session) = Session::read("hostile", Bytes::new(bytes.to_vec())) else { return };
    let _ = export::jsonl(&session, std::io::sink());
    let _ = export::perfetto(&session, std::io::sink());
    for to in [Micros(0), Micros(session.length().0 / 2), Micros(u64::MAX)] {
        if let Ok(mut cursor) = session.seek(to) {
            let _ = (cursor.step_back(), cursor.step(), cursor.seek(Micros(0)));
        }
    }
}

static FINISHED: LazyLock<Vec<u8>> = LazyLock::new(|| record(&story(31, 6)));

/// A session with `messages` (topic, time in µs, JSON), written by whoever.
fn written_by_others(
    profile: &str,
    compression: Option<Compression>,
    messages: &[(&str, u64, String)],
) -> Vec<u8> {
    let mut file = Bytes::new(Vec::new());
    let options = WriteOptions::new().profile(profile).compression(compression).compression_threads(0);
    let mut writer = options.create(&mut file).unwrap();
    for (number, (topic, at, json)) in (0..).zip(messages) {
        let channel = mcap::Channel {
            id: topic.bytes().map(u16::from).sum(),
            topic: (*topic).to_owned(),
            schema: None,
            message_encoding: if *topic == "binary" { "cdr" } else { "json" }.to_owned(),
            metadata: BTreeMap::new(),
        };
        let (log_time, data) = (at * 1000, Cow::Borrowed(json.as_bytes()));
        let channel = Arc::new(channel);
        writer
            .write(&mcap::Message { channel, sequence: number, log_time, publish_time: log_time, data })
            .unwrap();
    }
    writer.finish().unwrap();
    drop(writer);
    file.into_inner()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn what_is_no_session_is_refused_with_a_sentence_that_says_what_to_do() {
    let path = std::path::Path::new("no/such/file.mcap");
    let error = Session::open(path).unwrap_err().to_string();
    assert!(
        error.starts_with("no/such/file.mcap: ") && error.ends_with("Name a session file that you may read")
    );
    let other = |profile: &str| written_by_others(profile, Some(Compression::Zstd), &[]);
    for (bytes, says) in [
        (
            Vec::new(),
            "lab.mcap: the file is empty: its recording ended before anything was written. Record again",
        ),
        (b"time,run\n0,1\n".to_vec(), "does not begin like an MCAP file. Sessions are written with --record"),
        (FINISHED[..5].to_vec(), "the file ends after 5 bytes, within its header"),
        (FINISHED[..20].to_vec(), "the file ends after 20 bytes, within its header"),
        (FINISHED[..200].to_vec(), "the file holds no events"),
        (other("ros2"), "an MCAP file with the profile 'ros2', not a session"),
        (
            other("collab/2"),
            "format 2, this program reads format 1: use the version of collab that recorded it",
        ),
        (other("collab/1"), "the file holds no events"),
    ] {
        let error = refusal(&bytes);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_damaged_chunk_is_named_and_everything_before_it_is_kept() {
    let events = story(32, 20);
    let mut bytes = record(&events);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let session = open(&bytes);
    let error = session.seek(session.length()).err().or_else(|| {
        let visited = session.visit(|_| Ok::<(), ReadError>(()));
        visited.err()
    });
    let error = error.unwrap().to_string();
    assert!(error.starts_with("the session is damaged at 0:") && error.contains("(byte "), "{error}");
    assert!(error.ends_with("Copy the file again, or replay what is before or after with --at"), "{error}");
    let recovered = open(&bytes[..bytes.len() - 1]);
    let kept = recovered.events() as usize;
    assert!(kept > 100 && kept < events.len());
    assert!(recovered.seek(recovered.length()).unwrap().lab() == &fold(&events[..kept]));
}

#[test]
fn events_of_unknown_kinds_are_skipped_in_the_fold_and_exported_all_the_same() {
    let events = story(33, 1);
    let mut messages = Vec::new();
    for (index, event) in events.iter().enumerate() {
        if index % 7 == 3 {
            let later = format!(r#"{{"at":{},"event":"energy_measured","joules":1.5}}"#, event.at.0);
            messages.push(("energy", event.at.0, later));
        }
        messages.push((event.what.channel().topic(), event.at.0, json(event)));
    }
    messages.push((
        "runs",
        events[events.len() - 1].at.0,
        r#"{"at":1,"event":"run_done","ms":{"p50":3}}"#.to_owned(),
    ));
    messages.push(("binary", events[events.len() - 1].at.0, "none of ours".to_owned()));
    let session = open(&written_by_others("collab/1", Some(Compression::Zstd), &messages));
    let mut cursor = session.start().unwrap();
    let mut unknown = 0;
    while let Some(stepped) = cursor.step().unwrap() {
        unknown += u64::from(matches!(stepped, Stepped::Unknown(json) if json.contains("\"event\"")));
    }
    assert_eq!(cursor.lab(), &fold(&events));
    assert_eq!(unknown, session.events() - events.len() as u64);
    let mut lines = Vec::new();
    assert_eq!(export::jsonl(&session, &mut lines).unwrap(), session.events());
    let lines = String::from_utf8(lines).unwrap();
    let expected: Vec<&str> =
        messages.iter().filter(|(topic, ..)| *topic != "binary").map(|(.., json)| &**json).collect();
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_keyframe_of_another_version_or_of_a_lab_that_cannot_be_is_replaced_by_folding_from_the_start() {
    let events = story(34, 3);
    let half = events.len() / 2;
    let at = |index: usize| events[index].at.0;
    let mut bytes = Vec::new();
    let mut crafted = fold(&events[..half]);
    crafted.workers.pop();
    for keyframe in [json(&fold(&events[..half])), r#"{"now":"noon"}"#.to_owned(), json(&crafted)] {
        let mut messages = vec![("keyframe", at(0), json(&Lab::default()))];
        for (index, event) in events.iter().enumerate() {
            if index == half {
                messages.push(("keyframe", at(index), keyframe.clone()));
            }
            messages.push((event.what.channel().topic(), at(index), json(event)));
        }
        bytes = written_by_others("collab/1", Some(Compression::Zstd), &messages);
        let session = open(&bytes);
        assert!(session.seek(session.length()).unwrap().lab() == &fold(&events));
    }
    assert!(!bytes.is_empty());
}

#[test]
fn a_session_packed_in_another_way_says_how() {
    let events: Vec<_> =
        story(35, 1).iter().map(|event| (event.what.channel().topic(), event.at.0, json(event))).collect();
    let error = refusal(&written_by_others("collab/1", None, &events));
    assert!(error.contains("its first chunk is damaged: it is compressed as '', not as 'zstd'"), "{error}");
}

#[test]
fn lengths_that_lie_are_refused_before_memory_is_taken_for_them() {
    let header = 8 + 9 + u64::from_le_bytes(FINISHED[9..17].try_into().unwrap()) as usize;
    let lies = [
        (9..17, "the header's length"),
        (17..21, "the profile's length"),
        (header + 1..header + 9, "the first chunk's length"),
        (header + 25..header + 33, "its unpacked length"),
        (header + 37..header + 41, "the length of its compression's name"),
        (header + 45..header + 53, "its packed length"),
    ];
    for (place, what) in lies {
        for lie in [0xff, 0x7f, 0x00] {
            let mut bytes = FINISHED.clone();
            bytes[place.clone()].fill(lie);
            exercise(&bytes);
            bytes.pop();
            assert!(Session::read("lie", Bytes::new(bytes)).is_err(), "{what}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_are_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), with_header: bool) {
        let mut file = if with_header { FINISHED[..60].to_vec() } else { Vec::new() };
        file.extend(bytes);
        exercise(&file);
    }

    #[test]
    fn changed_bytes_are_never_a_panic(
        changes in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..8),
        in_the_summary: bool,
        cut in prop::option::of(0.0f64..1.0),
    ) {
        let mut bytes = FINISHED.clone();
        let from = if in_the_summary { bytes.len() - 16_000 } else { 0 };
        for (part, byte) in changes {
            let at = from + ((bytes.len() - from) as f64 * part) as usize;
            bytes[at] = byte;
        }
        let keep = cut.map_or(bytes.len(), |part| (bytes.len() as f64 * part) as usize);
        exercise(&bytes[..keep]);
    }
}

#[test]
fn an_event_reads_back_from_its_entry() {
    let session = open(&FINISHED);
    let mut first: Option<Event> = None;
    session
        .visit(|entry| {
            first = first.take().or(entry.event());
            Ok::<(), ReadError>(())
        })
        .unwrap();
    assert_eq!(first.as_ref(), story(31, 6).first());
}
