//! Replaying: a recorded session's events come to the stage as time passes, or as the operator moves.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collab_core::time::Micros;
use collab_sessions::{Cursor, MomentKind, ReadError, Session};
use tokio::sync::mpsc;

use crate::screen::{PlaybackRequest, Request, SpeedChange};
use crate::stage::{Extent, Playback, Stage};

/// Between two steps of playing.
const TICK: Duration = Duration::from_millis(33);
/// Session seconds per second.
pub const SPEEDS: std::ops::RangeInclusive<f64> = 0.125..=64.0;

/// A session on its way over the stage.
pub struct Replay {
    stage: Arc<Stage>,
    path: String,
    cursor: Cursor,
    position: Micros,
    speed: f64,
    playing: bool,
    damaged: Option<Micros>,
}

impl Replay {
    /// Shows the session in `path` as it was at `at`; plays from there at one of the [`SPEEDS`] if it was not asked for a
    /// time.
    pub fn open(path: &Path, at: Option<Micros>, speed: f64, stage: Arc<Stage>) -> anyhow::Result<Self> {
        let session = Session::open(path)?;
        let position = at.unwrap_or_default().min(session.length());
        let cursor = session.seek(position)?;
        let path = path.display().to_string();
        let replay = Self { stage, path, cursor, position, speed, playing: at.is_none(), damaged: None };
        replay.show();
        Ok(replay)
    }

    /// Follows time and the operator until the operator leaves. Where the file is damaged it stands still.
    pub async fn drive(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut tick = tokio::time::interval(TICK);
        let mut before = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    let now = Instant::now();
                    let passed = now - std::mem::replace(&mut before, now);
                    if self.playing {
                        let moved = self.play(passed);
                        self.show_where(moved);
                    }
                }
                request = requests.recv() => match request {
                    Some(Request::Playback(request)) => {
                        let moved = self.follow(request);
                        self.show_where(moved);
                    }
                    // The screen refuses verbs in a replay; one that comes all the same changes nothing.
                    Some(Request::Verb(_)) => {}
                    Some(Request::Quit) | None => return,
                },
            }
        }
    }

    fn length(&self) -> Micros {
        self.cursor.session().length()
    }

    fn play(&mut self, passed: Duration) -> Result<(), ReadError> {
        let step = Micros::from_secs_f64(passed.as_secs_f64() * self.speed);
        self.position = (self.position + step).min(self.length());
        self.cursor.advance(self.position)?;
        if self.position == self.length() {
            self.playing = false;
        }
        Ok(())
    }

    fn follow(&mut self, request: PlaybackRequest) -> Result<(), ReadError> {
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
                if let Some(at) = self.moment(direction) {
                    self.seek(at)?;
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
        Ok(())
    }

    /// The moment on the bar after the place shown, or before it. What plays has left a moment behind at once: from within
    /// a second of it, the one before is meant.
    fn moment(&self, direction: i64) -> Option<Micros> {
        let mut moments = self.cursor.session().moments().iter().map(|moment| moment.at);
        if direction >= 0 {
            return moments.find(|at| *at > self.position);
        }
        let second = if self.playing { Micros::from_secs_f64(self.speed) } else { Micros(0) };
        moments.rfind(|at| *at + second < self.position)
    }

    fn seek(&mut self, position: Micros) -> Result<(), ReadError> {
        self.position = position.min(self.length());
        self.cursor.seek(self.position)?;
        Ok(())
    }

    fn step(&mut self, count: i64) -> Result<(), ReadError> {
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
        self.position = self.cursor.now();
        Ok(())
    }

    /// Shows where it came to.
    fn show_where(&mut self, moved: Result<(), ReadError>) {
        if let Err(ReadError { at, .. }) = moved {
            self.damaged = Some(at);
            self.playing = false;
            self.position = self.cursor.now();
        }
        self.show();
    }

    fn show(&self) {
        let whole = playback(&self.path, self.cursor.session(), self.position);
        let playback = Playback {
            speed: self.speed,
            playing: self.playing,
            extent: self.damaged.map_or(whole.extent, Extent::Damaged),
            ..whole
        };
        let mut lab = self.cursor.lab().clone();
        lab.now = self.position;
        self.stage.change(|shown| {
            shown.lab = lab;
            shown.playback = Some(playback);
        });
    }
}

/// A session that stands still at `position`.
pub fn playback(path: &str, session: &Session, position: Micros) -> Playback {
    let glyph = |kind: MomentKind| match kind {
        MomentKind::Mark => '┬',
        MomentKind::Command => 't',
        MomentKind::WorkerLost => '▲',
        MomentKind::Switched => '◆',
    };
    Playback {
        path: path.to_owned(),
        position,
        length: session.length(),
        speed: 1.0,
        playing: false,
        following: false,
        extent: if session.is_complete() { Extent::Complete } else { Extent::Recovered },
        bytes: session.bytes(),
        moments: session.moments().iter().map(|moment| (moment.at, glyph(moment.kind))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Shown;

    #[test]
    fn the_moment_before_is_the_last_one_before_the_place_shown() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/samples/throttle.mcap");
        let stage = Arc::new(Stage::new(Shown::default()));
        let mut replay = Replay::open(&sample, Some(Micros(0)), 1.0, stage).unwrap();
        let moments: Vec<Micros> = replay.cursor.session().moments().iter().map(|moment| moment.at).collect();
        for (before, after) in moments.iter().zip(&moments[1..]).filter(|(before, after)| before < after) {
            let between = Micros((before.0 + after.0).div_ceil(2));
            // Nothing may have happened between the moment and the place that is shown.
            for (from, direction, to) in [(between, -1, before), (*before, 1, after), (*after, -1, before)] {
                replay.follow(PlaybackRequest::SeekTo(from)).unwrap();
                replay.follow(PlaybackRequest::Moment(direction)).unwrap();
                assert_eq!(replay.position, *to, "from {from:?}");
            }
        }
        let apart = |pair: &&[Micros]| pair[1] - pair[0] > Micros(2_000_000);
        let pair = moments.windows(2).find(apart).expect("two moments apart");
        replay.follow(PlaybackRequest::SeekTo(pair[1])).unwrap();
        replay.playing = true;
        replay.play(Duration::from_millis(300)).unwrap();
        replay.follow(PlaybackRequest::Moment(-1)).unwrap();
        assert_eq!(replay.position, pair[0], "what plays does not fall back to the moment it just left");
    }

    #[test]
    fn where_the_file_is_damaged_a_replay_stands_still_and_what_was_before_is_shown() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sessions/samples/throttle.mcap");
        let mut bytes = std::fs::read(sample).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let stage = Arc::new(Stage::new(Shown::default()));
        let mut replay = Replay::open(file.path(), None, 1.0, stage.clone()).unwrap();
        let look = || stage.look().playback.clone().unwrap();
        let moved = replay.play(Duration::from_secs(60));
        replay.show_where(moved);
        let shown = look();
        let Extent::Damaged(damaged) = shown.extent else { panic!("no damage was met: {shown:?}") };
        assert!(!shown.playing && shown.position < damaged, "{shown:?}");
        let moved = replay.follow(PlaybackRequest::SeekTo(Micros(2_000_000)));
        replay.show_where(moved);
        let before = look();
        assert_eq!((before.position, before.extent), (Micros(2_000_000), Extent::Damaged(damaged)));
    }
}
