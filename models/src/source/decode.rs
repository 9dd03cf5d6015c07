//! Decodes ONNX files without a second copy of their weights: the bytes of a large constant go from the file into
//! the tensor that the engine reads.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, tensor_proto::DataLocation};
use tract_onnx::prelude::*;

use super::SourceError;
use super::onnx::{Onnx, room};

/// Field numbers of the ONNX schema.
pub(crate) const MODEL_GRAPH: u32 = 7;
pub(crate) const GRAPH_INITIALIZER: u32 = 5;
pub(crate) const TENSOR_RAW_DATA: u32 = 9;
const TENSOR_DATA_LOCATION: u32 = 14;

/// Decodes a model that ends where `bytes` end.
pub(super) fn decode(bytes: &mut impl Buf) -> Result<Onnx, SourceError> {
    let mut onnx = Onnx::default();
    fields(bytes, 0, |field, kind, bytes| match (field, kind) {
        (MODEL_GRAPH, WireType::LengthDelimited) => {
            let mut graph = onnx.model.graph.take().unwrap_or_default();
            let end = end(bytes)?;
            fields(bytes, end, |field, kind, bytes| match (field, kind) {
                (GRAPH_INITIALIZER, WireType::LengthDelimited) => constant(bytes, &mut graph, &mut onnx),
                _ => Ok(GraphProto::merge_field(&mut graph, field, kind, bytes, DecodeContext::default())?),
            })?;
            onnx.model.graph = Some(graph);
            Ok(())
        }
        _ => Ok(ModelProto::merge_field(&mut onnx.model, field, kind, bytes, DecodeContext::default())?),
    })?;
    Ok(onnx)
}

/// Whether weights of the model `bytes` are in other files; no if it is damaged before the first of these.
pub(super) fn names_other_files(mut bytes: &[u8]) -> bool {
    let mut found = false;
    let skip = |field, kind, bytes: &mut &[u8]| Ok(skip_field(kind, field, bytes, DecodeContext::default())?);
    // What is damaged is said when it is decoded.
    let _ = fields(&mut bytes, 0, |field, kind, bytes| match (field, kind) {
        (MODEL_GRAPH, WireType::LengthDelimited) => {
            let end = end(bytes)?;
            fields(bytes, end, |field, kind, bytes| match (field, kind) {
                (GRAPH_INITIALIZER, WireType::LengthDelimited) => {
                    let end = self::end(bytes)?;
                    fields(bytes, end, |field, kind, bytes| match (field, kind) {
                        (TENSOR_DATA_LOCATION, WireType::Varint) => {
                            found |= decode_varint(bytes)? == DataLocation::External as u64;
                            Ok(())
                        }
                        _ => skip(field, kind, bytes),
                    })
                }
                _ => skip(field, kind, bytes),
            })
        }
        _ => skip(field, kind, bytes),
    });
    found
}

/// Decodes one initialiser.
fn constant(bytes: &mut impl Buf, graph: &mut GraphProto, onnx: &mut Onnx) -> Result<(), SourceError> {
    let mut constant = TensorProto::default();
    let mut large = None;
    let end = end(bytes)?;
    fields(bytes, end, |field, kind, bytes| match (field, kind) {
        (TENSOR_RAW_DATA, WireType::LengthDelimited) => {
            let end = self::end(bytes)?;
            let length = bytes.remaining() - end;
            // Exporters tell type and shape first; where one does not, the values are kept as bytes.
            match room(&constant, length) {
                Some(tensor) => read_floats(bytes, large.insert(tensor)),
                None => {
                    constant.raw_data = vec![0; length];
                    bytes.try_copy_to_slice(&mut constant.raw_data).map_err(|_| SourceError::Truncated)
                }
            }
        }
        _ => Ok(TensorProto::merge_field(&mut constant, field, kind, bytes, DecodeContext::default())?),
    })?;
    if let Some(large) = large {
        onnx.large.insert(constant.name.clone(), large);
    }
    graph.initializer.push(constant);
    Ok(())
}

/// Gives every field before `end`, which is counted in bytes that are left then, to `take`.
fn fields<B: Buf>(
    bytes: &mut B,
    end: usize,
    mut take: impl FnMut(u32, WireType, &mut B) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    while bytes.remaining() > end {
        let (field, kind) = decode_key(bytes)?;
        take(field, kind, bytes)?;
    }
    if bytes.remaining() == end { Ok(()) } else { Err(SourceError::Truncated) }
}

/// Reads a length; how many bytes are left when so many are read.
fn end(bytes: &mut impl Buf) -> Result<usize, SourceError> {
    let length = usize::try_from(decode_varint(bytes)?).map_err(|_| SourceError::Truncated)?;
    bytes.remaining().checked_sub(length).ok_or(SourceError::Truncated)
}

