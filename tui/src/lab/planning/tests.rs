//! Hysteresis and what the operator said, on labs folded from events.

use collab_core::command::{CommandId, Settled, Verb};
use collab_core::event::{Event, Host, Proposal, Verdict, What, WorkerInfo};
use collab_core::id::{Digest, PartitionId, RunId, WorkerId};
use collab_core::network::samples::chain;
use collab_core::plan::erl::{Policy, Portfolio};

use super::*;

mod hysteresis;

/// A lab told by events, and its planning.
struct Desk {
    lab: Lab,
    planning: Planning,
    runs: u64,
    commands: u32,
}

impl Desk {
    /// Three like workers, of which `plan` runs.
    fn new(plan: &str) -> Self {
        let planning = Planning::new("erl", None, 1);
        let mut desk = Self { lab: Lab::default(), planning, runs: 0, commands: 0 };
        desk.tell(What::NetworkLoaded { network: Arc::new(chain(96, 6)) });
        for worker in (0..3).map(WorkerId) {
            desk.tell(What::WorkerJoined(WorkerInfo {
                worker,
                name: worker.to_string(),
                address: "127.0.0.1:1".to_owned(),
                fingerprint: Digest([worker.0; 32]),
                engine: "collab".to_owned(),
                host: Host::default(),
                emulation: None,
                memory_limit: None,
            }));
            desk.tell(What::WorkerReady { worker });
            desk.tell(What::SingleMeasured { worker, ms: 300.0, compute_ms: 298.0 });
        }
        let plan = Partition::parse(plan, desk.lab.network.as_ref().unwrap(), 3).unwrap();
        let proposal = desk.planning.announce(&desk.lab, "given", plan).unwrap();
        desk.switch(proposal);
        desk.planning.conditions = Conditions::of(&desk.lab);
        desk
    }

    /// [`Desk::new`] after some runs, what each took, and the work of answering that A is given a fifth of its CPU.
    fn throttled(plan: &str) -> (Self, f64, [Task; 2]) {
        let mut desk = Self::new(plan);
        let ms = predicted(&desk);
        desk.run(8, ms);
        assert!(desk.notice().is_empty(), "nothing changed");
        desk.throttle(0, 20.0);
        let tasks = <[Task; 2]>::try_from(desk.notice()).unwrap();
        assert_eq!(tasks.each_ref().map(|task| task.effort), [Effort::First, Effort::Refine]);
        (desk, ms, tasks)
    }

    fn tell(&mut self, what: What) {
        self.lab.apply(&Event { at: Micros(self.lab.now.0 + 1000), what });
    }

    fn switch(&mut self, proposal: Proposal) {
        let partition = proposal.partition;
        self.tell(What::PartitionProposed(proposal));
        self.tell(What::PartitionSwitched { partition, run: RunId(self.runs + 1) });
    }

    /// Runs that take what `ms` says.
    fn run(&mut self, count: usize, ms: f64) {
        for _ in 0..count {
            self.runs += 1;
            let run = RunId(self.runs);
            let partition = self.lab.current.unwrap();
            self.tell(What::RunStarted { run, partition, input: "noise".to_owned() });
            self.lab.now = Micros(self.lab.now.0 + (ms * 1e3) as u64);
            self.tell(What::RunDone { run, ms, verdict: Verdict::Unchecked });
        }
    }

    fn throttle(&mut self, worker: u8, percent: f64) {
        self.commands += 1;
        let id = CommandId(self.commands);
        let verb = Verb::Throttle { worker: WorkerId(worker), percent };
        let (who, before, after) = ("operator".to_owned(), String::new(), String::new());
        self.tell(What::CommandGiven { id, who, verb, before, after, predicted_ms: None });
        self.tell(What::CommandSettled { id, outcome: Settled::Done });
    }

    fn notice(&mut self) -> Vec<Task> {
        self.planning.notice(&self.lab, Instant::now())
    }

    fn decide(&mut self, task: Task, auto: bool) -> Decision {
        self.planning.decide(task.work(), &self.lab, auto, Instant::now())
    }

    /// The decision after another look.
    fn look(&mut self, auto: bool) -> Decision {
        let task = self.planning.look_again(&self.lab).unwrap();
        self.decide(task, auto)
    }

