//! Random networks of convolutions, pools, sums, concatenations and what lies between them, with random attributes:
//! any strips, cut anywhere, on any threads and instruction set, have the bits of the whole, and the whole is what the
//! engine computes by itself.
//!
//! `PROPTEST_CASES` says how many; a thousand take some minutes.

mod support;

use collab_models::{Isa, LoadOptions, Model, Team, Unmodified};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::*;

/// A map of the network under construction.
#[derive(Clone, Debug)]
struct Plane {
    name: String,
    channels: i64,
    /// Height and width.
    size: [i64; 2],
}

/// One step, as it is drawn; what does not fit the map it reads is made to fit.
#[derive(Clone, Debug)]
struct Step {
    what: What,
    /// Which of the latest maps it reads, and which other one.
    from: [usize; 2],
    channels: i64,
    groups: i64,
    kernel: [i64; 2],
    stride: [i64; 2],
    dilation: [i64; 2],
    pads: [i64; 4],
    flag: bool,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Conv,
    /// 3×3 of stride 1 that keeps the size, with many channels.
    Square,
    Depthwise,
    Pointwise,
    Transposed,
    MaxPool,
    AveragePool,
    Activation,
    Norm,
    LocalNorm,
    Add,
    Concat,
    Double,
    Excite,
    Pad,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let what = prop_oneof![
        4 => Just(What::Conv), 4 => Just(What::Square), 2 => Just(What::Depthwise), 3 => Just(What::Pointwise),
        1 => Just(What::Transposed), 2 => Just(What::MaxPool), 1 => Just(What::AveragePool),
        3 => Just(What::Activation), 1 => Just(What::Norm), 1 => Just(What::LocalNorm), 3 => Just(What::Add),
        3 => Just(What::Concat), 1 => Just(What::Double), 1 => Just(What::Excite), 1 => Just(What::Pad),
    ];
    let stride = || prop_oneof![3 => Just(1i64), 2 => Just(2i64), 1 => Just(3i64)];
    let geometry = (
        [prop_oneof![4 => 1i64..4, 1 => 4i64..8], prop_oneof![4 => 1i64..4, 1 => 4i64..8]],
        [stride(), stride()],
        [1i64..3, 1i64..3],
        [0i64..4, 0i64..4, 0i64..4, 0i64..4],
    );
    let step =
        (what, [0usize..3, 0usize..6], prop_oneof![1i64..24, 24i64..72], 1i64..5, geometry, any::<bool>())
            .prop_map(|(what, from, channels, groups, (kernel, stride, dilation, pads), flag)| Step {
                what,
                from,
                channels,
                groups,
                kernel,
                stride,
                dilation,
                pads,
                flag,
            });
    prop::collection::vec(step, 1..10)
}

/// The network under construction, with all its maps.
struct Chain {
    builder: Builder,
    maps: Vec<Plane>,
}

/// The largest map, and the most channels, that a step may make.
const LARGEST: i64 = 52;
const MOST_CHANNELS: i64 = 160;

impl Chain {
    fn push(&mut self, name: String, channels: i64, size: [i64; 2]) {
        self.maps.push(Plane { name, channels, size });
    }

    /// Number `back` of the latest maps.
    fn latest(&self, back: usize) -> Plane {
        self.maps[self.maps.len() - 1 - back % self.maps.len()].clone()
    }

