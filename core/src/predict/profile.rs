//! A device's profile: what each term of work costs on it, fitted from timed layers.

use serde::{Deserialize, Serialize};

use super::nnls::fit_relative;
use super::{CutCost, LayerCost};
use crate::network::{Term, Work};

/// The version of the form and of the terms' meaning; a stored profile of another one is of no use.
pub const PROFILE_VERSION: u32 = 18;

/// Samples that must exercise a term before its coefficient is believed.
const ENOUGH: u32 = 4;

/// One timed layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// How much of what it did.
    pub amounts: Vec<(Term, f64)>,
    /// What it took, ms.
    pub ms: f64,
}

impl Sample {
    /// Of `rows` output rows of a layer with this work.
    pub fn new(work: &[Work], rows: u32, ms: f64) -> Self {
        Self { amounts: work.iter().map(|work| (work.term, work.amount(rows))).collect(), ms }
    }

    /// The same where a block begins with it, and so many bytes of its input are read, or ends with it, and so many bytes of
    /// its output are written.
    pub fn at_cuts(mut self, read: u64, written: u64) -> Self {
        self.amounts.extend([(Term::BlockInput, read as f64), (Term::BlockOutput, written as f64)]);
        self
    }
}

/// What a unit of one term costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// Which term.
    pub term: Term,
    /// Milliseconds for a unit of it; not negative.
    pub ms: f64,
    /// Samples that had any of it.
    pub samples: u32,
    /// Whether those were enough.
    pub reliable: bool,
}

/// What a device takes for work, at its full CPU share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`PROFILE_VERSION`] when it was fitted.
    pub version: u32,
    /// By term, ascending; a term that no sample had is not there.
    pub coefficients: Vec<Coefficient>,
    /// Samples it was fitted on.
    pub samples: u32,
    /// The median of |fitted − measured| / measured over them.
    pub spread: f64,
}

/// Fits a profile. Terms that no sample had get no coefficient.
pub fn fit(samples: &[Sample]) -> Profile {
    let amount = |sample: &Sample, term: Term| -> f64 {
        sample.amounts.iter().filter(|(of, _)| *of == term).map(|(_, amount)| amount).sum()
    };
    let counted = |term: Term| samples.iter().filter(|sample| amount(sample, term) > 0.0).count() as u32;
    let terms: Vec<(Term, u32)> =
        Term::ALL.into_iter().map(|term| (term, counted(term))).filter(|(_, count)| *count > 0).collect();
    let rows: Vec<Vec<f64>> =
        samples.iter().map(|sample| terms.iter().map(|(term, _)| amount(sample, *term)).collect()).collect();
    let y: Vec<f64> = samples.iter().map(|sample| sample.ms).collect();
    let costs = fit_relative(&rows, &y);
    let coefficients = terms.iter().zip(&costs);
    let coefficients = coefficients
        .map(|(&(term, samples), &ms)| Coefficient { term, ms, samples, reliable: samples >= ENOUGH })
        .collect();
    let mut errors: Vec<f64> = rows
        .iter()
        .zip(&y)
        .filter(|(_, y)| **y > 0.0)
        .map(|(row, y)| (row.iter().zip(&costs).map(|(a, b)| a * b).sum::<f64>() / y - 1.0).abs())
        .collect();
    errors.sort_by(f64::total_cmp);
    Profile {
        version: PROFILE_VERSION,
        coefficients,
        samples: samples.len() as u32,
        spread: errors.get(errors.len() / 2).copied().unwrap_or(0.0),
    }
}

impl Profile {
    /// The coefficient of a term, if any sample had it.
    pub fn coefficient(&self, term: Term) -> Option<&Coefficient> {
        let at = self.coefficients.binary_search_by_key(&term, |coefficient| coefficient.term);
        at.ok().map(|at| &self.coefficients[at])
    }

