//! Plans as vectors of real numbers, and the searches that need nothing else: random search, plain
//! evolution, an evolution strategy, the cross-entropy method.
//!
//! For every unit one number says whether a cut follows it (positive: yes), and one number a worker bends
//! its share of a block that ends there: rows ∝ speed · exp(number), none below [`GATE`].

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::draft::Draft;
use super::search::{Budget, Search};
use super::{Plan, Planner, Problem};

/// A worker whose number is below gets no rows.
const GATE: f64 = -1.5;
/// Members of a population.
const POPULATION: usize = 24;

/// Random plans around the proportional one.
pub struct RandomSearch;

/// A genetic algorithm: tournaments, uniform crossover, Gaussian mutation, elites.
pub struct Evolution;

/// The cross-entropy method: a normal distribution that moves towards its best quarter.
pub struct CrossEntropy;

/// An evolution strategy: mirrored samples around a point, which follows their ranks (Salimans et al. 2017).
pub struct Strategy;

/// Two independent standard normal numbers (Box and Muller 1958).
pub(crate) fn normals(rng: &mut impl Rng) -> (f64, f64) {
    let (u, v): (f64, f64) = (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random());
    let radius = (-2.0 * u.ln()).sqrt();
    let angle = std::f64::consts::TAU * v;
    (radius * angle.cos(), radius * angle.sin())
}

/// A standard normal number.
pub(crate) fn normal(rng: &mut impl Rng) -> f64 {
    normals(rng).0
}

impl Search<'_> {
    fn genes(&self) -> usize {
        self.units() * (1 + self.problem.workers())
    }

    /// The plan of `genome`.
    fn decode(&self, genome: &[f64]) -> Draft {
        let workers = self.problem.workers();
        let mut draft = Draft::new(workers);
        for (index, genes) in genome.chunks_exact(1 + workers).enumerate() {
            let to = index + 1;
            if genes[0] <= 0.0 && to < self.units() {
                continue;
            }
            let share = |worker: usize| {
                let bend = genes[1 + worker];
                if bend < GATE { 0.0 } else { self.speeds[worker] * bend.min(2.0).exp() }
            };
            let mut weights: Vec<f64> = (0..workers).map(share).collect();
            if weights.iter().sum::<f64>() <= 0.0 {
                weights.copy_from_slice(&self.speeds);
            }
            draft.push(to, &self.in_proportion(to, &weights));
        }
        draft
    }

    fn fitness(&mut self, genome: &[f64]) -> f64 {
        let draft = self.decode(genome);
        self.cost(&draft)
    }

    /// A random genome around the proportional plan, with a random density of cuts.
    fn sample(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let workers = self.problem.workers();
        let (cuts, spread) = (rng.random_range(-1.5..1.0), rng.random_range(0.0..1.0));
        let lean: Vec<f64> = (0..workers).map(|_| spread * normal(rng)).collect();
        let mut genome = vec![0.0; self.genes()];
        for genes in genome.chunks_exact_mut(1 + workers) {
            genes[0] = cuts + normal(rng);
            for worker in 0..workers {
                genes[1 + worker] = lean[worker] + 0.2 * spread * normal(rng);
            }
        }
        genome
    }
}

impl Planner for RandomSearch {
    fn name(&self) -> &'static str {
        "random"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
        while search.evaluations < budget.evaluations {
            let genome = search.sample(&mut rng);
            search.fitness(&genome);
        }
        search.answer()
    }
}

impl Planner for Evolution {
    fn name(&self) -> &'static str {
        "evolution"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
        let mut population: Vec<(f64, Vec<f64>)> = Vec::with_capacity(POPULATION);
        for _ in 0..POPULATION {
            let genome = search.sample(&mut rng);
            population.push((search.fitness(&genome), genome));
        }
        while search.evaluations < budget.evaluations {
            population.sort_by(|a, b| a.0.total_cmp(&b.0));
            let parents = population.clone();
            for slot in population.iter_mut().skip(POPULATION / 6) {
                let pick = |rng: &mut ChaCha8Rng| {
                    (0..3).map(|_| rng.random_range(0..POPULATION)).min().map_or(0, |at| at)
                };
                let (mother, father) = (pick(&mut rng), pick(&mut rng));
                let mut child = parents[mother].1.clone();
                for (gene, other) in child.iter_mut().zip(&parents[father].1) {
                    if rng.random_bool(0.3) {
                        *gene = *other;
                    }
                    if rng.random_bool(0.05) {
                        *gene += 0.5 * normal(&mut rng);
                    }
                }
                *slot = (search.fitness(&child), child);
            }
        }
        search.answer()
    }
}

impl Planner for CrossEntropy {
    fn name(&self) -> &'static str {
        "cem"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        let mut search = Search::new(problem)?;
        search.try_singles();
        let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
        let genes = search.genes();
        let (mut mean, mut spread) = (vec![0.0; genes], vec![0.8; genes]);
        while search.evaluations < budget.evaluations {
            let mut drawn: Vec<(f64, Vec<f64>)> = Vec::with_capacity(2 * POPULATION);
            for _ in 0..2 * POPULATION {
                let genome: Vec<f64> =
                    mean.iter().zip(&spread).map(|(mean, spread)| mean + spread * normal(&mut rng)).collect();
                drawn.push((search.fitness(&genome), genome));
            }
            drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
            let elite = &drawn[..POPULATION / 2];
            for gene in 0..genes {
                let count = elite.len() as f64;
                let centre = elite.iter().map(|(_, genome)| genome[gene]).sum::<f64>() / count;
                let square = elite.iter().map(|(_, genome)| (genome[gene] - centre).powi(2)).sum::<f64>();
                mean[gene] = 0.3 * mean[gene] + 0.7 * centre;
                spread[gene] = (0.3 * spread[gene] + 0.7 * (square / count).sqrt()).max(0.03);
            }
        }
        search.answer()
    }
}

impl Planner for Strategy {
    fn name(&self) -> &'static str {
        "strategy"
    }

    fn plan(&self, problem: &Problem<'_>, budget: Budget) -> Option<Plan> {
        const SPREAD: f64 = 0.3;
        const STEP: f64 = 0.5;
        let mut search = Search::new(problem)?;
        search.try_singles();
        let mut rng = ChaCha8Rng::seed_from_u64(budget.seed);
        let mut centre = vec![0.0; search.genes()];
        while search.evaluations < budget.evaluations {
            let mut drawn: Vec<(f64, Vec<f64>)> = Vec::with_capacity(POPULATION);
            for _ in 0..POPULATION / 2 {
                let noise: Vec<f64> = centre.iter().map(|_| normal(&mut rng)).collect();
                for sign in [1.0, -1.0] {
                    let noise: Vec<f64> = noise.iter().map(|noise| sign * noise).collect();
                    let pairs = centre.iter().zip(&noise);
                    let genome: Vec<f64> = pairs.map(|(centre, noise)| centre + SPREAD * noise).collect();
                    drawn.push((search.fitness(&genome), noise));
                }
            }
            drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (rank, (_, noise)) in drawn.iter().enumerate() {
                // From ½ for the best to −½ for the worst.
                let weight = 0.5 - rank as f64 / (POPULATION - 1) as f64;
                let step = STEP * weight / (POPULATION as f64 * SPREAD) * 2.0;
                centre.iter_mut().zip(noise).for_each(|(centre, noise)| *centre += step * noise);
            }
        }
        search.answer()
    }
}
