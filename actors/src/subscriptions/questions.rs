//! Asks people whether they want to be told what somebody registered them for.
//!
//! A question is sent because somebody asked for it, never because a process started, so nobody is asked twice for one request.
//! One that did not get through is sent again a few times; what a process had not sent when it ended is not sent, and whoever
//! waits for it asks once more. Questions go one after the other at a pace of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use millrace_model::ids::SubscriptionId;
use millrace_model::subscription::{Command, Disabling, Proof};
use millrace_protocols::delivery::verdict::{Outcome, Refusal};
use millrace_protocols::webhook::code::{Purpose, code};
use millrace_protocols::words::Words;
use millrace_protocols::words::confirm::question;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{Known, SubscribeError, Subscriptions};
use crate::clock::Clock;
use crate::delivery::sinks::Ended;
use crate::delivery::sinks::destination::Destination;
use crate::delivery::sinks::people::tell;
use crate::event_store::Store;
use crate::supervision::{Tree, TreeError};

/// The part's name in the tree.
pub const PART: &str = "questions";
/// How many questions are on their way at once.
const AT_ONCE_MAX: usize = 4;
/// How long one waits for the one before it.
const APART: Duration = Duration::from_millis(500);
/// How long nobody is asked the same again.
const AGAIN_AFTER: Duration = Duration::from_secs(600);
/// How often at most, in one life of the process.
const QUESTIONS_MAX: u32 = 5;
/// When one that did not get through is sent again, and then for good.
const RETRIES: [Duration; 3] = [Duration::from_secs(15), Duration::from_secs(60), Duration::from_secs(240)];
/// The longest wait.
const LOOK_EVERY: Duration = Duration::from_secs(60);

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

/// A question that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    at: Instant,
    retries: usize,
}

/// What was asked of somebody so far.
#[derive(Debug, Clone, Copy)]
struct Asked {
    last: Instant,
    times: u32,
}

/// A question that was sent, or was not.
struct Sent {
    id: SubscriptionId,
    retries: usize,
    ended: Option<Ended>,
}

struct Asker {
    subscriptions: Subscriptions,
    settings: Settings,
    asked: BTreeMap<SubscriptionId, Asked>,
    waiting: BTreeMap<SubscriptionId, Waiting>,
    under_way: FuturesUnordered<BoxFuture<'static, Sent>>,
    not_before: Instant,
}

impl Asker {
    fn new(subscriptions: Subscriptions, settings: Settings) -> Self {
        let (asked, waiting) = (BTreeMap::new(), BTreeMap::new());
        let (under_way, not_before) = (FuturesUnordered::new(), Instant::now());
        Self { subscriptions, settings, asked, waiting, under_way, not_before }
    }

    async fn run(mut self) -> Result<(), String> {
        let mut bell = self.subscriptions.unasked.bell();
        loop {
            bell.borrow_and_update();
            self.take_in();
            let wait = self.ask_who_is_due();
            tokio::select! {
                changed = bell.changed() => changed.map_err(|_| "nobody registers".to_owned())?,
                Some(sent) = self.under_way.next() => self.after(sent),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes up whom somebody asked for, unless he was asked lately or often.
    fn take_in(&mut self) {
        let (now, list) = (Instant::now(), self.subscriptions.list().unwrap_or_default());
        self.asked.retain(|id, _| list.contains_key(id));
        for id in self.subscriptions.unasked.take() {
            let asked = self.asked.get(&id);
            let may = asked.is_none_or(|asked| now - asked.last >= AGAIN_AFTER && asked.times < QUESTIONS_MAX);
            if may && !self.waiting.contains_key(&id) {
                let times = asked.map_or(0, |asked| asked.times) + 1;
                self.asked.insert(id, Asked { last: now, times });
                self.waiting.insert(id, Waiting { at: now, retries: 0 });
            }
        }
    }

    /// Sends what is due, and says how long until the next is.
    fn ask_who_is_due(&mut self) -> Duration {
        loop {
            let now = Instant::now();
            let next = self.waiting.iter().min_by_key(|(_, waiting)| waiting.at).map(|(id, waiting)| (*id, *waiting));
            let Some((id, waiting)) = next.filter(|_| self.under_way.len() < AT_ONCE_MAX) else { return LOOK_EVERY };
            let at = waiting.at.max(self.not_before);
            if at > now {
                return (at - now).min(LOOK_EVERY);
            }
            self.waiting.remove(&id);
            self.not_before = now + APART;
            self.under_way.push(self.send(id, waiting.retries));
        }
    }

    fn send(&self, id: SubscriptionId, retries: usize) -> BoxFuture<'static, Sent> {
        let list = self.subscriptions.list().unwrap_or_default();
        let question = list.get(&id).and_then(|known| self.question(known));
        let Some((to, words)) = question else {
            return Box::pin(std::future::ready(Sent { id, retries, ended: None }));
        };
        let teller = self.subscriptions.sinks().people().teller(to.kind());
        let clock = Arc::clone(&self.settings.clock);
        let telling = async move {
            match teller {
                Some(teller) => Some(tell(&*teller, &to, &words, &*clock).await),
                None => None,
            }
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with the handle, and that with the incarnation")]
        let telling = AbortOnDropHandle::new(self.settings.runtime.spawn(telling));
        Box::pin(async move { Sent { id, retries, ended: telling.await.ok().flatten() } })
    }

    /// Where it goes and what it says; nothing once it needs no answer any more.
    fn question(&self, known: &Known) -> Option<(Destination, Words)> {
        let is_open = matches!(known.subscription.proof, Proof::Missing { .. }) && known.is_asked();
        let endpoint = known.endpoint.as_ref().ok().filter(|_| is_open)?;
        let (sinks, now) = (self.subscriptions.sinks(), self.settings.clock.now());
        let (to, id) = (sinks.parse(&endpoint.url).ok()?, known.subscription.id.0);
        let at_s = u64::try_from(now.timestamp()).ok()?;
        let code = code(&endpoint.signer(now)?, Purpose::Confirm, &id.hyphenated().to_string(), at_s)?;
        self.subscriptions.questions.ask(known.subscription.id, now);
        // Another question is another letter.
        let letter = Uuid::from_u128(id.as_u128() ^ u128::from(at_s));
        Some((to, question(letter, id, &code, sinks.people().public())))
    }

    fn after(&mut self, Sent { id, retries, ended }: Sent) {
        let Some(ended) = ended.filter(|ended| ended.outcome != Outcome::Accepted) else { return };
        let error = ended.error.unwrap_or_default();
        tracing::info!(subscription = %id, %error, "a question did not get through");
        match ended.outcome {
            Outcome::Refused(Refusal::Receiver) => {
                self.under_way.push(Box::pin(disable(self.subscriptions.clone(), id)));
            }
            Outcome::Refused(Refusal::Message) => {}
            _ => {
                if let Some(wait) = RETRIES.get(retries) {
                    self.waiting.insert(id, Waiting { at: Instant::now() + *wait, retries: retries + 1 });
                }
            }
        }
    }
}

/// Nobody is there. Whoever registers him again begins anew.
async fn disable(subscriptions: Subscriptions, id: SubscriptionId) -> Sent {
    match subscriptions.execute(id, Command::DisableDelivery { why: Disabling::Gone }).await {
        Ok(_) | Err(SubscribeError::Rejected(_)) => {}
        Err(error) => tracing::warn!(subscription = %id, %error, "that nobody is there is not stored"),
    }
    Sent { id, retries: 0, ended: None }
}

#[cfg(test)]
mod tests;
