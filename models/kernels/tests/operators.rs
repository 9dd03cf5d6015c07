//! Normalisation, fully connected layers, means and arithmetic against naive ones, and parts of them against the whole.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use collab_kernels::{
    Activation, Epilogue, Isa, Layout, Linear, LocalResponse, Map, PlaneList, apply_epilogue,
    multiply_channels, sum_channels,
};
use common::{Exact, bits, config, finish, laid_out, largest_error, place, values};
use proptest::prelude::*;

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn a_local_response_is_near_the_naive_one_and_its_strips_have_the_bits_of_the_whole(
        channels in 1..12usize, rows in 1..6usize, width in 1..40usize, size in 1..8usize, usual in any::<bool>(), seed in 0..1000u64,
    ) {
        let layer = LocalResponse { size, alpha: 0.5, beta: if usual { 0.75 } else { 0.6 }, bias: 1.5 };
        let input = values(seed, channels * rows * width);
        let map = Map::new(&input, channels, rows, width).unwrap();
        for isa in Isa::available() {
            let mut whole = vec![f32::NAN; input.len()];
            layer.run(isa, map, &mut PlaneList::default().split(&mut whole, channels)).unwrap();
            let plane = rows * width;
            for (at, &found) in whole.iter().enumerate() {
                let channel = at / plane;
                let neighbours = channel.saturating_sub((size - 1) / 2)..=(channel + size / 2).min(channels - 1);
                let squares: f64 = neighbours.map(|c| f64::from(input[c * plane + at % plane]).powi(2)).sum();
                let base = 1.5 + 0.5 / size as f64 * squares;
                let exact = f64::from(input[at]) / base.powf(f64::from(layer.beta));
                prop_assert!((exact - f64::from(found)).abs() <= 1e-6, "{:?}: {} for {}", isa, found, exact);
            }
            let first = rows / 2;
            let mut part = vec![f32::NAN; channels * (rows - first) * width];
            layer.run(isa, map.rows_between(first, rows), &mut PlaneList::default().split(&mut part, channels)).unwrap();
            for (channel, part) in part.chunks_exact((rows - first) * width).enumerate() {
                prop_assert_eq!(bits(&whole[channel * plane + first * width..][..part.len()]), bits(part), "{:?}", isa);
            }
        }
    }

    #[test]
    fn a_fully_connected_layer_is_near_the_naive_one_and_any_range_has_the_bits_of_the_whole(
        inputs in 1..200usize, outputs in 1..40usize, first in 0..40usize, count in 1..40usize, seed in 0..1000u64,
    ) {
        let (weights, input) = (values(seed, inputs * outputs), values(seed + 1, inputs));
        let epilogue = Epilogue::new(values(seed + 2, outputs), Activation::RELU);
        let exact: Vec<Exact> = (0..outputs).map(|output| {
            let products = input.iter().zip(&weights[output * inputs..]).map(|(&a, &b)| f64::from(a) * f64::from(b));
            let magnitude = products.clone().map(f64::abs).sum();
            finish(products.sum(), magnitude, &epilogue, output, None)
        }).collect();
        let (first, end) = (first % outputs, (first % outputs + count).min(outputs));
        for isa in Isa::available() {
            let layer = Linear::new(&weights, outputs, epilogue.clone(), isa).unwrap();
            let mut whole = vec![f32::NAN; outputs];
            layer.run(&input, 0..outputs, &mut whole).unwrap();
            let error = largest_error(&exact, &whole);
            prop_assert!(error <= (inputs + 8) as f64 * f64::from(f32::EPSILON), "{:?}: {:e}", isa, error);
            let mut part = vec![f32::NAN; end - first];
            layer.run(&input, first..end, &mut part).unwrap();
            prop_assert_eq!(bits(&whole[first..end]), bits(&part), "{:?}", isa);
        }
    }

    #[test]
    fn an_elementwise_epilogue_is_near_the_naive_one(channels in 1..6usize, pixels in 1..50usize, seed in 0..1000u64) {
        let (input, residual) = (values(seed, channels * pixels), values(seed + 1, channels * pixels));
        let epilogue = Epilogue {
            bias: Vec::new(),
            scale: values(seed + 2, channels),
            shift: values(seed + 3, channels),
            activation: Activation::HardSwish,
        };
        let exact: Vec<Exact> = input.iter().zip(&residual).enumerate().map(|(at, (&x, &r))| {
            finish(x.into(), x.abs().into(), &epilogue, at / pixels, Some(r))
        }).collect();
        let [map, residual] = [&input, &residual].map(|data| Map::new(data, channels, 1, pixels).unwrap());
        for isa in Isa::available() {
            let mut output = vec![f32::NAN; input.len()];
            let mut planes = PlaneList::default().split(&mut output, channels);
            apply_epilogue(isa, &epilogue, Layout::Planes, map, Some(residual), &mut planes).unwrap();
            prop_assert!(largest_error(&exact, &output) <= 1e-6, "{:?}", isa);
        }
    }

    #[test]
    fn channels_multiplied_where_they_lie_have_the_bits_of_an_epilogue(
        blocks in 1..4usize, pixels in 1..100usize, seed in 0..1000u64
    ) {
        let channels = 16 * blocks;
        let mut input = values(seed, channels * pixels);
        input[0] = -f32::MIN_POSITIVE;
        let factors = values(seed + 1, channels);
        let scale = Epilogue { scale: factors.clone(), shift: vec![0.0; channels], ..Epilogue::none() };
        for isa in Isa::available() {
            for layout in [Layout::Planes, Layout::Blocks] {
                let [planes, width] = layout.as_planes(channels, pixels);
                let map = Map::new(&input, planes, 1, width).unwrap();
                let (mut expected, mut found) = (vec![f32::NAN; input.len()], input.clone());
                let mut slices = PlaneList::default().split(&mut expected, planes);
                let known = apply_epilogue(isa, &scale, layout, map, None, &mut slices).is_ok();
                let mut slices = PlaneList::default().split(&mut found, planes);
                prop_assert_eq!(multiply_channels(isa, layout, &factors, &mut slices).is_ok(), known);
                prop_assert!(!known || bits(&expected) == bits(&found), "{:?} {:?}", isa, layout);
            }
        }
    }

    #[test]
    fn means_of_channels_are_near_the_naive_ones(channels in 1..40usize, pixels in 1..200usize, seed in 0..1000u64) {
        let input = values(seed, channels * pixels);
        let (scale, shift) = (vec![1.0 / pixels as f32; channels], values(seed + 1, channels));
        let epilogue = Epilogue { bias: Vec::new(), scale, shift, activation: Activation::RELU };
        let exact: Vec<Exact> = input.chunks(pixels).enumerate().map(|(channel, plane)| {
            let sum = |value: fn(f64) -> f64| plane.iter().map(|&x| value(x.into())).sum::<f64>();
            finish(sum(|x| x), sum(f64::abs), &epilogue, channel, None)
        }).collect();
        let map = Map::new(&input, channels, 1, pixels).unwrap();
        for isa in Isa::available() {
            let mut output = vec![f32::NAN; channels];
            sum_channels(isa, &epilogue, Layout::Planes, map, &mut output).unwrap();
            prop_assert!(largest_error(&exact, &output) <= 1e-6, "{:?}", isa);
        }
    }

    #[test]
    fn arithmetic_and_means_have_the_same_bits_however_maps_are_laid_out(
        blocks in 1..4usize, pixels in 1..300usize, seed in 0..1000u64
    ) {
        let channels = 16 * blocks;
        let input = values(seed, channels * pixels);
        let added = values(seed + 1, channels * pixels);
        let epilogue = Epilogue {
            bias: values(seed + 2, channels),
            scale: values(seed + 3, channels),
            shift: values(seed + 4, channels),
            activation: Activation::HardSwish,
        };
        for isa in Isa::available().into_iter().filter(|&isa| isa == Isa::Avx512) {
            let results = [Layout::Planes, Layout::Blocks].map(|layout| {
                let [input, added] = [&input, &added].map(|values| laid_out(values, channels, layout, f32::NAN));
                let [planes, width] = layout.as_planes(channels, pixels);
                let [input, added] = [&input, &added].map(|data| Map::new(data, planes, 1, width).unwrap());
                let mut output = vec![f32::NAN; channels * pixels];
                let mut slices = PlaneList::default().split(&mut output, planes);
                apply_epilogue(isa, &epilogue, layout, input, Some(added), &mut slices).unwrap();
                let mut means = vec![f32::NAN; channels];
                sum_channels(isa, &epilogue, layout, input, &mut means).unwrap();
                let at = |at: usize| output[place(at / pixels, at % pixels, pixels, layout)];
                [bits(&(0..output.len()).map(at).collect::<Vec<_>>()), bits(&means)]
            });
            prop_assert_eq!(&results[0], &results[1]);
        }
    }
}
