//! A certificate and its key, as they are stored and as TLS takes them.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate, those of its issuers when it has any, and its private key, in PEM. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem(pub(super) String);

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pem(…)")
    }
}

/// What the server speaks TLS with.
///
/// # Errors
/// What is wrong with the certificate or the key, or that they do not belong together.
pub(super) fn server_config(pem: &Pem) -> Result<ServerConfig, String> {
    let bytes = pem.0.as_bytes();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let chain = chain.map_err(|error| format!("the certificate cannot be read: {error}"))?;
    if chain.is_empty() {
        return Err("there is no certificate".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|error| format!("the key cannot be read: {error}"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| format!("certificate and key cannot be used: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A certificate for 127.0.0.1 that is its own issuer, and its key.
    pub(in crate::webhook) fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_used_in_either_order() {
        let (certificate, key) = pair();
        assert!(server_config(&Pem(format!("{certificate}{key}"))).is_ok());
        assert!(server_config(&Pem(format!("{key}{certificate}"))).is_ok());
    }

    #[test]
    fn what_cannot_be_used_is_said_without_showing_it() {
        let ((certificate, key), (_, another)) = (pair(), pair());
        for (pem, words) in [
            (String::new(), "there is no certificate"),
            (key.clone(), "there is no certificate"),
            (certificate.clone(), "the key cannot be read"),
            (format!("{certificate}{another}"), "certificate and key cannot be used"),
            (
                "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n".to_owned(),
                "the certificate cannot be read",
            ),
        ] {
            let why = server_config(&Pem(pem)).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        assert_eq!(format!("{:?}", Pem(key)), "Pem(…)");
    }
}
