//! Slower devices and links than the real ones: presets.

use collab_core::event::{Emulation, LinkShape};
use thiserror::Error;

/// Why a preset's name is not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PresetError {
    /// No such device.
    #[error("'{0}' is no device: write pi5, pi4, pi3, zero2, or a slowdown such as 4 or ×4")]
    Device(String),
    /// No such link.
    #[error("'{0}' is no link: write gigabit, 100mbit, wifi or none")]
    Link(String),
}

/// What a gigabit Ethernet link carries of our bytes.
const GIGABIT: LinkShape = LinkShape { rate_mbps: Some(940.0), delay_ms: 0.0 };
const FAST_ETHERNET: LinkShape = LinkShape { rate_mbps: Some(94.0), delay_ms: 0.0 };
const WIFI: LinkShape = LinkShape { rate_mbps: Some(40.0), delay_ms: 3.0 };

/// The largest slowdown; beyond it a run takes minutes.
const SLOWEST: f64 = 1000.0;

/// Reads a device: a preset, or a slowdown (on gigabit) with or without a multiplication sign.
pub fn preset(text: &str) -> Result<Emulation, PresetError> {
    let (slowdown, link) = match text {
        "pi5" => (2.0, GIGABIT),
        "pi4" => (4.0, GIGABIT),
        "pi3" => (10.0, FAST_ETHERNET),
        "zero2" => (16.0, WIFI),
        other => {
            let digits = other.trim_start_matches(['×', 'x']);
            let slowdown = digits.parse::<f64>().ok().filter(|value| (1.0..=SLOWEST).contains(value));
            let slowdown = slowdown.ok_or_else(|| PresetError::Device(text.to_owned()))?;
            return Ok(Emulation { name: format!("×{slowdown}"), slowdown, link: GIGABIT });
        }
    };
    Ok(Emulation { name: text.to_owned(), slowdown, link })
}

/// Reads a link: a preset, or `none`.
pub fn link_preset(text: &str) -> Result<LinkShape, PresetError> {
    match text {
        "gigabit" => Ok(GIGABIT),
        "100mbit" => Ok(FAST_ETHERNET),
        "wifi" => Ok(WIFI),
        "none" => Ok(LinkShape::default()),
        other => Err(PresetError::Link(other.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_and_slowdowns_are_read() {
        let pi3 = preset("pi3").unwrap();
        assert_eq!((pi3.name.as_str(), pi3.slowdown, pi3.link.rate_mbps), ("pi3", 10.0, Some(94.0)));
        for text in ["4", "×4", "x4"] {
            let plain = preset(text).unwrap();
            assert_eq!((plain.name.as_str(), plain.slowdown, plain.link), ("×4", 4.0, GIGABIT));
        }
        for wrong in ["pi9", "0.5", "NaN", "inf", "", "-1"] {
            assert!(preset(wrong).is_err(), "{wrong}");
        }
        assert_eq!(link_preset("wifi").unwrap().delay_ms, 3.0);
        assert!(link_preset("token ring").unwrap_err().to_string().contains("100mbit"));
    }
}
