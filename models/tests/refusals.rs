//! What cannot be run is refused with a sentence that says what to do.

mod support;

use collab_core::id::Digest;
use collab_core::network::Split;
use collab_core::rows::Rows;
use collab_models::recipe::{Recipe, Topology};
use collab_models::{LayerTimes, LoadError, LoadOptions, Map, Model, StripError};
use proptest::prelude::*;
use prost::Message;
use support::*;
use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

fn small() -> ModelProto {
    let mut b = Builder::new(1, &[1, 3, 8, 8]);
    let x = b.conv("input", (3, 4), 3, 1, [1; 4]);
    b.proto(&[&x])
}

fn refusal(proto: ModelProto, options: &LoadOptions) -> LoadError {
    match Model::from_onnx(proto, Digest([0; 32]), options) {
        Ok(_) => panic!("the network was accepted"),
        Err(error) => error,
    }
}

fn sized(shape: &[usize]) -> LoadOptions {
    LoadOptions { input_shape: Some(shape.to_vec()), ..LoadOptions::default() }
}

#[test]
fn a_truncated_model_is_refused_with_a_sentence() {
    let bytes = small().encode_to_vec();
    for length in [0, 1, 7, bytes.len() / 2, bytes.len() - 1] {
        let error = Model::load(&bytes[..length], &LoadOptions::default()).err().expect("it is refused");
        assert!(!error.to_string().is_empty());
    }
    let error = Model::load(b"no model at all", &LoadOptions::default()).err().expect("it is refused");
    assert!(error.to_string().contains("truncated or damaged"), "{error}");
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn a_damaged_model_never_ends_the_program(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = small().encode_to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = Model::load(&bytes, &LoadOptions::default());
    }

    #[test]
    fn bytes_that_are_no_model_never_end_the_program(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        // A field of the model (the graph), one of the graph (a node), and the same bytes as they are.
        let field = |tag: u8, bytes: &[u8]| {
            let mut whole = vec![tag << 3 | 2];
            prost::encode_length_delimiter(bytes.len(), &mut whole).expect("a vector grows");
            [&whole, bytes].concat()
        };
        let graph = field(7, &bytes);
        let node = field(7, &field(1, &bytes));
        for bytes in [bytes, graph, node] {
            prop_assert!(Model::load(&bytes, &LoadOptions::default()).is_err());
        }
    }

    #[test]
    fn a_damaged_recipe_is_refused_or_the_recipe_of_another_network(
        topology in 0..Topology::ALL.len(), seed: u64, at: prop::sample::Index, byte: u8,
    ) {
        let recipe = Recipe { topology: Topology::ALL[topology], seed }.to_string();
        let mut bytes = recipe.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = Recipe::try_from(&bytes[..]) {
            prop_assert_eq!(read.to_string().into_bytes(), bytes);
        }
    }
}

#[test]
fn a_model_without_a_graph_is_refused() {
    assert_eq!(refusal(ModelProto::default(), &sized(&[1])), LoadError::Empty { nodes: 0, outputs: 0 });
}

#[test]
fn weights_in_another_file_are_refused() {
    let mut proto = small();
    let graph = proto.graph.as_mut().expect("there is a graph");
    graph.initializer[0].data_location = Some(DataLocation::External as i32);
    let error = refusal(proto, &LoadOptions::default());
    assert!(error.to_string().ends_with("save the model as one file"), "{error}");
}

#[test]
fn a_weight_whose_values_do_not_fit_its_shape_is_refused() {
    let mut proto = small();
    proto.graph.as_mut().expect("there is a graph").initializer[0].raw_data.truncate(10);
    assert!(matches!(refusal(proto, &LoadOptions::default()), LoadError::Absurd { .. }));
}

#[test]
fn an_impossible_size_is_refused_before_anything_is_allocated() {
    for shape in [vec![1, 3, 1 << 40, 1 << 40], vec![1, 3, 0, 8]] {
        let mut proto = small();
        let graph = proto.graph.as_mut().expect("there is a graph");
        graph.input[0] = value("input", &[1, 3, -1, -2]);
        let error = refusal(proto, &sized(&shape));
        assert!(matches!(error, LoadError::Absurd { .. } | LoadError::WrongSize { .. }), "{error}");
    }
}

