//! Which rows of every layer a strip needs.

use std::ops::Range;

use super::{Layer, Network};
use crate::rows::Rows;

/// Layers of a block up to which their rows are kept on the stack.
const FEW: usize = 16;

/// The rows that a strip of a block needs, layer by layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Rows of the tensor at the block's start.
    pub input: Rows,
    /// Rows computed of each layer of the block, in the network's order.
    pub layers: Vec<Rows>,
}

impl Network {
    /// Walks back from output rows `rows` of the block `units` to what every layer must compute.
    ///
    /// Where several layers read one tensor, it is computed for the hull of what they need.
    pub fn demand(&self, units: &Range<usize>, rows: Rows) -> Demand {
        self.with_demand(units, rows, |input, layers| Demand { input, layers: layers.to_vec() })
    }

    /// Bytes that `layer` reads of the input of the block `units`, if it is the block's first, and writes of its output, if it is
    /// its last, where the block is given `read` rows and yields `written`.
    pub fn bytes_at_cuts(&self, units: &Range<usize>, layer: usize, read: u32, written: u32) -> (u64, u64) {
        let span = self.layers_of(units);
        (
            if layer == span.start { self.cut(units.start).bytes(read) } else { 0 },
            if layer + 1 == span.end { self.cut(units.end).bytes(written) } else { 0 },
        )
    }

    /// The same as [`Network::demand`] for `then`: rows of the tensor at the block's start, and of every layer. Only for long blocks are these
    /// allocated, as a plan of short ones is walked back from thousands of times.
    pub(crate) fn with_demand<T>(
        &self,
        units: &Range<usize>,
        rows: Rows,
        then: impl FnOnce(Rows, &[Rows]) -> T,
    ) -> T {
        let span = self.layers_of(units);
        let (mut few, mut many) = ([Rows::EMPTY; FEW], Vec::new());
        let layers = match few.get_mut(..span.len()) {
            Some(few) => few,
            None => {
                many.resize(span.len(), Rows::EMPTY);
                &mut many[..]
            }
        };
        let mut input = Rows::EMPTY;
        let input_rows = self.cut(units.start).rows;
        if let Some(last) = layers.last_mut() {
            *last = rows;
        } else {
            input = rows;
        }
        for index in span.clone().rev() {
            let wanted = layers[index - span.start];
            for edge in &self.layers[index].inputs {
                match edge.from.map(|from| from as usize).filter(|from| span.contains(from)) {
                    Some(from) => {
                        let there = self.layers[from].output.rows;
                        let slot = &mut layers[from - span.start];
                        *slot = slot.hull(edge.map.need(wanted, there));
                    }
                    None => input = input.hull(edge.map.need(wanted, input_rows)),
                }
            }
        }
        then(input, layers)
    }

    /// Rows of the tensor at the start of the block `units` that its output rows `rows` need.
    pub(crate) fn input_rows(&self, units: &Range<usize>, rows: Rows) -> Rows {
        self.with_demand(units, rows, |input, _| input)
    }

    /// Multiply-accumulates of a strip, halo rows that it recomputes included.
    pub fn strip_macs(&self, units: &Range<usize>, rows: Rows) -> u64 {
        self.input_and_macs(units, rows).1
    }

    /// Both of them: rows of the tensor at the block's start, and multiply-accumulates.
    pub(crate) fn input_and_macs(&self, units: &Range<usize>, rows: Rows) -> (Rows, u64) {
        let layers = &self.layers[self.layers_of(units)];
        let work = |(layer, rows): (&Layer, &Rows)| layer.row_macs * u64::from(rows.len());
        self.with_demand(units, rows, |input, rows| (input, layers.iter().zip(rows).map(work).sum()))
    }
}
