//! What the program carries in itself: three trained networks, five photos, the names of the ImageNet classes.
//!
//! Origins and licences: `models/data/NOTICE.md`.

use std::sync::LazyLock;

/// The ONNX file of waifu2x' upconv_7, photo, twice.
pub(crate) const UPCONV7: &[u8] = include_bytes!("../../data/upconv7_photo_x2_128.onnx");

/// The ONNX file of EfficientNet-Lite0 with 8-bit weights.
pub(crate) const EFFICIENTNET_LITE0: &[u8] = include_bytes!("../../data/efficientnet_lite0_224_w8.onnx");

/// The ONNX file of face-api.js' tiny face detector.
pub(crate) const TINY_FACE_DETECTOR: &[u8] = include_bytes!("../../data/tiny_face_detector_416.onnx");

/// A photo embedded in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Photo {
    /// On the command line.
    pub name: &'static str,
    /// A PNG file.
    pub png: &'static [u8],
}

pub(super) static CHELSEA: Photo =
    Photo { name: "chelsea_224", png: include_bytes!("../../data/photos/chelsea_224.png") };
static COFFEE_224: Photo =
    Photo { name: "coffee_224", png: include_bytes!("../../data/photos/coffee_224.png") };
static COFFEE_128: Photo =
    Photo { name: "coffee_128", png: include_bytes!("../../data/photos/coffee_128.png") };
static ROCKET: Photo = Photo { name: "rocket_224", png: include_bytes!("../../data/photos/rocket_224.png") };
pub(super) static ASTRONAUT: Photo =
    Photo { name: "astronaut_416", png: include_bytes!("../../data/photos/astronaut_416.png") };

/// The embedded photos.
pub static PHOTOS: [&Photo; 5] = [&ASTRONAUT, &CHELSEA, &COFFEE_128, &COFFEE_224, &ROCKET];

/// The embedded photo with this name.
pub fn photo(name: &str) -> Option<&'static Photo> {
    PHOTOS.into_iter().find(|photo| photo.name == name)
}

static LABELS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../../data/imagenet1k_labels.txt").lines().collect());

/// The name of an ImageNet class, 0…999: the first of its synonyms.
pub fn label(class: usize) -> Option<&'static str> {
    LABELS.get(class).map(|names| names.split(',').next().unwrap_or(names).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_imagenet_has_a_name() {
        assert_eq!(LABELS.len(), 1000);
        assert!((0..1000).all(|class| label(class).is_some_and(|name| !name.is_empty())));
        assert_eq!(label(282), Some("tiger cat"));
        assert_eq!(label(1000), None);
    }
}
