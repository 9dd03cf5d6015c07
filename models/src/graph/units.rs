//! Cuts: where exactly one tensor is alive, the network falls apart into units.

use std::collections::HashSet;

use collab_core::network::{Layer, Split, Unit};

use super::steps::{Source, Step};
use crate::rows::Along;

/// Walks the layers in order and cuts where what follows reads only the last one's output.
pub(super) fn cut(steps: &[Step], members: &[Vec<usize>], layers: &[Layer]) -> Vec<Unit> {
    let last_use = last_uses(layers);
    let mut alive: HashSet<usize> = HashSet::new();
    let mut units = Vec::new();
    let mut start = 0;
    for index in 0..layers.len() {
        alive.insert(index);
        alive.retain(|&layer| last_use[layer] > index);
        let input_alive =
            layers[index + 1..].iter().any(|layer| layer.inputs.iter().any(|edge| edge.from.is_none()));
        let last = members[index][members[index].len() - 1];
        let alone = alive.len() == 1 && alive.contains(&index) && !input_alive;
        if alone && (steps[last].floats || index + 1 == layers.len()) {
            units.push(Unit {
                layers: (start as u32, index as u32 + 1),
                output: layers[index].output,
                split: split(steps, &members[start..=index]),
            });
            start = index + 1;
        }
    }
    units
}

/// The last layer that reads each layer; the network's output is read by the world.
fn last_uses(layers: &[Layer]) -> Vec<usize> {
    let mut last_use: Vec<usize> = (0..layers.len()).collect();
    for (index, layer) in layers.iter().enumerate() {
        for from in layer.inputs.iter().filter_map(|edge| edge.from) {
            last_use[from as usize] = index;
        }
    }
    if let Some(last) = last_use.last_mut() {
        *last = usize::MAX;
    }
    last_use
}

/// How a unit's output may be divided, from the steps of its layers.
fn split(steps: &[Step], unit: &[Vec<usize>]) -> Split {
    let inside: Vec<&Step> = unit.iter().flatten().map(|&step| &steps[step]).collect();
    let Some(last) = inside.last() else { return Split::Whole("the unit is empty".to_owned()) };
    if let Some(obstacle) = inside.iter().find_map(|step| step.split.obstacle.clone()) {
        return Split::Whole(obstacle);
    }
    match last.split.along {
        Along::Rows(axis) if last.shape[axis] > 1 => Split::Rows,
        Along::Features(axis) if last.shape[axis] > 1 => Split::Features,
        Along::Nothing => {
            let reshaped = inside.iter().rev().find(|step| {
                step.sources.iter().any(|source| match source {
                    Source::Step(step) => steps[*step].split.along != Along::Nothing,
                    Source::Input => true,
                    Source::Konst(_) => false,
                })
            });
            let name = reshaped.map_or("a reshape", |step| step.name.as_str());
            Split::Whole(format!("rows are mixed by `{name}`"))
        }
        _ => Split::Whole("the output has one row".to_owned()),
    }
}