    /// Takes an offer into the lab.
    fn take(&mut self, decision: Decision) -> PartitionId {
        let Decision::Offer(offered, _) = decision else { panic!("no offer: {decision:?}") };
        let (proposal, comparison) = *offered;
        let id = proposal.partition;
        self.tell(What::PartitionProposed(proposal));
        self.tell(What::ProposalCompared(comparison));
        id
    }
}

/// What an equal split of [`Desk`]'s network takes by its measured singles, ms.
fn predicted(desk: &Desk) -> f64 {
    desk.lab.running().unwrap().predicted_ms.unwrap()
}

#[test]
fn a_throttled_worker_is_answered_at_once_and_adopted_once_refined() {
    let (mut desk, _, [first, refine]) = Desk::throttled("0-2:=/3-5:=");
    let decision = desk.decide(first, true);
    assert!(matches!(decision, Decision::Offer(_, false)), "{decision:?}");
    desk.take(decision);
    let told = desk.lab.compared.clone().unwrap();
    assert!(told.new_ms < 0.8 * told.now_ms && told.after_ms.is_some(), "{told:?}");
    assert_eq!(told.because, "A runs at 20 %");
    let decision = desk.decide(refine, true);
    assert!(matches!(decision, Decision::Adopt | Decision::Offer(_, true)), "{decision:?}");
    assert!(desk.notice().is_empty(), "one change is answered once");
}

#[test]
fn a_switch_is_counted_once_by_who_makes_it_and_doubles_the_margin_for_the_next() {
    let (mut desk, _, [_, refine]) = Desk::throttled("0-2:=/3-5:=");
    let margin = desk.planning.margin();
    let decision = desk.decide(refine, true);
    assert!(matches!(decision, Decision::Offer(_, true)), "{decision:?}");
    assert_eq!(desk.planning.margin(), margin, "nothing is switched to yet");
    let id = desk.take(decision);
    desk.planning.adopt(id);
    assert!(desk.planning.is_adopting(id));
    assert!((desk.planning.margin() / margin - 2.0).abs() < 1e-9);
}

#[test]
fn a_frozen_lab_is_offered_partitions_but_none_is_applied() {
    let (mut desk, _, tasks) = Desk::throttled("0-2:=/3-5:=");
    desk.lab.frozen = true;
    for task in tasks {
        let decision = desk.decide(task, true);
        assert!(!matches!(decision, Decision::Adopt | Decision::Offer(_, true)), "{decision:?}");
        if matches!(decision, Decision::Offer(..)) {
            desk.take(decision);
        }
    }
    assert!(desk.lab.proposal.is_some());
}

#[test]
fn an_offer_stands_until_something_is_clearly_better() {
    let (mut desk, ms, [_, refine]) = Desk::throttled("0-2:=/3-5:=");
    let decision = desk.decide(refine, false);
    let offered = desk.take(decision);
    desk.run(2, ms);
    // A few rows less for one worker: another partition, but hardly a better one.
    let mut nearly = desk.lab.partitions[&offered].plan.clone();
    let bound = nearly.blocks[0].bounds.iter_mut().find(|bound| (1..96).contains(*bound)).unwrap();
    *bound -= 1;
    desk.planning.best = Some(nearly.clone());
    desk.planning.exchange.look().best = Some(nearly);
    for _ in 0..4 {
        let decision = desk.look(false);
        assert!(matches!(decision, Decision::Keep | Decision::Tell(_)), "{decision:?}");
        assert_eq!(desk.lab.proposal, Some(offered));
        desk.run(3, ms);
    }
}

#[test]
fn an_offer_that_would_save_nothing_any_more_is_withdrawn_though_something_else_might_save_a_little() {
    let (mut desk, ms, [_, refine]) = Desk::throttled("0-2:=/3-5:33,32,31");
    let decision = desk.decide(refine, false);
    let offered = desk.take(decision);
    // All is as it was: something saves a little, less than is worth a switch, and what is offered saves nothing.
    desk.throttle(0, 100.0);
    desk.notice();
    let a_little = Partition::parse("0-2:=/3-5:=", desk.lab.network.as_ref().unwrap(), 3).unwrap();
    (desk.planning.best, desk.planning.refining) = (Some(a_little.clone()), false);
    desk.run(4, ms);
    let found = desk.planning.look_again(&desk.lab).unwrap().work();
    let best = found.best.as_ref().unwrap().0.plan.clone();
    assert!(best.partition == a_little && best.timeline.finish_ms < ms, "{best:?}");
    let decision = desk.planning.decide(found, &desk.lab, false, Instant::now());
    assert!(matches!(decision, Decision::Withdraw(id, _) if id == offered), "{decision:?}");
}

