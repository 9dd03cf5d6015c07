//! What was flushed survives: a cut at any byte, a killed process, a full disk.
#![allow(clippy::unwrap_used)] // the helpers below are tests too

mod story;

use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};

use collab_core::event::{Event, What};
use collab_core::lab::Lab;
use collab_core::time::Micros;
use collab_sessions::{ReadError, RecordError, Recorder, Session};
use proptest::prelude::*;
use story::{open, story};

/// A file that is looked at while it is written.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Recording {
    events: Vec<Event>,
    bytes: Vec<u8>,
    /// Bytes in the file, and how many events were flushed by then.
    flushed: Vec<(u64, usize)>,
}

static RECORDING: LazyLock<Recording> = LazyLock::new(|| {
    let events = story(21, 25);
    let file = Shared::default();
    let mut recorder = Recorder::new(file.clone()).unwrap();
    let mut lab = Lab::default();
    let mut flushed = Vec::new();
    for (index, event) in events.iter().enumerate() {
        recorder.write(event, &lab).unwrap();
        lab.apply(event);
        if index % 700 == 0 {
            recorder.flush().unwrap();
            flushed.push((recorder.bytes(), index + 1));
        }
        if matches!(event.what, What::CommandGiven { .. }) {
            flushed.push((recorder.bytes(), index + 1));
        }
    }
    recorder.finish().unwrap();
    let bytes = file.bytes();
    flushed.push((bytes.len() as u64, events.len()));
    Recording { events, bytes, flushed }
});

/// The events in a file, and whether they are what `events` begins with.
fn recovered(session: &Session, events: &[Event]) -> (usize, bool) {
    let (mut count, mut is_prefix) = (0, true);
    session
        .visit(|entry| {
            is_prefix &= entry.event().as_ref() == events.get(count);
            count += 1;
            Ok::<(), ReadError>(())
        })
        .unwrap();
    (count, is_prefix)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_cut_at_any_byte_keeps_every_flushed_event(part in 0.0f64..1.0, from_end in 0usize..40_000, near_end: bool) {
        let Recording { events, bytes, flushed } = &*RECORDING;
        let cut = if near_end { bytes.len().saturating_sub(from_end) } else { (bytes.len() as f64 * part) as usize };
        let kept = flushed.iter().filter(|(end, _)| *end <= cut as u64).map(|(_, count)| *count).max();
        match Session::read("cut", io::Cursor::new(bytes[..cut].to_vec())) {
            Err(error) => prop_assert_eq!(kept, None, "{}", error),
            Ok(session) => {
                let (count, is_prefix) = recovered(&session, events);
                prop_assert!(is_prefix);
                prop_assert!(count >= kept.unwrap_or(0), "{count} events, {kept:?} were flushed");
                prop_assert_eq!(session.events(), count as u64);
                let cursor = session.seek(session.length()).unwrap();
                prop_assert!(cursor.lab() == &story::fold(&events[..count]));
            }
        }
    }
}

#[test]
fn a_command_and_the_first_events_are_in_the_file_at_once() {
    let events = story(22, 8);
    let file = Shared::default();
    let mut recorder = Recorder::new(file.clone()).unwrap();
    let mut lab = Lab::default();
    let mut seen = 0;
    for (index, event) in events.iter().enumerate() {
        recorder.write(event, &lab).unwrap();
        lab.apply(event);
        if index == 0 || matches!(event.what, What::CommandGiven { .. } | What::WorkerLost { .. }) {
            assert_eq!(open(&file.bytes()).events(), index as u64 + 1);
            seen += 1;
        }
    }
    assert!(seen > 3, "the story must hold commands");
}

#[test]
fn no_event_waits_for_more_than_a_second_of_the_session() {
    let events = story(23, 8);
    let file = Shared::default();
    let mut recorder = Recorder::new(file.clone()).unwrap();
    let mut lab = Lab::default();
    let mut times = Vec::new();
    for (index, event) in events.iter().enumerate() {
        recorder.write(event, &lab).unwrap();
        lab.apply(event);
        times.push(lab.now);
        if index % 97 == 0 {
            let waiting = open(&file.bytes()).events() as usize;
            let oldest = times.get(waiting).copied().unwrap_or(lab.now);
            assert!((lab.now - oldest).0 < 1_000_000, "an event of {oldest:?} waits at {:?}", lab.now);
        }
    }
    let waiting = recorder.events() - open(&file.bytes()).events();
    recorder.flush_due(lab.now + Micros(1_000_000)).unwrap();
    assert_eq!(open(&file.bytes()).events(), recorder.events(), "{waiting} events waited");
}

