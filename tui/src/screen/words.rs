//! Commands in words, `:throttle B 60`: the same verbs as the keys give. Pure text to request and back.

use collab_core::command::Verb;
use collab_core::event::LinkShape;
use collab_core::id::WorkerId;
use collab_core::network::Network;
use collab_core::partition::Partition;
use collab_core::time::Micros;

use super::request::{PlaybackRequest, Request};

/// Every word, and what it is followed by.
pub(super) const WORDS: [(&str, &str); 13] = [
    ("throttle", "WORKER PERCENT"),
    ("link", "WORKER 100mbit 3ms, or off"),
    ("accept", ""),
    ("reject", "why"),
    ("freeze", ""),
    ("thaw", ""),
    ("undo", ""),
    ("edit", "UNITS:ROWS/…, as in 0-3:43,43,42/4-6:A"),
    ("verify", ""),
    ("pause", ""),
    ("resume", ""),
    ("mark", "NAME"),
    ("quit", ""),
];

/// What words are checked against.
#[derive(Clone, Copy, Default)]
pub(super) struct Context<'a> {
    /// Workers there are.
    pub(super) workers: usize,
    /// The network, once it is known.
    pub(super) network: Option<&'a Network>,
}

/// Reads a command, without its colon.
///
/// # Errors
///
/// A sentence that says what is wrong and how it is written.
pub(super) fn parse(text: &str, context: Context<'_>) -> Result<Request, String> {
    let text = text.trim();
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        let time = Some(text).filter(|text| text.contains(':')).and_then(Micros::parse);
        let time = time.ok_or_else(|| format!("'{text}' is no time: write 4:47 or 1:02:03"))?;
        return Ok(Request::Playback(PlaybackRequest::SeekTo(time)));
    }
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let verb = match word {
        "throttle" => throttle(rest, context)?,
        "link" => link(rest, context)?,
        "reject" => Verb::Reject { reason: rest.to_owned() },
        "edit" => edit(rest, context)?,
        "mark" if rest.is_empty() => return Err("a mark needs a name: mark before the walk".to_owned()),
        "mark" => Verb::Mark { name: rest.to_owned() },
        "accept" | "freeze" | "thaw" | "undo" | "verify" | "pause" | "resume" | "quit" | "q"
            if !rest.is_empty() =>
        {
            return Err(format!("{word} stands alone, '{rest}' is too much"));
        }
        "accept" => Verb::Accept,
        "freeze" => Verb::Freeze,
        "thaw" => Verb::Thaw,
        "undo" => Verb::Undo,
        "verify" => Verb::Verify,
        "pause" => Verb::PauseTraining,
        "resume" => Verb::ResumeTraining,
        "quit" | "q" => return Ok(Request::Quit),
        _ => {
            let meant = nearest(word).map_or("Esc, then ? lists them".to_owned(), |near| format!("{near}?"));
            return Err(format!("'{word}' is no command: {meant}"));
        }
    };
    Ok(Request::Verb(verb))
}

/// The command that `word` is a slip of, if it is one.
fn nearest(word: &str) -> Option<&'static str> {
    let known = WORDS.iter().map(|(known, _)| (slips(word, known), *known));
    known.filter(|(slips, known)| *slips <= 2 && *slips < known.len()).min().map(|(_, known)| known)
}

/// Characters to insert, delete or replace to get from `a` to `b`.
fn slips(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (at, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (to, y) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[to + 1];
            row[to + 1] = replaced.min(diagonal + 1).min(row[to] + 1);
        }
    }
    row[b.chars().count()]
}

/// The words that give `verb`; [`parse`] reads them back.
pub(super) fn words_of(verb: &Verb) -> String {
    match verb {
        Verb::Throttle { worker, percent } => format!("throttle {worker} {percent}"),
        Verb::Link { worker, rate_mbps: Some(rate), delay_ms } => {
            format!("link {worker} {rate}mbit {delay_ms}ms")
        }
        Verb::Link { worker, rate_mbps: None, delay_ms } if *delay_ms > 0.0 => {
            format!("link {worker} {delay_ms}ms")
        }
        Verb::Link { worker, .. } => format!("link {worker} off"),
        Verb::Reject { reason } if reason.is_empty() => "reject".to_owned(),
        Verb::Reject { reason } => format!("reject {reason}"),
        Verb::Edit { partition } => format!("edit {partition}"),
        Verb::Mark { name } => format!("mark {name}"),
        verb => verb.name().to_owned(),
    }
}

