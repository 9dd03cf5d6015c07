//! Pictures as users give them: files, folders, embedded photos, noise, and files that are none.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Cursor;
use std::path::Path;

use collab_models::catalogue::PHOTOS;
use collab_models::pixels::{InputError, Inputs, Picture, PictureError, Shape, noise_values};
use proptest::prelude::*;

const RGB: Shape = Shape { channels: 3, height: 24, width: 32 };

fn encoded(picture: &Picture, format: image::ImageFormat) -> Vec<u8> {
    let Shape { height, width, .. } = picture.shape();
    let plane = (height * width) as usize;
    let image = image::RgbImage::from_fn(width, height, |x, y| {
        let index = (y * width + x) as usize;
        image::Rgb([0, 1, 2].map(|channel| picture.planes()[channel * plane + index]))
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_picture_of_the_right_size_passes_through_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let picture = Picture::noise(RGB, 3);
    let path = write(folder.path(), "noise.png", &encoded(&picture, image::ImageFormat::Png));
    let frame = Inputs::open(&path, 0).unwrap().frame(0, RGB, 1).unwrap();
    assert_eq!((frame.name.as_str(), frame.picture, frame.original), ("noise.png", picture, None));
}

#[test]
fn a_jpeg_is_read_whatever_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let grey = Picture::of_planes(RGB, vec![77; 3 * 24 * 32]).unwrap();
    let path = write(folder.path(), "picture.png", &encoded(&grey, image::ImageFormat::Jpeg));
    let read = Picture::read(Path::new(&path)).unwrap();
    assert_eq!(read.shape(), RGB);
    assert!(read.planes().iter().all(|pixel| pixel.abs_diff(77) <= 2));
}

#[test]
fn what_is_no_picture_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let png = encoded(&Picture::noise(RGB, 3), image::ImageFormat::Png);
    let refused = |path: &str| Inputs::open(path, 0).unwrap_err().to_string();
    for (name, bytes) in [
        ("text.png", &b"This is not a picture."[..]),
        ("empty.jpg", b""),
        ("cut.png", &png[..png.len() / 2]),
        ("head.png", &png[..20]),
        ("gif.png", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"),
    ] {
        let sentence = refused(&write(folder.path(), name, bytes));
        assert!(sentence.contains(name) && sentence.contains("is not a picture"), "{sentence}");
    }
    let missing = refused("no-such-picture.png");
    assert!(missing.contains("no-such-picture.png") && missing.contains("astronaut_416"), "{missing}");
    let empty = tempfile::tempdir().unwrap();
    assert!(refused(empty.path().to_str().unwrap()).contains("no pictures"));
}

#[test]
fn an_absurdly_large_picture_is_refused_before_it_is_decoded() {
    for (width, height) in [(1_000_000_000_u32, 24_u32), (40_000, 1), (30_000, 30_000), (16_000, 16_000)] {
        let mut png = encoded(&Picture::noise(RGB, 3), image::ImageFormat::Png);
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = Picture::decode(&png, "huge.png").unwrap_err();
        assert!(matches!(error, PictureError::TooManyPixels { .. }), "{width}×{height}: {error}");
    }
}

/// The checksum of PNG chunks.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

#[test]
fn a_folder_is_taken_in_the_order_of_names_and_again_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed) in [("b.png", 2), ("a.PNG", 1), ("c.jpeg", 3)] {
        let picture = Picture::noise(RGB, seed);
        let format = if name == "c.jpeg" { image::ImageFormat::Jpeg } else { image::ImageFormat::Png };
        write(folder.path(), name, &encoded(&picture, format));
    }
    write(folder.path(), "notes.txt", b"not a picture");
    let inputs = Inputs::open(folder.path().to_str().unwrap(), 0).unwrap();
    assert_eq!(inputs.count(), Some(3));
    let names: Vec<_> = (0..4).map(|index| inputs.frame(index, RGB, 1).unwrap().name).collect();
    assert_eq!(names, ["a.PNG", "b.png", "c.jpeg", "a.PNG"]);
}

#[test]
fn a_broken_picture_in_a_folder_costs_its_own_run_only() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.png", b"broken");
    write(folder.path(), "b.png", &encoded(&Picture::noise(RGB, 2), image::ImageFormat::Png));
    let inputs = Inputs::open(folder.path().to_str().unwrap(), 0).unwrap();
    assert!(matches!(inputs.frame(0, RGB, 1), Err(InputError::Picture(PictureError::NotAPicture { .. }))));
    assert!(inputs.frame(1, RGB, 1).is_ok());
}

#[test]
fn noise_is_the_same_for_the_same_seed_and_new_for_every_run() {
    let frame = |seed, index| {
        let inputs = Inputs::open("noise", seed).unwrap();
        assert_eq!(inputs.count(), None);
        inputs.frame(index, Shape { channels: 16, ..RGB }, 1).unwrap().picture
    };
    assert_eq!(frame(4, 1), frame(4, 1));
    assert_ne!(frame(4, 1), frame(4, 2));
    assert_ne!(frame(4, 1), frame(5, 1));
    let mean = frame(4, 1).planes().iter().map(|&x| f64::from(x)).sum::<f64>() / (16.0 * 24.0 * 32.0);
    assert!((mean - 127.5).abs() < 3.0, "{mean}");
}

