//! Layers: steps that are executed, timed and planned together.
//!
//! A layer is one operator of weight with the light ones behind it that work on its rows one by one
//! (activations, batch norms left over, a residual addition), and renamings of axes before it. The engine
//! fuses most of these into the operator anyway, so their time could not be told apart.

use collab_core::network::{Edge, Layer};
use collab_core::rows::RowMap;

use super::cut;
use super::label;
use super::steps::{Source, Step};
use super::work;
use crate::rows::Weight;

/// How far behind a step its layer may reach.
const WINDOW: usize = 24;

/// The steps of every layer, ascending; the last one of each yields its output, and no other one of its
/// steps is read from outside.
pub(super) fn gather(steps: &[Step]) -> Vec<Vec<usize>> {
    let readers = readers(steps);
    let mut taken = vec![false; steps.len()];
    let mut layers = Vec::new();
    for head in 0..steps.len() {
        if taken[head] {
            continue;
        }
        let members = grow(steps, &readers, &taken, head);
        for &member in &members {
            taken[member] = true;
        }
        layers.push(members);
    }
    layers
}

/// The steps that read each step; the last step is read by the world, as step `usize::MAX`.
fn readers(steps: &[Step]) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        for source in &step.sources {
            if let Source::Step(read) = source {
                readers[*read].push(index);
            }
        }
    }
    if let Some(last) = readers.last_mut() {
        last.push(usize::MAX);
    }
    readers
}

fn grow(steps: &[Step], readers: &[Vec<usize>], taken: &[bool], head: usize) -> Vec<usize> {
    let mut members = lead(steps, readers, taken, head);
    let first = members.len();
    let core = members[first - 1];
    let mut good = first;
    for next in core + 1..steps.len().min(core + WINDOW) {
        if taken[next] || steps[next].split.weight == Weight::Heavy || !joins(steps, &members, head, next) {
            continue;
        }
        members.push(next);
        let outside = |&&member: &&usize| readers[member].iter().any(|reader| !members.contains(reader));
        let open: Vec<usize> = members.iter().filter(outside).copied().collect();
        if open == [next] {
            good = members.len();
        }
    }
    members.truncate(good);
    members
}

/// The step `head` and, while it only renames axes for one reader, that reader.
fn lead(steps: &[Step], readers: &[Vec<usize>], taken: &[bool], head: usize) -> Vec<usize> {
    let mut members = vec![head];
    let mut last = head;
    while steps[last].split.weight == Weight::Move {
        let [next] = readers[last][..] else { break };
        if next == usize::MAX
            || taken[next]
            || next > head + WINDOW
            || steps[next].split.weight == Weight::Light
        {
            break;
        }
        // All rows of a renaming are as many as all rows of what it reads, so such maps may follow each other.
        let whole = |step: usize| needs(&steps[step]).all(|(_, map)| map.num == 0);
        let same = needs(&steps[last]).all(|(_, map)| map == RowMap::SAME);
        let others = needs(&steps[next]).all(|(source, _)| match source {
            Source::Step(step) => *step == last || *step < head,
            _ => true,
        });
        if !others || !(same || whole(last) && whole(next)) {
            break;
        }
        members.push(next);
        last = next;
    }
    members
}

/// Whether step `next` works row by row on what `members` yield, and otherwise only on what is there before.
fn joins(steps: &[Step], members: &[usize], head: usize, next: usize) -> bool {
    let mut inside = false;
    for (source, map) in needs(&steps[next]) {
        match source {
            Source::Step(step) if members.contains(step) => {
                inside = true;
                if map != RowMap::SAME {
                    return false;
                }
            }
            Source::Step(step) if *step >= head => return false,
            _ if map != RowMap::SAME => return false,
            _ => {}
        }
    }
    inside
}

/// What a step reads that is no constant, each with the rows it needs.
fn needs(step: &Step) -> impl Iterator<Item = (&Source, RowMap)> {
    let pairs = step.sources.iter().zip(step.split.needs.iter().copied());
    pairs.filter(|(source, _)| !matches!(source, Source::Konst(_)))
}

/// The layers as the rest of the workspace sees them.
pub(super) fn describe(steps: &[Step], members: &[Vec<usize>]) -> Vec<Layer> {
    let mut owner = vec![0; steps.len()];
    for (layer, members) in members.iter().enumerate() {
        for &member in members {
            owner[member] = layer;
        }
    }
    let network_bytes = steps.iter().map(Step::kept_bytes).sum();
    let layouts = work::layouts(steps);
    let mut taken = std::collections::HashSet::new();
    let layer = |(index, members): (usize, &Vec<usize>)| {
        let last = members[members.len() - 1];
        let output = cut(&steps[last].shape, steps[last].split.along);
        let macs: u64 = members.iter().map(|&member| steps[member].macs).sum();
        let (core, op, kind) = label::describe(steps, members);
        let mut name = label::name(&steps[core].name);
        if !taken.insert(name.clone()) {
            name = format!("{name} {index}");
            taken.insert(name.clone());
        }
        Layer {
            name,
            op,
            kind,
            inputs: edges(steps, members, &owner, index),
            output,
            row_macs: macs.div_ceil(u64::from(output.rows.max(1))),
            weight_bytes: members.iter().map(|&member| steps[member].weight_bytes).sum(),
            kept_bytes: members.iter().map(|&member| steps[member].kept_bytes()).sum(),
            work: work::of(steps, members, &layouts, network_bytes),
        }
    };
    members.iter().enumerate().map(layer).collect()
}

/// What the layer reads from others, and which rows of it for rows of the layer's output.
fn edges(steps: &[Step], members: &[usize], owner: &[usize], layer: usize) -> Vec<Edge> {
    let mut edges: Vec<Edge> = Vec::new();
    // From rows of the layer's output to rows of each member's.
    let mut reach = vec![RowMap::SAME; members.len()];
    for (place, &member) in members.iter().enumerate().rev() {
        for (source, map) in needs(&steps[member]) {
            let map = follow(reach[place], map);
            let from = match source {
                Source::Step(step) if owner[*step] == layer => {
                    if let Ok(inside) = members.binary_search(step) {
                        reach[inside] = map;
                    }
                    continue;
                }
                Source::Step(step) => Some(owner[*step] as u32),
                _ => None,
            };
            let edge = Edge { from, map };
            if !edges.contains(&edge) {
                edges.push(edge);
            }
        }
    }
    edges.reverse();
    edges
}

/// One map after another. Within a layer one of them keeps the rows, or both need everything.
fn follow(first: RowMap, second: RowMap) -> RowMap {
    if second == RowMap::SAME { first } else { second }
}
