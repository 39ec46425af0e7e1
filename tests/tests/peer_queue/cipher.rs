//! Encrypted connections to a broker that has none: TLS with a certificate of its own ends here.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What stands before the broker, until it is dropped.
pub struct Cipher {
    made: rcgen::CertifiedKey<rcgen::KeyPair>,
    folder: TempDir,
    standing: tokio::task::JoinHandle<()>,
}

impl Drop for Cipher {
    fn drop(&mut self) {
        self.standing.abort();
    }
}

impl Cipher {
    /// Stands at one address, of the name `localhost`, before another.
    pub async fn stand(at: &str, before: &str) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("certificate.pem"), made.cert.pem())?;
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let (acceptor, before) = (TlsAcceptor::from(Arc::new(config)), before.to_owned());
        let listener = TcpListener::bind(at).await?;
        let standing = async move {
            let mut visits = tokio::task::JoinSet::new();
            while let Ok((visitor, _)) = listener.accept().await {
                let (acceptor, before) = (acceptor.clone(), before.clone());
                visits.spawn(async move {
                    copy_bidirectional(&mut acceptor.accept(visitor).await?, &mut TcpStream::connect(before).await?)
                        .await
                });
            }
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with what stands there")]
        let standing = tokio::spawn(standing);
        Ok(Self { made, folder, standing })
    }

    /// Its certificate, for programs.
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// A client that believes it.
    pub fn trusting(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.made.cert.der().clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?;
        Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }
}
