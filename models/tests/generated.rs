//! The networks of the catalogue, through tract: shapes, work, sameness of bytes, and outputs that depend on
//! the picture.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use collab_core::event::Answer;
use collab_core::network::Pixels;
use collab_models::catalogue;
use collab_models::pixels::{Frame, Inputs, Shape, normalise};
use collab_models::recipe::{Recipe, Topology, build};
use collab_models::{answer, source};
use sha2::{Digest, Sha256};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::Cost;

/// Multiply-accumulates by the literature, in millions, and the output's shape.
///
/// vgg16: torchvision 15.47 G. alexnet: Caffe's grouped network at 224×224, first map 54×54. resnet18,
/// resnet50: torchvision 1.81 and 4.09 G. mobilenet_v2: torchvision 0.301 G. squeezenet 1.0: torchvision
/// 0.82 G. yolov2_16: by hand, 0.32 + 7 × 1.70 + 4 × 0.19 G.
const WORK: [(Topology, f64, &[usize]); 7] = [
    (Topology::Vgg16, 15_470.0, &[1, 1000]),
    (Topology::Alexnet, 655.0, &[1, 1000]),
    (Topology::Resnet18, 1_814.0, &[1, 1000]),
    (Topology::Resnet50, 4_089.0, &[1, 1000]),
    (Topology::MobilenetV2, 300.8, &[1, 1000]),
    (Topology::Squeezenet, 819.0, &[1, 1000]),
    (Topology::Yolov2First16, 13_002.0, &[1, 256, 38, 38]),
];

fn typed(proto: &ModelProto) -> TypedModel {
    onnx().model_for_proto_model(proto).unwrap().into_typed().unwrap()
}

fn shape(fact: &TypedFact) -> Vec<usize> {
    fact.shape.as_concrete().unwrap().to_vec()
}

fn mega_macs(model: &TypedModel) -> f64 {
    let mut total = 0;
    for node in model.nodes() {
        if !["Conv", "EinSum"].contains(&node.op.name().as_ref()) {
            continue;
        }
        let inputs = model.node_input_facts(node.id).unwrap();
        for (cost, count) in node.op.cost(&inputs).unwrap() {
            if matches!(cost, Cost::FMA(_)) {
                total += count.to_i64().unwrap();
            }
        }
    }
    total as f64 / 1e6
}

fn run(model: &Arc<TypedRunnableModel>, shape: Shape, pixels: &Pixels, photo: &str) -> Vec<f32> {
    run_frame(model, pixels, &Inputs::open(photo, 0).unwrap().frame(0, shape, 1).unwrap())
}

fn run_frame(model: &Arc<TypedRunnableModel>, pixels: &Pixels, frame: &Frame) -> Vec<f32> {
    let shape = frame.picture.shape();
    let dims = [1, shape.channels as usize, shape.height as usize, shape.width as usize];
    let mut values = vec![0.0; dims.iter().product()];
    normalise(pixels, frame.picture.planes(), &mut values).unwrap();
    let input = Tensor::from_shape(&dims, &values).unwrap();
    let output = model.run(tvec!(input.into())).unwrap();
    output[0].to_plain_array_view::<f32>().unwrap().iter().copied().collect()
}

#[test]
fn every_generated_network_has_the_work_and_the_shapes_of_the_literature() {
    for (topology, expected, output) in WORK {
        let model = typed(&build(&Recipe { topology, seed: 1 }).whole());
        let name = topology.name();
        let found = mega_macs(&model);
        assert!((found / expected - 1.0).abs() < 0.001, "{name}: {found} million MACs, expected {expected}");
        assert_eq!(shape(model.output_fact(0).unwrap()), output, "{name}");
        let side = if topology == Topology::Yolov2First16 { 608 } else { 224 };
        assert_eq!(shape(model.input_fact(0).unwrap()), [1, 3, side, side], "{name}");
    }
}

/// Standard deviation.
fn spread(values: &[f32]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    (values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// SHA-256 over the whole structure and the first 64 bytes of every constant.
fn fingerprint(mut proto: ModelProto) -> String {
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        tensor.raw_data.truncate(64);
    }
    let digest = Sha256::digest(prost::Message::encode_to_vec(&proto));
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_recipe_builds_the_same_bytes_on_every_machine() {
    let found: Vec<_> = Topology::ALL
        .iter()
        .map(|&topology| fingerprint(build(&Recipe { topology, seed: 7 }).whole()))
        .collect();
    let pinned = [
        "106f6e8284bb96de",
        "f38a86fa5c653266",
        "886954249da4c2d4",
        "02bfbae66191ed42",
        "ca760e3eae90fc48",
        "9f93040ca516c83d",
        "ab811e0624ec37df",
    ];
    assert_eq!(found, pinned);
}

#[test]
fn another_seed_gives_other_weights_and_the_same_seed_the_same() {
    let weights =
        |seed| build(&Recipe { topology: Topology::Squeezenet, seed }).whole().graph.unwrap().initializer;
    assert!(weights(1) == weights(1));
    let (one, two) = (weights(1), weights(2));
    for (one, two) in one.iter().zip(&two) {
        assert_ne!(one.raw_data, two.raw_data, "{}", one.name);
    }
}

#[test]
fn every_generated_network_answers_by_the_picture_with_tame_values() {
    for entry in &catalogue::ENTRIES {
        if matches!(entry.origin, catalogue::Origin::Shipped(_)) {
            continue;
        }
        let source = source::read(&entry.bytes(3)).unwrap();
        let model = typed(&source.onnx.whole());
        let pixels = entry.pixels();
        let size = Shape::of_input(&shape(model.input_fact(0).unwrap())).unwrap();
        let model = model.into_optimized().unwrap().into_runnable().unwrap();
        let [one, two] = ["chelsea_224", "rocket_224"].map(|photo| run(&model, size, &pixels, photo));
        let name = entry.name;
        // Probabilities are judged as the logits they come from, up to their sum.
        let logits = |values: Vec<f32>| match answer::are_probabilities(&values) {
            true => values.into_iter().map(f32::ln).collect(),
            false => values,
        };
        let (one, two) = (logits(one), logits(two));
        let difference: Vec<f32> = one.iter().zip(&two).map(|(a, b)| a - b).collect();
        let (spread, apart) = (spread(&one), spread(&difference));
        assert!((0.3..5.0).contains(&spread), "{name}: values spread by {spread}");
        assert!(apart > 0.2 * spread, "{name}: two pictures differ by {apart} in {spread}");
    }
}

#[test]
fn upconv7_enlarges_a_photo_better_than_bicubic_interpolation() {
    let entry = catalogue::find("upconv7").unwrap();
    let model = typed(&source::read(&entry.bytes(0)).unwrap().onnx.whole());
    let size = Shape::of_input(&shape(model.input_fact(0).unwrap())).unwrap();
    let output = shape(model.output_fact(0).unwrap());
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let frame = Inputs::Photo(entry.photo).frame(0, size, 2).unwrap();
    let values = run_frame(&model, &entry.pixels(), &frame);
    let reading = answer::read(entry.meaning, Some(&entry.pixels()), &output, &values, Some(&frame)).unwrap();
    let Answer::Picture { psnr_db: Some(psnr_db), bicubic_psnr_db: Some(bicubic) } = reading.answer else {
        panic!("{:?}", reading.answer)
    };
    assert!(psnr_db > 31.0 && psnr_db > bicubic + 2.0, "{psnr_db} dB against {bicubic} dB");
}
