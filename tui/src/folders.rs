//! Where keys, known workers and sessions are kept.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use directories::ProjectDirs;

/// Characters of a network's name that a session's is given: file systems take no more than 255 of all.
const STEM: usize = 100;

fn data() -> anyhow::Result<PathBuf> {
    let folders = ProjectDirs::from("", "", "collab").context("this user has no home folder: set HOME")?;
    Ok(folders.data_dir().to_owned())
}

/// The folder of the lab's own key.
pub fn keys() -> anyhow::Result<PathBuf> {
    Ok(data()?.join("lab"))
}

/// The file of workers' fingerprints.
pub fn known_workers() -> anyhow::Result<PathBuf> {
    Ok(data()?.join("lab").join("known-workers"))
}

/// The folder of devices' profiles.
pub fn profiles() -> anyhow::Result<PathBuf> {
    Ok(data()?.join("profiles"))
}

/// Names for a new session's file, of which the first that is free is taken: by time, so that a folder lists sessions in
/// order; `model` is a name or a file.
pub fn new_sessions(model: &str) -> anyhow::Result<impl Iterator<Item = PathBuf>> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(':', "-");
    let stem = Path::new(model).file_stem().unwrap_or_default().to_string_lossy();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let stem: String = stem.chars().filter(is_plain).take(STEM).collect();
    let folder = data()?.join("sessions");
    let suffixes = std::iter::once(String::new()).chain((2..).map(|number| format!("-{number}")));
    Ok(suffixes.map(move |suffix| folder.join(format!("{now}-{stem}{suffix}.mcap"))))
}
