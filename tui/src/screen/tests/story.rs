//! Sessions told in events, as a real lab would record them. Plans and predictions come from the real
//! planners; measured times are predicted ones with a bias for each kind of layer and some seeded noise.

use std::sync::Arc;

use collab_core::command::{CommandId, Settled, Verb};
use collab_core::event::*;
use collab_core::id::{Digest, Node, PartitionId, RunId, WorkerId};
use collab_core::lab::Lab;
use collab_core::network::{Kind, Network};
use collab_core::partition::Partition;
use collab_core::plan::{Budget, Problem, planner};
use collab_core::rows::Rows;
use collab_core::time::Micros;

use super::networks::{enlarging, naming};

/// A session being told.
#[derive(Clone)]
pub(super) struct Story {
    /// The fold of all events so far.
    pub(super) lab: Lab,
    noise: u64,
    runs: u64,
    partitions: u32,
    commands: u32,
}

/// Slowdowns, rates in Mbit/s and round trips in ms of the fleet's workers.
const FLEET: [(&str, f64, f64, f64); 8] = [
    ("pi5-kitchen", 1.0, 941.0, 0.9),
    ("pi4-lab", 2.1, 938.0, 1.4),
    ("pi3-window", 4.6, 38.0, 18.2),
    ("pi4-attic", 2.2, 930.0, 1.5),
    ("pi5-door", 1.1, 935.0, 1.1),
    ("pi4-shed", 2.0, 936.0, 1.2),
    ("pi3-roof", 4.8, 94.0, 3.2),
    ("pi5-desk", 1.0, 940.0, 0.8),
];

impl Story {
    /// A session that has just begun.
    pub(super) fn new() -> Self {
        let mut story = Self { lab: Lab::default(), noise: 7, runs: 0, partitions: 0, commands: 0 };
        story.tell(What::SessionStarted(SessionInfo {
            version: "0.1.0".to_owned(),
            mode: "demo".to_owned(),
            started_unix_ms: 1_700_000_000_000,
            seed: 7,
            planner: "proportional".to_owned(),
            read_only: false,
        }));
        story
    }

    /// Something happens a moment later.
    pub(super) fn tell(&mut self, what: What) -> &mut Self {
        let at = Micros(self.lab.now.0 + 500);
        self.lab.apply(&Event { at, what });
        self
    }

    /// Nothing happens for a while.
    pub(super) fn wait(&mut self, seconds: f64) -> &mut Self {
        self.lab.now = self.lab.now + Micros::from_secs_f64(seconds);
        self
    }

