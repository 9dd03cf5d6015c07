//! What every fused span needs and costs, as two tables of rows.
//!
//! The rows that a strip `[a, b)` of a span needs of every layer are `hi(b) − lo(a)` ([`RowMap`] is affine
//! and clamped at each end on its own, and a hull takes the lowest start and the highest end). So whatever
//! is linear in rows is `F(b) − G(a)`, and a strip costs two look-ups. Walking back from a cut visits the
//! same rows whatever unit the span begins with, so all spans that end at one cut are one walk, done as far
//! as somebody asked.
//!
//! [`RowMap`]: crate::rows::RowMap

use std::sync::Arc;

use crate::network::Network;
use crate::predict::{Costs, LayerCost};
use crate::rows::Rows;

/// One span of units: everything about strips of its output.
#[derive(Debug)]
pub(crate) struct Span {
    /// By the output's first row: the first input row needed.
    pub(crate) lo: Vec<u32>,
    /// By the output's end: the end of the input rows needed; entry 0 is unused.
    pub(crate) hi: Vec<u32>,
    tables: Arc<Tables>,
    /// Multiply-accumulates that do not depend on the rows.
    fixed_macs: u64,
    /// By class: what one piece costs whatever its rows.
    fixed_ms: Vec<f64>,
}

/// Costs by row. Shared among spans that differ only in layers of which every strip needs all rows.
#[derive(Clone, Debug)]
struct Tables {
    macs_lo: Vec<u64>,
    macs_hi: Vec<u64>,
    /// By row, then by class of workers.
    ms_lo: Vec<f64>,
    ms_hi: Vec<f64>,
}

/// The spans of one network, as far as they were asked for.
#[derive(Debug)]
pub(crate) struct Spans<'a> {
    network: &'a Network,
    /// By layer, then by class.
    layers: Vec<LayerCost>,
    classes: usize,
    /// By worker: its class and how much slower it is than the class says.
    workers: Vec<(usize, f64)>,
    /// By the cut at the span's end, less one; the shortest span first.
    columns: Vec<Vec<Span>>,
}

impl Span {
    /// Multiply-accumulates that are done twice when a strip is cut before `row`.
    #[inline]
    pub(crate) fn twice_at(&self, row: u32) -> u64 {
        let (row, tables) = (row as usize, &*self.tables);
        self.fixed_macs + tables.macs_hi[row] - tables.macs_lo[row]
    }

    /// Input rows needed for the non-empty `rows`.
    #[inline]
    pub(crate) fn need(&self, rows: Rows) -> Rows {
        Rows { start: self.lo[rows.start as usize], end: self.hi[rows.end as usize] }
    }

    /// Multiply-accumulates for the non-empty `rows`.
    #[inline]
    pub(crate) fn macs(&self, rows: Rows) -> u64 {
        let tables = &self.tables;
        self.fixed_macs + tables.macs_hi[rows.end as usize] - tables.macs_lo[rows.start as usize]
    }
}

impl<'a> Spans<'a> {
    /// Without any span yet, for `workers` workers.
    pub(crate) fn new(network: &'a Network, costs: &dyn Costs, workers: usize) -> Self {
        let mut representatives: Vec<Vec<LayerCost>> = Vec::new();
        let mut places = Vec::with_capacity(workers);
        for worker in 0..workers {
            let own: Vec<LayerCost> =
                (0..network.layers.len()).map(|layer| costs.layer(network, worker, layer)).collect();
            let known = representatives.iter().enumerate();
            let place = known.filter_map(|(class, other)| Some((class, ratio(&own, other)?))).next();
            places.push(place.unwrap_or((representatives.len(), 1.0)));
            if place.is_none() {
                representatives.push(own);
            }
        }
        let classes = representatives.len();
        let layers = (0..network.layers.len())
            .flat_map(|layer| representatives.iter().map(move |costs| costs[layer]))
            .collect();
        let columns = network.units.iter().map(|_| Vec::new()).collect();
        Self { network, layers, classes, workers: places, columns }
    }

    /// The span of units `from..to`, which must not be empty.
    pub(crate) fn span(&mut self, from: usize, to: usize) -> &Span {
        let deep = to - 1 - from;
        while self.columns[to - 1].len() <= deep {
            let at = to - 1 - self.columns[to - 1].len();
            let span = self.extend(at, to);
            self.columns[to - 1].push(span);
        }
        &self.columns[to - 1][deep]
    }

    /// A span that [`Spans::span`] was asked for before.
    pub(crate) fn known(&self, from: usize, to: usize) -> &Span {
        &self.columns[to - 1][to - 1 - from]
    }

