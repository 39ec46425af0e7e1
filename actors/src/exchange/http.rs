//! C2CX over HTTP: one client with limits, no redirects, no retries, each endpoint at its own pace.

use std::sync::OnceLock;
use std::time::Duration;

use millrace_model::purchase::OrderIntent;
use millrace_protocols::book::Book;
use millrace_protocols::wire::c2cx::{
    self, ApiError, BODY_MAX_BYTES, BTC_SKY, Balances, CallError, Credentials, Method, Order, PAGE_ROWS_MAX, Page,
    Request, Side, StatusFilter,
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, Url, redirect, retry};

use super::pace::{NoRoom, Pace};
use super::{Exchange, Reply, RequestsPerMinute};

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a request may take in all.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Idle connections are closed before the exchange closes them, so that few requests meet a dead one.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// Where the exchange is and who we are there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The base address, such as [`c2cx::BASE_URL`].
    pub url: Url,
    /// Our account.
    pub credentials: Credentials,
    /// How often each endpoint may be asked; `None` for as often as one likes.
    pub pace: Option<RequestsPerMinute>,
}

/// The exchange over HTTP.
#[derive(Debug)]
pub struct HttpC2cx {
    client: Client,
    base: String,
    credentials: Credentials,
    book: Pace,
    balances: Pace,
    place: Pace,
    order: Pace,
    orders: Pace,
    cancel: Pace,
}

impl HttpC2cx {
    /// An exchange; nothing is sent yet.
    pub fn new(settings: Settings) -> Result<Self, reqwest::Error> {
        let pace = || Pace::new(settings.pace);
        Ok(Self {
            client: client()?,
            base: settings.url.as_str().trim_end_matches('/').to_owned(),
            book: pace(),
            balances: pace(),
            place: pace(),
            order: pace(),
            orders: pace(),
            cancel: pace(),
            credentials: settings.credentials,
        })
    }

    async fn call<T>(
        &self,
        pace: &Pace,
        request: Request,
        decode: impl FnOnce(u16, &[u8]) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        // Nothing was sent, so it is true that the exchange did not act.
        pace.turn().await.map_err(|NoRoom| ApiError::TooManyRequests)?;
        let (status, retry_after, body) = self.exchange(&request).await.map_err(|error| {
            tracing::debug!(path = request.path, error = chain(&error), "the exchange did not answer");
            CallError::Unavailable { http_status: 0 }
        })?;
        let result = decode(status, &body);
        match &result {
            Err(CallError::Refused(ApiError::TooManyRequests)) => pace.refused(retry_after),
            Ok(_) | Err(CallError::Refused(_)) => pace.accepted(),
            Err(CallError::Unavailable { .. } | CallError::Malformed(_)) => {
                if retry_after.is_some() {
                    pace.refused(retry_after);
                }
            }
        }
        result
    }

    async fn exchange(&self, request: &Request) -> Result<(u16, Option<Duration>, Vec<u8>), reqwest::Error> {
        let url = format!("{}{}", self.base, request.path);
        let builder = match request.method {
            Method::Get => self.client.get(url),
            Method::Post => self
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(request.body.clone()),
        };
        let response = builder.send().await?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
        Ok((status, retry_after, read(response).await?))
    }
}

impl Exchange for HttpC2cx {
    fn book(&self) -> Reply<'_, Book> {
        Box::pin(self.call(&self.book, c2cx::get_order_book(BTC_SKY), c2cx::book))
    }

    fn balances(&self) -> Reply<'_, Balances> {
        Box::pin(self.call(&self.balances, c2cx::get_balance(&self.credentials), c2cx::balances))
    }

    fn place<'a>(&'a self, order: &'a OrderIntent) -> Reply<'a, u64> {
        let request = c2cx::create_order(&self.credentials, BTC_SKY, Side::Buy, order);
        Box::pin(self.call(&self.place, request, c2cx::placed))
    }

    fn order(&self, order_id: u64) -> Reply<'_, Order> {
        let request = c2cx::get_order_info(&self.credentials, BTC_SKY, order_id);
        Box::pin(self.call(&self.order, request, c2cx::order))
    }

    fn orders(&self, which: StatusFilter, page: u32) -> Reply<'_, Page> {
        let request = c2cx::get_orders_by_status(&self.credentials, BTC_SKY, which, page, PAGE_ROWS_MAX);
        Box::pin(self.call(&self.orders, request, c2cx::page))
    }

    fn cancel(&self, order_id: u64) -> Reply<'_, ()> {
        Box::pin(self.call(&self.cancel, c2cx::cancel_order(&self.credentials, order_id), c2cx::done))
    }
}

