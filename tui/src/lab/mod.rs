//! A lab from nothing to its last run: load the network, find the workers, connect, and drive.

mod adapt;
mod calibrate;
mod controller;
mod demo;
mod fleet;
mod flight;
mod inputs;
mod joining;
mod losses;
mod messages;
mod model;
mod operate;
mod outcomes;
mod planning;
mod profiles;
mod redial;
mod reference;
mod rehearsal;
mod reports;
mod runs;
mod severed;
mod singles;
mod switch;
mod training;
mod trials;
mod versus;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use collab_core::event::{LinkShape, SessionInfo, What};
use collab_core::id::WorkerId;
use collab_core::lab::LinkState;
use collab_core::partition::Partition;
use collab_models::catalogue;
use collab_worker::keys::Identity;
use tokio::sync::mpsc;

pub use calibrate::samples;
pub use controller::Ending;
pub use model::ModelChoice;
pub use planning::Situation;
pub use trials::Trial;
pub use versus::Versus;

use self::controller::{Controller, Parts};
use self::demo::Devices;
use self::fleet::Fleet;
use self::inputs::Inputs;
use self::planning::Planning;
use self::reference::Reference;
use self::training::Training;
use crate::journal::Journal;
use crate::screen::Request;

/// Where workers come from.
#[derive(Clone, Debug)]
pub enum Workers {
    /// Started here, each with a preset; a link for all of them, instead of the preset's.
    Demo(Vec<String>, Option<LinkShape>),
    /// Running elsewhere, at these addresses.
    Live(Vec<String>),
}

impl Workers {
    /// How many there are.
    fn count(&self) -> usize {
        match self {
            Workers::Demo(presets, _) => presets.len(),
            Workers::Live(addresses) => addresses.len(),
        }
    }
}

/// What a lab is to do.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The network.
    pub model: ModelChoice,
    /// What it runs on; the network's own photo if left out.
    pub input: Option<String>,
    /// Where workers come from.
    pub workers: Workers,
    /// The planner's name.
    pub planner: String,
    /// The first partition by hand.
    pub partition: Option<String>,
    /// Apply proposals without asking.
    pub auto: bool,
    /// Refuse everything that changes the lab.
    pub read_only: bool,
    /// Learn on spare time.
    pub train: bool,
    /// Of everything random.
    pub seed: u64,
    /// How long to run once every worker was measured alone.
    pub for_time: Option<Duration>,
    /// Where the last output is written.
    pub output: Option<PathBuf>,
}

impl Setup {
    /// A lab that measures: on the network's own photo, with nothing applied or learnt by itself, until its bench has seen
    /// enough.
    pub fn bench(model: ModelChoice, workers: Workers, planner: &str) -> Self {
        Self {
            model,
            input: None,
            workers,
            planner: planner.to_owned(),
            partition: None,
            auto: false,
            read_only: false,
            train: false,
            seed: 7,
            for_time: None,
            output: None,
        }
    }
}

/// Runs a lab to its end; the session is closed in order whatever the end.
pub async fn run(
    setup: Setup,
    journal: Arc<Journal>,
    mut requests: mpsc::UnboundedReceiver<Request>,
) -> anyhow::Result<Ending> {
    let mut backlog = Vec::new();
    let prepared = tokio::select! {
        prepared = prepare(&setup, &journal) => Some(prepared),
        () = quit_asked(&mut requests, &mut backlog) => None,
    };
    let ended = match prepared {
        None => Ok(Ending::Asked),
        Some(Err(error)) => Err(error),
        Some(Ok((parts, _devices))) => {
            let mut controller = Controller::new(parts, requests, setup.for_time);
            for request in backlog {
                controller.take_request(request);
            }
            let ended = controller.drive().await;
            controller.close().await;
            ended
        }
    };
    let finished = journal.finish();
    // Why the lab ended tells more than what became of its file.
    let ending = ended?;
    finished.map(|()| ending)
}

/// Resolves when the operator leaves; keeps what else was asked for.
async fn quit_asked(requests: &mut mpsc::UnboundedReceiver<Request>, backlog: &mut Vec<Request>) {
    while let Some(request) = requests.recv().await {
        if request == Request::Quit {
            return;
        }
        backlog.push(request);
    }
}

