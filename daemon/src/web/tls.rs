//! TLS of a listener: a certificate chain and its key, both PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::TlsFiles;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, may not be read, or is not PEM of the right kind.
    #[error("{path} cannot be used for TLS: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: pem::Error,
    },
    /// The file holds no certificate.
    #[error("{0} holds no certificate")]
    NoCertificate(PathBuf),
    /// The key is not the certificate's, or of an unknown kind.
    #[error("certificate and key do not go together: {0}")]
    Pair(#[from] rustls::Error),
}

/// Makes ring the process's TLS provider; first thing in `main`, because clients ask for it when they are made.
pub fn install_provider() {
    // Refused only when one is installed already, which is then the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Reads the files. Only HTTP/1.1 is offered, TLS 1.2 and 1.3.
pub fn server_config(files: TlsFiles<'_>) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = chain(files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(files.key).map_err(|cause| unusable(files.key, cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.map_err(|cause| unusable(path, cause))?;
    if chain.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

fn unusable(path: &Path, cause: pem::Error) -> TlsError {
    TlsError::File { path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        let files = TlsFiles { certificate: &certificate, key: &key };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let refusal = || server_config(files).unwrap_err().to_string();

        assert!(refusal().contains("certificate.pem"));
        std::fs::write(&certificate, "no PEM").unwrap();
        assert!(refusal().ends_with("certificate.pem holds no certificate"), "{}", refusal());
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        assert!(refusal().contains("key.pem"));
        std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
        assert!(refusal().contains("do not go together"), "{}", refusal());
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        server_config(files).unwrap();
    }
}
