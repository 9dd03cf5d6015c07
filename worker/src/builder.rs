//! The thread that receives, loads and prepares, so that the computing thread goes on meanwhile.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Instant;

use collab_core::id::{PartitionId, WorkerId};
use collab_core::network::{Cut, Network};
use collab_core::partition::Partition;
use collab_core::plan::{loaded_memory, maps_of_partition};
use collab_core::rows::Rows;
use collab_core::schedule::Schedule;
use collab_core::wire::{NetworkOffer, Reply};
use tokio::sync::oneshot;

use crate::compute::{Compute, Part, Prepared, SharedStrip};
use crate::engine::{Engine, Model, Strip};
use crate::store::Store;
use crate::{memory, rehearsal};

/// A strip that lives as long as some partition uses it.
type WeakStrip = Weak<Mutex<Box<dyn Strip>>>;

/// The partitions that can be run.
pub(crate) type Registry = Arc<Mutex<HashMap<PartitionId, Arc<Prepared>>>>;

pub(crate) enum Job {
    Offer(NetworkOffer),
    Chunk { offset: u64, data: Vec<u8> },
    Load,
    Prepare { partition: PartitionId, plan: Partition, fleet: Fleet },
    Drop(PartitionId),
    DropAll,
}

/// The worker's place among the others.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) me: WorkerId,
    pub(crate) peers: Vec<WorkerId>,
}

/// The building thread's inbox; the thread ends with it.
#[derive(Clone)]
pub(crate) struct Builder {
    jobs: Sender<(Job, oneshot::Sender<Reply>)>,
}

impl Builder {
    pub(crate) fn start(
        engine: Arc<dyn Engine>,
        store: Store,
        memory_limit: Option<u64>,
        registry: Registry,
        compute: Compute,
    ) -> Self {
        let (jobs, inbox) = channel();
        let mut thread = Thread {
            engine,
            store,
            memory_limit,
            registry,
            compute,
            offer: None,
            loaded: None,
            strips: HashMap::new(),
        };
        thread::spawn(move || thread.work(&inbox));
        Self { jobs }
    }

    /// Queues a job behind those given before; the answer comes when it is done.
    pub(crate) fn give(&self, job: Job) -> oneshot::Receiver<Reply> {
        let (reply, answer) = oneshot::channel();
        // The thread ends only after the last inbox.
        let _ = self.jobs.send((job, reply));
        answer
    }
}

struct Thread {
    engine: Arc<dyn Engine>,
    store: Store,
    memory_limit: Option<u64>,
    registry: Registry,
    /// Who runs strips.
    compute: Compute,
    offer: Option<NetworkOffer>,
    loaded: Option<(NetworkOffer, Box<dyn Model>)>,
    /// Every strip of the network that some partition still uses.
    strips: HashMap<(Range<usize>, Rows), WeakStrip>,
}

impl Thread {
    fn work(&mut self, inbox: &Receiver<(Job, oneshot::Sender<Reply>)>) {
        while let Ok((job, reply)) = inbox.recv() {
            let outcome = match job {
                Job::Offer(offer) => self.offer(offer),
                Job::Chunk { offset, data } => self.chunk(offset, &data),
                Job::Load => self.load(),
                Job::Prepare { partition, plan, fleet } => self.prepare(partition, &plan, &fleet),
                Job::Drop(partition) => {
                    self.registry.lock().expect("no holder panics").remove(&partition);
                    Ok(Reply::Done)
                }
                Job::DropAll => {
                    self.registry.lock().expect("no holder panics").clear();
                    Ok(Reply::Done)
                }
            };
            // The lab may have gone; its answer is then of no use.
            let _ = reply.send(outcome.unwrap_or_else(|reason| Reply::Refused { reason }));
        }
    }

    fn offer(&mut self, offer: NetworkOffer) -> Result<Reply, String> {
        let needs = offer.memory.max(offer.bytes);
        memory::check("the network alone", needs, self.memory_limit, "start it with more --memory")?;
        let bytes = self.store.held(&offer)?;
        self.offer = Some(offer);
        Ok(Reply::Holding { bytes })
    }

    fn chunk(&mut self, offset: u64, data: &[u8]) -> Result<Reply, String> {
        let offer = self.offer.as_ref().ok_or("no network was offered")?;
        Ok(Reply::Holding { bytes: self.store.append(offer, offset, data)? })
    }