    fn add(&mut self, step: &Step) {
        let x = self.latest(step.from[0]);
        // A map that may be joined or added to `x`: of its size, and another one where there is.
        let others: Vec<Plane> =
            self.maps.iter().filter(|map| map.size == x.size && map.name != x.name).cloned().collect();
        let b = &mut self.builder;
        match step.what {
            What::Conv => self.conv(&x, step.channels, step, step.groups),
            What::Square => {
                let step =
                    Step { kernel: [3, 3], stride: [1, 1], dilation: [1, 1], pads: [1; 4], ..step.clone() };
                self.conv(&x, step.channels.max(16), &step, if step.flag { 1 } else { step.groups });
            }
            What::Depthwise => self.conv(&x, x.channels * if step.flag { 2 } else { 1 }, step, x.channels),
            What::Pointwise => {
                let stride = if step.flag { [1, 1] } else { step.stride };
                let step = Step { kernel: [1, 1], stride, dilation: [1, 1], pads: [0; 4], ..step.clone() };
                self.conv(&x, step.channels, &step, step.groups);
            }
            What::Transposed => self.transposed(&x, step),
            What::MaxPool => self.pool("MaxPool", &x, step),
            What::AveragePool => self.pool("AveragePool", &x, step),
            What::Activation => {
                let name = match step.groups {
                    1 if step.flag => b.node("LeakyRelu", &[&x.name], vec![float("alpha", 0.1)]),
                    1 => b.relu(&x.name),
                    2 => b.node("HardSwish", &[&x.name], vec![]),
                    3 => b.node("Sigmoid", &[&x.name], vec![]),
                    _ => {
                        let gate = b.node("Sigmoid", &[&x.name], vec![]);
                        b.node("Mul", &[&x.name, &gate], vec![])
                    }
                };
                self.push(name, x.channels, x.size);
            }
            What::Norm => {
                let [scale, shift, mean] = [(); 3].map(|()| b.weights(&[x.channels], 3));
                let variance = vec![0.75; x.channels as usize];
                let variance = b.floats(&format!("variance_{mean}"), &[x.channels], &variance);
                let name = b.node("BatchNormalization", &[&x.name, &scale, &shift, &mean, &variance], vec![]);
                self.push(name, x.channels, x.size);
            }
            What::LocalNorm => {
                let (size, alpha) = (int("size", step.groups), float("alpha", 0.1));
                let beta = float("beta", if step.flag { 0.75 } else { 0.5 });
                let name = b.node("LRN", &[&x.name], vec![size, alpha, beta, float("bias", 1.5)]);
                self.push(name, x.channels, x.size);
            }
            What::Add => {
                let same: Vec<_> = others.iter().filter(|map| map.channels == x.channels).collect();
                let other = match same.len() {
                    0 => b.weights(&[x.channels, 1, 1], 3),
                    count => same[step.from[1] % count].name.clone(),
                };
                let (one, two) = if step.flag { (&x.name, &other) } else { (&other, &x.name) };
                let name = b.node("Add", &[one, two], vec![]);
                self.push(name, x.channels, x.size);
            }
            What::Concat if !others.is_empty() => {
                let mut names = vec![x.name.clone()];
                let mut channels = x.channels;
                for other in
                    others.iter().cycle().skip(step.from[1] % others.len()).take(step.groups as usize)
                {
                    if channels + other.channels <= MOST_CHANNELS {
                        names.push(other.name.clone());
                        channels += other.channels;
                    }
                }
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let name = b.node("Concat", &names, vec![int("axis", 1)]);
                self.push(name, channels, x.size);
            }
            What::Double if x.size.iter().all(|&size| 2 * size <= LARGEST) => {
                let scales = format!("scales_{}", x.name);
                let scales = b.floats(&scales, &[4], &[1.0, 1.0, 2.0, 2.0]);
                let attributes = match step.flag {
                    true => {
                        vec![text("mode", "linear"), text("coordinate_transformation_mode", "half_pixel")]
                    }
                    false => vec![
                        text("mode", "nearest"),
                        text("coordinate_transformation_mode", "asymmetric"),
                        text("nearest_mode", "floor"),
                    ],
                };
                let name = b.node("Resize", &[&x.name, "", &scales], attributes);
                self.push(name, x.channels, x.size.map(|size| 2 * size));
            }
            What::Excite => {
                let pooled = b.node("GlobalAveragePool", &[&x.name], vec![]);
                let gate = b.conv(&pooled, (x.channels, x.channels), 1, 1, [0; 4]);
                let gate = b.node("Sigmoid", &[&gate], vec![]);
                let name = b.node("Mul", &[&x.name, &gate], vec![]);
                self.push(name, x.channels, x.size);
            }
            What::Pad => {
                let [top, left, bottom, right] = step.pads;
                let size = [x.size[0] + top + bottom, x.size[1] + left + right];
                let amounts = b.integers(&[0, 0, top, left, 0, 0, bottom, right]);
                let name = b.node("Pad", &[&x.name, &amounts], vec![]);
                self.push(name, x.channels, size);
            }
            What::Concat | What::Double => {}
        }
    }

    fn conv(&mut self, x: &Plane, to: i64, step: &Step, groups: i64) {
        let groups = if x.channels % groups == 0 { groups } else { 1 };
        let to = (to.min(MOST_CHANNELS) / groups).max(1) * groups;
        let reach = |axis: usize| (step.kernel[axis] - 1) * step.dilation[axis];
        let pads = [0, 1, 2, 3].map(|side| step.pads[side].min(reach(side % 2)));
        let size = |axis: usize| {
            (x.size[axis] + pads[axis] + pads[axis + 2] - reach(axis) - 1).div_euclid(step.stride[axis]) + 1
        };
        if size(0) < 1 || size(1) < 1 {
            return;
        }
        let size = [size(0), size(1)];
        let (channels, dilation) = ((x.channels, to), step.dilation);
        let name =
            self.builder.conv_full(&x.name, channels, step.kernel, step.stride, dilation, pads, groups);
        self.push(name, to, size);
    }

