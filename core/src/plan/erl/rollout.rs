//! From a policy to a plan: unit by unit, for a team of workers.
//!
//! At every cut the plan so far is also finished by one worker alone, so that who takes over and where is
//! tried rather than learnt.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::features::{Outlook, View, stretch};
use super::policy::{Decision, LEANING, Mind, SPREAD, sigmoid};
use super::table::{LONGEST_BLOCK, Table};
use crate::plan::costing::State;
use crate::plan::draft::Draft;
use crate::plan::fill::{Line, Party};
use crate::plan::genome::normal;
use crate::plan::search::Search;

/// How much the table's opinion counts in the logit of cutting.
const LEAN: f64 = 2.0;

/// One problem prepared for many plans.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    pub(crate) search: Search<'a>,
    pub(crate) outlook: Outlook,
    states: Vec<State>,
    spare: State,
    /// After `spare`.
    last: State,
    /// By team, for all policies alike.
    tables: Vec<Table>,
    weights: Vec<f64>,
    bounds: Vec<u32>,
    free: Vec<f64>,
    begin: Vec<f64>,
    /// By worker: what a sampled plan adds to every bend.
    leanings: Vec<f64>,
    lines: Vec<Line>,
}

/// What came of one walk.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Latency of the best plan on the way, ms.
    pub(crate) latency: f64,
    pub(crate) draft: Draft,
    /// What was decided before the point where somebody took over.
    pub(crate) decisions: Vec<Decision>,
}

