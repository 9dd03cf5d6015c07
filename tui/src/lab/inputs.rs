//! What runs are fed with: pictures as 8-bit rows, or values where a network does not start from a picture.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use collab_core::event::{Level, Thumbnail, What};
use collab_core::id::RunId;
use collab_core::network::Network;
use collab_core::rows::Rows;
use collab_core::wire::Encoding;
use collab_models::Map;
use collab_models::answer;
use collab_models::catalogue::Meaning;
use collab_models::pixels::{self, Picture, Shape};

/// The most different inputs kept ready.
const KEPT: usize = 64;
/// The largest thumbnail, in pixels across and down.
const THUMBNAIL: u16 = 96;
/// The side of the piece of a picture that is shown enlarged, in its pixels.
const DETAIL: u32 = 20;
/// What is said where a picture is asked for and there is none.
const NO_PICTURE: &str = "this network's output is no picture: write it as .f32";

/// One input, cheap to copy.
#[derive(Clone)]
pub enum Frame {
    /// A picture in the network's size.
    Picture(Arc<pixels::Frame>),
    /// Values in the order of the network's input.
    Values(Arc<Vec<f32>>),
}

impl Frame {
    /// For people.
    pub fn name(&self) -> &str {
        match self {
            Frame::Picture(frame) => &frame.name,
            Frame::Values(_) => "noise",
        }
    }

    /// What is sent of `rows`: how it is encoded, and the bytes.
    pub fn rows(&self, network: &Network, rows: Rows) -> (Encoding, Vec<u8>) {
        match self {
            Frame::Picture(frame) => (Encoding::U8, frame.picture.rows(rows.start..rows.end)),
            Frame::Values(values) => {
                let cut = network.input.cut;
                let inner = cut.inner as usize;
                let planes = values.chunks_exact((cut.rows as usize * inner).max(1));
                let of_rows =
                    planes.flat_map(|plane| &plane[rows.start as usize * inner..rows.end as usize * inner]);
                (Encoding::F32, of_rows.flat_map(|value| value.to_le_bytes()).collect())
            }
        }
    }

    /// Writes the whole input as the network's values.
    pub fn fill(&self, network: &Network, input: &mut Map) -> anyhow::Result<()> {
        match (self, &network.input.pixels) {
            (Frame::Picture(frame), Some(settings)) => {
                pixels::normalise(settings, frame.picture.planes(), input.values_mut())?;
            }
            (Frame::Values(values), _) => input.values_mut().copy_from_slice(values),
            (Frame::Picture(_), None) => anyhow::bail!("this network does not start from a picture"),
        }
        Ok(())
    }
}

/// Every input, and what outputs mean.
pub struct Inputs {
    frames: Vec<Frame>,
    meaning: Meaning,
    network: Arc<Network>,
}

impl Inputs {
    /// Reads what `words` name (a picture, a folder, an embedded photo, `noise`) for `network`.
    pub fn open(words: &str, seed: u64, network: Arc<Network>, meaning: Meaning) -> anyhow::Result<Self> {
        let frames = match Shape::of_input(&network.input.shape).filter(|_| network.input.pixels.is_some()) {
            Some(shape) => pictures(words, seed, shape, meaning)?,
            None => {
                anyhow::ensure!(
                    words == "noise",
                    "{} does not start from a picture: run it with --input noise",
                    network.name
                );
                vec![Frame::Values(Arc::new(noise(&network, seed)))]
            }
        };
        Ok(Self { frames, meaning, network })
    }

    /// How many different inputs there are; at least one.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// The input at `index`, below [`Inputs::len`].
    pub fn frame(&self, index: usize) -> &Frame {
        &self.frames[index]
    }

