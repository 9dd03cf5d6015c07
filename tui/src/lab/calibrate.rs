//! What each kind of work costs on each worker: from an earlier session, or measured now.
//!
//! Workers time the layers of synthetic networks, the lab builds the same networks, knows the work of their
//! layers, and fits. Workers that are the same device but for an emulated slowdown are calibrated once: a
//! slowdown is a factor on CPU time.

use std::time::Duration;

use anyhow::Context as _;
use collab_core::event::{Level, What};
use collab_core::id::WorkerId;
use collab_core::predict::{Profile, Sample, fit};
use collab_core::wire::TimedLayer;
use collab_models::calibration;
use collab_worker::client::WorkerLink;

use super::profiles::{Device, Measured, Profiles};
use crate::journal::Journal;

/// After which no further synthetic network is begun: what a Raspberry Pi 4 should need for most of them.
const BUDGET: Duration = Duration::from_secs(9);

/// Parts of the samples, each of which is left out of a fit once.
const FOLDS: usize = 5;
/// Layers that the worker computes faster are the clock's matter, ms: like the errors that stand beside it, that of layers
/// left out is told without them.
const SHORTEST_MS: f64 = 0.05;

/// Gives each of these workers, which run nothing meanwhile, its profile. One that cannot be calibrated does without.
pub async fn calibrate(workers: &[(WorkerId, WorkerLink)], profiles: &Profiles, journal: &Journal) {
    let mut known: Vec<(Measured, bool, f64)> = Vec::new();
    for (worker, link) in workers {
        let worker = *worker;
        let info = link.info();
        let device = Device::of(&info);
        let slowdown = info.emulation.as_ref().map_or(1.0, |emulation| emulation.slowdown);
        if !known.iter().any(|(measured, ..)| measured.device == device) {
            let found = match profiles.find(&device, journal) {
                Some(measured) => Ok((measured, true, 0.0)),
                None => measure(link, device.clone(), slowdown).await.map(|(measured, ms)| {
                    profiles.keep(&measured, journal);
                    (measured, false, ms)
                }),
            };
            match found {
                Ok(found) => known.push(found),
                Err(error) => {
                    journal.note(Level::Warning, format!("{worker} is not calibrated: {error:#}"));
                    continue;
                }
            }
        }
        if let Some((measured, cached, took_ms)) =
            known.iter_mut().find(|(measured, ..)| measured.device == device)
        {
            journal.record(What::WorkerCalibrated {
                worker,
                profile: measured.profile.slowed(slowdown),
                cached: *cached,
                took_ms: *took_ms,
                held_out: measured.held_out,
            });
            // What the next of these workers is told was measured with this one.
            *took_ms = 0.0;
        }
    }
}

/// Calibrates a worker; its profile at a slowdown of 1, and how long it took, ms.
async fn measure(link: &WorkerLink, device: Device, slowdown: f64) -> anyhow::Result<(Measured, f64)> {
    let calibrated = link.calibrate(BUDGET).await?;
    let timed = calibrated.layers;
    let fitted = tokio::task::spawn_blocking(move || {
        let samples = samples(&timed, slowdown)?;
        anyhow::Ok((fit(&samples), held_out(&samples, slowdown)))
    });
    let (profile, held_out) = fitted.await??;
    Ok((Measured { device, profile, held_out }, calibrated.ms))
}

