//! Parts of a search that know nothing of each other, on as many threads as the caller lends.
//!
//! Every part begins with what was known before all of them and brings a random seed of its own, so what comes of it
//! depends neither on who does it nor on what was done before: one thread finds what many find.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, scope};

use super::draft::Draft;
use super::search::Search;

/// Helping threads are called so. A panic of one is the caller's: it is raised there again.
pub const HELPER: &str = "plan-helper";

/// What came of a part.
struct Done<R> {
    /// Which part it was.
    part: usize,
    result: R,
    evaluations: u64,
    /// The best draft it came by, if that is better than what was known before.
    best: Option<(f64, Draft)>,
}

impl<'a> Search<'a> {
    /// As many searches beside this one as do the work of `threads` together.
    pub(crate) fn helpers(&self, threads: usize) -> Vec<Self> {
        (1..threads).map(|_| self.fork()).collect()
    }

    /// Does `work` for each of `parts` together with `helpers`, whoever is free the next one; what came of them, in order.
    pub(crate) fn divide<P: Sync, R: Send>(
        &mut self,
        helpers: &mut [Self],
        parts: &[P],
        work: impl Fn(&mut Self, &P) -> R + Sync,
    ) -> Vec<R> {
        let (evaluations, known) = (self.evaluations, self.best.clone());
        let next = AtomicUsize::new(0);
        let take_turns = |search: &mut Self| -> Vec<Done<R>> {
            let turns = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            let turns = turns.map_while(|at| Some((at, parts.get(at)?)));
            turns.map(|(at, part)| search.apart(at, &known, |search| work(search, part))).collect()
        };
        let helpers = helpers.iter_mut().take(parts.len().saturating_sub(1));
        let mut done = scope(|scope| {
            // Where the system has no more threads to give, fewer do the same.
            let start =
                |search| Builder::new().name(HELPER.to_owned()).spawn_scoped(scope, || take_turns(search));
            let others: Vec<_> = helpers.filter_map(|search| start(search).ok()).collect();
            let mut done = take_turns(self);
            for other in others {
                done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            done
        });
        done.sort_by_key(|done| done.part);
        self.begin(&known);
        self.evaluations = evaluations;
        done.into_iter()
            .map(|Done { result, evaluations, best, .. }| {
                self.evaluations += evaluations;
                self.learn(best);
                result
            })
            .collect()
    }

    /// Does part `part` as if nothing but `known` had been found before.
    fn apart<R>(
        &mut self,
        part: usize,
        known: &Option<(f64, Draft)>,
        work: impl FnOnce(&mut Self) -> R,
    ) -> Done<R> {
        self.begin(known);
        let result = work(self);
        let is_new = |best: &(f64, Draft)| known.as_ref().is_none_or(|known| best.0 < known.0);
        Done { part, result, evaluations: self.evaluations, best: self.best.take().filter(is_new) }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::network::samples::{named, random};
    use crate::plan::draft::tests::AnyCosts;
    use crate::plan::scenario::{costs, random_fleet};
    use crate::plan::{Budget, Plan, Problem, planner};

    /// What `name` answers on one thread, after comparing it with its answers on two and three.
    fn answer(problem: &Problem<'_>, name: &str, evaluations: u64, seed: u64) -> Option<Plan> {
        let plan = |threads| planner(name).unwrap().plan(problem, Budget { evaluations, seed, threads });
        let one = plan(1);
        assert_eq!(one, plan(2), "{name} for {}", problem.network.name);
        assert_eq!(one, plan(3), "{name} for {}", problem.network.name);
        one
    }

    #[test]
    fn plans_are_the_same_to_the_bit_whatever_the_number_of_threads() {
        let mut rng = ChaCha8Rng::seed_from_u64(21);
        for seed in 0..12 {
            let network = random(&mut rng, 9, 96);
            let workers = rng.random_range(1..7);
            let costs = AnyCosts::random(&mut rng, &network, workers);
            let allowed = vec![true; workers];
            let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
            for name in ["erl", "auto", "policy"] {
                answer(&problem, name, 3000, seed);
            }
        }
        let network = named("vgg16").unwrap();
        let (devices, lab) = random_fleet(&mut rng, 6);
        let costs = costs(&network, &devices, lab);
        let free = Problem { network: &network, costs: &costs, allowed: &[true; 6], memory: &[] };
        let plan = answer(&free, "erl", 12_000, 3).unwrap();
        // Where memory binds, what a chain came by and the best that fits differ.
        let asked = crate::plan::maps_of_partition(&network, &plan.partition);
        let memory: Vec<u64> = asked.iter().map(|asked| asked / 2).collect();
        answer(&Problem { memory: &memory, ..free }, "erl", 6000, 3);
    }

    #[test]
    #[should_panic(expected = "a helper's words")]
    fn a_helpers_panic_is_the_callers() {
        let network = named("alexnet").unwrap();
        let (devices, lab) = random_fleet(&mut ChaCha8Rng::seed_from_u64(1), 2);
        let costs = costs(&network, &devices, lab);
        let problem = Problem { network: &network, costs: &costs, allowed: &[true; 2], memory: &[] };
        let mut search = crate::plan::search::Search::new(&problem).unwrap();
        let mut helpers = search.helpers(2);
        search.divide(&mut helpers, &[(); 64], |_, ()| {
            assert_ne!(std::thread::current().name(), Some(super::HELPER), "a helper's words");
            std::thread::sleep(std::time::Duration::from_millis(1));
        });
    }
}