#[test]
fn an_open_size_asks_for_one_and_takes_it() {
    let mut proto = small();
    proto.graph.as_mut().expect("there is a graph").input[0] = value("input", &[0, 3, -1, -2]);
    let error = refusal(proto.clone(), &LoadOptions::default());
    assert_eq!(
        error.to_string(),
        "input `input` has no fixed size (?×3×?×?): give one, such as --shape 1x3x224x224"
    );
    let error = refusal(proto.clone(), &sized(&[1, 4, 8, 8]));
    assert!(matches!(error, LoadError::WrongSize { .. }), "{error}");
    let model = Model::from_onnx(proto, Digest([0; 32]), &sized(&[1, 3, 20, 10])).expect("it loads");
    assert_eq!(model.network().output_shape, [1, 4, 20, 10]);
}

#[test]
fn a_batch_becomes_one() {
    let mut proto = small();
    proto.graph.as_mut().expect("there is a graph").input[0] = value("input", &[16, 3, 8, 8]);
    let model = Model::from_onnx(proto, Digest([0; 32]), &LoadOptions::default()).expect("it loads");
    assert_eq!(model.network().input.shape, [1, 3, 8, 8]);
}

#[test]
fn several_inputs_are_refused_by_name() {
    let mut proto = small();
    proto.graph.as_mut().expect("there is a graph").input.push(value("mask", &[1, 1, 8, 8]));
    let error = refusal(proto, &LoadOptions::default());
    assert!(error.to_string().contains("input, mask"), "{error}");
}

#[test]
fn a_network_on_text_is_refused() {
    let mut b = Builder::new(1, &[1, 16]);
    let x = b.gemm("input", 16, 4);
    let error = refusal(b.proto(&[&x]), &LoadOptions::default());
    assert!(error.to_string().contains("only convolutional networks"), "{error}");
    let mut proto = small();
    let input = &mut proto.graph.as_mut().expect("there is a graph").input[0];
    if let Some(tract_onnx::pb::type_proto::Value::TensorType(tensor)) =
        input.r#type.as_mut().and_then(|kind| kind.value.as_mut())
    {
        tensor.elem_type = DataType::Float16 as i32;
    }
    let error = refusal(proto, &LoadOptions::default());
    assert!(error.to_string().contains("holds float16"), "{error}");
}

#[test]
fn an_unknown_operator_is_named_with_its_node() {
    let mut b = Builder::new(1, &[1, 3, 8, 8]);
    let x = b.conv("input", (3, 4), 3, 1, [1; 4]);
    let y = b.node("DeformConv", &[&x, &x, &x], vec![]);
    let error = refusal(b.proto(&[&y]), &LoadOptions::default());
    assert_eq!(
        error.to_string(),
        "operator DeformConv of node `DeformConv_4` is not supported; export the network without it"
    );
}

#[test]
fn nodes_without_names_get_names_of_their_own() {
    let mut proto = small();
    let graph = proto.graph.as_mut().expect("there is a graph");
    let mut second = graph.node[0].clone();
    second.output = vec!["y".to_owned()];
    second.input[0] = "input".to_owned();
    for node in [&mut graph.node[0], &mut second] {
        node.name.clear();
    }
    graph.node.push(second);
    graph.output.push(value("y", &[1, 4, 8, 8]));
    let model = Model::from_onnx(proto, Digest([0; 32]), &LoadOptions::default()).expect("it loads");
    let names: std::collections::BTreeSet<&str> =
        model.network().layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names.len(), model.network().layers.len());
}

#[test]
fn several_outputs_come_flattened_one_behind_the_other() {
    let mut b = Builder::new(3, &[1, 3, 8, 8]);
    let x = b.conv("input", (3, 4), 3, 1, [1; 4]);
    let y = b.conv(&x, (4, 2), 3, 2, [1; 4]);
    let model = b.model(&[&y, &x]);
    let last = model.network().units.last().expect("there are units");
    assert!(matches!(last.split, Split::Whole(_)), "{last:?}");
    assert_eq!(model.network().output_shape, [2 * 4 * 4 + 4 * 8 * 8]);
    let input = noise(&model, 3);
    assert_eq!(answer(&model, &input).values().len(), 288);
}

