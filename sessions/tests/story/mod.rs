//! A made-up session: three workers, runs with spans and layers, commands, marks, a worker that is lost and
//! comes back. The same seed makes the same events. Shared by the tests and the benchmark.
#![allow(dead_code)] // every test binary uses its part

use std::sync::Arc;

use collab_core::command::{CommandId, Settled, Verb};
use collab_core::event::*;
use collab_core::id::{Digest, Node, PartitionId, RunId, WorkerId};
use collab_core::lab::Lab;
use collab_core::network::{Network, samples};
use collab_core::partition::Partition;
use collab_core::predict::Profile;
use collab_core::rows::Rows;
use collab_core::time::Micros;
use collab_sessions::{Recorder, Session};

pub(crate) const WORKERS: u8 = 3;
pub(crate) const UNITS: u32 = 12;

/// SplitMix64: enough chance for a story.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0…1
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

pub(crate) struct Story {
    events: Vec<Event>,
    now: u64,
    network: Arc<Network>,
    chance: Chance,
    run: u64,
    command: u32,
    proposed: u32,
    current: PartitionId,
}

/// About `seconds` of a lab that runs every 40 ms.
pub(crate) fn story(seed: u64, seconds: u64) -> Vec<Event> {
    let mut story = Story {
        events: Vec::new(),
        now: 0,
        network: Arc::new(samples::chain(128, UNITS)),
        chance: Chance(seed),
        run: 0,
        command: 0,
        proposed: 0,
        current: PartitionId(1),
    };
    story.begin();
    let mut status_at = 0;
    while story.now < seconds * 1_000_000 {
        if story.now >= status_at {
            status_at = story.now + 1_000_000;
            story.report();
            story.train();
        }
        story.run();
        match story.chance.next() % 150 {
            0 => story.throttle(),
            1 => story.mark(),
            2 => story.switch(),
            3 => story.lose(),
            4 => story.refuse(),
            _ => {}
        }
    }
    story.put(What::SessionEnded);
    story.events
}

/// The fold of the first `count` events.
pub(crate) fn fold(events: &[Event]) -> Lab {
    let mut lab = Lab::default();
    events.iter().for_each(|event| lab.apply(event));
    lab
}

/// How many events are at or before `to`, in the session's time.
pub(crate) fn until(events: &[Event], to: Micros) -> usize {
    let mut latest = Micros(0);
    events
        .iter()
        .take_while(|event| {
            latest = latest.max(event.at);
            latest <= to
        })
        .count()
}

impl Story {
    fn put(&mut self, what: What) {
        self.now += 20 + self.chance.next() % 30;
        // Reports of workers may be stamped a little before what was written last.
        let early = if self.chance.one_in(40) { 300 } else { 0 };
        self.events.push(Event { at: Micros(self.now.saturating_sub(early)), what });
    }

    /// At the moment of the event before.
    fn tell(&mut self, what: What) {
        self.events.push(Event { at: Micros(self.now), what });
    }

    fn begin(&mut self) {
        self.put(What::SessionStarted(SessionInfo {
            version: "0.1.0".to_owned(),
            mode: "demo".to_owned(),
            started_unix_ms: 1_790_000_000_000,
            seed: 7,
            planner: "proportional".to_owned(),
            read_only: false,
        }));
        self.put(What::NetworkLoaded { network: self.network.clone() });
        for worker in 0..WORKERS {
            self.join(worker);
        }
        for worker in (0..WORKERS).map(WorkerId) {
            let ms = 60.0 + 30.0 * f64::from(worker.0);
            self.put(What::WorkerCalibrated {
                worker,
                profile: Profile::default(),
                cached: worker.0 > 0,
                took_ms: 800.0,
                held_out: Some(0.07),
            });
            self.put(What::SingleMeasured { worker, ms, compute_ms: ms - 2.0 });
            let rate_mbps = Some(940.0);
            self.put(What::LinkMeasured {
                from: Node::Lab,
                to: Node::Worker(worker),
                rtt_ms: 0.9,
                rate_mbps,
                offset_ms: 12.5,
            });
        }
        let (from, to) = (Node::Worker(WorkerId(0)), Node::Worker(WorkerId(1)));
        self.put(What::LinkMeasured { from, to, rtt_ms: 1.4, rate_mbps: None, offset_ms: -0.25 });
        self.propose("0-7:=/8-11:A");
        for worker in (0..WORKERS).map(WorkerId) {
            let layers = (0..UNITS).map(|layer| (layer, 44, 1.0)).collect();
            let blocks = vec![BlockTimes { block: 0, layers }];
            self.put(What::PartitionRehearsed { partition: self.current, worker, blocks });
        }
        self.put(What::PartitionSwitched { partition: self.current, run: RunId(1) });
        let picture = |byte: u8| Thumbnail { width: 4, height: 2, rgb: vec![byte; 24] };
        self.put(What::Pictured { run: RunId(1), before: picture(17), after: Some(picture(34)) });
    }

