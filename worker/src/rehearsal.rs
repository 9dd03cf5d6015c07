//! Rehearsals: strips are run before anything waits for them, so that their memory is there, and timed.
//!
//! A strip that never ran is run once when its partition is prepared. Then the lab has all workers run block after block
//! at the same time, as they will in a run, so that what workers of one host cost each other is in their times.

use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use collab_core::event::BlockTimes;

use crate::compute::{Compute, Prepared, Rehearsal, Rehearsed, Work};

/// How long the computing thread may take to find time.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A block and a part of it.
pub(crate) type Place = (usize, usize);

/// Has the worker's parts of a block run once, and tells what its layers took once it has rested; `None` if there is no
/// time for that or it has none of the block.
pub(crate) fn block(
    compute: &Compute,
    prepared: &Prepared,
    block: usize,
    is_last: bool,
) -> Option<BlockTimes> {
    let parts = prepared.parts.get(block).filter(|parts| !parts.is_empty())?;
    let places: Vec<Place> = (0..parts.len()).map(|part| (block, part)).collect();
    let ran = run(compute, prepared, &places, is_last);
    let times = places.iter().map(|place| ran.get(place)).collect::<Option<Vec<_>>>()?;
    let layers = parts[0].layers.iter().enumerate().map(|(at, &(layer, _))| {
        let rows = parts.iter().map(|part| part.layers[at].1).sum();
        let ms = times.iter().map(|ran| ran.layers[layer as usize].as_secs_f32() * 1e3).sum();
        (layer, rows, ms)
    });
    let layers = layers.collect();
    let rested = times.iter().map(|ran| ran.rested).max()?;
    std::thread::sleep(rested.saturating_duration_since(Instant::now()));
    Some(BlockTimes { block: block as u32, layers })
}

/// Has parts run, in this order, and waits for that; those for which there is no time are left out. What they yield is
/// held as in a run, unless `is_last` says that nothing follows.
pub(crate) fn run(
    compute: &Compute,
    prepared: &Prepared,
    places: &[Place],
    is_last: bool,
) -> HashMap<Place, Rehearsed> {
    let (timed, results) = channel();
    let rehearsal = |&place: &Place| {
        let part = &prepared.parts[place.0][place.1];
        Rehearsal {
            strip: part.strip.clone(),
            input: (prepared.cuts[place.0], part.need),
            layers: prepared.layers,
            place,
            is_last: is_last && Some(&place) == places.last(),
            timed: timed.clone(),
        }
    };
    compute.give(Work::Rehearse(places.iter().map(rehearsal).collect()));
    drop(timed);
    let deadline = Instant::now() + PATIENCE;
    let left = || deadline.saturating_duration_since(Instant::now());
    // Ends when the last of them was run.
    std::iter::from_fn(|| results.recv_timeout(left()).ok()).map(|ran| (ran.place, ran)).collect()
}
