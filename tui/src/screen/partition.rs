//! The third view: who owns which rows, now and as proposed, and the timeline of the last run.

use collab_core::event::{Proposal, SpanKind};
use collab_core::id::{Node, WorkerId};
use collab_core::network::{Network, Split};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::widgets::gantt::{self, Interval, Lane};
use super::widgets::ribbon::{self, Band, Look, Slab};
use super::{Scene, balance, text, why};
use crate::theme::Depth;

/// Rows that a ribbon needs before a sentence has room under it.
const LEAST_RIBBON: u16 = 5;

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let lanes = lanes(scene);
    let wanted = 3 + 3 * lanes.len() as u16;
    let timeline = wanted.clamp(6, (area.height * 3 / 5).max(6));
    let [top, bottom] = area.layout(&Layout::vertical([Constraint::Min(0), Constraint::Length(timeline)]));
    let lab = scene.lab;
    let ribbons: Vec<(&'static str, &Proposal)> = lab
        .running()
        .map(|now| ("now", now))
        .into_iter()
        .chain(lab.offered().map(|new| ("new", new)))
        .collect();
    if ribbons.is_empty() {
        let inner = Panel::new(scene.theme, "Partition").draw(scene.theme, top, buf);
        panel::write([Line::styled("No partition runs yet.", scene.theme.dim())], inner, buf);
    }
    let parts = Layout::horizontal(vec![Constraint::Fill(1); ribbons.len()]).split(top);
    for ((word, proposal), part) in ribbons.iter().zip(parts.iter()) {
        draw_ribbon(scene, word, proposal, *part, buf);
    }
    draw_timeline(scene, &lanes, bottom, buf);
}

fn draw_ribbon(scene: &Scene, word: &str, proposal: &Proposal, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let is_hollow = word == "new";
    let lab = scene.lab;
    let predicted = match lab.outlook() {
        Some(outlook) if is_hollow => Some(outlook.new_ms),
        Some(outlook) => Some(outlook.now_ms),
        None if is_hollow => proposal.predicted_ms,
        None => lab.prediction().map(|prediction| prediction.ms),
    };
    let told = [("○", predicted), ("●", lab.measured_ms(0.5).filter(|_| !is_hollow))];
    let told = told.into_iter().filter_map(|(sign, ms)| Some(format!("{sign} {} ms", text::ms(ms?))));
    let time = told.collect::<Vec<_>>().join("  ");
    // The times matter more than who made it, and that more than what is seen anyway.
    let room = usize::from(area.width).saturating_sub(8 + text::width(&time));
    let short = format!("{word} {}", proposal.partition);
    let long = if is_hollow { short.clone() } else { format!("Partition {short}") };
    let title = if text::width(&long) < room { long } else { short };
    let made = if proposal.measures() { proposal.reason.clone() } else { format!("by {}", proposal.planner) };
    let is_told = text::width(&title) + 3 + text::width(&made) < room;
    let mut panel = Panel::new(theme, title);
    if is_told {
        panel = panel.with(made, theme.dim());
    }
    let room = usize::from(area.width).saturating_sub(6);
    let plan = Line::styled(text::shorten(&proposal.plan.to_string(), room), theme.dim());
    let inner = panel.remark(time).foot(plan).draw(theme, area, buf);
    let Some(network) = &scene.lab.network else { return };
    // Beside an offer, the timeline's foot tells them apart instead.
    let why = if lab.offered().is_none() { balance::parts(scene, proposal) } else { Vec::new() };
    let inner = match text::flow(why, 3, usize::from(inner.width)).into_iter().next() {
        Some(line) if inner.height > LEAST_RIBBON => {
            let row = Rect { y: inner.bottom() - 1, height: 1, ..inner };
            buf.set_line(row.x, row.y, &line, row.width);
            Rect { height: inner.height - 1, ..inner }
        }
        _ => inner,
    };
    let look = Look { is_hollow, is_mono: theme.depth == Depth::Mono, dim: theme.dim(), line: theme.line() };
    ribbon::draw(&slabs(scene, network, proposal, is_hollow), look, inner, buf);
}

