//! TLS 1.3 with raw public keys on both sides.

use std::sync::Arc;

use collab_core::id::Fingerprint;
use collab_core::wire;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};

use super::{Identity, KeyError, identity};

/// How this node answers connections.
pub(crate) fn server_config(identity: &Identity) -> Result<QuicServerConfig, KeyError> {
    let provider = provider();
    let mut config = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .with_client_cert_verifier(Arc::new(Possession { provider }))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity.key.clone())));
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.ignore_client_order = !has_aes();
    QuicServerConfig::try_from(config).map_err(|error| KeyError::Tls(error.to_string()))
}

/// How this node opens connections.
pub(crate) fn client_config(identity: &Identity) -> Result<QuicClientConfig, KeyError> {
    let provider = provider();
    let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Possession { provider }))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(identity.key.clone())));
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| KeyError::Tls(error.to_string()))
}

/// How somebody without a key would open connections.
#[cfg(test)]
pub(crate) fn keyless_client_config() -> QuicClientConfig {
    let provider = provider();
    let mut config = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Possession { provider }))
        .with_no_client_auth();
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    QuicClientConfig::try_from(config).unwrap()
}

/// The key that the other side of a connection proved to hold.
pub(crate) fn fingerprint_of(connection: &quinn::Connection) -> Option<Fingerprint> {
    let keys = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    keys.first().map(|key| identity::fingerprint(key))
}

fn tls(error: Error) -> KeyError {
    KeyError::Tls(error.to_string())
}

/// ChaCha20 is about three times as fast as AES on processors without AES instructions.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    if !has_aes() {
        let chacha = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
        provider.cipher_suites.sort_by_key(|suite| suite.suite() != chacha);
    }
    Arc::new(provider)
}

fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

/// Checks that the other side holds an Ed25519 key, whichever: admission comes after the handshake, where a
/// refusal can be a sentence.
#[derive(Debug)]
struct Possession {
    provider: Arc<CryptoProvider>,
}

impl Possession {
    fn check_key(key: &CertificateDer<'_>) -> Result<(), Error> {
        // The DER prefix of every Ed25519 SubjectPublicKeyInfo (RFC 8410), before its 32 bytes.
        const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        match key.len() == 44 && key.starts_with(&ED25519) {
            true => Ok(()),
            false => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signature, known)
    }
}

/// What both verifiers say of signatures: only TLS 1.3 and Ed25519 are spoken.
macro_rules! check_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(TLS12)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            key: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.check_signature(message, key, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

const TLS12: Error = Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered);

impl ServerCertVerifier for Possession {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Self::check_key(key).map(|()| ServerCertVerified::assertion())
    }

    check_signatures!();
}

impl ClientCertVerifier for Possession {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Self::check_key(key).map(|()| ClientCertVerified::assertion())
    }

    check_signatures!();
}
