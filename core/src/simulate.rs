//! The cost of a schedule: every span of one run, from predicted strip and transfer times.
//!
//! Follows the execution rule of [`crate::schedule`] exactly: a worker computes the first part whose input
//! is there; a transfer leaves when its rows are computed; one node sends one transfer at a time.

use crate::event::{PredictedSpan, SpanKind};
use crate::id::{Node, WorkerId};
use crate::network::Network;
use crate::predict::Costs;
use crate::rows::Rows;
use crate::schedule::{Part, Schedule, Stage, StripPlan, Transfer};

/// A simulated run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Every span, ms from the run's start, in the order of simulation.
    pub spans: Vec<PredictedSpan>,
    /// When the lab has the whole output, ms.
    pub finish_ms: f64,
}

impl Timeline {
    /// How nearly workers who share blocks need as long for them, 0…1: all blocks together, what the second-slowest of each
    /// computes over what the slowest does. 1 if none is shared.
    pub fn evenness(&self) -> f64 {
        // In the order of blocks, then of workers.
        let computed: Vec<&PredictedSpan> =
            self.spans.iter().filter(|span| span.kind == SpanKind::Compute).collect();
        let mut slowest = (0.0, 0.0);
        for block in computed.chunk_by(|a, b| a.block == b.block) {
            let (mut first, mut second) = (0.0, 0.0);
            for worker in block.chunk_by(|a, b| a.node == b.node) {
                let ms: f64 = worker.iter().map(|span| span.end_ms - span.start_ms).sum();
                second = f64::max(second, ms.min(first));
                first = f64::max(first, ms);
            }
            if second > 0.0 {
                slowest = (slowest.0 + first, slowest.1 + second);
            }
        }
        if slowest.0 > 0.0 { slowest.1 / slowest.0 } else { 1.0 }
    }
}

/// Rows that are on their way or there.
#[derive(Clone, Copy)]
struct Arrival {
    to: usize,
    rows: Rows,
    at: f64,
}

struct Clock {
    /// When its processor is free.
    computing: f64,
    /// When its link is free.
    sending: f64,
}

struct Simulation<'a, C: ?Sized> {
    network: &'a Network,
    costs: &'a C,
    nodes: Vec<Clock>,
    spans: Vec<PredictedSpan>,
    finish_ms: f64,
    /// Pieces of the strip at hand that are not computed yet, and when their input is there.
    todo: Vec<(Part, f64)>,
    /// Rows of it that are computed, and when.
    done: Vec<(Rows, f64)>,
    /// Its transfers, and when their rows are computed.
    sends: Vec<(f64, Transfer)>,
}

/// Spans of a strip in three pieces that exchanges rows with two neighbours, none of which is there in time.
const MOST_SPANS: usize = 10;

/// Simulates one run of `schedule`, starting when the lab begins to send.
pub fn simulate<C: Costs + ?Sized>(network: &Network, schedule: &Schedule, costs: &C) -> Timeline {
    let workers = schedule.stages.first().map_or(0, |stage| stage.strips.len());
    let idle = || Clock { computing: 0.0, sending: 0.0 };
    let mut simulation = Simulation {
        network,
        costs,
        nodes: (0..workers).map(|_| idle()).collect(),
        spans: Vec::with_capacity(MOST_SPANS * workers * schedule.stages.len()),
        finish_ms: 0.0,
        todo: Vec::new(),
        done: Vec::new(),
        sends: Vec::new(),
    };
    let mut arrivals = simulation.send_input(schedule);
    let mut next = Vec::new();
    for (block, stage) in schedule.stages.iter().enumerate() {
        for (worker, strip) in stage.strips.iter().enumerate() {
            if !strip.rows.is_empty() {
                simulation.run_strip(block, stage, worker, strip, &arrivals, &mut next);
            }
        }
        std::mem::swap(&mut arrivals, &mut next);
        next.clear();
    }
    Timeline { spans: simulation.spans, finish_ms: simulation.finish_ms }
}

