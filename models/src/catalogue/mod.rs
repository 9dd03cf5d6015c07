//! The networks that can be asked for by name, and what is known of any network: how pictures become its
//! input and what its output means.
//!
//! It owns names, descriptions and meanings. Bytes become models in [`crate::source`], pictures become inputs
//! in [`crate::pixels`], outputs become answers in [`crate::answer`].

mod shipped;

use std::borrow::Cow;

use collab_core::id::{Digest, NetworkId};
use collab_core::network::Pixels;
use sha2::{Digest as _, Sha256};

use crate::recipe::{Recipe, Topology};

pub(crate) use shipped::{EFFICIENTNET_LITE0, TINY_FACE_DETECTOR, UPCONV7};
pub use shipped::{PHOTOS, Photo, label, photo};

/// What the values of a network's output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// One value per class; the classes have names if they are the 1000 of ImageNet and the weights are
    /// trained.
    Classes {
        /// Whether [`label`] names them.
        labelled: bool,
    },
    /// A picture, `factor` times as wide and high as the input and normalised like it.
    Picture {
        /// 1 or more.
        factor: u32,
        /// How many pixels of the output, from each edge, suffer from the padding of a network that was
        /// trained without any; its quality is measured inside of them.
        margin: u32,
    },
    /// The grid of the tiny face detector.
    Faces,
    /// Nothing that is known.
    Raw,
}

/// Where a network comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Embedded in the program, with trained weights.
    Shipped(&'static [u8]),
    /// Built on demand, with seeded weights.
    Generated(Topology),
}

/// How 8-bit pixels become a network's input values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As they are, 0…255.
    Bytes,
    /// 0…1.
    Unit,
    /// (x − 127) / 128.
    Signed,
    /// Mean 0 and variance 1 over ImageNet.
    Imagenet,
}

impl Scale {
    /// Every scale with its name on the command line.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("bytes", Self::Bytes),
        ("unit", Self::Unit),
        ("signed", Self::Signed),
        ("imagenet", Self::Imagenet),
    ];

    fn pixels(self, channels: usize) -> Pixels {
        let same = |mean, std| Pixels { mean: vec![mean; channels], std: vec![std; channels] };
        match self {
            Self::Bytes => same(0.0, 1.0),
            Self::Unit => same(0.0, 255.0),
            Self::Signed => same(127.0, 128.0),
            Self::Imagenet => {
                Pixels { mean: vec![123.675, 116.28, 103.53], std: vec![58.395, 57.12, 57.375] }
            }
        }
    }
}

/// A network of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// On the command line.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// Where it comes from.
    pub origin: Origin,
    /// What its output means.
    pub meaning: Meaning,
    /// The photo it runs on unless told otherwise.
    pub photo: &'static Photo,
    scale: Scale,
}

impl Entry {
    /// How pictures become its input.
    pub fn pixels(&self) -> Pixels {
        self.scale.pixels(3)
    }

    /// What is sent to workers and what its id is the SHA-256 of: the ONNX file, or the recipe.
    ///
    /// `seed` chooses the weights of a generated network and is of no effect for a shipped one.
    pub fn bytes(&self, seed: u64) -> Cow<'static, [u8]> {
        match self.origin {
            Origin::Shipped(bytes) => Cow::Borrowed(bytes),
            Origin::Generated(topology) => Cow::Owned(Recipe { topology, seed }.to_string().into_bytes()),
        }
    }
}

const UNNAMED: Meaning = Meaning::Classes { labelled: false };

