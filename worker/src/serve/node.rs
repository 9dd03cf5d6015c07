//! What the tasks of a worker share, and the way out for computed rows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use collab_core::event::{Host, LinkShape, SpanKind};
use collab_core::id::{self, Fingerprint};
use collab_core::wire::{RowsHeader, StatusReport, Telemetry, WorkerHello, WorkerSpan};
use quinn::{Connection, Endpoint};

use super::ServerConfig;
use super::peers::Peers;
use super::reports::Reports;
use crate::builder::{Builder, Job, Registry};
use crate::clock::Clock;
use crate::compute::{Budget, Compute, Outlet, Work};
use crate::egress::{Egress, Target};
use crate::engine::Engine;
use crate::host;
use crate::keys::{AuthorizedKeys, Pairing};
use crate::store::Store;
use crate::streams::{priority, rows_head};

/// Rows may wait for this many bytes unless the worker has a memory limit, of which they may take a quarter.
const BUFFER: u64 = 512 << 20;

/// The connections to everyone who sends or receives rows.
pub(crate) type Routes = Arc<Mutex<HashMap<id::Node, Connection>>>;

pub(crate) struct Node {
    pub(crate) config: ServerConfig,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) endpoint: Endpoint,
    /// A socket that only dials, for addresses of the kind that the worker does not listen at; `None` if there is none.
    pub(crate) other_kind: Option<Endpoint>,
    pub(crate) clock: Clock,
    pub(crate) authorized: AuthorizedKeys,
    pub(crate) pairing: Pairing,
    pub(crate) refused: AtomicU64,
    pub(crate) routes: Routes,
    pub(crate) peers: Peers,
    pub(crate) egress: Egress,
    pub(crate) reports: Arc<Reports>,
    pub(crate) registry: Registry,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) builder: Builder,
    pub(crate) compute: Compute,
    pub(crate) budget: Budget,
    /// The lab that leads, by its key and its connection.
    leader: Mutex<Option<(Fingerprint, Connection)>>,
    /// CPU share and the like, measured once a second.
    pub(super) measured: Mutex<StatusReport>,
    host: Host,
}

impl Node {
    pub(super) fn start(
        config: ServerConfig,
        fingerprint: Fingerprint,
        (endpoint, other_kind): (Endpoint, Option<Endpoint>),
        authorized: AuthorizedKeys,
        engine: Arc<dyn Engine>,
    ) -> Arc<Self> {
        let clock = Clock::start();
        let registry = Registry::default();
        let routes = Routes::default();
        let reports = Arc::new(Reports::default());
        let egress = Egress::start(own_link(&config));
        let store = Store::at(config.networks.clone());
        let outlet = Way { routes: routes.clone(), egress: egress.clone(), reports: reports.clone(), clock };
        let slowdown = config.emulation.as_ref().map(|emulation| emulation.slowdown);
        let compute = Compute::start(slowdown, clock, outlet, engine.clone());
        let builder =
            Builder::start(engine.clone(), store, config.memory_limit, registry.clone(), compute.clone());
        Arc::new(Self {
            compute,
            budget: Budget::new(config.memory_limit.map_or(BUFFER, |limit| limit / 4)),
            config,
            fingerprint,
            endpoint,
            other_kind,
            clock,
            authorized,
            pairing: Pairing::default(),
            refused: AtomicU64::new(0),
            routes,
            peers: Peers::default(),
            egress,
            reports,
            registry,
            engine,
            builder,
            leader: Mutex::new(None),
            measured: Mutex::default(),
            host: host::describe(),
        })
    }

    pub(crate) fn hello(&self) -> WorkerHello {
        WorkerHello {
            name: self.config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: self.engine.name(),
            host: self.host.clone(),
            emulation: self.config.emulation.clone(),
            memory_limit: self.config.memory_limit,
        }
    }

