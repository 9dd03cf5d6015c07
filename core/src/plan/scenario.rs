//! Fleets to plan for, and how far a plan is from the best known one.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{Auto, Budget, Plan, Planner, Problem, planner};
use crate::network::{Kind, Network};
use crate::predict::{LayerCost, LinkCost, PerLayer};

/// Relative speeds for which the paper's published speed-ups over an equal split are explained.
pub const SEED_LIKE: [f64; 4] = [2.62, 1.0, 2.32, 0.295];
/// Published speed-ups over an equal split with the first 2, 3, 4 devices.
pub const PUBLISHED: [f64; 3] = [1.81, 1.98, 5.28];

/// A device, as far as a prediction needs it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Multiply-accumulates of dense convolutions per ms.
    pub macs_per_ms: f64,
    /// Bytes of feature maps read or written per ms.
    pub bytes_per_ms: f64,
    /// Milliseconds to call one layer.
    pub call_ms: f64,
    /// What it sends over.
    pub link: LinkClass,
}

/// A link's rate and delay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkClass {
    /// Wired, 940 Mbit/s, 0.15 ms.
    Gigabit,
    /// Wired, 94 Mbit/s, 0.3 ms.
    HundredMbit,
    /// Radio, 40 Mbit/s, 2 ms.
    Wifi,
    /// Far away, 20 Mbit/s, 25 ms.
    Far,
}

impl LinkClass {
    /// Its cost.
    pub fn cost(self) -> LinkCost {
        match self {
            Self::Gigabit => LinkCost::new(940.0, 0.15),
            Self::HundredMbit => LinkCost::new(94.0, 0.3),
            Self::Wifi => LinkCost::new(40.0, 2.0),
            Self::Far => LinkCost::new(20.0, 25.0),
        }
    }
}

impl Device {
    /// A device of `speed` times a Raspberry Pi 4, about 10 GMAC/s and 4 GB/s on one core.
    pub fn of_speed(speed: f64, link: LinkClass) -> Self {
        Self { macs_per_ms: 1e7 * speed, bytes_per_ms: 4e6 * speed, call_ms: 0.01 / speed, link }
    }

    /// Any device: 0.15 to 4 times a Pi 4, its memory and calls each off by up to a factor of two.
    pub fn random(rng: &mut impl Rng, link: LinkClass) -> Self {
        let mut factor = |low: f64, high: f64| (rng.random_range(low.ln()..high.ln())).exp();
        let mut device = Self::of_speed(factor(0.15, 4.0), link);
        device.bytes_per_ms *= factor(0.5, 2.0);
        device.call_ms *= factor(0.5, 2.0);
        device
    }

    /// What a layer takes on it.
    pub fn layer(&self, network: &Network, layer: usize) -> LayerCost {
        let layer = &network.layers[layer];
        let efficiency = match layer.kind {
            Kind::Conv => 1.0,
            Kind::Pointwise | Kind::Dense | Kind::Transposed => 0.8,
            Kind::Grouped => 0.5,
            Kind::Depthwise => 0.2,
            _ => 1.0,
        };
        let macs = layer.row_macs as f64 / (self.macs_per_ms * efficiency);
        let bytes = layer.output.bytes(1) as f64 * (1 + layer.inputs.len()) as f64;
        let weights = layer.weight_bytes as f64 / self.bytes_per_ms;
        // A dense layer reads only the weights of its rows; the others read all for every piece.
        let (call, row) = match layer.kind {
            Kind::Dense => (0.0, weights / f64::from(layer.output.rows.max(1))),
            _ => (weights, 0.0),
        };
        LayerCost { call_ms: self.call_ms + call, row_ms: macs + bytes / self.bytes_per_ms + row }
    }
}

/// The costs of `network` on `devices`; the lab sends over `lab`.
pub fn costs(network: &Network, devices: &[Device], lab: LinkClass) -> PerLayer {
    let layers = |device: &Device| {
        (0..network.layers.len()).map(|layer| device.layer(network, layer)).collect::<Vec<_>>()
    };
    PerLayer {
        layers: devices.iter().map(layers).collect(),
        links: devices.iter().map(|device| device.link.cost()).collect(),
        lab: lab.cost(),
    }
}

/// `count` random devices; mostly on like links, of which one may be a radio.
pub fn random_fleet(rng: &mut impl Rng, count: usize) -> (Vec<Device>, LinkClass) {
    const CLASSES: [LinkClass; 3] = [LinkClass::Gigabit, LinkClass::HundredMbit, LinkClass::Wifi];
    let common = CLASSES[rng.random_range(0..CLASSES.len())];
    let mixed = rng.random_bool(0.25);
    let like = rng.random_bool(0.2);
    let first = Device::random(rng, common);
    let devices = (0..count).map(|_| {
        let link = if mixed { CLASSES[rng.random_range(0..CLASSES.len())] } else { common };
        if like { Device { link, ..first } } else { Device::random(rng, link) }
    });
    (devices.collect(), common)
}