    /// A number in 0…1, the same in every telling.
    fn chance(&mut self) -> f64 {
        self.noise =
            self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 40) as f64 / (1u64 << 24) as f64
    }

    /// The network is read and the workers connect.
    pub(super) fn connect(&mut self, network: Network, workers: usize) -> &mut Self {
        self.wait(0.4).tell(What::NetworkLoaded { network: Arc::new(network) });
        for (index, (name, slowdown, rate, _)) in FLEET.into_iter().enumerate().take(workers) {
            self.wait(0.1).tell(What::WorkerJoined(WorkerInfo {
                worker: WorkerId::at(index),
                name: name.to_owned(),
                address: format!("127.0.0.1:{}", 40_000 + index),
                fingerprint: Digest([17 * (index as u8 + 1); 32]),
                engine: "collab".to_owned(),
                host: Host {
                    cpu: "Cortex-A72".to_owned(),
                    isa: "aarch64 neon".to_owned(),
                    cores: 4,
                    memory: 4 << 30,
                    os: "Linux 6.1".to_owned(),
                    governor: "ondemand".to_owned(),
                },
                emulation: Some(Emulation {
                    name: name[..3].to_owned(),
                    slowdown: 2.0 * slowdown,
                    link: LinkShape { rate_mbps: Some(rate), delay_ms: 0.0 },
                }),
                memory_limit: Some(512 << 20),
            }));
        }
        self
    }

    /// Every worker holds the network, was timed, and its links were measured.
    pub(super) fn ready(&mut self) -> &mut Self {
        for (index, (_, slowdown, rate, rtt)) in FLEET.into_iter().enumerate().take(self.lab.workers.len()) {
            let worker = WorkerId::at(index);
            self.wait(0.2).tell(What::WorkerReady { worker });
            for (from, to) in [(Node::Lab, Node::Worker(worker)), (Node::Worker(worker), Node::Lab)] {
                let offset_ms = 3.25 * (index as f64 + 1.0) * if from == Node::Lab { 1.0 } else { -1.0 };
                self.tell(What::LinkMeasured { from, to, rtt_ms: rtt, rate_mbps: Some(rate), offset_ms });
            }
            let ms = 171.0 * slowdown;
            self.tell(What::SingleMeasured { worker, ms, compute_ms: ms * 0.97 });
            self.status(worker, 100.0);
        }
        self
    }

    /// A worker's report.
    pub(super) fn status(&mut self, worker: WorkerId, throttle_percent: f64) -> &mut Self {
        let cpu_percent = 40.0 + (self.chance() * 55.0).round();
        let (_, _, rate, _) = FLEET[worker.index()];
        self.tell(What::WorkerStatus(WorkerStatus {
            worker,
            cpu_percent,
            delayed_percent: 0.0,
            reference_ms: None,
            temperature_c: (worker.0 != 5).then_some(52.0 + 6.0 * f64::from(worker.0)),
            throttle_percent,
            link: LinkShape { rate_mbps: Some(rate), delay_ms: 0.0 },
            memory: 143 << 20,
            memory_peak: 151 << 20,
            dropped: 0,
            refused: 0,
        }))
    }

    /// A partition is proposed: by a planner's name, or given in its text form.
    pub(super) fn propose(&mut self, by: &str) -> PartitionId {
        self.partitions += 1;
        let id = PartitionId(self.partitions);
        let network = self.lab.network.clone().unwrap();
        let costs = self.lab.costs().unwrap();
        let allowed = vec![true; self.lab.workers.len()];
        let problem = Problem { network: &network, costs: &costs, allowed: &allowed, memory: &[] };
        let (name, plan) = match planner(by) {
            Some(planner) => (by, planner.plan(&problem, Budget::default()).unwrap()),
            None => ("given", problem.cost(Partition::parse(by, &network, allowed.len()).unwrap())),
        };
        let reason = "C costs more in halo rows than it computes: it gets fewer of them.".to_owned();
        let proposal = problem.propose(id, name, plan, reason);
        self.tell(What::PartitionProposed(proposal));
        id
    }

    /// A partition is proposed and runs.
    pub(super) fn switch(&mut self, by: &str) -> &mut Self {
        let partition = self.propose(by);
        let run = RunId(self.runs + 1);
        self.tell(What::PartitionSwitched { partition, run })
    }

    /// So many runs, of which the first is compared with one device.
    pub(super) fn run(&mut self, count: usize) -> &mut Self {
        for index in 0..count {
            self.runs += 1;
            let run = RunId(self.runs);
            let running = self.lab.running().unwrap().clone();
            let network = self.lab.network.clone().unwrap();
            let partition = running.partition;
            self.tell(What::RunStarted { run, partition, input: "tabby.jpg".to_owned() });
            let late = if self.chance() > 0.96 { 1.25 } else { 1.0 };
            let factor = |story: &mut Self| late * (1.02 + 0.05 * (story.chance() - 0.5));
            let mut end = 0.0f64;
            let squeeze = factor(self);
            for span in &running.spans {
                let start_ms = span.start_ms * squeeze;
                let end_ms = span.end_ms * squeeze * (1.0 + 0.02 * self.chance());
                end = end.max(end_ms);
                let (node, kind, block, peer, bytes) =
                    (span.node, span.kind, span.block, span.peer, span.bytes);
                let rows = Rows::new(0, 8);
                self.tell(What::SpanDone(Span {
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
            for worker in 0..self.lab.workers.len() {
                for block in 0..running.plan.blocks.len() as u32 {
                    let worker = WorkerId::at(worker);
                    let predicted =
                        running.layers.iter().filter(|it| it.worker == worker && it.block == block);
                    let layers: Vec<_> = predicted
                        .map(|it| {
                            let bias = match network.layers[it.layer as usize].kind {
                                Kind::Depthwise => 1.9,
                                Kind::Elementwise | Kind::Pool => 1.0,
                                Kind::Pointwise => 0.93,
                                _ => 1.04,
                            };
                            let least = 0.02 * f64::from(it.rows) / 10.0;
                            let ms = it.ms * bias * (0.97 + 0.06 * self.chance()) + least;
                            (it.layer, it.rows, ms as f32)
                        })
                        .collect();
                    if !layers.is_empty() {
                        self.tell(What::LayersTimed(LayersTimed { run, worker, block, layers }));
                    }
                }
            }
            let verdict = if index == 0 { Verdict::BitEqual } else { Verdict::Unchecked };
            self.wait(end / 1e3);
            self.tell(What::RunDone { run, ms: end, verdict });
        }
        for worker in 0..self.lab.workers.len() {
            let share = self.lab.workers[worker].throttle.percent;
            self.status(WorkerId::at(worker), share);
        }
        let (run, partition) = (RunId(self.runs + 1), self.lab.current.unwrap());
        self.tell(What::RunStarted { run, partition, input: "tabby.jpg".to_owned() })
    }

    /// The operator gives a command; it is not settled yet.
    pub(super) fn command(&mut self, verb: Verb, before: &str, after: &str) -> CommandId {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.tell(What::CommandGiven {
            id,
            who: "operator".to_owned(),
            verb,
            before: before.to_owned(),
            after: after.to_owned(),
            predicted_ms: Some(124.0),
        });
        id
    }

    /// A command is settled.
    pub(super) fn settle(&mut self, id: CommandId, outcome: Settled) -> &mut Self {
        self.tell(What::CommandSettled { id, outcome })
    }

    /// The network's answer.
    pub(super) fn answer(&mut self, answer: Answer) -> &mut Self {
        let run = RunId(self.runs);
        self.tell(What::Answered { run, answer })
    }

    /// The pictures that go with it.
    pub(super) fn picture(&mut self, enlarged: bool) -> &mut Self {
        let run = RunId(self.runs);
        let after = enlarged.then(|| painting(96));
        let before = painting(if enlarged { 48 } else { 96 });
        self.tell(What::Pictured { run, before, after })
    }
}

/// A hill under a sun.
fn painting(size: u16) -> Thumbnail {
    let mut rgb = Vec::new();
    for y in 0..size {
        for x in 0..size {
            let (u, v) = (f64::from(x) / f64::from(size), f64::from(y) / f64::from(size));
            let hill = 0.62 + 0.13 * (u * 7.0).sin() * (u * 2.3 + 0.4).cos();
            let sun = ((u - 0.7).powi(2) + (v - 0.28).powi(2)).sqrt();
            let pixel: [f64; 3] = if v > hill {
                let stripe = 0.75 + 0.25 * ((u * 40.0 + v * 60.0).sin());
                [40.0 * stripe, (150.0 - 90.0 * (v - hill)) * stripe, 60.0 * stripe]
            } else if sun < 0.13 {
                [255.0, 225.0, 120.0]
            } else {
                [90.0 + 120.0 * v, 140.0 + 70.0 * v, 215.0 - 30.0 * v]
            };
            rgb.extend(pixel.map(|value| value.clamp(0.0, 255.0) as u8));
        }
    }
    Thumbnail { width: size, height: size, rgb }
}

/// The demo after a while: an enlarged picture, a throttled worker, another partition offered.
pub(super) fn demo() -> Story {
    let mut story = Story::new();
    story.connect(enlarging(), 3).ready().switch("equal").run(30);
    story.switch("proportional").run(60);
    let verb = Verb::Throttle { worker: WorkerId(1), percent: 60.0 };
    let throttle = story.command(verb, "100 %", "60 %");
    story.settle(throttle, Settled::Done).run(20);
    story.tell(What::CommandMeasured { id: throttle, measured_ms: 127.3 });
    story.answer(Answer::Picture { psnr_db: Some(31.27), bicubic_psnr_db: Some(29.84) }).picture(true);
    story
}

/// A network that names what it sees, on three workers.
pub(super) fn classes() -> Story {
    let mut story = Story::new();
    story.connect(naming(), 3).ready().switch("0-9:56,40,16/10-23:60,52,0/24-37:A").run(40);
    let class = |class, label: &str, p| Class { class, label: label.to_owned(), p };
    story.answer(Answer::Classes(vec![
        class(282, "tiger cat", 0.402),
        class(281, "tabby", 0.331),
        class(285, "Egyptian cat", 0.121),
        class(287, "lynx", 0.034),
        class(728, "plastic bag", 0.009),
    ]));
    story.picture(false);
    story
}

/// Boxes found on a picture, and a worker that was lost.
pub(super) fn lost() -> Story {
    let mut story = Story::new();
    story.connect(naming(), 3).ready().switch("0-35:50,40,22/36-37:A").run(25);
    story.tell(What::WorkerLost { worker: WorkerId(2), reason: "no heartbeat for 1 s".to_owned() });
    story.tell(What::RunLost { run: RunId(26), reason: "C is lost, its rows are missing".to_owned() });
    story.switch("0-35:64,48,0/36-37:A").run(12);
    let found = |x, y, width, height, p| FoundBox { x, y, width, height, p, label: "face".to_owned() };
    story.answer(Answer::Boxes(vec![found(0.58, 0.16, 0.25, 0.25, 0.97), found(0.1, 0.5, 0.2, 0.3, 0.71)]));
    story.picture(false);
    story
}
