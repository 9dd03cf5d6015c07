//! Pictures in: from files to the rows of 8-bit pixels a network starts from, and from those to its input
//! values.
//!
//! Pixels are planar, `[channel][row][x]`, as links carry them and as networks read them. The lab fits
//! pictures once; lab and workers turn pixels into values with the same function, [`normalise`].

mod input;
mod picture;

use collab_core::network::Pixels;

pub use input::{Frame, InputError, Inputs, noise_values};
pub use picture::{Picture, PictureError, Shape};

/// Pixels and values that do not fit together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NormaliseError {
    /// The lengths differ, or are no whole number of planes.
    #[error("{pixels} pixels cannot become {values} values of {channels} channels")]
    Lengths {
        /// Bytes given.
        pixels: usize,
        /// Room for values.
        values: usize,
        /// Channels of the network's input.
        channels: usize,
    },
    /// Mean and deviation are no usable numbers, or differ in their count.
    #[error("pixels cannot be normalised with the means {mean:?} and the deviations {std:?}")]
    Settings {
        /// One per channel.
        mean: Vec<f32>,
        /// One per channel.
        std: Vec<f32>,
    },
}

/// Turns planar rows of 8-bit pixels into input values: `(pixel − mean) / std`, per channel.
///
/// `planes` holds `channels × rows × width` bytes for any range of rows, `values` has as many places; there
/// are as many channels as means. Each value is one subtraction and one division of 32-bit floats, so it is
/// the same on every machine.
///
/// # Errors
/// [`NormaliseError`]; then `values` is untouched.
pub fn normalise(pixels: &Pixels, planes: &[u8], values: &mut [f32]) -> Result<(), NormaliseError> {
    let Pixels { mean, std } = pixels;
    let channels = mean.len();
    let usable = |std: &f32| std.is_finite() && *std != 0.0;
    if channels == 0
        || std.len() != channels
        || !std.iter().all(usable)
        || !mean.iter().all(|m| m.is_finite())
    {
        return Err(NormaliseError::Settings { mean: mean.clone(), std: std.clone() });
    }
    if planes.len() != values.len() || !planes.len().is_multiple_of(channels) {
        return Err(NormaliseError::Lengths { pixels: planes.len(), values: values.len(), channels });
    }
    if planes.is_empty() {
        return Ok(());
    }
    let plane = planes.len() / channels;
    let planes = planes.chunks_exact(plane).zip(values.chunks_exact_mut(plane));
    for ((bytes, values), (mean, std)) in planes.zip(mean.iter().zip(std)) {
        let table: [f32; 256] = std::array::from_fn(|pixel| (pixel as f32 - mean) / std);
        for (value, &byte) in values.iter_mut().zip(bytes) {
            *value = table[usize::from(byte)];
        }
    }
    Ok(())
}

/// The 8-bit pixels nearest to values of a picture: `value × std + mean`, rounded, clamped to 0…255.
///
/// What is no number becomes 0. Layout and counts are those of [`normalise`].
///
/// # Errors
/// [`NormaliseError`].
pub fn denormalise(pixels: &Pixels, values: &[f32]) -> Result<Vec<u8>, NormaliseError> {
    let Pixels { mean, std } = pixels;
    let channels = mean.len();
    if channels == 0 || std.len() != channels {
        return Err(NormaliseError::Settings { mean: mean.clone(), std: std.clone() });
    }
    if !values.len().is_multiple_of(channels) {
        return Err(NormaliseError::Lengths { pixels: values.len(), values: values.len(), channels });
    }
    let plane = (values.len() / channels).max(1);
    let planes = values.chunks(plane).zip(mean.iter().zip(std));
    Ok(planes
        .flat_map(|(values, (mean, std))| values.iter().map(move |value| (value * std + mean).round() as u8))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings() -> impl Strategy<Value = Pixels> {
        proptest::collection::vec((0.0_f32..255.0, 0.5_f32..300.0), 1..5).prop_map(|channels| {
            let (mean, std) = channels.into_iter().unzip();
            Pixels { mean, std }
        })
    }

    proptest! {
        #[test]
        fn every_value_is_its_pixel_minus_the_mean_over_the_deviation(
            pixels in settings(), seed in any::<u64>(), rows in 1_u32..6, width in 1_u32..9,
        ) {
            let channels = pixels.mean.len();
            let plane = (rows * width) as usize;
            let bytes: Vec<u8> = (0..channels * plane).map(|i| (seed >> (i % 57)) as u8).collect();
            let mut values = vec![f32::NAN; bytes.len()];
            normalise(&pixels, &bytes, &mut values).unwrap();
            for (index, (value, &byte)) in values.iter().zip(&bytes).enumerate() {
                let channel = index / plane;
                let expected = (f32::from(byte) - pixels.mean[channel]) / pixels.std[channel];
                prop_assert_eq!(value.to_bits(), expected.to_bits());
            }
            prop_assert_eq!(denormalise(&pixels, &values).unwrap(), bytes);
        }

        #[test]
        fn rows_normalised_apart_are_the_rows_of_the_whole_picture(
            pixels in settings(), rows in 1_usize..8, cut in 0_usize..8, width in 1_usize..9,
        ) {
            let channels = pixels.mean.len() as u32;
            let cut = cut.min(rows);
            let shape = Shape { channels, height: rows as u32, width: width as u32 };
            let picture = Picture::noise(shape, 5);
            let mut whole = vec![0.0; picture.planes().len()];
            normalise(&pixels, picture.planes(), &mut whole).unwrap();
            for range in [0..cut, cut..rows] {
                let bytes = picture.rows(range.start as u32..range.end as u32);
                let mut part = vec![0.0; bytes.len()];
                normalise(&pixels, &bytes, &mut part).unwrap();
                let expected: Vec<f32> = whole
                    .chunks(rows * width)
                    .flat_map(|plane| plane[range.start * width..range.end * width].to_vec())
                    .collect();
                prop_assert_eq!(part, expected);
            }
        }
    }

    #[test]
    fn lengths_and_settings_that_do_not_fit_are_refused() {
        let grey = Pixels { mean: vec![0.0], std: vec![255.0] };
        assert!(matches!(normalise(&grey, &[1, 2], &mut [0.0]), Err(NormaliseError::Lengths { .. })));
        let rgb = Pixels { mean: vec![0.0; 3], std: vec![1.0; 3] };
        assert!(matches!(normalise(&rgb, &[1; 4], &mut [0.0; 4]), Err(NormaliseError::Lengths { .. })));
        assert_eq!(normalise(&rgb, &[], &mut []), Ok(()));
        for (mean, std) in [(vec![], vec![]), (vec![0.0], vec![0.0]), (vec![0.0], vec![1.0; 2])] {
            let wrong = normalise(&Pixels { mean, std }, &[1], &mut [0.0]);
            assert!(matches!(wrong, Err(NormaliseError::Settings { .. })));
        }
    }

    #[test]
    fn values_outside_the_range_of_pixels_are_clamped() {
        let unit = Pixels { mean: vec![0.0], std: vec![255.0] };
        let values = [-0.5, 0.0, 0.5, 1.0, 7.0, f32::NAN, f32::INFINITY];
        assert_eq!(denormalise(&unit, &values).unwrap(), [0, 0, 128, 255, 255, 0, 255]);
    }
}
