//! Runs over real sockets: workers that exchange rows compute exactly what one device does.
#![allow(clippy::unwrap_used)] // a test whose help fails has failed

mod common;

use collab_core::event::SpanKind;
use collab_core::id::{Node, PartitionId, RunId, WorkerId};
use collab_core::network::samples::chain;
use collab_core::schedule::Schedule;
use collab_worker::client::FromWorker;
use collab_worker::keys::Identity;
use common::{Setup, TestLab, Worker, partition, picture, single, tiny_bytes};

fn fleet(lab: &Identity, count: usize) -> Vec<Worker> {
    let letter = |index: usize| WorkerId::at(index).to_string();
    (0..count).map(|index| Worker::start(&letter(index), Some(lab.fingerprint()), Setup::default())).collect()
}

#[tokio::test]
async fn three_workers_that_exchange_halo_rows_give_exactly_the_single_result() {
    let identity = Identity::generate().unwrap();
    let workers = fleet(&identity, 3);
    let mut lab = TestLab::new(&identity);
    let (size, units) = (48, 6);
    let links = lab.lead(&workers, &tiny_bytes(size, units)).await;
    let network = chain(size, units);
    let expected = single(&network, &picture(size));
    let texts =
        ["0:=/1-2:=/3:10,20,18/4-5:B", "0-5:=", "0:A/1-3:5,38,5/4-5:0,24,24", "0:=/1:=/2:=/3:=/4:=/5:="];
    let mut run = 0;
    for (number, text) in (1..).zip(texts) {
        let plan = partition(&network, text, 3);
        let schedule = Schedule::new(&network, &plan);
        for link in &links {
            link.prepare(PartitionId(number), &plan).await.unwrap();
        }
        for _ in 0..3 {
            run += 1;
            lab.send_input(&network, &links, &schedule, run, number, &picture(size));
            assert_eq!(lab.gather(&network, run).await, expected, "{text}");
        }
    }
}

#[tokio::test]
async fn a_run_is_reported_with_every_layer_every_row_and_every_transfer() {
    let identity = Identity::generate().unwrap();
    let workers = fleet(&identity, 2);
    let mut lab = TestLab::new(&identity);
    let links = lab.lead(&workers, &tiny_bytes(32, 4)).await;
    let network = chain(32, 4);
    let plan = partition(&network, "0-1:=/2-3:20,12", 2);
    let schedule = Schedule::new(&network, &plan);
    for link in &links {
        link.prepare(PartitionId(7), &plan).await.unwrap();
    }
    lab.send_input(&network, &links, &schedule, 1, 7, &picture(32));
    let mut reports = Vec::new();
    let (mut sent, mut arrived, mut lab_sent) = (Vec::new(), Vec::new(), 0);
    let expected: usize =
        schedule.stages.iter().flat_map(|stage| &stage.strips).map(|strip| strip.sends.len()).sum();
    let mut rows = 0;
    while reports.len() < 2 || sent.len() < expected || arrived.len() < expected || lab_sent < 2 || rows < 2 {
        lab.expect("report", |worker, event| {
            match event {
                FromWorker::Computed(report) => reports.push((worker, report)),
                FromWorker::Sent(span) => sent.push((worker, span)),
                FromWorker::Arrived(span) => arrived.push((worker, span)),
                FromWorker::LabSent(_) => lab_sent += 1,
                FromWorker::Rows { .. } => rows += 1,
                FromWorker::Failed { reason, .. } => panic!("{worker}: {reason}"),
                _ => {}
            }
            Some(())
        })
        .await;
    }
    for (worker, report) in &reports {
        assert_eq!(report.run, RunId(1));
        for (block, times) in report.blocks.iter().enumerate() {
            let strip = &schedule.stages[block].strips[worker.index()];
            let computed = report
                .spans
                .iter()
                .filter(|span| span.kind == SpanKind::Compute && span.block == block as u32);
            assert_eq!(computed.map(|span| span.rows.len()).sum::<u32>(), strip.rows.len());
            let layers: Vec<u32> = times.layers.iter().map(|(layer, _, _)| *layer).collect();
            assert_eq!(layers, [2 * block as u32, 2 * block as u32 + 1]);
            assert!(times.layers.iter().all(|(_, rows, ms)| *rows >= strip.rows.len() && *ms > 0.0));
        }
        assert_eq!(report.blocks.len(), 2);
    }
    for (worker, span) in &sent {
        let strip = &schedule.stages[span.block as usize].strips[worker.index()];
        assert!(strip.sends.iter().any(|send| Some(send.peer) == span.peer && send.rows == span.rows));
        assert!(span.bytes > 0 && span.end_us >= span.start_us);
    }
    assert!(
        arrived
            .iter()
            .any(|(worker, span)| *worker == WorkerId(0) && span.peer == Some(Node::Worker(WorkerId(1))))
    );
}