/// Everything up to the first run. Devices of a demo live as long as the second value.
async fn prepare(setup: &Setup, journal: &Arc<Journal>) -> anyhow::Result<(Parts, Option<Devices>)> {
    let workers = setup.workers.count();
    // Before any is started.
    anyhow::ensure!(
        workers <= WorkerId::MAX,
        "{workers} workers are more than the {} a lab leads",
        WorkerId::MAX
    );
    let planning = Planning::new(&setup.planner, setup.partition.clone(), setup.seed);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    journal.record(What::SessionStarted(SessionInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: match setup.workers {
            Workers::Demo(..) => "demo".to_owned(),
            Workers::Live(_) => "live".to_owned(),
        },
        started_unix_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
        seed: setup.seed,
        planner: setup.planner.clone(),
        read_only: setup.read_only,
    }));
    let (choice, seed) = (setup.model.clone(), setup.seed);
    let loaded = tokio::task::spawn_blocking(move || choice.load(seed)).await??;
    let network = loaded.model.network().clone();
    if let Some(text) = &setup.partition {
        Partition::parse(text, &network, workers)?;
    }
    journal.record(What::NetworkLoaded { network: network.clone() });
    let meaning = catalogue::meaning(loaded.entry, &network.input.shape, &network.output_shape);
    let photo = loaded.entry.map_or("noise", |entry| entry.photo.name);
    let inputs = Inputs::open(setup.input.as_deref().unwrap_or(photo), setup.seed, network, meaning)?;
    if let Some(path) = &setup.output {
        inputs.check_saving(path)?;
    }
    let (identity, devices, addresses) = match &setup.workers {
        Workers::Demo(presets, _) => {
            let identity = Identity::generate()?;
            let devices = Devices::start(presets, identity.fingerprint()).await?;
            let addresses = devices.listening.iter().map(|(at, key)| (at.clone(), Some(*key)));
            let addresses = addresses.collect::<Vec<_>>();
            (identity, Some(devices), addresses)
        }
        Workers::Live(addresses) => {
            let identity = Identity::open(&crate::folders::keys()?)?;
            let known = collab_worker::keys::KnownWorkers::at(crate::folders::known_workers()?);
            let addresses = addresses.iter().map(|address| Ok((address.clone(), known.find(address)?)));
            (identity, None, addresses.collect::<anyhow::Result<_>>()?)
        }
    };
    let link = match &setup.workers {
        Workers::Demo(_, link) => *link,
        Workers::Live(_) => None,
    };
    let mut fleet = Fleet::connect(identity, &addresses, link, journal).await?;
    let broken = fleet.load(&loaded, journal).await?;
    let training = match setup.train {
        true => Training::start(planning.exchange.clone(), journal.clone(), setup.seed)?,
        false => Training::off(),
    };
    // Without a data folder profiles are measured every time.
    let profiles = Arc::new(profiles::Profiles(crate::folders::profiles().ok()));
    calibrate::calibrate(&fleet.ready_links(), &profiles, journal).await;
    let parts = Parts {
        journal: journal.clone(),
        model: loaded.model,
        fleet,
        broken,
        profiles,
        inputs,
        reference: Reference::default(),
        planning,
        // A demo's worker that was killed is not started again, so nobody would answer.
        redials: matches!(setup.workers, Workers::Live(_)),
        training,
        auto: setup.auto,
        read_only: setup.read_only,
        output: setup.output.clone(),
    };
    Ok((parts, devices))
}

/// Compares the planned partition with the best single worker, run by run in turn.
pub async fn versus(setup: Setup, journal: Arc<Journal>, rounds: usize) -> anyhow::Result<Versus> {
    let (parts, _devices) = prepare(&setup, &journal).await?;
    let (_requests, asked) = mpsc::unbounded_channel();
    Controller::new(parts, asked, None).versus(rounds).await
}

/// Runs partitions on the setup's workers, each run beside what was predicted of it; see [`Controller::trials`].
pub async fn trials(
    setup: Setup,
    journal: Arc<Journal>,
    partitions: Vec<Partition>,
    (first, learned, late): (usize, usize, usize),
) -> anyhow::Result<Vec<Trial>> {
    let (parts, _devices) = prepare(&setup, &journal).await?;
    let (_requests, asked) = mpsc::unbounded_channel();
    let mut controller = Controller::new(parts, asked, None);
    let trials = controller.trials(partitions, first, learned, late).await;
    controller.close().await;
    trials
}

/// Measures the links between the lab and two unpaced workers on loopback, and between these.
pub async fn link_speeds(journal: Arc<Journal>) -> anyhow::Result<Vec<LinkState>> {
    let workers = Workers::Demo(vec!["1".to_owned(), "1".to_owned()], Some(LinkShape::default()));
    let setup = Setup::bench(ModelChoice::named("tiny_face_detector"), workers, "equal");
    // Preparing measures every link; what it found is what the lab shows.
    let (parts, _devices) = prepare(&setup, &journal).await?;
    let speeds = journal.stage().look().lab.links.clone();
    parts.fleet.close().await;
    Ok(speeds)
}
