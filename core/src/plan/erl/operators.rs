//! Variation that does not destroy behaviour (Bodnar, Day, Lió 2020, "Proximal Distilled Evolutionary
//! Reinforcement Learning"): mutation scaled by how strongly a weight moves the outputs, crossover by
//! teaching a child what each parent did where it was the better one.

use rand::{Rng, RngExt};

use super::policy::{Decision, Mind, RANK, WEIGHTS};
use crate::plan::genome::normal;

/// Mutated share of the weights.
const FRACTION: f64 = 0.25;
/// Decisions at which sensitivity is measured.
const PROBES: usize = 48;
/// Lessons taught to a child, and how far each moves it.
const LESSONS: usize = 160;
const LESSON_STEP: f64 = 0.01;

/// Adds noise of `strength`, to every weight in the measure in which outputs can bear it.
pub(crate) fn mutate_gently(mind: &mut Mind, seen: &[Decision], strength: f64, rng: &mut impl Rng) {
    if seen.is_empty() {
        return mutate(mind, strength, rng);
    }
    let mut squares = vec![0.0; WEIGHTS];
    for _ in 0..PROBES {
        mind.sense(&seen[rng.random_range(0..seen.len())], &mut squares);
    }
    for (at, weight) in mind.weights.iter_mut().enumerate() {
        if rng.random_bool(FRACTION) {
            let sensitivity = (squares[at] / PROBES as f64).sqrt();
            let scale = if at >= WEIGHTS - RANK { 1.0 } else { 1.0 / sensitivity.max(0.1) };
            *weight += strength * scale.min(4.0) * normal(rng);
        }
    }
}

/// Adds noise of `strength` to some weights.
pub(crate) fn mutate(mind: &mut Mind, strength: f64, rng: &mut impl Rng) {
    for weight in &mut mind.weights {
        if rng.random_bool(FRACTION) {
            *weight += strength * normal(rng);
        }
    }
}

/// Moves `child` towards `lessons`: decisions of either parent where it was the better one.
pub(crate) fn teach(child: &mut Mind, lessons: &[&Decision], rng: &mut impl Rng) {
    if lessons.is_empty() {
        return;
    }
    let mut gradient = vec![0.0; WEIGHTS];
    const BATCH: usize = 16;
    for _ in 0..LESSONS / BATCH {
        gradient.fill(0.0);
        for _ in 0..BATCH {
            child.push(lessons[rng.random_range(0..lessons.len())], 1.0 / BATCH as f64, &mut gradient);
        }
        let norm = gradient.iter().map(|value| value * value).sum::<f64>().sqrt().max(1.0);
        let step = LESSON_STEP * BATCH as f64 / norm;
        child.weights.iter_mut().zip(&gradient).for_each(|(weight, slope)| *weight += step * slope);
    }
}

/// Half of the weights from either parent.
pub(crate) fn cross(first: &Mind, second: &Mind, rng: &mut impl Rng) -> Mind {
    let pairs = first.weights.iter().zip(&second.weights);
    Mind { weights: pairs.map(|(&a, &b)| if rng.random_bool(0.5) { a } else { b }).collect() }
}
