//! Resizing and padding: every output row and column reads a few of the input's.
//!
//! Columns go first, once for each input row that is needed; rows are then combined along vectors. Bound: the loads
//! of single values where columns are combined, memory elsewhere.

use std::ops::Range;

use crate::isa::{Kernel, Vector};
use crate::map::check_planes;
use crate::scratch::Buffer;
use crate::{Isa, KernelError, Map, Scratch};

/// Which input indices along one axis an output index reads, and how much of each.
#[derive(Debug, Clone, PartialEq)]
pub enum Taps {
    /// One each, as it is; none where there is nothing.
    Copies {
        /// The input index for each output index.
        sources: Vec<Option<u32>>,
        /// The longest stretch of output indices whose sources are consecutive.
        run: Range<usize>,
    },
    /// A weighted sum of `window` values.
    Blends {
        /// Values for an output index.
        window: usize,
        /// Their input indices, `window` for each output index.
        sources: Vec<u32>,
        /// Their weights.
        weights: Vec<f32>,
    },
}

impl Taps {
    /// Copies of input indices, nothing where there is none.
    pub fn copies(sources: Vec<Option<u32>>) -> Taps {
        let follows = |pair: &[Option<u32>]| matches!(pair, [Some(a), Some(b)] if a + 1 == *b);
        let (mut run, mut start) = (0..0, 0);
        for at in 0..sources.len() {
            if at == 0 || !follows(&sources[at - 1..=at]) {
                start = at;
            }
            if sources[at].is_some() && at + 1 - start > run.len() {
                run = start..at + 1;
            }
        }
        Taps::Copies { sources, run }
    }

    /// All of `len` indices as they are.
    pub fn same(len: usize) -> Taps {
        Taps::copies((0..len as u32).map(Some).collect())
    }

    /// Weighted sums of `window` values for each output index; copies, where each has one value of weight 1 only.
    pub fn blends(window: usize, sources: Vec<u32>, weights: Vec<f32>) -> Taps {
        let pairs = || sources.chunks_exact(window).zip(weights.chunks_exact(window));
        let only = |(sources, weights): (&[u32], &[f32])| {
            let mut weighty = sources.iter().zip(weights).filter(|(_, weight)| **weight != 0.0);
            match (weighty.next(), weighty.next()) {
                (Some((&source, &1.0)), None) => Some(source),
                _ => None,
            }
        };
        if pairs().all(|pair| only(pair).is_some()) {
            return Taps::copies(pairs().map(only).collect());
        }
        Taps::Blends { window, sources, weights }
    }