/// The first `count` devices of the seed-like four on `link`.
pub fn seed_like(count: usize, link: LinkClass) -> Vec<Device> {
    SEED_LIKE.iter().take(count).map(|&speed| Device::of_speed(speed, link)).collect()
}

/// Three Raspberry Pis and a server twenty times as fast behind a far link.
pub fn far_server(link: LinkClass) -> Vec<Device> {
    let mut devices = vec![Device::of_speed(1.0, link); 3];
    devices.push(Device::of_speed(20.0, LinkClass::Far));
    devices
}

/// What happens to a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A worker runs at this share of its speed.
    Throttled(usize, f64),
    /// A worker is gone.
    Lost(usize),
    /// A worker is back.
    Joined(usize),
    /// A worker sends over another link.
    Link(usize, LinkClass),
}

impl Change {
    /// Applies it to devices and to who is allowed.
    pub fn apply(self, devices: &mut [Device], allowed: &mut [bool]) {
        match self {
            Self::Throttled(worker, share) => {
                let device = &mut devices[worker];
                device.macs_per_ms *= share;
                device.bytes_per_ms *= share;
                device.call_ms /= share;
            }
            Self::Lost(worker) => allowed[worker] = false,
            Self::Joined(worker) => allowed[worker] = true,
            Self::Link(worker, link) => devices[worker].link = link,
        }
    }
}

/// A fleet to plan for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// `seed-like-3-gigabit`, `random-17`, …
    pub name: String,
    /// The devices.
    pub devices: Vec<Device>,
    /// What the lab sends over.
    pub lab: LinkClass,
    /// Who may be given rows.
    pub allowed: Vec<bool>,
}

impl Scenario {
    fn new(name: String, devices: Vec<Device>, lab: LinkClass) -> Self {
        let allowed = vec![true; devices.len()];
        Self { name, devices, lab, allowed }
    }

    /// Its costs for `network`.
    pub fn costs(&self, network: &Network) -> PerLayer {
        costs(network, &self.devices, self.lab)
    }

    /// What it becomes after `change`, under another name.
    pub fn after(&self, change: Change, name: &str) -> Self {
        let mut next = Self { name: format!("{}-{name}", self.name), ..self.clone() };
        change.apply(&mut next.devices, &mut next.allowed);
        next
    }
}

/// The scenarios of the bench: the seed-like two, three and four, two to eight equal devices, a far server,
/// each on three links, then `random` random fleets and, for each of those, one worker throttled and one
/// lost.
pub fn scenarios(random: usize, rng: &mut impl Rng) -> Vec<Scenario> {
    let links =
        [(LinkClass::Gigabit, "gigabit"), (LinkClass::HundredMbit, "100mbit"), (LinkClass::Wifi, "wifi")];
    let mut all = Vec::new();
    for (link, name) in links {
        for count in 2..=4 {
            all.push(Scenario::new(format!("seed-like-{count}-{name}"), seed_like(count, link), link));
        }
        for count in [2, 4, 8] {
            let devices = vec![Device::of_speed(1.0, link); count];
            all.push(Scenario::new(format!("equal-{count}-{name}"), devices, link));
        }
        all.push(Scenario::new(format!("far-server-{name}"), far_server(link), link));
    }
    for index in 0..random {
        let count = rng.random_range(2..=8);
        let (devices, lab) = random_fleet(rng, count);
        let scenario = Scenario::new(format!("random-{index}"), devices, lab);
        let (slow, gone) = (rng.random_range(0..count), rng.random_range(0..count));
        all.push(scenario.after(Change::Throttled(slow, rng.random_range(0.2..0.8)), "throttled"));
        all.push(scenario.after(Change::Lost(gone), "lost"));
        all.push(scenario);
    }
    all
}

/// How much slower `predicted_ms` is than `reference_ms`, as a fraction.
pub fn gap(predicted_ms: f64, reference_ms: f64) -> f64 {
    predicted_ms / reference_ms - 1.0
}

/// What a gap is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reference {
    /// A proven optimum.
    Exact,
    /// The best that any planner found.
    BestKnown,
}

