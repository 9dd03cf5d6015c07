use std::sync::Arc;

use super::*;
use crate::command::{CommandId, Settled, Verb};
use crate::event::{Host, LayersTimed, Level, PredictedLayer, SpanKind, WorkerInfo};
use crate::id::{Digest, WorkerId};
use crate::network::samples::chain;
use crate::partition::Partition;
use crate::rows::Rows;

fn event(ms: u64, what: What) -> Event {
    Event { at: Micros(ms * 1000), what }
}

fn joined(worker: u8) -> What {
    What::WorkerJoined(WorkerInfo {
        worker: WorkerId(worker),
        name: format!("pi{worker}"),
        address: "127.0.0.1:4000".to_owned(),
        fingerprint: Digest([worker; 32]),
        engine: "collab".to_owned(),
        host: Host::default(),
        emulation: None,
        memory_limit: None,
    })
}

fn proposed(id: u32, network: &Network, text: &str) -> What {
    What::PartitionProposed(Proposal {
        partition: PartitionId(id),
        planner: "given".to_owned(),
        plan: Partition::parse(text, network, 2).unwrap(),
        predicted_ms: Some(10.0),
        spans: Vec::new(),
        layers: Vec::new(),
        reason: String::new(),
    })
}

fn story() -> Vec<Event> {
    let network = chain(32, 4);
    let run = RunId(1);
    let span = Span {
        run,
        node: Node::Worker(WorkerId(0)),
        kind: SpanKind::Compute,
        block: 0,
        peer: None,
        rows: Rows::new(0, 16),
        start_ms: 1.0,
        end_ms: 6.0,
        bytes: 0,
    };
    vec![
        event(0, What::SessionStarted(SessionInfo { version: "1".to_owned(), ..Default::default() })),
        event(1, What::NetworkLoaded { network: Arc::new(network.clone()) }),
        event(2, joined(0)),
        event(2, joined(1)),
        event(3, What::WorkerReady { worker: WorkerId(0) }),
        event(4, What::WorkerReady { worker: WorkerId(1) }),
        event(5, proposed(1, &network, "0-3:=")),
        event(6, What::PartitionSwitched { partition: PartitionId(1), run }),
        event(7, What::RunStarted { run, partition: PartitionId(1), input: "noise".to_owned() }),
        event(8, What::SpanDone(span)),
        event(
            8,
            What::LayersTimed(LayersTimed {
                run,
                worker: WorkerId(0),
                block: 0,
                layers: vec![(2, 17, 1.5), (1, 18, 2.0)],
            }),
        ),
        event(17, What::RunDone { run, ms: 10.0, verdict: Verdict::BitEqual }),
        event(18, proposed(2, &network, "0-3:A")),
        event(
            19,
            What::CommandGiven {
                id: CommandId(1),
                who: "operator".to_owned(),
                verb: Verb::Throttle { worker: WorkerId(1), percent: 60.0 },
                before: "100 %".to_owned(),
                after: "60 %".to_owned(),
                predicted_ms: None,
            },
        ),
    ]
}

fn fold(events: &[Event]) -> Lab {
    let mut lab = Lab::default();
    events.iter().for_each(|event| lab.apply(event));
    lab
}

#[test]
fn a_run_leaves_its_latency_its_timeline_and_its_layers() {
    let lab = fold(&story());
    assert_eq!((lab.runs.done, lab.runs.lost), (1, 0));
    assert_eq!(lab.runs.quantile_ms(PartitionId(1), 0.5), Some(10.0));
    assert_eq!(lab.runs.overall(), Some("bit-equal"));
    assert_eq!(lab.timeline.len(), 1);
    assert_eq!(lab.workers[0].mean_busy(), Some(0.5));
    let layers: Vec<u32> = lab.layers.iter().map(|layer| layer.layer).collect();
    assert_eq!(layers, [1, 2], "sorted by layer, whatever the order of reports");
    assert_eq!(lab.share(0), Some(0.5));
}

#[test]
fn a_command_is_pending_until_it_is_settled() {
    let mut lab = fold(&story());
    assert!(lab.workers[1].throttle.is_pending());
    let settled = What::CommandSettled { id: CommandId(1), outcome: Settled::Done };
    lab.apply(&event(20, settled));
    assert!(!lab.workers[1].throttle.is_pending());
    assert_eq!(lab.workers[1].throttle.percent, 60.0);
}

