//! What a customer asks for himself, to be told as a person: by e-mail, in a Telegram chat, on a phone.
//!
//! Nothing but a question is sent to such an address before it was answered ([`super::questions`]): whoever gets the question has
//! the code that answers it. The code is made with the subscription's own secret, so nothing is kept for it, and it outlives a
//! restart. What was not answered ends ([`super::endings`]), so that nobody keeps others' places.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millrace_model::ids::{Hash32, SubscriptionId};
use millrace_model::subscription::{Command, Dialect, Ending, Order, Ownership, Proof, Schedule, Stopped, Terms};
use millrace_protocols::webhook::code::{Purpose, moment_of};

use super::asked::{self, whose};
use super::customer::EVENTS;
use super::endpoint::{Endpoint, new_secret};
use super::{Done, Known, Request, SUBSCRIPTIONS_MAX, Service, SubscribeError, Subscriptions, Wanted};
use crate::delivery::sinks::destination::{Destination, DestinationError};

/// For how long a question can be answered, in seconds.
pub const CONFIRM_WITHIN_S: u64 = 3_600;
/// How far ahead of the clock a code may be: the clock may have been set back since, in seconds.
const AHEAD_S: u64 = 60;
/// After so many wrong codes a subscription is confirmed by none until the next start.
const WRONG_CODES_MAX: u32 = 10;
/// How many subscriptions of one address, whoever asked for them, wait for their answer, or did within a day.
const UNANSWERED_OF_AN_ADDRESS_MAX: usize = 3;
/// A chat takes about one message a second.
const RATE_PER_S: u32 = 1;

/// How many wrong codes were tried for which subscription.
#[derive(Debug, Clone, Default)]
pub(super) struct WrongCodes(Arc<Mutex<BTreeMap<SubscriptionId, u32>>>);

impl WrongCodes {
    fn all(&self) -> MutexGuard<'_, BTreeMap<SubscriptionId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn are_too_many(&self, id: SubscriptionId) -> bool {
        self.all().get(&id).is_some_and(|count| *count >= WRONG_CODES_MAX)
    }

    fn count(&self, id: SubscriptionId) {
        let mut all = self.all();
        if all.len() >= SUBSCRIPTIONS_MAX {
            all.clear();
        }
        *all.entry(id).or_default() += 1;
    }
}

impl Subscriptions {
    /// Has a person asked whether he wants to be told of a customer's deposits at this address. Asked again while that stands
    /// unanswered, he may be asked again; once it is answered, nothing is done.
    pub async fn register(&self, customer: Hash32, address: String) -> Done {
        self.call(|reply| Request::Register { customer, address, reply }).await
    }

    /// Carries out what a code says: that a subscription is wanted, or that it is over.
    pub async fn answer(&self, id: SubscriptionId, purpose: Purpose, code: String) -> Done {
        self.call(|reply| Request::Answer { id, purpose, code, reply }).await
    }
}

impl Service {
    pub(super) async fn register(&self, customer: Hash32, address: String) -> Done {
        let address = self.person(&address)?;
        let registered = self.registered(customer, &address);
        if let Some(known) = registered.as_ref().filter(|known| !is_to_begin_anew(known)) {
            if known.subscription.stopped.is_none() && is_unproved(known) {
                self.unasked.renew(known.subscription.id);
            }
            return Ok(Arc::clone(known));
        }
        self.refuse_flooding(&address)?;
        self.refuse_failing(customer)?;
        if let Some(stopped) = registered {
            self.execute(stopped.subscription.id, Command::Unsubscribe { why: Ending::Wanted }).await?;
        }
        self.find_place(Some(customer)).await?;
        let endpoint = Endpoint::new(address.clone(), new_secret());
        let wanted = Wanted { endpoint, terms: terms(customer), ownership: Ownership::ToBeProved };
        let known = self.begin(wanted, None).await?;
        self.questions.register(known.subscription.id, &address, self.clock.now());
        self.unasked.renew(known.subscription.id);
        Ok(known)
    }

    pub(super) async fn answer(&self, id: SubscriptionId, purpose: Purpose, code: &str) -> Done {
        let list = self.book.list();
        let Some(known) = list.get(&id) else { return self.over(id, purpose).await };
        let command = match purpose {
            Purpose::Confirm if self.wrong_codes.are_too_many(id) => return Err(SubscribeError::WrongCode),
            Purpose::Confirm => Command::ProveOwnership { of: known.subscription.sealed_hash() },
            // Whoever guesses codes keeps nobody from leaving.
            Purpose::Leave => Command::Unsubscribe { why: Ending::Wanted },
        };
        if !self.is_right(known, purpose, code) {
            self.wrong_codes.count(id);
            return Err(SubscribeError::WrongCode);
        }
        let done = self.execute(id, command).await?;
        self.questions.confirm(id);
        Ok(done)
    }

