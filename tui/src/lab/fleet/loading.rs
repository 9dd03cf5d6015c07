//! The network comes to every worker of a new fleet, and who can take part is found out.

use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use collab_core::event::What;
use collab_core::id::WorkerId;
use collab_core::plan::loading_memory;
use collab_core::wire::{NetworkOffer, NetworkOptions};
use collab_worker::client::AskError;
use futures_util::future::join_all;

use super::Fleet;
use super::introduction::{introduce, keep_most};
use super::links::measure;
use crate::journal::Journal;
use crate::lab::joining::{Handed, best_ping, hand_over};
use crate::lab::model::Loaded;
use crate::lab::redial::SHORTEST_PAUSE;
use crate::lab::severed::UNLINKED_PAUSE;

impl Fleet {
    /// Gives every worker the network, introduces them to each other, measures clocks and links.
    ///
    /// A worker that cannot take part is lost with its reason; an error if none can. Gives those that may come back, as
    /// they did not refuse but never answered, their links broke, or others could not reach them, and after how long to dial
    /// them again.
    pub async fn load(
        &mut self,
        loaded: &Loaded,
        journal: &Journal,
    ) -> anyhow::Result<Vec<(WorkerId, Duration)>> {
        let options = NetworkOptions {
            name: loaded.options.name.clone(),
            pixels: loaded.options.pixels.clone(),
            input_shape: loaded.options.input_shape.clone(),
        };
        let network = loaded.model.network();
        let memory = loading_memory(network);
        let bytes = Bytes::from_owner(loaded.bytes.clone());
        let offer = NetworkOffer { network: network.id, bytes: bytes.len() as u64, memory, options };
        let handed = Handed { offer, bytes, cuts: network.cuts().collect() };
        self.network = Some(handed.clone());
        let silent: Vec<WorkerId> = self.lost().collect();
        let handing = self.ready_links().into_iter().map(|(worker, link)| {
            let handed = handed.clone();
            async move { (worker, hand_over(&link, handed, journal).await) }
        });
        let handed = join_all(handing).await;
        let mut lost = self.part_with(handed, journal);
        // Not before: who was introduced to a worker that refused the network would wait for it in vain.
        let introduced = introduce(self.ready_links()).await;
        let introduced = keep_most(introduced, &self.ready_links()).await;
        let unlinked = self.part_with(introduced, journal);
        if self.ready().is_empty() {
            let reason = lost.iter().chain(&unlinked).last().map(|(_, error)| error.to_string());
            bail!("no worker can run this network: {}", reason.unwrap_or_default());
        }
        for worker in self.ready() {
            journal.record(What::WorkerReady { worker });
        }
        for (worker, link) in self.ready_links() {
            if let Some(pong) = best_ping(&link).await {
                self.set_clock(worker, pong);
            }
        }
        for speed in measure(&self.ready_links()).await {
            journal.record(speed);
        }
        lost.retain(|(_, error)| !matches!(error, AskError::Refused(_)));
        let pause = |error: &AskError| match error {
            AskError::Refused(_) => UNLINKED_PAUSE,
            _ => SHORTEST_PAUSE,
        };
        let lost = lost.iter().chain(&unlinked).map(|(worker, error)| (*worker, pause(error)));
        Ok(silent.into_iter().map(|worker| (worker, SHORTEST_PAUSE)).chain(lost).collect())
    }

    /// Loses the workers that could not do what was asked, and gives why.
    fn part_with(
        &mut self,
        results: Vec<(WorkerId, Result<(), AskError>)>,
        journal: &Journal,
    ) -> Vec<(WorkerId, AskError)> {
        let failed = results.into_iter().filter_map(|(worker, result)| Some((worker, result.err()?)));
        let lost = failed.inspect(|(worker, error)| {
            self.lose(*worker);
            journal.record(What::WorkerLost { worker: *worker, reason: error.why_lost() });
        });
        lost.collect()
    }

    /// Workers that cannot be given work.
    fn lost(&self) -> impl Iterator<Item = WorkerId> {
        let members = self.members.iter().enumerate();
        members.filter(|(_, member)| member.link.is_none()).map(|(index, _)| WorkerId::at(index))
    }
}