#[test]
fn without_a_known_change_a_partition_must_be_better_for_five_runs() {
    let mut desk = Desk::new("0-2:80,8,8/3-5:80,8,8");
    let ms = predicted(&desk);
    desk.run(6, ms);
    // Found by the trainer, say.
    let better = Partition::parse("0-2:=/3-5:=", desk.lab.network.as_ref().unwrap(), 3).unwrap();
    desk.planning.exchange.look().best = Some(better);
    assert!(matches!(desk.look(true), Decision::Keep));
    desk.run(4, ms);
    assert!(matches!(desk.look(true), Decision::Keep));
    desk.run(1, ms);
    let decision = desk.look(true);
    assert!(matches!(decision, Decision::Offer(_, true)), "{decision:?}");
}

#[test]
fn what_runs_as_fast_as_anything_known_is_left_alone() {
    let mut desk = Desk::new("0-2:=/3-5:=");
    let ms = predicted(&desk);
    for _ in 0..6 {
        desk.run(3, ms);
        assert!(matches!(desk.look(true), Decision::Keep));
    }
}

#[test]
fn a_rejected_partition_is_not_offered_again_until_conditions_change() {
    let (mut desk, ms, tasks) = Desk::throttled("0-2:=/3-5:=");
    let mut offered = None;
    for task in tasks {
        let decision = desk.decide(task, false);
        if matches!(decision, Decision::Offer(..)) {
            offered = Some(desk.take(decision));
        }
    }
    desk.planning.reject(&desk.lab, offered.unwrap());
    desk.lab.proposal = None;
    for _ in 0..4 {
        desk.run(3, ms);
        let decision = desk.look(true);
        assert!(matches!(decision, Decision::Keep), "{decision:?}");
    }
    desk.throttle(0, 15.0);
    let first = desk.notice().remove(0);
    assert!(matches!(desk.decide(first, false), Decision::Offer(..)));
}

#[test]
fn when_nothing_can_run_the_first_answer_does_even_if_frozen() {
    let mut desk = Desk::new("0-2:=/3-5:=");
    let ms = predicted(&desk);
    desk.run(8, ms);
    desk.lab.frozen = true;
    desk.tell(What::WorkerLost { worker: WorkerId(2), reason: "gone".to_owned() });
    let first = desk.notice().remove(0);
    let Decision::Replace(proposal) = desk.decide(first, false) else { panic!("nothing replaces it") };
    assert!(!proposal.plan.uses(2));
    // If a worker refuses it, another one is found.
    let id = proposal.partition;
    let plan = proposal.plan.clone();
    desk.tell(What::PartitionProposed(*proposal));
    desk.planning.adopt(id);
    desk.tell(What::PartitionRefused { partition: id, reason: "too large".to_owned() });
    let again = desk.planning.refused(&desk.lab, id).unwrap();
    let Decision::Replace(other) = desk.decide(again, false) else { panic!("nothing replaces it") };
    assert_ne!(other.plan, plan);
}

#[test]
fn a_planner_that_panics_is_said_to_and_the_others_answer() {
    let mut desk = Desk::new("0-2:=/3-5:=");
    let ms = predicted(&desk);
    desk.run(8, ms);
    // Policies without weights: whoever asks them for a number panics.
    let broken: Policy = serde_json::from_str(r#"{"weights":[]}"#).unwrap();
    desk.planning.exchange.look().portfolio = Some(Portfolio { members: vec![broken] });
    desk.throttle(0, 20.0);
    for task in desk.notice() {
        let effort = task.effort;
        let found = task.work();
        assert!(matches!(&found.failures[..], [one] if one.contains("failed")), "{:?}", found.failures);
        assert!(found.best.is_some(), "{effort:?}");
        let decision = desk.planning.decide(found, &desk.lab, true, Instant::now());
        if effort == Effort::First {
            desk.take(decision);
        }
    }
    assert!(desk.planning.look_again(&desk.lab).is_some(), "planning goes on");
}

#[test]
fn looking_again_before_anything_is_measured_does_not_keep_from_looking_later() {
    let mut desk = Desk::new("0-5:32,32,32");
    assert!(desk.planning.look_again(&Lab::default()).is_none());
    assert!(desk.planning.look_again(&desk.lab).is_some());
    assert!(desk.planning.look_again(&desk.lab).is_none(), "one is under way");
}
