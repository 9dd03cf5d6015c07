//! What links take, learnt from when the last byte of every transfer was there.

use super::Lab;
use crate::event::{LinkShape, Span, SpanKind};
use crate::id::{Node, WorkerId};
use crate::predict::{LinkCost, LinkMemory, link_cost};

/// Rows that went from one node to another in a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transfer {
    /// Sender.
    pub from: Node,
    /// Receiver.
    pub to: Node,
    /// The block that reads the rows; for the lab one past the last.
    pub block: u32,
    /// How many.
    pub bytes: u64,
    /// From its turn on the sender's line until its last byte was there, ms.
    pub ms: f64,
}

impl Lab {
    /// The transfers among the spans of a run of which both ends reported.
    ///
    /// Transfers of one sender that overlap share its line. They are counted as if they went one after the other, as
    /// the simulator has it: each gets the part of their time together that it has of their bytes.
    pub fn transfers(&self, spans: &[Span]) -> Vec<Transfer> {
        let sends = || spans.iter().filter(|span| span.kind == SpanKind::Send);
        let received = spans.iter().filter(|span| span.kind == SpanKind::Receive);
        let mut pairs: Vec<(&Span, &Span)> = received
            .filter_map(|there| {
                let is_its = |send: &&Span| {
                    let read_by = if send.node == Node::Lab { 0 } else { send.block + 1 };
                    (Some(send.node), send.peer) == (there.peer, Some(there.node))
                        && (read_by, send.rows) == (there.block, there.rows)
                };
                Some((sends().find(is_its)?, there))
            })
            .collect();
        pairs.sort_by(|a, b| {
            (a.0.node, a.0.start_ms)
                .partial_cmp(&(b.0.node, b.0.start_ms))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let mut transfers = Vec::with_capacity(pairs.len());
        let mut rest = &pairs[..];
        while let Some(((send, there), others)) = rest.split_first() {
            let delay = self.link_shape(send.node).delay_ms;
            let mut free = there.end_ms - delay;
            let mut together = 1;
            for (other, there) in others {
                if other.node != send.node || other.start_ms >= free {
                    break;
                }
                free = free.max(there.end_ms - delay);
                together += 1;
            }
            let (group, after) = rest.split_at(together);
            let bytes: u64 = group.iter().map(|(send, _)| send.bytes).sum();
            transfers.extend(group.iter().map(|(of, there)| Transfer {
                from: of.node,
                to: there.node,
                block: there.block,
                bytes: of.bytes,
                ms: delay + (free - send.start_ms) * of.bytes as f64 / bytes.max(1) as f64,
            }));
            rest = after;
        }
        transfers
    }

    pub(super) fn learn_transfers(&mut self, spans: &[Span]) {
        for Transfer { from, to, bytes, ms, .. } in self.transfers(spans) {
            self.link_memory(from, to).learn(bytes, ms);
        }
    }

    fn link_memory(&mut self, from: Node, to: Node) -> &mut LinkMemory {
        let at = self.transfers.iter().position(|(a, b, _)| (*a, *b) == (from, to));
        let at = at.unwrap_or_else(|| {
            self.transfers.push((from, to, LinkMemory::default()));
            self.transfers.len() - 1
        });
        &mut self.transfers[at].2
    }

    /// A worker's line is another one from now on: what was learnt of it is of no use.
    pub(super) fn forget_transfers_of(&mut self, worker: WorkerId) {
        let node = Node::Worker(worker);
        self.transfers.iter_mut().filter(|(from, ..)| *from == node).for_each(|(.., link)| link.forget());
    }

    /// What a transfer from one node to another takes.
    pub fn link_cost(&self, from: Node, to: Node) -> LinkCost {
        let shape = self.link_shape(from);
        let measured = self.link(from, to).or_else(|| self.link(to, from));
        // Between workers nothing is measured before they exchange rows: they are as far as the lab.
        let measured = measured.or_else(|| self.link(from, Node::Lab));
        let rtt_ms = measured.map_or(0.2, |link| link.rtt_ms);
        let rate = measured.and_then(|link| link.rate_mbps);
        let memory = self.transfers.iter().find(|(a, b, _)| (*a, *b) == (from, to));
        match memory {
            Some((.., memory)) => memory.cost(shape, rtt_ms, rate),
            None => link_cost(shape, rtt_ms, rate),
        }
    }

    /// What paces a node's sending.
    fn link_shape(&self, from: Node) -> LinkShape {
        let Node::Worker(worker) = from else { return LinkShape::default() };
        self.worker(worker).map_or_else(LinkShape::default, |state| {
            let emulated = state.info.emulation.as_ref().map(|emulation| emulation.link);
            state.link_asked.or(emulated).unwrap_or_default()
        })
    }
}