/// What may follow the word that `text` begins with.
pub(super) fn hint(text: &str) -> Option<&'static str> {
    let word = text.split_whitespace().next()?;
    WORDS.iter().find(|(known, after)| *known == word && !after.is_empty()).map(|(_, after)| *after)
}

/// `text` with its last word completed: a command's, or a worker's letter; `None` if nothing fits.
pub(super) fn complete(text: &str, workers: usize) -> Option<String> {
    let Some((word, rest)) = text.split_once(' ') else {
        let fitting: Vec<&str> =
            WORDS.iter().map(|(word, _)| *word).filter(|word| word.starts_with(text)).collect();
        let first = fitting.first()?;
        let shared = (text.len()..=first.len())
            .rev()
            .find(|&length| fitting.iter().all(|word| word.starts_with(&first[..length])))?;
        let space = if fitting.len() == 1 { " " } else { "" };
        return Some(format!("{}{space}", &first[..shared]));
    };
    let needs_worker = matches!(word, "throttle" | "link");
    if !needs_worker || rest.contains(' ') || workers == 0 {
        return None;
    }
    let next = WorkerId::parse(rest).map_or(0, |worker| (worker.index() + 1) % workers);
    Some(format!("{word} {}", WorkerId::at(next)))
}

fn worker(text: &str, context: Context<'_>) -> Result<WorkerId, String> {
    let worker = WorkerId::parse(text).ok_or_else(|| match text {
        "" => "which worker? Give its letter".to_owned(),
        _ => format!("'{text}' is no worker: give its letter"),
    })?;
    if worker.index() < context.workers {
        return Ok(worker);
    }
    Err(match context.workers.checked_sub(1) {
        Some(last) => format!("there is no worker {worker}, the fleet is A to {}", WorkerId::at(last)),
        None => "there are no workers yet".to_owned(),
    })
}

fn throttle(rest: &str, context: Context<'_>) -> Result<Verb, String> {
    let (name, share) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let worker = worker(name, context)?;
    let share = share.trim().trim_end_matches('%').trim_end();
    let percent = share.parse().ok().filter(|percent| (1.0..=100.0).contains(percent));
    match percent {
        Some(percent) => Ok(Verb::Throttle { worker, percent }),
        None if share.is_empty() => Err(format!("to what share? throttle {worker} 60")),
        None => Err(format!("'{share}' is no CPU share: give 1 to 100 %")),
    }
}

fn link(rest: &str, context: Context<'_>) -> Result<Verb, String> {
    let mut fields = rest.split_whitespace();
    let worker = worker(fields.next().unwrap_or(""), context)?;
    let (mut rate_mbps, mut delay_ms, mut given) = (None, 0.0, false);
    for field in fields {
        given = true;
        let lower = field.to_ascii_lowercase();
        if lower == "off" {
            continue;
        }
        let digits = lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len());
        let (number, unit) = lower.split_at(digits);
        let value: Option<f64> = number.parse().ok();
        match (value, unit) {
            (Some(value), "ms") => delay_ms = value,
            (Some(value), "mbit" | "mbit/s" | "mb/s" | "mbps") => rate_mbps = Some(value),
            (Some(value), "gbit" | "gbit/s" | "gb/s" | "gbps") => rate_mbps = Some(value * 1e3),
            _ => return Err(format!("'{field}' is neither a rate (100mbit) nor a delay (3ms) nor off")),
        }
    }
    if rate_mbps.is_some_and(|rate| !LinkShape::RATES_MBPS.contains(&rate)) {
        return Err("a rate is 0.001mbit to 1000gbit".to_owned());
    }
    if !LinkShape::DELAYS_MS.contains(&delay_ms) {
        return Err("a delay is 0ms to 10000ms".to_owned());
    }
    if !given {
        return Err(format!("at what rate or delay? link {worker} 100mbit 3ms, or link {worker} off"));
    }
    Ok(Verb::Link { worker, rate_mbps, delay_ms })
}

fn edit(rest: &str, context: Context<'_>) -> Result<Verb, String> {
    let network = context.network.ok_or("no network is loaded yet")?;
    let partition = Partition::parse(rest, network, context.workers).map_err(|error| error.to_string())?;
    Ok(Verb::Edit { partition: partition.to_string() })
}

#[cfg(test)]
mod tests {
    use collab_core::network::samples::chain;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_read_as_people_type_them() {
        let to = |micros| Ok(Request::Playback(PlaybackRequest::SeekTo(Micros(micros))));
        assert_eq!(parse("4:47", Context::default()), to(287_000_000));
        assert_eq!(parse(" 1:02:03.5", Context::default()), to(3_723_500_000));
        for wrong in ["47", "4:", "4:60", "4:+7", "4:inf", "4:nan"] {
            assert!(says(wrong).contains("write 4:47"), "{wrong}");
        }
    }

