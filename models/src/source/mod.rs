//! From bytes to an ONNX model: the bytes are an ONNX file or a recipe.
//!
//! Bytes come from files and from the network, so there are limits, and what is wrong is said in a sentence.
//! Whether every operator of the model can be run is not judged here.

mod beside;
mod decode;
mod onnx;

use std::fs::File;
use std::io;
use std::path::Path;

use collab_core::id::NetworkId;
use tract_onnx::pb::{GraphProto, TensorProto, tensor_proto};

use crate::catalogue;
use crate::recipe::{self, Recipe, RecipeError};
pub use beside::gather;
pub(crate) use decode::{GRAPH_INITIALIZER, MODEL_GRAPH, TENSOR_RAW_DATA};
pub use onnx::Onnx;
pub(crate) use onnx::{LARGE, apart, fill, floats};

/// The largest ONNX file, in bytes: the limit of its format.
pub const MAX_BYTES: usize = i32::MAX as usize;

/// The most nodes of a graph; the largest published CNNs have a few thousand.
pub const MAX_NODES: usize = 20_000;

/// The most values of one constant.
const MAX_VALUES: u64 = 1 << 29;

/// A model with its identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// SHA-256 of the bytes it was read from.
    pub id: NetworkId,
    /// The network as ONNX describes it, weights included.
    pub onnx: Onnx,
}

/// Why bytes are no network.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There are none.
    #[error("the network's file is empty")]
    Empty,
    /// Over [`MAX_BYTES`].
    #[error("the network's file has {0} bytes: at most {MAX_BYTES} can be read")]
    TooLarge(usize),
    /// A recipe that cannot be followed.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Not in the format of ONNX files.
    #[error("this is not an ONNX file, or it is truncated or damaged: {0}")]
    NotOnnx(#[from] prost::DecodeError),
    /// Some part of it claims to be longer than what holds it.
    #[error("this ONNX file is truncated or damaged: a part of it is longer than the file")]
    Truncated,
    /// Its file cannot be read.
    #[error("the network's file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// In the format, but without a network.
    #[error("this ONNX file holds no network: its graph has no nodes")]
    NoNodes,
    /// Over [`MAX_NODES`].
    #[error("this network has {0} nodes: at most {MAX_NODES} can be handled")]
    TooManyNodes(usize),
    /// Weights are stored elsewhere.
    #[error("the weights {0:?} of this network are in another file: save the model as a single ONNX file")]
    ExternalWeights(String),
    /// Weights are stored in a file that does not have them.
    #[error("the weights {name:?} of this network are said to be in the file {file:?}, {reason}")]
    Apart {
        /// The constant.
        name: String,
        /// The file, relative to the network's.
        file: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A constant that contradicts itself.
    #[error(
        "the constant {name:?} of this network is damaged: shape {shape:?} takes {expected}, found {found}"
    )]
    Constant {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// Something is read that nothing makes.
    #[error("the tensor {0:?} is read but nothing in this network makes it: the file is damaged")]
    Missing(String),
    /// No answer.
    #[error("this network has no output")]
    NoOutput,
}

/// Reads a network from the bytes of an ONNX file or of a recipe.
///
/// A recipe of a large network takes about a second.
///
/// # Errors
/// [`SourceError`] says what is wrong with the bytes.
pub fn read(bytes: &[u8]) -> Result<Source, SourceError> {
    if bytes.is_empty() {
        return Err(SourceError::Empty);
    }
    if bytes.len() > MAX_BYTES {
        return Err(SourceError::TooLarge(bytes.len()));
    }
    let onnx = if Recipe::is_meant_by(bytes) {
        recipe::build(&Recipe::try_from(bytes)?)
    } else {
        let onnx = decode::decode(&mut &*bytes)?;
        check(onnx.graph().ok_or(SourceError::NoNodes)?)?;
        onnx
    };
    Ok(Source { id: catalogue::id(bytes), onnx })
}

/// Reads a network from a file whose bytes have the SHA-256 `id`. As [`read`], but the file is never in memory as a
/// whole.
///
/// # Errors
/// As [`read`], or if the file cannot be read.
pub fn open(path: &Path, id: NetworkId) -> Result<Source, SourceError> {
    let size = std::fs::metadata(path)?.len();
    if size <= recipe::MAX_BYTES as u64 {
        return read(&std::fs::read(path)?);
    }
    if size > MAX_BYTES as u64 {
        return Err(SourceError::TooLarge(size as usize));
    }
    let mut bytes = decode::FileBytes::new(File::open(path)?)?;
    let onnx = decode::decode(&mut bytes);
    if let Some(error) = bytes.failed() {
        return Err(error.into());
    }
    let onnx = onnx?;
    check(onnx.graph().ok_or(SourceError::NoNodes)?)?;
    Ok(Source { id, onnx })
}

