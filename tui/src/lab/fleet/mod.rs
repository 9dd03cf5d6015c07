//! The connected workers: everything the lab asks of all of them, or of one.

mod clock;
mod introduction;
mod links;
mod loading;

use std::sync::Arc;
use std::time::Instant;

use collab_core::event::{BlockTimes, Level, LinkShape, What};
use collab_core::id::{Fingerprint, Node, PartitionId, RunId, WorkerId};
use collab_core::partition::Partition;
use collab_core::wire::RowsHeader;
use collab_worker::client::{Dialer, FromWorker, Pong, WorkerLink};
use collab_worker::keys::Identity;
use futures_util::future::join_all;
use tokio::sync::mpsc;

use self::clock::Clock;
use self::introduction::{check_keys, introduce, part_silent, unmet};
pub(super) use self::links::measure;
use super::joining::{Handed, best_ping, greet};
use super::outcomes::Outcome;
use super::redial::Redial;
use super::rehearsal::rehearse;
use crate::journal::Journal;

/// The lab's links to its workers.
pub struct Fleet {
    dialer: Arc<Dialer>,
    inbox: mpsc::Receiver<(WorkerId, FromWorker)>,
    members: Vec<Member>,
    epoch: Instant,
    /// What every worker is given, once it is known.
    network: Option<Handed>,
    /// What paces each, instead of its own.
    shape: Option<LinkShape>,
}

struct Member {
    /// Where it listens, and with which key.
    at: (String, Fingerprint),
    /// `None` while it is lost.
    link: Option<WorkerLink>,
    /// Its clock beside the lab's.
    clock: Clock,
}

impl Fleet {
    /// Connects to workers at `addresses`, whose keys must be known. `link` paces what each sends.
    ///
    /// A worker that does not answer may do so later: it counts as lost from the beginning. An error if nobody answers, or
    /// if one answers that it will have none of this.
    pub async fn connect(
        identity: Identity,
        addresses: &[(String, Option<Fingerprint>)],
        link: Option<LinkShape>,
        journal: &Journal,
    ) -> anyhow::Result<Self> {
        let addresses = check_keys(addresses)?;
        let epoch = journal.started();
        let (dialer, inbox) = Dialer::new(identity, epoch)?;
        for warning in &dialer.warnings {
            journal.note(Level::Warning, warning.clone());
        }
        let greeting = addresses.iter().enumerate().map(|(index, (address, pin))| {
            let worker = WorkerId::at(index);
            greet(&dialer, worker, address, *pin, link)
        });
        let greeted = part_silent(join_all(greeting).await)?;
        let mut members = Vec::new();
        for (index, (at, greeted)) in addresses.into_iter().zip(greeted).enumerate() {
            let worker = WorkerId::at(index);
            let link = match greeted {
                Ok((link, info)) => {
                    journal.record(What::WorkerJoined(info));
                    Some(link)
                }
                Err(reason) => {
                    journal.record(What::WorkerJoined(unmet(worker, &at)));
                    journal.record(What::WorkerLost { worker, reason });
                    None
                }
            };
            members.push(Member { at, link, clock: Clock::default() });
        }
        Ok(Self { dialer: Arc::new(dialer), inbox, members, epoch, network: None, shape: link })
    }

    /// How many workers there are, lost ones too.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Workers that can be given work.
    pub fn ready(&self) -> Vec<WorkerId> {
        self.links().map(|(worker, _)| worker).collect()
    }

    /// The next thing a worker says; `None` if no link is left to say anything.
    pub async fn receive(&mut self) -> Option<(WorkerId, FromWorker)> {
        self.inbox.recv().await
    }

    /// Takes a worker out; false if it was lost before.
    pub fn lose(&mut self, worker: WorkerId) -> bool {
        self.members.get_mut(worker.index()).is_some_and(|member| member.link.take().is_some())
    }

    /// Whether the link to a worker has ended. One that came back has a new one.
    pub fn is_gone(&self, worker: WorkerId) -> bool {
        self.link(worker).is_some_and(WorkerLink::is_closed)
    }

    /// What it takes to get a lost worker back; `None` before there is a network.
    pub fn redial(&self, worker: WorkerId) -> Option<Redial> {
        let network = self.network.clone()?;
        let (address, pin) = self.members.get(worker.index())?.at.clone();
        Some(Redial { dialer: self.dialer.clone(), worker, address, pin, shape: self.shape, network })
    }