    fn load(&mut self) -> Result<Reply, String> {
        let offer = self.offer.clone().ok_or("no network was offered")?;
        if self.loaded.as_ref().is_none_or(|(loaded, _)| *loaded != offer) {
            self.loaded = None;
            self.strips.clear();
            self.registry.lock().expect("no holder panics").clear();
            let file = self.store.file(&offer)?;
            let model = load(&*self.engine, &file, &offer)?;
            self.loaded = Some((offer, model));
        }
        let (_, model) = self.loaded.as_ref().ok_or("no network was loaded")?;
        Ok(Reply::Loaded { cuts: model.network().cuts().collect() })
    }

    fn prepare(&mut self, id: PartitionId, plan: &Partition, fleet: &Fleet) -> Result<Reply, String> {
        let start = Instant::now();
        let (_, model) = self.loaded.as_ref().ok_or("no network was loaded")?;
        let network = model.network().clone();
        let me = fleet.me.index();
        let workers = plan.workers();
        if me >= workers {
            return Err(format!("partition {id} is for {workers} workers, this one is {}", fleet.me));
        }
        plan.check(&network, workers).map_err(|error| error.to_string())?;
        let schedule = Schedule::new(&network, plan);
        let stranger = schedule.peers(me).into_iter().find(|peer| !fleet.peers.contains(peer));
        if let Some(stranger) = stranger {
            return Err(format!("partition {id} has rows exchanged with {stranger}, who was not introduced"));
        }
        let bytes = loaded_memory(&network) + maps_of_partition(&network, plan)[me];
        let advice = "give it fewer rows or layers, or start it with more --memory";
        memory::check("this share", bytes, self.memory_limit, advice)?;
        let (mut built, mut reused) = (0, 0);
        let mut parts = Vec::with_capacity(schedule.stages.len());
        let mut cold = Vec::new();
        for stage in &schedule.stages {
            let units = stage.units.0 as usize..stage.units.1 as usize;
            let mut block = Vec::new();
            for part in &stage.strips[me].parts {
                let key = (units.clone(), part.rows);
                let known = self.strips.get(&key).and_then(Weak::upgrade);
                *if known.is_some() { &mut reused } else { &mut built } += 1;
                let strip: SharedStrip = match known {
                    Some(strip) => strip,
                    None => {
                        cold.push((parts.len(), block.len()));
                        Arc::new(Mutex::new(prepare(&**model, units.clone(), part.rows)?))
                    }
                };
                self.strips.insert(key, Arc::downgrade(&strip));
                let layers = computed_layers(&network, &units, part.rows);
                block.push(Part { rows: part.rows, need: part.need, strip, layers });
            }
            parts.push(block);
        }
        self.strips.retain(|_, strip| strip.strong_count() > 0);
        let ends = schedule.stages.iter().map(|stage| stage.units.1 as usize);
        let cuts: Vec<Cut> = [0].into_iter().chain(ends).map(|cut| network.cut(cut)).collect();
        let pixels = network.input.pixels.clone();
        let layers = network.layers.len();
        let prepared = Prepared { id, me, schedule, cuts, parts, pixels, layers };
        rehearsal::run(&self.compute, &prepared, &cold, true);
        self.registry.lock().expect("no holder panics").insert(id, Arc::new(prepared));
        Ok(Reply::Prepared { bytes, ms: millis(start), built, reused })
    }
}

/// A broken model must not end the thread, whatever the engine makes of it.
fn load(engine: &dyn Engine, file: &Path, offer: &NetworkOffer) -> Result<Box<dyn Model>, String> {
    let load = std::panic::AssertUnwindSafe(|| engine.load(file, offer.network, &offer.options));
    std::panic::catch_unwind(load).unwrap_or_else(|_| Err("the engine panicked on this network".to_owned()))
}

fn prepare(model: &dyn Model, units: Range<usize>, rows: Rows) -> Result<Box<dyn Strip>, String> {
    let prepare = std::panic::AssertUnwindSafe(|| model.strip(units, rows));
    std::panic::catch_unwind(prepare).unwrap_or_else(|_| Err("the engine panicked on a strip".to_owned()))
}

fn computed_layers(network: &Network, units: &Range<usize>, rows: Rows) -> Vec<(u32, u32)> {
    let span = network.layers_of(units);
    let demand = network.demand(units, rows);
    span.map(|layer| layer as u32).zip(demand.layers.iter().map(|rows| rows.len())).collect()
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
