//! A made-up session: three workers, runs with spans and layers, commands, marks, a worker that is lost and
//! comes back. The same seed makes the same events. Shared by the tests and the benchmark.
#![allow(dead_code)] // every test binary uses its part

mod scenes;

use std::sync::Arc;

use collab_core::event::{Event, What};
use collab_core::id::PartitionId;
use collab_core::lab::Lab;
use collab_core::network::{Network, samples};
use collab_core::time::Micros;
use collab_sessions::{Recorder, Session};

pub(crate) const WORKERS: u8 = 3;
pub(crate) const UNITS: u32 = 12;

/// SplitMix64: enough chance for a story.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0…1
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

pub(crate) struct Story {
    events: Vec<Event>,
    now: u64,
    network: Arc<Network>,
    chance: Chance,
    run: u64,
    command: u32,
    proposed: u32,
    current: PartitionId,
}

/// About `seconds` of a lab that runs every 40 ms.
pub(crate) fn story(seed: u64, seconds: u64) -> Vec<Event> {
    let mut story = Story {
        events: Vec::new(),
        now: 0,
        network: Arc::new(samples::chain(128, UNITS)),
        chance: Chance(seed),
        run: 0,
        command: 0,
        proposed: 0,
        current: PartitionId(1),
    };
    story.begin();
    let mut status_at = 0;
    while story.now < seconds * 1_000_000 {
        if story.now >= status_at {
            status_at = story.now + 1_000_000;
            story.report();
            story.train();
        }
        story.run();
        match story.chance.next() % 150 {
            0 => story.throttle(),
            1 => story.mark(),
            2 => story.switch(),
            3 => story.lose(),
            4 => story.refuse(),
            _ => {}
        }
    }
    story.put(What::SessionEnded);
    story.events
}

/// The fold of the first `count` events.
pub(crate) fn fold(events: &[Event]) -> Lab {
    let mut lab = Lab::default();
    events.iter().for_each(|event| lab.apply(event));
    lab
}

/// How many events are at or before `to`, in the session's time.
pub(crate) fn until(events: &[Event], to: Micros) -> usize {
    let mut latest = Micros(0);
    events
        .iter()
        .take_while(|event| {
            latest = latest.max(event.at);
            latest <= to
        })
        .count()
}

impl Story {
    fn put(&mut self, what: What) {
        self.now += 20 + self.chance.next() % 30;
        // Reports of workers may be stamped a little before what was written last.
        let early = if self.chance.one_in(40) { 300 } else { 0 };
        self.events.push(Event { at: Micros(self.now.saturating_sub(early)), what });
    }

    /// At the moment of the event before.
    fn tell(&mut self, what: What) {
        self.events.push(Event { at: Micros(self.now), what });
    }
}

/// Records as the lab does, each event before it is applied, and answers the finished file.
pub(crate) fn record(events: &[Event]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in/new/folders/session.mcap");
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

/// Opens a file's bytes.
pub(crate) fn open(bytes: &[u8]) -> Session {
    Session::read("test", std::io::Cursor::new(bytes.to_vec())).unwrap()
}