/// The blocks, as wide as the square root of their work so that small ones stay legible.
fn slabs(scene: &Scene, network: &Network, proposal: &Proposal, is_hollow: bool) -> Vec<Slab> {
    let blocks = &proposal.plan.blocks;
    let slab = |(index, block): (usize, &collab_core::partition::Block)| {
        let span = block.span();
        let layers = &network.layers[network.layers_of(&span)];
        let work: u64 = layers.iter().map(|layer| layer.row_macs * u64::from(layer.output.rows)).sum();
        let is_tail = span.start >= network.tail_start()
            || matches!(network.units[span.end - 1].split, Split::Whole(_));
        let name = if is_tail { "tail".to_owned() } else { format!("block {}", index + 1) };
        let units = if span.len() == 1 {
            span.start.to_string()
        } else {
            format!("{}–{}", span.start, span.end - 1)
        };
        let band = |worker: usize| Band {
            letter: WorkerId::at(worker).to_string(),
            style: scene.theme.worker(WorkerId::at(worker)),
            area: if is_hollow {
                scene.theme.worker(WorkerId::at(worker))
            } else {
                scene.theme.worker_area(WorkerId::at(worker))
            },
            rows: block.rows(worker).len(),
        };
        let exchanged: u64 = proposal
            .spans
            .iter()
            .filter(|span| span.kind == SpanKind::Send && span.block == index as u32)
            .filter(|span| matches!((span.node, span.peer), (Node::Worker(_), Some(Node::Worker(_)))))
            .map(|span| span.bytes)
            .sum();
        let is_last = index + 1 == blocks.len();
        let exchanges = match exchanged {
            _ if is_last => Vec::new(),
            0 => vec!["no halo".to_owned(), "—".to_owned()],
            bytes => {
                let told = text::bytes(bytes);
                vec![format!("halo {told} →"), format!("{told} →"), "→".to_owned()]
            }
        };
        let number = (index + 1).to_string();
        let titles = vec![format!("{name} · {units}"), format!("{number} · {units}"), number];
        Slab {
            titles,
            weight: (work.max(1) as f64).sqrt(),
            bands: (0..proposal.plan.workers()).map(band).collect(),
            exchanges,
        }
    };
    blocks.iter().enumerate().map(slab).collect()
}

/// Every node that does something in the last run, or should.
fn lanes(scene: &Scene) -> Vec<Lane> {
    let lab = scene.lab;
    let predicted = lab.timeline_predicted.as_ref().map_or(&[][..], |prediction| &prediction.spans);
    let workers = (0..lab.workers.len()).map(|at| Node::Worker(WorkerId::at(at)));
    let lane = |node: Node| {
        let measured = lab.timeline.iter().filter(|span| span.node == node);
        let measured = measured.map(|it| Interval {
            kind: it.kind,
            block: it.block,
            start: it.start_ms,
            end: it.end_ms,
        });
        let predicted = predicted.iter().filter(|span| span.node == node);
        let predicted = predicted.map(|it| Interval {
            kind: it.kind,
            block: it.block,
            start: it.start_ms,
            end: it.end_ms,
        });
        let style = match node {
            Node::Lab => scene.theme.text(),
            Node::Worker(worker) => scene.theme.worker(worker),
        };
        let is_selected = node == Node::Worker(WorkerId::at(scene.ui.worker));
        let label_style = if is_selected { scene.theme.selected(style) } else { style };
        let (measured, predicted) = (measured.collect(), predicted.collect());
        Lane { label: node.to_string(), label_style, style, measured, predicted }
    };
    let lanes = [Node::Lab].into_iter().chain(workers).map(lane);
    lanes.filter(|lane| !lane.measured.is_empty() || !lane.predicted.is_empty()).collect()
}