/// One planner's answer to one scenario: a line of `bench plan --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// Workers of its fleet.
    pub workers: usize,
    /// The network.
    pub network: String,
    /// The planner.
    pub planner: String,
    /// Its seed.
    pub seed: u64,
    /// What its plan takes, ms.
    pub predicted_ms: f64,
    /// What the reference takes, ms.
    pub reference_ms: f64,
    /// What the reference is.
    pub reference: Reference,
    /// How much slower the plan is, as a fraction.
    pub gap: f64,
    /// Partitions costed.
    pub evaluations: u64,
    /// What planning took, ms, by the caller's clock.
    pub plan_ms: f64,
}

/// Asks the planners called `names` to plan `network` for `scenario`, reading `clock` (ms) around each, and
/// compares them with the best of them all and of one refinement of `reference_evaluations` from all plans.
pub fn compare<N: AsRef<str>>(
    scenario: &Scenario,
    network: &Network,
    names: &[N],
    budget: Budget,
    reference_evaluations: u64,
    mut clock: impl FnMut() -> f64,
) -> Vec<Row> {
    let costs = scenario.costs(network);
    let problem = Problem { network, costs: &costs, allowed: &scenario.allowed, memory: &[] };
    let mut answers: Vec<(&str, Plan, f64)> = Vec::with_capacity(names.len());
    for name in names.iter().map(AsRef::as_ref) {
        let Some(planner) = planner(name) else { continue };
        let start = clock();
        if let Some(plan) = planner.plan(&problem, budget) {
            answers.push((name, plan, clock() - start));
        }
    }
    let starts = answers.iter().map(|(_, plan, _)| plan.partition.clone()).collect();
    let longer = Budget { evaluations: reference_evaluations, seed: budget.seed.wrapping_add(1) };
    let refined = Auto { starts }.plan(&problem, longer).map(|plan| plan.timeline.finish_ms);
    let finishes = answers.iter().map(|(_, plan, _)| plan.timeline.finish_ms).chain(refined);
    let reference_ms = finishes.fold(f64::INFINITY, f64::min);
    let row = |(name, plan, plan_ms): (&str, Plan, f64)| Row {
        scenario: scenario.name.clone(),
        workers: scenario.devices.len(),
        network: network.name.clone(),
        planner: name.to_owned(),
        seed: budget.seed,
        predicted_ms: plan.timeline.finish_ms,
        reference_ms,
        reference: Reference::BestKnown,
        gap: gap(plan.timeline.finish_ms, reference_ms),
        evaluations: plan.evaluations,
        plan_ms,
    };
    answers.into_iter().map(row).collect()
}

/// The value below which a share `at` (0…1) of `values` lies; `None` of no values.
pub fn quantile(values: &[f64], at: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len().checked_sub(1)? as f64) * at.clamp(0.0, 1.0)).round() as usize;
    sorted.get(index).copied()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::network::samples::named;

    #[test]
    fn a_refined_plan_is_never_slower_than_a_simple_one_in_any_scenario() {
        let network = named("alexnet").unwrap();
        let all = scenarios(2, &mut ChaCha8Rng::seed_from_u64(9));
        assert_eq!(all.len(), 3 * 7 + 2 * 3);
        for scenario in all {
            let names = ["best-single", "equal", "proportional", "greedy", "auto"];
            let budget = Budget { evaluations: 1500, seed: 1 };
            let mut ticks = 0.0;
            let rows = compare(&scenario, &network, &names, budget, 1500, || {
                ticks += 1.0;
                ticks
            });
            let auto = rows.last().unwrap();
            assert_eq!((auto.planner.as_str(), auto.plan_ms, rows.len()), ("auto", 1.0, names.len()));
            for row in &rows {
                assert!(auto.predicted_ms <= row.predicted_ms, "{}: {}", row.scenario, row.planner);
                assert!(row.gap >= 0.0);
            }
        }
    }

    #[test]
    fn the_optimum_explains_the_published_speed_ups_over_an_equal_split() {
        let network = named("vgg16").unwrap();
        for (count, published) in (2..=4).zip(PUBLISHED) {
            let scenario = Scenario::new(
                "seed-like".to_owned(),
                seed_like(count, LinkClass::Gigabit),
                LinkClass::Gigabit,
            );
            let budget = Budget { evaluations: 6000, seed: 1 };
            let rows = compare(&scenario, &network, &["equal", "auto"], budget, 0, || 0.0);
            let over_equal = rows[0].predicted_ms / rows[1].predicted_ms;
            assert!((0.75..1.35).contains(&(over_equal / published)), "{count}: {over_equal} {published}");
        }
    }

    #[test]
    fn quantiles_are_taken_from_the_sorted_values() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 1.0), Some(3.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