    fn join(&mut self, worker: u8) {
        self.put(What::WorkerJoined(WorkerInfo {
            worker: WorkerId(worker),
            name: format!("pi{}", 5 - worker),
            address: format!("127.0.0.1:{}", 4000 + u16::from(worker)),
            fingerprint: Digest([worker; 32]),
            engine: "collab".to_owned(),
            host: Host::default(),
            emulation: Some(Emulation {
                name: "pi4".to_owned(),
                slowdown: 4.0,
                link: LinkShape { rate_mbps: Some(940.0), delay_ms: 0.2 },
            }),
            memory_limit: Some(512 << 20),
        }));
        let worker = WorkerId(worker);
        self.put(What::WorkerLoading { worker, done: 1 << 20, total: 2 << 20 });
        self.put(What::WorkerReady { worker });
    }

    fn propose(&mut self, text: &str) {
        self.proposed += 1;
        let plan = Partition::parse(text, &self.network, usize::from(WORKERS)).unwrap();
        let id = PartitionId(self.proposed);
        let spans = (0..WORKERS).map(|worker| PredictedSpan {
            node: Node::Worker(WorkerId(worker)),
            kind: SpanKind::Compute,
            block: 0,
            peer: None,
            start_ms: 0.5,
            end_ms: 20.5,
            bytes: 0,
        });
        let spans = spans.collect();
        let layers = (0..UNITS).map(|layer| PredictedLayer {
            worker: WorkerId(0),
            block: 0,
            layer,
            rows: 44,
            ms: 0.25 * f64::from(layer + 1),
        });
        let layers = layers.collect();
        self.put(What::PartitionProposed(Proposal {
            partition: id,
            planner: "proportional".to_owned(),
            plan,
            predicted_ms: Some(30.0 + f64::from(self.proposed)),
            spans,
            layers,
            reason: "it follows the measured speeds".to_owned(),
        }));
    }

    fn run(&mut self) {
        self.run += 1;
        let run = RunId(self.run);
        let input = "tiger.png".to_owned();
        self.put(What::RunStarted { run, partition: self.current, input });
        let started = self.now;
        for worker in (0..WORKERS).map(WorkerId) {
            let node = Node::Worker(worker);
            let mut at = 0.5 + self.chance.unit();
            for (block, kind, peer) in [
                (0, SpanKind::Receive, Some(Node::Lab)),
                (0, SpanKind::Wait, Some(Node::Lab)),
                (0, SpanKind::Compute, None),
                (0, SpanKind::Send, Some(Node::Lab)),
                (1, SpanKind::Compute, None),
            ] {
                let length = 1.0 + 8.0 * self.chance.unit();
                let bytes = if kind == SpanKind::Send { 44 * 128 * 32 } else { 0 };
                let (start_ms, end_ms) = (at, at + length);
                let rows = Rows::new(0, 44);
                at = end_ms;
                self.put(What::SpanDone(Span {
                    run,
                    node,
                    kind,
                    block,
                    peer,
                    rows,
                    start_ms,
                    end_ms,
                    bytes,
                }));
            }
            let times: Vec<f32> = (0..UNITS).map(|_| self.chance.unit() as f32 * 2.0).collect();
            let layers = (0..UNITS).zip(times).map(|(layer, ms)| (layer, 44 + layer % 3, ms)).collect();
            self.put(What::LayersTimed(LayersTimed { run, worker, block: 0, layers }));
        }
        self.now = started + 39_000;
        if self.chance.one_in(200) {
            self.put(What::RunLost { run, reason: "worker C did not answer within 30 s".to_owned() });
            return;
        }
        let verdict = match self.chance.next() % 20 {
            0 => Verdict::BitEqual,
            1 => Verdict::Within(2.5e-7),
            _ => Verdict::Unchecked,
        };
        let ms = 36.0 + 3.0 * self.chance.unit();
        self.put(What::RunDone { run, ms, verdict });
        if self.chance.one_in(10) {
            let class = Class { class: 282, label: "tiger cat".to_owned(), p: 0.4 };
            self.put(What::Answered { run, answer: Answer::Classes(vec![class]) });
        }
    }

    fn report(&mut self) {
        for worker in (0..WORKERS).map(WorkerId) {
            let status = WorkerStatus {
                worker,
                cpu_percent: 100.0 * self.chance.unit(),
                delayed_percent: 0.0,
                reference_ms: Some(0.5),
                temperature_c: (worker.0 > 0).then_some(58.5),
                throttle_percent: 100.0,
                link: LinkShape::default(),
                memory: 80 << 20,
                memory_peak: 85 << 20,
                dropped: 0,
                refused: 0,
            };
            self.put(What::WorkerStatus(status));
        }
    }

