//! The generated networks, through tract: shapes, work, sameness of bytes, and outputs that depend on the picture.

use collab_core::network::Pixels;
use collab_models::catalogue::{self, Meaning};
use collab_models::pixels::{Inputs, Shape, normalise};
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

fn run(model: &std::sync::Arc<TypedRunnableModel>, shape: Shape, pixels: &Pixels, photo: &str) -> Vec<f32> {
    let frame = Inputs::open(photo, 0).unwrap().frame(0, shape, 1).unwrap();
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
        let model = typed(&build(&Recipe { topology, seed: 1 }));
        let name = topology.name();
        let found = mega_macs(&model);
        assert!((found / expected - 1.0).abs() < 0.005, "{name}: {found} million MACs, expected {expected}");
        assert_eq!(shape(model.output_fact(0).unwrap()), output, "{name}");
        let side = if topology == Topology::Yolov2First16 { 608 } else { 224 };
        assert_eq!(shape(model.input_fact(0).unwrap()), [1, 3, side, side], "{name}");
    }
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
    let found: Vec<_> =
        Topology::ALL.iter().map(|&topology| fingerprint(build(&Recipe { topology, seed: 7 }))).collect();
    assert_eq!(found, ["", "", "", "", "", "", ""]);
}

#[test]
fn another_seed_gives_other_weights_and_the_same_seed_the_same() {
    let weights = |seed| build(&Recipe { topology: Topology::Squeezenet, seed }).graph.unwrap().initializer;
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
        let model = typed(&source.proto);
        let pixels = entry.pixels();
        let size = Shape::of_input(&shape(model.input_fact(0).unwrap())).unwrap();
        let output = shape(model.output_fact(0).unwrap());
        let model = model.into_optimized().unwrap().into_runnable().unwrap();
        let [one, two] = ["chelsea_224", "rocket_224"].map(|photo| run(&model, size, &pixels, photo));
        let moments = |values: &[f32]| {
            let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64;
            let square = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / values.len() as f64;
            (mean, (square - mean * mean).sqrt())
        };
        let difference: Vec<f32> = one.iter().zip(&two).map(|(a, b)| a - b).collect();
        let spread = moments(&one).1;
        let (mean, apart) = (moments(&one).0, moments(&difference).1);
        let top = answer::read(Meaning::Classes { labelled: false }, None, &output, &one, None);
        println!("{} mean {mean} spread {spread} apart {apart} top {:?}", entry.name, top.unwrap().answer);
    }
}