    /// Makes a lab the leader, unless another one is; two labs with one key are two. A lab that comes back has to
    /// wait until its earlier link is known to be broken.
    pub(crate) fn follow(&self, lab: Fingerprint, connection: &Connection) -> Result<(), String> {
        let mut leader = self.leader.lock().expect("no holder panics");
        if let Some((other, _)) = leader.as_ref().filter(|(_, led)| led.close_reason().is_none()) {
            let key = if *other == lab {
                "with the same key".to_owned()
            } else {
                format!("(key {}…)", other.short())
            };
            return Err(format!("this worker is led by another lab {key}: stop that one first"));
        }
        *leader = Some((lab, connection.clone()));
        drop(leader);
        self.forget();
        self.routes.lock().expect("no holder panics").insert(id::Node::Lab, connection.clone());
        self.reports.open(connection.clone());
        Ok(())
    }

    /// The lab behind this connection has gone.
    pub(crate) fn unfollow(&self, connection: &Connection) {
        let mut leader = self.leader.lock().expect("no holder panics");
        if leader.as_ref().is_some_and(|(_, led)| led.stable_id() == connection.stable_id()) {
            *leader = None;
            drop(leader);
            self.leave("its lab has gone");
        }
    }

    /// Ends everything that a lab began.
    pub(crate) fn leave(&self, reason: &str) {
        self.reports.close();
        self.routes.lock().expect("no holder panics").remove(&id::Node::Lab);
        self.peers.clear(&self.routes, reason);
        self.forget();
    }

    /// Its state: what is measured once a second, and what is set as it is now.
    pub(crate) fn status(&self) -> StatusReport {
        StatusReport {
            throttle_percent: self.compute.throttle.percent(),
            link: self.egress.link(),
            dropped: self.reports.dropped(),
            refused: self.refused.load(Ordering::Relaxed),
            ..*self.measured.lock().expect("no holder panics")
        }
    }

    /// Back to how the worker was started, with its network still loaded.
    fn forget(&self) {
        self.compute.give(Work::Reset);
        self.compute.throttle.set(100.0);
        self.egress.set_link(own_link(&self.config));
        drop(self.builder.give(Job::DropAll));
    }
}

/// The link that a worker emulates of its own accord.
fn own_link(config: &ServerConfig) -> LinkShape {
    let emulated = config.emulation.as_ref().map(|emulation| emulation.link);
    config.link.or(emulated).unwrap_or_default()
}

/// The way of computed rows and reports out of the worker.
struct Way {
    routes: Routes,
    egress: Egress,
    reports: Arc<Reports>,
    clock: Clock,
}

impl Outlet for Way {
    fn send(&self, to: id::Node, header: RowsHeader, block: u32, body: Vec<u8>) {
        let run = header.run;
        let failed = move |reason: String| {
            let reason = format!("cannot send rows {} to {to}: {reason}", header.rows);
            Telemetry::Failed { run, reason }
        };
        let connection = self.routes.lock().expect("no holder panics").get(&to).cloned();
        let (connection, head) = match (connection, rows_head(&header)) {
            (Some(connection), Ok(head)) => (connection, head),
            (None, _) => return self.reports.push(failed("it is not connected".to_owned())),
            (_, Err(error)) => return self.reports.push(failed(error.to_string())),
        };
        let (reports, clock) = (self.reports.clone(), self.clock);
        let done = move |outcome: Result<crate::egress::SentAt, String>| match outcome {
            Ok(sent) => reports.push(Telemetry::Sent(WorkerSpan {
                run,
                kind: SpanKind::Send,
                block,
                peer: Some(to),
                rows: header.rows,
                start_us: clock.at(sent.start),
                end_us: clock.at(sent.end),
                bytes: header.bytes,
            })),
            Err(reason) => reports.push(failed(reason)),
        };
        self.egress.send(Target::Uni(connection, priority::ROWS), head, body.into(), Box::new(done));
    }

    fn report(&self, report: Telemetry) {
        self.reports.push(report);
    }
}
