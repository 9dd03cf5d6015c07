//! A lab with a screen or without: threads, signals, the summary, the exit code.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use collab_core::lab::{Lab, Phase};
use collab_sessions::Recorder;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

use crate::cli::RunArgs;
use crate::headless::{self, Form, Reporter, Summary};
use crate::journal::{Journal, Listener};
use crate::lab::{self, Ending, Setup, Workers};
use crate::screen::{self, Request, ScreenOptions};
use crate::stage::{Shown, Stage};

/// A worker was lost for good.
pub const EXIT_WORKER_LOST: u8 = 3;

/// Runs a lab as the arguments say; answers the exit code.
pub fn run(args: &RunArgs, workers: Workers, read_only: bool) -> anyhow::Result<u8> {
    let form = form(args.headless, args.json);
    let stage = Arc::new(Stage::new(Shown::default()));
    let recorder = recorder(args)?;
    let (requests, asked) = mpsc::unbounded_channel();
    let listener = form.map(|form| reporting(form, requests.clone()));
    let journal = Arc::new(Journal::new(stage.clone(), recorder, listener));
    let (ended, has_ended) = oneshot::channel();
    let thread = lead(setup(args, workers, read_only), journal.clone(), asked, ended)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let shown = runtime.block_on(wait(form, stage.clone(), requests, has_ended));
    let ending = thread.join().map_err(|_| anyhow::anyhow!("the lab's thread panicked"))?;
    let lab = stage.look().lab.clone();
    let is_kept = args.record.is_some() || lab.current.is_some();
    if !is_kept {
        forget_session(&journal);
    }
    shown?;
    ending?;
    let session = journal.path().filter(|_| is_kept).map(|path| path.display().to_string());
    match form {
        Some(Form::Json) => {
            headless::print(&serde_json::to_string(&Summary::of(&lab, session))?)?;
        }
        Some(Form::Text) | None => headless::print(&headless::table(&lab, session.as_deref()))?,
    }
    Ok(if has_lost_worker(&lab) { EXIT_WORKER_LOST } else { 0 })
}

/// What the lab is to do, as the arguments say.
fn setup(args: &RunArgs, workers: Workers, read_only: bool) -> Setup {
    Setup {
        model: args.file.choice(&args.model),
        input: args.input.clone(),
        workers,
        planner: args.planner.clone(),
        partition: args.partition.clone(),
        auto: args.auto,
        train: !args.no_train,
        read_only,
        seed: args.seed,
        for_time: args.for_time,
        output: args.output.clone(),
    }
}

/// Reports every event without a screen.
fn reporting(form: Form, requests: mpsc::UnboundedSender<Request>) -> Listener {
    let mut reporter = Reporter::new(form);
    Box::new(move |event, stage: &Stage| {
        // A report that cannot be written is of no use to anybody: the lab ends, and its summary fails likewise.
        if reporter.report(event, stage).is_err() {
            let _ = requests.send(Request::Quit);
        }
    })
}

/// Runs the lab on a thread and a runtime of its own, so that a slow terminal cannot delay a run. How it ended, unless it
/// failed, is told at once; all of it when the thread is joined.
fn lead(
    setup: Setup,
    journal: Arc<Journal>,
    asked: mpsc::UnboundedReceiver<Request>,
    ended: oneshot::Sender<Option<Ending>>,
) -> std::io::Result<JoinHandle<anyhow::Result<Ending>>> {
    std::thread::Builder::new().name("lab".to_owned()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let result = runtime.block_on(lab::run(setup, journal, asked));
        // A reference that is still being computed must not hold up the end.
        runtime.shutdown_background();
        // Whoever shows the lab may have left before.
        let _ = ended.send(result.as_ref().ok().copied());
        result
    })
}

/// How to report without a screen; `None` is with one.
pub fn form(headless: bool, json: bool) -> Option<Form> {
    match (json, headless || !std::io::stdout().is_terminal()) {
        (true, _) => Some(Form::Json),
        (false, true) => Some(Form::Text),
        (false, false) => None,
    }
}

/// Shows the screen, or waits for signals, until the operator leaves or the lab ended.
async fn wait(
    form: Option<Form>,
    stage: Arc<Stage>,
    requests: mpsc::UnboundedSender<Request>,
    has_ended: oneshot::Receiver<Option<Ending>>,
) -> anyhow::Result<()> {
    // With nobody left the screen stays, so that the operator can read why.
    let leaves = async {
        match has_ended.await {
            Ok(Some(Ending::NobodyLeft)) if form.is_none() => std::future::pending().await,
            _ => {}
        }
    };
    match form {
        None => tokio::select! {
            shown = screen::run(stage, requests.clone(), ScreenOptions::from_env()) => {
                let _ = requests.send(Request::Quit);
                shown
            }
            () = leaves => Ok(()),
        },
        Some(_) => {
            tokio::select! {
                signal = stop_signal() => {
                    signal?;
                    let _ = requests.send(Request::Quit);
                }
                () = leaves => {}
            }
            Ok(())
        }
    }
}

/// Resolves with the first Ctrl-C or SIGTERM.
async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn recorder(args: &RunArgs) -> anyhow::Result<Option<(Recorder, PathBuf)>> {
    if args.no_record {
        return Ok(None);
    }
    let recorder = match &args.record {
        Some(path) => Recorder::create(path).map(|recorder| (recorder, path.clone())),
        None => Recorder::create_first_free(crate::folders::new_sessions(&args.model)?),
    };
    recorder.map(Some).context("cannot record the session (use --record FILE or --no-record)")
}

/// Removes the session of a lab that never ran anything: nobody asked for the file, and there is nothing to see in it.
fn forget_session(journal: &Journal) {
    if let Some(path) = journal.path() {
        // What stays is a small file.
        let _ = std::fs::remove_file(path);
    }
}

fn has_lost_worker(lab: &Lab) -> bool {
    lab.workers.iter().any(|worker| matches!(worker.phase, Phase::Lost { .. }))
}
