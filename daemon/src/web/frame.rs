//! What all faces have in common: who calls, how large a body may be, headers that protect pages, answers for paths
//! that do not exist, panics that become 500s, and streams that end when the desk stops.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any as AnyOrigin, CorsLayer};

use super::client_ip::{ClientIp, Peer, resolve};
use super::history::{DISABLED, NEXT_CURSOR};
use super::problem::Problem;
use crate::config::Origin;
use crate::escape::excerpt;

/// No request body is larger.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// Nothing from elsewhere, nothing inline, no framing; a page that needs more sets its own policy.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                              connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Added to an answer unless it has its own.
const PROTECTION: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (CACHE_CONTROL, "no-store"),
];
const ONE_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What a frame needs to know.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Proxies whose `X-Forwarded-For` is believed; see `config::Public::proxies`.
    pub proxies: Vec<IpNet>,
    /// Origins whose pages may call.
    pub cors: Vec<Origin>,
    /// Whether the listener speaks TLS: browsers are then told to come back by TLS only.
    pub transport: Transport,
    /// Ends every open event stream.
    pub stop: CancellationToken,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Unencrypted.
    Plain,
    /// TLS.
    Tls,
}

/// Puts the frame around a face. Call it last: routes added afterwards stand outside.
pub fn framed(face: Router, frame: Frame) -> Router {
    enclosed(with_refusals(face), frame)
}

/// The frame alone, around a router that refuses in its own way.
pub fn enclosed(face: Router, frame: Frame) -> Router {
    let cors = cors(&frame.cors);
    let framed = face.layer(DefaultBodyLimit::max(BODY_BYTES_MAX)).layer(CatchPanicLayer::custom(panicked));
    let framed = match cors {
        Some(cors) => framed.layer(cors),
        None => framed,
    };
    framed.layer(from_fn_with_state(Arc::new(frame), around))
}

/// Answers in our own shape for what is not there. A router that stands behind another needs it for itself.
pub fn with_refusals(face: Router) -> Router {
    face.fallback(|| async { Problem::not_found("not_found", "There is nothing at this path.") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Invalid request method")
        })
}

/// Whoever has a link's code can do what the link does, so it is in no log.
fn without_code(path: &str) -> &str {
    let mut folders = ["/confirm/", "/leave/"].into_iter();
    folders.find(|folder| path.starts_with(folder)).unwrap_or(path)
}

/// One pass before and after every request; one function, because each layer costs an allocation.
async fn around(State(frame): State<Arc<Frame>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    if let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() {
        let caller = resolve(peer.ip(), request.headers(), &frame.proxies);
        request.extensions_mut().insert(ClientIp(caller));
    }
    let asked = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| (request.method().clone(), excerpt(without_code(request.uri().path()), 200)));
    let mut response = next.run(request).await;
    if let Some((method, path)) = asked {
        let took_us = began.elapsed().as_micros();
        tracing::debug!(%method, path, status = response.status().as_u16(), took_us, "answered");
    }
    protect(response.headers_mut(), frame.transport);
    if is_event_stream(response.headers()) {
        return response.map(|body| until_stopped(body, frame.stop.clone()));
    }
    response
}

