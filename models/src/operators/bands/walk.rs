//! Going down maps together, band after band.

use std::ops::Range;

use collab_kernels::{KernelError, Layout, Map, Share};
use tract_onnx::tract_core::internal::*;

use super::Stage;
use crate::operators::layouts::channels_of;
use crate::operators::workspace::{Hand, Workspace};
use crate::team::thread_time;

/// Some stages, one after the other, and what they read.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) stages: &'a [Stage],
    /// The number of the first of them.
    pub(super) first: usize,
    /// What the first reads, and how it lies.
    pub(super) input: Map<'a>,
    pub(super) layout: Layout,
    /// All inputs, for those that are added.
    pub(super) inputs: &'a [&'a [f32]],
}

impl Walk<'_> {
    /// Computes what the last stage yields, a share on each thread, `step` of its rows at a time. Where shares have some
    /// channels only, each stage has the same.
    pub(super) fn run(
        &self,
        output: &mut [f32],
        shares: &[Share],
        step: usize,
        workspace: &mut Workspace,
    ) -> Result<(), KernelError> {
        let last = &self.stages[self.stages.len() - 1];
        let all = last.output[0];
        // Planes of the output are blocks of channels where it lies so.
        let in_planes = |share: &Share| Share { channels: last.planes_of(&share.channels), ..share.clone() };
        let divided: TVec<Share> = shares.iter().map(in_planes).collect();
        let size = [last.planes()[0], last.output[1]];
        workspace.by_shares(output, size, &[], &divided, |share, planes, hand| {
            let channels = channels_of(last.layout, &share.channels, all);
            let some = (channels.len() < all).then_some(channels);
            self.go(share.rows.clone(), some, step, planes, hand)
        })
    }

    /// Computes rows `rows` of the last stage's output, of `some` channels or all, into one slice a channel or block.
    fn go(
        &self,
        rows: Range<usize>,
        some: Option<Range<usize>>,
        step: usize,
        output: &mut [&mut [f32]],
        hand: &mut Hand,
    ) -> Result<(), KernelError> {
        let Hand { scratch, planes: list, bands, laps } = hand;
        let last = self.stages.len() - 1;
        laps.resize(laps.len().max(self.first + self.stages.len()), Default::default());
        let mut memory = bands.take(self.stages[..last].iter().map(Stage::values).sum());
        let mut bands: TVec<Band<'_>> = TVec::new();
        for stage in &self.stages[..last] {
            let (values, rest) = memory.split_at_mut(stage.values());
            bands.push(Band { values, held: 0..0 });
            memory = rest;
        }
        let mut needs: TVec<Range<usize>> = self.stages.iter().map(|_| 0..0).collect();
        let mut begun = thread_time();
        let mut start = rows.start;
        while start < rows.end {
            let end = start + step;
            let end = end - usize::from(step > 1 && self.stages[last].reach.cuts_a_pair(end));
            needs[last] = start..end.min(rows.end);
            start = needs[last].end;
            for at in (0..last).rev() {
                let Range { start, end } = self.stages[at + 1].reach.need(&needs[at + 1]);
                let end = end + usize::from(self.stages[at].reach.cuts_a_pair(end));
                needs[at] = start..end.min(self.stages[at].output[1]);
            }
            for (at, stage) in self.stages.iter().enumerate() {
                let (before, own) = bands.split_at_mut(at);
                let (input, first, layout) = match before.last() {
                    Some(band) => {
                        let from = &self.stages[at - 1];
                        let [planes, width] = from.planes();
                        let map = Map::new(band.values, planes, from.room, width)?;
                        (map.rows_between(0, band.held.len()), band.held.start, from.layout)
                    }
                    None => (self.input, 0, self.layout),
                };
                let mut made = needs[at].clone();
                let channels = some.clone().unwrap_or(0..stage.output[0]);
                let ([count, width], planes_of) = (stage.planes(), stage.planes_of(&channels));
                let mut planes = match own.first_mut() {
                    Some(band) => {
                        made.start = band.advance(&made, width, stage.room * width);
                        let at = (made.start - band.held.start) * width;
                        let mut planes = list.split(band.values, count);
                        planes.truncate(planes_of.end);
                        planes.drain(..planes_of.start);
                        for plane in &mut planes {
                            *plane = &mut std::mem::take(plane)[at..][..made.len() * width];
                        }
                        planes
                    }
                    None => {
                        let at = (made.start - rows.start) * width;
                        let mut planes = list.split(&mut [], 1);
                        let len = made.len() * width;
                        planes.extend(output.iter_mut().map(|plane| &mut plane[at..][..len]));
                        planes
                    }
                };
                let result = if made.is_empty() {
                    Ok(())
                } else {
                    let mut strip = stage.reach.strip(&made, input, first);
                    if let Some(residual) = stage.residual {
                        let [channels, height, width] = stage.output;
                        let [planes, width] = stage.added.as_planes(channels, width);
                        let map = Map::new(self.inputs[residual], planes, height, width)?;
                        strip.residual = Some(map.rows_between(made.start, made.end));
                    }
                    stage.operator.run_band(
                        &strip,
                        [layout, stage.layout],
                        channels.clone(),
                        &mut planes,
                        scratch,
                    )
                };
                list.keep(planes);
                result?;
                let now = thread_time();
                laps[self.first + at] += now.saturating_sub(begun);
                begun = now;
            }
        }
        Ok(())
    }
}

/// The rows of a map that are there at present.
struct Band<'a> {
    values: &'a mut [f32],
    held: Range<usize>,
}

impl Band<'_> {
    /// Goes on to rows `next`, of which those held already are moved to the beginning; the first row that is not.
    fn advance(&mut self, next: &Range<usize>, width: usize, plane: usize) -> usize {
        let kept = next.start..self.held.end.max(next.start);
        if !kept.is_empty() {
            let from = (kept.start - self.held.start) * width;
            for plane in self.values.chunks_exact_mut(plane) {
                plane.copy_within(from..from + kept.len() * width, 0);
            }
        }
        self.held = next.clone();
        kept.end
    }
}
