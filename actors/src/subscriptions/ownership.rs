//! Asks receivers whether they hold their subscription's secret, before anything is sent to them and then daily.
//!
//! What the rounds come to are events; when a question was answered rightly is not stored, so after a start everybody is
//! asked: who never proved himself at once, the others spread over an hour. The questions run where the deliveries do, not
//! among the actors. When to ask and what answers mean is [`millrace_protocols::challenge`]'s business.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use millrace_model::ids::{Hash32, SubscriptionId};
use millrace_model::subscription::{Command, Proof};
use millrace_protocols::challenge::{Answer, Check, Outcome, REPEAT_MS, Step};
use millrace_protocols::delivery::verdict;
use millrace_protocols::webhook::challenge::{Form, Secret};
use rand::RngCore;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::endpoint::Endpoint;
use super::{Known, List, SubscribeError, Subscriptions};
use crate::clock::Clock;
use crate::delivery::address::Target;
use crate::delivery::client::{Client, Line, SystemResolver};
use crate::event_store::Store;
use crate::supervision::{Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "ownership";
/// How many receivers are asked, or written down, at once.
const AT_ONCE_MAX: usize = 16;
/// Over how long those who proved themselves before a start are spread, in milliseconds.
const SPREAD_MS: u64 = 3_600_000;
/// Bytes of a token.
const TOKEN_BYTES: usize = 12;
/// How long it waits to write down a proof after that failed.
const AGAIN: Duration = Duration::from_secs(2);
/// The longest wait: the clock may have been set meanwhile.
const LOOK_EVERY_MS: u64 = 60_000;

/// What asking takes.
#[derive(Clone)]
pub struct Settings {
    /// Where the questions run: not among the actors.
    pub runtime: Handle,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// Adds the part to the tree.
pub fn start(tree: &Tree, store: Store, subscriptions: Subscriptions, settings: Settings) -> Result<(), TreeError> {
    tree.add_task(PART, move |report| {
        let (store, asker) = (store.clone(), Asker::new(subscriptions.clone(), settings.clone()));
        async move {
            store.ready_for(&report).await;
            asker.run().await
        }
    })
}

/// One that is asked.
struct Asked {
    endpoint: Endpoint,
    sealed: String,
    /// What names this address and secret: the hash of what is sealed.
    of: Hash32,
    check: Check,
}

/// What was waited for.
enum Happened {
    /// A question came to something.
    Answered { id: SubscriptionId, of: Hash32, answer: Answer },
    /// What a round came to is written down, or never will be.
    Stored,
}

struct Asker {
    subscriptions: Subscriptions,
    settings: Settings,
    client: Arc<Client>,
    asked: BTreeMap<SubscriptionId, Asked>,
    under_way: FuturesUnordered<BoxFuture<'static, Happened>>,
}

impl Asker {
    fn new(subscriptions: Subscriptions, settings: Settings) -> Self {
        let client = Arc::new(Client::new(subscriptions.sinks().reach(), Arc::new(SystemResolver)));
        Self { subscriptions, settings, client, asked: BTreeMap::new(), under_way: FuturesUnordered::new() }
    }

    async fn run(mut self) -> Result<(), String> {
        let (mut lists, mut renewed) = (self.subscriptions.changes(), self.subscriptions.renewals.bell());
        loop {
            let list = lists.borrow_and_update().clone();
            renewed.borrow_and_update();
            // Before it was read nobody is known.
            self.take_in(&list.unwrap_or_default());
            let wait = self.ask_who_is_due();
            tokio::select! {
                changed = lists.changed() => changed.map_err(|_| "nobody keeps the list".to_owned())?,
                changed = renewed.changed() => changed.map_err(|_| "nobody renews".to_owned())?,
                Some(happened) = self.under_way.next() => self.after(happened),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn now_ms(&self) -> u64 {
        now_ms(&*self.settings.clock)
    }

    /// Takes up who is new, begins anew with who leads elsewhere or was asked for again, and drops the others.
    fn take_in(&mut self, list: &List) {
        let now_ms = self.now_ms();
        self.asked.retain(|id, _| list.get(id).is_some_and(|known| known.is_asked()));
        for (id, known) in list.iter().filter(|(_, known)| known.is_asked()) {
            // People are asked by somebody else, once.
            let endpoint = known.endpoint.as_ref().ok().filter(|endpoint| !endpoint.leads_to_a_person());
            let Some(endpoint) = endpoint else { continue };
            let is_known = self.asked.get(id).is_some_and(|asked| asked.sealed == known.subscription.sealed);
            if !is_known {
                let (sealed, of) = (known.subscription.sealed.clone(), known.subscription.sealed_hash());
                let asked = Asked { endpoint: endpoint.clone(), sealed, of, check: check(known, now_ms) };
                self.asked.insert(*id, asked);
            }
        }
        for id in self.subscriptions.renewals.take() {
            // Only one that was given up: the others are asked in their time.
            if let Some(asked) = self.asked.get_mut(&id)
                && asked.check.is_over()
            {
                asked.check.again(now_ms);
            }
        }
    }

    /// Puts the questions that are due, and says how long until the next one is.
    fn ask_who_is_due(&mut self) -> Duration {
        let now_ms = self.now_ms();
        let mut next_ms = now_ms + LOOK_EVERY_MS;
        for (id, asked) in &mut self.asked {
            if self.under_way.len() >= AT_ONCE_MAX {
                break;
            }
            match asked.check.poll(now_ms) {
                Step::Ask => {
                    let (client, settings) = (Arc::clone(&self.client), self.settings.clone());
                    let question = question((*id, asked.of), asked.endpoint.clone(), client, settings);
                    self.under_way.push(Box::pin(question));
                }
                Step::WaitUntil(at_ms) => next_ms = next_ms.min(at_ms),
                Step::AwaitAnswer | Step::Nothing => {}
            }
        }
        Duration::from_millis(next_ms.saturating_sub(now_ms))
    }

    fn after(&mut self, happened: Happened) {
        let Happened::Answered { id, of, answer } = happened else { return };
        let now_ms = self.now_ms();
        // An answer of where it led before says nothing.
        let Some(asked) = self.asked.get_mut(&id).filter(|asked| asked.of == of) else { return };
        let command = match asked.check.answered(answer, now_ms, rand::rng().next_u64()) {
            None | Some(Outcome::AskedAgain) => return,
            Some(Outcome::Passed) => Command::ProveOwnership { of },
            Some(Outcome::Doubtful(why) | Outcome::Refused(why) | Outcome::Paused(why)) => {
                tracing::info!(subscription = %id, %why, "a receiver did not prove that it holds its secret");
                Command::FailOwnership { of }
            }
        };
        self.under_way.push(Box::pin(store(self.subscriptions.clone(), id, command)));
    }
}

/// Where a subscription stands when it is met for the first time, or leads elsewhere.
fn check(known: &Known, now_ms: u64) -> Check {
    match known.subscription.proof {
        Proof::NotNeeded | Proof::Missing { .. } => Check::first(now_ms),
        Proof::Given { .. } => {
            let (_, drawn) = known.subscription.id.0.as_u64_pair();
            Check::passed_before((now_ms + drawn % SPREAD_MS).saturating_sub(REPEAT_MS))
        }
    }
}

async fn question(
    (id, of): (SubscriptionId, Hash32),
    endpoint: Endpoint,
    client: Arc<Client>,
    settings: Settings,
) -> Happened {
    let (url, secret) = (endpoint.url.clone(), endpoint.te());
    let asking = async move {
        let Some(secret) = secret else { return Answer::Wrong };
        put(&client, &url, Secret::TonEvents(&secret), &*settings.clock).await
    };
    #[expect(clippy::disallowed_methods, reason = "it ends with the handle, and that with the incarnation")]
    let asking = AbortOnDropHandle::new(settings.runtime.spawn(asking));
    Happened::Answered { id, of, answer: asking.await.unwrap_or(Answer::Network) }
}

/// Puts the question once.
async fn put(client: &Client, url: &str, secret: Secret<'_>, clock: &dyn Clock) -> Answer {
    let token = token();
    // A line of its own: what it is asked on is a fresh connection.
    let line = Target::parse(url, client.reach()).ok().and_then(|target| Line::new(target).ok());
    let Some(line) = line else { return Answer::Wrong };
    let asked = client.ask(&line, &Form::TonEvents.query(&token), || now_ms(clock)).await;
    let Ok(ended) = asked else { return Answer::Wrong };
    match ended.outcome {
        verdict::Outcome::Answered { status: 200, .. } => {
            let is_right = Form::TonEvents.is_answered_by(secret, &token, &ended.answer);
            if is_right { Answer::Right } else { Answer::Wrong }
        }
        verdict::Outcome::Answered { status, .. } => Answer::Status(status),
        verdict::Outcome::Accepted | verdict::Outcome::Refused(_) | verdict::Outcome::Failed(_) => Answer::Network,
    }
}

fn token() -> String {
    let mut bytes = [0; TOKEN_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    STANDARD.encode(bytes)
}

async fn store(subscriptions: Subscriptions, id: SubscriptionId, command: Command) -> Happened {
    loop {
        match subscriptions.execute(id, command.clone()).await {
            Ok(_) | Err(SubscribeError::Rejected(_) | SubscribeError::Unreadable(_)) => return Happened::Stored,
            Err(error) => tracing::warn!(%error, "what a receiver proved is not stored yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn now_ms(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now().timestamp_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
