//! Convolutions: k×k, depthwise and grouped ones, and the products that 1×1 convolutions become.
//!
//! The algorithm is chosen by the layer's shape and the instruction set ([`Algorithm::choose`]), never by the number of rows. What a
//! window touches beyond the map is the strip's own padding, and pairs of rows are those of the whole, so every value is
//! the same sum in the same order.

mod layer;

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use collab_core::network::Kind;
use collab_core::rows::{RowMap, Rows};
use collab_kernels::{Algorithm, Conv, Isa, KernelError, Layout, Map, Scratch, Share, Strip};
use tract_onnx::tract_core::internal::*;

use layer::Layer;

use super::banded::{Banded, ByChannels, Reach};
use super::chain::{Found, as_map, floats};
use super::fold::Folded;
use super::layouts::{channels_of, planes_of};
use super::{Computed, Lies, Operator, Workspace, shuffle};
use crate::rows::{Along, ByRows, Node, Part, Split, Weight};
use crate::strip::Wiring;

/// Some output rows of one convolution.
#[derive(Clone, Debug)]
pub(crate) struct Convolution {
    /// The layer, with its packed weights.
    pub(crate) conv: Conv,
    whole: Whole,
    /// Output shape of these rows.
    shape: TVec<usize>,
    /// Input rows at hand, and rows of zeros above and below them.
    input_rows: usize,
    pads: [usize; 2],
    /// Output rows to compute, of those that the above gives.
    rows: Range<usize>,
    /// Whether a second input is added.
    residual: bool,
    /// Where the plane of each channel lies in the output, if not in order (see [`shuffle`]).
    places: Arc<[usize]>,
    /// How its maps lie.
    lies: Lies,
}

/// The layer along its rows.
#[derive(Clone, Copy, Debug)]
struct Whole {
    input_rows: usize,
    rows: usize,
    pads: [usize; 2],
}

impl Convolution {
    /// Whether the map between it, which reads one laid out as `before`, and `next`, which alone reads it, is best laid out
    /// in blocks, on a processor that takes them: next to depthwise layers and those in groups of whole blocks.
    pub(crate) fn suits_blocks_to(&self, before: Layout, next: &Convolution) -> bool {
        let at_home = [self, next]
            .iter()
            .any(|layer| layer.conv.suits([Layout::Blocks; 2]) && layer.conv.shape().groups > 1);
        let [own, others] = [[before, Layout::Blocks], [Layout::Blocks, Layout::Planes]];
        at_home && !self.residual && self.conv.suits(own) && next.conv.suits(others)
    }
}

/// Knows convolutions with constant weights, also in the form of products.
pub(super) fn find(model: &TypedModel, id: usize, taken: &[bool], isa: Isa) -> TractResult<Option<Found>> {
    let Some(mut layer) = Layer::at(model, id, taken)? else { return Ok(None) };
    let Some(output) = floats(model, OutletId::new(id, 0))? else { return Ok(None) };
    let rows = layer.shape.out_rows(layer.input_rows, layer.pads[0], layer.pads[1]);
    let expected = [layer.shape.out_channels, rows, layer.shape.out_width()];
    if as_map(&output) != Some(expected) || rows == 0 || layer.shape.out_width() == 0 {
        return Ok(None);
    }
    // One output pixel is a dense layer, which is divided by its features and not by rows.
    if expected[1..] == [1, 1] && layer.shape.groups == 1 {
        return Ok(None);
    }
    let reach = (layer.shape.kernel[0] - 1) * layer.shape.dilation[0];
    let last = (rows - 1) * layer.shape.stride[0];
    // Where a window lies in the padding altogether, no input row can stand in for it.
    if layer.pads[0] > reach || last >= layer.input_rows + layer.pads[0] {
        return Ok(None);
    }
    let folded = Folded::after(model, id, output.len() - 3, taken)?;
    let last = folded.members.last().copied().unwrap_or(id);
    let (shuffled, places) = match folded.residual {
        None => shuffle::after(model, last, taken)?.unwrap_or_default(),
        Some(_) => Default::default(),
    };
    let depth = layer.shape.depth();
    for (weights, &scale) in layer.weights.chunks_exact_mut(depth).zip(&folded.scale) {
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * scale) as f32);
    }
    let epilogue = folded.epilogue(|channel| layer.bias.get(channel).copied().unwrap_or(0.0));
    let algorithm = Algorithm::choose(&layer.shape, isa);
    let whole = Whole { input_rows: layer.input_rows, rows, pads: layer.pads };
    let operator = Convolution {
        conv: Conv::new(layer.shape, &layer.weights, epilogue, algorithm, isa)?,
        whole,
        shape: output.into(),
        input_rows: whole.input_rows,
        pads: whole.pads,
        rows: 0..whole.rows,
        residual: folded.residual.is_some(),
        places: places.into(),
        lies: Lies::default(),
    };
    let inputs = std::iter::once(layer.input).chain(folded.residual).collect();
    layer.members.extend(folded.members);
    layer.members.extend(shuffled);
    Ok(Some(Found { operator: Arc::new(operator), inputs, members: layer.members }))
}

