//! Resizes and pads against naive ones, and parts of them against the whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use collab_kernels::{Isa, Map, PlaneList, Resample, Scratch, Taps};
use common::{bits, config, values};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Taps of `outputs` indices into `inputs`, drawn at random: copies with gaps, a stretch, or sums with idle taps.
fn taps(random: &mut ChaCha8Rng, inputs: usize, outputs: usize) -> Taps {
    let inputs = inputs as u32;
    match random.random_range(0..3) {
        0 => {
            let source = |_| random.random_bool(0.8).then(|| random.random_range(0..inputs));
            Taps::copies((0..outputs).map(source).collect())
        }
        1 => {
            let before = random.random_range(0..4);
            let source = |at: u32| at.checked_sub(before).filter(|&at| at < inputs);
            Taps::copies((0..outputs as u32).map(source).collect())
        }
        _ => {
            let window = random.random_range(1..5);
            let count = window * outputs;
            let sources = (0..count).map(|_| random.random_range(0..inputs)).collect();
            let mut weight = |_| if random.random_bool(0.2) { 0.0 } else { random.random_range(-1.0..1.0) };
            Taps::blends(window, sources, (0..count).map(&mut weight).collect())
        }
    }
}

/// What output index `at` reads, by definition; nothing where nothing is copied.
fn reads(taps: &Taps, at: usize) -> Option<Vec<(usize, f64)>> {
    match taps {
        Taps::Copies { sources, .. } => sources[at].map(|source| vec![(source as usize, 1.0)]),
        Taps::Blends { window, sources, weights } => {
            let taps = at * window..(at + 1) * window;
            let pairs = sources[taps.clone()].iter().zip(&weights[taps]);
            Some(pairs.map(|(&source, &weight)| (source as usize, f64::from(weight))).collect())
        }
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_resampled_map_is_near_the_naive_one_and_any_rows_have_the_bits_of_the_whole(
        channels in 1..4usize, from in [1..12usize, 1..40usize], to in [1..20usize, 1..60usize],
        first in 0..20usize, count in 1..20usize, seed: u64,
    ) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let ([rows, width], [out_rows, out_width]) = (from, to);
        let layer = Resample {
            rows: taps(&mut random, rows, out_rows),
            columns: taps(&mut random, width, out_width),
            outside: 0.25,
        };
        let input = values(seed, channels * rows * width);
        let map = Map::new(&input, channels, rows, width).unwrap();
        let (first, end) = (first % out_rows, (first % out_rows + count).min(out_rows));
        for isa in Isa::available() {
            let mut whole = vec![f32::NAN; channels * out_rows * out_width];
            let mut scratch = Scratch::new();
            let mut planes = PlaneList::default().split(&mut whole, channels);
            layer.run(isa, map, 0..out_rows, &mut planes, &mut scratch).unwrap();
            for (at, &found) in whole.iter().enumerate() {
                let (channel, y, x) = (at / (out_rows * out_width), at / out_width % out_rows, at % out_width);
                let value = |y: usize, x: usize| f64::from(input[(channel * rows + y) * width + x]);
                let row = |y: usize| match reads(&layer.columns, x) {
                    Some(taps) => taps.iter().map(|(x, weight)| value(y, *x) * weight).sum(),
                    None => 0.25,
                };
                let exact: f64 = match reads(&layer.rows, y) {
                    Some(taps) => taps.iter().map(|(y, weight)| row(*y) * weight).sum(),
                    None => 0.25,
                };
                prop_assert!((exact - f64::from(found)).abs() <= 1e-5, "{:?}: {} for {}", isa, found, exact);
            }
            // A strip holds the rows that it reaches, and no others.
            let reached = || (first..end).filter_map(|row| layer.rows.reach(row));
            let held = reached().map(|reach| reach.0).min().unwrap_or(0)
                ..reached().map(|reach| reach.1 + 1).max().unwrap_or(1);
            let strip = Resample { rows: layer.rows.part(first..end, held.clone()), ..layer.clone() };
            let mut part = vec![f32::NAN; channels * (end - first) * out_width];
            let mut planes = PlaneList::default().split(&mut part, channels);
            strip.run(isa, map.rows_between(held.start, held.end), 0..end - first, &mut planes, &mut scratch).unwrap();
            for (channel, part) in part.chunks_exact((end - first) * out_width).enumerate() {
                let whole = &whole[(channel * out_rows + first) * out_width..][..part.len()];
                prop_assert_eq!(bits(whole), bits(part), "{:?}", isa);
            }
        }
    }

    #[test]
    fn taps_that_only_copy_are_known_as_copies(sources in prop::collection::vec(0..50u32, 1..60)) {
        let weights = sources.iter().flat_map(|_| [0.0, 1.0]).collect();
        let doubled = sources.iter().flat_map(|&source| [0, source]).collect();
        let expected = Taps::copies(sources.into_iter().map(Some).collect());
        prop_assert_eq!(Taps::blends(2, doubled, weights), expected);
    }
}
