//! Recorded sessions: shown, watched as they grow, printed, exported.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use collab_core::lab::Lab;
use collab_sessions::{Session, export};
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::app;
use crate::cli::{ExportArgs, ReplayArgs, WatchArgs};
use crate::headless::{self, Form, Summary};
use crate::replay::{Replay, playback};
use crate::screen::{self, Request, ScreenOptions};
use crate::stage::{Extent, Playback, Shown, Stage};

/// How often a growing session is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `collab-tui replay`.
pub fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    if let Some(form) = app::form(args.headless, args.json) {
        return print_state(args, form);
    }
    let stage = Arc::new(Stage::new(Shown::default()));
    let replay = Replay::open(&args.file, args.at, args.speed, stage.clone())?;
    let (requests, asked) = mpsc::unbounded_channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            shown = screen::run(stage, requests, ScreenOptions::from_env()) => shown,
            () = replay.drive(asked) => Ok(()),
        }
    })
}

/// The state of a session at one moment.
#[derive(Serialize)]
struct State<'a> {
    at: f64,
    complete: bool,
    summary: Summary,
    lab: &'a Lab,
}

fn print_state(args: &ReplayArgs, form: Form) -> anyhow::Result<()> {
    let session = Session::open(&args.file)?;
    let at = args.at.unwrap_or(session.length()).min(session.length());
    let cursor = session.seek(at)?;
    let path = args.file.display().to_string();
    match form {
        Form::Json => {
            let summary = Summary::of(cursor.lab(), Some(path));
            let state = State { at: at.secs(), complete: session.is_complete(), summary, lab: cursor.lab() };
            headless::print(&serde_json::to_string(&state)?)?;
        }
        Form::Text => {
            let recovered = if session.is_complete() { "" } else { ", recovered: it was not ended in order" };
            headless::print(&format!("{path} at {at} of {}{recovered}", session.length()))?;
            headless::print(&headless::table(cursor.lab(), None))?;
        }
    }
    Ok(())
}

/// `collab-tui watch`: the end of a session that another process still records.
pub fn watch(args: &WatchArgs) -> anyhow::Result<()> {
    anyhow::ensure!(
        std::io::stdout().is_terminal(),
        "watch needs a terminal; for the state as text use collab-tui replay {}",
        args.file.display()
    );
    let stage = Arc::new(Stage::new(Shown::default()));
    let mut session = Session::open(&args.file)?;
    show_end(&session, &args.file, &stage)?;
    let (requests, mut asked) = mpsc::unbounded_channel();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let look = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                // A file that is being written may end in the middle of a record; the next look sees more.
                if let Ok(more) = session.refresh() {
                    session = more;
                    let _ = show_end(&session, &args.file, &stage);
                }
            }
        };
        let left = async { while !matches!(asked.recv().await, Some(Request::Quit) | None) {} };
        tokio::select! {
            shown = screen::run(stage.clone(), requests, ScreenOptions::from_env()) => shown,
            () = look => Ok(()),
            () = left => Ok(()),
        }
    })
}

fn show_end(session: &Session, path: &Path, stage: &Stage) -> anyhow::Result<()> {
    let cursor = session.seek(session.length())?;
    let whole = playback(&path.display().to_string(), session, session.length());
    let playback = Playback {
        playing: !session.is_complete(),
        following: true,
        extent: if session.is_complete() { Extent::Complete } else { Extent::Growing },
        ..whole
    };
    let lab = cursor.lab().clone();
    stage.change(|shown| {
        shown.lab = lab;
        shown.playback = Some(playback);
    });
    Ok(())
}

/// `collab-tui export`.
pub fn export(args: &ExportArgs) -> anyhow::Result<()> {
    let session = Session::open(&args.file)?;
    if let Some(folder) = &args.form.csv {
        for table in export::csv(&session, folder)? {
            headless::print(&format!("{}  {} rows", table.path.display(), table.rows))?;
        }
    } else if let Some(path) = &args.form.perfetto {
        let is_session =
            path.canonicalize().is_ok_and(|to| args.file.canonicalize().is_ok_and(|file| file == to));
        anyhow::ensure!(
            !is_session,
            "{} is the session itself: choose another file for the trace",
            path.display()
        );
        let file = std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        export::perfetto(&session, std::io::BufWriter::new(file))?;
        headless::print(&format!("{}  open it at ui.perfetto.dev", path.display()))?;
    } else {
        export::jsonl(&session, std::io::BufWriter::new(std::io::stdout().lock()))?;
    }
    Ok(())
}
