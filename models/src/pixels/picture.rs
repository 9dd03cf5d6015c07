//! One picture: reading PNG and JPEG, fitting to a size, taking rows, enlarging, comparing.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use collab_core::event::Thumbnail;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The widest and highest picture read, in pixels.
const MAX_SIDE: u32 = 32_768;

/// The most pixels of a picture read, in millions.
const MAX_MEGAPIXELS: u64 = 128;

/// The largest picture file read, in bytes.
const MAX_FILE: u64 = 256 << 20;

/// The most memory a decoder may take: eight bytes for each pixel, and as much again to work with.
const MAX_DECODED: u64 = 16 * MAX_MEGAPIXELS * 1_000_000;

/// The size of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// 1 is grey, 3 is RGB; noise may have any.
    pub channels: u32,
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
}

impl Shape {
    /// The shape of a network's input, `[1, channels, height, width]`.
    pub fn of_input(shape: &[usize]) -> Option<Self> {
        let &[1, channels, height, width] = shape else { return None };
        let size = |size: usize| u32::try_from(size).ok().filter(|&size| size > 0);
        Some(Self { channels: size(channels)?, height: size(height)?, width: size(width)? })
    }

    /// The shape of a picture `factor` times as wide and high.
    pub fn times(self, factor: u32) -> Self {
        Self { height: self.height * factor, width: self.width * factor, ..self }
    }

    fn plane(self) -> usize {
        self.height as usize * self.width as usize
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file cannot be read.
    #[error("{name} cannot be read: {source}")]
    Unreadable {
        /// Its path.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{name} cannot be written: {source}")]
    Unwritable {
        /// Its path.
        name: String,
        /// Why.
        source: image::ImageError,
    },
    /// The file is too large.
    #[error("{name} has {found} bytes: pictures of at most {MAX_FILE} bytes are read")]
    TooLarge {
        /// Its path.
        name: String,
        /// Its size.
        found: u64,
    },
    /// The content is no PNG or JPEG.
    #[error("{name} is not a picture that can be read (PNG and JPEG can): {source}")]
    NotAPicture {
        /// Its path.
        name: String,
        /// Why.
        source: image::ImageError,
    },
    /// More pixels than is sensible.
    #[error(
        "{name} has too many pixels: pictures of at most {MAX_MEGAPIXELS} million pixels, {MAX_SIDE} wide or high, are read"
    )]
    TooManyPixels {
        /// Its path.
        name: String,
    },
}

/// A picture of 8-bit pixels, planar: `[channel][row][x]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    shape: Shape,
    planes: Vec<u8>,
}

impl Picture {
    /// Reads a PNG or JPEG file as RGB, upright as its orientation tag says.
    ///
    /// # Errors
    /// [`PictureError`].
    pub fn read(path: &Path) -> Result<Self, PictureError> {
        let name = path.display().to_string();
        let unreadable = |source| PictureError::Unreadable { name: name.clone(), source };
        let found = std::fs::metadata(path).map_err(unreadable)?.len();
        if found > MAX_FILE {
            return Err(PictureError::TooLarge { name, found });
        }
        Self::decode(&std::fs::read(path).map_err(unreadable)?, &name)
    }

    /// Writes it as a PNG file.
    ///
    /// # Errors
    /// [`PictureError::Unwritable`].
    pub fn write_png(&self, path: &Path) -> Result<(), PictureError> {
        let written = self.rgb_image().save_with_format(path, image::ImageFormat::Png);
        written.map_err(|source| PictureError::Unwritable { name: path.display().to_string(), source })
    }

