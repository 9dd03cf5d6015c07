//! What a policy sees: ratios of times and logarithms of them, so that no unit and no fleet size enters.

use super::table::{LONGEST_BLOCK, Table};
use crate::plan::search::Search;

/// Inputs of the cut net.
pub(crate) const CUT_INPUTS: usize = 22;
/// Inputs of the share net.
pub(crate) const SHARE_INPUTS: usize = 22;

/// A time that is nothing beside any other, ms.
const NOTHING: f64 = 1e-6;

/// What is the same for every plan of one problem.
#[derive(Debug)]
pub(crate) struct Outlook {
    /// By worker, then by unit: ms for that unit alone.
    pub(crate) unit_ms: Vec<Vec<f64>>,
    /// By worker, then by unit: ms for all units from there on.
    pub(crate) rest_ms: Vec<Vec<f64>>,
}

/// A plan under way.
pub(crate) struct View<'a> {
    /// When each worker is done with what was placed, ms.
    pub(crate) free: &'a [f64],
    /// Boundaries of the block before; empty for the first.
    pub(crate) before: &'a [u32],
    /// First unit of the block to come.
    pub(crate) from: usize,
}

impl Outlook {
    pub(crate) fn new(search: &mut Search<'_>) -> Self {
        let units = search.units();
        let unit_ms: Vec<Vec<f64>> = (0..search.speeds.len())
            .map(|worker| {
                let mut times = Vec::with_capacity(units);
                for unit in 0..units {
                    let rows = search.rows(unit + 1);
                    search.costing.spans.span(unit, unit + 1);
                    times.push(search.strip(unit, unit + 1, worker, 0, rows));
                }
                times
            })
            .collect();
        let rest = |times: &Vec<f64>| {
            let mut rest = vec![0.0; units + 1];
            for unit in (0..units).rev() {
                rest[unit] = rest[unit + 1] + times[unit];
            }
            rest
        };
        let rest_ms = unit_ms.iter().map(rest).collect();
        Self { unit_ms, rest_ms }
    }

    /// The speeds of the members in units `from..to`, 0 for everyone else.
    pub(crate) fn weights(&self, members: &[usize], from: usize, to: usize, weights: &mut Vec<f64>) {
        weights.clear();
        weights.resize(self.unit_ms.len(), 0.0);
        for &member in members {
            let rest = &self.rest_ms[member];
            weights[member] = 1.0 / (rest[from] - rest[to]).max(NOTHING);
        }
    }
}

/// Boundaries in proportion to `weights`, quickly: rounded boundaries rather than apportioned rows.
pub(crate) fn stretch(rows: u32, weights: &[f64], bounds: &mut Vec<u32>) {
    let total: f64 = weights.iter().sum();
    bounds.clear();
    bounds.push(0);
    let mut sum = 0.0;
    for weight in weights {
        sum += weight;
        bounds.push((sum / total * f64::from(rows) + 0.5) as u32);
    }
    if let Some(last) = bounds.last_mut() {
        *last = rows;
    }
}

