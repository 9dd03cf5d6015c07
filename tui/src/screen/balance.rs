//! Why the running partition is as fast as it is: what it saves over one device, how evenly it keeps them busy, who is
//! done last, and what it exchanges.

use collab_core::event::{Proposal, SpanKind};
use collab_core::id::{Node, WorkerId};
use collab_core::lab::Lab;
use ratatui::text::Span;

use super::{Scene, text};

/// `×1.49 over A alone`, `computing A 95 % B 96 % C 90 % of the run`, `B is done last`, `exchanged 12 KiB`, of the last run;
/// nothing before one has ended.
pub(super) fn parts(scene: &Scene, now: &Proposal) -> Vec<Vec<Span<'static>>> {
    let theme = scene.theme;
    let lab = scene.lab;
    let Some(busy) = busy(lab, now) else { return Vec::new() };
    let mut parts = Vec::new();
    if let (Some((best, alone)), Some(measured)) = (lab.best_single_now(), lab.measured_ms(0.5))
        && measured > 0.0
    {
        let best = best.info.worker;
        parts.push(vec![
            Span::styled(format!("×{:.2}", alone / measured), theme.strong()),
            Span::styled(" over ", theme.dim()),
            Span::styled(best.to_string(), theme.worker(best)),
            Span::styled(" alone", theme.dim()),
        ]);
    }
    let mut compute = vec![Span::styled("computing", theme.dim())];
    for (worker, part) in &busy {
        compute.push(Span::styled(format!(" {worker} "), theme.worker(*worker)));
        compute.push(Span::raw(text::percent(Some(*part))));
    }
    compute.push(Span::styled(" of the run", theme.dim()));
    parts.push(compute);
    if busy.len() > 1
        && let Some(last) = last(lab)
    {
        let name = Span::styled(last.to_string(), theme.worker(last));
        parts.push(vec![name, Span::styled(" is done last", theme.dim())]);
    }
    if busy.len() > 1 {
        let told = match exchanged(now) {
            0 => "nothing is exchanged".to_owned(),
            bytes => format!("exchanged {}", text::bytes(bytes)),
        };
        parts.push(vec![Span::styled(told, theme.dim())]);
    }
    parts
}

/// The part of the last run that each worker with rows computed, if that run was of this partition.
fn busy(lab: &Lab, now: &Proposal) -> Option<Vec<(WorkerId, f64)>> {
    let (run, _) = lab.timeline_of.filter(|(_, of)| *of == now.partition)?;
    let ms = lab.runs.recent.iter().rev().find(|sample| sample.run == run)?.ms;
    let computed = |worker: WorkerId| {
        let spans = lab.timeline.iter().filter(|it| it.node == Node::Worker(worker));
        let spans = spans.filter(|it| it.kind == SpanKind::Compute);
        spans.map(|it| it.end_ms - it.start_ms).reduce(|sum, ms| sum + ms)
    };
    let workers = (0..lab.workers.len()).map(WorkerId::at);
    let busy = workers.filter_map(|worker| Some((worker, (computed(worker)? / ms).clamp(0.0, 1.0))));
    Some(busy.collect::<Vec<_>>()).filter(|busy| !busy.is_empty() && ms > 0.0)
}

/// Whose rows the lab had last.
fn last(lab: &Lab) -> Option<WorkerId> {
    let sent = lab.timeline.iter().filter(|it| it.kind == SpanKind::Send && it.peer == Some(Node::Lab));
    match sent.max_by(|a, b| a.end_ms.total_cmp(&b.end_ms))?.node {
        Node::Worker(worker) => Some(worker),
        Node::Lab => None,
    }
}

/// Bytes that workers send each other in a run.
fn exchanged(plan: &Proposal) -> u64 {
    let between = |it: &&collab_core::event::PredictedSpan| {
        it.kind == SpanKind::Send && matches!((it.node, it.peer), (Node::Worker(_), Some(Node::Worker(_))))
    };
    plan.spans.iter().filter(between).map(|it| it.bytes).sum()
}