/// The one client, made once, with limits on everything.
fn client() -> Result<Client, reqwest::Error> {
    static TLS: OnceLock<()> = OnceLock::new();
    TLS.get_or_init(|| {
        // Whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        .pool_idle_timeout(IDLE_MAX)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .tcp_nodelay(true)
        .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// The body up to just beyond the limit, which the decoder then refuses.
async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() <= BODY_MAX_BYTES
        && let Some(chunk) = response.chunk().await?
    {
        let room = (BODY_MAX_BYTES + 1).saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(body)
}

/// `Retry-After` in seconds; its form as a date is not known of this exchange.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millrace_model::purchase::ClientOrderId;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::Mutex;

    use super::*;

    /// A server that answers one request after the other with these bytes, each on a connection of its own, and keeps
    /// what it was asked.
    async fn with_server<T>(answers: &[&str], test: impl AsyncFnOnce(HttpC2cx) -> T) -> (T, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let credentials = Credentials { key: "key".into(), secret: "secret".into() };
        let exchange = HttpC2cx::new(Settings { url, credentials, pace: None }).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let serve = async {
            let mut answers = answers.iter();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let size = stream.read(&mut request).await.unwrap();
                asked.lock().await.push(String::from_utf8_lossy(&request[..size]).into_owned());
                if let Some(answer) = answers.next() {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        };
        let result = tokio::select! { result = test(exchange) => result, () = serve => unreachable!() };
        (result, Arc::into_inner(asked).unwrap().into_inner())
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    fn intent() -> OrderIntent {
        OrderIntent {
            attempt: 1,
            cid: ClientOrderId::try_from("abc-1".to_owned()).unwrap(),
            price: "0.00189".parse().unwrap(),
            quantity: "2".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn an_order_is_sent_once_and_its_number_comes_back() {
        let ok = answer("200 OK", r#"{"code":200,"message":"success","data":{"orderId":7}}"#);
        let (placed, asked) = with_server(&[&ok], async |exchange| exchange.place(&intent()).await).await;
        assert_eq!((placed, asked.len()), (Ok(7), 1));
        assert!(asked[0].starts_with("POST /v1/createorder HTTP/1.1\r\n"), "{}", asked[0]);
        assert!(asked[0].contains("cid=abc-1") && asked[0].contains("application/x-www-form-urlencoded"));
    }

    /// X1: the client sends nothing again by itself.
    #[tokio::test]
    async fn a_connection_that_breaks_is_an_unknown_outcome_and_nothing_is_sent_again() {
        let (placed, asked) = with_server(&[], async |exchange| exchange.place(&intent()).await).await;
        assert_eq!((placed, asked.len()), (Err(CallError::Unavailable { http_status: 0 }), 1));
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let moved = "HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (placed, asked) = with_server(&[moved], async |exchange| exchange.place(&intent()).await).await;
        assert_eq!((placed, asked.len()), (Err(CallError::Unavailable { http_status: 307 }), 1));
    }

    /// X6: over the wire: `Retry-After` is obeyed without a request, and another endpoint is asked at once.
    #[tokio::test]
    async fn an_endpoint_that_was_asked_too_often_is_left_alone_and_others_are_asked() {
        let too_often =
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let throttled = Err(CallError::Refused(ApiError::TooManyRequests));
        let none = answer("200 OK", r#"{"code":200,"data":{"rows":[],"recordcount":0,"pagecount":1}}"#);
        let (listed, asked) = with_server(&[too_often, &none], async |exchange| {
            assert_eq!(exchange.place(&intent()).await, throttled);
            assert_eq!(exchange.place(&intent()).await, throttled, "nothing is sent while it is to be left alone");
            exchange.orders(StatusFilter::All, 1).await
        })
        .await;
        assert!(listed.is_ok(), "{listed:?}");
        let paths: Vec<_> = asked.iter().filter_map(|request| request.split(' ').nth(1)).collect();
        assert_eq!(paths, ["/v1/createorder", "/v1/getorderbystatus"]);
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let endless = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", " ".repeat(BODY_MAX_BYTES + 1));
        let (book, _) = with_server(&[&endless], async |exchange| exchange.book().await).await;
        assert_eq!(book, Err(CallError::Unavailable { http_status: 200 }));
    }
}
