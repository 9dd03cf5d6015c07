//! Names of things: workers, nodes, runs, partitions, networks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A worker's place in the fleet, shown as a letter: 0 is `A`.
///
/// Rows are handed out in this order: `A` owns the uppermost strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub u8);

impl WorkerId {
    /// The most workers one lab leads.
    pub const MAX: usize = 64;

    /// The place in the fleet as an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The worker at place `index`, which must be below [`WorkerId::MAX`].
    pub fn at(index: usize) -> Self {
        debug_assert!(index < Self::MAX);
        Self(index as u8)
    }

    /// Reads `A`, `b`, … `Z`, `A1`, … as printed by `Display`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut chars = text.chars();
        let letter = chars.next()?.to_ascii_uppercase();
        if !letter.is_ascii_uppercase() {
            return None;
        }
        let round: u32 = match chars.as_str() {
            "" => 0,
            digits => digits.parse().ok().filter(|&round| round > 0)?,
        };
        let index = round.checked_mul(26)?.checked_add(letter as u32 - 'A' as u32)?;
        (index < Self::MAX as u32).then_some(Self(index as u8))
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(b'A' + self.0 % 26);
        match self.0 / 26 {
            0 => f.pad(letter.encode_utf8(&mut [0; 4])),
            round => f.pad(&format!("{letter}{round}")),
        }
    }
}

/// An end of a link: the lab is a node like any worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Node {
    /// The operator's side: owns the input, receives the output.
    Lab,
    /// A device.
    Worker(WorkerId),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Lab => f.pad("lab"),
            Node::Worker(worker) => worker.fmt(f),
        }
    }
}

/// One inference, counted from 1 within a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition's number within a session, shown as `#37`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub u32);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// SHA-256 of something: of a network's ONNX bytes, or of a node's public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// SHA-256 of a network's ONNX bytes.
pub type NetworkId = Digest;

/// SHA-256 of a node's public key (its DER SubjectPublicKeyInfo).
pub type Fingerprint = Digest;

impl Digest {
    /// The first eight hexadecimal digits, enough for a person to tell two apart.
    pub fn short(&self) -> String {
        self.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads 64 hexadecimal digits, with or without a leading `sha256:`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected 64 hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_letter_reads_back() {
        for index in 0..WorkerId::MAX {
            let worker = WorkerId::at(index);
            assert_eq!(WorkerId::parse(&worker.to_string()), Some(worker));
        }
        for wrong in ["", "1", "AB", "A0", "A9", "é"] {
            assert_eq!(WorkerId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_digest_reads_back_and_refuses_what_is_none() {
        let digest = Digest([0xa7; 32]);
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("sha256:12"), None);
        assert_eq!(Digest::parse(&"zz".repeat(32)), None);
    }
}
