//! What a policy sees: ratios of times and logarithms of them, so that no unit and no fleet size enters.

use crate::plan::search::Search;

/// Inputs of the cut net.
pub(crate) const CUT_INPUTS: usize = 17;
/// Inputs of the share net.
pub(crate) const SHARE_INPUTS: usize = 18;

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
    /// Who may take part, in the order of the fleet.
    pub(crate) members: &'a [usize],
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
        bounds.push((sum / total * f64::from(rows)).round() as u32);
    }
    if let Some(last) = bounds.last_mut() {
        *last = rows;
    }
}

/// Room for features.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    weights: Vec<f64>,
    bounds: Vec<u32>,
    other: Vec<u32>,
}

impl Search<'_> {
    /// What the cut net sees when the block that began at `view.from` could end at `to`.
    pub(crate) fn cut_input(
        &mut self,
        outlook: &Outlook,
        view: &View<'_>,
        to: usize,
        desk: &mut Desk,
    ) -> [f64; CUT_INPUTS] {
        let (from, units) = (view.from, self.units());
        let (one, three) = ((to + 1).min(units), (to + 3).min(units));
        let mut slowest = |search: &mut Self, from: usize, to: usize, bounds: &mut Vec<u32>| {
            outlook.weights(view.members, from, to, &mut desk.weights);
            search.costing.spans.span(from, to);
            if search.shared(to) {
                stretch(search.rows(to), &desk.weights, bounds);
            } else {
                bounds.clone_from(&search.in_proportion(to, &desk.weights));
            }
            search.slowest(from, to, bounds)
        };
        let merged_one = slowest(self, from, one, &mut desk.other);
        let merged_three = slowest(self, from, three, &mut desk.other);
        let next_three = slowest(self, to, three, &mut desk.other);
        let now = slowest(self, from, to, &mut desk.bounds);
        let next = slowest(self, to, one, &mut desk.other);
        let sync = self.exchange(&desk.bounds, to, one, &desk.other);
        let log =
            |a: f64, b: f64| (((a.max(0.0) + NOTHING) / (b.max(0.0) + NOTHING)).ln() / 4.0).clamp(-2.0, 2.0);
        let network = self.problem.network;
        let (here, ahead) = (network.cut(to), network.cut(one));
        let frees = view.members.iter().map(|&member| view.free[member]);
        let (least, most) =
            frees.fold((f64::INFINITY, 0.0f64), |(low, high), at| (low.min(at), high.max(at)));
        let apart: f64 =
            view.members.iter().map(|&member| 1.0 / outlook.rest_ms[member][to].max(NOTHING)).sum();
        let single =
            view.members.iter().map(|&member| outlook.rest_ms[member][to]).fold(f64::INFINITY, f64::min);
        let mut alone = 0.0;
        for unit in from..to {
            let rates: f64 =
                view.members.iter().map(|&member| 1.0 / outlook.unit_ms[member][unit].max(NOTHING)).sum();
            alone += 1.0 / rates;
        }
        let all = outlook.rest_ms[view.members[0]][0].max(NOTHING);
        [
            log(merged_one - now - next, sync),
            log(merged_three - now - next_three, sync),
            log(sync, next),
            log(sync, now),
            to as f64 / units as f64,
            outlook.rest_ms[view.members[0]][to] / all,
            (f64::from(here.rows.max(1)) / view.members.len() as f64).ln() / 5.0,
            (to - from) as f64 / 8.0,
            f64::from(u8::from(self.shared(one))),
            f64::from(u8::from(network.units[to - 1].split != network.units[one - 1].split)),
            ((most - least) / (now + NOTHING)).clamp(0.0, 3.0),
            log(single, 1.0 / apart),
            log(next_three, sync),
            (f64::from(ahead.rows.max(1)) / f64::from(here.rows.max(1))).ln().clamp(-2.0, 2.0),
            view.members.len() as f64 / 8.0,
            (now / (alone + NOTHING) - 1.0).clamp(-1.0, 3.0),
            (ahead.bytes(ahead.rows) as f64 / here.bytes(here.rows).max(1) as f64).ln().clamp(-4.0, 4.0)
                / 3.0,
        ]
    }

    /// What the share net sees of `member` for the block `view.from..to`.
    pub(crate) fn share_input(
        &mut self,
        outlook: &Outlook,
        view: &View<'_>,
        to: usize,
        member: usize,
    ) -> [f64; SHARE_INPUTS] {
        let (from, units) = (view.from, self.units());
        let own = |member: usize| (outlook.rest_ms[member][from] - outlook.rest_ms[member][to]).max(NOTHING);
        let count = view.members.len() as f64;
        let rates: f64 = view.members.iter().map(|&member| 1.0 / own(member)).sum();
        let fastest = view.members.iter().map(|&member| own(member)).fold(f64::INFINITY, f64::min);
        let (team, share) = (1.0 / rates, 1.0 / own(member) / rates);
        let rows = self.rows(to);
        let strip = ((share * f64::from(rows)).round() as u32).clamp(1, rows);
        let start = (rows - strip) / 2;
        self.costing.spans.span(from, to);
        let halo = self.strip(from, to, member, start, start + strip) / (share * own(member) + NOTHING) - 1.0;
        let network = self.problem.network;
        let lab = self.problem.workers();
        let link = *self.costing.link(member, lab);
        let row_ms = link.sending_ms(network.cut(from).bytes(1));
        let gather = match to == units {
            true => link.sending_ms(network.cut(to).bytes(strip)) / (team + NOTHING),
            false => 0.0,
        };
        let frees = view.members.iter().map(|&member| view.free[member]);
        let (sum, least) = frees.fold((0.0, f64::INFINITY), |(sum, low), at| (sum + at, f64::min(low, at)));
        let before = match view.before.last() {
            Some(&height) => {
                let rows = view.before[member + 1] - view.before[member];
                Some(f64::from(rows) / f64::from(height.max(1)))
            }
            None => None,
        };
        [
            (1.0 / own(member) * count / rates).ln().clamp(-3.0, 3.0),
            (fastest / own(member)).ln().clamp(-4.0, 0.0),
            ((row_ms + NOTHING) / (own(member) / f64::from(rows) + NOTHING)).ln().clamp(-6.0, 6.0) / 4.0,
            (link.delay_ms / (team + NOTHING)).min(3.0),
            before.map_or(0.0, |before| (before / share - 1.0).clamp(-1.0, 2.0)),
            before.map_or(0.0, |before| f64::from(u8::from(before > 0.0))),
            ((view.free[member] - sum / count) / (team + NOTHING)).clamp(-2.0, 2.0),
            ((view.free[member] - least) / (team + NOTHING)).clamp(0.0, 3.0),
            halo.clamp(-1.0, 3.0),
            f64::from(u8::from(member == view.members[0])),
            f64::from(u8::from(Some(&member) == view.members.last())),
            count / 8.0,
            (to - from) as f64 / 8.0,
            to as f64 / units as f64,
            (share * f64::from(rows)).max(0.1).ln() / 5.0,
            f64::from(u8::from(to == units)),
            gather.min(3.0),
            f64::from(u8::from(from == 0)),
        ]
    }
}
