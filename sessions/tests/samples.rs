//! Sessions recorded by earlier versions read and fold as they did.
#![allow(clippy::unwrap_used)] // the helpers below are tests too

use std::path::Path;

use collab_core::lab::Lab;
use collab_core::time::Micros;
use collab_sessions::Session;

fn sample(name: &str) -> Session {
    Session::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)).unwrap()
}

fn at(session: &Session, seconds: u64) -> Lab {
    session.seek(Micros(seconds * 1_000_000)).unwrap().lab().clone()
}

#[test]
fn the_throttle_sample_tells_its_story() {
    let session = sample("throttle.mcap");
    let before = at(&session, 9);
    let throttled = at(&session, 14);
    let end = at(&session, 100);
    assert_eq!((before.workers.len(), before.workers[1].throttle.percent), (3, 100.0));
    assert_eq!(throttled.workers[1].throttle.percent, 40.0);
    assert!(throttled.offered().is_some(), "another partition is offered");
    assert_eq!(end.marks.iter().map(|mark| &*mark.name).collect::<Vec<_>>(), ["slower"]);
    assert_eq!((end.ended, end.runs.done, end.runs.lost), (true, 268, 0));
    assert_eq!(end.runs.overall(), Some("bit-equal"));
    assert!(end.past.len() > before.past.len(), "offers were accepted");
}
