//! Both faces of the desk as HTTP requests reach them, with a real log, real views, the real binder and operations behind.
//!
//! No request finds fault with the desk (all of it is well) or keeps its caller waiting, and every refusal has its code and a sentence.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use bitcoin::Network;
use http::{HeaderName, HeaderValue, Method as HttpMethod, Request, Response, Uri};
use millrace_actors::binder::{self, AddressSource};
use millrace_actors::clock::SystemClock;
use millrace_actors::customer_keys::{self, CustomerKeys};
use millrace_actors::delivery::address::Reach;
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::deposits::Deposits;
use millrace_actors::event_store::{Execution, Settings, Store};
use millrace_actors::head_file::HeadFile;
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::operations;
use millrace_actors::projection::{self, Views};
use millrace_actors::stock::Stock;
use millrace_actors::subscriptions::deliveries::Deliveries;
use millrace_actors::subscriptions::{self, Subscriptions};
use millrace_actors::supervision::{Registry, Tree};
use millrace_daemon::config::Pace;
use millrace_daemon::quote::{Quotes, Source};
use millrace_daemon::web::frame::{Frame, Transport, framed};
use millrace_daemon::web::operator::{self, OperatorState, Parts};
use millrace_daemon::web::public::{self, Binds, Desk, Explorers, Terms};
use millrace_daemon::web::token::Token;
use millrace_model::deposit::Method;
use millrace_model::desk::Desk as Switches;
use millrace_protocols::receive::AccountKey;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::assert_printable;

/// An account key of nobody's (BIP84's test vector).
const ACCOUNT: &str =
    "tpubDC8msFGeGuwnKG9Upg7DM2b4DaRqg3CUZa5g8v2SRQ6K4NSkxUgd7HsL2XVWbVm39yBA4LAxysQAm397zwQSQoQgewGiYZqrA9DsP4zbQ1M";
/// No request takes longer, unless it asks to.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// One that asks to wait is left after this.
const PATIENCE: Duration = Duration::from_millis(20);
/// More than any answer has.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Kept from one input to the next: to make one takes longer than most requests.
static RIG: Mutex<Option<Rig>> = Mutex::new(None);

/// The input is a request: `METHOD PATH`, then headers, an empty line and the body.
pub fn public(input: &[u8]) {
    ask(input, |rig| &rig.public, None);
}

/// The same; the token is added.
pub fn operator(input: &[u8]) {
    ask(input, |rig| &rig.operator, Some("Bearer "));
}

/// Lets go of the desk that was kept for the next input.
pub fn let_go() {
    RIG.lock().unwrap_or_else(PoisonError::into_inner).take();
}

fn ask(input: &[u8], face: impl FnOnce(&Rig) -> &Router, bearer: Option<&str>) {
    let Some(mut request) = request(input) else { return };
    let mut kept = RIG.lock().unwrap_or_else(PoisonError::into_inner);
    let rig = kept.get_or_insert_with(|| Rig::start().expect("a desk starts"));
    if let Some(bearer) = bearer {
        let token = HeaderValue::from_str(&format!("{bearer}{}", rig.token)).expect("a token fits into a header");
        request.headers_mut().insert(http::header::AUTHORIZATION, token);
    }
    let waits = request.uri().query().is_some_and(|query| query.contains("wait_s"));
    let lasting = lasts(&request);
    let router = face(rig).clone();
    rig.runtime.block_on(answered(router, request, waits));
    if lasting {
        *kept = None;
    }
}

/// Whether a request changes more than the log: what comes after it would not be the same.
fn lasts(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    request.method() == HttpMethod::POST && (path.contains("parts") || path.contains("backup"))
}