    /// Reads the bytes of a PNG or JPEG file; `name` is for the sentence if they are none.
    ///
    /// # Errors
    /// [`PictureError`].
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self, PictureError> {
        let too_many_pixels = || PictureError::TooManyPixels { name: name.to_owned() };
        let not_a_picture = |error| match error {
            image::ImageError::Limits(_) => too_many_pixels(),
            source => PictureError::NotAPicture { name: name.to_owned(), source },
        };
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|error| not_a_picture(image::ImageError::IoError(error)))?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_DECODED);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(not_a_picture)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_MEGAPIXELS * 1_000_000 {
            return Err(too_many_pixels());
        }
        let orientation = decoder.orientation().map_err(not_a_picture)?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(not_a_picture)?;
        image.apply_orientation(orientation);
        Ok(Self::of_rgb(&image.into_rgb8()))
    }

    /// Independent random pixels, the same for the same seed.
    pub fn noise(shape: Shape, seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut planes = vec![0; shape.channels as usize * shape.plane()];
        ChaCha8Rng::from_seed(key).fill_bytes(&mut planes);
        Self { shape, planes }
    }

    /// A picture from its planar pixels, or `None` if their count is not what `shape` says.
    pub fn of_planes(shape: Shape, planes: Vec<u8>) -> Option<Self> {
        (planes.len() == shape.channels as usize * shape.plane()).then_some(Self { shape, planes })
    }

    /// Its size.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its pixels, `[channel][row][x]`.
    pub fn planes(&self) -> &[u8] {
        &self.planes
    }

    /// The pixels of a range of rows, `[channel][row][x]`; rows it does not have are left out.
    pub fn rows(&self, rows: Range<u32>) -> Vec<u8> {
        let width = self.shape.width as usize;
        let end = rows.end.min(self.shape.height) as usize;
        let start = (rows.start as usize).min(end);
        let planes = self.planes.chunks_exact(self.shape.plane().max(1));
        planes.flat_map(|plane| &plane[start * width..end * width]).copied().collect()
    }

    /// The part of at most `width × height` pixels at `left`, `top`; what lies outside is left out.
    pub fn crop(&self, left: u32, top: u32, width: u32, height: u32) -> Self {
        let left = left.min(self.shape.width.saturating_sub(1));
        let top = top.min(self.shape.height.saturating_sub(1));
        let width = width.clamp(1, self.shape.width - left);
        let height = height.clamp(1, self.shape.height - top);
        let rows = self.rows(top..top + height);
        let lines = rows.chunks_exact(self.shape.width as usize);
        let planes = lines.flat_map(|row| &row[left as usize..][..width as usize]).copied().collect();
        Self { shape: Shape { width, height, ..self.shape }, planes }
    }

    /// Left and upper edge of the square of `side` pixels whose neighbouring pixels differ most.
    pub fn busiest(&self, side: u32) -> (u32, u32) {
        let step = (side / 4).max(1) as usize;
        let last = |size: u32| size.saturating_sub(side);
        let places = (0..=last(self.shape.height))
            .step_by(step)
            .flat_map(|top| (0..=last(self.shape.width)).step_by(step).map(move |left| (left, top)));
        let bustle = |&(left, top): &(u32, u32)| {
            let part = self.crop(left, top, side, side);
            let across = part.planes.windows(2).map(|pair| u64::from(pair[0].abs_diff(pair[1])));
            across.sum::<u64>()
        };
        places.max_by_key(bustle).unwrap_or_default()
    }

    /// The picture without `margin` pixels at each edge, or `None` if nothing would be left.
    pub fn inside(&self, margin: u32) -> Option<Self> {
        let left = |size: u32| size.checked_sub(2 * margin).filter(|&size| size > 0);
        let shape = Shape { height: left(self.shape.height)?, width: left(self.shape.width)?, ..self.shape };
        let rows = self.rows(margin..margin + shape.height);
        let row = |row: &[u8]| row[margin as usize..][..shape.width as usize].to_vec();
        Some(Self { shape, planes: rows.chunks_exact(self.shape.width as usize).flat_map(row).collect() })
    }

    /// The picture in another size: cropped around its centre to the new proportions, then resized
    /// (Catmull-Rom). Exactly itself if the size is right already. RGB becomes grey and grey RGB as
    /// `shape.channels` asks.
    pub fn fit(&self, shape: Shape) -> Self {
        if self.shape == shape {
            return self.clone();
        }
        let image = self.rgb_image();
        let (width, height) = crop_size(image.width(), image.height(), shape.width, shape.height);
        let (left, top) = ((image.width() - width) / 2, (image.height() - height) / 2);
        let cropped = imageops::crop_imm(&image, left, top, width, height).to_image();
        let resized = if (width, height) == (shape.width, shape.height) {
            cropped
        } else {
            imageops::resize(&cropped, shape.width, shape.height, FilterType::CatmullRom)
        };
        let rgb = Self::of_rgb(&resized);
        if shape.channels == 1 { rgb.grey() } else { rgb }
    }

    /// The picture at `1 / factor` of its size, each pixel the rounded mean of `factor × factor`. What does
    /// not fill a pixel at the right and below is cut off.
    pub fn reduce(&self, factor: u32) -> Self {
        let shape =
            Shape { height: self.shape.height / factor, width: self.shape.width / factor, ..self.shape };
        let (area, wide) = (factor * factor, self.shape.width as usize);
        let mut planes = Vec::with_capacity(shape.channels as usize * shape.plane());
        for plane in self.planes.chunks_exact(self.shape.plane().max(1)) {
            for (y, x) in (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x))) {
                let rows = (y * factor..(y + 1) * factor).map(|row| row as usize * wide);
                let left = (x * factor) as usize;
                let sum: u32 = rows
                    .flat_map(|row| &plane[row + left..row + left + factor as usize])
                    .map(|&pixel| u32::from(pixel))
                    .sum();
                planes.push(((sum + area / 2) / area) as u8);
            }
        }
        Self { shape, planes }
    }

    /// The picture `factor` times as wide and high, by bicubic interpolation (Catmull-Rom).
    pub fn enlarge_bicubic(&self, factor: u32) -> Self {
        let shape = self.shape.times(factor);
        let image = imageops::resize(&self.rgb_image(), shape.width, shape.height, FilterType::CatmullRom);
        let rgb = Self::of_rgb(&image);
        if shape.channels == 1 { rgb.grey() } else { rgb }
    }

    /// The picture reduced to fit in `width × height` pixels, keeping its proportions; never enlarged. Each
    /// pixel is the mean of those it covers.
    pub fn thumbnail(&self, width: u16, height: u16) -> Thumbnail {
        let (full_width, full_height) = (u64::from(self.shape.width), u64::from(self.shape.height));
        if full_width == 0 || full_height == 0 || width == 0 || height == 0 {
            return Thumbnail::default();
        }
        let (mut across, mut down) = (full_width.min(width.into()), full_height.min(height.into()));
        if across * full_height <= down * full_width {
            down = (across * full_height / full_width).max(1);
        } else {
            across = (down * full_width / full_height).max(1);
        }
        let span =
            |index: u64, of: u64, full: u64| (index * full / of) as usize..((index + 1) * full / of) as usize;
        let mut rgb = Vec::with_capacity((across * down * 3) as usize);
        for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
            let (rows, columns) = (span(y, down, full_height), span(x, across, full_width));
            let area = (rows.len() * columns.len()) as u32;
            for channel in self.rgb_channels() {
                let plane = &self.planes[channel * self.shape.plane()..];
                let row = |y: usize| &plane[y * full_width as usize..][columns.clone()];
                let sum: u32 = rows.clone().flat_map(row).map(|&pixel| u32::from(pixel)).sum();
                rgb.push(((sum + area / 2) / area) as u8);
            }
        }
        Thumbnail { width: across as u16, height: down as u16, rgb }
    }

    /// Which planes stand for red, green and blue.
    fn rgb_channels(&self) -> [usize; 3] {
        if self.shape.channels >= 3 { [0, 1, 2] } else { [0, 0, 0] }
    }

    fn rgb_image(&self) -> RgbImage {
        let plane = self.shape.plane();
        let channels = self.rgb_channels();
        RgbImage::from_fn(self.shape.width, self.shape.height, |x, y| {
            let index = y as usize * self.shape.width as usize + x as usize;
            image::Rgb(channels.map(|channel| self.planes[channel * plane + index]))
        })
    }

    fn of_rgb(image: &RgbImage) -> Self {
        let shape = Shape { channels: 3, height: image.height(), width: image.width() };
        let planes = (0..3).flat_map(|channel| image.pixels().map(move |pixel| pixel.0[channel])).collect();
        Self { shape, planes }
    }

    /// The luma of an RGB picture (ITU-R BT.601), rounded.
    fn grey(&self) -> Self {
        let [red, green, blue] =
            self.rgb_channels().map(|channel| &self.planes[channel * self.shape.plane()..]);
        let luma = |index: usize| {
            let [r, g, b] = [red, green, blue].map(|plane| u32::from(plane[index]));
            ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
        };
        let planes = (0..self.shape.plane()).map(luma).collect();
        Self { shape: Shape { channels: 1, ..self.shape }, planes }
    }
}

/// The largest size with the proportions of `to_width × to_height` within `width × height`.
fn crop_size(width: u32, height: u32, to_width: u32, to_height: u32) -> (u32, u32) {
    let [wide, high, to_wide, to_high] = [width, height, to_width, to_height].map(u64::from);
    if wide * to_high > high * to_wide {
        (((high * to_wide / to_high) as u32).clamp(1, width), height)
    } else {
        (width, ((wide * to_high / to_wide) as u32).clamp(1, height))
    }
}
