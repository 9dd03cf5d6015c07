//! What a network runs on, run after run: one picture, a folder of pictures, or noise.

use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::picture::{Picture, PictureError, Shape};
use crate::catalogue::{self, Photo};

/// The most pictures taken from one folder.
const MAX_PICTURES: usize = 100_000;

/// Where inputs come from; run `n` takes the `n`-th, starting again after the last.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Files, in the order they are taken.
    Files(Vec<PathBuf>),
    /// A photo embedded in the program.
    Photo(&'static Photo),
    /// New random pixels for every run.
    Noise {
        /// The same seed gives the same sequence.
        seed: u64,
    },
}

/// An input with its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// For people.
    pub name: String,
    /// In the size the network reads.
    pub picture: Picture,
    /// The larger picture it was reduced from, for networks that enlarge: what their output should be.
    pub original: Option<Picture>,
}

/// Why there is no input.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Neither a file, a folder, an embedded photo nor `noise`.
    #[error("the input {name} cannot be read: {source}. Give a picture, a folder of pictures, \"noise\" or one of {photos}", photos = catalogue::PHOTOS.map(|photo| photo.name).join(", "))]
    Unreadable {
        /// What was asked for.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// A folder without PNG or JPEG files.
    #[error("the folder {0} holds no pictures: none of its files ends in .png, .jpg or .jpeg")]
    NoPictures(String),
    /// A folder with too many.
    #[error("the folder {0} holds more than {MAX_PICTURES} pictures")]
    TooManyPictures(String),
    /// A picture that cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A picture for a network that reads something else.
    #[error("this network reads {0} channels, a picture has 1 or 3: run it on \"noise\"")]
    Channels(u32),
}

impl Inputs {
    /// Reads the words of the command line: `noise`, an embedded photo's name, a picture's path or a
    /// folder's, whose pictures are taken in the order of their names.
    ///
    /// A single file is decoded once here, so that an unreadable one is refused at once.
    ///
    /// # Errors
    /// [`InputError`].
    pub fn open(words: &str, seed: u64) -> Result<Self, InputError> {
        if words == "noise" {
            return Ok(Self::Noise { seed });
        }
        let path = Path::new(words);
        let unreadable = |source| InputError::Unreadable { name: words.to_owned(), source };
        match (path.metadata(), catalogue::photo(words)) {
            (Err(_), Some(photo)) => Ok(Self::Photo(photo)),
            (Err(error), None) => Err(unreadable(error)),
            (Ok(kind), _) if kind.is_dir() => pictures_in(path).map(Self::Files),
            (Ok(_), _) => {
                Picture::read(path)?;
                Ok(Self::Files(vec![path.to_owned()]))
            }
        }
    }

    /// How many different inputs there are; `None` if they never end.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Files(files) => Some(files.len()),
            Self::Photo(_) => Some(1),
            Self::Noise { .. } => None,
        }
    }

    /// The input of run `index` in the size `shape`.
    ///
    /// With `factor` above 1 (the network enlarges that many times) a picture that is at least `factor` times
    /// as large as `shape` is first fitted to that larger size, which becomes the `original`, and then
    /// reduced.
    ///
    /// # Errors
    /// [`InputError`]; the next index may still work.
    pub fn frame(&self, index: u64, shape: Shape, factor: u32) -> Result<Frame, InputError> {
        if !matches!((self, shape.channels), (Self::Noise { .. }, _) | (_, 1 | 3)) {
            return Err(InputError::Channels(shape.channels));
        }
        let (name, picture) = match self {
            Self::Noise { seed } => {
                let picture = Picture::noise(shape, seed.wrapping_add(index));
                return Ok(Frame { name: format!("noise {index}"), picture, original: None });
            }
            Self::Photo(photo) => (photo.name.to_owned(), Picture::decode(photo.png, photo.name)?),
            Self::Files(files) => {
                let file =
                    usize::try_from(index % files.len().max(1) as u64).ok().and_then(|at| files.get(at));
                let file = file.ok_or_else(|| InputError::NoPictures(String::new()))?;
                let name = file.file_name().unwrap_or(file.as_os_str());
                (name.to_string_lossy().into_owned(), Picture::read(file)?)
            }
        };
        let large = shape.times(factor);
        let enough = picture.shape().width >= large.width && picture.shape().height >= large.height;
        if factor > 1 && enough {
            let original = picture.fit(large);
            return Ok(Frame { name, picture: original.reduce(factor), original: Some(original) });
        }
        Ok(Frame { name, picture: picture.fit(shape), original: None })
    }
}

/// `count` input values uniform in −1…1 for a network that does not start from a picture, the same for the
/// same seed.
pub fn noise_values(count: usize, seed: u64) -> Vec<f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut stream = ChaCha8Rng::from_seed(key);
    let scale = 1.0 / (1 << 23) as f32;
    (0..count).map(|_| (stream.next_u32() >> 8) as f32 * scale - 1.0).collect()
}

/// The PNG and JPEG files of a folder by name, without those in its folders.
fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let name = || folder.display().to_string();
    let unreadable = |source| InputError::Unreadable { name: name(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        if matches!(ending.as_deref(), Some("png" | "jpg" | "jpeg")) && path.is_file() {
            files.push(path);
        }
        if files.len() > MAX_PICTURES {
            return Err(InputError::TooManyPictures(name()));
        }
    }
    if files.is_empty() {
        return Err(InputError::NoPictures(name()));
    }
    files.sort();
    Ok(files)
}