fn request(input: &[u8]) -> Option<Request<Body>> {
    let (head, body) = match input.windows(2).position(|two| two == b"\n\n") {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (input, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, path) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let path: Uri = path.parse().ok()?;
    let mut request = Request::builder().method(HttpMethod::from_bytes(method.as_bytes()).ok()?).uri(path);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request = request.header(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    request.body(Body::from(body.to_vec())).ok()
}

async fn answered(router: Router, request: Request<Body>, waits: bool) {
    let asked = format!("{} {}", request.method(), request.uri());
    let head = request.method() == HttpMethod::HEAD;
    let within = if waits { PATIENCE } else { ANSWERED_WITHIN };
    let answer = tokio::time::timeout(within, router.oneshot(request)).await;
    match answer {
        Ok(Ok(answer)) if head => assert!(!answer.status().is_server_error(), "{asked}: {}", answer.status()),
        Ok(Ok(answer)) => is_in_order(&asked, answer).await,
        Ok(Err(never)) => match never {},
        Err(_) => assert!(waits, "{asked}: no answer within {within:?}"),
    }
}

async fn is_in_order(asked: &str, answer: Response<Body>) {
    let status = answer.status();
    assert!(!status.is_server_error(), "{asked}: {status}, though all parts are well");
    let kind = answer.headers().get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    if kind.starts_with("text/event-stream") {
        return;
    }
    let body = tokio::time::timeout(ANSWERED_WITHIN, to_bytes(answer.into_body(), ANSWER_BYTES_MAX)).await;
    let body = body.expect("an answer ends").expect("an answer has an end, and not too late");
    if kind.contains("json") {
        let value: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{asked}: {error}"));
        if status.is_client_error() || kind.contains("problem") {
            assert!(value["code"].as_str().is_some_and(|code| !code.is_empty()), "{asked}: {value}");
            assert_printable(&value["message"].as_str().unwrap_or_default());
        }
    } else if status.is_client_error() && kind.starts_with("text/plain") {
        assert_printable(&String::from_utf8(body.to_vec()).expect("a sentence is UTF-8").trim_end());
    }
}

/// A desk with both faces and nothing behind them that needs the outside world.
struct Rig {
    public: Router,
    operator: Router,
    token: String,
    tree: Tree,
    runtime: Runtime,
    _folder: TempDir,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.runtime.block_on(self.tree.shutdown(Duration::from_secs(5)));
    }
}

impl Rig {
    fn start() -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let entered = runtime.enter();
        let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 1);
        let (path, views) = (folder.path().join("log.db"), Views::new(&folder.path().join("views.db")));
        let settings = Settings { path: path.clone(), execution: Execution::Inline, clock: Arc::new(SystemClock) };
        let store = Store::start(&tree, settings)?;
        let keys = CustomerKeys::at(folder.path().join(customer_keys::FILE));
        projection::start(&tree, store.clone(), views.clone())?;
        let operations = operations::start(&tree, Deposits::new(store.clone()), keys.clone())?;
        let clock = Arc::new(SystemClock);
        let settings = subscriptions::Settings { keys, sinks: Sinks::webhooks(Reach::Sandbox), clock };
        let subscriptions = subscriptions::start(&tree, store.clone(), settings)?;
        let token_file = folder.path().join("token");
        let token = Arc::new(Token::load_or_create(&token_file)?);
        let backups = folder.path().join("backups");
        let reconciliation = tokio::sync::watch::channel(Vec::new()).1;
        let parts = Parts {
            operations,
            subscriptions: subscriptions.clone(),
            deliveries: Deliveries::none(),
            views: views.clone(),
            store: store.clone(),
            tree: tree.clone(),
            reconciliation,
        };
        let state = OperatorState::new(parts, path, backups);
        let operator = framed(operator::routes(Arc::new(state), token), frame());
        let public = framed(public::routes(Arc::new(desk(&tree, &store, views.clone(), subscriptions)?)), frame());
        drop(entered);
        runtime.block_on(is_there(&store, &views))?;
        let token = std::fs::read_to_string(token_file)?.trim().to_owned();
        Ok(Self { public, operator, token, tree, runtime, _folder: folder })
    }
}

async fn is_there(store: &Store, views: &Views) -> Result<()> {
    store.ready().await;
    let readable = async {
        while views.bindings_of("nobody").await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(ANSWERED_WITHIN, readable).await.context("the views are not opened")
}

fn frame() -> Frame {
    Frame { proxies: vec![], cors: vec![], transport: Transport::Plain, stop: CancellationToken::new() }
}

fn desk(tree: &Tree, store: &Store, views: Views, subscriptions: Subscriptions) -> Result<Desk> {
    let key = AccountKey::parse(ACCOUNT, Network::Regtest)?;
    let switches = watch::Sender::new(Switches::default());
    let settings = binder::Settings {
        source: Arc::new(AddressSource::account(key)),
        addresses_max_per_target: 3,
        low_pool: 0,
        switches: switches.subscribe(),
        head_file: HeadFile::unkept(),
    };
    let binder = binder::start(tree, settings, store.clone())?;
    // As the log says them, which the binder waits for.
    switches.send_replace(Switches::default());
    let unlimited = Pace { per_minute: 0, burst: 1 };
    Ok(Desk {
        binder,
        views,
        health: tree.health().clone(),
        height: watch::channel(None).1,
        switches: switches.subscribe(),
        outer: Arc::new(|_| None),
        quotes: Quotes {
            source: Source::Direct("500".parse()?, Stock::unwatched()),
            minimum: "0.005".parse()?,
            maximum: "10".parse()?,
            payout_maximum: "1000".parse()?,
            payout_decimals: 3,
            confirmations: 2,
            clock: Arc::new(SystemClock),
        },
        ids: TimeOrderedIds(Arc::new(SystemClock)),
        stock: Stock::unwatched(),
        subscriptions,
        terms: Terms {
            method: Method::Direct,
            rate: Some("500".parse()?),
            payout_decimals: 3,
            binds: Binds::Enabled,
            addresses_max: 3,
            confirmations: 2,
            explorers: Explorers::default(),
            bind_pace: unlimited,
            read_pace: unlimited,
        },
        started: Instant::now(),
    })
}
