//! Trust by a code that a worker prints: each side proves to the other that it knows the code.
//!
//! The proof is HMAC-SHA-256, keyed with the code, over both fingerprints. Someone in between has another
//! key, so relaying a proof does not help; and the code has 60 bits, too many to be guessed from a proof
//! in the minutes that it is valid.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use collab_core::id::Fingerprint;
use rustls::crypto::SecureRandom;
use sha2::{Digest as _, Sha256};

use super::KeyError;

const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const LETTERS: usize = 12;

/// A code, shown as `ABCD-EFGH-JKLM`.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode(String);

/// Whose proof it is.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Lab,
    Worker,
}

impl PairingCode {
    /// A random one.
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; LETTERS];
        let random: &dyn SecureRandom = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut bytes).map_err(|_| KeyError::Tls("no random numbers".to_owned()))?;
        Ok(Self(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()))
    }

    /// Reads one as a person types it: case, spaces and dashes do not matter.
    pub fn parse(text: &str) -> Option<Self> {
        let letters = text.chars().filter(|c| !c.is_whitespace() && *c != '-');
        let letters: String = letters.map(|c| c.to_ascii_uppercase()).collect();
        let known = |byte: u8| ALPHABET.contains(&byte);
        (letters.len() == LETTERS && letters.bytes().all(known)).then_some(Self(letters))
    }

    /// What `side` shows to the other one.
    pub(crate) fn proof(&self, side: Side, lab: Fingerprint, worker: Fingerprint) -> [u8; 32] {
        let name: &[u8] = match side {
            Side::Lab => b"collab pairing, lab",
            Side::Worker => b"collab pairing, worker",
        };
        hmac(self.0.as_bytes(), &[name, &lab.0, &worker.0])
    }
}

impl fmt::Display for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", &self.0[..4], &self.0[4..8], &self.0[8..])
    }
}

/// Does not show the code: it must not end up in a log.
impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(…)")
    }
}

/// RFC 2104 with a key shorter than a block.
fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        block
    };
    let mut inner = Sha256::new();
    inner.update(pad(0x36));
    message.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new();
    outer.update(pad(0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// A worker's readiness to be paired: once, for a while, with few attempts.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    code: PairingCode,
    until: Instant,
    attempts: u32,
}

impl Pairing {
    const VALID: Duration = Duration::from_secs(300);
    const ATTEMPTS: u32 = 5;

    /// Accepts this code from now on.
    pub(crate) fn open(&self, code: PairingCode, now: Instant) {
        let open = Open { code, until: now + Self::VALID, attempts: Self::ATTEMPTS };
        *self.open.lock().expect("no holder panics") = Some(open);
    }

    /// Checks a lab's proof; gives the worker's own, and closes, if it is right.
    pub(crate) fn attempt(
        &self,
        proof: &[u8; 32],
        lab: Fingerprint,
        worker: Fingerprint,
        now: Instant,
    ) -> Result<[u8; 32], &'static str> {
        let mut slot = self.open.lock().expect("no holder panics");
        let Some(open) = slot.as_mut().filter(|open| now < open.until) else {
            *slot = None;
            return Err("this worker is not being paired: start it with --pair and use the code it prints");
        };
        let expected = open.code.proof(Side::Lab, lab, worker);
        let difference = expected.iter().zip(proof).fold(0, |sum, (a, b)| sum | (a ^ b));
        if difference == 0 {
            let answer = open.code.proof(Side::Worker, lab, worker);
            *slot = None;
            return Ok(answer);
        }
        open.attempts -= 1;
        if open.attempts == 0 {
            *slot = None;
            return Err("the pairing code is wrong; after five wrong ones it is no longer valid");
        }
        Err("the pairing code is wrong")
    }
}

#[cfg(test)]
mod tests {
    use collab_core::id::Digest;

    use super::*;

    const LAB: Fingerprint = Digest([1; 32]);
    const WORKER: Fingerprint = Digest([2; 32]);

    #[test]
    fn the_hmac_is_that_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let mac = Digest(hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]));
        assert_eq!(mac.to_string(), format!("sha256:{expected}"));
    }

    #[test]
    fn a_code_is_valid_once_for_five_minutes_between_two_keys() {
        let now = Instant::now();
        let code = PairingCode::generate().unwrap();
        let typed = PairingCode::parse(&code.to_string().to_lowercase()).unwrap();
        let proof = typed.proof(Side::Lab, LAB, WORKER);
        let pairing = Pairing::default();
        assert!(pairing.attempt(&proof, LAB, WORKER, now).unwrap_err().contains("not being paired"));
        pairing.open(code.clone(), now);
        let other = Digest([3; 32]);
        assert!(pairing.attempt(&proof, other, WORKER, now).unwrap_err().contains("wrong"));
        let answer = pairing.attempt(&proof, LAB, WORKER, now).unwrap();
        assert_eq!(answer, code.proof(Side::Worker, LAB, WORKER));
        assert!(pairing.attempt(&proof, LAB, WORKER, now).is_err(), "only once");
        pairing.open(code, now);
        assert!(pairing.attempt(&proof, LAB, WORKER, now + Duration::from_secs(301)).is_err());
    }

    #[test]
    fn five_wrong_codes_end_the_pairing() {
        let now = Instant::now();
        let code = PairingCode::generate().unwrap();
        let pairing = Pairing::default();
        pairing.open(code.clone(), now);
        for _ in 0..5 {
            assert!(pairing.attempt(&[0; 32], LAB, WORKER, now).is_err());
        }
        assert!(pairing.attempt(&code.proof(Side::Lab, LAB, WORKER), LAB, WORKER, now).is_err());
        assert!(!format!("{code:?}").contains(&code.to_string()));
    }
}
