//! Answers out: what a network's output values say about the picture that went in.
//!
//! [`read`] follows the network's [`Meaning`]. It judges values only; how they were computed is not its
//! business.

mod boxes;
mod classes;

use collab_core::event::Answer;
use collab_core::network::Pixels;

use crate::catalogue::Meaning;
use crate::pixels::{Frame, Picture, Shape, denormalise};

pub use boxes::faces;
pub use classes::{are_probabilities, classes, softmax};

/// How many classes an answer names.
pub const TOP: usize = 5;

/// An answer, and the picture that came out if one did.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What is recorded and shown.
    pub answer: Answer,
    /// The output as a picture.
    pub picture: Option<Picture>,
}

/// Values that contradict what the network is known for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AnswerError {
    /// NaN or infinite values.
    #[error("{bad} of the output's {count} values are not finite numbers")]
    NotFinite {
        /// How many.
        bad: usize,
        /// Of how many.
        count: usize,
    },
    /// The wrong count.
    #[error("the output has {found} values, expected {expected}")]
    Count {
        /// What the meaning asks for.
        expected: usize,
        /// What was given.
        found: usize,
    },
}

/// Reads an output: `values` in the order of its ONNX shape `shape`, computed from `frame` for a network
/// whose pictures are normalised by `pixels`.
///
/// # Errors
/// [`AnswerError`] if values are not finite or their count is wrong.
pub fn read(
    meaning: Meaning,
    pixels: Option<&Pixels>,
    shape: &[usize],
    values: &[f32],
    frame: Option<&Frame>,
) -> Result<Reading, AnswerError> {
    let expected = shape.iter().product();
    if values.len() != expected {
        return Err(AnswerError::Count { expected, found: values.len() });
    }
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    if bad > 0 {
        return Err(AnswerError::NotFinite { bad, count: values.len() });
    }
    let answer = match meaning {
        Meaning::Classes { labelled } => Answer::Classes(classes(values, labelled, TOP)),
        Meaning::Faces => Answer::Boxes(faces(values)?),
        Meaning::Picture { factor, margin } => {
            if let Some(reading) = read_picture(pixels, shape, values, frame, factor, margin) {
                return Ok(reading);
            }
            summarise(values)
        }
        Meaning::Raw => summarise(values),
    };
    Ok(Reading { answer, picture: None })
}

fn read_picture(
    pixels: Option<&Pixels>,
    shape: &[usize],
    values: &[f32],
    frame: Option<&Frame>,
    factor: u32,
    margin: u32,
) -> Option<Reading> {
    let planes = denormalise(pixels?, values).ok()?;
    let picture = Picture::of_planes(Shape::of_input(shape)?, planes)?;
    let (frame, original) = frame.and_then(|frame| Some((frame, frame.original.as_ref()?))).unzip();
    let psnr_db = original.and_then(|original| psnr(original, &picture, margin));
    let bicubic = frame.map(|frame| frame.picture.enlarge_bicubic(factor));
    let bicubic_psnr_db =
        original.zip(bicubic).and_then(|(original, bicubic)| psnr(original, &bicubic, margin));
    Some(Reading { answer: Answer::Picture { psnr_db, bicubic_psnr_db }, picture: Some(picture) })
}

fn summarise(values: &[f32]) -> Answer {
    let min = values.iter().copied().reduce(f32::min).unwrap_or_default();
    let max = values.iter().copied().reduce(f32::max).unwrap_or_default();
    Answer::Values { count: values.len() as u64, min, max }
}

/// Peak signal-to-noise ratio of `picture` against `original`, in dB: `10 · log10(255² / mean squared error)`,
/// over the pixels that are at least `margin` away from the edges.
///
/// `None` if the sizes differ or leave nothing inside, or if the pictures are equal and there is no noise.
pub fn psnr(original: &Picture, picture: &Picture, margin: u32) -> Option<f64> {
    let (original, picture) = (original.inside(margin)?, picture.inside(margin)?);
    if original.shape() != picture.shape() {
        return None;
    }
    let squared = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)).pow(2);
    let sum: u64 = original.planes().iter().zip(picture.planes()).map(squared).sum();
    let mean = sum as f64 / original.planes().len() as f64;
    (sum > 0).then(|| 10.0 * (255.0 * 255.0 / mean).log10())
}

#[cfg(test)]
mod tests {
    use collab_core::event::Answer;

    use super::*;
    use crate::catalogue::{self, find};
    use crate::pixels::Inputs;

    fn golden(bytes: &[u8]) -> Vec<f32> {
        bytes.as_chunks::<4>().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()
    }

    macro_rules! golden {
        ($name:literal) => {
            golden(include_bytes!(concat!("../../data/golden/", $name, ".f32")))
        };
    }

