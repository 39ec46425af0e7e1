//! The one HTTP client, with limits on everything: time, size, redirects. It repeats nothing by itself.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{RequestBuilder, redirect};

use crate::ports::PortError;

/// Connecting takes no longer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A whole exchange takes no longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A client for one peer.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    // Whoever installed a provider first is right.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
}

/// Sends a request and reads its answer, at most `bytes_max` of it: the status and the body.
///
/// [`PortError::Unreachable`] says nothing about whether the other side acted.
pub async fn send(request: RequestBuilder, bytes_max: usize) -> Result<(u16, Vec<u8>), PortError> {
    let response = request.send().await.map_err(|error| unreachable(&error))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(|error| unreachable(&error))?);
        if body.len() > bytes_max {
            return Err(PortError::Nonsense(format!("the answer is larger than {bytes_max} bytes")));
        }
    }
    Ok((status, body))
}

/// The innermost cause says it best; addresses and credentials are not in it.
fn unreachable(error: &reqwest::Error) -> PortError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    PortError::Unreachable(cause.to_string())
}