impl Operator for Convolution {
    fn name(&self) -> &'static str {
        "Convolution"
    }

    fn label(&self) -> (String, Kind) {
        let shape = self.conv.shape();
        let mut text = window(shape.kernel, shape.stride, shape.dilation);
        let kind = match shape {
            _ if shape.groups > 1 && shape.groups == shape.in_channels => Kind::Depthwise,
            _ if shape.groups > 1 => Kind::Grouped,
            _ if shape.kernel == [1, 1] => Kind::Pointwise,
            _ => Kind::Conv,
        };
        text = match kind {
            Kind::Depthwise => format!("Conv dw {text}"),
            Kind::Grouped => format!("Conv {text} g{}", shape.groups),
            _ => format!("Conv {text}"),
        };
        if self.residual {
            text.push_str(" + add");
        }
        (text, kind)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn macs(&self) -> u64 {
        (self.conv.shape().macs_per_row() * self.rows.len()) as u64
    }

    fn weights(&self) -> u64 {
        let shape = self.conv.shape();
        (shape.weights() + shape.out_channels) as u64
    }

    fn kept(&self) -> u64 {
        self.conv.weight_bytes() as u64
    }

    fn run(&self, inputs: &[&[f32]], output: &mut [f32], workspace: &mut Workspace) -> Computed {
        let shape = self.conv.shape();
        let count = self.rows.len();
        let residual = match self.residual {
            true => {
                let [planes, width] = self.lies.added.as_planes(shape.out_channels, shape.out_width());
                Some(Map::new(inputs[1], planes, count, width)?)
            }
            false => None,
        };
        let [planes, width] = self.lies.input.as_planes(shape.in_channels, shape.width);
        let input = Map::new(inputs[0], planes, self.input_rows, width)?;
        let [top, bottom] = self.pads;
        let strip = Strip { input, top, bottom, rows: self.rows.clone(), residual };
        let shares = self.conv.shares(count, workspace.threads_for(self.macs(), output.len()));
        let (all, layout) = (shape.out_channels, self.lies.output);
        // Planes of the output are blocks of channels where it lies so.
        let in_planes = |share: Share| Share { channels: planes_of(layout, &share.channels), ..share };
        let divided: TVec<Share> = shares.into_iter().map(in_planes).collect();
        let size = [layout.as_planes(all, 1)[0], count];
        workspace.by_shares(output, size, &self.places, &divided, |share, planes, hand| {
            let share = Share { channels: channels_of(layout, &share.channels, all), ..share.clone() };
            self.conv.run_laid_out(&strip, self.lies.ends(), &share, planes, &mut hand.scratch)
        })
    }

    fn split(&self, node: &Node) -> Option<Split> {
        let (shape, feed) = (self.conv.shape(), &node.feeds[0]);
        let tracked = feed.along == Along::Rows(feed.shape.len() - 2);
        let map = match tracked {
            true => {
                let [kernel, stride, dilation] =
                    [shape.kernel[0], shape.stride[0], shape.dilation[0]].map(|size| size as u32);
                RowMap::window(kernel, stride, dilation, self.whole.pads[0] as u32)
            }
            false => feed.whole(),
        };
        let mut needs = vec![map];
        needs.extend(node.feeds.get(1).map(super::residual_need));
        Some(Split {
            along: Along::Rows(self.shape.len() - 2),
            needs,
            weight: Weight::Heavy,
            obstacle: None,
            by: Arc::new(Divided { all: self.clone(), tracked }),
        })
    }

    fn suits(&self, lies: &Lies) -> bool {
        let added = match self.residual {
            true => self.conv.adds(lies.ends(), lies.added),
            false => lies.added == Layout::Planes,
        };
        let in_order = lies.output == Layout::Planes || self.places.is_empty();
        self.conv.suits(lies.ends()) && in_order && added
    }

    fn laid_out(&self, lies: Lies) -> Option<Arc<dyn Operator>> {
        let takes = self.conv.takes(lies.ends());
        takes.then(|| Arc::new(Self { lies, ..self.clone() }) as Arc<dyn Operator>)
    }

    fn lies(&self) -> Lies {
        self.lies
    }

    fn banded(self: Arc<Self>) -> Option<Arc<dyn Banded>> {
        (self.rows.start == 0 && self.places.is_empty()).then_some(self)
    }
}