    /// The number of output indices.
    pub fn len(&self) -> usize {
        match self {
            Taps::Copies { sources, .. } => sources.len(),
            Taps::Blends { window, sources, .. } => sources.len() / window,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// First and last input index that output index `at` reads with a weight, if any.
    pub fn reach(&self, at: usize) -> Option<(usize, usize)> {
        match self {
            Taps::Copies { sources, .. } => sources[at].map(|source| (source as usize, source as usize)),
            Taps::Blends { .. } => {
                let read = || self.weighty(at).map(|(source, _)| source);
                Some((read().min()?, read().max()?))
            }
        }
    }

    /// The taps of the output indices `out`, into the input indices `held`, which must hold what they reach.
    pub fn part(&self, out: Range<usize>, held: Range<usize>) -> Taps {
        // A tap without weight may lie outside of what is held.
        let within = |source: u32| source.clamp(held.start as u32, held.end as u32 - 1) - held.start as u32;
        match self {
            Taps::Copies { sources, .. } => {
                Taps::copies(sources[out].iter().map(|source| source.map(within)).collect())
            }
            Taps::Blends { window, sources, weights } => {
                let taps = out.start * window..out.end * window;
                Taps::Blends {
                    window: *window,
                    sources: sources[taps.clone()].iter().copied().map(within).collect(),
                    weights: weights[taps].to_vec(),
                }
            }
        }
    }

    /// Input indices and weights that output index `at` reads, those without weight left out.
    fn weighty(&self, at: usize) -> impl Iterator<Item = (usize, f32)> {
        let (window, sources, weights) = match self {
            Taps::Copies { .. } => (0, &[][..], &[][..]),
            Taps::Blends { window, sources, weights } => (*window, &sources[..], &weights[..]),
        };
        let taps = at * window..(at + 1) * window;
        let pairs = sources[taps.clone()].iter().zip(&weights[taps]);
        pairs.filter(|(_, weight)| **weight != 0.0).map(|(&source, &weight)| (source as usize, weight))
    }

    /// Fails if an input index is `inputs` or more.
    fn check(&self, inputs: usize) -> Result<(), KernelError> {
        let inside = match self {
            Taps::Copies { sources, .. } => {
                sources.iter().flatten().all(|&source| (source as usize) < inputs)
            }
            Taps::Blends { window, sources, weights } => {
                *window > 0
                    && sources.len() == weights.len()
                    && sources.len().is_multiple_of(*window)
                    && sources.iter().all(|&source| (source as usize) < inputs)
            }
        };
        if inside { Ok(()) } else { Err(KernelError::Shape("a resized map reads beyond its input")) }
    }

    /// Every value of `to` from those of the row `from`.
    #[inline(always)]
    fn columns(&self, from: &[f32], outside: f32, to: &mut [f32]) {
        match self {
            Taps::Copies { sources, run } => {
                let value = |source: &Option<u32>| source.map_or(outside, |source| from[source as usize]);
                let single = [0..run.start, run.end..to.len()];
                for at in single.into_iter().flatten() {
                    to[at] = value(&sources[at]);
                }
                if let Some(Some(first)) = sources.get(run.start).filter(|_| !run.is_empty()) {
                    to[run.clone()].copy_from_slice(&from[*first as usize..][..run.len()]);
                }
            }
            Taps::Blends { window: 2, sources, weights } => {
                let taps = sources.as_chunks::<2>().0.iter().zip(weights.as_chunks::<2>().0);
                for (value, ([a, b], [first, second])) in to.iter_mut().zip(taps) {
                    *value = from[*a as usize] * first + from[*b as usize] * second;
                }
            }
            Taps::Blends { window, sources, weights } => {
                let taps = sources.chunks_exact(*window).zip(weights.chunks_exact(*window));
                for (value, (sources, weights)) in to.iter_mut().zip(taps) {
                    let products =
                        sources.iter().zip(weights).map(|(&at, weight)| from[at as usize] * weight);
                    *value = products.fold(0.0, |sum, product| sum + product);
                }
            }
        }
    }
}

/// A map resized or padded along rows and columns, channel by channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Resample {
    /// Along rows.
    pub rows: Taps,
    /// Along columns.
    pub columns: Taps,
    /// The value where there is nothing.
    pub outside: f32,
}

impl Resample {
    /// Computes the output rows `rows` of `input` into `output`, one slice a channel.
    ///
    /// # Errors
    /// If sizes do not match.
    pub fn run(
        &self,
        isa: Isa,
        input: Map<'_>,
        rows: Range<usize>,
        output: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(), KernelError> {
        self.rows.check(input.rows())?;
        self.columns.check(input.width())?;
        check_planes(output, input.channels(), rows.len() * self.columns.len())?;
        if rows.end > self.rows.len() {
            return Err(KernelError::Rows { first: rows.start, end: rows.end, rows: self.rows.len() });
        }
        isa.checked()?.run(Run { layer: self, input, rows, output, resized: &mut scratch.buffers.first });
        Ok(())
    }
}

struct Run<'a, 'b> {
    layer: &'a Resample,
    input: Map<'a>,
    rows: Range<usize>,
    output: &'a mut [&'b mut [f32]],
    resized: &'a mut Buffer,
}

impl Kernel for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, _: V) {
        let Run { layer, input, rows, output, resized } = self;
        let width = layer.columns.len();
        if width == 0 {
            return;
        }
        if let Taps::Copies { sources, .. } = &layer.rows {
            for (channel, plane) in output.iter_mut().enumerate() {
                for (at, row) in rows.clone().enumerate() {
                    let (done, to) = plane.split_at_mut(at * width);
                    let to = &mut to[..width];
                    match sources[row] {
                        source if at > 0 && source == sources[row - 1] => {
                            to.copy_from_slice(&done[(at - 1) * width..]);
                        }
                        Some(source) => {
                            layer.columns.columns(input.row(channel, source as usize), layer.outside, to);
                        }
                        None => to.fill(layer.outside),
                    }
                }
            }
            return;
        }
        let reaches = || rows.clone().filter_map(|row| layer.rows.reach(row));
        let first = reaches().map(|reach| reach.0).min().unwrap_or(0);
        let end = reaches().map(|reach| reach.1 + 1).max().unwrap_or(0);
        let resized = resized.take((end.max(first) - first) * width);
        for (channel, plane) in output.iter_mut().enumerate() {
            for (row, to) in (first..end).zip(resized.chunks_exact_mut(width)) {
                layer.columns.columns(input.row(channel, row), layer.outside, to);
            }
            for (row, to) in rows.clone().zip(plane.chunks_exact_mut(width)) {
                let from = |row: usize| &resized[(row - first) * width..][..width];
                let mut taps = layer.rows.weighty(row);
                match (taps.next(), taps.next()) {
                    (None, _) => to.fill(0.0),
                    (Some((row, weight)), None) => {
                        to.iter_mut().zip(from(row)).for_each(|(to, x)| *to = x * weight);
                    }
                    (Some((a, first)), Some((b, second))) => {
                        let pairs = from(a).iter().zip(from(b));
                        to.iter_mut().zip(pairs).for_each(|(to, (a, b))| *to = a * first + b * second);
                    }
                }
                for (row, weight) in taps {
                    to.iter_mut().zip(from(row)).for_each(|(to, x)| *to += x * weight);
                }
            }
        }
    }
}
