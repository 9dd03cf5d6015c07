//! Where a layer's prediction comes from: what each kind of its work costs by the worker's profile, and what was
//! learnt since. Pure arithmetic over the lab's state.

use collab_core::lab::Lab;
use collab_core::network::{Network, Term};
use collab_core::predict::{Portion, assumed_shape};
use collab_core::schedule::Schedule;

use super::layers::Row;

/// A prediction taken apart: `predicted = (calibrated · learnt + at cuts) · throttle`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Explained {
    /// What each kind of work costs by the profile, ms; the dearest first, those that cost nothing left out.
    pub(super) terms: Vec<(Term, f64)>,
    /// Their sum, ms.
    pub(super) calibrated_ms: f64,
    /// How much longer it takes by its own times and the worker's late pace.
    pub(super) learnt: f64,
    /// What it takes beyond that to read what its block is given, or to write what its block yields, ms.
    pub(super) at_cuts_ms: f64,
    /// How much longer its CPU share makes it.
    pub(super) throttle: f64,
}

/// Takes a row's prediction apart; `None` without a profile of its worker.
pub(super) fn explained(lab: &Lab, row: &Row) -> Option<Explained> {
    let (network, worker) = (lab.network.as_ref()?, lab.worker(row.worker)?);
    let profile = worker.profile.as_ref()?;
    let work = network.work(row.layer as usize);
    let portion = portion(lab, network, row);
    let mut terms: Vec<(Term, f64)> = work
        .iter()
        .filter_map(|work| {
            let amount = f64::from(portion.pieces) * work.call + f64::from(row.rows) * work.row;
            Some((work.term, profile.coefficient(work.term)?.ms * amount))
        })
        .filter(|(_, ms)| *ms > 0.0)
        .collect();
    terms.sort_by(|a, b| b.1.total_cmp(&a.1));
    let calibrated_ms: f64 = terms.iter().map(|(_, ms)| ms).sum();
    let throttle = 100.0 / worker.throttle.percent.max(1.0);
    let at_cuts = lab.memory(row.worker)?.costs(network, &assumed_shape(network)).at_cuts;
    let at_cuts_ms = at_cuts.ms(portion.read, portion.written);
    let of_its_own = row.predicted.map(|predicted| predicted / throttle - at_cuts_ms);
    let learnt =
        of_its_own.filter(|ms| *ms > 0.0 && calibrated_ms > 0.0).map_or(1.0, |ms| ms / calibrated_ms);
    Some(Explained { terms, calibrated_ms, learnt, at_cuts_ms, throttle })
}

/// What the running partition has the row's worker compute of the layer.
fn portion(lab: &Lab, network: &Network, row: &Row) -> Portion {
    let alone = Portion { pieces: 1, rows: row.rows, ..Portion::default() };
    let schedule = lab.running().map(|running| Schedule::new(network, &running.plan));
    let stage = schedule.as_ref().and_then(|schedule| schedule.stages.get(row.block as usize));
    let Some((stage, strip)) = stage.and_then(|stage| Some((stage, stage.strips.get(row.worker.index())?)))
    else {
        return alone;
    };
    let units = stage.units.0 as usize..stage.units.1 as usize;
    let needed = strip.parts.iter().map(|part| part.need.len()).sum();
    let (read, written) = network.bytes_at_cuts(&units, row.layer as usize, needed, strip.rows.len());
    Portion { pieces: strip.parts.len().max(1) as u32, read, written, ..alone }
}

/// The kinds of the layer's work that its worker's profile knows from too few samples.
pub(super) fn unreliable(lab: &Lab, row: &Row) -> Vec<Term> {
    let profile = lab.worker(row.worker).and_then(|worker| worker.profile.as_ref());
    let both = profile.zip(lab.network.as_ref());
    both.map_or_else(Vec::new, |(profile, network)| profile.unreliable(&network.work(row.layer as usize)))
}
