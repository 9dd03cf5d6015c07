//! Keyframes as they are believed: files come from anybody, and what is read from one is folded on.

use std::fmt;

use collab_core::lab::Lab;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// More than anything that a lab measures, in any unit: what is learnt from is squared and multiplied.
const MOST: f64 = 1e15;

/// The lab in a keyframe; `None` if another version wrote it, or if no lab can have been so ([`Lab::is_possible`]).
pub fn read_keyframe(json: &[u8]) -> Option<Lab> {
    let lab: Lab = serde_json::from_slice(json).ok()?;
    (lab.is_possible() && serde_json::from_slice::<Measurable>(json).is_ok()).then_some(lab)
}

/// Any value whose numbers can have been measured. Counts may be any.
struct Measurable;

impl<'de> Deserialize<'de> for Measurable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Numbers)
    }
}

struct Numbers;

impl<'de> Visitor<'de> for Numbers {
    type Value = Measurable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "numbers up to {MOST:e}")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Measurable, E> {
        if value.abs() <= MOST { Ok(Measurable) } else { Err(E::custom("a number is too large")) }
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Measurable, E> {
        Ok(Measurable)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Measurable, E> {
        Ok(Measurable)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Measurable, E> {
        Ok(Measurable)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Measurable, E> {
        Ok(Measurable)
    }

    fn visit_unit<E: Error>(self) -> Result<Measurable, E> {
        Ok(Measurable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Measurable, A::Error> {
        while items.next_element::<Measurable>()?.is_some() {}
        Ok(Measurable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Measurable, A::Error> {
        while fields.next_entry::<IgnoredAny, Measurable>()?.is_some() {}
        Ok(Measurable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_all_that_is_measured_is_seen_wherever_it_stands() {
        let is_measurable = |json: &str| serde_json::from_str::<Measurable>(json).is_ok();
        assert!(is_measurable(r#"{"at":18446744073709551615,"of":[1.5,-2e3,null,"1e300",true,{"a":1e15}]}"#));
        assert!(!is_measurable(r#"{"of":[{"a":[1e16]}]}"#) && !is_measurable("-1e300"));
    }

    #[test]
    fn an_empty_lab_is_believed_and_what_is_no_lab_is_not() {
        let lab = serde_json::to_vec(&Lab::default()).unwrap();
        assert_eq!(read_keyframe(&lab), Some(Lab::default()));
        assert_eq!(read_keyframe(b"{}"), None);
    }
}
