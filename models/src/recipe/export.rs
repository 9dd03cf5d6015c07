//! Writes a model as an ONNX file without a second copy of its weights in memory.

use std::io::{self, Write};

use prost::Message;
use prost::bytes::BytesMut;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tract_onnx::pb::TensorProto;
use tract_onnx::prelude::*;

use crate::source::{GRAPH_INITIALIZER, MODEL_GRAPH, Onnx, TENSOR_RAW_DATA, floats};

/// Writes a network in the ONNX format. Give it a buffered writer.
///
/// # Errors
/// Those of `out`.
pub fn write_onnx(onnx: Onnx, out: &mut impl Write) -> io::Result<()> {
    let Onnx { mut model, mut large } = onnx;
    let Some(mut graph) = model.graph.take() else {
        return out.write_all(&model.encode_to_vec());
    };
    let tensors = std::mem::take(&mut graph.initializer);
    let fields =
        tensors.iter().map(|tensor| field(GRAPH_INITIALIZER, constant(tensor, large.get(&tensor.name))));
    let length = graph.encoded_len() + fields.sum::<usize>();
    out.write_all(&model.encode_to_vec())?;
    write_head(out, MODEL_GRAPH, length)?;
    out.write_all(&graph.encode_to_vec())?;
    for tensor in tensors {
        let values = large.remove(&tensor.name);
        write_head(out, GRAPH_INITIALIZER, constant(&tensor, values.as_ref()))?;
        out.write_all(&tensor.encode_to_vec())?;
        if let Some(values) = values {
            write_head(out, TENSOR_RAW_DATA, 4 * values.len())?;
            floats(&values).iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))?;
        }
    }
    Ok(())
}

/// Bytes of a constant whose values are `large`, if they are.
fn constant(tensor: &TensorProto, large: Option<&Tensor>) -> usize {
    tensor.encoded_len() + large.map_or(0, |values| field(TENSOR_RAW_DATA, 4 * values.len()))
}

/// Bytes of a field that holds `length` bytes.
fn field(number: u32, length: usize) -> usize {
    key_len(number) + encoded_len_varint(length as u64) + length
}

fn write_head(out: &mut impl Write, field: u32, length: usize) -> io::Result<()> {
    let mut head = BytesMut::new();
    encode_key(field, WireType::LengthDelimited, &mut head);
    encode_varint(length as u64, &mut head);
    out.write_all(&head)
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::ModelProto;

    use super::*;
    use crate::recipe::{Recipe, Topology, build};

    #[test]
    fn a_written_network_reads_back_the_same() {
        for topology in [Topology::Squeezenet, Topology::Resnet18] {
            let onnx = build(&Recipe { topology, seed: 7 });
            let mut file = Vec::new();
            write_onnx(onnx.clone(), &mut file).unwrap();
            let model = onnx.whole();
            assert_eq!(file.len(), model.encoded_len());
            assert!(ModelProto::decode(file.as_slice()).unwrap() == model);
        }
    }

    #[test]
    fn an_embedded_network_is_written_with_every_field() {
        let model = ModelProto::decode(crate::catalogue::UPCONV7).unwrap();
        let mut file = Vec::new();
        write_onnx(model.clone().into(), &mut file).unwrap();
        assert!(ModelProto::decode(file.as_slice()).unwrap() == model);
    }
}
