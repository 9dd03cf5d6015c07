//! Who a node is, and whom it trusts.
//!
//! Every node has an Ed25519 key. TLS proves that the other side holds the key it shows (as a raw public
//! key, RFC 7250); whether that key may do anything is decided afterwards, by its fingerprint.

mod authorized;
mod identity;
mod known;
mod pairing;
mod tls;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use authorized::AuthorizedKeys;
pub use identity::Identity;
pub use known::{Known, KnownWorkers};
pub use pairing::PairingCode;
pub(crate) use pairing::{Pairing, Side};
#[cfg(test)]
pub(crate) use tls::keyless_client_config;
pub(crate) use tls::{client_config, fingerprint_of, server_config};

/// Why a key or a list of keys cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("cannot {verb} {path}: {error}")]
    File {
        /// What was tried.
        verb: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A private key that others can read.
    #[error(
        "the private key {path} can be read by others (mode {mode:03o}): run chmod 600 on it, or delete it to get a new one"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file that holds no key.
    #[error("{path} holds no Ed25519 private key ({problem}): delete it to get a new one")]
    NoKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A line that is not understood.
    #[error("{path}, line {line}: expected {expected}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// The TLS library refused.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl KeyError {
    fn file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| KeyError::File { verb, path, error }
    }
}

/// The lines of a list of keys that are neither empty nor comments, with their numbers; none if there is no file.
fn read_lines(path: &Path) -> Result<Vec<(usize, String)>, KeyError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KeyError::file("read", path)(error)),
    };
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(|(index, line)| (index + 1, line.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use collab_core::id::Digest;
    use proptest::prelude::*;

    use super::*;

    /// Lines as people and programs write them, and some that nobody should.
    fn lists() -> impl Strategy<Value = String> {
        let key = any::<[u8; 32]>().prop_map(|key| Digest(key).to_string());
        let line = prop_oneof![
            key.clone(),
            key.clone().prop_map(|key| format!("pi4.local:4100 {key} attic")),
            key.prop_map(|key| format!("  {key}\tkitchen ")),
            "# .{0,10}",
            ".{0,80}",
        ];
        prop::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_list_of_keys_is_read_whole_or_its_wrong_line_is_named(text in lists()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys");
            std::fs::write(&path, &text).unwrap();
            let lines = read_lines(&path).unwrap();
            let known = KnownWorkers::at(path.clone()).read().map(|known| known.len());
            let authorized = AuthorizedKeys::at(path).read().map(|keys| keys.len());
            for read in [known, authorized] {
                match read {
                    Ok(count) => prop_assert_eq!(count, lines.len()),
                    Err(error) => prop_assert!(error.to_string().contains(", line "), "{error}"),
                }
            }
        }

        #[test]
        fn whatever_is_typed_as_a_pairing_code_reads_back_or_is_none(text in "[A-Za-z0-9 -]{0,18}|.{0,20}") {
            if let Some(code) = PairingCode::parse(&text) {
                let printed = code.to_string();
                prop_assert_eq!(PairingCode::parse(&printed).map(|code| code.to_string()), Some(printed));
            }
        }
    }
}