#[test]
fn what_only_measures_is_offered_to_nobody_and_does_not_make_a_lab_planned() {
    let network = chain(32, 4);
    let measuring = |id: u32| {
        let planner = Proposal::ALONE.to_owned();
        let What::PartitionProposed(given) = proposed(id, &network, "0-3:A") else { unreachable!() };
        What::PartitionProposed(Proposal { planner, ..given })
    };
    let run = RunId(1);
    let switched = |id: u32| What::PartitionSwitched { partition: PartitionId(id), run };
    let mut lab = fold(&story()[..6]);
    let mut then = |what: What| {
        lab.apply(&event(20, what));
        (lab.offered().is_some(), lab.is_planned())
    };
    assert_eq!(then(measuring(1)), (false, false));
    assert_eq!(then(switched(1)), (false, false));
    assert_eq!(then(proposed(2, &network, "0-3:=")), (true, false));
    assert_eq!(then(switched(2)), (false, true));
    // A worker that came back is measured.
    assert_eq!(then(measuring(3)), (false, true));
    assert_eq!(then(switched(3)), (false, true));
}

#[test]
fn accept_and_undo_walk_along_the_past() {
    let mut lab = fold(&story());
    assert_eq!(lab.proposal, Some(PartitionId(2)));
    lab.apply(&event(21, What::PartitionSwitched { partition: PartitionId(2), run: RunId(2) }));
    assert_eq!((lab.current, lab.proposal), (Some(PartitionId(2)), None));
    assert_eq!(lab.past, [PartitionId(1)]);
    lab.apply(&event(22, What::PartitionSwitched { partition: PartitionId(1), run: RunId(3) }));
    assert_eq!(lab.current, Some(PartitionId(1)));
    assert!(lab.past.is_empty());
}

#[test]
fn nobody_goes_back_to_a_partition_that_only_measured() {
    let mut lab = fold(&story());
    let switch = |lab: &mut Lab, id| {
        lab.apply(&event(22, What::PartitionSwitched { partition: PartitionId(id), run: RunId(2) }));
        lab.past.clone()
    };
    let What::PartitionProposed(offered) = story()[12].what.clone() else { panic!("no proposal") };
    let alone = Proposal { partition: PartitionId(3), planner: Proposal::ALONE.to_owned(), ..offered };
    let alone = What::PartitionProposed(alone);
    lab.apply(&event(21, alone.clone()));
    assert_eq!(switch(&mut lab, 3), [PartitionId(1)], "while it measures");
    assert_eq!(switch(&mut lab, 1), []);
    lab.apply(&event(22, alone));
    switch(&mut lab, 3);
    lab.apply(&event(22, proposed(4, &chain(32, 4), "0-3:B")));
    assert_eq!(switch(&mut lab, 4), [PartitionId(1)], "not what measured in between");
}

#[test]
fn the_offered_and_the_running_partition_are_predicted_together() {
    let mut lab = fold(&story());
    let outlook = lab.outlook().expect("both are predicted");
    assert_eq!((outlook.running, outlook.offered), (PartitionId(1), PartitionId(2)));
    assert!((outlook.gain() - (1.0 - outlook.new_ms / outlook.now_ms)).abs() < 1e-12);
    assert_eq!(outlook.correction, 1.0, "one run corrects nothing");
    lab.apply(&event(20, What::PartitionSwitched { partition: PartitionId(2), run: RunId(2) }));
    assert_eq!(lab.outlook(), None);
}

#[test]
fn a_slow_moment_of_the_running_partition_does_not_flatter_an_equal_offer() {
    let mut lab = fold(&story()[..6]);
    for worker in [WorkerId(0), WorkerId(1)] {
        lab.apply(&event(5, What::SingleMeasured { worker, ms: 14.0, compute_ms: 13.0 }));
    }
    lab.apply(&story()[6]);
    lab.apply(&event(6, What::PartitionSwitched { partition: PartitionId(1), run: RunId(1) }));
    for run in (1..7).map(RunId) {
        let at = 100 * run.0;
        let started = What::RunStarted { run, partition: PartitionId(1), input: "noise".to_owned() };
        lab.apply(&event(at, started));
        lab.apply(&event(at + 20, What::RunDone { run, ms: 20.0, verdict: Verdict::BitEqual }));
    }
    let network = lab.network.clone().unwrap();
    lab.apply(&event(900, proposed(2, &network, "0-3:=")));
    let outlook = lab.outlook().expect("both are predicted");
    assert!(outlook.now_ms > 12.0, "it learnt from its runs: {outlook:?}");
    assert!(outlook.gain().abs() < 1e-9, "{outlook:?}");
}

