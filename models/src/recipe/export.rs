//! Writes a model as an ONNX file without a second copy of its weights in memory.

use std::io::{self, Write};

use prost::Message;
use prost::bytes::BytesMut;
use prost::encoding::{WireType, encode_key, encode_varint};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

/// Field numbers of the ONNX schema.
const MODEL_GRAPH: u32 = 7;
const GRAPH_INITIALIZER: u32 = 5;
const TENSOR_RAW_DATA: u32 = 9;

/// Writes `model` in the ONNX format. Give it a buffered writer.
///
/// # Errors
/// Those of `out`.
pub fn write_onnx(mut model: ModelProto, out: &mut impl Write) -> io::Result<()> {
    let Some(mut graph) = model.graph.take() else {
        return out.write_all(&model.encode_to_vec());
    };
    let graph_length = graph.encoded_len();
    let tensors = std::mem::take(&mut graph.initializer);
    out.write_all(&model.encode_to_vec())?;
    write_head(out, MODEL_GRAPH, graph_length)?;
    write_graph(graph, tensors, out)
}

fn write_graph(graph: GraphProto, tensors: Vec<TensorProto>, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&graph.encode_to_vec())?;
    for mut tensor in tensors {
        write_head(out, GRAPH_INITIALIZER, tensor.encoded_len())?;
        let raw_data = std::mem::take(&mut tensor.raw_data);
        out.write_all(&tensor.encode_to_vec())?;
        if !raw_data.is_empty() {
            write_head(out, TENSOR_RAW_DATA, raw_data.len())?;
            out.write_all(&raw_data)?;
        }
    }
    Ok(())
}

fn write_head(out: &mut impl Write, field: u32, length: usize) -> io::Result<()> {
    let mut head = BytesMut::new();
    encode_key(field, WireType::LengthDelimited, &mut head);
    encode_varint(length as u64, &mut head);
    out.write_all(&head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Recipe, Topology, build};

    #[test]
    fn a_written_network_reads_back_the_same() {
        let model = build(&Recipe { topology: Topology::Squeezenet, seed: 7 });
        let mut file = Vec::new();
        write_onnx(model.clone(), &mut file).unwrap();
        assert_eq!(file.len(), model.encoded_len());
        assert!(ModelProto::decode(file.as_slice()).unwrap() == model);
    }

    #[test]
    fn an_embedded_network_is_written_with_every_field() {
        let model = ModelProto::decode(crate::catalogue::UPCONV7).unwrap();
        let mut file = Vec::new();
        write_onnx(model.clone(), &mut file).unwrap();
        assert!(ModelProto::decode(file.as_slice()).unwrap() == model);
    }
}
