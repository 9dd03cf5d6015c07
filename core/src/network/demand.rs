//! Which rows of every layer a strip needs.

use std::ops::Range;

use super::Network;
use crate::rows::Rows;

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
        let span = self.layers_of(units);
        let mut layers = vec![Rows::EMPTY; span.len()];
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
        Demand { input, layers }
    }

    /// Multiply-accumulates of a strip, halo rows that it recomputes included.
    pub fn strip_macs(&self, units: &Range<usize>, rows: Rows) -> u64 {
        let first = self.layers_of(units).start;
        let demand = self.demand(units, rows);
        let work =
            |(offset, rows): (usize, &Rows)| self.layers[first + offset].row_macs * u64::from(rows.len());
        demand.layers.iter().enumerate().map(work).sum()
    }
}
