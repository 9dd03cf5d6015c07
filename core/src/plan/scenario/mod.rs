//! Fleets to plan for; [`compare`] says how far each planner's answer is from the best known one.

mod comparison;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

pub use comparison::{Reference, Row, answers, compare, gap, quantile};

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
    /// By how much faster than usual it computes, beside its dense convolutions: products (1×1 and
    /// transposed convolutions, dense layers), grouped, depthwise convolutions.
    pub kinds: [f64; 3],
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
    /// Any other.
    Measured {
        /// Mbit/s.
        rate_mbps: f64,
        /// One way, ms.
        delay_ms: f64,
    },
}

impl LinkClass {
    /// Its cost.
    pub fn cost(self) -> LinkCost {
        match self {
            Self::Gigabit => LinkCost::new(940.0, 0.15),
            Self::HundredMbit => LinkCost::new(94.0, 0.3),
            Self::Wifi => LinkCost::new(40.0, 2.0),
            Self::Far => LinkCost::new(20.0, 25.0),
            Self::Measured { rate_mbps, delay_ms } => LinkCost::new(rate_mbps, delay_ms),
        }
    }
}

impl Device {
    /// A device of `speed` times a Raspberry Pi 4, about 10 GMAC/s and 4 GB/s on one core.
    pub fn of_speed(speed: f64, link: LinkClass) -> Self {
        Self {
            macs_per_ms: 1e7 * speed,
            bytes_per_ms: 4e6 * speed,
            call_ms: 0.01 / speed,
            link,
            kinds: [1.0; 3],
        }
    }

    /// Any device: 0.15 to 4 times a Pi 4, its memory and kinds of layers each off by up to a factor of two,
    /// its calls by three.
    pub fn random(rng: &mut impl Rng, link: LinkClass) -> Self {
        let mut factor = |low: f64, high: f64| (rng.random_range(low.ln()..high.ln())).exp();
        let mut device = Self::of_speed(factor(0.15, 4.0), link);
        device.bytes_per_ms *= factor(0.5, 2.0);
        device.call_ms *= factor(0.33, 3.0);
        device.kinds.iter_mut().for_each(|kind| *kind = factor(0.5, 2.0));
        device
    }

    /// What a layer takes on it.
    pub fn layer(&self, network: &Network, layer: usize) -> LayerCost {
        let layer = &network.layers[layer];
        let efficiency = match layer.kind {
            Kind::Conv => 1.0,
            Kind::Pointwise | Kind::Dense | Kind::Transposed => 0.8 * self.kinds[0],
            Kind::Grouped => 0.5 * self.kinds[1],
            Kind::Depthwise => 0.2 * self.kinds[2],
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

/// `count` random devices; mostly on links of one class, no two of which carry quite the same.
pub fn random_fleet(rng: &mut impl Rng, count: usize) -> (Vec<Device>, LinkClass) {
    const CLASSES: [LinkClass; 3] = [LinkClass::Gigabit, LinkClass::HundredMbit, LinkClass::Wifi];
    let common = CLASSES[rng.random_range(0..CLASSES.len())];
    let mixed = rng.random_bool(0.25);
    let like = rng.random_bool(0.2);
    let first = Device::random(rng, common);
    let devices = (0..count).map(|_| {
        let class = if mixed { CLASSES[rng.random_range(0..CLASSES.len())] } else { common };
        let LinkCost { delay_ms, bytes_per_ms } = class.cost();
        let (rate, delay) = (rng.random_range(0.5..1.0), rng.random_range(0.7..2.0));
        let link = LinkClass::Measured { rate_mbps: bytes_per_ms / 125.0 * rate, delay_ms: delay_ms * delay };
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
    /// Bytes each may use; empty for no limits.
    pub memory: Vec<u64>,
}

impl Scenario {
    /// Everybody may be given rows, as many as are wanted.
    pub fn new(name: String, devices: Vec<Device>, lab: LinkClass) -> Self {
        let allowed = vec![true; devices.len()];
        Self { name, devices, lab, allowed, memory: Vec::new() }
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