#[tokio::test]
async fn equal_strips_are_taken_over_by_the_next_partition() {
    let identity = Identity::generate().unwrap();
    let workers = fleet(&identity, 2);
    let lab = TestLab::new(&identity);
    let links = lab.lead(&workers, &tiny_bytes(32, 4)).await;
    let network = chain(32, 4);
    let first =
        links[0].prepare(PartitionId(1), &partition(&network, "0-1:16,16/2-3:16,16", 2)).await.unwrap();
    assert_eq!(first.reused, 0);
    let second =
        links[0].prepare(PartitionId(2), &partition(&network, "0-1:16,16/2-3:10,22", 2)).await.unwrap();
    assert!(second.reused > 0 && second.built > 0, "{second:?}");
    links[0].drop_partition(PartitionId(1)).await.unwrap();
    let third =
        links[0].prepare(PartitionId(3), &partition(&network, "0-1:16,16/2-3:10,22", 2)).await.unwrap();
    assert_eq!(third.built, 0, "{third:?}");
}

#[tokio::test]
async fn a_prepared_partition_is_rehearsed_block_by_block_and_runs_as_before() {
    let identity = Identity::generate().unwrap();
    let workers = fleet(&identity, 2);
    let mut lab = TestLab::new(&identity);
    let links = lab.lead(&workers, &tiny_bytes(32, 4)).await;
    let network = chain(32, 4);
    let plan = partition(&network, "0-1:20,12/2:=/3:A", 2);
    let schedule = Schedule::new(&network, &plan);
    let unknown = links[0].rehearse(PartitionId(1), 0, true).await.unwrap_err().to_string();
    assert!(unknown.contains("partition #1 is not prepared"), "{unknown}");
    for (worker, link) in links.iter().enumerate() {
        link.prepare(PartitionId(1), &plan).await.unwrap();
        for (block, stage) in schedule.stages.iter().enumerate() {
            let times = link.rehearse(PartitionId(1), block as u32, block == 2).await.unwrap();
            let layers = network.layers_of(&(stage.units.0 as usize..stage.units.1 as usize));
            let parts = &stage.strips[worker].parts;
            assert_eq!(times.is_some(), !parts.is_empty(), "{worker} {block}");
            let Some(times) = times else { continue };
            assert_eq!(
                times.layers.iter().map(|layer| layer.0 as usize).collect::<Vec<_>>(),
                layers.collect::<Vec<_>>()
            );
            assert_eq!(times.layers.last().unwrap().1, stage.strips[worker].rows.len());
            assert!(times.layers.iter().all(|layer| layer.2 > 0.0), "{times:?}");
        }
        assert_eq!(link.rehearse(PartitionId(1), 9, true).await.unwrap(), None, "there is no such block");
    }
    lab.send_input(&network, &links, &schedule, 1, 1, &picture(32));
    assert_eq!(lab.gather(&network, 1).await, single(&network, &picture(32)));
}

#[tokio::test]
async fn rows_that_the_schedule_does_not_have_make_the_run_fail_with_a_sentence() {
    let identity = Identity::generate().unwrap();
    let workers = fleet(&identity, 1);
    let mut lab = TestLab::new(&identity);
    let links = lab.lead(&workers, &tiny_bytes(16, 2)).await;
    let network = chain(16, 2);
    let plan = partition(&network, "0-1:A", 1);
    let schedule = Schedule::new(&network, &plan);
    lab.send_input(&network, &links, &schedule, 1, 9, &picture(16));
    let failure = |event: FromWorker, wanted: u64| match event {
        FromWorker::Failed { run, reason } if run == RunId(wanted) => Some(reason),
        _ => None,
    };
    let reason = lab.expect("failure", |_, event| failure(event, 1)).await;
    assert!(reason.contains("partition #9, which is not prepared"), "{reason}");
    links[0].prepare(PartitionId(9), &plan).await.unwrap();
    let smaller = Schedule::new(&chain(12, 2), &partition(&chain(12, 2), "0-1:A", 1));
    lab.send_input(&chain(12, 2), &links, &smaller, 2, 9, &picture(12));
    let reason = lab.expect("failure", |_, event| failure(event, 2)).await;
    assert!(reason.contains("does not have it send"), "{reason}");
    lab.send_input(&network, &links, &schedule, 3, 9, &picture(16));
    assert_eq!(lab.gather(&network, 3).await, single(&network, &picture(16)), "the worker goes on");
}
