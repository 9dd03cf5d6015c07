//! Where keys, known workers and sessions are kept.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use directories::ProjectDirs;

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

/// A new session's file: by time, so that a folder lists them in order; `model` is a name or a file.
pub fn new_session(model: &str) -> anyhow::Result<PathBuf> {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(':', "-");
    let stem = Path::new(model).file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let folder = data()?.join("sessions");
    let name = |suffix: &str| folder.join(format!("{now}-{stem}{suffix}.mcap"));
    let free = std::iter::once(String::new()).chain((2..).map(|number| format!("-{number}")));
    let free = free.map(|suffix| name(&suffix)).find(|path| !path.exists());
    free.context("no free name for the session's file")
}
