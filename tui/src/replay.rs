//! Replaying: a recorded session's events come to the stage as time passes, or as the operator moves.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collab_core::time::Micros;
use collab_sessions::{Cursor, MomentKind, Session};
use tokio::sync::mpsc;

use crate::screen::{PlaybackRequest, Request, SpeedChange};
use crate::stage::{Playback, Stage};

/// Between two steps of playing.
const TICK: Duration = Duration::from_millis(33);
/// Session seconds per second.
const SPEEDS: std::ops::RangeInclusive<f64> = 0.125..=64.0;

/// A session on its way over the stage.
pub struct Replay {
    stage: Arc<Stage>,
    path: String,
    cursor: Cursor,
    position: Micros,
    speed: f64,
    playing: bool,
}

impl Replay {
    /// Shows the session in `path` as it was at `at`; plays from there if it was not asked for a time.
    pub fn open(path: &Path, at: Option<f64>, speed: f64, stage: Arc<Stage>) -> anyhow::Result<Self> {
        anyhow::ensure!(SPEEDS.contains(&speed), "a speed is between 0.125 and 64, not {speed}");
        let session = Session::open(path)?;
        let position = at.map_or(Micros(0), Micros::from_secs_f64).min(session.length());
        let cursor = session.seek(position)?;
        let path = path.display().to_string();
        let replay = Self { stage, path, cursor, position, speed, playing: at.is_none() };
        replay.show();
        Ok(replay)
    }

    /// Follows time and the operator until the operator leaves.
    pub async fn drive(mut self, mut requests: mpsc::UnboundedReceiver<Request>) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(TICK);
        let mut before = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let now = Instant::now();
                    let passed = now - std::mem::replace(&mut before, now);
                    if self.playing {
                        self.play(passed)?;
                    }
                }
                request = requests.recv() => match request {
                    Some(Request::Playback(request)) => self.follow(request)?,
                    // The screen refuses verbs in a replay; one that comes all the same changes nothing.
                    Some(Request::Verb(_)) => {}
                    Some(Request::Quit) | None => return Ok(()),
                },
            }
        }
    }

    fn length(&self) -> Micros {
        self.cursor.session().length()
    }

    fn play(&mut self, passed: Duration) -> anyhow::Result<()> {
        let step = Micros::from_secs_f64(passed.as_secs_f64() * self.speed);
        self.position = (self.position + step).min(self.length());
        self.cursor.advance(self.position)?;
        if self.position == self.length() {
            self.playing = false;
        }
        self.show();
        Ok(())
    }

    fn follow(&mut self, request: PlaybackRequest) -> anyhow::Result<()> {
        match request {
            PlaybackRequest::Toggle => {
                self.playing = !self.playing;
                if self.playing && self.position == self.length() {
                    self.seek(Micros(0))?;
                }
            }
            PlaybackRequest::SeekBy(secs) => {
                self.seek(Micros::from_secs_f64(self.position.secs() + secs))?;
            }
            PlaybackRequest::SeekTo(position) => self.seek(position)?,
            PlaybackRequest::Start => self.seek(Micros(0))?,
            PlaybackRequest::End => self.seek(self.length())?,
            PlaybackRequest::Step(count) => self.step(count)?,
            PlaybackRequest::Moment(direction) => {
                let found = match direction {
                    0.. => self.cursor.next_moment(|_| true)?,
                    _ => self.cursor.previous_moment(|_| true)?,
                };
                if let Some(moment) = found {
                    self.position = moment.at;
                }
            }
            PlaybackRequest::Speed(change) => {
                let speed = match change {
                    SpeedChange::Halve => self.speed / 2.0,
                    SpeedChange::Double => self.speed * 2.0,
                    SpeedChange::One => 1.0,
                };
                self.speed = speed.clamp(*SPEEDS.start(), *SPEEDS.end());
            }
        }
        self.show();
        Ok(())
    }

    fn seek(&mut self, position: Micros) -> anyhow::Result<()> {
        self.position = position.min(self.length());
        self.cursor.seek(self.position)?;
        Ok(())
    }

    fn step(&mut self, count: i64) -> anyhow::Result<()> {
        self.playing = false;
        for _ in 0..count.unsigned_abs() {
            let moved = match count {
                0.. => self.cursor.step()?.is_some(),
                _ => self.cursor.step_back()?,
            };
            if !moved {
                break;
            }
        }
        self.position = self.cursor.lab().now;
        Ok(())
    }

    fn show(&self) {
        let session = self.cursor.session();
        let glyph = |kind: MomentKind| match kind {
            MomentKind::Mark => '┬',
            MomentKind::Command => 't',
            MomentKind::WorkerLost => '▲',
            MomentKind::Switched => '◆',
        };
        let playback = Playback {
            path: self.path.clone(),
            position: self.position,
            length: session.length(),
            speed: self.speed,
            playing: self.playing,
            complete: session.is_complete(),
            bytes: session.bytes(),
            moments: session.moments().iter().map(|moment| (moment.at, glyph(moment.kind))).collect(),
        };
        let mut lab = self.cursor.lab().clone();
        lab.now = self.position;
        self.stage.change(|shown| {
            shown.lab = lab;
            shown.playback = Some(playback);
        });
    }
}