impl<'a> Room<'a> {
    pub(crate) fn new(mut search: Search<'a>) -> Self {
        let outlook = Outlook::new(&mut search);
        let (spare, last) = (search.costing.state(), search.costing.state());
        Self {
            search,
            outlook,
            states: Vec::new(),
            spare,
            last,
            tables: Vec::new(),
            weights: Vec::new(),
            bounds: Vec::new(),
            free: Vec::new(),
            begin: Vec::new(),
            leanings: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// The teams a policy considers: prefixes of its ranking of the allowed workers.
    pub(crate) fn teams(&self, mind: &Mind) -> Vec<Vec<usize>> {
        let lab = self.search.problem.workers();
        let fastest = self.search.speeds.iter().copied().fold(0.0, f64::max);
        let score = |worker: usize| {
            let link = self.search.costing.link(worker, lab);
            let speed = (self.search.speeds[worker] / fastest).ln();
            mind.rank([speed, -link.ms_per_byte.min(1e9).ln(), -link.delay_ms * fastest])
        };
        let mut ranked: Vec<(f64, usize)> =
            self.search.problem.candidates().map(|worker| (score(worker), worker)).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let sizes = crate::plan::proportional::prefixes(ranked.len());
        let team = |size: usize| {
            let mut team: Vec<usize> = ranked[..size].iter().map(|&(_, worker)| worker).collect();
            team.sort_unstable();
            team
        };
        sizes.map(team).collect()
    }

    /// The policy's plan for each of its teams, or for at most so many of different sizes, the best first.
    pub(crate) fn all(&mut self, mind: &Mind, most: usize) -> Vec<(Outcome, Vec<usize>)> {
        let teams = self.teams(mind);
        let step = teams.len().div_ceil(most).max(1);
        // The largest is among them.
        let skipped = teams.len().saturating_sub(1) % step;
        let mut walks: Vec<(Outcome, Vec<usize>)> = teams
            .into_iter()
            .skip(skipped)
            .step_by(step)
            .map(|team| (self.walk(mind, &team, None), team))
            .collect();
        walks.sort_by(|a, b| a.0.latency.total_cmp(&b.0.latency));
        walks
    }

    /// The policy's best plan over all teams.
    pub(crate) fn best(&mut self, mind: &Mind) -> Option<(Outcome, Vec<usize>)> {
        self.all(mind, usize::MAX).into_iter().next()
    }

    /// Plans for `team`: the likeliest decisions, or sampled ones.
    pub(crate) fn walk(
        &mut self,
        mind: &Mind,
        team: &[usize],
        mut sample: Option<&mut ChaCha8Rng>,
    ) -> Outcome {
        let units = self.search.units();
        let workers = self.search.problem.workers();
        let table = self.table(team);
        self.leanings.clear();
        if let Some(rng) = &mut sample {
            self.leanings.extend((0..workers).map(|_| LEANING * normal(&mut **rng)));
        }
        let mut draft = Draft::new(workers);
        let mut decisions = Vec::with_capacity(units * 2);
        let mut best: Option<(f64, Draft, usize)> = None;
        self.free.clear();
        self.free.resize(workers, 0.0);
        let mut from = 0;
        while from < units {
            let fresh = from;
            self.try_owners(team, &draft, from, decisions.len(), &mut best);
            let mut to = from + 1;
            while to < units && to - from < LONGEST_BLOCK {
                let before: &[u32] = if draft.len() == 0 { &[] } else { draft.block(draft.len() - 1) };
                let view = View { free: &self.free, before, from };
                let (input, opinion) = self.search.cut_input(&self.outlook, &self.tables[table], &view, to);
                let lean = LEAN * opinion;
                let logit = mind.cut(&input) + lean;
                let cut = match &mut sample {
                    Some(rng) => rng.random::<f64>() < sigmoid(logit),
                    None => logit > 0.0,
                };
                decisions.push(Decision::Cut { input, lean, cut });
                if cut {
                    break;
                }
                to += 1;
            }
            self.give_rows(mind, table, &draft, (from, to), &mut sample, &mut decisions);
            self.try_heir(table, &draft, (from, to), decisions.len(), &mut best);
            self.place(&draft, to);
            draft.push(to, &self.bounds);
            from = to;
            debug_assert!(from > fresh);
        }
        let latency = self.search.costing.finish(&self.states[draft.len() - 1]);
        let latency = self.search.judge(&draft, latency);
        if let Some((other, other_draft, seen)) = best
            && other <= latency
        {
            decisions.truncate(seen);
            return Outcome { latency: other, draft: other_draft, decisions };
        }
        Outcome { latency, draft, decisions }
    }

    /// Lets the fastest worker, and the one of the team with most to do, finish alone from `from` on.
    fn try_owners(
        &mut self,
        team: &[usize],
        draft: &Draft,
        from: usize,
        seen: usize,
        best: &mut Option<(f64, Draft, usize)>,
    ) {
        let units = self.search.units();
        let key = |&worker: &usize| self.free[worker] + self.outlook.rest_ms[worker][from];
        let soonest = team.iter().copied().min_by(|a, b| key(a).total_cmp(&key(b)));
        let all = self.search.problem.candidates();
        let fastest = all.min_by(|a, b| key(a).total_cmp(&key(b)));
        let mut owners = [soonest, fastest];
        if owners[0] == owners[1] {
            owners[1] = None;
        }
        for owner in owners.into_iter().flatten() {
            let bounds = self.search.alone(units, owner);
            match draft.len().checked_sub(1) {
                None => self.search.costing.open(units, &bounds, &mut self.spare),
                Some(last) => self.search.costing.step(&self.states[last], units, &bounds, &mut self.spare),
            }
            let latency = self.search.costing.finish(&self.spare);
            if best.as_ref().is_none_or(|(least, _, _)| latency < *least) {
                let mut whole = draft.clone();
                whole.push(units, &bounds);
                let latency = self.search.judge(&whole, latency);
                if best.as_ref().is_none_or(|(least, _, _)| latency < *least) {
                    *best = Some((latency, whole, seen));
                }
            }
        }
    }

    /// Makes the block `from..to` the last one shared: rows such that whoever of the team would be done first
    /// with all the rest has everybody's early.
    fn try_heir(
        &mut self,
        table: usize,
        draft: &Draft,
        (from, to): (usize, usize),
        seen: usize,
        best: &mut Option<(f64, Draft, usize)>,
    ) {
        let table = &self.tables[table];
        if to == self.search.units() || !self.search.shared(to) || table.team.len() < 2 {
            return;
        }
        let key = |&&worker: &&usize| self.free[worker] + self.outlook.rest_ms[worker][from];
        let Some(&heir) = table.team.iter().min_by(|a, b| key(a).total_cmp(&key(b))) else { return };
        let party = Party { members: &table.team, ready: &self.begin, heir: Some(heir) };
        let mut rows = table.rows(from, to).to_vec();
        for _ in 0..2 {
            self.search.balance(from, to, &party, &mut rows, &mut self.lines);
        }
        match draft.len().checked_sub(1) {
            None => self.search.costing.open(to, &rows, &mut self.spare),
            Some(last) => self.search.costing.step(&self.states[last], to, &rows, &mut self.spare),
        }
        let units = self.search.units();
        let alone = self.search.alone(units, heir);
        self.search.costing.step(&self.spare, units, &alone, &mut self.last);
        let latency = self.search.costing.finish(&self.last);
        if best.as_ref().is_none_or(|(least, _, _)| latency < *least) {
            let mut whole = draft.clone();
            whole.push(to, &rows);
            whole.push(units, &alone);
            let latency = self.search.judge(&whole, latency);
            if best.as_ref().is_none_or(|(least, _, _)| latency < *least) {
                *best = Some((latency, whole, seen));
            }
        }
    }

    /// The place of `team`'s table among all.
    fn table(&mut self, team: &[usize]) -> usize {
        if let Some(at) = self.tables.iter().position(|table| table.team == team) {
            return at;
        }
        self.tables.push(Table::new(&mut self.search, &self.outlook, team));
        self.tables.len() - 1
    }

    /// Leaves the boundaries of the block `from..to` in `self.bounds`.
    fn give_rows(
        &mut self,
        mind: &Mind,
        table: usize,
        draft: &Draft,
        (from, to): (usize, usize),
        sample: &mut Option<&mut ChaCha8Rng>,
        decisions: &mut Vec<Decision>,
    ) {
        let table = &self.tables[table];
        self.bounds.clear();
        self.bounds.extend_from_slice(table.rows(from, to));
        if !self.search.shared(to) {
            return;
        }
        // Placed as it is, the block shows who would wait for whom.
        match draft.len().checked_sub(1) {
            None => self.search.costing.open(to, &self.bounds, &mut self.spare),
            Some(last) => self.search.costing.step(&self.states[last], to, &self.bounds, &mut self.spare),
        }
        self.begin.clone_from(&self.free);
        for &worker in &table.team {
            let (start, end) = (self.bounds[worker], self.bounds[worker + 1]);
            if start < end {
                let done = self.search.costing.done(&self.spare, worker);
                self.begin[worker] = done - self.search.strip(from, to, worker, start, end);
            }
        }
        let before: &[u32] = if draft.len() == 0 { &[] } else { draft.block(draft.len() - 1) };
        let view = View { free: &self.free, before, from };
        self.weights.clear();
        self.weights.resize(self.free.len(), 0.0);
        let mut players = Vec::with_capacity(table.team.len());
        for &member in &table.team {
            let begin = self.begin[member];
            let input = self.search.share_input(&self.outlook, table, &view, to, begin, member);
            let (mean, logit) = mind.share(&input);
            let (bend, takes_part) = match sample {
                Some(rng) => {
                    let bend = mean + self.leanings[member] + SPREAD * normal(&mut **rng);
                    (bend, rng.random::<f64>() < sigmoid(logit))
                }
                None => (mean, logit > 0.0),
            };
            decisions.push(Decision::Share { input, bend, takes_part });
            if takes_part {
                self.weights[member] = bend.exp();
                players.push(member);
            }
        }
        if players.is_empty() {
            return;
        }
        if players.len() < table.team.len() {
            self.search.balance(from, to, &Party::of(&players), &mut self.bounds, &mut self.lines);
        }
        for (weight, rows) in self.weights.iter_mut().zip(self.bounds.windows(2)) {
            *weight *= f64::from(rows[1] - rows[0]);
        }
        if self.weights.iter().sum::<f64>() > 0.0 {
            stretch(self.search.rows(to), &self.weights, &mut self.bounds);
        }
    }

    /// Places the block that ends at `to` with `self.bounds`, and says when everyone is done with it.
    fn place(&mut self, draft: &Draft, to: usize) {
        while self.states.len() <= draft.len() {
            self.states.push(self.search.costing.state());
        }
        let (done, next) = self.states.split_at_mut(draft.len());
        match done.last() {
            None => self.search.costing.open(to, &self.bounds, &mut next[0]),
            Some(state) => self.search.costing.step(state, to, &self.bounds, &mut next[0]),
        }
        for worker in 0..self.free.len() {
            self.free[worker] = self.search.costing.done(&next[0], worker);
        }
    }
}
