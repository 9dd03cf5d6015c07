//! Weights that lie in files of their own, beside the ONNX file that names them.
//!
//! Exporters put them there where a network is large, PyTorch's newer one always. Workers are sent one file, so what lies apart is
//! gathered into it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto, tensor_proto::DataLocation};

use super::{MAX_BYTES, SourceError, decode};

/// The ONNX file `bytes`, read from `folder`, with the weights that it names in other files. Other bytes stay as they are.
///
/// # Errors
/// [`SourceError::Apart`] if such a file is missing, too short or outside of `folder`, or if there is more than an ONNX file may
/// hold.
pub fn gather(bytes: Vec<u8>, folder: &Path) -> Result<Vec<u8>, SourceError> {
    if !decode::names_other_files(&bytes) {
        return Ok(bytes);
    }
    let mut model = ModelProto::decode(&*bytes)?;
    let initializers = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
    let mut files = HashMap::new();
    let mut all = (bytes.len() as u64).min(MAX_BYTES as u64);
    for tensor in initializers.filter(|tensor| tensor.data_location == Some(DataLocation::External as i32)) {
        let place = Place::of(tensor);
        let refuse =
            |reason| SourceError::Apart { name: tensor.name.clone(), file: place.file.clone(), reason };
        let values = place.values(folder, &mut files, MAX_BYTES as u64 - all).map_err(refuse)?;
        all += values.len() as u64;
        tensor.raw_data = values;
        tensor.external_data.clear();
        tensor.data_location = None;
    }
    Ok(model.encode_to_vec())
}

/// Where the values of a tensor lie, as the ONNX file says it.
struct Place {
    file: String,
    offset: Option<String>,
    length: Option<String>,
}

impl Place {
    fn of(tensor: &TensorProto) -> Self {
        let value = |key: &str| {
            tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
        };
        Self { file: value("location").unwrap_or_default(), offset: value("offset"), length: value("length") }
    }

    /// The bytes there, at most `most`; what is wrong with the file, and what to do, if they are not. Files stay open in `files`.
    fn values(&self, folder: &Path, files: &mut HashMap<String, File>, most: u64) -> Result<Vec<u8>, String> {
        let mut parts = Path::new(&self.file).components();
        if self.file.is_empty() || !parts.all(|part| matches!(part, Component::Normal(_))) {
            return Err("which is not beside it".to_owned());
        }
        let unreadable = |error| format!("which cannot be read ({error}): put it beside the ONNX file");
        let file = match files.entry(self.file.clone()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(room) => room.insert(File::open(folder.join(&self.file)).map_err(unreadable)?),
        };
        let end = file.metadata().map_err(unreadable)?.len();
        let number = |text: &Option<String>, otherwise: u64| {
            let number = text.as_ref().map_or(Ok(otherwise), |text| text.parse());
            number.map_err(|_| "but not at which of its bytes: the ONNX file is damaged".to_owned())
        };
        let offset = number(&self.offset, 0)?;
        let rest = end.saturating_sub(offset);
        let length = number(&self.length, rest)?;
        if offset > end || length > rest {
            return Err("which ends before them: it is truncated, or another network's".to_owned());
        }
        if length > most {
            return Err(format!(
                "and there are too many: one file of at most {MAX_BYTES} bytes is sent to workers"
            ));
        }
        let mut values = vec![0; length as usize];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut values));
        read.map(|()| values).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::StringStringEntryProto;

    use super::*;
    use crate::catalogue;

    /// The tiny face detector as an exporter writes it that puts weights of more than 1000 bytes into `file`: its bytes as one
    /// file, its bytes without those weights, and them.
    fn taken_apart(file: &str) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let mut model = ModelProto::decode(catalogue::TINY_FACE_DETECTOR).unwrap();
        let whole = model.encode_to_vec();
        let mut apart = Vec::new();
        for tensor in &mut model.graph.as_mut().unwrap().initializer {
            if tensor.raw_data.len() > 1000 {
                let (offset, length) = (apart.len(), tensor.raw_data.len());
                apart.append(&mut tensor.raw_data);
                let entries = [
                    ("location", file.to_owned()),
                    ("offset", offset.to_string()),
                    ("length", length.to_string()),
                ];
                let entry =
                    |(key, value): (&str, String)| StringStringEntryProto { key: key.to_owned(), value };
                tensor.external_data = entries.map(entry).into();
                tensor.data_location = Some(DataLocation::External as i32);
            }
        }
        (whole, model.encode_to_vec(), apart)
    }

    #[test]
    fn weights_in_a_file_beside_the_network_are_gathered_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, main, apart) = taken_apart("net.onnx.data");
        assert!(apart.len() > 100_000, "{}", apart.len());
        std::fs::write(folder.path().join("net.onnx.data"), &apart).unwrap();
        assert!(gather(main, folder.path()).unwrap() == whole);
        assert!(gather(whole.clone(), folder.path()).unwrap() == whole, "there is nothing to gather");
    }

    #[test]
    fn what_lies_apart_and_is_missing_short_or_elsewhere_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |main: &[u8]| gather(main.to_vec(), folder.path()).unwrap_err().to_string();
        let (_, main, apart) = taken_apart("weights");
        assert!(refused(&main).contains("put it beside the ONNX file"), "{}", refused(&main));
        std::fs::write(folder.path().join("weights"), &apart[..apart.len() - 1]).unwrap();
        assert!(refused(&main).contains("truncated"), "{}", refused(&main));
        for elsewhere in ["../weights", "/etc/hostname", ""] {
            assert!(refused(&taken_apart(elsewhere).1).contains("not beside it"), "{elsewhere}");
        }
    }

    #[test]
    fn bytes_that_are_no_network_are_left_to_whoever_reads_them() {
        let (_, main, _) = taken_apart("weights");
        for bytes in [&b""[..], b"collab recipe", &[0xff; 64], &main[..main.len() / 2]] {
            if let Ok(same) = gather(bytes.to_vec(), Path::new(".")) {
                assert_eq!(same, bytes);
            }
        }
    }
}