#[test]
fn what_was_measured_counts_until_conditions_change() {
    let mut lab = fold(&story());
    assert_eq!(lab.measured_ms(0.5), Some(10.0));
    assert_eq!(lab.runs.last().and_then(|run| run.predicted).map(|(ms, _)| ms), Some(10.0));
    let settled = What::CommandSettled { id: CommandId(1), outcome: Settled::Done };
    lab.apply(&event(20, settled));
    assert_eq!(lab.measured_ms(0.5), None);
}

#[test]
fn a_run_that_begins_again_without_a_lost_worker_is_neither_judged_nor_learnt_from() {
    let mut lab = fold(&story());
    let run = RunId(2);
    let begun = What::RunStarted { run, partition: PartitionId(1), input: "noise".to_owned() };
    lab.apply(&event(20, begun.clone()));
    assert!(lab.runs.in_flight[0].predicted.is_some());
    let judged = lab.accuracy.runs().count;
    lab.apply(&event(1400, What::WorkerLost { worker: WorkerId(1), reason: "gone".to_owned() }));
    lab.apply(&event(1500, begun));
    lab.apply(&event(1510, What::RunDone { run, ms: 1490.0, verdict: Verdict::BitEqual }));
    assert_eq!(lab.runs.last().map(|sample| (sample.ms, sample.predicted)), Some((1490.0, None)));
    assert_eq!(lab.accuracy.runs().count, judged);
}

#[test]
fn what_follows_a_moment_is_told_by_enough_runs_that_began_after_it() {
    let mut lab = fold(&story());
    for run in (2..6).map(RunId) {
        let at = 100 * run.0;
        lab.apply(&event(at, What::RunStarted { run, partition: PartitionId(1), input: "noise".to_owned() }));
        lab.apply(&event(at + 50, What::RunDone { run, ms: 50.0, verdict: Verdict::BitEqual }));
    }
    let since = |millis: u64, least| lab.runs.median_since(Micros(millis * 1000), least);
    assert_eq!((since(300, 3), since(301, 3), since(301, 2)), (Some(50.0), None, Some(50.0)));
}

#[test]
fn one_worker_alone_takes_what_its_cpu_share_leaves_it() {
    let mut lab = fold(&story());
    for (worker, ms) in [(0, 14.0), (1, 11.0)] {
        lab.apply(&event(20, What::SingleMeasured { worker: WorkerId(worker), ms, compute_ms: ms - 1.0 }));
    }
    let best = |lab: &Lab| lab.best_single_now().map(|(worker, ms)| (worker.info.worker, ms));
    assert_eq!(best(&lab), Some((WorkerId(1), 11.0)));
    lab.apply(&event(21, What::CommandSettled { id: CommandId(1), outcome: Settled::Done }));
    assert_eq!(best(&lab), Some((WorkerId(0), 14.0)), "B takes 17.7 ms at 60 %");
}

/// What one end tells of a transfer from the lab.
fn transfer(kind: SpanKind, to: Node, start_ms: f64, end_ms: f64, bytes: u64) -> Span {
    let (from, rows) = (Node::Lab, Rows::new(0, 16));
    let (node, peer) = if kind == SpanKind::Send { (from, Some(to)) } else { (to, Some(from)) };
    Span { run: RunId(1), node, kind, block: 0, peer, rows, start_ms, end_ms, bytes }
}

#[test]
fn a_transfer_of_which_both_ends_reported_is_judged() {
    let mut events = story();
    let at = events.iter().position(|event| matches!(event.what, What::SpanDone(_))).unwrap();
    let worker = Node::Worker(WorkerId(0));
    let told = |kind, end_ms| event(8, What::SpanDone(transfer(kind, worker, 0.0, end_ms, 4 << 20)));
    events.insert(at, told(SpanKind::Receive, 3.0));
    assert_eq!(fold(&events).accuracy.transfers().count, 0, "nobody sent it");
    events.insert(at, told(SpanKind::Send, 0.5));
    assert_eq!(fold(&events).accuracy.transfers().count, 1);
}

#[test]
fn transfers_that_share_a_line_are_counted_one_after_the_other() {
    let lab = fold(&story());
    let [a, b] = [0, 1].map(|worker| Node::Worker(WorkerId(worker)));
    let both = |to, start, end, bytes| {
        [transfer(SpanKind::Send, to, start, start, bytes), transfer(SpanKind::Receive, to, end, end, bytes)]
    };
    let ms = |spans: Vec<Span>| lab.transfers(&spans).iter().map(|transfer| transfer.ms).collect::<Vec<_>>();
    let apart = [both(a, 0.0, 2.0, 100), both(b, 2.5, 3.0, 300)].concat();
    assert_eq!(ms(apart), [2.0, 0.5]);
    let together = [both(a, 0.0, 3.0, 100), both(b, 0.5, 4.0, 300)].concat();
    assert_eq!(ms(together), [1.0, 3.0]);
}

