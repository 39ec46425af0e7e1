//! People who are registered by somebody, asked, and answer: a service over a log of its own, and a way to people that writes down
//! what it was to tell.

use std::collections::VecDeque;
use std::sync::Mutex;

use chrono::TimeDelta;
use futures::FutureExt;
use millrace_model::event::Event;
use millrace_model::ids::Hash32;
use millrace_model::ids::StreamName;
use millrace_model::subscription::{Disabling, Ending, Kept, Stopped, Unsubscribed};
use tempfile::TempDir;
use tokio::sync::watch;

use super::super::people::CONFIRM_WITHIN_S;
use super::super::{self as subscriptions, List, OF_A_CUSTOMER_MAX};
use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::customer_keys::CustomerKeys;
use crate::delivery::address::Reach;
use crate::delivery::sinks::Sinks;
use crate::delivery::sinks::destination::Kind;
use crate::delivery::sinks::people::{Came, Teller};
use crate::event_store::{Execution, Settings as StoreSettings};
use crate::supervision::Registry;

const CUSTOMER: Hash32 = Hash32([7; 32]);
const ADDRESS: &str = "mailto:customer@example.net";

/// What somebody was told, and where.
type Letter = (Destination, Words);

/// Answers each with the next of these, then takes everything.
struct Written {
    letters: watch::Sender<Vec<Letter>>,
    answers: Mutex<VecDeque<Came>>,
}

impl Teller for Written {
    fn leads_to(&self, to: &Destination) -> bool {
        to.kind() == Kind::Mail
    }

    fn tell<'a>(&'a self, to: &'a Destination, words: &'a Words, _: &'a dyn Clock) -> BoxFuture<'a, Came> {
        self.letters.send_modify(|letters| letters.push((to.clone(), words.clone())));
        let came = self.answers.lock().unwrap().pop_front().unwrap_or_else(Came::there);
        std::future::ready(came).boxed()
    }
}

struct Desk {
    tree: Tree,
    store: Store,
    subscriptions: Subscriptions,
    clock: Arc<ManualClock>,
    letters: watch::Receiver<Vec<Letter>>,
    folder: TempDir,
}

impl Desk {
    async fn start(answers: Vec<Came>) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        Self::start_in(tempfile::tempdir().unwrap(), clock, answers).await
    }

    async fn start_in(folder: TempDir, clock: Arc<ManualClock>, answers: Vec<Came>) -> Self {
        let tree = Tree::new(Registry::new(clock.clone()), 1);
        let path = folder.path().join("log.db");
        let settings = StoreSettings { path, execution: Execution::Inline, clock: clock.clone() };
        let store = Store::start(&tree, settings).unwrap();
        let (letters, seen) = watch::channel(Vec::new());
        let written = Arc::new(Written { letters, answers: Mutex::new(VecDeque::from(answers)) });
        let sinks = Sinks::webhooks(Reach::Public).at(Some(Arc::from("https://desk.example.org")));
        let keys = CustomerKeys::at(folder.path().join("keys.db"));
        let settings =
            subscriptions::Settings { keys, sinks: sinks.with_people(Kind::Mail, written), clock: clock.clone() };
        let subscriptions = subscriptions::start(&tree, store.clone(), settings).unwrap();
        subscriptions.changes().wait_for(Option::is_some).await.unwrap();
        let settings = Settings { runtime: Handle::current(), clock: clock.clone() };
        start(&tree, store.clone(), subscriptions.clone(), settings).unwrap();
        Self { tree, store, subscriptions, clock, letters: seen, folder }
    }

    async fn again(self) -> Self {
        self.tree.shutdown(Duration::from_secs(4)).await;
        Self::start_in(self.folder, self.clock, vec![]).await
    }

    async fn register(&self, address: &str) -> Result<Arc<Known>, SubscribeError> {
        self.subscriptions.register(CUSTOMER, address.to_owned()).await
    }

    /// The letters, once there are so many.
    async fn letters(&self, many: usize) -> Vec<Letter> {
        let mut letters = self.letters.clone();
        let enough = letters.wait_for(|letters| letters.len() >= many);
        tokio::time::timeout(Duration::from_secs(20), enough).await.expect("they come in time").unwrap().clone()
    }

    async fn until(&self, is_so: impl Fn(&List) -> bool) {
        let mut list = self.subscriptions.changes();
        let so = list.wait_for(|list| list.as_ref().is_some_and(&is_so));
        tokio::time::timeout(Duration::from_secs(20), so).await.expect("it becomes so in time").unwrap();
    }

    /// Ends those whose time has come; says how many.
    async fn end(&self) -> usize {
        self.subscriptions.end_unserved(Kept { unproved_s: 3_600, idle_s: 86_400 }).await.unwrap()
    }

    async fn answer(&self, id: SubscriptionId, purpose: Purpose, code: &str) -> Result<bool, SubscribeError> {
        let known = self.subscriptions.answer(id, purpose, code.to_owned()).await?;
        Ok(known.subscription.is_served())
    }
}