    /// Milliseconds of the non-empty `rows` of `span` on `worker`.
    #[inline]
    pub(crate) fn ms(&self, span: &Span, worker: usize, rows: Rows) -> f64 {
        let (class, scale) = self.workers[worker];
        let at = |row: u32| row as usize * self.classes + class;
        let tables = &*span.tables;
        scale * (tables.ms_hi[at(rows.end)] - tables.ms_lo[at(rows.start)] + span.fixed_ms[class])
    }

    /// On `worker`: ms for one more row at the end of `rows`, and ms of the strip that begins with them
    /// beyond that: halo and calls.
    #[inline]
    pub(crate) fn line(&self, span: &Span, worker: usize, rows: Rows) -> (f64, f64) {
        let (class, scale) = self.workers[worker];
        let at = |row: u32| row as usize * self.classes + class;
        let tables = &*span.tables;
        let (first, end) = (tables.ms_hi[at(rows.start)], tables.ms_hi[at(rows.end)]);
        let slope = scale * (end - first) / f64::from(rows.end - rows.start);
        (slope, scale * (first - tables.ms_lo[at(rows.start)] + span.fixed_ms[class]))
    }

    /// Milliseconds of a strip of `span` on `worker` whatever its rows.
    pub(crate) fn fixed_ms(&self, span: &Span, worker: usize) -> f64 {
        let (class, scale) = self.workers[worker];
        scale * span.fixed_ms[class]
    }

    /// The span that begins one unit before the longest known one that ends at `to`.
    fn extend(&self, at: usize, to: usize) -> Span {
        let classes = self.classes;
        let after = self.columns[to - 1].last();
        let rows = self.network.cut(to).rows;
        let identity: Vec<u32> = (0..=rows).collect();
        let (lo, hi) = after.map_or((&identity, &identity), |after| (&after.lo, &after.hi));
        let constant = lo.iter().all(|&row| row == lo[0]) && hi.iter().skip(1).all(|&row| row == hi[1]);
        let mut charge = Charge {
            constant,
            tables: match after {
                Some(after) if constant => Arc::clone(&after.tables),
                Some(after) => Arc::new(Tables::clone(&after.tables)),
                None => Arc::new(Tables::new(rows as usize + 1, classes)),
            },
            fixed_macs: after.map_or(0, |after| after.fixed_macs),
            fixed_ms: after.map_or_else(|| vec![0.0; classes], |after| after.fixed_ms.clone()),
        };
        let (first, end) = self.network.units[at].layers;
        let (first, end) = (first as usize, end as usize);
        let mut reached: Vec<Option<Ends>> = vec![None; end - first];
        let mut input: Option<Ends> = None;
        let input_rows = self.network.cut(at).rows;
        if let Some(last) = reached.last_mut() {
            // One strip stands for all where every strip needs the same rows.
            let entries = if constant { 2 } else { lo.len() };
            *last = Some(Ends { lo: lo[..entries].to_vec(), hi: hi[..entries].to_vec() });
        }
        for layer in (first..end).rev() {
            let Some(ends) = reached[layer - first].take() else { continue };
            self.charge(&mut charge, layer, &ends);
            for edge in &self.network.layers[layer].inputs {
                let inside = edge.from.map(|from| from as usize).filter(|&from| from >= first);
                let (slot, there) = match inside {
                    Some(from) => (&mut reached[from - first], self.network.layers[from].output.rows),
                    None => (&mut input, input_rows),
                };
                Ends::widen(slot, &ends, edge.map, there);
            }
        }
        let mut input = input.unwrap_or(Ends { lo: vec![0; lo.len()], hi: vec![0; hi.len()] });
        if constant {
            let (first, end) = (input.lo[0], input.hi[1]);
            input.lo.resize(lo.len(), first);
            input.hi.resize(hi.len(), end);
        }
        let Charge { tables, fixed_macs, fixed_ms, .. } = charge;
        Span { lo: input.lo, hi: input.hi, tables, fixed_macs, fixed_ms }
    }

    fn charge(&self, charge: &mut Charge, layer: usize, ends: &Ends) {
        let row_macs = self.network.layers[layer].row_macs;
        let costs = &self.layers[layer * self.classes..(layer + 1) * self.classes];
        if charge.constant {
            let rows = ends.hi[1] - ends.lo[0];
            charge.fixed_macs += row_macs * u64::from(rows);
            charge.fixed_ms.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost.ms(rows));
            return;
        }
        let tables = Arc::make_mut(&mut charge.tables);
        for (row, (&lo, &hi)) in ends.lo.iter().zip(&ends.hi).enumerate() {
            tables.macs_lo[row] += row_macs * u64::from(lo);
            tables.macs_hi[row] += row_macs * u64::from(hi);
            for (class, cost) in costs.iter().enumerate() {
                tables.ms_lo[row * self.classes + class] += cost.row_ms * f64::from(lo);
                tables.ms_hi[row * self.classes + class] += cost.row_ms * f64::from(hi);
            }
        }
        charge.fixed_ms.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost.call_ms);
    }
}

