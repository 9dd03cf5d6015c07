//! What the events of an adapting lab told.

use std::collections::BTreeMap;

use collab_core::command::{CommandId, Settled, Verb};
use collab_core::event::{Event, What};
use collab_core::id::{PartitionId, RunId};
use collab_core::time::Micros;

/// A run that ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// When it began.
    pub started: Micros,
    /// What ran.
    pub partition: PartitionId,
    /// How long it took.
    pub ms: f64,
    /// How long no run was in flight before it: while workers rehearsed, or a partition was waited for.
    pub waited_ms: f64,
}

/// A switch from one partition to another; a switch back is one, too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Switch {
    /// When it was decided; preparing the partition comes after that.
    pub decided: Micros,
    /// When it was made.
    pub made: Micros,
    /// What it was from.
    pub from: PartitionId,
    /// What it was to.
    pub to: PartitionId,
    /// The part of a run that it was to save; `None` if it was made because nothing else could run.
    pub promised: Option<f64>,
}

/// Everything that adapting is judged by.
#[derive(Debug, Default)]
pub struct Record {
    given: BTreeMap<CommandId, String>,
    /// What was changed, from when the lab knew.
    pub changes: Vec<(Micros, String)>,
    current: Option<PartitionId>,
    accepted: Option<Micros>,
    gain: Option<f64>,
    /// Every switch, those between partitions that only measure as well.
    pub switches: Vec<Switch>,
    /// When first proposals were told, and what they took, ms.
    pub first_ms: Vec<(Micros, f64)>,
    started: BTreeMap<RunId, (Micros, PartitionId)>,
    /// Runs that ended with an output.
    pub runs: Vec<Run>,
    /// Runs that ended without one.
    pub lost: u64,
}

impl Record {
    /// Takes in an event.
    pub fn take(&mut self, event: &Event) {
        let at = event.at;
        match &event.what {
            What::CommandGiven { verb: Verb::Accept, .. } => self.accepted = Some(at),
            // Nothing is promised of what ran before.
            What::CommandGiven { verb: Verb::Undo, .. } => (self.accepted, self.gain) = (Some(at), None),
            What::CommandGiven { id, verb, .. }
                if matches!(verb, Verb::Throttle { .. } | Verb::Link { .. }) =>
            {
                self.given.insert(*id, verb.to_string());
            }
            What::CommandSettled { id, outcome: Settled::Done } => {
                self.changes.extend(self.given.remove(id).map(|verb| (at, verb)));
            }
            What::PartitionSwitched { partition, .. } => self.switch(*partition, at),
            What::ProposalCompared(comparison) => {
                self.gain = Some(1.0 - comparison.new_ms / comparison.now_ms);
                self.first_ms.extend(comparison.after_ms.map(|ms| (at, ms)));
            }
            What::RunStarted { run, partition, .. } => {
                self.started.insert(*run, (at, *partition));
            }
            What::RunDone { run, ms, .. } => {
                let Some((started, partition)) = self.started.remove(run) else { return };
                // Known only now: the reports of the run before may have come after this one began.
                let ended = self.runs.last().map(|last| last.started.secs() + last.ms / 1e3);
                let waited_ms = ended.map_or(0.0, |ended| 1e3 * (started.secs() - ended).max(0.0));
                self.runs.push(Run { started, partition, ms: *ms, waited_ms });
            }
            What::RunLost { .. } => self.lost += 1,
            _ => {}
        }
    }

    fn switch(&mut self, to: PartitionId, made: Micros) {
        let accepted = self.accepted.take();
        let promised = self.gain.filter(|_| accepted.is_some());
        if let Some(from) = self.current.replace(to).filter(|from| *from != to) {
            self.switches.push(Switch { decided: accepted.unwrap_or(made), made, from, to, promised });
        }
    }
}

#[cfg(test)]
mod tests {
    use collab_core::command::Verb;
    use collab_core::event::Verdict;
    use collab_core::id::WorkerId;

    use super::*;

    fn told(events: Vec<(u64, What)>) -> Record {
        let mut record = Record::default();
        events.into_iter().for_each(|(at, what)| record.take(&Event { at: Micros(at), what }));
        record
    }

    fn given(id: u32, verb: Verb) -> What {
        let (who, before, after) = (String::new(), String::new(), String::new());
        What::CommandGiven { id: CommandId(id), who, verb, before, after, predicted_ms: None }
    }

    fn switched(partition: u32) -> What {
        What::PartitionSwitched { partition: PartitionId(partition), run: RunId(1) }
    }

    fn done(id: u32) -> What {
        What::CommandSettled { id: CommandId(id), outcome: Settled::Done }
    }

    #[test]
    fn a_switch_is_of_the_change_it_was_decided_under_though_another_came_while_it_was_prepared() {
        let throttle = |percent| Verb::Throttle { worker: WorkerId(0), percent };
        let record = told(vec![
            (1, switched(1)),
            (10, given(1, throttle(40.0))),
            (11, done(1)),
            (20, given(2, Verb::Accept)),
            (21, given(3, throttle(80.0))),
            (22, done(3)),
            (30, switched(2)),
            (31, done(2)),
        ]);
        assert_eq!(record.changes.iter().map(|change| change.0.0).collect::<Vec<_>>(), [11, 22]);
        let [switch] = record.switches[..] else { panic!("{:?}", record.switches) };
        assert_eq!((switch.decided, switch.made), (Micros(20), Micros(30)));
    }

    #[test]
    fn a_run_has_waited_since_the_one_before_it_ended_whenever_its_reports_came() {
        let started =
            |run: u64| What::RunStarted { run: RunId(run), partition: PartitionId(1), input: String::new() };
        let done = |run: u64, ms: f64| What::RunDone { run: RunId(run), ms, verdict: Verdict::Unchecked };
        let record = told(vec![
            (0, started(1)),
            (80_100, done(1, 80.0)),
            (100_000, started(2)),
            (190_000, started(3)),
            (190_500, done(2, 80.0)),
            (270_000, done(3, 80.0)),
        ]);
        let waited: Vec<f64> = record.runs.iter().map(|run| run.waited_ms).collect();
        assert_eq!(waited.iter().map(|ms| ms.round()).collect::<Vec<_>>(), [0.0, 20.0, 10.0]);
    }

    #[test]
    fn a_switch_back_counts_and_what_runs_on_does_not() {
        let record = told(vec![(1, switched(1)), (2, switched(2)), (3, switched(2)), (4, switched(1))]);
        let to: Vec<u32> = record.switches.iter().map(|switch| switch.to.0).collect();
        assert_eq!(to, [2, 1]);
    }
}
