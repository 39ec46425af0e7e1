//! Who is believed to be who he says he is: the system's certificates, and those that an operator names, checked by one provider.

use std::sync::Arc;

use rustls::ClientConfig;
#[cfg(any(feature = "nats", feature = "mqtt"))]
use rustls::pki_types::CertificateDer;
#[cfg(any(feature = "nats", feature = "mqtt"))]
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Fails on a machine without certificates.
pub(crate) fn config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_platform_verifier()?.with_no_client_auth())
}

/// The same with certificates in PEM that vouch for a server, too. Without any it fails: they were named for something.
#[cfg(any(feature = "nats", feature = "mqtt"))]
pub(crate) fn config_with(authority: Option<&str>) -> Result<ClientConfig, rustls::Error> {
    let Some(pem) = authority else { return config() };
    let unfit = |_| rustls::Error::General("the certificates of the authority are no PEM".to_owned());
    let named = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(unfit)?;
    if named.is_empty() {
        return Err(rustls::Error::General("there is no certificate in the authority's".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(named, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}
