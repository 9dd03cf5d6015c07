//! What every fused span needs and costs, as tables of rows.
//!
//! The rows that a strip `[a, b)` of a span needs of every layer are `hi(b) − lo(a)` ([`RowMap`] is affine
//! and clamped at each end on its own, and a hull takes the lowest start and the highest end). So whatever
//! is linear in rows is `F(b) − G(a)`, and a strip costs two look-ups. Walking back from a cut visits the
//! same rows whatever unit the span begins with, so all spans that end at one cut are one walk, done as far
//! as somebody asked.
//!
//! [`RowMap`]: crate::rows::RowMap

mod ground;
mod walk;

use std::sync::Arc;

use ground::UNPLACED;
pub(crate) use ground::{Ground, Rate};

use crate::network::Network;
use crate::predict::{Costs, CutCost, LayerCost, PieceCost};
use crate::rows::Rows;

/// A quantity of a strip that begins or ends before a row: at the strip's end less at its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ends<T> {
    /// Counts if the strip begins here.
    pub(crate) lo: T,
    /// Counts if the strip ends here.
    pub(crate) hi: T,
}

/// One span of units: everything about strips of its output.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// By row of the output: the first input row needed by strips that begin there, and the end of the input
    /// rows needed by strips that end there; the end of entry 0 is unused.
    ///
    /// Shared among spans of which every strip needs the same rows.
    needs: Arc<[Ends<u32>]>,
    /// Every strip needs the same rows of the input.
    constant: bool,
    tables: Arc<Tables>,
    /// Multiply-accumulates that do not depend on the rows.
    fixed_macs: f64,
    /// By class: what one piece costs whatever its rows.
    fixed_ms: Vec<f64>,
}

/// Costs by row. Shared among spans that differ only in layers of which every strip needs all rows.
#[derive(Debug)]
struct Tables {
    /// Multiply-accumulates by row: whole numbers, exact below 2⁵³.
    macs: Arc<[Ends<f64>]>,
    /// Milliseconds by class of workers, then by row.
    ms: Vec<Arc<[Ends<f64>]>>,
    /// The most of them that are done twice when a strip is cut, beside those that do not depend on the rows.
    most_twice: f64,
}

/// The spans of one network, as far as they were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Spans<'a> {
    network: &'a Network,
    /// By layer, then by class.
    layers: Vec<LayerCost>,
    classes: usize,
    /// By worker: its class and how much slower it is than the class says.
    workers: Vec<(usize, f64)>,
    /// By worker: what pieces take beside layers.
    pieces: Vec<(CutCost, PieceCost)>,
    /// By the cut at the span's end, less one; the shortest span first.
    columns: Vec<Vec<Span>>,
    /// By first unit, then by last: the number of its ground.
    places: Vec<u32>,
    grounds: Vec<Ground>,
    /// Needs that are the same for every strip, as far as there are any.
    constants: Vec<Arc<[Ends<u32>]>>,
}

/// What strips of one span take one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace<'a> {
    ms: &'a [Ends<f64>],
    fixed_ms: f64,
    scale: f64,
}

impl Pace<'_> {
    /// Milliseconds of the non-empty `rows`.
    #[inline]
    pub(crate) fn ms(&self, rows: Rows) -> f64 {
        self.between(self.at(rows.start), self.at(rows.end))
    }

    /// What strips have to add that end at `row`, and to take off that begin there.
    #[inline]
    pub(crate) fn at(&self, row: u32) -> Ends<f64> {
        self.ms[row as usize]
    }

    /// Milliseconds of the rows between two places of [`Pace::at`].
    #[inline]
    pub(crate) fn between(&self, start: Ends<f64>, end: Ends<f64>) -> f64 {
        self.scale * (end.hi - start.lo + self.fixed_ms)
    }

    /// Milliseconds for one more row at the end of `rows`, and of the strip that begins with them beyond
    /// that: halo and calls.
    #[inline]
    pub(crate) fn line(&self, rows: Rows) -> (f64, f64) {
        let first = self.ms[rows.start as usize];
        let end = self.ms[rows.end as usize].hi;
        let slope = self.scale * (end - first.hi) / f64::from(rows.end - rows.start);
        (slope, self.scale * (first.hi - first.lo + self.fixed_ms))
    }
}

impl Span {
    /// The first input row that a strip needs which begins with row `start`.
    #[inline]
    pub(crate) fn lo(&self, start: u32) -> u32 {
        self.needs[start as usize].lo
    }

    /// The end of the input rows that a strip needs which ends before row `end`.
    #[inline]
    pub(crate) fn hi(&self, end: u32) -> u32 {
        self.needs[end as usize].hi
    }

    /// The last row before which a strip may end that needs no input from row `owned` on; 0 if none may.
    pub(crate) fn last_end(&self, owned: u32) -> u32 {
        self.needs[1..].partition_point(|need| need.hi <= owned) as u32
    }