/// Every network that has a name, shipped ones first.
pub const ENTRIES: [Entry; 10] = [
    Entry {
        name: "upconv7",
        description: "enlarges a photo twice, 128×128 to 256×256 (waifu2x upconv_7 photo, trained)",
        origin: Origin::Shipped(UPCONV7),
        meaning: Meaning::Picture { factor: 2, margin: 16 },
        photo: &shipped::ASTRONAUT,
        scale: Scale::Unit,
    },
    Entry {
        name: "efficientnet_lite0",
        description: "names what a photo shows, 1000 ImageNet classes (EfficientNet-Lite0, trained)",
        origin: Origin::Shipped(EFFICIENTNET_LITE0),
        meaning: Meaning::Classes { labelled: true },
        photo: &shipped::CHELSEA,
        scale: Scale::Signed,
    },
    Entry {
        name: "tiny_face_detector",
        description: "finds faces at 416×416 (face-api.js tiny face detector, trained)",
        origin: Origin::Shipped(TINY_FACE_DETECTOR),
        meaning: Meaning::Faces,
        photo: &shipped::ASTRONAUT,
        scale: Scale::Bytes,
    },
    generated(Topology::Vgg16, "VGG-16, 224×224, 15.5 GMAC (seeded weights)"),
    generated(Topology::Alexnet, "AlexNet with grouped convolutions and LRN, 224×224 (seeded weights)"),
    generated(Topology::Resnet18, "ResNet-18, 224×224 (seeded weights)"),
    generated(Topology::Resnet50, "ResNet-50 v1.5, 224×224 (seeded weights)"),
    generated(Topology::MobilenetV2, "MobileNetV2, width 1.0, 224×224 (seeded weights)"),
    generated(Topology::Squeezenet, "SqueezeNet 1.0, 224×224 (seeded weights)"),
    Entry {
        meaning: Meaning::Raw,
        photo: &shipped::ASTRONAUT,
        scale: Scale::Unit,
        ..generated(
            Topology::Yolov2First16,
            "YOLOv2's first 16 layers at 608×608, as DeepThings distributes them (seeded weights)",
        )
    },
];

const fn generated(topology: Topology, description: &'static str) -> Entry {
    Entry {
        name: topology.name(),
        description,
        origin: Origin::Generated(topology),
        meaning: UNNAMED,
        photo: &shipped::CHELSEA,
        scale: Scale::Imagenet,
    }
}

/// No network of the catalogue has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no network named {0:?}: give the path of an ONNX file or one of {names}", names = names().join(", "))]
pub struct UnknownNetwork(pub String);

/// The names of all entries.
pub fn names() -> [&'static str; ENTRIES.len()] {
    ENTRIES.map(|entry| entry.name)
}

/// The entry with this name.
///
/// # Errors
/// [`UnknownNetwork`], which lists the names.
pub fn find(name: &str) -> Result<&'static Entry, UnknownNetwork> {
    ENTRIES.iter().find(|entry| entry.name == name).ok_or_else(|| UnknownNetwork(name.to_owned()))
}

/// The entry that these bytes (an ONNX file or a recipe) are, if any.
pub fn recognise(bytes: &[u8]) -> Option<&'static Entry> {
    if Recipe::is_meant_by(bytes) {
        return find(Recipe::try_from(bytes).ok()?.topology.name()).ok();
    }
    ENTRIES.iter().find(|entry| matches!(entry.origin, Origin::Shipped(shipped) if shipped == bytes))
}

/// The id of a network given as bytes: an ONNX file or a recipe.
pub fn id(bytes: &[u8]) -> NetworkId {
    Digest(Sha256::digest(bytes).into())
}

/// How pictures become the input of a network with these ONNX shapes: as `scale` says, else as its entry does,
/// else as most publishers of such networks have it: ImageNet's mean and variance before 1000 classes, 0…1
/// before anything else. `None` if the input is not one grey or RGB picture.
pub fn pixels(
    scale: Option<Scale>,
    entry: Option<&Entry>,
    input: &[usize],
    output: &[usize],
) -> Option<Pixels> {
    let &[1, channels @ (1 | 3), _, _] = input else { return None };
    let usual = match (channels, meaning(entry, input, output)) {
        (3, Meaning::Classes { labelled: true }) => Scale::Imagenet,
        _ => Scale::Unit,
    };
    Some(match scale.or(entry.map(|entry| entry.scale)).unwrap_or(usual) {
        // ImageNet has no grey pictures.
        Scale::Imagenet if channels == 1 => Scale::Unit.pixels(channels),
        scale => scale.pixels(channels),
    })
}