    /// What a layer with this work takes; terms without a coefficient cost nothing.
    pub fn cost(&self, work: &[Work]) -> LayerCost {
        let priced = work.iter().filter_map(|work| Some((work, self.coefficient(work.term)?.ms)));
        priced.fold(LayerCost::default(), |sum, (work, ms)| LayerCost {
            call_ms: sum.call_ms + ms * work.call,
            row_ms: sum.row_ms + ms * work.row,
        })
    }

    /// What cuts take beside layers.
    pub fn at_cuts(&self) -> CutCost {
        let ms = |term: Term| self.coefficient(term).map_or(0.0, |known| known.ms);
        CutCost { read_ms: ms(Term::BlockInput), write_ms: ms(Term::BlockOutput) }
    }

    /// What a layer takes that did so much work, ms; terms without a coefficient cost nothing.
    pub fn ms(&self, sample: &Sample) -> f64 {
        let priced = sample.amounts.iter();
        priced.filter_map(|(term, amount)| Some(self.coefficient(*term)?.ms * amount)).sum()
    }

    /// The profile of a device that takes `slowdown` times as long for everything.
    pub fn slowed(&self, slowdown: f64) -> Self {
        let mut slowed = self.clone();
        slowed.coefficients.iter_mut().for_each(|coefficient| coefficient.ms *= slowdown);
        slowed
    }

    /// What `rows` rows of it take by term, in the order of `work`.
    pub fn terms(&self, work: &[Work], rows: u32) -> Vec<(Term, f64)> {
        let ms = |work: &Work| self.coefficient(work.term).map_or(0.0, |known| known.ms * work.amount(rows));
        work.iter().map(|work| (work.term, ms(work))).collect()
    }

    /// The terms of this work that too few samples exercised.
    pub fn unreliable(&self, work: &[Work]) -> Vec<Term> {
        let known = |term: Term| self.coefficient(term).is_some_and(|known| known.reliable);
        work.iter().map(|work| work.term).filter(|term| !known(*term)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(amounts: &[(Term, f64)]) -> Sample {
        let cost = |term: Term| if term == Term::Call { 0.02 } else { 1e-6 };
        let ms = amounts.iter().map(|(term, amount)| cost(*term) * amount).sum();
        Sample { amounts: amounts.to_vec(), ms }
    }

    fn fitted() -> Profile {
        let convs = (1..20).map(|at| {
            let size = f64::from(at);
            sample(&[(Term::Call, 1.0), (Term::DirectMacs, 1e5 * size), (Term::BytesRead, 3e4 * size.sqrt())])
        });
        let rare = (1..3).map(|at| sample(&[(Term::Call, 1.0), (Term::LrnValues, 1e4 * f64::from(at))]));
        fit(&convs.chain(rare).collect::<Vec<_>>())
    }

    #[test]
    fn a_profile_finds_what_each_term_costs_and_prices_a_layer_it_never_saw() {
        let profile = fitted();
        let work = [
            Work { term: Term::Call, call: 1.0, row: 0.0 },
            Work { term: Term::DirectMacs, call: 0.0, row: 5e4 },
        ];
        let cost = profile.cost(&work);
        assert!((cost.ms(40) - (0.02 + 2.0)).abs() < 1e-3, "{cost:?}");
        let terms = profile.terms(&work, 40);
        assert!((terms.iter().map(|(_, ms)| ms).sum::<f64>() - cost.ms(40)).abs() < 1e-12);
        assert!(profile.spread < 1e-3, "{}", profile.spread);
    }

    #[test]
    fn terms_with_too_few_samples_are_flagged_and_missing_ones_too() {
        let profile = fitted();
        let work = |term| Work { term, call: 0.0, row: 1.0 };
        let asked = [work(Term::DirectMacs), work(Term::LrnValues), work(Term::HardValues)];
        assert_eq!(profile.unreliable(&asked), [Term::LrnValues, Term::HardValues]);
    }
}
