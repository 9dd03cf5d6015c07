//! The single-device outputs that collaborative ones are compared with.

use std::collections::HashMap;

use anyhow::Context as _;
use collab_core::event::Verdict;
use collab_core::rows::Rows;
use collab_models::{LayerTimes, Map, Model};

use super::inputs::Frame;

/// Outputs kept: enough for a small folder of pictures.
const KEPT: usize = 64;

/// What is known of each input's single-device output.
enum Known {
    /// Being computed.
    Pending,
    /// The output's values.
    Values(Vec<f32>),
    /// It could not be computed.
    Failed,
}

/// The single-device outputs, by input.
#[derive(Default)]
pub struct Reference {
    known: HashMap<usize, Known>,
}

impl Reference {
    /// Whether the output of input `frame` is still to be computed; if so it is pending from now on.
    pub fn wants(&mut self, frame: usize) -> bool {
        if self.known.contains_key(&frame) || self.known.len() >= KEPT {
            return false;
        }
        self.known.insert(frame, Known::Pending);
        true
    }

    /// Whether the output of input `frame` is being computed.
    pub fn is_pending(&self, frame: usize) -> bool {
        matches!(self.known.get(&frame), Some(Known::Pending))
    }

    /// Takes the output of input `frame`, or the fact that there is none.
    pub fn set(&mut self, frame: usize, values: Option<Vec<f32>>) {
        self.known.insert(frame, values.map_or(Known::Failed, Known::Values));
    }

    /// Forgets everything, so that the next comparison is against outputs computed anew.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Compares a collaborative output with the single-device one, if that is known.
    pub fn compare(&self, frame: usize, output: &[f32]) -> Verdict {
        match self.known.get(&frame) {
            Some(Known::Values(values)) => verdict(values, output),
            _ => Verdict::Unchecked,
        }
    }
}

/// The whole network on one input, on this machine, by the same engine that workers use.
pub fn compute(model: &Model, frame: &Frame) -> anyhow::Result<Vec<f32>> {
    let network = model.network();
    let cut = network.input.cut;
    let mut input = Map::zeros(cut, Rows::all(cut.rows));
    frame.fill(network, &mut input)?;
    let mut whole = model.whole().context("the whole network cannot be prepared")?;
    let mut times = LayerTimes::new(network);
    let output = whole.run(input, &mut || std::time::Duration::ZERO, &mut times)?;
    Ok(output.values().to_vec())
}

/// `output` against `reference`: bits first, then the largest difference as a part of the range.
fn verdict(reference: &[f32], output: &[f32]) -> Verdict {
    let same_bits = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
    if reference.len() == output.len() && reference.iter().zip(output).all(same_bits) {
        return Verdict::BitEqual;
    }
    let largest = reference.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let smallest = reference.iter().copied().fold(f32::INFINITY, f32::min);
    let range = f64::from(largest - smallest).max(f64::MIN_POSITIVE);
    let differences = reference.iter().zip(output).map(|(a, b)| f64::from((a - b).abs()));
    // NaN on one side only must not pass as equal, and f64::max would drop it.
    let worst =
        differences.fold(0.0, |worst: f64, by| if by.is_nan() { f64::INFINITY } else { worst.max(by) });
    let by = (worst / range).min(f64::MAX);
    if reference.len() == output.len() && by <= Verdict::TOLERANCE {
        Verdict::Within(by)
    } else {
        Verdict::Differs(by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_is_seen_and_named() {
        let reference = [0.0, 0.5, 1.0, -1.0];
        assert_eq!(verdict(&reference, &reference), Verdict::BitEqual);
        let near = [0.0, f32::from_bits(0.5f32.to_bits() + 1), 1.0, -1.0];
        assert!(matches!(verdict(&reference, &near), Verdict::Within(by) if by > 0.0));
        assert!(matches!(verdict(&reference, &[0.0, 0.5, 1.0, -0.9]), Verdict::Differs(_)));
        assert!(matches!(verdict(&reference, &[0.0, f32::NAN, 1.0, -1.0]), Verdict::Differs(_)));
        assert!(matches!(verdict(&reference, &reference[..3]), Verdict::Differs(_)));
        assert!(matches!(verdict(&reference, &[-0.0, 0.5, 1.0, -1.0]), Verdict::Within(_)));
    }

    #[test]
    fn an_input_is_asked_for_once_until_it_is_forgotten() {
        let mut reference = Reference::default();
        assert!(reference.wants(0) && !reference.wants(0));
        assert_eq!(reference.compare(0, &[1.0]), Verdict::Unchecked);
        reference.set(0, Some(vec![1.0]));
        assert_eq!(reference.compare(0, &[1.0]), Verdict::BitEqual);
        reference.forget();
        assert!(reference.wants(0));
    }
}
