//! The one sentence under the workers that says where to look.

use collab_core::event::SpanKind;
use collab_core::id::{Node, WorkerId};
use collab_core::lab::{Lab, WorkerState};

use crate::stage::Shown;

/// A link this many times slower than the fastest one is worth a sentence.
const SLOW_LINK: f64 = 4.0;
/// So is computing that takes this much longer, %, because other programs have the processor…
const LONG_DELAY: f64 = 15.0;
/// …and waiting for more than this part of a run.
const LONG_WAIT: f64 = 0.25;

/// What matters most at the moment, and whose it is. A lost worker says so in its own row.
pub(super) fn notice(shown: &Shown, lab: &Lab) -> Option<(Option<WorkerId>, String)> {
    let failed = shown.recording.as_ref().and_then(|recording| recording.failed.as_ref());
    if let Some(reason) = failed {
        return Some((None, format!("the session is no longer recorded: {reason}")));
    }
    let of_worker =
        refused(lab).or_else(|| delayed(lab)).or_else(|| slow_link(lab)).or_else(|| long_wait(lab));
    of_worker.map(|(worker, sentence)| (Some(worker), sentence))
}

fn ready(lab: &Lab) -> impl Iterator<Item = &WorkerState> {
    lab.workers.iter().filter(|worker| worker.is_ready())
}

fn refused(lab: &Lab) -> Option<(WorkerId, String)> {
    let status = ready(lab).filter_map(|worker| worker.status.as_ref());
    let most = status.max_by_key(|status| status.refused)?;
    let times = if most.refused == 1 { "once".to_owned() } else { format!("{} times", most.refused) };
    (most.refused > 0)
        .then(|| (most.worker, format!("refused {times} to talk to someone with an unknown key")))
}

fn delayed(lab: &Lab) -> Option<(WorkerId, String)> {
    let statuses = ready(lab).filter_map(|it| Some((it.info.emulation.is_some(), it.status.as_ref()?)));
    let (is_emulated, most) = statuses.max_by(|a, b| a.1.delayed_percent.total_cmp(&b.1.delayed_percent))?;
    let percent = most.delayed_percent;
    let sentence = match is_emulated {
        true => {
            format!("this machine is too busy: computing takes {percent:.0} % longer than emulated.")
        }
        false => format!("other programs on it make computing take {percent:.0} % longer."),
    };
    (percent >= LONG_DELAY).then_some((most.worker, sentence))
}

fn slow_link(lab: &Lab) -> Option<(WorkerId, String)> {
    let (fastest, slow) = slow_links(lab)?;
    let ((slowest, times), others) = slow.split_first()?;
    let others: Vec<String> =
        others.iter().map(|(worker, times)| format!(" {worker}'s is {times:.0} times slower.")).collect();
    let wait = wait_part(lab, *slowest).filter(|part| *part >= 0.01);
    let waits = wait.map(|part| format!(" It waits for rows {:.0} % of a run.", part * 100.0));
    let slow = format!("its link is {times:.0} times slower than {fastest}'s.");
    Some((*slowest, format!("{slow}{}{}", waits.unwrap_or_default(), others.concat())))
}

/// The worker with the fastest link, and those whose links are much slower, the slowest first, with how many times. The
/// link of a worker without rows holds up nothing.
pub(super) fn slow_links(lab: &Lab) -> Option<(WorkerId, Vec<(WorkerId, f64)>)> {
    let owns = |it: &&WorkerState| lab.share(it.info.worker.index()).is_none_or(|share| share > 0.0);
    let rate = |it: &WorkerState| Some((it.info.worker, lab.sending_mbps(it.info.worker)?));
    let rates: Vec<(WorkerId, f64)> = ready(lab).filter(owns).filter_map(rate).collect();
    let (fastest, most) = rates.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let slower = rates.into_iter().map(|(worker, rate)| (worker, most / rate.max(1e-3)));
    let mut slow: Vec<(WorkerId, f64)> = slower.filter(|(_, times)| *times >= SLOW_LINK).collect();
    slow.sort_by(|a, b| b.1.total_cmp(&a.1));
    Some((fastest, slow))
}

fn wait_part(lab: &Lab, worker: WorkerId) -> Option<f64> {
    lab.worker(worker)?.mean_wait()
}

fn long_wait(lab: &Lab) -> Option<(WorkerId, String)> {
    let waits = ready(lab).filter_map(|it| Some((it.info.worker, it.mean_wait()?)));
    let (worker, part) = waits.max_by(|a, b| a.1.total_cmp(&b.1))?;
    if part < LONG_WAIT {
        return None;
    }
    let node = Node::Worker(worker);
    let waited = lab.timeline.iter().filter(|span| span.node == node && span.kind == SpanKind::Wait);
    let longest = waited.max_by(|a, b| (a.end_ms - a.start_ms).total_cmp(&(b.end_ms - b.start_ms)));
    let place = longest.map_or_else(String::new, |span| match span.peer {
        Some(peer) => format!(", most of it for {peer}'s rows of block {}", span.block + 1),
        None => format!(", most of it before block {}", span.block + 1),
    });
    Some((worker, format!("waits {:.0} % of every run{place}.", part * 100.0)))
}
