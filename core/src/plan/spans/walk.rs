//! Spans that end at one cut, each made from the one that begins a unit later.

use std::sync::Arc;

use super::{Ends, Span, Spans, Tables};
use crate::predict::LayerCost;
use crate::rows::RowMap;

/// A span's costs while its first unit is added.
struct Charge {
    /// Every strip needs the same rows of the unit's output.
    constant: bool,
    tables: Arc<Tables>,
    fixed_macs: f64,
    fixed_ms: Vec<f64>,
    /// What the tables still lack.
    due: Option<Due>,
}

/// Layers of which strips need the same rows: a convolution and what is done to its output, mostly.
struct Due {
    rows: Vec<Ends<f64>>,
    /// Multiply-accumulates for each row.
    row_macs: f64,
    /// By class, for each row.
    row_ms: Vec<f64>,
}

impl Spans<'_> {
    /// The span that begins one unit before the longest known one that ends at `to`.
    pub(super) fn extend(&mut self, at: usize, to: usize) -> Span {
        let classes = self.classes;
        let after = self.columns[to - 1].last();
        let rows = self.network.cut(to).rows;
        let own: Arc<[Ends<u32>]> = match after {
            Some(after) => Arc::clone(&after.needs),
            None => (0..=rows).map(|row| Ends { lo: row, hi: row }).collect(),
        };
        let entries = own.len();
        let constant = after.is_some_and(|after| after.constant);
        let mut charge = Charge {
            constant,
            tables: after
                .map_or_else(|| Arc::new(Tables::new(entries, classes)), |after| Arc::clone(&after.tables)),
            fixed_macs: after.map_or(0.0, |after| after.fixed_macs),
            fixed_ms: after.map_or_else(|| vec![0.0; classes], |after| after.fixed_ms.clone()),
            due: None,
        };
        let (first, end) = self.network.units[at].layers;
        let (first, end) = (first as usize, end as usize);
        let mut reached: Vec<Option<Vec<Ends<u32>>>> = vec![None; end - first];
        let mut input: Option<Vec<Ends<u32>>> = None;
        let input_rows = self.network.cut(at).rows;
        // One strip stands for all where every strip needs the same rows.
        let different = if constant { 2 } else { entries };
        for layer in (first..end).rev() {
            let needed = reached[layer - first].take();
            let needed = match &needed {
                Some(needed) => needed,
                None if layer + 1 == end => &own[..different],
                None => continue,
            };
            self.charge(&mut charge, layer, needed);
            for edge in &self.network.layers[layer].inputs {
                let inside = edge.from.map(|from| from as usize).filter(|&from| from >= first);
                let (slot, there) = match inside {
                    Some(from) => (&mut reached[from - first], self.network.layers[from].output.rows),
                    None => (&mut input, input_rows),
                };
                widen(slot, needed, edge.map, there);
            }
        }
        charge.settle();
        let needs = input.unwrap_or_else(|| vec![Ends::default(); entries]);
        let all = Ends { lo: needs[0].lo, hi: needs[needs.len() - 1].hi };
        let constant = constant || needs[1..].iter().all(|ends| (ends.lo, ends.hi) == (all.lo, all.hi));
        let needs = if constant { self.same(entries, all) } else { needs.into() };
        let Charge { tables, fixed_macs, fixed_ms, .. } = charge;
        Span { needs, constant, tables, fixed_macs, fixed_ms }
    }

    /// The needs of a span of which every strip needs the input rows `all`.
    fn same(&mut self, entries: usize, all: Ends<u32>) -> Arc<[Ends<u32>]> {
        let is_it = |known: &&Arc<[Ends<u32>]>| known.len() == entries && known[0] == all;
        if let Some(known) = self.constants.iter().find(is_it) {
            return Arc::clone(known);
        }
        let needs: Arc<[Ends<u32>]> = vec![all; entries].into();
        self.constants.push(Arc::clone(&needs));
        needs
    }

    fn charge(&self, charge: &mut Charge, layer: usize, needed: &[Ends<u32>]) {
        let row_macs = self.network.layers[layer].row_macs as f64;
        let costs = &self.layers[layer * self.classes..(layer + 1) * self.classes];
        if charge.constant {
            let rows = needed[1].hi - needed[0].lo;
            charge.fixed_macs += row_macs * f64::from(rows);
            charge.fixed_ms.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost.ms(rows));
            return;
        }
        charge.fixed_ms.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost.call_ms);
        match charge.due.as_mut().filter(|due| due.is_for(needed)) {
            Some(due) => {
                due.row_macs += row_macs;
                due.row_ms.iter_mut().zip(costs).for_each(|(sum, cost)| *sum += cost.row_ms);
            }
            None => {
                charge.settle();
                charge.due = Some(Due::new(needed, row_macs, costs));
            }
        }
    }
}