    /// Whoever leaves again has left; his code cannot be told from another any more, since its key is destroyed.
    async fn over(&self, id: SubscriptionId, purpose: Purpose) -> Done {
        let known = match purpose {
            Purpose::Leave => self.book.look_up(id).await?,
            Purpose::Confirm => None,
        };
        let ended = known.filter(|known| known.subscription.ended.is_some());
        ended.ok_or(SubscribeError::WrongCode)
    }

    fn is_right(&self, known: &Known, purpose: Purpose, code: &str) -> bool {
        let now = self.clock.now();
        let endpoint = known.endpoint.as_ref().ok().filter(|endpoint| endpoint.leads_to_a_person());
        let Some(signer) = endpoint.and_then(|endpoint| endpoint.signer(now)) else { return false };
        let Some(at_s) = moment_of(&signer, purpose, &known.subscription.id.0.hyphenated().to_string(), code) else {
            return false;
        };
        let now_s = u64::try_from(now.timestamp()).unwrap_or(0);
        match purpose {
            Purpose::Confirm => now_s <= at_s.saturating_add(CONFIRM_WITHIN_S) && at_s <= now_s + AHEAD_S,
            Purpose::Leave => true,
        }
    }

    /// The one way in which the address of a person is written.
    fn person(&self, address: &str) -> Result<String, SubscribeError> {
        if self.sinks.people().public().is_none() {
            return Err(SubscribeError::NoPublicAddress);
        }
        match self.sinks.parse(address)? {
            Destination::Mail { address } => Ok(format!("mailto:{}", with_small_host(&address))),
            Destination::Telegram { chat } if chat.is_of_a_person() => Ok(address.to_owned()),
            Destination::Push { .. } => Ok(address.to_owned()),
            // What is told in a group or a channel is for its owner to say.
            Destination::Telegram { .. }
            | Destination::Webhook(_)
            | Destination::Nats { .. }
            | Destination::Amqp { .. }
            | Destination::Mqtt { .. } => Err(DestinationError::NotVouched.into()),
        }
    }

    fn registered(&self, customer: Hash32, address: &str) -> Option<Arc<Known>> {
        let is_it = |known: &&Arc<Known>| {
            // One that the operator vouches for is his, not the customer's.
            known.unreadable.is_none()
                && known.subscription.terms.customer == Some(customer)
                && known.subscription.proof != Proof::NotNeeded
                && leads_to(known, address)
        };
        self.book.list().values().find(is_it).cloned()
    }

    /// Nobody's mailbox is filled with questions, whoever's deposits they are about. Those that ended unanswered count for a
    /// while, too: otherwise whoever makes room for another one could have the same mailbox asked for ever.
    fn refuse_flooding(&self, address: &str) -> Result<(), SubscribeError> {
        let list = self.book.list();
        let whose = whose(address);
        let is_his = |known: &Known| known.endpoint.as_ref().is_ok_and(|other| asked::whose(&other.url) == whose);
        // What is set aside is asked nothing.
        let waits = |known: &&Arc<Known>| known.unreadable.is_none() && is_unproved(known) && is_his(known);
        let lately = self.questions.registered_at(address, self.clock.now());
        if lately.max(list.values().filter(waits).count()) >= UNANSWERED_OF_AN_ADDRESS_MAX {
            return Err(SubscribeError::AddressFull);
        }
        Ok(())
    }
}

/// Nothing is sent to it any more before somebody says so anew.
fn is_to_begin_anew(known: &Known) -> bool {
    matches!(known.subscription.stopped, Some(Stopped::Unproved | Stopped::Disabled { .. }))
}

fn is_unproved(known: &Known) -> bool {
    matches!(known.subscription.proof, Proof::Missing { .. })
}

fn leads_to(known: &Known, address: &str) -> bool {
    known.endpoint.as_ref().is_ok_and(|endpoint| endpoint.url == address)
}

/// Whose case says nothing; that of what stands before the `@` may.
fn with_small_host(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((name, host)) => format!("{name}@{}", host.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}

/// What a person hears comes in its order.
fn terms(customer: Hash32) -> Terms {
    Terms {
        events: EVENTS.map(str::to_owned).to_vec(),
        customer: Some(customer),
        dialect: Dialect::Standard,
        schedule: Schedule::Standard,
        order: Order::PerDeposit,
        rate_per_s: Some(RATE_PER_S),
    }
}
