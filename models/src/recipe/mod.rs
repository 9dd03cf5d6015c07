//! Generated networks: real topologies with seeded weights, identified by a few lines of text.
//!
//! A recipe is sent to workers instead of hundreds of megabytes; every machine builds the same bytes from
//! it. Its SHA-256 is the network's id and also seeds the weights. Only additions, multiplications, divisions
//! and square roots are used, which IEEE 754 rounds the same way everywhere. No trained weights come from here, so what
//! a generated network answers about a picture means nothing.

mod export;
pub(crate) mod graph;
mod topology;
pub(crate) mod weights;

use std::fmt;
use std::str::FromStr;

use collab_core::id::{Digest, NetworkId};
use sha2::{Digest as _, Sha256};

use crate::source::Onnx;

pub use export::write_onnx;
pub use topology::Topology;

/// What the first line of a recipe starts with; the version follows.
pub(crate) const MAGIC: &str = "collab recipe ";

/// The version of the text form and of what is built from it. It must change whenever a topology or a
/// weight does.
const VERSION: &str = "1";

/// The longest text that can be a recipe, in bytes.
pub(crate) const MAX_BYTES: usize = 256;

/// A network to build: its topology and the seed of its weights.
///
/// Its text form, the only one accepted:
/// ```text
/// collab recipe 1
/// network vgg16
/// seed 7
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recipe {
    /// Which network.
    pub topology: Topology,
    /// Which weights.
    pub seed: u64,
}

impl Recipe {
    /// SHA-256 of the text form.
    pub fn id(&self) -> NetworkId {
        Digest(Sha256::digest(self.to_string().as_bytes()).into())
    }

    /// Whether `bytes` mean to be a recipe rather than an ONNX file.
    pub fn is_meant_by(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC.trim_end().as_bytes())
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAGIC}{VERSION}\nnetwork {}\nseed {}\n", self.topology.name(), self.seed)
    }
}

/// Why a text is no recipe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// Longer than any recipe, or not text.
    #[error("this recipe is not a short text: expected at most {MAX_BYTES} bytes of UTF-8, found {0} bytes")]
    NotText(usize),
    /// Written by another version of the program.
    #[error(
        "this recipe has version {0:?}, this program builds version {VERSION:?}: use the same version of collab on the lab and on the workers"
    )]
    Version(String),
    /// Names a network this program cannot build.
    #[error("this recipe asks for the network {0:?}, which this program cannot build: it builds {names}", names = Topology::names().join(", "))]
    UnknownNetwork(String),
    /// Not the three lines.
    #[error(
        "this recipe is malformed at {0:?}: expected the lines \"{MAGIC}{VERSION}\", \"network NAME\" and \"seed NUMBER\", each with a line end"
    )]
    Malformed(String),
}

impl FromStr for Recipe {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        if text.len() > MAX_BYTES {
            return Err(RecipeError::NotText(text.len()));
        }
        let mut lines = text.lines();
        let mut next = |prefix: &str| {
            let line = lines.next().unwrap_or_default();
            line.strip_prefix(prefix).ok_or_else(|| RecipeError::Malformed(line.to_owned()))
        };
        let version = next(MAGIC)?;
        if version != VERSION {
            return Err(RecipeError::Version(version.to_owned()));
        }
        let name = next("network ")?;
        let topology = Topology::named(name).ok_or_else(|| RecipeError::UnknownNetwork(name.to_owned()))?;
        let number = next("seed ")?;
        let seed = number.parse().map_err(|_| RecipeError::Malformed(format!("seed {number}")))?;
        let recipe = Self { topology, seed };
        // Only one text for each network, so that it has one id.
        if recipe.to_string() != text {
            return Err(RecipeError::Malformed(text.to_owned()));
        }
        Ok(recipe)
    }
}

impl TryFrom<&[u8]> for Recipe {
    type Error = RecipeError;

    fn try_from(bytes: &[u8]) -> Result<Self, RecipeError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => text.parse(),
            Err(_) => Err(RecipeError::NotText(bytes.len())),
        }
    }
}

/// Builds the network as an ONNX model: opset 13, batch 1, static shapes, unique node names.
///
/// The same recipe gives the same model on every machine.
pub fn build(recipe: &Recipe) -> Onnx {
    recipe.topology.build(weights::Weights::new(recipe.id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_reads_back_and_has_its_own_id() {
        let mut ids = std::collections::HashSet::new();
        for topology in Topology::ALL {
            for seed in [0, 7, u64::MAX] {
                let recipe = Recipe { topology, seed };
                assert_eq!(recipe.to_string().parse(), Ok(recipe));
                assert!(Recipe::is_meant_by(recipe.to_string().as_bytes()));
                assert!(ids.insert(recipe.id()));
            }
        }
    }

    #[test]
    fn a_text_that_is_no_recipe_is_refused_with_a_sentence() {
        let refused = |text: &str| text.parse::<Recipe>().unwrap_err().to_string();
        assert!(refused("collab recipe 2\nnetwork vgg16\nseed 7\n").contains("version \"2\""));
        let unknown = refused("collab recipe 1\nnetwork vgg99\nseed 7\n");
        assert!(unknown.contains("vgg99") && unknown.contains("vgg16, alexnet"), "{unknown}");
        for wrong in [
            "",
            "collab recipe 1",
            "collab recipe 1\nnetwork vgg16\nseed -1\n",
            "collab recipe 1\nnetwork vgg16\nseed 07\n",
            "collab recipe 1\nnetwork vgg16\nseed 7",
            "collab recipe 1\r\nnetwork vgg16\r\nseed 7\r\n",
            "collab recipe 1\nnetwork vgg16\nseed 7\nseed 8\n",
        ] {
            assert!(refused(wrong).contains("malformed"), "{wrong:?}");
        }
        assert!(refused(&"x".repeat(300)).contains("300 bytes"));
        assert_eq!(Recipe::try_from(&[0xff, 0xfe][..]), Err(RecipeError::NotText(2)));
    }
}