fn read_floats(bytes: &mut impl Buf, tensor: &mut Tensor) -> Result<(), SourceError> {
    let mut view = tensor.try_as_plain_ram_mut().map_err(|_| SourceError::Truncated)?;
    let slots = view.as_slice_mut::<f32>().map_err(|_| SourceError::Truncated)?;
    let mut batch = [0; 1 << 14];
    for slots in slots.chunks_mut(batch.len() / 4) {
        let batch = &mut batch[..4 * slots.len()];
        bytes.try_copy_to_slice(batch).map_err(|_| SourceError::Truncated)?;
        for (slot, &bytes) in slots.iter_mut().zip(batch.as_chunks::<4>().0) {
            *slot = f32::from_le_bytes(bytes);
        }
    }
    Ok(())
}

/// The bytes of a file, some of them in memory.
pub(super) struct FileBytes {
    file: File,
    buffer: Box<[u8]>,
    /// What is left of the buffer.
    here: Range<usize>,
    /// Bytes of the file after those.
    ahead: usize,
    /// Why there are no more, if the file does not say so.
    failed: Option<io::Error>,
}

impl FileBytes {
    /// Reads `file` from its beginning.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let ahead = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let mut bytes = Self { file, buffer: vec![0; 1 << 18].into(), here: 0..0, ahead, failed: None };
        bytes.refill();
        Ok(bytes)
    }

    /// Why reading ended too early.
    pub(super) fn failed(self) -> Option<io::Error> {
        self.failed
    }

    fn refill(&mut self) {
        let most = self.buffer.len().min(self.ahead);
        match self.file.read_exact(&mut self.buffer[..most]) {
            Ok(()) => {
                self.here = 0..most;
                self.ahead -= most;
            }
            Err(error) => {
                self.failed = Some(error);
                self.ahead = 0;
            }
        }
    }
}

impl Buf for FileBytes {
    fn remaining(&self) -> usize {
        self.here.len() + self.ahead
    }

    fn chunk(&self) -> &[u8] {
        &self.buffer[self.here.clone()]
    }

    fn advance(&mut self, mut count: usize) {
        loop {
            let step = count.min(self.here.len());
            self.here.start += step;
            count -= step;
            if self.here.is_empty() && self.ahead > 0 {
                self.refill();
            }
            if count == 0 || self.here.is_empty() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use crate::recipe::{Recipe, Topology, build};

    fn decoded(mut bytes: &[u8]) -> Result<Onnx, SourceError> {
        decode(&mut bytes)
    }

    #[test]
    fn a_network_with_large_constants_is_decoded_as_it_is() {
        let expected = build(&Recipe { topology: Topology::Resnet18, seed: 7 });
        assert!(expected.large.len() > 5, "there are large constants");
        let bytes = expected.clone().whole().encode_to_vec();
        let found = decoded(&bytes).unwrap();
        assert!(found == expected);
        assert!(found == Onnx::from(ModelProto::decode(&bytes[..]).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.onnx");
        std::fs::write(&path, &bytes).unwrap();
        let mut file = FileBytes::new(File::open(&path).unwrap()).unwrap();
        assert!(decode(&mut file).unwrap() == expected);
        assert!(file.failed().is_none());
    }

    #[test]
    fn small_networks_are_decoded_as_by_the_engine() {
        for bytes in [catalogue::UPCONV7, catalogue::TINY_FACE_DETECTOR, catalogue::EFFICIENTNET_LITE0] {
            assert!(decoded(bytes).unwrap().whole() == ModelProto::decode(bytes).unwrap());
        }
    }

    #[test]
    fn values_before_their_shape_are_decoded_too() {
        let constant =
            TensorProto { dims: vec![1 << 18], data_type: 1, name: "w".into(), ..Default::default() };
        let values = TensorProto { raw_data: vec![7; 1 << 20], ..Default::default() };
        let tensor = [values.encode_to_vec(), constant.encode_to_vec()].concat();
        let (mut graph, mut model) = (Vec::new(), Vec::new());
        prost::encoding::bytes::encode(GRAPH_INITIALIZER, &tensor, &mut graph);
        prost::encoding::bytes::encode(MODEL_GRAPH, &graph, &mut model);
        let onnx = decoded(&model).unwrap();
        assert!(onnx.large.is_empty());
        assert_eq!(onnx.graph().unwrap().initializer[0].raw_data, values.raw_data);
    }

    #[test]
    fn truncated_and_damaged_files_are_errors_wherever_they_are() {
        let bytes = build(&Recipe { topology: Topology::Resnet18, seed: 7 }).whole().encode_to_vec();
        for cut in (1..bytes.len()).step_by(bytes.len() / 211) {
            assert!(decoded(&bytes[..cut]).is_err(), "{cut}");
        }
        let small = catalogue::TINY_FACE_DETECTOR;
        for at in 0..small.len().min(2000) {
            let mut damaged = small.to_vec();
            damaged[at] ^= 0xff;
            // Whether it is an error depends on the byte; it never is a panic.
            let _ = decoded(&damaged);
        }
    }
}
