//! The operator's face over a real log and real views.

mod acts;
mod audit;
mod causes;
mod desk;
mod history;
mod ledger;
mod moments;
mod overview;
mod projections;
mod reads;
mod signatures;
mod simulations;
mod webhooks;
mod webhooks_events;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use millrace_actors::clock::SystemClock;
use millrace_actors::customer_keys::CustomerKeys;
use millrace_actors::delivery::address::Reach;
use millrace_actors::delivery::attempts::Limits;
use millrace_actors::delivery::sinks::Sinks;
use millrace_actors::deposits::Deposits;
use millrace_actors::event_store::{Append, Execution, Expected, Settings, Store, Write};
use millrace_actors::operations;
use millrace_actors::projection::{self, Views};
use millrace_actors::subscriptions::{self, delivery};
use millrace_actors::supervision::{Registry, Tree};
use millrace_model::binding::Bound;
use millrace_model::deposit::{
    BlockRef, Customer, Detected, Event as DepositEvent, Held, HoldReason, Method, Mined, Quarantined, StatusWaitDecide,
};
use millrace_model::desk::Event as DeskEvent;
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, DepositId, Hash32, Outpoint, StreamName};
use millrace_model::operator::Action;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use super::{OperatorState, Parts, routes};
use crate::web::frame::{Frame, Transport, framed};
use crate::web::token::Token;

pub(in crate::web) struct Desk {
    router: Router,
    token: Arc<Token>,
    pub(in crate::web) store: Store,
    pub(in crate::web) views: Views,
    pub(in crate::web) tree: Tree,
    pub(in crate::web) state: Arc<OperatorState>,
    pub(in crate::web) folder: TempDir,
}

impl Desk {
    /// A desk with an open log and views that follow it.
    pub(in crate::web) async fn start() -> Self {
        let desk = Self::start_on(|folder| folder.join("log.db")).await;
        desk.store.ready().await;
        desk
    }

    async fn start_on(log_file: impl FnOnce(PathBuf) -> PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 1);
        let path = log_file(folder.path().to_owned());
        let settings = Settings { path: path.clone(), execution: Execution::Inline, clock: Arc::new(SystemClock) };
        let store = Store::start(&tree, settings).unwrap();
        let keys = CustomerKeys::at(folder.path().join("keys.db"));
        let views = Views::new(&folder.path().join("views.db"));
        projection::start(&tree, store.clone(), views.clone()).unwrap();
        let operations = operations::start(&tree, Deposits::new(store.clone()), keys.clone()).unwrap();
        let clock = Arc::new(SystemClock);
        let settings = subscriptions::Settings { keys, sinks: Sinks::webhooks(Reach::Sandbox), clock };
        let subscriptions = subscriptions::start(&tree, store.clone(), settings).unwrap();
        let settings = delivery::Settings {
            path: path.with_file_name(delivery::FILE),
            limits: Limits { kept: Duration::from_secs(3_600), bytes_max: 1 << 30 },
            runtime: tokio::runtime::Handle::current(),
            clock: Arc::new(SystemClock),
        };
        let deliveries = delivery::start(&tree, store.clone(), views.clone(), subscriptions.clone(), settings).unwrap();
        let token = Arc::new(Token::load_or_create(&folder.path().join("token")).unwrap());
        let backups = folder.path().join("backups");
        let reconciliation = tokio::sync::watch::channel(Vec::new()).1;
        let parts = Parts {
            operations,
            subscriptions,
            deliveries,
            views: views.clone(),
            store: store.clone(),
            tree: tree.clone(),
            reconciliation,
        };
        let state = OperatorState::new(parts, path, backups);
        let state = Arc::new(state);
        let frame =
            Frame { proxies: vec![], cors: vec![], transport: Transport::Plain, stop: CancellationToken::new() };
        let router = framed(routes(Arc::clone(&state), Arc::clone(&token)), frame);
        Self { router, token, store, views, tree, state, folder }
    }

    async fn ask(&self, request: http::request::Builder, body: &str) -> http::Response<Body> {
        let request = request.header("authorization", self.token.header());
        let request = request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.ask(Request::get(path), "").await).await
    }

    async fn post(&self, path: &str, body: &str) -> (StatusCode, Value) {
        answer(self.ask(Request::post(path), body).await).await
    }

    async fn got(&self, path: &str) -> Value {
        let (status, value) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// Stores a deposit with these events after it was detected, and waits until it shows.
    pub(in crate::web) async fn deposit(
        &self,
        number: u128,
        target: Option<&str>,
        events: Vec<DepositEvent>,
    ) -> DepositId {
        let id = DepositId(Uuid::from_u128(number));
        let detected = Detected {
            id,
            outpoint: Outpoint { txid: Hash32([number as u8; 32]), index: 0 },
            address: format!("address {number}"),
            amount: "0.5".parse().unwrap(),
            customer: target.map(|target| Customer { target: target.to_owned(), bound_method: Method::Direct }),
            spends: vec![],
            coinbase: false,
        };
        let events = std::iter::once(detected.into()).chain(events).map(Event::Deposit).collect();
        self.append(StreamName::Deposit(id), events).await;
        id
    }

    pub(in crate::web) async fn bind(&self, number: u32) {
        let customer = Customer { target: "target".to_owned(), bound_method: Method::Direct };
        let address = format!("address {number}");
        let bound = Bound { address: address.clone(), index: number, customer };
        self.append(StreamName::Binding(address.into()), vec![Event::Binding(bound.into())]).await;
    }

    pub(in crate::web) async fn append(&self, stream: StreamName, events: Vec<Event>) {
        let command_id = CommandId::of_fact(&[&stream.to_string()]);
        let writes = vec![Write::new(stream, Expected::Exactly(0), events)];
        let (body, command) = ("{}".to_owned(), "Test");
        let append = Append { command_id, command, body, causation: None, correlation: None, writes };
        let committed = self.store.append(append).await.unwrap();
        self.views.caught_up(committed.last, Duration::from_secs(20)).await;
    }
}

async fn answer(response: http::Response<Body>) -> (StatusCode, Value) {
    let status = response.status();
    let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    (status, value)
}

pub(in crate::web) fn received() -> Vec<DepositEvent> {
    let mined = Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } };
    vec![mined.into(), StatusWaitDecide {}.into()]
}

pub(in crate::web) fn held(reason: HoldReason) -> Vec<DepositEvent> {
    let mut events = received();
    events.push(Held { reason }.into());
    events
}

pub(in crate::web) fn quarantined() -> Vec<DepositEvent> {
    vec![received().remove(0), Quarantined {}.into()]
}

/// How many acts of this kind the log has that no other event says.
pub(in crate::web) fn acts(desk: &Desk, action: Action) -> usize {
    let events = desk.store.reader().unwrap().stream(&StreamName::Desk, 0).unwrap();
    let is_one =
        |event: &Event| matches!(event, Event::Desk(DeskEvent::OperatorActed(acted)) if acted.action == action);
    events.iter().filter(|recorded| is_one(&recorded.event)).count()
}
