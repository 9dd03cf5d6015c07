//! Classes: the most likely ones, with probabilities and names.

use collab_core::event::Class;

use crate::catalogue;

/// Whether values are probabilities of classes already: none negative, summing to 1.
pub fn are_probabilities(values: &[f32]) -> bool {
    let sum: f64 = values.iter().copied().map(f64::from).sum();
    values.iter().all(|value| (0.0..=1.0).contains(value)) && (sum - 1.0).abs() < 1e-3
}

/// Probabilities from logits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().reduce(f32::max).unwrap_or_default();
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// The `count` most likely classes, best first; of equals the lower index first.
///
/// `values` are logits or probabilities, told apart by [`are_probabilities`]. Names are those of ImageNet if
/// `labelled`, else the class's number.
pub fn classes(values: &[f32], labelled: bool, count: usize) -> Vec<Class> {
    let probabilities = match are_probabilities(values) {
        true => values.iter().copied().map(f64::from).collect(),
        false => softmax(values),
    };
    // Ranked by the values: far below the best, probabilities vanish and would tie.
    let mut ranked: Vec<usize> = (0..values.len()).collect();
    ranked.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    let named = |class: usize| labelled.then(|| catalogue::label(class)).flatten().map(str::to_owned);
    ranked
        .into_iter()
        .take(count)
        .map(|class| Class {
            class: class as u32,
            label: named(class).unwrap_or_else(|| format!("class {class}")),
            p: probabilities[class],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn probabilities_sum_to_one_and_keep_the_order(
            logits in proptest::collection::vec(-40.0_f32..40.0, 1..50),
        ) {
            let probabilities = softmax(&logits);
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let ranked = classes(&logits, false, logits.len());
            prop_assert!(ranked.is_sorted_by(|a, b| a.p >= b.p));
            prop_assert_eq!(ranked.len(), logits.len());
        }
    }

    #[test]
    fn probabilities_are_not_softened_twice() {
        let ranked = classes(&[0.1, 0.7, 0.2], false, 2);
        assert_eq!((ranked[0].class, ranked[1].class), (1, 2));
        assert!((ranked[0].p - 0.7).abs() < 1e-6);
        assert_eq!(ranked[0].label, "class 1");
        let logits = classes(&[0.1, 0.7, 0.1], false, 1);
        assert!(logits[0].p < 0.6, "0.1 + 0.7 + 0.1 is not 1: these are logits");
    }
}
