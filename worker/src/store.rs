//! Networks on disk, by the SHA-256 of their bytes: a transfer that broke off goes on where it ended.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use collab_core::id::{Digest, NetworkId};
use collab_core::wire::NetworkOffer;
use sha2::{Digest as _, Sha256};

/// A folder of networks, whole and in part.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// How many of a network's bytes are here, from the first on. What cannot be part of it is deleted.
    pub(crate) fn held(&self, offer: &NetworkOffer) -> Result<u64, String> {
        for path in [self.whole(offer.network), self.part(offer.network)] {
            match fs::metadata(&path) {
                Ok(data) if data.len() <= offer.bytes => return Ok(data.len()),
                Ok(_) => fs::remove_file(&path).map_err(|error| self.sentence(error))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.sentence(error)),
            }
        }
        Ok(0)
    }

    /// Appends bytes; gives how many are here now.
    pub(crate) fn append(&self, offer: &NetworkOffer, offset: u64, data: &[u8]) -> Result<u64, String> {
        let held = self.held(offer)?;
        let end = offset.saturating_add(data.len() as u64);
        if offset != held || end > offer.bytes {
            return Err(format!(
                "bytes {offset}..{end} of a network of {} were sent, the worker holds {held}: offer it again",
                offer.bytes
            ));
        }
        let append = || -> io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            let path = self.part(offer.network);
            OpenOptions::new().create(true).append(true).open(path)?.write_all(data)
        };
        append().map_err(|error| self.sentence(error))?;
        Ok(end)
    }

    /// The file of a network's bytes, once all are here and are what they should be.
    pub(crate) fn file(&self, offer: &NetworkOffer) -> Result<PathBuf, String> {
        let held = self.held(offer)?;
        if held < offer.bytes {
            return Err(format!("{held} of the network's {} bytes are here", offer.bytes));
        }
        let (whole, part) = (self.whole(offer.network), self.part(offer.network));
        let path = if whole.exists() { &whole } else { &part };
        let found = digest(path).map_err(|error| self.sentence(error))?;
        if found != offer.network {
            fs::remove_file(path).map_err(|error| self.sentence(error))?;
            return Err(format!(
                "the network's bytes have {found}, expected {}: they were deleted, offer it again",
                offer.network
            ));
        }
        if path == &part {
            let publish = || {
                File::open(&part)?.sync_all()?;
                fs::rename(&part, &whole)
            };
            publish().map_err(|error| self.sentence(error))?;
        }
        Ok(whole)
    }

    fn whole(&self, network: NetworkId) -> PathBuf {
        self.folder.join(file_name(network, "onnx"))
    }

    fn part(&self, network: NetworkId) -> PathBuf {
        self.folder.join(file_name(network, "part"))
    }

    fn sentence(&self, error: io::Error) -> String {
        format!("the worker cannot keep networks in {}: {error}", self.folder.display())
    }
}

/// SHA-256 of a file.
fn digest(path: &Path) -> io::Result<NetworkId> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest(hash.finalize().into())),
            count => hash.update(&buffer[..count]),
        }
    }
}

fn file_name(network: NetworkId, ending: &str) -> String {
    let digits: String = network.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits}.{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(bytes: &[u8]) -> NetworkOffer {
        let network = Digest(Sha256::digest(bytes).into());
        NetworkOffer { network, bytes: bytes.len() as u64, memory: 0, options: Default::default() }
    }

    #[test]
    fn a_network_arrives_in_pieces_across_restarts_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
        let offer = offer(&bytes);
        let store = Store::at(folder.path().join("networks"));
        assert_eq!(store.held(&offer), Ok(0));
        assert_eq!(store.append(&offer, 0, &bytes[..400]), Ok(400));
        assert!(store.file(&offer).unwrap_err().contains("400 of the network's 1000"));
        let again = Store::at(folder.path().join("networks"));
        assert_eq!(again.held(&offer), Ok(400));
        assert!(again.append(&offer, 0, &bytes).unwrap_err().contains("holds 400"));
        assert_eq!(again.append(&offer, 400, &bytes[400..]), Ok(1000));
        assert_eq!(fs::read(again.file(&offer).unwrap()).unwrap(), bytes);
        assert_eq!(store.held(&offer), Ok(1000), "it is kept");
        assert_eq!(fs::read(store.file(&offer).unwrap()).unwrap(), bytes);
    }

    #[test]
    fn wrong_bytes_are_deleted_and_both_digests_named() {
        let folder = tempfile::tempdir().unwrap();
        let offer = offer(b"the right bytes");
        let store = Store::at(folder.path().to_owned());
        store.append(&offer, 0, b"the wrong bytes").unwrap();
        let error = store.file(&offer).unwrap_err();
        assert!(error.contains(&offer.network.to_string()), "{error}");
        assert_eq!(store.held(&offer), Ok(0));
        store.append(&offer, 0, b"the right bytes").unwrap();
        assert!(store.file(&offer).is_ok());
    }
}