    #[test]
    fn the_goldens_of_efficientnet_name_what_the_photos_show() {
        let entry = find("efficientnet_lite0").unwrap();
        for (values, expected, label) in [
            (golden!("efficientnet_lite0_224_w8__chelsea_224"), [282, 285, 281, 287, 904], "tiger cat"),
            (golden!("efficientnet_lite0_224_w8__coffee_224"), [967, 968, 925, 960, 504], "espresso"),
            (golden!("efficientnet_lite0_224_w8__rocket_224"), [657, 744, 812, 540, 668], "missile"),
        ] {
            let reading = read(entry.meaning, Some(&entry.pixels()), &[1, 1000], &values, None).unwrap();
            let Answer::Classes(classes) = reading.answer else { panic!("{reading:?}") };
            assert_eq!(classes.iter().map(|class| class.class).collect::<Vec<_>>(), expected);
            assert_eq!(classes[0].label, label);
            assert!(classes[0].p > 0.2 && classes[0].p < 1.0, "{classes:?}");
            assert!(classes.is_sorted_by(|a, b| a.p >= b.p));
        }
    }

    #[test]
    fn the_golden_of_the_face_detector_has_one_face_where_the_astronaut_has_hers() {
        let entry = find("tiny_face_detector").unwrap();
        let values = golden!("tiny_face_detector_416__astronaut_416");
        let reading = read(entry.meaning, None, &[1, 25, 13, 13], &values, None).unwrap();
        let Answer::Boxes(boxes) = reading.answer else { panic!("{reading:?}") };
        let [face] = &boxes[..] else { panic!("{boxes:?}") };
        assert!(face.p > 0.8, "{face:?}");
        let (x, y) = (face.x + face.width / 2.0, face.y + face.height / 2.0);
        assert!((0.38..0.50).contains(&x) && (0.15..0.30).contains(&y), "{face:?}");
        assert!((0.12..0.35).contains(&face.width) && (0.12..0.35).contains(&face.height), "{face:?}");
    }

    #[test]
    fn the_golden_of_upconv7_is_the_photo_enlarged() {
        let entry = find("upconv7").unwrap();
        let values = golden!("upconv7_photo_x2_128__coffee_128");
        let shape = Shape { channels: 3, height: 128, width: 128 };
        let frame = Inputs::open("coffee_128", 0).unwrap().frame(0, shape, 2).unwrap();
        let reading =
            read(entry.meaning, Some(&entry.pixels()), &[1, 3, 256, 256], &values, Some(&frame)).unwrap();
        assert_eq!(reading.answer, Answer::Picture { psnr_db: None, bicubic_psnr_db: None });
        let picture = reading.picture.unwrap();
        assert_eq!(picture.shape(), shape.times(2));
        let back = psnr(&frame.picture, &picture.reduce(2), 8).unwrap();
        assert!(back > 40.0, "{back} dB");
    }

    #[test]
    fn an_enlarged_picture_is_compared_with_its_original() {
        let entry = find("upconv7").unwrap();
        let shape = Shape { channels: 3, height: 128, width: 128 };
        let frame = Inputs::Photo(entry.photo).frame(0, shape, 2).unwrap();
        let original = frame.original.as_ref().unwrap();
        assert_eq!(original.shape(), shape.times(2));
        let mut values = vec![0.0; original.planes().len()];
        crate::pixels::normalise(&entry.pixels(), original.planes(), &mut values).unwrap();
        values[256 * 128 + 128] += 10.0 / 255.0;
        let reading =
            read(entry.meaning, Some(&entry.pixels()), &[1, 3, 256, 256], &values, Some(&frame)).unwrap();
        let Answer::Picture { psnr_db: Some(psnr_db), bicubic_psnr_db: Some(bicubic) } = reading.answer
        else {
            panic!("{:?}", reading.answer)
        };
        let expected = 10.0 * (255.0_f64.powi(2) * 224.0 * 224.0 * 3.0 / 100.0).log10();
        assert!((psnr_db - expected).abs() < 1e-9, "{psnr_db} {expected}");
        assert!((20.0..40.0).contains(&bicubic), "{bicubic}");
    }

    #[test]
    fn values_that_are_not_finite_or_too_few_are_refused_with_a_sentence() {
        let refused = |values: &[f32]| {
            let meaning = Meaning::Classes { labelled: false };
            read(meaning, None, &[1, 3], values, None).unwrap_err().to_string()
        };
        assert_eq!(
            refused(&[1.0, f32::NAN, f32::INFINITY]),
            "2 of the output's 3 values are not finite numbers"
        );
        assert_eq!(refused(&[1.0]), "the output has 1 values, expected 3");
        let short = read(Meaning::Faces, None, &[1, 5], &[0.0; 5], None);
        assert_eq!(short, Err(AnswerError::Count { expected: 4225, found: 5 }));
    }

    #[test]
    fn equal_pictures_have_no_noise_and_pictures_of_other_sizes_no_comparison() {
        let picture = Picture::decode(catalogue::photo("coffee_128").unwrap().png, "coffee").unwrap();
        assert_eq!(psnr(&picture, &picture, 0), None);
        assert_eq!(psnr(&picture, &picture.reduce(2), 0), None);
        let noise = Picture::noise(picture.shape(), 1);
        assert!(psnr(&picture, &noise, 0).unwrap() < 12.0);
        assert_eq!(psnr(&picture, &noise, 64), None);
    }

    #[test]
    fn values_without_meaning_are_summarised() {
        let reading = read(Meaning::Raw, None, &[1, 4], &[0.5, -2.0, 7.0, 1.0], None).unwrap();
        assert_eq!(reading.answer, Answer::Values { count: 4, min: -2.0, max: 7.0 });
    }
}
