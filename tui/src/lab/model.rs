//! From the words of the command line to a network that runs.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use collab_models::catalogue::{self, Entry, Scale};
use collab_models::{LoadOptions, Model, source};

/// Which network, and what its file does not say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChoice {
    /// A network of the catalogue, or an ONNX file.
    pub name: String,
    /// The input's shape where the file leaves it open.
    pub shape: Option<Vec<usize>>,
    /// How pictures become input values; as usual for such a network if left out.
    pub scale: Option<Scale>,
}

/// A network's bytes, and the model they make.
pub struct Loaded {
    /// The ONNX file, or the recipe.
    pub bytes: Arc<[u8]>,
    /// How it is loaded, here and by workers.
    pub options: LoadOptions,
    /// What runs it.
    pub model: Model,
    /// Its entry in the catalogue, if it has one.
    pub entry: Option<&'static Entry>,
}

impl ModelChoice {
    /// A network about which nothing else is said.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), shape: None, scale: None }
    }

    /// Reads it; `seed` chooses the weights of a generated network.
    pub fn load(&self, seed: u64) -> anyhow::Result<Loaded> {
        let name = &self.name;
        let bytes: Arc<[u8]> = match catalogue::find(name) {
            Ok(entry) => entry.bytes(seed).as_ref().into(),
            Err(unknown) => match std::fs::read(name) {
                Ok(bytes) => {
                    let folder = Path::new(name).parent().unwrap_or(Path::new(""));
                    source::gather(bytes, folder).with_context(|| format!("cannot load {name}"))?.into()
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(unknown.into()),
                Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
            },
        };
        let entry = catalogue::recognise(&bytes);
        let file_name = || {
            let stem = Path::new(name).file_stem();
            stem.map_or_else(|| name.clone(), |stem| stem.to_string_lossy().into_owned())
        };
        let mut options = LoadOptions {
            name: entry.map_or_else(file_name, |entry| entry.name.to_owned()),
            pixels: None,
            input_shape: self.shape.clone(),
        };
        let model = Model::load(&bytes, &options).with_context(|| format!("cannot load {name}"))?;
        let network = model.network();
        // Known only now that the shapes are; workers are told.
        options.pixels = catalogue::pixels(self.scale, entry, &network.input.shape, &network.output_shape);
        let model = model.fed(options.pixels.clone());
        Ok(Loaded { bytes, options, model, entry })
    }
}
