//! A node's own key, made on first start and kept in a file that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use collab_core::id::{Digest, Fingerprint};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};

use super::KeyError;

/// An Ed25519 key pair.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    fingerprint: Fingerprint,
}

impl Identity {
    const FILE: &'static str = "key.pem";

    /// Reads the key in `folder`, or makes one (with the folder) if there is none.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        let path = folder.join(Self::FILE);
        if !path.exists() {
            fs::create_dir_all(folder).map_err(KeyError::file("create", folder))?;
            create(&path)?;
        }
        check_mode(&path)?;
        let pem = fs::read(&path).map_err(KeyError::file("read", &path))?;
        Self::from_pem(&pem).map_err(|problem| KeyError::NoKey { path, problem })
    }

    /// A new key that is kept nowhere.
    pub fn generate() -> Result<Self, KeyError> {
        let pem = generate_pem()?;
        Self::from_pem(pem.as_bytes()).map_err(KeyError::Tls)
    }

    fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
        let signing = rustls::crypto::ring::sign::any_eddsa_type(&der).map_err(|error| error.to_string())?;
        let public = signing.public_key().ok_or("it has no public half")?;
        let public = CertificateDer::from(public.as_ref().to_vec());
        let fingerprint = fingerprint(&public);
        Ok(Self { key: Arc::new(CertifiedKey::new(vec![public], signing)), fingerprint })
    }

    /// SHA-256 of the public key's DER SubjectPublicKeyInfo.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// SHA-256 of a DER SubjectPublicKeyInfo.
pub(super) fn fingerprint(public: &[u8]) -> Fingerprint {
    Digest(Sha256::digest(public).into())
}

fn generate_pem() -> Result<String, KeyError> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519);
    Ok(pair.map_err(|error| KeyError::Tls(error.to_string()))?.serialize_pem())
}

/// Writes a new key beside `path` and links it there, so that of two processes one wins with a whole file.
fn create(path: &Path) -> Result<(), KeyError> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let pem = generate_pem()?;
    let mut file = options.open(&beside).map_err(KeyError::file("create", &beside))?;
    file.write_all(pem.as_bytes()).map_err(KeyError::file("write", &beside))?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside).map_err(KeyError::file("remove", &beside))?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(KeyError::file("create", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(KeyError::file("read", path))?.permissions().mode() & 0o777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(KeyError::Exposed { path: path.to_owned(), mode }),
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/er");
        let first = Identity::open(&state).unwrap();
        let again = Identity::open(&state).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_ne!(first.fingerprint(), Identity::generate().unwrap().fingerprint());
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "nothing is left beside the key");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = state.join("key.pem");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let error = Identity::open(&state).unwrap_err().to_string();
            assert!(error.contains("can be read by others") && error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_damaged_key_is_refused_with_a_sentence_and_without_its_contents() {
        let folder = tempfile::tempdir().unwrap();
        Identity::open(folder.path()).unwrap();
        let path = folder.path().join("key.pem");
        let pem = fs::read_to_string(&path).unwrap();
        fs::write(&path, &pem[..pem.len() / 2]).unwrap();
        let error = Identity::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no Ed25519 private key"), "{error}");
        let secret = pem.lines().nth(1).unwrap();
        assert!(!error.contains(&secret[..16]));
    }
}