/// What the output of a network means: as its entry says, else judged by the ONNX shapes of its input and
/// output. 1000 values are taken for the classes of ImageNet.
pub fn meaning(entry: Option<&Entry>, input: &[usize], output: &[usize]) -> Meaning {
    if let Some(entry) = entry {
        return entry.meaning;
    }
    match (input, output) {
        (_, [1, 1000] | [1, 1000, 1, 1]) => Meaning::Classes { labelled: true },
        (&[1, channels @ (1 | 3), height, width], &[1, out, rows, columns])
            if out == channels && height > 0 && width > 0 =>
        {
            let factor = rows / height;
            let whole = factor > 0 && rows == factor * height && columns == factor * width;
            match u32::try_from(factor) {
                Ok(factor) if whole => Meaning::Picture { factor, margin: 0 },
                _ => Meaning::Raw,
            }
        }
        _ => Meaning::Raw,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_recognised_by_its_bytes() {
        for entry in &ENTRIES {
            assert_eq!(find(entry.name), Ok(entry));
            assert_eq!(recognise(&entry.bytes(11)), Some(entry));
            assert!(photo(entry.photo.name).is_some());
            assert_eq!(entry.pixels().mean.len(), 3);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_every_known_one() {
        let sentence = find("vgg61").unwrap_err().to_string();
        assert!(sentence.contains("vgg61"));
        assert!(names().iter().all(|name| sentence.contains(name)), "{sentence}");
    }

    #[test]
    fn a_changed_file_is_not_recognised() {
        let mut bytes = UPCONV7.to_vec();
        bytes[1000] ^= 1;
        assert_eq!(recognise(&bytes), None);
        assert_eq!(recognise(b"collab recipe 9\nnetwork vgg16\nseed 1\n"), None);
        assert_eq!(recognise(b""), None);
    }

    #[test]
    fn the_bytes_of_an_entry_have_the_id_of_its_recipe() {
        let entry = find("resnet18").unwrap();
        let recipe = Recipe { topology: Topology::Resnet18, seed: 5 };
        assert_eq!(id(&entry.bytes(5)), recipe.id());
    }

    #[test]
    fn an_unknown_file_is_judged_by_its_shapes() {
        let picture = [1, 3, 64, 48];
        assert_eq!(meaning(None, &picture, &[1, 1000]), Meaning::Classes { labelled: true });
        assert_eq!(meaning(None, &picture, &[1, 1000, 1, 1]), Meaning::Classes { labelled: true });
        assert_eq!(meaning(None, &picture, &[1, 3, 192, 144]), Meaning::Picture { factor: 3, margin: 0 });
        assert_eq!(meaning(None, &picture, &picture), Meaning::Picture { factor: 1, margin: 0 });
        for other in [&[1, 3, 128, 48][..], &[1, 3, 65, 49], &[1, 3, 32, 24], &[1, 1, 64, 48], &[1, 10], &[]]
        {
            assert_eq!(meaning(None, &picture, other), Meaning::Raw, "{other:?}");
        }
        let of = |scale, input: &[usize], output: &[usize]| pixels(scale, None, input, output);
        assert_eq!(of(None, &picture, &picture), Some(Pixels { mean: vec![0.0; 3], std: vec![255.0; 3] }));
        assert_eq!(of(None, &picture, &[1, 1000]), Some(Scale::Imagenet.pixels(3)));
        assert_eq!(of(Some(Scale::Signed), &picture, &[1, 1000]), Some(Scale::Signed.pixels(3)));
        assert_eq!(
            of(Some(Scale::Imagenet), &[1, 1, 8, 8], &[1, 10]).map(|pixels| pixels.mean.len()),
            Some(1)
        );
        assert_eq!(of(None, &[1, 16, 8, 8], &[1, 10]), None);
        assert_eq!(of(None, &[1, 80], &[1, 10]), None);
    }
}