#[test]
fn a_network_that_reads_no_picture_gets_noise_only() {
    let inputs = Inputs::open("coffee_224", 0).unwrap();
    let error = inputs.frame(0, Shape { channels: 16, ..RGB }, 1).unwrap_err().to_string();
    assert!(error.contains("16 channels") && error.contains("noise"), "{error}");
    let values = noise_values(1000, 3);
    assert_eq!(values, noise_values(1000, 3));
    assert_ne!(values, noise_values(1000, 4));
    assert!(values.iter().all(|value| (-1.0..1.0).contains(value)));
}

#[test]
fn embedded_photos_are_found_by_name() {
    for photo in PHOTOS {
        let side: u32 = photo.name.rsplit('_').next().unwrap().parse().unwrap();
        let shape = Shape { channels: 3, height: side, width: side };
        let frame = Inputs::open(photo.name, 0).unwrap().frame(9, shape, 1).unwrap();
        assert_eq!(frame.name, photo.name);
        assert_eq!(frame.picture, Picture::decode(photo.png, photo.name).unwrap());
    }
}

#[test]
fn a_photo_large_enough_comes_with_the_original_an_enlargement_should_reach() {
    let shape = Shape { channels: 3, height: 128, width: 128 };
    let frame = |name| Inputs::open(name, 0).unwrap().frame(0, shape, 2).unwrap();
    let large = frame("astronaut_416");
    let original = large.original.unwrap();
    assert_eq!((original.shape(), large.picture.shape()), (shape.times(2), shape));
    assert_eq!(original.reduce(2), large.picture);
    assert_eq!(frame("coffee_224").original, None, "224 pixels are less than 256");
    assert_eq!(frame("coffee_128").original, None);
}

#[test]
fn a_wide_picture_is_cropped_around_its_centre() {
    let (height, width) = (10, 40);
    let wide = Shape { channels: 3, height, width };
    let columns: Vec<u8> = (0..3 * height * width).map(|index| (index % width) as u8).collect();
    let square = Picture::of_planes(wide, columns).unwrap().fit(Shape { width: height, ..wide });
    assert_eq!(square.rows(0..1)[..10], [15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
}

#[test]
fn a_thumbnail_keeps_proportions_and_mean_colours() {
    let shape = Shape { channels: 3, height: 30, width: 60 };
    let planes = [10, 20, 30].into_iter().flat_map(|colour| vec![colour; 1800]).collect();
    let thumbnail = Picture::of_planes(shape, planes).unwrap().thumbnail(20, 20);
    assert_eq!((thumbnail.width, thumbnail.height), (20, 10));
    assert_eq!(thumbnail.rgb, [10, 20, 30].repeat(200));
    let grey = Picture::noise(Shape { channels: 1, height: 4, width: 4 }, 1).thumbnail(100, 100);
    assert_eq!((grey.width, grey.height, grey.rgb.len()), (4, 4, 48));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_picture_fits_any_input(
        from in (1_u32..40, 1_u32..40), to in (1_u32..40, 1_u32..40), grey in any::<bool>(),
        flat in any::<u8>(),
    ) {
        let shape = Shape { channels: 3, height: from.0, width: from.1 };
        let wanted = Shape { channels: if grey { 1 } else { 3 }, height: to.0, width: to.1 };
        let picture = Picture::of_planes(shape, vec![flat; (3 * from.0 * from.1) as usize]).unwrap();
        let fitted = picture.fit(wanted);
        prop_assert_eq!(fitted.shape(), wanted);
        prop_assert!(fitted.planes().iter().all(|&pixel| pixel == flat), "{:?}", fitted.planes());
        prop_assert_eq!(fitted.fit(wanted), fitted);
    }

    #[test]
    fn rows_taken_in_parts_are_all_rows(height in 1_u32..20, width in 1_u32..20, cut in 0_u32..20) {
        let picture = Picture::noise(Shape { channels: 1, height, width }, 8);
        let parts = [picture.rows(0..cut), picture.rows(cut..height)].concat();
        prop_assert_eq!(parts, picture.planes());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &bytes].concat();
        let jpeg = [b"\xff\xd8\xff".as_slice(), &bytes].concat();
        for bytes in [bytes, png, jpeg] {
            let _ = Picture::decode(&bytes, "random");
        }
    }

    #[test]
    fn no_damage_to_a_picture_makes_the_reader_panic(
        as_jpeg: bool, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let format = if as_jpeg { image::ImageFormat::Jpeg } else { image::ImageFormat::Png };
        let mut bytes = encoded(&Picture::noise(RGB, 3), format);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let _ = Picture::decode(&bytes, "damaged");
    }
}