#[test]
fn upsample_of_opset_nine_repeats_rows() {
    let mut b = Builder::new(3, &[1, 1, 4, 3]).opset(9);
    let scales = b.floats("scales", &[4], &[1.0, 1.0, 3.0, 2.0]);
    let x = b.node("Upsample", &["input", &scales], vec![text("mode", "nearest")]);
    let model = b.model(&[&x]);
    let input = noise(&model, 3);
    let output = answer(&model, &input);
    for (index, value) in output.values().iter().enumerate() {
        let (row, column) = (index / 6, index % 6);
        assert_eq!(*value, input.values()[row / 3 * 3 + column / 2], "{row}, {column}");
    }
}

#[test]
fn quantised_constants_are_folded_at_load() {
    let mut proto = small();
    let graph = proto.graph.as_mut().expect("there is a graph");
    let weights = graph.initializer[0].clone();
    let mut quantised = weights.clone();
    quantised.name = "q".to_owned();
    quantised.data_type = DataType::Int8 as i32;
    let count = weights.raw_data.len() / 4;
    quantised.raw_data = (0..count).map(|index| (index as i8).wrapping_mul(3) as u8).collect();
    let scales: Vec<f32> = (0..4).map(|channel| 0.01 * (channel + 1) as f32).collect();
    let scale = tract_onnx::pb::TensorProto {
        name: "s".to_owned(),
        dims: vec![4],
        data_type: DataType::Float as i32,
        float_data: scales.clone(),
        ..Default::default()
    };
    let mut plain = proto.clone();
    let inner = count / 4;
    let value = |index: usize| f32::from((index as i8).wrapping_mul(3)) * scales[index / inner];
    plain.graph.as_mut().expect("there is a graph").initializer[0].raw_data =
        (0..count).flat_map(|index| value(index).to_le_bytes()).collect();
    let graph = proto.graph.as_mut().expect("there is a graph");
    graph.initializer.remove(0);
    graph.initializer.extend([quantised, scale]);
    let node = tract_onnx::pb::NodeProto {
        op_type: "DequantizeLinear".to_owned(),
        name: "dequantise".to_owned(),
        input: vec!["q".to_owned(), "s".to_owned()],
        output: vec![weights.name],
        attribute: vec![int("axis", 0)],
        ..Default::default()
    };
    graph.node.insert(0, node);
    let load = |proto| Model::from_onnx(proto, Digest([0; 32]), &LoadOptions::default()).expect("it loads");
    let (folded, plain) = (load(proto), load(plain));
    assert_eq!(folded.network().layers, plain.network().layers);
    let input = noise(&plain, 5);
    assert_eq!(differing(&answer(&folded, &input), &answer(&plain, &input)), 0);
}

#[test]
fn a_strip_that_does_not_exist_is_refused() {
    let model = Model::from_onnx(small(), Digest([0; 32]), &LoadOptions::default()).expect("it loads");
    let strip = |units, rows| model.strip(units, rows).map(|_| ()).expect_err("it is refused");
    assert_eq!(strip(0..9, Rows::new(0, 1)), StripError::Units { start: 0, end: 9, units: 1 });
    assert_eq!(strip(0..1, Rows::new(0, 9)), StripError::Rows { rows: Rows::new(0, 9), available: 8 });
    assert_eq!(strip(0..1, Rows::EMPTY), StripError::Rows { rows: Rows::EMPTY, available: 8 });
}

#[test]
fn a_strip_refuses_rows_that_are_not_its_own() {
    let model = Model::from_onnx(small(), Digest([0; 32]), &LoadOptions::default()).expect("it loads");
    let mut strip = model.strip(0..1, Rows::new(2, 4)).expect("the strip can be prepared");
    let mut times = LayerTimes::new(model.network());
    let wrong = Map::zeros(model.network().input.cut, Rows::new(2, 4));
    let error = strip.run(wrong, &mut no_clock(), &mut times).expect_err("it is refused");
    assert!(error.to_string().contains("reads rows 1..5"), "{error}");
}

#[test]
fn models_and_strips_move_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Model>();
    sent::<collab_models::Strip>();
    sent::<Map>();
}
