//! The labs that a worker admits: a file with one fingerprint and a comment a line.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use collab_core::id::{Digest, Fingerprint};

use super::{KeyError, read_lines};

/// A file of fingerprints, read anew for every connection so that edits count at once.
///
/// ```text
/// # labs that may lead this worker
/// sha256:5f0c…e1 anna's laptop
/// ```
#[derive(Clone, Debug)]
pub struct AuthorizedKeys {
    path: PathBuf,
}

impl AuthorizedKeys {
    /// The list in this file; no file is an empty list.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every fingerprint in it. A line that is not understood is an error: it may be a key that was revoked
    /// by half an edit.
    pub fn read(&self) -> Result<Vec<Fingerprint>, KeyError> {
        let parse = |(line, text): (usize, String)| {
            let fingerprint = text.split_whitespace().next().and_then(Digest::parse);
            let path = self.path.clone();
            fingerprint.ok_or(KeyError::Line { path, line, expected: "sha256:<64 digits> and a comment" })
        };
        read_lines(&self.path)?.into_iter().map(parse).collect()
    }

    /// Adds a key, unless it is there. Line breaks in the comment become spaces.
    pub fn add(&self, fingerprint: Fingerprint, comment: &str) -> Result<(), KeyError> {
        if self.read()?.contains(&fingerprint) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(KeyError::file("create", folder))?;
        }
        let comment: String = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let mut file = file.map_err(KeyError::file("open", &self.path))?;
        let line = format!("\n{fingerprint} {}\n", comment.trim());
        file.write_all(line.as_bytes()).map_err(KeyError::file("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_added_is_read_back_and_added_once() {
        let folder = tempfile::tempdir().unwrap();
        let keys = AuthorizedKeys::at(folder.path().join("state/authorized"));
        assert_eq!(keys.read().unwrap(), []);
        let (one, two) = (Digest([1; 32]), Digest([2; 32]));
        keys.add(one, "a lab\nsha256:forged").unwrap();
        keys.add(two, "").unwrap();
        keys.add(one, "again").unwrap();
        assert_eq!(keys.read().unwrap(), [one, two]);
    }

    #[test]
    fn a_line_that_is_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authorized");
        fs::write(&path, "# labs\n\nsha256:12 half a key\n").unwrap();
        let error = AuthorizedKeys::at(path).read().unwrap_err().to_string();
        assert!(error.contains("line 3"), "{error}");
    }
}