/// The work of what was timed, at a slowdown of 1.
pub fn samples(timed: &[TimedLayer], slowdown: f64) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::with_capacity(timed.len());
    for of_network in timed.chunk_by(|one, other| one.network == other.network) {
        let model = calibration::network(of_network[0].network as usize);
        let model = model.context("the worker timed a network that is not known here")??;
        let network = model.network();
        let mut timed = of_network.iter();
        for (units, rows) in calibration::strips(network) {
            let demand = network.demand(&units, rows);
            let layers = network.layers_of(&units).zip(&demand.layers);
            for (layer, computed) in layers.filter(|(_, computed)| !computed.is_empty()) {
                let same =
                    |timed: &&TimedLayer| (timed.layer as usize, timed.rows) == (layer, computed.len());
                let timed = timed.next().filter(same);
                let timed = timed.context("the worker timed other layers than those known here")?;
                let sample = Sample::new(&network.work(layer), timed.rows, f64::from(timed.ms) / slowdown);
                let (read, written) = network.bytes_at_cuts(&units, layer, demand.input.len(), rows.len());
                samples.push(sample.at_cuts(read, written));
            }
        }
        anyhow::ensure!(timed.next().is_none(), "the worker timed more layers than are known here");
    }
    Ok(samples)
}

/// The mean of |predicted − measured| / measured over layers that a fit to the others predicts, of a worker slowed down so
/// much; `None` if there are too few.
fn held_out(samples: &[Sample], slowdown: f64) -> Option<f64> {
    let mut errors = Vec::new();
    for fold in 0..FOLDS {
        let part = |inside: bool| {
            samples.iter().enumerate().filter(move |(at, _)| (at % FOLDS == fold) == inside).map(|(_, s)| s)
        };
        let profile: Profile = fit(&part(false).cloned().collect::<Vec<_>>());
        let predicted = part(true).filter(|sample| sample.ms * slowdown >= SHORTEST_MS);
        errors.extend(predicted.map(|sample| (profile.ms(sample) / sample.ms - 1.0).abs()));
    }
    let count = errors.len();
    (count >= FOLDS).then(|| errors.iter().sum::<f64>() / count as f64)
}

#[cfg(test)]
mod tests {
    use collab_core::network::{Term, Work};

    use super::*;

    #[test]
    fn layers_too_short_for_the_clock_do_not_spoil_what_is_told_of_those_left_out() {
        let work = [Work { term: Term::Call, call: 0.0, row: 1.0 }];
        let long = (1..40).map(|rows| Sample::new(&work, rows, 0.1 * f64::from(rows)));
        let short = (1..40).map(|rows| Sample::new(&work, rows, 1e-4 * f64::from(rows % 3 + 1)));
        let exact: Vec<Sample> = long.clone().collect();
        assert!(held_out(&exact, 1.0).unwrap() < 1e-6);
        let samples: Vec<Sample> = long.zip(short).flat_map(|(long, short)| [long, short]).collect();
        let (told, of_all) = (held_out(&samples, 1.0).unwrap(), held_out(&samples, 1e3).unwrap());
        assert!(told < of_all / 10.0, "{told} {of_all}");
        assert_eq!(held_out(&exact[..3], 1.0), None);
    }

    #[test]
    fn layers_of_networks_that_are_not_known_are_refused() {
        let timed = |network, layer, rows| TimedLayer { network, layer, rows, ms: 1.0 };
        assert!(samples(&[timed(u32::MAX, 0, 2)], 1.0).is_err());
        assert!(samples(&[timed(0, 10_000, 2)], 1.0).is_err());
        let model = calibration::network(0).unwrap().unwrap();
        let network = model.network();
        let all = calibration::strips(network).into_iter().flat_map(|(units, rows)| {
            let rows = network.demand(&units, rows).layers;
            network.layers_of(&units).zip(rows).map(|(layer, rows)| timed(0, layer as u32, rows.len()))
        });
        let all: Vec<TimedLayer> = all.filter(|timed| timed.rows > 0).collect();
        assert!(samples(&all[1..], 1.0).is_err(), "one is missing");
        let slowed = samples(&all, 4.0).unwrap();
        assert_eq!((slowed.len(), slowed[0].ms), (all.len(), 0.25));
        let bytes = |term: Term| -> f64 {
            slowed
                .iter()
                .flat_map(|sample| &sample.amounts)
                .filter(|(of, _)| *of == term)
                .map(|(_, amount)| amount)
                .sum()
        };
        assert!(bytes(Term::BlockInput) > 0.0 && bytes(Term::BlockOutput) > 0.0);
    }
}