fn code_in(letter: &Letter) -> String {
    letter.1.facts.iter().find(|(name, _)| *name == "Code").unwrap().1.clone()
}

#[tokio::test]
async fn one_question_is_sent_and_nothing_is_served_before_its_answer() {
    let desk = Desk::start(vec![]).await;
    let known = desk.register("mailto:customer@EXAMPLE.net").await.unwrap();
    let id = known.subscription.id;
    assert!(!known.subscription.is_served());
    let letter = desk.letters(1).await.remove(0);
    assert_eq!(letter.0, Destination::Mail { address: "customer@example.net".to_owned() });
    let (code, link) = (code_in(&letter), letter.1.link.clone().unwrap().url);
    assert_eq!(link, format!("https://desk.example.org/confirm/{}.{code}", id.0.hyphenated()));
    assert!(desk.answer(id, Purpose::Confirm, &code).await.unwrap(), "it is served");
    let stored = desk.store.head();
    assert!(desk.answer(id, Purpose::Confirm, &code).await.unwrap(), "the same answer again changes nothing");
    let again = desk.register(ADDRESS).await.unwrap();
    assert!(again.subscription.id == id && desk.store.head() == stored, "it stands already");
    assert_eq!(desk.letters(1).await.len(), 1, "and nobody is asked again");
}

#[tokio::test]
async fn a_code_is_of_one_subscription_one_purpose_and_one_hour() {
    let desk = Desk::start(vec![]).await;
    let id = desk.register(ADDRESS).await.unwrap().subscription.id;
    let other = desk.register("mailto:other@example.net").await.unwrap().subscription.id;
    let code = code_in(&desk.letters(1).await[0]);
    for (id, purpose) in
        [(other, Purpose::Confirm), (id, Purpose::Leave), (SubscriptionId(Uuid::nil()), Purpose::Confirm)]
    {
        let refused = desk.answer(id, purpose, &code).await;
        assert!(matches!(refused, Err(SubscribeError::WrongCode)), "{refused:?}");
    }
    desk.clock.advance(TimeDelta::seconds(i64::try_from(CONFIRM_WITHIN_S).unwrap() + 1));
    let refused = desk.answer(id, Purpose::Confirm, &code).await;
    assert!(matches!(refused, Err(SubscribeError::WrongCode)), "{refused:?}");
}

#[tokio::test]
async fn nobody_tries_codes_for_ever() {
    let desk = Desk::start(vec![]).await;
    let id = desk.register(ADDRESS).await.unwrap().subscription.id;
    let code = code_in(&desk.letters(1).await[0]);
    for _ in 0..10 {
        assert!(desk.answer(id, Purpose::Confirm, "1.AAAAAAAAAAAAAAAAAAAAAA").await.is_err());
    }
    assert!(desk.answer(id, Purpose::Confirm, &code).await.is_err(), "not even the right one");
}