impl<C: Costs + ?Sized> Simulation<'_, C> {
    fn send_input(&mut self, schedule: &Schedule) -> Vec<Arrival> {
        let cut = self.network.input.cut;
        let value_bytes = if self.network.input.pixels.is_some() { 1 } else { 4 };
        let mut free = 0.0;
        let mut arrivals = Vec::new();
        for transfer in &schedule.input {
            let Node::Worker(worker) = transfer.peer else { continue };
            let link = self.costs.link(Node::Lab, transfer.peer);
            let bytes = cut.row_values() * value_bytes * u64::from(transfer.rows.len());
            let start = free;
            free += link.sending_ms(bytes);
            self.spans.push(PredictedSpan {
                node: Node::Lab,
                kind: SpanKind::Send,
                block: 0,
                peer: Some(transfer.peer),
                start_ms: start,
                end_ms: free,
                bytes,
            });
            let at = free + link.delay_ms;
            self.push(transfer.peer, SpanKind::Receive, 0, Some(Node::Lab), start + link.delay_ms, at, bytes);
            arrivals.push(Arrival { to: worker.index(), rows: transfer.rows, at });
        }
        arrivals
    }

    fn run_strip(
        &mut self,
        block: usize,
        stage: &Stage,
        worker: usize,
        strip: &StripPlan,
        arrivals: &[Arrival],
        next: &mut Vec<Arrival>,
    ) {
        let span = stage.units.0 as usize..stage.units.1 as usize;
        let node = Node::Worker(WorkerId::at(worker));
        let ready = |need: Rows| {
            let missing = arrivals.iter().filter(|arrival| arrival.to == worker);
            let late = missing.filter(|arrival| !arrival.rows.intersect(need).is_empty());
            late.map(|arrival| arrival.at).fold(0.0, f64::max)
        };
        self.todo.clear();
        self.todo.extend(strip.parts.iter().map(|part| (*part, ready(part.need))));
        self.done.clear();
        let mut strip_ms = 0.0;
        let factor = self.costs.strip_factor(worker, &span, strip.rows);
        while !self.todo.is_empty() {
            let now = self.nodes[worker].computing;
            let ready = self.todo.iter().position(|(_, at)| *at <= now);
            let (Part { rows, need }, at) = self.todo.remove(ready.unwrap_or_else(|| earliest(&self.todo)));
            if at > now {
                self.push(node, SpanKind::Wait, block, None, now, at, 0);
            }
            let start = now.max(at);
            let read = self.network.cut(span.start).bytes(need.len());
            let sent = strip.sends.iter().map(|send| send.rows.intersect(rows).len()).sum();
            let piece = self.costs.piece(worker).ms(read, self.network.cut(span.end).bytes(sent));
            let part_ms = factor * (self.costs.strip_ms(self.network, worker, &span, rows) + piece);
            let end = start + part_ms;
            strip_ms += part_ms;
            self.push(node, SpanKind::Compute, block, None, start, end, 0);
            self.nodes[worker].computing = end;
            self.done.push((rows, end));
        }
        // Transfers leave in the order in which their rows are ready.
        let computed = |rows: Rows| {
            let parts = self.done.iter().filter(|(part, _)| !part.intersect(rows).is_empty());
            parts.map(|(_, at)| *at).fold(0.0, f64::max)
        };
        self.sends.clear();
        self.sends.extend(strip.sends.iter().map(|send| (computed(send.rows), *send)));
        self.sends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let is_shared = stage.strips.iter().filter(|strip| !strip.rows.is_empty()).nth(1).is_some();
        let late_ms = if is_shared { self.costs.lateness().ms(strip_ms) } else { 0.0 };
        for index in 0..self.sends.len() {
            let (at, send) = self.sends[index];
            let link = self.costs.link(node, send.peer);
            let bytes = self.network.cut(span.end).bytes(send.rows.len());
            let start = at.max(self.nodes[worker].sending);
            let end = start + link.sending_ms(bytes);
            self.push(node, SpanKind::Send, block, Some(send.peer), start, end, bytes);
            self.nodes[worker].sending = end;
            let at = end + link.delay_ms;
            self.push(send.peer, SpanKind::Receive, block + 1, Some(node), start + link.delay_ms, at, bytes);
            match send.peer {
                Node::Lab => self.finish_ms = self.finish_ms.max(at + late_ms),
                Node::Worker(peer) => {
                    next.push(Arrival { to: peer.index(), rows: send.rows, at: at + late_ms });
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // the fields of one span
    fn push(
        &mut self,
        node: Node,
        kind: SpanKind,
        block: usize,
        peer: Option<Node>,
        start_ms: f64,
        end_ms: f64,
        bytes: u64,
    ) {
        let block = block as u32;
        self.spans.push(PredictedSpan { node, kind, block, peer, start_ms, end_ms, bytes });
    }
}

fn earliest(todo: &[(Part, f64)]) -> usize {
    let times = todo.iter().enumerate().map(|(index, (_, at))| (index, *at));
    times.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::samples::chain;
    use crate::partition::Partition;
    use crate::predict::{LinkCost, RatePerWorker};

    fn costs(rates: &[f64], mbps: f64) -> RatePerWorker {
        let link = LinkCost::new(mbps, 0.1);
        RatePerWorker { macs_per_ms: rates.to_vec(), links: vec![link; rates.len()], lab: link }
    }

    fn finish(text: &str, rates: &[f64], mbps: f64) -> f64 {
        let network = chain(96, 6);
        let partition = Partition::parse(text, &network, rates.len()).unwrap();
        let schedule = Schedule::new(&network, &partition);
        simulate(&network, &schedule, &costs(rates, mbps)).finish_ms
    }

    #[test]
    fn one_worker_takes_its_work_and_the_transfers() {
        let network = chain(96, 6);
        let work = network.macs() as f64 / 1000.0;
        let link = LinkCost::new(1000.0, 0.1);
        let input = link.sending_ms(3 * 96 * 96) + 0.1;
        let output = link.sending_ms(network.cut(6).bytes(96)) + 0.1;
        let total = finish("0-5:A", &[1000.0, 1000.0], 1000.0);
        assert!((total - (input + work + output)).abs() < 1e-9, "{total}");
    }

    #[test]
    fn three_equal_workers_on_a_fast_link_are_nearly_three_times_as_fast() {
        let single = finish("0-5:A", &[1000.0; 3], 1e6);
        let split = finish("0:=/1:=/2:=/3:=/4:=/5:=", &[1000.0; 3], 1e6);
        assert!((2.8..3.0).contains(&(single / split)), "{}", single / split);
    }

    #[test]
    fn a_slow_link_makes_fewer_exchanges_better() {
        let exchanged = finish("0:=/1:=/2:=/3:=/4:=/5:=", &[1e6; 3], 10.0);
        let fused = finish("0-5:=", &[1e6; 3], 10.0);
        assert!(fused < exchanged);
    }

    #[test]
    fn equal_shares_are_even_and_a_worker_that_does_most_is_waited_for_by_nobody_in_particular() {
        let network = chain(96, 6);
        let evenness = |text: &str| {
            let partition = Partition::parse(text, &network, 3).unwrap();
            let schedule = Schedule::new(&network, &partition);
            simulate(&network, &schedule, &costs(&[1000.0; 3], 1000.0)).evenness()
        };
        assert_eq!(evenness("0-5:A"), 1.0);
        assert!(evenness("0-2:32,32,32/3-5:32,32,32") > 0.9);
        let uneven = evenness("0:76,20,0/1-4:A/5:10,70,16");
        assert!((0.15..0.35).contains(&uneven), "{uneven}");
    }

    #[test]
    fn the_lab_has_everything_only_after_the_last_span() {
        let network = chain(64, 4);
        let partition = Partition::parse("0-1:10,40,14/2-3:30,4,30", &network, 3).unwrap();
        let schedule = Schedule::new(&network, &partition);
        let timeline = simulate(&network, &schedule, &costs(&[100.0, 300.0, 50.0], 100.0));
        let last = timeline.spans.iter().map(|span| span.end_ms).fold(0.0, f64::max);
        assert!(timeline.finish_ms >= last);
        assert!(timeline.spans.iter().all(|span| span.end_ms >= span.start_ms));
    }
}