impl Search<'_> {
    /// What the cut net sees when the block that began at `view.from` could end at `to`, and how strongly
    /// the table is for that.
    pub(crate) fn cut_input(
        &self,
        outlook: &Outlook,
        table: &Table,
        view: &View<'_>,
        to: usize,
    ) -> ([f64; CUT_INPUTS], f64) {
        let (from, units, members) = (view.from, self.units(), &table.team);
        let (one, three) = ((to + 1).min(units), (to + 3).min(units).min(from + LONGEST_BLOCK));
        let three = three.max(one);
        let slowest = |from: usize, to: usize| table.entry(from, to).slowest;
        let (now, next) = (slowest(from, to), slowest(to, one));
        let (merged_one, merged_three) = (slowest(from, one), slowest(from, three));
        let next_three = slowest(to, three);
        let sync = table.entry(to, one).exchange;
        let log =
            |a: f64, b: f64| (((a.max(0.0) + NOTHING) / (b.max(0.0) + NOTHING)).ln() / 4.0).clamp(-2.0, 2.0);
        let network = self.problem.network;
        let (here, ahead) = (network.cut(to), network.cut(one));
        let frees = members.iter().map(|&member| view.free[member]);
        let (least, most) =
            frees.fold((f64::INFINITY, 0.0f64), |(low, high), at| (low.min(at), high.max(at)));
        let rest = |member: &usize| outlook.rest_ms[*member][to];
        let apart: f64 = members.iter().map(|member| 1.0 / rest(member).max(NOTHING)).sum();
        let single = members.iter().map(rest).fold(f64::INFINITY, f64::min);
        let team = |unit: usize| {
            let rates = members.iter().map(|&member| 1.0 / outlook.unit_ms[member][unit].max(NOTHING));
            1.0 / rates.sum::<f64>()
        };
        let alone: f64 = (from..to).map(team).sum();
        let known = self.costing.spans.known(to, one);
        let calls = members.iter().map(|&member| self.costing.spans.fixed_ms(known, member));
        let calls = calls.fold(0.0, f64::max);
        let yes = |yes: bool| f64::from(u8::from(yes));
        let opinion = (table.gain(from, to) / (sync + 0.1 * next + NOTHING)).clamp(-3.0, 3.0);
        let input = [
            log(merged_one - now - next, sync),
            log(merged_three - now - next_three, sync),
            log(sync, next),
            log(sync, now),
            to as f64 / units as f64,
            outlook.rest_ms[members[0]][to] / outlook.rest_ms[members[0]][0].max(NOTHING),
            (f64::from(here.rows.max(1)) / members.len() as f64).ln() / 5.0,
            (to - from) as f64 / 8.0,
            yes(self.shared(one)),
            yes(network.units[to - 1].split != network.units[one - 1].split),
            ((most - least) / (now + NOTHING)).clamp(0.0, 3.0),
            log(single, 1.0 / apart),
            log(next_three, sync),
            (f64::from(ahead.rows.max(1)) / f64::from(here.rows.max(1))).ln().clamp(-2.0, 2.0),
            members.len() as f64 / 8.0,
            (now / (alone + NOTHING) - 1.0).clamp(-1.0, 3.0),
            (ahead.bytes(ahead.rows) as f64 / here.bytes(here.rows).max(1) as f64).ln().clamp(-4.0, 4.0)
                / 3.0,
            opinion / 2.0,
            yes(table.entry(to, one).hides),
            yes(table.entry(from, to).hides),
            log(calls, next),
            (table.gain(from, to) / (now + next + NOTHING)).clamp(-1.0, 1.0),
        ];
        (input, opinion)
    }

    /// What the share net sees of `member` for the block `view.from..to`, which it could begin at `begin` if
    /// all of its input were there, ms.
    pub(crate) fn share_input(
        &self,
        outlook: &Outlook,
        table: &Table,
        view: &View<'_>,
        to: usize,
        begin: f64,
        member: usize,
    ) -> [f64; SHARE_INPUTS] {
        let (from, units, members) = (view.from, self.units(), &table.team);
        let own = |member: usize| (outlook.rest_ms[member][from] - outlook.rest_ms[member][to]).max(NOTHING);
        let count = members.len() as f64;
        let rates: f64 = members.iter().map(|&member| 1.0 / own(member)).sum();
        let fastest = members.iter().map(|&member| own(member)).fold(f64::INFINITY, f64::min);
        let (team, share) = (1.0 / rates, 1.0 / own(member) / rates);
        let rows = self.rows(to);
        let strip = ((share * f64::from(rows) + 0.5) as u32).clamp(1, rows);
        let start = (rows - strip) / 2;
        let halo = self.strip(from, to, member, start, start + strip) / (share * own(member) + NOTHING) - 1.0;
        let levelled = table.rows(from, to);
        let levelled = levelled[member + 1] - levelled[member];
        let calls = self.costing.spans.fixed_ms(self.costing.spans.known(from, to), member);
        let network = self.problem.network;
        let link = self.costing.link(member, self.problem.workers());
        let row_ms = link.sending_ms(network.cut(from).bytes(1));
        let gather = match to == units {
            true => link.sending_ms(network.cut(to).bytes(strip)) / (team + NOTHING),
            false => 0.0,
        };
        let frees = members.iter().map(|&member| view.free[member]);
        let (sum, least) = frees.fold((0.0, f64::INFINITY), |(sum, low), at| (sum + at, f64::min(low, at)));
        let before = view.before.last().map(|&height| {
            f64::from(view.before[member + 1] - view.before[member]) / f64::from(height.max(1))
        });
        let yes = |yes: bool| f64::from(u8::from(yes));
        [
            (1.0 / own(member) * count / rates).ln().clamp(-3.0, 3.0),
            (fastest / own(member)).ln().clamp(-4.0, 0.0),
            ((row_ms + NOTHING) / (own(member) / f64::from(rows) + NOTHING)).ln().clamp(-6.0, 6.0) / 4.0,
            (link.delay_ms / (team + NOTHING)).min(3.0),
            before.map_or(0.0, |before| (before / share - 1.0).clamp(-1.0, 2.0)),
            before.map_or(0.0, |before| yes(before > 0.0)),
            ((view.free[member] - sum / count) / (team + NOTHING)).clamp(-2.0, 2.0),
            ((view.free[member] - least) / (team + NOTHING)).clamp(0.0, 3.0),
            halo.clamp(-1.0, 3.0),
            yes(member == members[0]),
            yes(Some(&member) == members.last()),
            count / 8.0,
            (to - from) as f64 / 8.0,
            to as f64 / units as f64,
            (share * f64::from(rows)).max(0.1).ln() / 5.0,
            yes(to == units),
            gather.min(3.0),
            yes(from == 0),
            ((f64::from(levelled) + 0.3) / (share * f64::from(rows) + 0.3)).ln().clamp(-3.0, 3.0),
            ((begin - view.free[member]) / (team + NOTHING)).clamp(-1.0, 3.0),
            (calls / (share * own(member) + NOTHING)).min(3.0),
            yes(table.entry(from, to).hides),
        ]
    }
}