    /// The first row with which a strip may begin that needs no input before row `owned`; all rows if none may.
    pub(crate) fn first_start(&self, owned: u32) -> u32 {
        self.needs[..self.needs.len() - 1].partition_point(|need| need.lo < owned) as u32
    }

    /// Multiply-accumulates that are done twice when a strip is cut before `row`.
    pub(crate) fn twice_at(&self, row: u32) -> f64 {
        self.tables.twice_at(self.fixed_macs, row)
    }

    /// Multiply-accumulates for the non-empty `rows`.
    pub(crate) fn macs(&self, rows: Rows) -> f64 {
        self.tables.macs(self.fixed_macs, rows)
    }
}

impl Tables {
    /// [`Span::twice_at`], with so many that do not depend on the rows.
    #[inline]
    fn twice_at(&self, fixed: f64, row: u32) -> f64 {
        let ends = self.macs[row as usize];
        fixed + ends.hi - ends.lo
    }

    /// [`Span::macs`], with so many that do not depend on the rows.
    #[inline]
    fn macs(&self, fixed: f64, rows: Rows) -> f64 {
        fixed + self.macs[rows.end as usize].hi - self.macs[rows.start as usize].lo
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
        let pieces = (0..workers).map(|worker| (costs.at_cuts(worker), costs.piece(worker))).collect();
        let units = network.units.len();
        Self {
            network,
            layers,
            classes,
            workers: places,
            pieces,
            columns,
            places: vec![UNPLACED; units * units],
            grounds: Vec::new(),
            constants: Vec::new(),
        }
    }

    /// Makes the span of units `from..to`, which must not be empty, known.
    #[inline]
    pub(crate) fn span(&mut self, from: usize, to: usize) {
        if self.columns[to - 1].len() < to - from {
            self.lengthen(from, to);
        }
    }

    #[cold]
    fn lengthen(&mut self, from: usize, to: usize) {
        while self.columns[to - 1].len() < to - from {
            let at = to - 1 - self.columns[to - 1].len();
            let span = self.extend(at, to);
            self.columns[to - 1].push(span);
        }
    }

    /// A span that [`Spans::span`] was asked for before.
    pub(crate) fn known(&self, from: usize, to: usize) -> &Span {
        &self.columns[to - 1][to - 1 - from]
    }

    /// What strips of `span` take `worker`.
    #[inline]
    pub(crate) fn pace<'s>(&self, span: &'s Span, worker: usize) -> Pace<'s> {
        let (class, scale) = self.workers[worker];
        Pace { ms: &span.tables.ms[class], fixed_ms: span.fixed_ms[class], scale }
    }

    /// Milliseconds of the non-empty `rows` of `span` on `worker`.
    #[inline]
    pub(crate) fn ms(&self, span: &Span, worker: usize, rows: Rows) -> f64 {
        self.pace(span, worker).ms(rows)
    }

    /// Milliseconds of a strip of `span` on `worker` whatever its rows.
    pub(crate) fn fixed_ms(&self, span: &Span, worker: usize) -> f64 {
        let (class, scale) = self.workers[worker];
        scale * span.fixed_ms[class]
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
        let number = spans.place(from, to);
        let (span, needs) = (spans.known(from, to), spans.ground(number).needs());
        let need = Rows { start: needs[rows.start as usize].lo, end: needs[rows.end as usize].hi };
        let demand = network.demand(&(from..to), rows);
        let place = || format!("{} units {from}..{to} rows {rows}", network.name);
        assert_eq!(need, demand.input, "{}", place());
        assert_eq!(span.macs(rows), network.strip_macs(&(from..to), rows) as f64, "{}", place());
        for worker in 0..2 {
            let real = costs.strip_ms(network, worker, &(from..to), rows);
            let tabulated = spans.ms(span, worker, rows);
            assert!((real - tabulated).abs() <= 1e-10 * (1.0 + real), "{} {real} {tabulated}", place());
        }
    }

    fn check_any(network: &Network, rng: &mut ChaCha8Rng) {
        let from = rng.random_range(0..network.units.len());
        let to = rng.random_range(from + 1..=network.units.len());
        let height = network.cut(to).rows;
        let start = rng.random_range(0..height);
        check(network, from, to, Rows::new(start, rng.random_range(start + 1..=height)));
    }

    #[test]
    fn tables_agree_with_the_walk_on_random_spans_of_branching_networks() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..600 {
            let network = random(&mut rng, 8, 64);
            for _ in 0..10 {
                check_any(&network, &mut rng);
            }
        }
    }

    #[test]
    fn tables_agree_with_the_walk_on_known_networks() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for name in ZOO {
            let network = named(name).unwrap();
            for _ in 0..40 {
                check_any(&network, &mut rng);
            }
        }
    }
}
