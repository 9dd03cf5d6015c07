//! Where a layer's prediction comes from: what each kind of its work costs by the worker's profile, and what was
//! learnt since. Pure arithmetic over the lab's state.

use collab_core::lab::Lab;
use collab_core::network::Term;
use collab_core::schedule::Schedule;

use super::layers::Row;

/// A prediction taken apart: `predicted = calibrated · learnt · throttle`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Explained {
    /// What each kind of work costs by the profile, ms; the dearest first, those that cost nothing left out.
    pub(super) terms: Vec<(Term, f64)>,
    /// Their sum, ms.
    pub(super) calibrated_ms: f64,
    /// How much longer it takes by its own times and the worker's late pace.
    pub(super) learnt: f64,
    /// How much longer its CPU share makes it.
    pub(super) throttle: f64,
}

/// Takes a row's prediction apart; `None` without a profile of its worker.
pub(super) fn explained(lab: &Lab, row: &Row) -> Option<Explained> {
    let (network, worker) = (lab.network.as_ref()?, lab.worker(row.worker)?);
    let profile = worker.profile.as_ref()?;
    let work = network.work(row.layer as usize);
    let pieces = pieces(lab, row);
    let mut terms: Vec<(Term, f64)> = work
        .iter()
        .filter_map(|work| {
            let amount = f64::from(pieces) * work.call + f64::from(row.rows) * work.row;
            Some((work.term, profile.coefficient(work.term)?.ms * amount))
        })
        .filter(|(_, ms)| *ms > 0.0)
        .collect();
    terms.sort_by(|a, b| b.1.total_cmp(&a.1));
    let calibrated_ms: f64 = terms.iter().map(|(_, ms)| ms).sum();
    let throttle = 100.0 / worker.throttle.percent.max(1.0);
    let known = calibrated_ms * throttle;
    let learnt = row.predicted.filter(|_| known > 0.0).map_or(1.0, |predicted| predicted / known);
    Some(Explained { terms, calibrated_ms, learnt, throttle })
}

/// In how many pieces the running partition has the layer computed.
fn pieces(lab: &Lab, row: &Row) -> u32 {
    let schedule =
        lab.network.as_ref().zip(lab.running()).map(|(network, it)| Schedule::new(network, &it.plan));
    let strip = schedule
        .as_ref()
        .and_then(|schedule| schedule.stages.get(row.block as usize)?.strips.get(row.worker.index()));
    strip.map_or(1, |strip| strip.parts.len().max(1) as u32)
}

/// The kinds of the layer's work that its worker's profile knows from too few samples.
pub(super) fn unreliable(lab: &Lab, row: &Row) -> Vec<Term> {
    let profile = lab.worker(row.worker).and_then(|worker| worker.profile.as_ref());
    let both = profile.zip(lab.network.as_ref());
    both.map_or_else(Vec::new, |(profile, network)| profile.unreliable(&network.work(row.layer as usize)))
}
