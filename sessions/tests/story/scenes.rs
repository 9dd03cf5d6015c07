//! What happens in a session, each as the events that tell it.

use collab_core::command::{CommandId, Settled, Verb};
use collab_core::event::*;
use collab_core::id::{Digest, Node, PartitionId, RunId, WorkerId};
use collab_core::partition::Partition;
use collab_core::predict::Profile;
use collab_core::rows::Rows;

use super::{Story, UNITS, WORKERS};

impl Story {
    pub(super) fn begin(&mut self) {
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

    pub(super) fn run(&mut self) {
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

    pub(super) fn report(&mut self) {
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

    pub(super) fn train(&mut self) {
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

    pub(super) fn throttle(&mut self) {
        let id = self.give(Verb::Throttle { worker: WorkerId(1), percent: 60.0 });
        self.put(What::CommandSettled { id, outcome: Settled::Done });
        self.put(What::CommandMeasured { id, measured_ms: 42.25 });
    }

    pub(super) fn refuse(&mut self) {
        let id = self.give(Verb::Accept);
        let outcome = Settled::Refused("worker C has too little memory".to_owned());
        self.put(What::CommandSettled { id, outcome });
        let text = "worker C is short of memory".to_owned();
        self.put(What::Noted { level: Level::Warning, text });
        let (partition, reason) = (PartitionId(self.proposed), "too little memory".to_owned());
        self.put(What::PartitionRefused { partition, reason });
    }

    pub(super) fn mark(&mut self) {
        let name = format!("mark {}", self.command);
        let id = self.give(Verb::Mark { name });
        self.put(What::CommandSettled { id, outcome: Settled::Done });
    }

    pub(super) fn switch(&mut self) {
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

    pub(super) fn lose(&mut self) {
        let reason = "no answer for 1 s".to_owned();
        self.put(What::WorkerLost { worker: WorkerId(2), reason });
        self.now += 1_500_000;
        self.join(2);
    }
}