#[tokio::test]
async fn who_leaves_may_say_so_again_and_no_guesses_keep_him() {
    let desk = Desk::start(vec![]).await;
    let known = desk.register(ADDRESS).await.unwrap();
    let (id, signer) = (known.subscription.id, known.endpoint.as_ref().unwrap().signer(desk.clock.now()).unwrap());
    for _ in 0..10 {
        assert!(desk.answer(id, Purpose::Leave, "1.AAAAAAAAAAAAAAAAAAAAAA").await.is_err());
    }
    let leave = code(&signer, Purpose::Leave, &id.0.hyphenated().to_string(), 1).unwrap();
    assert!(!desk.answer(id, Purpose::Leave, &leave).await.unwrap());
    desk.until(|list| list.is_empty()).await;
    let stored = desk.store.head();
    assert!(!desk.answer(id, Purpose::Leave, &leave).await.unwrap(), "the link is followed a second time");
    let refused = desk.answer(id, Purpose::Confirm, &leave).await;
    assert!(matches!(refused, Err(SubscribeError::WrongCode)), "{refused:?}");
    assert_eq!(desk.store.head(), stored);
}

#[tokio::test]
async fn a_registration_that_stopped_outlives_one_that_is_refused() {
    let desk = Desk::start(vec![]).await;
    let id = desk.register(ADDRESS).await.unwrap().subscription.id;
    let code = code_in(&desk.letters(1).await[0]);
    assert!(desk.answer(id, Purpose::Confirm, &code).await.unwrap());
    desk.subscriptions.execute(id, Command::DisableDelivery { why: Disabling::Gone }).await.unwrap();
    for number in 0..3 {
        desk.subscriptions.register(Hash32([number; 32]), ADDRESS.to_owned()).await.unwrap();
    }
    let refused = desk.register(ADDRESS).await;
    assert!(matches!(refused, Err(SubscribeError::AddressFull)), "{refused:?}");
    assert!(desk.subscriptions.list().unwrap().contains_key(&id));
}

#[tokio::test]
async fn a_code_outlives_a_restart_and_a_restart_asks_nobody() {
    let desk = Desk::start(vec![]).await;
    let id = desk.register(ADDRESS).await.unwrap().subscription.id;
    let code = code_in(&desk.letters(1).await[0]);
    let desk = desk.again().await;
    assert!(desk.answer(id, Purpose::Confirm, &code).await.unwrap());
    assert!(desk.letters.borrow().is_empty());
}

#[tokio::test]
async fn a_question_that_did_not_get_through_is_sent_again() {
    let desk = Desk::start(vec![Came::later(None, "not now")]).await;
    tokio::time::pause();
    desk.register(ADDRESS).await.unwrap();
    let letters = desk.letters(2).await;
    assert_eq!(letters[0].0, letters[1].0);
}

#[tokio::test]
async fn an_address_where_nobody_is_makes_room_for_another_try() {
    let desk = Desk::start(vec![Came::refused(Refusal::Receiver, "no such mailbox")]).await;
    let id = desk.register(ADDRESS).await.unwrap().subscription.id;
    let gone = Some(Stopped::Disabled { why: Disabling::Gone });
    desk.until(|list| list.get(&id).is_some_and(|known| known.subscription.stopped == gone)).await;
    let other = desk.register(ADDRESS).await.unwrap().subscription.id;
    assert_ne!(id, other);
    desk.letters(2).await;
}

#[tokio::test]
async fn nobodys_mailbox_is_filled_with_questions() {
    let desk = Desk::start(vec![]).await;
    for number in 0..3 {
        desk.subscriptions.register(Hash32([number; 32]), ADDRESS.to_owned()).await.unwrap();
    }
    for spelling in [ADDRESS, "mailto:Customer@example.net", "mailto:cus.tomer+9@EXAMPLE.net"] {
        let refused = desk.subscriptions.register(Hash32([9; 32]), spelling.to_owned()).await;
        assert!(matches!(refused, Err(SubscribeError::AddressFull)), "{spelling}: {refused:?}");
    }
    desk.letters(3).await;
    desk.clock.advance(TimeDelta::hours(2));
    assert_eq!(desk.end().await, 3);
    let refused = desk.register("mailto:customer+1@example.net").await;
    assert!(matches!(refused, Err(SubscribeError::AddressFull)), "nor after they are over: {refused:?}");
    desk.clock.advance(TimeDelta::hours(22));
    desk.register(ADDRESS).await.unwrap();
}