/// Refuses what would not be noticed, or would panic, further on.
fn check(graph: &GraphProto) -> Result<(), SourceError> {
    match graph.node.len() {
        0 => return Err(SourceError::NoNodes),
        count if count > MAX_NODES => return Err(SourceError::TooManyNodes(count)),
        _ => {}
    }
    if graph.output.is_empty() {
        return Err(SourceError::NoOutput);
    }
    graph.initializer.iter().try_for_each(check_constant)?;
    let attributes = graph.node.iter().flat_map(|node| &node.attribute);
    attributes.filter_map(|attribute| attribute.t.as_ref()).try_for_each(check_constant)?;
    let made = graph.node.iter().flat_map(|node| &node.output);
    let given = graph.input.iter().map(|input| &input.name);
    let constant = graph.initializer.iter().map(|tensor| &tensor.name);
    let known: std::collections::HashSet<&String> = made.chain(given).chain(constant).collect();
    let read = graph.node.iter().flat_map(|node| &node.input).filter(|name| !name.is_empty());
    let asked = graph.output.iter().map(|output| &output.name);
    match read.chain(asked).find(|name| !known.contains(name)) {
        Some(name) => Err(SourceError::Missing(name.clone())),
        None => Ok(()),
    }
}

fn check_constant(tensor: &TensorProto) -> Result<(), SourceError> {
    use tensor_proto::{DataLocation, DataType};
    if tensor.data_location == Some(DataLocation::External as i32) {
        return Err(SourceError::ExternalWeights(tensor.name.clone()));
    }
    let damaged = |expected: String, found: String| SourceError::Constant {
        name: tensor.name.clone(),
        shape: tensor.dims.clone(),
        expected,
        found,
    };
    let count =
        tensor.dims.iter().try_fold(1_u64, |count, &size| count.checked_mul(u64::try_from(size).ok()?));
    let Some(count) = count.filter(|&count| count <= MAX_VALUES) else {
        return Err(damaged(format!("0 to {MAX_VALUES} values"), "another count".to_owned()));
    };
    if tensor.raw_data.is_empty() {
        return Ok(());
    }
    let size = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Bool | DataType::Uint8 | DataType::Int8) => 1,
        Ok(DataType::Uint16 | DataType::Int16 | DataType::Float16 | DataType::Bfloat16) => 2,
        Ok(DataType::Uint32 | DataType::Int32 | DataType::Float) => 4,
        Ok(DataType::Uint64 | DataType::Int64 | DataType::Double) => 8,
        _ => {
            let found = format!("raw bytes of data type {}", tensor.data_type);
            return Err(damaged("numbers".to_owned(), found));
        }
    };
    if tensor.raw_data.len() as u64 != size * count {
        return Err(damaged(format!("{} bytes", size * count), format!("{} bytes", tensor.raw_data.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tract_onnx::pb::ModelProto;

    use super::*;

    fn refused(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    #[test]
    fn every_shipped_network_and_every_recipe_is_read_with_the_id_of_its_bytes() {
        for entry in &catalogue::ENTRIES {
            if entry.name == "vgg16" || entry.name == "alexnet" {
                continue;
            }
            let bytes = entry.bytes(1);
            let source = read(&bytes).unwrap();
            assert_eq!(source.id, catalogue::id(&bytes));
            check(source.onnx.graph().unwrap()).unwrap();
        }
    }

    #[test]
    fn bytes_that_are_no_network_are_refused_with_a_sentence() {
        assert!(refused(b"").contains("empty"));
        assert!(refused(b"\x89PNG\r\n\x1a\n0000").contains("not an ONNX file"));
        assert!(refused(b"collab recipe 1\nnetwork x\nseed 1\n").contains("cannot build"));
        assert!(refused(&ModelProto::default().encode_to_vec()).contains("empty"));
        let empty = ModelProto { graph: Some(GraphProto::default()), ..Default::default() };
        assert!(refused(&empty.encode_to_vec()).contains("no nodes"));
    }

    #[test]
    fn a_truncated_network_is_refused_with_a_sentence() {
        let whole = catalogue::TINY_FACE_DETECTOR;
        for length in [1, 10, 1000, whole.len() / 2, whole.len() - 1] {
            assert!(refused(&whole[..length]).contains("ONNX file"), "{length}");
        }
    }

    #[test]
    fn a_damaged_constant_is_refused_by_name() {
        let damage = |change: fn(&mut GraphProto)| {
            let mut proto = ModelProto::decode(catalogue::TINY_FACE_DETECTOR).unwrap();
            change(proto.graph.as_mut().unwrap());
            refused(&proto.encode_to_vec())
        };
        assert!(damage(|graph| graph.initializer[0].dims[0] = 1 << 60).contains("damaged"));
        assert!(damage(|graph| graph.initializer[0].dims[0] = -1).contains("damaged"));
        assert!(damage(|graph| graph.initializer[2].raw_data.truncate(8)).contains("found 8 bytes"));
        assert!(damage(|graph| graph.initializer[2].data_type = 8).contains("data type 8"));
        assert!(damage(|graph| graph.initializer[2].data_location = Some(1)).contains("another file"));
        assert!(damage(|graph| graph.output[0].name = "elsewhere".into()).contains("elsewhere"));
        assert!(damage(|graph| graph.output.clear()).contains("no output"));
        assert!(damage(|graph| drop(graph.node.remove(4))).contains("nothing in this network makes"));
    }
}