impl Charge {
    fn settle(&mut self) {
        if let Some(due) = self.due.take() {
            self.tables = Arc::new(self.tables.with(&due));
        }
    }
}

impl Due {
    fn new(needed: &[Ends<u32>], row_macs: f64, costs: &[LayerCost]) -> Self {
        let rows = needed.iter().map(|ends| Ends { lo: f64::from(ends.lo), hi: f64::from(ends.hi) });
        Self { rows: rows.collect(), row_macs, row_ms: costs.iter().map(|cost| cost.row_ms).collect() }
    }

    /// Whether those are its rows; no strip begins at the last entry.
    fn is_for(&self, needed: &[Ends<u32>]) -> bool {
        let last = needed.len() - 1;
        let same = |(own, need): (&Ends<f64>, &Ends<u32>)| {
            own.lo == f64::from(need.lo) && own.hi == f64::from(need.hi)
        };
        self.rows[last].hi == f64::from(needed[last].hi) && self.rows[..last].iter().zip(needed).all(same)
    }
}

impl Tables {
    fn new(entries: usize, classes: usize) -> Self {
        let nothing: Arc<[Ends<f64>]> = vec![Ends::default(); entries].into();
        Self { macs: Arc::clone(&nothing), ms: vec![nothing; classes], most_twice: 0.0 }
    }

    /// Together with what is due.
    fn with(&self, due: &Due) -> Self {
        let add = |sums: &Arc<[Ends<f64>]>, each: f64| -> Arc<[Ends<f64>]> {
            let both = sums.iter().zip(&due.rows);
            both.map(|(sum, rows)| Ends { lo: sum.lo + each * rows.lo, hi: sum.hi + each * rows.hi })
                .collect()
        };
        let macs = add(&self.macs, due.row_macs);
        let inner = &macs[1..macs.len() - 1];
        let most_twice = inner
            .iter()
            .map(|ends| ends.hi - ends.lo)
            .fold(0.0, |most, twice| if twice > most { twice } else { most });
        Self {
            macs,
            ms: self.ms.iter().zip(&due.row_ms).map(|(sums, &each)| add(sums, each)).collect(),
            most_twice,
        }
    }
}

/// Takes the hull of `slot` and what a reader of the rows `needed` needs of a tensor of `there` rows through
/// `map`.
fn widen(slot: &mut Option<Vec<Ends<u32>>>, needed: &[Ends<u32>], map: RowMap, there: u32) {
    // A strip never starts after the last row nor ends before the first: those entries are unused.
    let reached = needed.iter().map(|ends| Ends {
        lo: map.first(ends.lo, there),
        hi: if ends.hi == 0 { 0 } else { map.end(ends.hi, there) },
    });
    match slot {
        None => *slot = Some(reached.collect()),
        Some(hull) => {
            for (old, new) in hull.iter_mut().zip(reached) {
                old.lo = old.lo.min(new.lo);
                old.hi = old.hi.max(new.hi);
            }
        }
    }
}
