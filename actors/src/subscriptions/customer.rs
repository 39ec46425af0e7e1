//! What a customer asks for himself, at ton.events' door: to hear of his own deposits.
//!
//! He gets his secret in the answer, so his receiver may not know it yet when it is asked for its proof. Asking again, with
//! the same hash and the same address, makes nothing new: it gives the same secret, and has a receiver that failed asked
//! once more. Whoever signs with the secret can end it.

use std::collections::BTreeSet;
use std::sync::Arc;

use millrace_model::ids::{Hash32, SubscriptionId};
use millrace_model::subscription::{Command, Dialect, Ending, Order, Ownership, Proof, Schedule, Stopped, Terms};
use millrace_protocols::webhook::te;
use tokio::sync::watch;

use super::endpoint::Endpoint;
use super::{Done, Known, Service, SubscribeError, Subscriptions, Wanted};

/// What a customer hears of: nothing of the desk itself.
pub(super) const EVENTS: [&str; 3] = ["Deposit.*", "Withdrawal.*", "Subscription.*"];

/// Subscriptions that somebody asked for again and nobody looked at since: each once, however often that was.
#[derive(Debug, Clone, Default)]
pub(super) struct Renewals(watch::Sender<BTreeSet<SubscriptionId>>);

impl Renewals {
    pub(super) fn renew(&self, id: SubscriptionId) {
        self.0.send_if_modified(|renewed| renewed.insert(id));
    }

    /// Those there are, which are then none.
    pub(super) fn take(&self) -> BTreeSet<SubscriptionId> {
        let mut taken = BTreeSet::new();
        self.0.send_if_modified(|renewed| {
            taken = std::mem::take(renewed);
            false
        });
        taken
    }

    /// Rings when there is another one.
    pub(super) fn bell(&self) -> watch::Receiver<BTreeSet<SubscriptionId>> {
        self.0.subscribe()
    }
}

/// What a customer signs who wants no more.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'s> {
    /// The text.
    pub text: &'s str,
    /// Its `x-te-signature`.
    pub signature: &'s str,
}

impl Subscriptions {
    /// The subscription of a customer's address whose secret signed this, if there is one that did. Without one it takes
    /// as long, so that nobody learns which there are.
    pub fn signed_by(&self, customer: Hash32, url: &str, signed: Signed<'_>) -> Option<SubscriptionId> {
        let list = self.list().unwrap_or_default();
        let same = list.values().find(|known| is_same(known, customer, url));
        let nobodys = || te::Secret::from_hex(&"0".repeat(64)).expect("64 digits are a secret's text");
        let secret = same.and_then(|known| known.endpoint.as_ref().ok()?.te()).unwrap_or_else(nobodys);
        let has_signed = secret.has_signed(signed.text.as_bytes(), signed.signature);
        same.filter(|_| has_signed).map(|known| known.subscription.id)
    }
}

impl Service {
    /// One that was stopped for its receiver's sake does not stand: it makes room for a new one with a new secret.
    pub(super) async fn subscribe_customer(&self, customer: Hash32, url: String) -> Done {
        self.destination(&url, Ownership::ToBeProved)?;
        if let Some(known) = self.same(customer, &url) {
            match known.subscription.stopped {
                None | Some(Stopped::Paused) => {
                    self.renewals.renew(known.subscription.id);
                    return Ok(known);
                }
                Some(Stopped::Unproved | Stopped::Disabled { .. }) => {
                    self.refuse_failing(customer)?;
                    let over = Command::Unsubscribe { why: Ending::Wanted };
                    self.execute(known.subscription.id, over).await?;
                }
            }
        }
        self.refuse_failing(customer)?;
        self.find_place(Some(customer)).await?;
        let endpoint = Endpoint::ton_events(url, customer).await;
        let wanted = Wanted { endpoint, terms: terms(customer), ownership: Ownership::ToBeProved };
        self.begin(wanted, None).await
    }

    /// Each failure is told to his others: he is not told of them for ever.
    pub(super) fn refuse_failing(&self, customer: Hash32) -> Result<(), SubscribeError> {
        match self.failures.are_too_many(customer, self.clock.now()) {
            true => Err(SubscribeError::CustomerFails),
            false => Ok(()),
        }
    }

    fn same(&self, customer: Hash32, url: &str) -> Option<Arc<Known>> {
        self.book.list().values().find(|known| is_same(known, customer, url)).cloned()
    }
}

/// One that the operator vouches for is his, not the customer's.
fn is_same(known: &Known, customer: Hash32, url: &str) -> bool {
    let terms = &known.subscription.terms;
    known.unreadable.is_none()
        && terms.customer == Some(customer)
        && terms.dialect == Dialect::TonEvents
        && known.subscription.proof != Proof::NotNeeded
        && known.endpoint.as_ref().is_ok_and(|endpoint| endpoint.url == url && endpoint.te_secret.is_some())
}

fn terms(customer: Hash32) -> Terms {
    Terms {
        events: EVENTS.map(str::to_owned).to_vec(),
        customer: Some(customer),
        dialect: Dialect::TonEvents,
        schedule: Schedule::TonEvents,
        order: Order::Any,
        rate_per_s: None,
    }
}