fn protect(headers: &mut HeaderMap, transport: Transport) {
    for (name, value) in PROTECTION {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if transport == Transport::Tls {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(ONE_YEAR);
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// A stream of events has no end of its own, and an ordered stop waits for open answers.
fn until_stopped(body: Body, stop: CancellationToken) -> Body {
    Body::from_stream(body.into_data_stream().take_until(stop.cancelled_owned()))
}

fn cors(origins: &[Origin]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([CONTENT_TYPE, HeaderName::from_static("idempotency-key")])
        .expose_headers([http::header::RETRY_AFTER, http::header::LINK, NEXT_CURSOR, DISABLED])
        .max_age(std::time::Duration::from_secs(3600));
    if origins.iter().any(Origin::is_any) {
        return Some(layer.allow_origin(AnyOrigin));
    }
    Some(layer.allow_origin(origins.iter().map(Origin::header).collect::<Vec<_>>()))
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    Problem::internal(text.unwrap_or("a handler panicked")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use axum::routing::{get, post};
    use tower::ServiceExt;

    fn frame() -> Frame {
        Frame { proxies: vec![], cors: vec![], transport: Transport::Plain, stop: CancellationToken::new() }
    }

    fn origins(text: &str) -> Vec<Origin> {
        text.split(' ').map(|origin| crate::config::Setting::from_text(origin).unwrap()).collect()
    }

    async fn ask(router: Router, request: http::request::Builder) -> (Response<()>, String) {
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 100_000).await.unwrap();
        (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn wrong_paths_and_methods_are_problems() {
        let router = framed(Router::new().route("/bind", post(|| async {})), frame());
        let (response, body) = ask(router.clone(), Request::get("/nowhere")).await;
        assert!(response.status() == 404 && body.contains(r#""code":"not_found""#), "{body}");
        let (response, body) = ask(router, Request::get("/bind")).await;
        assert!(response.status() == 405 && body.contains(r#""code":"method_not_allowed""#), "{body}");
        assert_eq!(response.headers()["allow"], "POST");
    }

    /// S1: a panic's text stays inside.
    #[tokio::test]
    async fn a_panic_in_a_handler_is_a_500_without_its_text() {
        async fn broken() {
            panic!("private detail");
        }
        let router = framed(Router::new().route("/", get(broken)), frame());
        let (response, body) = ask(router, Request::get("/")).await;
        assert!(response.status() == 500 && body.contains(r#""code":"internal""#), "{body}");
        assert!(!body.contains("private"));
    }

    #[tokio::test]
    async fn every_answer_is_protected_and_a_page_can_say_otherwise() {
        let own = || async { ([(CACHE_CONTROL, "max-age=60")], "") };
        let router = framed(Router::new().route("/", get(own)), Frame { transport: Transport::Tls, ..frame() });
        for path in ["/", "/nowhere"] {
            let (response, _) = ask(router.clone(), Request::get(path)).await;
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
            assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
            assert_eq!(response.headers()["strict-transport-security"], "max-age=31536000");
            assert_eq!(response.headers()["cache-control"], if path == "/" { "max-age=60" } else { "no-store" });
        }
    }

    #[tokio::test]
    async fn only_listed_origins_may_read_answers() {
        let face = || Router::new().route("/", get(|| async {}));
        let asked = |origin: &str| Request::get("/").header("origin", origin);
        let listed = Frame { cors: origins("https://a.example https://b.example"), ..frame() };
        for (frame, origin, allowed) in [
            (listed.clone(), "https://b.example", Some("https://b.example")),
            (listed.clone(), "https://evil.example", None),
            (Frame { cors: origins("*"), ..frame() }, "https://any.example", Some("*")),
            (frame(), "https://b.example", None),
        ] {
            let (response, _) = ask(framed(face(), frame), asked(origin)).await;
            let header = response.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap());
            assert_eq!(header, allowed, "{origin}");
        }
        let preflight = Request::options("/").header("origin", "https://b.example");
        let (response, _) =
            ask(framed(face(), listed), preflight.header("access-control-request-method", "POST")).await;
        assert!(response.headers()["access-control-allow-headers"].to_str().unwrap().contains("idempotency-key"));
    }

    #[tokio::test]
    async fn the_caller_is_the_peer_or_whom_a_trusted_proxy_names() {
        let face = || Router::new().route("/", get(|ClientIp(ip): ClientIp| async move { ip.to_string() }));
        let asked = || {
            let peer = Peer("10.0.0.1:4000".parse().unwrap());
            Request::get("/").header("x-forwarded-for", "192.0.2.7").extension(peer)
        };
        assert_eq!(ask(framed(face(), frame()), asked()).await.1, "10.0.0.1");
        let proxied = Frame { proxies: vec!["10.0.0.0/8".parse().unwrap()], ..frame() };
        assert_eq!(ask(framed(face(), proxied), asked()).await.1, "192.0.2.7");
    }

    #[tokio::test]
    async fn an_event_stream_ends_when_the_desk_stops() {
        let endless = || async {
            let events = futures::stream::once(async { Ok::<_, std::io::Error>("data: 1\n\n") });
            let body = Body::from_stream(events.chain(futures::stream::pending()));
            ([(CONTENT_TYPE, "text/event-stream")], body)
        };
        let frame = frame();
        let stop = frame.stop.clone();
        let router = framed(Router::new().route("/", get(endless)), frame);
        let response = router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        let mut body = response.into_body().into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "data: 1\n\n");
        stop.cancel();
        assert!(body.next().await.is_none());
    }
}
