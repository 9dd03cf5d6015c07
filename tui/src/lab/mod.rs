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
mod setup;
mod severed;
mod singles;
mod switch;
mod training;
mod trials;
mod versus;

use std::sync::Arc;

use collab_core::event::{LinkShape, What};
use collab_core::id::Fingerprint;
use collab_core::lab::LinkState;
use collab_core::partition::Partition;
use collab_models::catalogue;
use collab_worker::keys::{Identity, KnownWorkers};
use tokio::sync::mpsc;

pub use calibrate::samples;
pub use controller::Ending;
pub use model::ModelChoice;
pub use planning::Situation;
pub use setup::{Setup, Workers};
pub use trials::Trial;
pub use versus::Versus;

use self::controller::{Controller, Parts};
use self::demo::Devices;
use self::fleet::Fleet;
use self::inputs::Inputs;
use self::model::Loaded;
use self::planning::Planning;
use self::reference::Reference;
use self::training::Training;
use crate::journal::Journal;
use crate::screen::Request;

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
    setup.workers.check_count()?;
    let planning = Planning::new(&setup.planner, setup.partition.clone(), setup.seed);
    journal.record(What::SessionStarted(setup.session()));
    let (loaded, inputs) = load(setup, journal).await?;
    let (identity, devices, addresses) = find(&setup.workers).await?;
    let mut fleet = Fleet::connect(identity, &addresses, setup.workers.link(), journal).await?;
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

/// Reads the network and what it is to run on, and sees that everything else that was asked for fits them: before any
/// worker is troubled.
async fn load(setup: &Setup, journal: &Journal) -> anyhow::Result<(Loaded, Inputs)> {
    let (choice, seed) = (setup.model.clone(), setup.seed);
    let loaded = tokio::task::spawn_blocking(move || choice.load(seed)).await??;
    let network = loaded.model.network().clone();
    if let Some(text) = &setup.partition {
        Partition::parse(text, &network, setup.workers.count())?;
    }
    journal.record(What::NetworkLoaded { network: network.clone() });
    let meaning = catalogue::meaning(loaded.entry, &network.input.shape, &network.output_shape);
    let photo = loaded.entry.map_or("noise", |entry| entry.photo.name);
    let inputs = Inputs::open(setup.input.as_deref().unwrap_or(photo), setup.seed, network, meaning)?;
    if let Some(path) = &setup.output {
        inputs.check_saving(path)?;
    }
    Ok((loaded, inputs))
}

/// Workers' addresses, each with its key, where that is known.
type Addresses = Vec<(String, Option<Fingerprint>)>;

/// Who the lab is to its workers, and where these listen; those of a demo are started, and live as long as the devices.
async fn find(workers: &Workers) -> anyhow::Result<(Identity, Option<Devices>, Addresses)> {
    match workers {
        Workers::Demo(presets, _) => {
            let identity = Identity::generate()?;
            let devices = Devices::start(presets, identity.fingerprint()).await?;
            let addresses = devices.listening.iter().map(|(at, key)| (at.clone(), Some(*key))).collect();
            Ok((identity, Some(devices), addresses))
        }
        Workers::Live(addresses) => {
            let identity = Identity::open(&crate::folders::keys()?)?;
            let known = KnownWorkers::at(crate::folders::known_workers()?);
            let keyed = addresses.iter().map(|address| Ok((address.clone(), known.find(address)?)));
            Ok((identity, None, keyed.collect::<anyhow::Result<_>>()?))
        }
    }
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
