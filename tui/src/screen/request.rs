//! What the screen asks the program for, and the one place that refuses it.

use collab_core::command::Verb;
use collab_core::lab::Lab;
use collab_core::time::Micros;

use crate::keys::Scope;
use crate::stage::Shown;

/// A wish of the operator.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Do something to the lab.
    Verb(Verb),
    /// Move within a replay.
    Playback(PlaybackRequest),
    /// Leave.
    Quit,
}

/// A movement within a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlaybackRequest {
    /// Play or pause.
    Toggle,
    /// By seconds.
    SeekBy(f64),
    /// To a moment of the session.
    SeekTo(Micros),
    /// By events; pauses.
    Step(i64),
    /// To the moment on the bar after (1) or before (-1).
    Moment(i64),
    /// Faster or slower.
    Speed(SpeedChange),
    /// To the first event.
    Start,
    /// To the last event.
    End,
}

/// A change of a replay's speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeedChange {
    /// Half of it.
    Halve,
    /// Twice it.
    Double,
    /// As it was lived.
    One,
}

/// What a key of the other mode is answered with.
pub(super) fn out_of_place(mode: Scope) -> &'static str {
    match mode {
        Scope::Replay => "this is a replay: what happened cannot be changed",
        _ => "there is no time to move in: this is a live lab; replay its session for that",
    }
}

/// The sentence that refuses `request`, if it must be refused. Nothing else on the screen refuses. The operator looks at
/// `seen`, which is not what is `shown` while the drawing is held.
pub(super) fn refuse(request: &Request, shown: &Shown, seen: &Lab) -> Option<&'static str> {
    match request {
        Request::Verb(Verb::Mark { .. }) if shown.playback.is_some() => {
            Some("this is a replay: moments are named while a session runs")
        }
        Request::Verb(_) if shown.playback.is_some() => Some(out_of_place(Scope::Replay)),
        Request::Verb(verb) if verb.changes_the_lab() && shown.lab.session.read_only => {
            Some("this lab is read-only: start it without --read-only to change it")
        }
        Request::Verb(Verb::Accept | Verb::Reject { .. }) if seen.proposal != shown.lab.proposal => {
            Some("what is offered has changed since the drawing was held: Space shows it")
        }
        Request::Playback(_) => match &shown.playback {
            None => Some(out_of_place(Scope::Live)),
            Some(playback) if playback.following => {
                Some("this session is watched at its end: leave, and replay it to move in time")
            }
            Some(_) => None,
        },
        _ => None,
    }
}