    fn says(text: &str) -> String {
        let network = chain(64, 6);
        parse(text, Context { workers: 3, network: Some(&network) }).unwrap_err()
    }

    #[test]
    fn a_wrong_command_is_refused_with_a_sentence_that_helps() {
        for (text, part) in [
            ("", "is no command"),
            ("throtle B 60", "'throtle' is no command: throttle?"),
            ("xyzzy", "then ? lists them"),
            ("throttle", "which worker"),
            ("throttle D 60", "the fleet is A to C"),
            ("throttle 7 60", "is no worker"),
            ("throttle B", "throttle B 60"),
            ("throttle B 0", "1 to 100 %"),
            ("throttle B NaN", "1 to 100 %"),
            ("link B", "link B off"),
            ("link B fast", "neither a rate"),
            ("link B -3ms", "a delay is 0ms"),
            ("link B 3e9ms", "neither a rate"),
            ("link B 20000ms", "to 10000ms"),
            ("link B infmbit", "neither a rate"),
            ("link B 0mbit", "a rate is 0.001mbit"),
            ("link B 0.0001mbit", "a rate is 0.001mbit"),
            ("link B 5000gbit", "to 1000gbit"),
            ("accept it", "stands alone"),
            ("edit 0-5:1,2", "rows for 2 workers"),
            ("mark", "needs a name"),
            ("99", "is no time"),
        ] {
            let sentence = says(text);
            assert!(sentence.contains(part), "{text}: {sentence}");
        }
    }

    #[test]
    fn tab_completes_words_and_walks_through_workers() {
        assert_eq!(complete("thr", 3).as_deref(), Some("throttle "));
        assert_eq!(complete("th", 3).as_deref(), Some("th"), "throttle or thaw");
        assert_eq!(complete("throttle ", 3).as_deref(), Some("throttle A"));
        assert_eq!(complete("throttle C", 3).as_deref(), Some("throttle A"));
        assert_eq!(complete("mark x", 3), None);
        assert_eq!(complete("zz", 3), None);
    }

    fn sentence() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9,.äß–][a-zA-Z0-9 ,.:äß–]{0,20}[a-zA-Z0-9]".prop_map(|text| text)
    }

    fn verb() -> impl Strategy<Value = Verb> {
        let worker = (0u8..3).prop_map(WorkerId);
        let rate = proptest::option::of(0.001f64..1e6);
        prop_oneof![
            (worker.clone(), 1.0f64..=100.0).prop_map(|(worker, percent)| Verb::Throttle { worker, percent }),
            (worker, rate, 0.0f64..10_000.0).prop_map(|(worker, rate_mbps, delay_ms)| Verb::Link {
                worker,
                rate_mbps,
                delay_ms
            }),
            Just(Verb::Accept),
            Just(Verb::Freeze),
            Just(Verb::Thaw),
            Just(Verb::Undo),
            Just(Verb::Verify),
            Just(Verb::PauseTraining),
            Just(Verb::ResumeTraining),
            Just(Verb::Reject { reason: String::new() }),
            sentence().prop_map(|reason| Verb::Reject { reason }),
            sentence().prop_map(|name| Verb::Mark { name }),
            (0u32..64).prop_map(|rows| Verb::Edit { partition: format!("0-2:{},{rows},0/3-5:B", 64 - rows) }),
        ]
    }

    proptest! {
        #[test]
        fn the_words_of_every_verb_read_back(verb in verb()) {
            let network = chain(64, 6);
            let context = Context { workers: 3, network: Some(&network) };
            let canonical = |verb: &Verb| match verb {
                Verb::Edit { partition } => Partition::parse(partition, &network, 3).unwrap().to_string(),
                verb => words_of(verb),
            };
            let Ok(Request::Verb(read)) = parse(&words_of(&verb), context) else {
                return Err(TestCaseError::fail(words_of(&verb)));
            };
            prop_assert_eq!(canonical(&read), canonical(&verb));
            prop_assert_eq!(read.name(), verb.name());
        }

        #[test]
        fn nothing_typed_makes_the_parser_fail_otherwise_than_with_a_sentence(text in ".{0,40}") {
            let network = chain(64, 6);
            if let Err(sentence) = parse(&text, Context { workers: 3, network: Some(&network) }) {
                prop_assert!(!sentence.is_empty());
            }
        }
    }
}
