//! What the engine is compared with: an HTTP client on as many connections, posting bodies that were signed beforehand, and
//! remembering nothing.

use std::time::{Duration, Instant};

use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::desk::{Receivers, signer};

/// How many notifications are under way to an endpoint.
const CONNECTIONS_PER_ENDPOINT: u64 = 4;

/// Posts for some time; says how many a second.
pub(super) async fn rate(receivers: &Receivers, endpoints: u64, during: Duration) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let mut posting = JoinSet::new();
    for number in 0..endpoints * CONNECTIONS_PER_ENDPOINT {
        let address = receivers.address;
        posting.spawn(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
            let mut driver = JoinSet::new();
            driver.spawn(async move { drop(connection.await) });
            let signed = signed(number, &address.to_string(), number % endpoints + 1)?;
            let mut posted = 0u64;
            while begin.elapsed() < during {
                sender.ready().await?;
                sender.send_request(signed.clone()).await?.into_body().collect().await?;
                posted += 1;
            }
            anyhow::Ok(posted)
        });
    }
    let mut posted = 0;
    while let Some(ended) = posting.join_next().await {
        posted += ended??;
    }
    Ok(posted as f64 / begin.elapsed().as_secs_f64())
}

fn signed(number: u64, host: &str, endpoint: u64) -> anyhow::Result<Request<Full<Bytes>>> {
    let body = Bytes::from(super::source::body(number, 0));
    let id = uuid::Uuid::from_u128(number.into()).to_string();
    let timestamp_s = super::receiver::now_us() / 1_000_000;
    let request = Request::builder().method(Method::POST).uri(format!("/e/{endpoint}"));
    let request = request.header(header::HOST, host).header(header::CONTENT_TYPE, "application/json");
    let request = request.header("webhook-signature", signer().signature(&id, timestamp_s, &body));
    let request = request.header("webhook-timestamp", timestamp_s).header("webhook-id", id);
    Ok(request.header(header::USER_AGENT, "raw").body(Full::new(body))?)
}