#[tokio::test]
async fn who_wants_it_may_be_registered_as_often_as_he_confirms() {
    let desk = Desk::start(vec![]).await;
    for number in 0..4 {
        let customer = Hash32([number; 32]);
        let id = desk.subscriptions.register(customer, ADDRESS.to_owned()).await.unwrap().subscription.id;
        let code = code_in(&desk.letters(usize::from(number) + 1).await[usize::from(number)]);
        assert!(desk.answer(id, Purpose::Confirm, &code).await.unwrap());
    }
}

#[tokio::test]
async fn who_does_not_answer_makes_room_and_his_mailbox_is_asked_no_oftener_for_it() {
    let desk = Desk::start(vec![]).await;
    let url = |number: usize| format!("https://shop.example/{number}");
    let mut asked = Vec::new();
    for round in 0..3 {
        asked.push(desk.register(ADDRESS).await.unwrap().subscription.id);
        for number in 0..OF_A_CUSTOMER_MAX {
            desk.subscriptions.subscribe_customer(CUSTOMER, url(round * OF_A_CUSTOMER_MAX + number)).await.unwrap();
        }
        desk.until(|list| list.len() == OF_A_CUSTOMER_MAX && !list.contains_key(&asked[round])).await;
    }
    let (refused, stored) = (desk.register(ADDRESS).await, desk.store.head());
    assert!(matches!(refused, Err(SubscribeError::AddressFull)), "{refused:?}");
    desk.register("mailto:other@example.net").await.unwrap();
    assert!(desk.store.head() > stored && asked[0] != asked[1]);
}

#[tokio::test]
async fn who_does_not_answer_is_forgotten_but_not_before_his_last_question_is_too_old() {
    let desk = Desk::start(vec![]).await;
    let id = desk.register(ADDRESS).await.unwrap().subscription.id;
    let code = code_in(&desk.letters(1).await[0]);
    desk.clock.advance(TimeDelta::minutes(40));
    let desk = desk.again().await;
    desk.register(ADDRESS).await.unwrap();
    let again = code_in(&desk.letters(1).await[0]);
    assert_ne!(code, again);
    desk.clock.advance(TimeDelta::minutes(50));
    assert_eq!(desk.end().await, 0, "an hour and a half, but asked 50 minutes ago");
    desk.clock.advance(TimeDelta::minutes(10));
    assert_eq!(desk.end().await, 0, "to the last second");
    desk.clock.advance(TimeDelta::seconds(1));
    assert_eq!(desk.end().await, 1);
    desk.until(|list| list.is_empty()).await;
    let refused = desk.answer(id, Purpose::Confirm, &again).await;
    assert!(matches!(refused, Err(SubscribeError::WrongCode)), "{refused:?}");
    let ended = desk.store.reader().unwrap().stream(&StreamName::Subscription(id), 0).unwrap();
    let never = Unsubscribed { why: Ending::NeverProved }.into();
    assert_eq!(ended.last().unwrap().event, Event::Subscription(never));
}

#[tokio::test]
async fn who_was_asked_before_a_start_has_an_hour_after_it_and_who_confirmed_stays() {
    let desk = Desk::start(vec![]).await;
    let proved = desk.register(ADDRESS).await.unwrap().subscription.id;
    let code = code_in(&desk.letters(1).await[0]);
    assert!(desk.answer(proved, Purpose::Confirm, &code).await.unwrap());
    desk.register("mailto:other@example.net").await.unwrap();
    desk.clock.advance(TimeDelta::minutes(55));
    let desk = desk.again().await;
    desk.clock.advance(TimeDelta::minutes(55));
    assert_eq!(desk.end().await, 0);
    desk.clock.advance(TimeDelta::minutes(6));
    assert_eq!(desk.end().await, 1);
    desk.until(|list| list.keys().eq([&proved])).await;
}

#[tokio::test]
async fn only_people_are_registered_and_only_where_there_is_a_way() {
    let desk = Desk::start(vec![]).await;
    for address in
        ["https://shop.example/", "telegram:42", "fcm:token", "nats:desk", "mailto:nobody", "customer@example.net"]
    {
        let refused = desk.register(address).await;
        assert!(matches!(refused, Err(SubscribeError::Address(_))), "{address}: {refused:?}");
    }
    assert_eq!(desk.store.head(), 0);
}
