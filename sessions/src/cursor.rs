//! A place in a session with the lab as it was there: forward, back, to a time.

use collab_core::event::Event;
use collab_core::lab::Lab;
use collab_core::time::Micros;

use crate::chunk::Chunk;
use crate::session::{ReadError, Session, entry};

/// An event that was stepped over.
#[derive(Clone, Debug, PartialEq)]
pub enum Stepped {
    /// It was applied.
    Applied(Box<Event>),
    /// It is of a kind that this program does not know, and changed nothing. Its JSON.
    Unknown(String),
}

/// A place in a session.
#[derive(Clone)]
pub struct Cursor {
    session: Session,
    /// Which segment is unpacked.
    segment: usize,
    /// The lab at its start.
    base: Lab,
    /// The events of its first chunks.
    events: Chunk,
    /// How many chunks those are.
    loaded: usize,
    /// How many of its events are applied.
    applied: usize,
    lab: Lab,
    /// See [`Cursor::now`].
    now: Micros,
}

impl std::fmt::Debug for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Cursor {
    /// At the start of a segment. A keyframe that this program cannot read, written by another version, is
    /// replaced by folding from the one before it.
    pub(crate) fn at(session: Session, segment: usize) -> Result<Self, ReadError> {
        let (mut keyframe, mut events) = session.load(segment)?;
        let mut from = segment;
        while keyframe.is_none() && from > 0 {
            from -= 1;
            (keyframe, events) = session.load(from)?;
        }
        let base = keyframe.unwrap_or_default();
        let (lab, now) = (base.clone(), base.now);
        let mut cursor = Self { session, segment: from, base, events, loaded: 1, applied: 0, lab, now };
        while cursor.segment < segment {
            while cursor.step_within().is_some() {}
            cursor.load_more()?;
        }
        Ok(cursor)
    }

    /// The lab as it was here.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The session's time here; the lab's lags behind after events of kinds that this program does not know.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Events before this place.
    pub fn position(&self) -> u64 {
        let before = self.session.segments().get(self.segment).map_or(0, |segment| segment.events_before);
        before + self.applied as u64
    }

    /// When the next event is; `None` at the end.
    pub fn peek(&self) -> Option<Micros> {
        if let Some(message) = self.events.messages.get(self.applied) {
            return Some(message.at);
        }
        let place = self.session.places(self.segment).get(self.loaded).map(|place| place.at);
        place.or_else(|| self.session.segments().get(self.segment + 1).map(|segment| segment.at))
    }

    /// Applies the next event; `None` at the end.
    pub fn step(&mut self) -> Result<Option<Stepped>, ReadError> {
        while self.applied == self.events.messages.len() {
            if !self.load_more()? {
                return Ok(None);
            }
        }
        Ok(self.step_within())
    }

    /// Takes the last event back; `false` at the start.
    pub fn step_back(&mut self) -> Result<bool, ReadError> {
        let Some(target) = self.position().checked_sub(1) else { return Ok(false) };
        self.go(target)?;
        Ok(true)
    }

    /// Applies every event up to and with the time `to`; answers how many.
    pub fn advance(&mut self, to: Micros) -> Result<u64, ReadError> {
        let mut count = 0;
        while self.peek().is_some_and(|next| next <= to) {
            if self.step()?.is_none() {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Goes to a time, forward or back, as [`Session::seek`] does. Stays where it is after an error.
    pub fn seek(&mut self, to: Micros) -> Result<(), ReadError> {
        let segment = self.session.segment_before(to);
        if segment == self.segment {
            if self.applied > 0 && self.events.messages[self.applied - 1].at > to {
                self.rewind();
            }
            self.advance(to)?;
        } else {
            *self = self.session.seek(to)?;
        }
        Ok(())
    }

    /// Goes to where `position` events are applied.
    fn go(&mut self, position: u64) -> Result<(), ReadError> {
        let segment = self.session.segment_of(position);
        if segment != self.segment {
            *self = Self::at(self.session.clone(), segment)?;
        } else if position < self.position() {
            self.rewind();
        }
        while self.position() < position && self.step()?.is_some() {}
        Ok(())
    }

    fn rewind(&mut self) {
        self.lab = self.base.clone();
        self.now = self.base.now;
        self.applied = 0;
    }

    /// Unpacks the chunk after those whose events are all applied; `false` at the end.
    fn load_more(&mut self) -> Result<bool, ReadError> {
        if let Some(place) = self.session.places(self.segment).get(self.loaded) {
            self.session.load_more(*place, &mut self.events)?;
            self.loaded += 1;
            return Ok(true);
        }
        let next = self.segment + 1;
        if next >= self.session.segments().len() {
            return Ok(false);
        }
        let (_, events) = self.session.load(next)?;
        self.base = self.lab.clone();
        (self.segment, self.events, self.loaded, self.applied) = (next, events, 1, 0);
        Ok(true)
    }

    fn step_within(&mut self) -> Option<Stepped> {
        let message = self.events.messages.get(self.applied)?;
        let entry = entry(&self.events, message)?;
        let stepped = match entry.event() {
            Some(event) => {
                self.lab.apply(&event);
                Stepped::Applied(Box::new(event))
            }
            None => Stepped::Unknown(String::from_utf8_lossy(entry.json).into_owned()),
        };
        self.now = message.at;
        self.applied += 1;
        Some(stepped)
    }
}