    /// What an output means, as events.
    pub fn answer(&self, index: usize, run: RunId, output: &Map) -> Vec<What> {
        let frame = match &self.frames[index] {
            Frame::Picture(frame) => Some(frame.as_ref()),
            Frame::Values(_) => None,
        };
        let settings = self.network.input.pixels.as_ref();
        match answer::read(self.meaning, settings, &self.network.output_shape, output.values(), frame) {
            Ok(reading) => {
                let after = reading.picture.as_ref();
                let pictured = frame.map(|frame| {
                    // What was enlarged shows its gain only where no pixel is averaged away.
                    let (before, after) = match after {
                        Some(after) => {
                            let (before, after) = detail(&frame.picture, after);
                            (whole(&before), Some(whole(&after)))
                        }
                        None => (whole(&frame.picture), None),
                    };
                    What::Pictured { run, before, after }
                });
                [What::Answered { run, answer: reading.answer }].into_iter().chain(pictured).collect()
            }
            Err(error) => {
                let text = format!("run {run}: the output has no meaning: {error}");
                vec![What::Noted { level: Level::Warning, text }]
            }
        }
    }

    /// Whether an output can be written to `path`, as far as it can be told before there is one.
    ///
    /// # Errors
    /// If outputs are no pictures and `path` ends in `.png`, or nothing can be written to its folder.
    pub fn check_saving(&self, path: &Path) -> anyhow::Result<()> {
        let is_picture = matches!(self.meaning, Meaning::Picture { .. });
        anyhow::ensure!(is_picture || !is_png(path), NO_PICTURE);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let told = |why: String| {
            anyhow::anyhow!(
                "cannot write {}: {why}. Name a file in a folder you may write to",
                path.display()
            )
        };
        anyhow::ensure!(!path.is_dir(), told("it is a folder".to_owned()));
        // The error's own words would name the file that was tried, which nobody asked for.
        let refused = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => told("there is no such folder".to_owned()),
            kind => told(kind.to_string()),
        };
        tempfile::NamedTempFile::new_in(folder).map(|_| ()).map_err(refused)
    }

    /// Writes an output: as a picture where the file's name ends in `.png`, as little-endian floats otherwise.
    pub fn save(&self, index: usize, output: &Map, path: &Path) -> anyhow::Result<()> {
        if is_png(path) {
            let frame = match &self.frames[index] {
                Frame::Picture(frame) => Some(frame.as_ref()),
                Frame::Values(_) => None,
            };
            let settings = self.network.input.pixels.as_ref();
            let shape = &self.network.output_shape;
            let reading = answer::read(self.meaning, settings, shape, output.values(), frame)?;
            return Ok(reading.picture.context(NO_PICTURE)?.write_png(path)?);
        }
        let bytes: Vec<u8> = output.values().iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
}

fn whole(picture: &Picture) -> Thumbnail {
    picture.thumbnail(THUMBNAIL, THUMBNAIL)
}

/// The most detailed piece of a picture and the same piece of it enlarged.
fn detail(before: &Picture, after: &Picture) -> (Picture, Picture) {
    let factor = (after.shape().width / before.shape().width).max(1);
    let (left, top) = before.busiest(DETAIL);
    let piece = |picture: &Picture, factor: u32| {
        picture.crop(left * factor, top * factor, DETAIL * factor, DETAIL * factor)
    };
    (piece(before, 1), piece(after, factor))
}

fn pictures(words: &str, seed: u64, shape: Shape, meaning: Meaning) -> anyhow::Result<Vec<Frame>> {
    let source = pixels::Inputs::open(words, seed)?;
    let factor = match meaning {
        Meaning::Picture { factor, .. } => factor,
        _ => 1,
    };
    let count = source.count().unwrap_or(1).min(KEPT);
    (0..count as u64).map(|index| Ok(Frame::Picture(Arc::new(source.frame(index, shape, factor)?)))).collect()
}

/// Values between −1 and 1, the same for the same seed.
fn noise(network: &Network, seed: u64) -> Vec<f32> {
    let cut = network.input.cut;
    let shape = Shape { channels: cut.outer, height: cut.rows, width: cut.inner };
    Picture::noise(shape, seed).planes().iter().map(|&byte| (f32::from(byte) - 127.5) / 127.5).collect()
}
