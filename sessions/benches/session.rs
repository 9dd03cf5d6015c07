//! What recording and replaying cost: time per event, bytes per layer sample, time of a seek.
#![allow(clippy::unwrap_used)] // of the story, which the tests share

#[path = "../tests/story/mod.rs"]
mod story;

use std::sync::LazyLock;

use collab_core::event::{Event, What};
use collab_core::lab::Lab;
use collab_core::time::Micros;
use collab_sessions::{ReadError, Recorder, Session};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use story::{fold, open, record, story};

const SECONDS: u64 = 420;
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| story(1, SECONDS));
static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| record(&EVENTS));
static SESSION: LazyLock<Session> = LazyLock::new(|| open(&FILE));

#[allow(clippy::print_stdout)]
fn main() {
    let layers = |event: &Event| match &event.what {
        What::LayersTimed(timed) => timed.layers.len(),
        _ => 0,
    };
    let samples: usize = EVENTS.iter().map(layers).sum();
    let json: usize = EVENTS.iter().map(|event| serde_json::to_vec(event).map_or(0, |json| json.len())).sum();
    let only: Vec<Event> = EVENTS
        .iter()
        .enumerate()
        .filter(|(at, event)| *at < 2 || layers(event) > 0)
        .map(|(_, event)| event.clone())
        .collect();
    let keyframe = serde_json::to_vec(&fold(&EVENTS)).map_or(0, |json| json.len());
    let (bytes, events) = (FILE.len(), EVENTS.len());
    println!(
        "{SECONDS} s: {events} events, {samples} layer samples, {json} bytes of JSON, {bytes} in the file"
    );
    println!(
        "bytes per event {:.1}, per layer sample, everything counted {:.1}",
        bytes as f64 / events as f64,
        bytes as f64 / samples as f64
    );
    println!(
        "bytes per layer sample, nothing but layers recorded: {:.1}",
        record(&only).len() as f64 / samples as f64
    );
    println!("keyframes {}, the last of {keyframe} bytes of JSON", SESSION.keyframes().count());
    divan::main();
}

#[divan::bench(sample_count = 10)]
fn write_every_event(bencher: Bencher) {
    bencher.counter(ItemsCount::new(EVENTS.len())).bench(|| {
        let mut recorder = Recorder::new(std::io::sink()).expect("a sink takes everything");
        let mut lab = Lab::default();
        for event in EVENTS.iter() {
            recorder.write(event, &lab).expect("a sink takes everything");
            lab.apply(event);
        }
        recorder.finish()
    });
}

#[divan::bench(sample_count = 10)]
fn fold_every_event(bencher: Bencher) {
    bencher.counter(ItemsCount::new(EVENTS.len())).bench(|| fold(black_box(&EVENTS)));
}

#[divan::bench]
fn seek_anywhere(bencher: Bencher) {
    let mut part = 0.0f64;
    bencher.bench_local(|| {
        part = (part + 0.618_034).fract();
        SESSION.seek(Micros::from_secs_f64(SECONDS as f64 * part)).map(|cursor| cursor.position())
    });
}

#[divan::bench]
fn seek_to_a_keyframe(bencher: Bencher) {
    let at = SESSION.keyframes().nth(40).expect("a long session has as many");
    bencher.bench_local(|| SESSION.seek(at).map(|cursor| cursor.position()));
}

#[divan::bench]
fn step_back(bencher: Bencher) {
    let mut cursor = SESSION.seek(Micros(SECONDS * 500_000)).expect("the file is whole");
    bencher.bench_local(|| cursor.step_back());
}

#[divan::bench]
fn open_by_index() -> u64 {
    open(&FILE).events()
}

#[divan::bench(sample_count = 10)]
fn open_by_scan() -> u64 {
    open(&FILE[..FILE.len() - 1]).events()
}

#[divan::bench(sample_count = 10)]
fn replay_everything() -> usize {
    let mut count = 0;
    let outcome = SESSION.visit(|entry| {
        count += usize::from(entry.event().is_some());
        Ok::<(), ReadError>(())
    });
    outcome.map_or(0, |()| count)
}
