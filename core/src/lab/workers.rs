//! Workers and links as the lab knows them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Lab, push_bounded};
use crate::event::{LinkShape, Span, SpanKind, WorkerInfo, WorkerStatus};
use crate::id::{Node, WorkerId};
use crate::partition::Partition;
use crate::plan::{loaded_memory, peak_memory};
use crate::predict::Profile;
use crate::time::Micros;

/// Runs whose busy share is kept for the sparkline.
const BUSY_SAMPLES: usize = 64;

/// How far a worker is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Connected, without the network.
    Joined,
    /// Receiving the network.
    Loading {
        /// Bytes it holds.
        done: u64,
        /// Bytes there are.
        total: u64,
    },
    /// Can run strips.
    Ready,
    /// Gone.
    Lost {
        /// A sentence.
        reason: String,
    },
}

/// A worker's CPU share: asked for, and acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throttle {
    /// What the operator asked for, %.
    pub asked: f64,
    /// What the worker said it does, %.
    pub percent: f64,
}

impl Throttle {
    /// Whether the worker has yet to acknowledge: shown hollow.
    pub fn is_pending(&self) -> bool {
        (self.asked - self.percent).abs() > 0.05
    }
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerState {
    /// As it introduced itself.
    pub info: WorkerInfo,
    /// How far it is.
    pub phase: Phase,
    /// Since when.
    pub phase_since: Micros,
    /// Its last report.
    pub status: Option<WorkerStatus>,
    /// Its CPU share.
    pub throttle: Throttle,
    /// What paces its sending, as the operator asked; `None` if never asked.
    pub link_asked: Option<LinkShape>,
    /// The whole network alone, ms.
    pub single_ms: Option<f64>,
    /// Of that, computing, ms.
    pub single_compute_ms: Option<f64>,
    /// What it takes for each kind of work, once calibrated.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// The profile's mean absolute error over layers left out of a fit, as a fraction.
    #[serde(default)]
    pub held_out: Option<f64>,
    /// Part of each late run spent computing, 0…1.
    pub busy: VecDeque<f32>,
    /// Part of each late run spent waiting for rows, 0…1.
    pub wait: VecDeque<f32>,
}

impl WorkerState {
    /// Whether it can be given work.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Mean part of the late runs spent computing, 0…1.
    pub fn mean_busy(&self) -> Option<f64> {
        mean(&self.busy)
    }

    /// Mean part of the late runs spent waiting, 0…1.
    pub fn mean_wait(&self) -> Option<f64> {
        mean(&self.wait)
    }

    pub(super) fn take_run(&mut self, spans: &[Span], node: Node, run_ms: f64) {
        let part = |kind: SpanKind| {
            let of_kind = spans.iter().filter(|span| span.node == node && span.kind == kind);
            // Not sum(): of nothing it is −0.
            let total = of_kind.fold(0.0, |total, span| total + span.end_ms - span.start_ms);
            (total / run_ms.max(1e-6)).clamp(0.0, 1.0) as f32
        };
        push_bounded(&mut self.busy, part(SpanKind::Compute), BUSY_SAMPLES);
        push_bounded(&mut self.wait, part(SpanKind::Wait), BUSY_SAMPLES);
    }
}

fn mean(values: &VecDeque<f32>) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    (!values.is_empty()).then(|| sum / values.len() as f64)
}

/// A directed link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkState {
    /// Sender.
    pub from: Node,
    /// Receiver.
    pub to: Node,
    /// Round trip, ms.
    pub rtt_ms: f64,
    /// Rate, Mbit/s, once measured.
    pub rate_mbps: Option<f64>,
    /// The receiver's clock minus the sender's, ms.
    pub offset_ms: f64,
}

impl Lab {
    /// The most memory that a worker's process should have taken, bytes: it ran the whole network alone, and runs its
    /// rows of the running partition. `None` before there is one.
    pub fn peak_memory(&self, worker: WorkerId) -> Option<u64> {
        let (network, running) = (self.network.as_ref()?, self.running()?);
        let alone = Partition::single(network, worker, running.plan.workers());
        let peak = |plan| peak_memory(network, plan).get(worker.index()).copied();
        peak(&running.plan).max(peak(&alone))
    }

    /// A worker by its place.
    pub fn worker(&self, worker: WorkerId) -> Option<&WorkerState> {
        self.workers.get(worker.index())
    }

    /// Which workers may be given rows, in order.
    pub fn allowed(&self) -> Vec<bool> {
        self.workers.iter().map(WorkerState::is_ready).collect()
    }