    fn train(&mut self) {
        let best = 38.0 + 1.0 / (1.0 + self.run as f64);
        let candidate = |(age, origin): (u64, Origin)| Candidate {
            origin,
            plan: "0-7:60,40,28/8-11:A".to_owned(),
            predicted_ms: best + age as f64,
            age,
        };
        self.tell(What::Trained(Box::new(Trained {
            generation: self.run,
            best_ms: best,
            mean_ms: best + 1.5,
            agent_ms: Some(best + 0.5),
            actor_loss: Some(-0.25),
            critic_loss: (self.run > 500).then_some(0.0025),
            evaluations: 400 * self.run,
            evaluations_per_s: 8000.0,
            operators: Origin::OPERATORS
                .map(|operator| OperatorSuccess { operator, made: 9, kept: 2 })
                .to_vec(),
            population: (0..16)
                .zip([Origin::Start, Origin::Cross].into_iter().cycle())
                .map(candidate)
                .collect(),
            running_ms: Some(39.0),
            best_known_ms: Some(37.5),
            planners: vec![Opponent {
                planner: "dp".to_owned(),
                predicted_ms: 38.5,
                evaluations: 900,
                plan_ms: 2.5,
            }],
        })));
    }

    fn give(&mut self, verb: Verb) -> CommandId {
        self.command += 1;
        let id = CommandId(self.command);
        self.put(What::CommandGiven {
            id,
            who: "operator".to_owned(),
            verb,
            before: "100 %".to_owned(),
            after: "60 %".to_owned(),
            predicted_ms: Some(41.5),
        });
        id
    }

    fn throttle(&mut self) {
        let id = self.give(Verb::Throttle { worker: WorkerId(1), percent: 60.0 });
        self.put(What::CommandSettled { id, outcome: Settled::Done });
        self.put(What::CommandMeasured { id, measured_ms: 42.25 });
    }

    fn refuse(&mut self) {
        let id = self.give(Verb::Accept);
        let outcome = Settled::Refused("worker C has too little memory".to_owned());
        self.put(What::CommandSettled { id, outcome });
        let text = "worker C is short of memory".to_owned();
        self.put(What::Noted { level: Level::Warning, text });
        let (partition, reason) = (PartitionId(self.proposed), "too little memory".to_owned());
        self.put(What::PartitionRefused { partition, reason });
    }

    fn mark(&mut self) {
        let name = format!("mark {}", self.command);
        let id = self.give(Verb::Mark { name });
        self.put(What::CommandSettled { id, outcome: Settled::Done });
    }

    fn switch(&mut self) {
        let text = ["0-7:60,40,28/8-11:A", "0-11:B", "0-3:=/4-7:64,64,0/8-11:C"][self.proposed as usize % 3];
        self.propose(text);
        self.tell(What::ProposalCompared(Comparison {
            partition: PartitionId(self.proposed),
            running: self.current,
            now_ms: 41.0,
            now_measured: true,
            new_ms: 37.0,
            correction: 1.02,
            compute_ms: vec![1.5, -4.0, 0.0],
            transfer_ms: -1.0,
            halo_ms: -0.5,
            wait_ms: -2.0,
            after_ms: Some(12.5),
            because: "B runs at 60 %".to_owned(),
        }));
        let reason = "it was not faster for long enough".to_owned();
        self.tell(What::ProposalWithdrawn { partition: PartitionId(0), reason });
        self.current = PartitionId(self.proposed);
        self.put(What::PartitionSwitched { partition: self.current, run: RunId(self.run + 1) });
    }

    fn lose(&mut self) {
        let reason = "no answer for 1 s".to_owned();
        self.put(What::WorkerLost { worker: WorkerId(2), reason });
        self.now += 1_500_000;
        self.join(2);
    }
}

/// Records as the lab does, each event before it is applied, and answers the finished file.
pub(crate) fn record(events: &[Event]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in/new/folders/session.mcap");
    let mut recorder = Recorder::create(&path).unwrap();
    let mut lab = Lab::default();
    for event in events {
        recorder.write(event, &lab).unwrap();
        lab.apply(event);
    }
    let recorded = recorder.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(recorded.bytes, bytes.len() as u64);
    assert_eq!(recorded.events, events.len() as u64);
    bytes
}

/// Opens a file's bytes.
pub(crate) fn open(bytes: &[u8]) -> Session {
    Session::read("test", std::io::Cursor::new(bytes.to_vec())).unwrap()
}
