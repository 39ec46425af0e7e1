//! The customers' face over a real log, real views and the real binder, in its frame.

mod bad_input;
mod binding;
mod history;
mod page;
mod registration;
mod subscribe;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use bitcoin::Network;
use http::{Request, StatusCode};
use millrace_actors::binder::{self, AddressSource};
use millrace_actors::brakes::Outer;
use millrace_actors::clock::SystemClock;
use millrace_actors::customer_keys::CustomerKeys;
use millrace_actors::delivery::address::Reach;
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::event_store::{Execution, Settings, Store};
use millrace_actors::head_file::HeadFile;
use millrace_actors::ids::TimeOrderedIds;
use millrace_actors::projection::{self, Views};
use millrace_actors::stock::Stock;
use millrace_actors::subscriptions::{self, questions};
use millrace_actors::supervision::{Registry, Tree};
use millrace_model::deposit::Method;
use millrace_model::desk::{Desk as Switches, Event, Setting, Switch, SwitchSet};
use millrace_protocols::receive::AccountKey;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Binds, Desk, Explorers, Terms, routes};
use crate::config::Pace;
use crate::quote::{Quotes, Source};
use crate::web::client_ip::Peer;
use crate::web::frame::{Frame, Transport, enclosed};
use crate::web::problem::Problem;

/// A Skycoin address whose checksum is right.
pub(super) const TARGET: &str = "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv";
/// An account key of nobody's (BIP84's test vector).
const ACCOUNT: &str =
    "tpubDC8msFGeGuwnKG9Upg7DM2b4DaRqg3CUZa5g8v2SRQ6K4NSkxUgd7HsL2XVWbVm39yBA4LAxysQAm397zwQSQoQgewGiYZqrA9DsP4zbQ1M";

/// A desk of which only this face can be seen.
pub(super) struct Rig {
    router: Router,
    pub(super) store: Store,
    pub(super) switches: watch::Sender<Switches>,
    pub(super) views: Views,
    pub(super) height: watch::Sender<Option<u64>>,
    pub(super) subscriptions: subscriptions::Subscriptions,
    _tree: Tree,
    _folder: TempDir,
}

/// What is not as usual about a desk.
pub(super) struct Setup {
    pub(super) addresses: AddressSource,
    pub(super) binds: Binds,
    pub(super) pace: Pace,
    pub(super) proxies: Vec<ipnet::IpNet>,
    pub(super) sinks: Sinks,
    pub(super) outer: Outer,
}

impl Default for Setup {
    fn default() -> Self {
        let key = AccountKey::parse(ACCOUNT, Network::Regtest).unwrap();
        let pace = Pace { per_minute: 0, burst: 1 };
        let (sinks, outer) = (Sinks::webhooks(Reach::Public), Arc::new(|_| None));
        Self { addresses: AddressSource::account(key), binds: Binds::Enabled, pace, proxies: vec![], sinks, outer }
    }
}

impl Rig {
    pub(super) async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let tree = Tree::new(Registry::new(clock.clone()), 1);
        let settings =
            Settings { path: folder.path().join("log.db"), execution: Execution::Inline, clock: clock.clone() };
        let store = Store::start(&tree, settings).unwrap();
        let views = Views::new(&folder.path().join("views.db"));
        projection::start(&tree, store.clone(), views.clone()).unwrap();
        let switches = watch::Sender::new(Switches::default());
        let settings = binder::Settings {
            source: Arc::new(setup.addresses),
            addresses_max_per_target: 3,
            low_pool: 0,
            switches: switches.subscribe(),
            head_file: HeadFile::unkept(),
        };
        let binder = binder::start(&tree, settings, store.clone()).unwrap();
        // As the log says them, which the binder waits for.
        switches.send_replace(Switches::default());
        store.ready().await;
        shows(&views).await;
        let height = watch::Sender::new(None);
        let settings = subscriptions::Settings {
            keys: CustomerKeys::at(folder.path().join("keys.db")),
            sinks: setup.sinks,
            clock: clock.clone(),
        };
        let subscriptions = subscriptions::start(&tree, store.clone(), settings).unwrap();
        let settings = questions::Settings { runtime: Handle::current(), clock: clock.clone() };
        questions::start(&tree, store.clone(), subscriptions.clone(), settings).unwrap();
        let desk = Desk {
            binder,
            subscriptions: subscriptions.clone(),
            views: views.clone(),
            health: tree.health().clone(),
            height: height.subscribe(),
            switches: switches.subscribe(),
            outer: setup.outer,
            quotes: Quotes {
                source: Source::Direct("500".parse().unwrap(), Stock::unwatched()),
                minimum: "0.005".parse().unwrap(),
                maximum: "10".parse().unwrap(),
                payout_maximum: "1000".parse().unwrap(),
                payout_decimals: 3,
                confirmations: 2,
                clock: clock.clone(),
            },
            ids: TimeOrderedIds(clock),
            stock: Stock::unwatched(),
            terms: terms(setup.binds, setup.pace),
            started: Instant::now(),
        };
        let frame =
            Frame { proxies: setup.proxies, cors: vec![], transport: Transport::Plain, stop: CancellationToken::new() };
        let router = enclosed(routes(Arc::new(desk)), frame);
        Self { router, store, switches, views, height, subscriptions, _tree: tree, _folder: folder }
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> http::Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Asks for a deposit address in teller's way; the headers are added.
    pub(super) async fn bind(&self, headers: &[(&str, &str)]) -> (StatusCode, String) {
        let body = format!(r#"{{"skyaddr":"{TARGET}","coin_type":"BTC"}}"#);
        let mut request = Request::post("/api/bind").header("content-type", "application/json; charset=utf-8");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(self.ask(request.body(Body::from(body)).unwrap()).await).await
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (status, text) = read(self.ask(Request::get(path).body(Body::empty()).unwrap()).await).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

/// Waits until the views can be read.
async fn shows(views: &Views) {
    let readable = async {
        while views.bindings_of(TARGET).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), readable).await.expect("the views are opened");
}

fn terms(binds: Binds, pace: Pace) -> Terms {
    Terms {
        method: Method::Direct,
        rate: Some("500".parse().unwrap()),
        payout_decimals: 3,
        binds,
        addresses_max: 3,
        confirmations: 2,
        explorers: Explorers::default(),
        bind_pace: pace,
        read_pace: pace,
    }
}

pub(super) async fn read(response: http::Response<Body>) -> (StatusCode, String) {
    let status = response.status();
    let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    (status, String::from_utf8(body.into()).unwrap())
}

pub(super) fn off(switch: Switch) -> Switches {
    Switches::default().evolve(&Event::from(SwitchSet { switch, setting: Setting::Off, note: String::new() }))
}