    /// Bytes that each worker has for maps, beside the program and the network's weights.
    pub fn memory_limits(&self) -> Vec<u64> {
        let loaded = self.network.as_ref().map_or(0, |network| loaded_memory(network));
        let left = |limit: u64| limit.saturating_sub(loaded);
        self.workers.iter().map(|worker| worker.info.memory_limit.map_or(u64::MAX, left)).collect()
    }

    /// What a worker can send, Mbit/s: what paces it, else what was measured on its way to the lab.
    pub fn sending_mbps(&self, worker: WorkerId) -> Option<f64> {
        let paced = self.worker(worker)?.status.as_ref().and_then(|status| status.link.rate_mbps);
        paced.or_else(|| self.link(Node::Worker(worker), Node::Lab)?.rate_mbps)
    }

    /// A directed link, if it was measured.
    pub fn link(&self, from: Node, to: Node) -> Option<&LinkState> {
        self.links.iter().find(|link| link.from == from && link.to == to)
    }

    /// A worker that comes back is taken for as fast as it was, if it is the same device set up the same way.
    pub(super) fn join(&mut self, info: &WorkerInfo) {
        let is_same = |before: &&WorkerState| {
            let of = |info: &WorkerInfo| (info.fingerprint, info.host.clone(), info.emulation.clone());
            of(&before.info) == of(info)
        };
        let has_its_host = self.worker(info.worker).is_some_and(|before| before.info.host == info.host);
        let before = self.worker(info.worker).filter(is_same).cloned();
        let before = before.as_ref();
        let state = WorkerState {
            info: info.clone(),
            phase: Phase::Joined,
            phase_since: self.now,
            status: None,
            throttle: Throttle { asked: 100.0, percent: 100.0 },
            link_asked: None,
            single_ms: before.and_then(|before| before.single_ms),
            single_compute_ms: before.and_then(|before| before.single_compute_ms),
            profile: before.and_then(|before| before.profile.clone()),
            held_out: before.and_then(|before| before.held_out),
            busy: VecDeque::new(),
            wait: VecDeque::new(),
        };
        // Workers join in their order, before any partition is for so many.
        let may_join = info.worker.index() == self.workers.len() && self.partitions.is_empty();
        match self.workers.get_mut(info.worker.index()) {
            Some(slot) => *slot = state,
            None if may_join => self.workers.push(state),
            None => {}
        }
        if !has_its_host {
            self.relearn(info.worker.index());
        }
    }

    /// What the whole network took on one worker, and what of it was computing, ms.
    pub(super) fn take_single(&mut self, worker: WorkerId, ms: f64, compute_ms: f64) {
        if let Some(state) = self.workers.get_mut(worker.index()) {
            state.single_ms = Some(ms);
            state.single_compute_ms = Some(compute_ms);
        }
        if let Some(memory) = self.learnt.get_mut(worker.index()) {
            memory.take_single(compute_ms);
        }
    }

    /// What kinds of work cost on a worker.
    pub(super) fn take_profile(&mut self, worker: WorkerId, profile: &Profile, held_out: Option<f64>) {
        if let Some(state) = self.workers.get_mut(worker.index()) {
            state.profile = Some(profile.clone());
            state.held_out = held_out;
        }
        if let (Some(memory), Some(network)) = (self.learnt.get_mut(worker.index()), &self.network) {
            memory.calibrate(network, profile);
        }
    }

    pub(super) fn worker_phase(&mut self, worker: WorkerId, phase: Phase, at: Micros) {
        let Some(state) = self.workers.get_mut(worker.index()) else { return };
        let was_ready = state.is_ready();
        state.phase = phase;
        state.phase_since = at;
        if state.is_ready() != was_ready {
            self.conditions_changed();
        }
    }

    pub(super) fn take_status(&mut self, status: &WorkerStatus) {
        let Some(state) = self.workers.get_mut(status.worker.index()) else { return };
        let is_same = state.status.as_ref().is_none_or(|before| before.link == status.link)
            && (state.throttle.percent - status.throttle_percent).abs() < 0.05;
        state.throttle.percent = status.throttle_percent;
        state.status = Some(status.clone());
        if !is_same {
            self.conditions_changed();
        }
        if let Some(ms) = status.reference_ms.filter(|ms| *ms > 0.0) {
            self.take_reference(status.worker, ms);
        }
    }

    pub(super) fn take_link(
        &mut self,
        from: Node,
        to: Node,
        rtt_ms: f64,
        rate_mbps: Option<f64>,
        offset_ms: f64,
    ) {
        match self.links.iter_mut().find(|link| link.from == from && link.to == to) {
            Some(link) => {
                link.rtt_ms = rtt_ms;
                link.offset_ms = offset_ms;
                link.rate_mbps = rate_mbps.or(link.rate_mbps);
            }
            None => self.links.push(LinkState { from, to, rtt_ms, rate_mbps, offset_ms }),
        }
    }
}