#[test]
fn the_history_stays_bounded() {
    let mut lab = fold(&story());
    for at in 0..5000 {
        let text = format!("line {at}");
        lab.apply(&event(100 + at, What::Noted { level: Level::Info, text }));
    }
    assert_eq!(lab.log.len(), log::LINES);
    assert_eq!(lab.log.back().map(|line| line.text.as_str()), Some("line 4999"));
}

#[test]
fn events_and_the_lab_survive_json() {
    let events = story();
    for event in &events {
        let text = serde_json::to_string(event).unwrap();
        assert_eq!(&serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
    }
    let lab = fold(&events);
    let text = serde_json::to_string(&lab).unwrap();
    assert_eq!(serde_json::from_str::<Lab>(&text).unwrap(), lab);
}

#[test]
fn the_best_single_worker_is_one_that_is_there() {
    let mut lab = fold(&story());
    for (worker, ms) in [(WorkerId(0), 100.0), (WorkerId(1), 300.0)] {
        lab.apply(&event(20, What::SingleMeasured { worker, ms, compute_ms: ms }));
    }
    let best = |lab: &Lab| lab.best_single().map(|(worker, ms)| (worker.info.worker.index(), ms));
    assert_eq!(best(&lab), Some((0, 100.0)));
    let lost = |worker| What::WorkerLost { worker, reason: "gone".to_owned() };
    lab.apply(&event(21, lost(WorkerId(0))));
    assert_eq!(best(&lab), Some((1, 300.0)));
    lab.apply(&event(22, lost(WorkerId(1))));
    assert_eq!(best(&lab), Some((0, 100.0)), "nobody is left: what was best stays");
}

#[test]
fn workers_join_in_their_order_and_no_more_of_them_once_a_partition_is_for_so_many() {
    let mut lab = Lab::default();
    lab.apply(&event(0, joined(3)));
    assert!(lab.workers.is_empty());
    let mut lab = fold(&story());
    lab.apply(&event(20, joined(2)));
    assert_eq!(lab.workers.len(), 2);
    lab.apply(&event(21, joined(1)));
    assert_eq!((lab.workers.len(), lab.workers[1].is_ready()), (2, false), "it came back");
    assert!(lab.is_possible());
}

#[test]
fn another_network_leaves_nothing_of_the_one_before() {
    let mut lab = fold(&story());
    lab.apply(&event(20, What::NetworkLoaded { network: Arc::new(chain(16, 2)) }));
    assert!(lab.running().is_none() && lab.offered().is_none() && lab.layers.is_empty());
    assert!(lab.is_possible() && lab.runs.done == 1);
}

#[test]
fn a_lab_that_events_cannot_have_led_to_is_told_from_one_they_can() {
    let events = story();
    (0..=events.len())
        .for_each(|count| assert!(fold(&events[..count]).is_possible(), "after {count} events"));
    let tampered = |change: fn(&mut Lab)| {
        let mut lab = fold(&story());
        change(&mut lab);
        lab
    };
    type Change = (&'static str, fn(&mut Lab));
    let changes: [Change; 8] = [
        ("a worker in another's place", |lab| lab.workers[0].info.worker = WorkerId(1)),
        ("a worker less than rows are for", |lab| drop((lab.workers.pop(), lab.learnt.pop()))),
        ("a worker of whom nothing was learnt", |lab| drop(lab.learnt.pop())),
        ("another network", |lab| lab.network = Some(Arc::new(chain(32, 3)))),
        ("no network", |lab| lab.network = None),
        ("a layer there is not", |lab| lab.layers[0].layer = 4),
        ("a prediction of a layer there is not", |lab| {
            let (worker, block, rows, ms) = (WorkerId(0), 0, 1, 1.0);
            let predicted = PredictedLayer { worker, block, layer: 4, rows, ms };
            lab.partitions.get_mut(&PartitionId(1)).unwrap().layers.push(predicted);
        }),
        ("a prediction that is no time", |lab| {
            lab.partitions.get_mut(&PartitionId(1)).unwrap().predicted_ms = Some(f64::NAN);
        }),
    ];
    for (what, change) in changes {
        assert!(!tampered(change).is_possible(), "{what}");
    }
}
