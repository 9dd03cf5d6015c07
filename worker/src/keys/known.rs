//! The workers that a lab knows, by address: a file like ssh's `known_hosts`.

use std::fs::{self, File};
use std::path::PathBuf;

use collab_core::id::{Digest, Fingerprint};

use super::{KeyError, read_lines};

/// A file with `host:port`, a fingerprint and a comment a line.
#[derive(Clone, Debug)]
pub struct KnownWorkers {
    path: PathBuf,
}

/// A worker that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// As the operator writes it: `host:port`.
    pub address: String,
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// Its name when it was paired.
    pub comment: String,
}

impl KnownWorkers {
    /// The list in this file; no file is an empty list.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Everyone in it.
    pub fn read(&self) -> Result<Vec<Known>, KeyError> {
        let parse = |(line, text): (usize, String)| {
            let mut fields = text.splitn(3, char::is_whitespace);
            let address = fields.next().unwrap_or_default().to_owned();
            let fingerprint = fields.next().and_then(Digest::parse);
            let comment = fields.next().unwrap_or_default().trim().to_owned();
            let path = self.path.clone();
            let expected = "host:port, sha256:<64 digits> and a comment";
            let fingerprint = fingerprint.ok_or(KeyError::Line { path, line, expected })?;
            Ok(Known { address, fingerprint, comment })
        };
        read_lines(&self.path)?.into_iter().map(parse).collect()
    }

    /// The fingerprint noted for an address.
    pub fn find(&self, address: &str) -> Result<Option<Fingerprint>, KeyError> {
        let known = self.read()?.into_iter().find(|known| known.address == address);
        Ok(known.map(|known| known.fingerprint))
    }

    /// Notes a fingerprint for an address, in place of any noted before. Who notes another one at the same time waits.
    pub fn note(&self, address: &str, fingerprint: Fingerprint, comment: &str) -> Result<(), KeyError> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(KeyError::file("create", folder))?;
        }
        // Beside the list, which is replaced as a whole; unlocked when it is dropped.
        let lock = self.path.with_extension("lock");
        let held = File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _held = held.map_err(KeyError::file("lock", &lock))?;
        let mut known = self.read()?;
        known.retain(|known| known.address != address);
        let comment = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        known.push(Known { address: address.to_owned(), fingerprint, comment });
        let line = |known: Known| format!("{} {} {}\n", known.address, known.fingerprint, known.comment);
        let text: String = known.into_iter().map(line).collect();
        let beside = self.path.with_extension("new");
        fs::write(&beside, text).map_err(KeyError::file("write", &beside))?;
        fs::rename(&beside, &self.path).map_err(KeyError::file("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_fingerprint_takes_the_place_of_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownWorkers::at(folder.path().join("lab/known-workers"));
        assert_eq!(known.find("pi4:4100").unwrap(), None);
        known.note("pi4:4100", Digest([1; 32]), "pi4").unwrap();
        known.note("pi5:4100", Digest([2; 32]), "").unwrap();
        known.note("pi4:4100", Digest([3; 32]), "pi4 new\ncard").unwrap();
        assert_eq!(known.find("pi4:4100").unwrap(), Some(Digest([3; 32])));
        assert_eq!(known.find("pi5:4100").unwrap(), Some(Digest([2; 32])));
        assert_eq!(known.read().unwrap().len(), 2);
    }

    #[test]
    fn workers_that_are_paired_at_the_same_time_are_all_known() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownWorkers::at(folder.path().join("lab/known-workers"));
        std::thread::scope(|scope| {
            for worker in 0..16u8 {
                let known = &known;
                scope.spawn(move || {
                    known.note(&format!("pi{worker}:4100"), Digest([worker; 32]), "").unwrap()
                });
            }
        });
        assert_eq!(known.read().unwrap().len(), 16);
    }
}