#[test]
fn a_growing_file_is_refreshed_to_what_opening_it_again_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("growing.mcap");
    let mut recorder = Recorder::create(&path).unwrap();
    let events = story(27, 9);
    let mut lab = Lab::default();
    let mut watched: Option<Session> = None;
    for (index, event) in events.iter().enumerate() {
        recorder.write(event, &lab).unwrap();
        lab.apply(event);
        if index % 500 == 0 {
            let again = match &watched {
                Some(session) => session.refresh().unwrap(),
                None => Session::open(&path).unwrap(),
            };
            let opened = Session::open(&path).unwrap();
            assert_eq!(again.completeness(), opened.completeness());
            assert_eq!((again.events(), again.moments()), (opened.events(), opened.moments()));
            assert!(again.seek(again.length()).unwrap().lab() == opened.seek(opened.length()).unwrap().lab());
            watched = Some(again);
        }
    }
    recorder.finish().unwrap();
    let last = watched.unwrap().refresh().unwrap();
    assert!(last.is_complete());
    assert!(last.seek(last.length()).unwrap().lab() == &lab);
}

/// What [`a_killed_recorder_loses_nothing_flushed`] does in the process that it kills.
fn record_until_killed(path: &Path) {
    let mut recorder = Recorder::create(path).unwrap();
    let mut out = io::stdout();
    let mut lab = Lab::default();
    for (index, event) in story(24, 3600).iter().enumerate() {
        recorder.write(event, &lab).unwrap();
        lab.apply(event);
        if index % 1000 == 999 {
            recorder.flush().unwrap();
            writeln!(out, "\nflushed {}", index + 1).unwrap();
        }
    }
}

#[test]
fn a_killed_recorder_loses_nothing_flushed() {
    if let Some(path) = std::env::var_os("COLLAB_TEST_RECORD") {
        return record_until_killed(path.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.mcap");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_recorder_loses_nothing_flushed", "--nocapture"])
        .env("COLLAB_TEST_RECORD", &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let flushed =
        lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("flushed ")?.parse::<u64>().ok());
    let flushed = flushed.take(7).last().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let session = Session::open(&path).unwrap();
    assert!(!session.is_complete());
    assert!(session.events() >= flushed, "{} events, {flushed} were flushed", session.events());
    let (count, is_prefix) = recovered(&session, &story(24, 3600));
    assert!(is_prefix && count as u64 == session.events());
}

/// A disk with room for so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_stops_the_recording_with_a_sentence() {
    let mut recorder = Recorder::new(Full(40_000)).unwrap();
    let lab = Lab::default();
    let events = story(25, 20);
    let error = events.iter().find_map(|event| recorder.write(event, &lab).err()).unwrap();
    assert!(error.to_string().starts_with("recording stopped: "), "{error}");
    let later = recorder.write(&events[0], &lab).unwrap_err();
    assert!(matches!(later, RecordError::Stopped));
    assert!(recorder.finish().is_err());
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.mcap");
    std::fs::write(&path, b"precious").unwrap();
    let error = Recorder::create(&path).unwrap_err();
    assert!(error.to_string().contains("exists already: name another file"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let below_a_file = Recorder::create(&path.join("below.mcap")).unwrap_err();
    assert!(below_a_file.to_string().contains("Name a file in a folder you may write to"), "{below_a_file}");
}

#[test]
fn labs_that_start_in_the_same_moment_record_into_files_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let names = || (1..).map(|number| folder.path().join(format!("now-{number}.mcap")));
    std::fs::write(names().next().unwrap(), b"precious").unwrap();
    let labs = 8;
    let (start, event) = (std::sync::Barrier::new(labs), &story(21, 1)[0]);
    let mut paths: Vec<_> = std::thread::scope(|scope| {
        let lab = || {
            start.wait();
            let (mut recorder, path) = Recorder::create_first_free(names()).unwrap();
            recorder.write(event, &Lab::default()).unwrap();
            recorder.finish().unwrap();
            path
        };
        let running: Vec<_> = (0..labs).map(|_| scope.spawn(lab)).collect();
        running.into_iter().map(|lab| lab.join().unwrap()).collect()
    });
    paths.sort();
    assert_eq!(paths, names().skip(1).take(labs).collect::<Vec<_>>());
    assert!(paths.iter().all(|path| Session::open(path).unwrap().is_complete()));
    assert_eq!(std::fs::read(names().next().unwrap()).unwrap(), b"precious");
}

#[test]
fn a_dropped_recorder_finishes_its_file() {
    let file = Shared::default();
    let events = story(26, 4);
    let mut recorder = Recorder::new(file.clone()).unwrap();
    for event in &events {
        recorder.write(event, &Lab::default()).unwrap();
    }
    drop(recorder);
    let session = open(&file.bytes());
    assert!(session.is_complete());
    assert_eq!(session.events(), events.len() as u64);
}