impl Banded for Convolution {
    fn reach(&self) -> Reach {
        let shape = self.conv.shape();
        Reach {
            input: [shape.in_channels, self.input_rows, shape.width],
            span: (shape.kernel[0] - 1) * shape.dilation[0],
            stride: shape.stride[0],
            pads: self.pads,
            odd: self.conv.pairs_begin_at(),
        }
    }

    fn passes_blocks_to(&self, before: Layout, next: &dyn Banded) -> bool {
        (next as &dyn Any).downcast_ref::<Convolution>().is_some_and(|next| {
            let taken = [[before, Layout::Blocks], [Layout::Blocks, Layout::Planes]];
            self.suits_blocks_to(before, next) && self.conv.takes(taken[0]) && next.conv.takes(taken[1])
        })
    }

    fn by_channels(&self) -> Option<ByChannels> {
        let shape = self.conv.shape();
        let apart = shape.groups > 1 && shape.in_channels == shape.out_channels;
        Some(ByChannels { step: self.conv.channel_step(), apart })
    }

    fn run_band(
        &self,
        strip: &Strip<'_>,
        layouts: [Layout; 2],
        channels: Range<usize>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        let share = Share { rows: 0..strip.rows.len(), channels };
        self.conv.run_laid_out(strip, layouts, &share, output, scratch)
    }
}

/// A convolution divided by rows.
#[derive(Debug)]
struct Divided {
    all: Convolution,
    /// Whether strips are given the input rows that they need; otherwise all of them.
    tracked: bool,
}

impl ByRows for Divided {
    fn wire(&self, wiring: &mut Wiring, parts: &[Part], out: Rows) -> TractResult<(OutletId, Rows)> {
        let (shape, whole) = (self.all.conv.shape(), self.all.whole);
        let mut feeds = tvec!(wiring.part(&parts[0])?);
        if let Some(residual) = parts.get(1) {
            let wire = wiring.part(residual)?;
            feeds.push(wiring.narrow(wire, self.all.shape.len() - 2, out)?);
        }
        let mut strip = self.all.clone();
        strip.rows = out.start as usize..out.end as usize;
        if let (true, Part::Held { rows: held, .. }) = (self.tracked, &parts[0]) {
            let first = out.start as usize * shape.stride[0];
            let reach = (shape.kernel[0] - 1) * shape.dilation[0];
            let end = (out.end as usize - 1) * shape.stride[0] + reach + 1;
            let top = (held.start as usize + whole.pads[0]).saturating_sub(first);
            strip.pads = [top, end.saturating_sub(held.end as usize + whole.pads[0])];
            strip.input_rows = held.len() as usize;
            strip.rows = 0..out.len() as usize;
            strip.conv = strip.conv.beginning_at(out.start as usize);
        }
        let axis = strip.shape.len() - 2;
        strip.shape[axis] = out.len() as usize;
        Ok((wiring.own(strip, &feeds)?, out))
    }
}

/// Kernel, stride and dilation of a window: `3×3 s2 d2`.
pub(super) fn window(kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> String {
    let mut text = format!("{}×{}", kernel[0], kernel[1]);
    for (letter, sizes) in [('s', stride), ('d', dilation)] {
        match sizes {
            [1, 1] => {}
            [rows, columns] if rows == columns => text.push_str(&format!(" {letter}{rows}")),
            [rows, columns] => text.push_str(&format!(" {letter}{rows}×{columns}")),
        }
    }
    text
}