    /// Takes a worker that came back in. It can be given work when all are introduced to each other.
    pub fn regain(&mut self, link: WorkerLink) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let worker = link.worker();
        if let Some(member) = self.members.get_mut(worker.index()) {
            // It may have started anew, and its clock with it.
            (member.link, member.clock) = (Some(link), Clock::default());
        }
        let all = self.ready_links();
        async move {
            let introduced = introduce(all).await;
            let introduced: Result<Vec<()>, _> = introduced.into_iter().map(|(_, result)| result).collect();
            introduced.map(|_| ()).map_err(|error| error.why_lost())
        }
    }

    /// Sends input rows.
    pub fn send_rows(&self, worker: WorkerId, header: RowsHeader, bytes: Vec<u8>) {
        if let Some(link) = self.link(worker) {
            link.send_rows(header, bytes.into());
        }
    }

    /// Has every worker that `plan` uses prepare it; the sentence of the first that refuses.
    pub fn prepare(
        &self,
        partition: PartitionId,
        plan: Partition,
    ) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let used = self.used(&plan);
        async move {
            let used = used?;
            let preparing =
                used.iter().map(|(worker, link)| {
                    let plan = &plan;
                    async move {
                        link.prepare(partition, plan).await.map_err(|error| format!("{worker}: {error}"))
                    }
                });
            let prepared = join_all(preparing).await.into_iter().try_for_each(|told| told.map(|_| ()));
            let_go_if_refused(&used, partition, prepared).await
        }
    }

    /// Has every worker that `plan` uses rehearse it so many times together, and gives what they took; the sentence of the
    /// first that does not answer, which cannot run it either.
    pub fn rehearse(
        &self,
        partition: PartitionId,
        plan: Partition,
        rounds: usize,
    ) -> impl Future<Output = Result<Vec<(WorkerId, Vec<BlockTimes>)>, String>> + Send + 'static {
        let used = self.used(&plan);
        async move {
            let used = used?;
            let rehearsed = rehearse(&used, partition, &plan, rounds).await;
            let_go_if_refused(&used, partition, rehearsed).await
        }
    }

    /// The links to the workers that `plan` uses; a sentence if one of them is not there.
    fn used(&self, plan: &Partition) -> Result<Vec<(WorkerId, WorkerLink)>, String> {
        let used = (0..self.len()).map(WorkerId::at).filter(|worker| plan.uses(worker.index()));
        let link = |worker| Some((worker, self.link(worker)?.clone()));
        used.map(|worker| link(worker).ok_or_else(|| not_there(worker))).collect()
    }

    /// Has every worker forget a partition.
    pub fn drop_partition(&self, partition: PartitionId) {
        for (_, link) in self.ready_links() {
            tokio::spawn(async move {
                // A worker that cannot answer is about to be lost, and the partition with it.
                let _ = link.drop_partition(partition).await;
            });
        }
    }

    /// Has every worker give a run up.
    pub fn cancel(&self, run: RunId) {
        for (_, link) in self.ready_links() {
            tokio::spawn(async move {
                // As above: who does not answer has no run to give up.
                let _ = link.cancel(run).await;
            });
        }
    }

    /// Gives a worker a share of its CPU; resolves when it acknowledged.
    pub fn throttle(
        &self,
        worker: WorkerId,
        percent: f64,
    ) -> Result<impl Future<Output = Result<(), String>> + Send + 'static, String> {
        let link = self.link(worker).ok_or_else(|| not_there(worker))?.clone();
        Ok(async move { link.throttle(percent).await.map_err(|error| format!("{worker}: {error}")) })
    }

    /// Paces what a worker sends; resolves when it acknowledged.
    pub fn shape_link(
        &self,
        worker: WorkerId,
        shape: LinkShape,
    ) -> Result<impl Future<Output = Result<(), String>> + Send + 'static, String> {
        let link = self.link(worker).ok_or_else(|| not_there(worker))?.clone();
        Ok(async move { link.set_link(shape).await.map_err(|error| format!("{worker}: {error}")) })
    }

    /// Compares clocks with every worker, beside the loop.
    pub fn compare_clocks(&self, outcomes: &mpsc::UnboundedSender<Outcome>) {
        for (worker, link) in self.ready_links() {
            let outcomes = outcomes.clone();
            tokio::spawn(async move {
                if let Some(pong) = best_ping(&link).await {
                    let _ = outcomes.send(Outcome::Clock(worker, pong));
                }
            });
        }
    }

    /// Takes a comparison of clocks into account.
    pub fn set_clock(&mut self, worker: WorkerId, pong: Pong) {
        if let Some(member) = self.members.get_mut(worker.index()) {
            member.clock.compare(pong, Instant::now());
        }
    }

    /// A moment in the clock of `node`, µs, as ms since `start`; `None` if there is no such worker.
    pub fn since(&self, node: Node, micros: u64, start: Instant) -> Option<f64> {
        let offset_us = match node {
            Node::Lab => 0,
            Node::Worker(worker) => self.members.get(worker.index())?.clock.offset_us(),
        };
        let start_us = start.saturating_duration_since(self.epoch).as_secs_f64() * 1e6;
        Some((micros as f64 - offset_us as f64 - start_us) / 1e3)
    }

    /// Says farewell to every worker.
    pub async fn close(&self) {
        self.dialer.close().await;
    }

    fn link(&self, worker: WorkerId) -> Option<&WorkerLink> {
        self.members.get(worker.index())?.link.as_ref()
    }

    fn links(&self) -> impl Iterator<Item = (WorkerId, &WorkerLink)> {
        let members = self.members.iter().enumerate();
        members.filter_map(|(index, member)| Some((WorkerId::at(index), member.link.as_ref()?)))
    }

    /// The links to workers that can be given work.
    pub(super) fn ready_links(&self) -> Vec<(WorkerId, WorkerLink)> {
        self.links().map(|(worker, link)| (worker, link.clone())).collect()
    }
}

/// Those that did prepare a partition which another one refused need not keep it; one that cannot answer has lost it anyway.
async fn let_go_if_refused<T>(
    used: &[(WorkerId, WorkerLink)],
    partition: PartitionId,
    told: Result<T, String>,
) -> Result<T, String> {
    if told.is_err() {
        join_all(used.iter().map(|(_, link)| link.drop_partition(partition))).await;
    }
    told
}

fn not_there(worker: WorkerId) -> String {
    format!("there is no worker {worker}, or it is lost")
}
