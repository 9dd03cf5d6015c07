//! Reports without a screen: lines as things happen, and a summary at the end.

mod summary;
mod table;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write as _};

use collab_core::event::{Event, What};
use collab_core::id::WorkerId;
use collab_core::lab::{Lab, LogLine};
use collab_core::time::Micros;

pub use self::summary::Summary;
pub use self::table::table;
use crate::stage::Stage;

/// How a headless run reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Sentences and a table.
    Text,
    /// JSON lines.
    Json,
}

/// Prints what events are worth, one after the other.
pub struct Reporter {
    form: Form,
    /// The last line of the log that was told.
    told: Option<LogLine>,
    sending: Sending,
}

impl Reporter {
    /// One that has told nothing yet.
    pub fn new(form: Form) -> Self {
        Self { form, told: None, sending: Sending::default() }
    }

    /// Prints what an event is worth. To be called after it was applied.
    ///
    /// # Errors
    /// If nobody reads any more, or there is no room.
    pub fn report(&mut self, event: &Event, stage: &Stage) -> io::Result<()> {
        let lines: Vec<String> = match self.form {
            Form::Json => self.json_line(event).into_iter().collect(),
            Form::Text => self.text_lines(event, &stage.look().lab),
        };
        lines.iter().try_for_each(|line| print(line))
    }

    /// The log as it grows: an event may add no line, one, or several. Of runs every tenth is told.
    fn text_lines(&mut self, event: &Event, lab: &Lab) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        if let What::RunDone { run, ms, verdict } = &event.what
            && run.0 % 10 == 0
        {
            lines.push(format!("{:>8}  run {run}: {ms:.1} ms, {}", event.at, verdict.name()));
        }
        if let What::WorkerLoading { worker, done, total } = event.what
            && let Some(mbps) = self.sending.rate_if_due(worker, event.at, done)
        {
            let mb = |bytes: u64| bytes as f64 / 1e6;
            lines.push(format!(
                "{:>8}  {worker} has {:.0} of {:.0} MB of the network, {mbps:.1} Mbit/s",
                event.at,
                mb(done),
                mb(total)
            ));
        }
        let new = lab.log.iter().rev().take_while(|line| self.told.as_ref() != Some(*line)).count();
        let new = lab.log.iter().skip(lab.log.len() - new);
        lines.extend(new.map(|line| format!("{:>8}  {}", line.at, line.text)));
        self.told = lab.log.back().cloned();
        lines
    }

    /// An event as JSON, unless it is a bulky one that only the session file keeps. Of how far the sending of the network
    /// is, some are told.
    fn json_line(&mut self, event: &Event) -> Option<String> {
        let is_told = match event.what {
            What::WorkerLoading { worker, done, .. } => {
                self.sending.rate_if_due(worker, event.at, done).is_some()
            }
            What::NetworkLoaded { .. }
            | What::LayersTimed(_)
            | What::SpanDone(_)
            | What::WorkerStatus(_)
            | What::Pictured { .. }
            | What::PartitionProposed(_) => false,
            _ => true,
        };
        is_told.then(|| serde_json::to_string(event).ok()).flatten()
    }
}

/// How much of the network each worker held when that was told last, or when it was given the first of it, and when that was.
#[derive(Default)]
struct Sending(BTreeMap<WorkerId, (Micros, u64)>);

impl Sending {
    /// Between two lines of one worker.
    const EVERY: Micros = Micros(5_000_000);

    /// The rate since then in Mbit/s, if it is time to tell that `worker` now holds so many bytes.
    fn rate_if_due(&mut self, worker: WorkerId, now: Micros, held: u64) -> Option<f64> {
        let before = self.0.entry(worker).or_insert((now, held));
        let passed = now - before.0;
        if passed < Self::EVERY {
            return None;
        }
        let gained = held.saturating_sub(before.1);
        *before = (now, held);
        Some(gained as f64 * 8.0 / passed.0 as f64)
    }
}

/// Prints a line, or several.
///
/// # Errors
/// If nobody reads any more, or there is no room.
pub fn print(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", plain(line))
}

/// A text without characters that a terminal would obey: names and reasons come from files and from other devices.
pub fn plain(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
    match text.contains(is_obeyed) {
        true => text.replace(is_obeyed, "\u{fffd}").into(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use collab_core::event::{Level, Verdict};
    use collab_core::id::RunId;

    use super::*;

    #[test]
    fn every_line_of_the_log_is_told_once_whatever_events_share_its_moment() {
        let (mut lab, mut reporter) = (Lab::default(), Reporter::new(Form::Text));
        let mut told = |at: u64, what: What| {
            let event = Event { at: Micros(at), what };
            lab.apply(&event);
            reporter.text_lines(&event, &lab)
        };
        let noted = |text: &str| What::Noted { level: Level::Info, text: text.to_owned() };
        let done = |run: u64, verdict| What::RunDone { run: RunId(run), ms: 2.0, verdict };
        assert_eq!(told(5_000_000, noted("one")), ["    0:05  one"]);
        assert!(told(5_000_000, done(11, Verdict::BitEqual)).is_empty(), "that line was told");
        assert_eq!(told(5_000_000, noted("two")), ["    0:05  two"]);
        let differs = told(6_000_000, done(12, Verdict::Differs(0.5)));
        assert!(differs.len() == 1 && differs[0].contains("run 12: the output differs"), "{differs:?}");
        assert_eq!(told(7_000_000, done(20, Verdict::BitEqual)), ["    0:07  run 20: 2.0 ms, bit-equal"]);
        for at in 0..1200 {
            assert_eq!(told(8_000_000 + at, noted("more")).len(), 1, "also when the oldest is forgotten");
        }
    }

    #[test]
    fn a_network_on_its_way_over_a_slow_link_is_told_of_every_few_seconds_with_its_rate() {
        // 20 Mbit/s, as the lab hears of it ten times a second.
        let loading = |tenth: u64| {
            let what = What::WorkerLoading { worker: WorkerId(1), done: tenth * 250_000, total: 550_000_000 };
            Event { at: Micros(tenth * 100_000), what }
        };
        let (lab, mut text, mut json) =
            (Lab::default(), Reporter::new(Form::Text), Reporter::new(Form::Json));
        let said: Vec<String> = (0..=104).flat_map(|tenth| text.text_lines(&loading(tenth), &lab)).collect();
        assert_eq!(
            said,
            [
                "    0:05  B has 12 of 550 MB of the network, 20.0 Mbit/s",
                "    0:10  B has 25 of 550 MB of the network, 20.0 Mbit/s"
            ]
        );
        let lines: Vec<String> = (0..=104).filter_map(|tenth| json.json_line(&loading(tenth))).collect();
        let expected = [50, 100].map(|tenth| serde_json::to_string(&loading(tenth)).unwrap());
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_a_device_or_a_file_says_cannot_command_the_terminal() {
        assert_eq!(plain("pi4 is lost\n\t×2"), "pi4 is lost\n\t×2");
        assert_eq!(
            plain("pi4\u{1b}]0;title\u{7}\r\u{9b}2J"),
            "pi4\u{fffd}]0;title\u{fffd}\u{fffd}\u{fffd}2J"
        );
    }
}