fn draw_timeline(scene: &Scene, lanes: &[Lane], area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let title = match scene.lab.timeline_of {
        Some((run, partition)) => format!("Timeline of run {} on {partition}, ms", text::thousands(run.0)),
        None => "Timeline of one run, ms".to_owned(),
    };
    let room = usize::from(area.width).saturating_sub(6);
    let legend = if area.width >= super::WIDE {
        "█ compute  ▒ send  · wait   hollow: predicted"
    } else {
        "█ compute ▒ send · wait"
    };
    let panel = Panel::new(theme, title).remark(Line::styled(legend, theme.dim()));
    let told = scene.lab.offered().and_then(|offered| why::told(scene.lab, offered));
    let foot = told.map_or_else(|| missed(scene), |told| (NEW_LESS_NOW, why::parts(scene, told)));
    let foot = one_line(scene, foot, room);
    let inner = panel.foot(foot).draw(theme, area, buf);
    if lanes.is_empty() {
        panel::write([Line::styled("No run has ended yet.", theme.dim())], inner, buf);
        return;
    }
    let ends = lanes.iter().flat_map(|lane| lane.measured.iter().chain(&lane.predicted)).map(|span| span.end);
    let until = ends.fold(0.0, f64::max);
    gantt::draw(lanes, until, theme.dim(), inner, buf);
}

/// What differences are told of.
const NEW_LESS_NOW: &str = "new less now:";
/// The same, of the last run.
const MEASURED_LESS_PREDICTED: &str = "measured less predicted:";

/// As many parts as there is room for, after what they are.
fn one_line(
    scene: &Scene,
    (what, parts): (&'static str, Vec<Vec<Span<'static>>>),
    room: usize,
) -> Line<'static> {
    if parts.is_empty() {
        return Line::default();
    }
    let all = [vec![Span::styled(what, scene.theme.dim())]].into_iter().chain(parts).collect();
    text::flow(all, 2, room).into_iter().next().unwrap_or_default()
}

/// The last run less what was predicted before it: where the prediction is wrong.
fn missed(scene: &Scene) -> (&'static str, Vec<Vec<Span<'static>>>) {
    let theme = scene.theme;
    let lab = scene.lab;
    let Some(predicted) = lab.timeline_predicted.as_ref().filter(|_| !lab.timeline.is_empty()) else {
        return (MEASURED_LESS_PREDICTED, Vec::new());
    };
    let by = |kind: SpanKind, node: Option<Node>| {
        let is_meant = |of: SpanKind, at: Node| of == kind && node.is_none_or(|node| node == at);
        let measured = lab.timeline.iter().filter(|it| is_meant(it.kind, it.node));
        let measured = measured.fold(0.0, |sum, it| sum + it.end_ms - it.start_ms);
        let expected = predicted.spans.iter().filter(|it| is_meant(it.kind, it.node));
        measured - expected.fold(0.0, |sum, it| sum + it.end_ms - it.start_ms)
    };
    let mut parts = Vec::new();
    if let Some(run) =
        lab.runs.recent.iter().rev().find(|run| Some(run.run) == lab.timeline_of.map(|of| of.0))
    {
        let missed = Span::raw(text::signed_ms(run.ms - predicted.ms));
        let allowed = format!(" (±{})", text::ms(predicted.ms * predicted.half));
        parts.push(vec![Span::styled("the run ", theme.dim()), missed, Span::styled(allowed, theme.dim())]);
    }
    let computes = |worker: &WorkerId| lab.timeline.iter().any(|it| it.node == Node::Worker(*worker));
    for (index, worker) in (0..lab.workers.len()).map(WorkerId::at).filter(computes).enumerate() {
        parts.push(vec![
            Span::styled(if index == 0 { "compute " } else { "" }, theme.dim()),
            Span::styled(format!("{worker} "), theme.worker(worker)),
            Span::raw(text::signed_ms(by(SpanKind::Compute, Some(Node::Worker(worker))))),
        ]);
    }
    for (kind, word) in [(SpanKind::Send, "send "), (SpanKind::Wait, "wait ")] {
        let difference = Span::raw(text::signed_ms(by(kind, None)));
        parts.push(vec![Span::styled(word, theme.dim()), difference]);
    }
    (MEASURED_LESS_PREDICTED, parts)
}
