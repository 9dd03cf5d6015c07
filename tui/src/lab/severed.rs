//! Two workers that have lost their link to each other, while the lab has its own to both.
//!
//! A run that needs rows to pass between them may wait for ever. It begins again once they are linked again; if they are
//! not soon, one of them is left out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use collab_core::event::Level;
use collab_core::id::{RunId, WorkerId};

use super::controller::Controller;
use super::flight::Interrupted;
use super::runs::SUSPICION;

/// How long a worker that others cannot reach is left alone before it is tried again.
pub(super) const UNLINKED_PAUSE: Duration = Duration::from_secs(15);

/// Two workers, the first one first.
pub(super) type Pair = (WorkerId, WorkerId);

/// The links between workers that are broken.
#[derive(Default)]
pub(super) struct Severed(BTreeMap<Pair, Broken>);

struct Broken {
    /// Until then the loss of one of both may explain it, or it may be mended.
    until: Instant,
    /// The attempt that was in flight and may have lost rows.
    attempt: Option<RunId>,
    reason: String,
}

impl Severed {
    /// When something is due at the earliest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|broken| broken.until).min()
    }
}

impl Controller {
    /// A worker lost its link to another one.
    pub(super) fn sever(&mut self, worker: WorkerId, peer: WorkerId, reason: String) {
        if !self.fleet.ready().contains(&peer) {
            // It is lost or left out, and others dial it in vain until it is back.
            return;
        }
        self.journal.note(Level::Warning, format!("{worker} lost its link to {peer}: {reason}"));
        let pair = in_order(worker, peer);
        let flight = self.flight.as_mut().filter(|flight| {
            let shown = self.journal.stage().look();
            let known = shown.lab.partitions.get(&flight.partition);
            known.is_some_and(|of| [worker, peer].iter().all(|it| of.plan.uses(it.index())))
        });
        // What it cannot send is explained by this.
        let attempt = flight.map(|flight| {
            flight.doubt = None;
            flight.attempt
        });
        let until = Instant::now() + SUSPICION;
        let broken = self.severed.0.entry(pair).or_insert(Broken { until, attempt, reason });
        broken.attempt = broken.attempt.or(attempt);
    }

    /// A worker is linked with another one, again or for the first time.
    pub(super) fn mend(&mut self, worker: WorkerId, peer: WorkerId) {
        let (a, b) = in_order(worker, peer);
        let Some(broken) = self.severed.0.remove(&(a, b)) else { return };
        if let Some(flight) = self.flight.take_if(|flight| broken.attempt == Some(flight.attempt)) {
            self.fleet.cancel(flight.attempt);
            let run = flight.run;
            self.again = Some(Interrupted { run, frame: flight.frame, started: flight.started });
            self.journal
                .note(Level::Warning, format!("run {run} begins again: {a} and {b} are linked again"));
        }
    }

    /// Leaves workers out that are there and have had no link to each other for too long.
    pub(super) fn leave_out_what_is_due(&mut self, now: Instant) {
        if self.severed.next().is_none_or(|due| now < due) {
            return;
        }
        let ready = self.fleet.ready();
        self.severed.0.retain(|(a, b), _| ready.contains(a) && ready.contains(b));
        let pairs: Vec<Pair> = self.severed.0.keys().copied().collect();
        for worker in fewest(&pairs) {
            let of_it = self.severed.0.iter().find(|((a, b), _)| *a == worker || *b == worker);
            let Some((&(a, b), broken)) = of_it else { continue };
            let other = if a == worker { b } else { a };
            let reason = format!(
                "it and {other} cannot reach each other any more ({}): check the network between them",
                broken.reason
            );
            self.severed.0.retain(|(a, b), _| *a != worker && *b != worker);
            self.leave_out(worker, reason);
        }
    }
}

fn in_order(a: WorkerId, b: WorkerId) -> Pair {
    if a < b { (a, b) } else { (b, a) }
}

/// Workers without whom all others are linked: few, always the one next that most others miss, of equals the last.
pub(super) fn fewest(pairs: &[Pair]) -> Vec<WorkerId> {
    let mut left = pairs.to_vec();
    let mut out = Vec::new();
    let misses =
        |pairs: &[Pair], worker: WorkerId| pairs.iter().filter(|(a, b)| [*a, *b].contains(&worker)).count();
    while let Some(worst) =
        left.iter().flat_map(|(a, b)| [*a, *b]).max_by_key(|worker| (misses(&left, *worker), *worker))
    {
        left.retain(|(a, b)| *a != worst && *b != worst);
        out.push(worst);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(a: usize, b: usize) -> Pair {
        (WorkerId::at(a), WorkerId::at(b))
    }

    #[test]
    fn whoever_most_cannot_reach_is_left_out_and_of_two_the_last() {
        assert_eq!(fewest(&[]), []);
        assert_eq!(fewest(&[pair(0, 1)]), [WorkerId::at(1)]);
        assert_eq!(fewest(&[pair(0, 1), pair(0, 2), pair(0, 3)]), [WorkerId::at(0)]);
    }

    proptest! {
        #[test]
        fn those_who_stay_are_linked(pairs in proptest::collection::vec((0usize..8, 1usize..8), 0..20)) {
            let pairs: Vec<Pair> = pairs.into_iter().map(|(a, by)| pair(a, a + by)).collect();
            let out = fewest(&pairs);
            prop_assert!(pairs.iter().all(|(a, b)| out.contains(a) || out.contains(b)));
        }
    }
}