impl Tables {
    fn new(entries: usize, classes: usize) -> Self {
        Self {
            macs_lo: vec![0; entries],
            macs_hi: vec![0; entries],
            ms_lo: vec![0.0; entries * classes],
            ms_hi: vec![0.0; entries * classes],
        }
    }
}

/// A span's costs while its first unit is added.
struct Charge {
    /// Every strip needs the same rows of the unit's output.
    constant: bool,
    tables: Arc<Tables>,
    fixed_macs: u64,
    fixed_ms: Vec<f64>,
}

/// For every first row and every end of a span's output, where a tensor's rows begin and end.
#[derive(Clone)]
struct Ends {
    lo: Vec<u32>,
    hi: Vec<u32>,
}

impl Ends {
    /// Takes the hull of `slot` and what `reader` needs of a tensor of `there` rows through `map`.
    fn widen(slot: &mut Option<Self>, reader: &Self, map: crate::rows::RowMap, there: u32) {
        // A strip never starts after the last row nor ends before the first: those entries are unused.
        let lo = reader.lo.iter().map(|&row| map.first(row, there));
        let hi = reader.hi.iter().map(|&row| if row == 0 { 0 } else { map.end(row, there) });
        match slot {
            None => *slot = Some(Self { lo: lo.collect(), hi: hi.collect() }),
            Some(ends) => {
                ends.lo.iter_mut().zip(lo).for_each(|(old, new)| *old = (*old).min(new));
                ends.hi.iter_mut().zip(hi).for_each(|(old, new)| *old = (*old).max(new));
            }
        }
    }
}

/// The factor that turns every cost of `other` into that of `own`, if one does.
fn ratio(own: &[LayerCost], other: &[LayerCost]) -> Option<f64> {
    let values = |costs: &[LayerCost]| -> Vec<f64> {
        costs.iter().flat_map(|cost| [cost.call_ms, cost.row_ms]).collect()
    };
    let (own, other) = (values(own), values(other));
    let (largest, base) = other.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    if *base <= 0.0 {
        return own.iter().all(|&value| value == 0.0).then_some(1.0);
    }
    let factor = own[largest] / base;
    let same = |(&a, &b): (&f64, &f64)| (a - b * factor).abs() <= 1e-13 * a.abs().max(b * factor);
    (factor > 0.0 && own.iter().zip(&other).all(same)).then_some(factor)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::network::samples::{ZOO, named, random};
    use crate::predict::{LinkCost, RatePerWorker};

    fn costs(workers: usize) -> RatePerWorker {
        let link = LinkCost::new(100.0, 1.0);
        RatePerWorker {
            macs_per_ms: (1..=workers).map(|at| 1e3 * at as f64).collect(),
            links: vec![link; workers],
            lab: link,
        }
    }

    fn check(network: &Network, from: usize, to: usize, rows: Rows) {
        let costs = costs(2);
        let mut spans = Spans::new(network, &costs, 2);
        assert_eq!(spans.classes, 1, "workers that differ by a factor share a table");
        spans.span(from, to);
        let span = spans.known(from, to);
        let demand = network.demand(&(from..to), rows);
        let place = || format!("{} units {from}..{to} rows {rows}", network.name);
        assert_eq!(span.need(rows), demand.input, "{}", place());
        assert_eq!(span.macs(rows), network.strip_macs(&(from..to), rows), "{}", place());
        for worker in 0..2 {
            let real = costs.strip_ms(network, worker, &(from..to), rows);
            let tabulated = spans.ms(span, worker, rows);
            assert!((real - tabulated).abs() <= 1e-10 * (1.0 + real), "{} {real} {tabulated}", place());
        }
    }

    #[test]
    fn tables_agree_with_the_walk_on_random_spans_of_branching_networks() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..600 {
            let network = random(&mut rng, 8, 64);
            for _ in 0..10 {
                let from = rng.random_range(0..network.units.len());
                let to = rng.random_range(from + 1..=network.units.len());
                let height = network.cut(to).rows;
                let start = rng.random_range(0..height);
                check(&network, from, to, Rows::new(start, rng.random_range(start + 1..=height)));
            }
        }
    }

    #[test]
    fn tables_agree_with_the_walk_on_known_networks() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for name in ZOO {
            let network = named(name).unwrap();
            for _ in 0..40 {
                let from = rng.random_range(0..network.units.len());
                let to = rng.random_range(from + 1..=network.units.len());
                let height = network.cut(to).rows;
                let start = rng.random_range(0..height);
                check(&network, from, to, Rows::new(start, rng.random_range(start + 1..=height)));
            }
        }
    }
}
