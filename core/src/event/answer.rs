//! What outputs mean, as events carry it.

use serde::{Deserialize, Serialize};

/// What an output means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The most likely classes, best first.
    Classes(Vec<Class>),
    /// An enlarged picture, with its peak signal-to-noise ratios where the original is known.
    Picture {
        /// Against the original, dB.
        psnr_db: Option<f64>,
        /// Of a bicubic enlargement against the original, dB.
        bicubic_psnr_db: Option<f64>,
    },
    /// Boxes, most certain first.
    Boxes(Vec<FoundBox>),
    /// Values without a known meaning: how many, smallest, largest.
    Values {
        /// How many.
        count: u64,
        /// Smallest.
        min: f32,
        /// Largest.
        max: f32,
    },
}

/// A class with its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Index in the network's output.
    pub class: u32,
    /// Its name.
    pub label: String,
    /// Probability, 0…1.
    pub p: f64,
}

/// A box, in parts of the input's width and height.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundBox {
    /// Left edge, 0…1.
    pub x: f64,
    /// Upper edge, 0…1.
    pub y: f64,
    /// Width, 0…1.
    pub width: f64,
    /// Height, 0…1.
    pub height: f64,
    /// Certainty, 0…1.
    pub p: f64,
    /// What it holds.
    pub label: String,
}

/// A small RGB picture for half blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnail {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// `height × width × 3` bytes, as hexadecimal digits in JSON.
    #[serde(with = "hex")]
    pub rgb: Vec<u8>,
}

/// Bytes as hexadecimal digits.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        let text: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        text.as_bytes()
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some((nibble(*high)? << 4 | nibble(*low)?) as u8),
                _ => None,
            })
            .collect::<Option<Vec<u8>>>()
            .ok_or_else(|| serde::de::Error::custom("expected pairs of hexadecimal digits"))
    }
}