    fn transposed(&mut self, x: &Plane, step: &Step) {
        let groups = if x.channels % step.groups == 0 { step.groups } else { 1 };
        let to = (step.channels / groups).max(1);
        let pads = [0, 1, 2, 3].map(|side| step.pads[side].min(step.kernel[side % 2] - 1));
        let size = |axis: usize| {
            (x.size[axis] - 1) * step.stride[axis] + step.kernel[axis] - pads[axis] - pads[axis + 2]
        };
        let size = [size(0), size(1)];
        if size.iter().any(|&size| !(1..=LARGEST).contains(&size)) {
            return;
        }
        let fan = x.channels / groups * step.kernel[0] * step.kernel[1];
        let weights = self.builder.weights(&[x.channels, to, step.kernel[0], step.kernel[1]], fan);
        let attributes = vec![
            ints("kernel_shape", &step.kernel),
            ints("strides", &step.stride),
            ints("pads", &pads),
            int("group", groups),
        ];
        let name = self.builder.node("ConvTranspose", &[&x.name, &weights], attributes);
        self.push(name, to * groups, size);
    }

    fn pool(&mut self, op: &str, x: &Plane, step: &Step) {
        let pads = [0, 1, 2, 3].map(|side| step.pads[side].min(step.kernel[side % 2] - 1));
        let size = |axis: usize| {
            let room = x.size[axis] + pads[axis] + pads[axis + 2] - step.kernel[axis];
            room.div_euclid(step.stride[axis]) + 1
        };
        let size = [size(0), size(1)];
        if size.iter().any(|&size| size < 1) {
            return;
        }
        let mut attributes =
            vec![ints("kernel_shape", &step.kernel), ints("strides", &step.stride), ints("pads", &pads)];
        if op == "AveragePool" {
            attributes.push(int("count_include_pad", i64::from(step.flag)));
        }
        let name = self.builder.node(op, &[&x.name], attributes);
        self.push(name, x.channels, size);
    }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn strips_of_random_networks_have_the_bits_of_the_whole_and_that_is_what_the_engine_computes(
        seed: u64, channels in 1i64..40, size in [4i64..44, 4i64..44], steps in steps(), threads in 1usize..4,
        strips in 2u32..6, isa in 0usize..4,
    ) {
        let input = Plane { name: "input".to_owned(), channels, size };
        let mut chain = Chain { builder: Builder::new(seed, &[1, channels, size[0], size[1]]), maps: vec![input] };
        // Something of ours to begin with, so that the network is not empty.
        let first = Step {
            what: What::Pointwise, from: [0, 0], channels: 8, groups: 1, kernel: [1, 1], stride: [1, 1],
            dilation: [1, 1], pads: [0; 4], flag: true,
        };
        for step in std::iter::once(&first).chain(&steps) {
            chain.add(step);
        }
        let output = chain.latest(0).name;
        let bytes = prost::Message::encode_to_vec(&chain.builder.opset(14).proto(&[&output]));

        // The engine's own passes give up on a few, such as a sum behind a convolution to one channel.
        let Ok(theirs) = Unmodified::load(&bytes) else {
            return Err(TestCaseError::reject("the engine alone refuses this network"));
        };
        let isas = Isa::available();
        let isa = isas[isa % isas.len()];
        let model = Model::load_for(&bytes, &LoadOptions::default(), isa).expect("the network loads");
        let model = model.with_team(Team::new(threads));
        let input = noise(&model, seed);
        let whole = answer(&model, &input);

        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let cuts: Vec<usize> =
            (1..model.network().units.len()).filter(|_| random.random_range(0..3) == 0).collect();
        let found = divided(&model, &input, &cuts, strips, &mut random);
        prop_assert_eq!(differing(&found, &whole), 0, "{:?}, {} threads, cut at {:?}", isa, threads, cuts);

        let expected = theirs.run(input.values()).expect("tract runs the network");
        prop_assert_eq!(whole.values().len(), expected.len());
        let range = expected.iter().fold(1e-3, |most: f32, value| most.max(value.abs()));
        for (at, (found, expected)) in whole.values().iter().zip(&expected).enumerate() {
            prop_assert!(
                (found - expected).abs() <= 1e-5 * range,
                "{:?}: {} is not {} of {}, value {} of {:?}", isa, found, expected, range, at, whole.cut()
            );
        }
    }
}
