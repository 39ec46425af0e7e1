//! Where a subscription leads and what signs for it: the part of it that is its owner's alone, and is sealed.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use millrace_model::ids::{Hash32, StreamName, SubscriptionId};
use millrace_protocols::webhook::secret::{HmacSecret, PrivateKey};
use millrace_protocols::webhook::sign::{Key, Signer};
use millrace_protocols::webhook::te;
use millrace_protocols::webhook::verify::{self, Headers, Refusal};
use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::customer_keys::{CustomerKeys, KeysError, Opened, Subject};
use crate::delivery::sinks::destination::Kind;

/// How many secrets sign at once, the newest included.
const SECRETS_MAX: usize = 4;
/// Bytes of a secret that is made here.
const SECRET_BYTES: usize = 32;
/// Bytes of the salt from which one of ton.events' kind is derived.
const SALT_BYTES: usize = 32;

/// Where to, and what signs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address.
    pub url: String,
    /// What signs, the newest first: `whsec_…` or `whsk_…`.
    pub secrets: Vec<Secret>,
    /// What ton.events' header is made with, in hexadecimal digits.
    pub te_secret: Option<String>,
}

/// A secret that signs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its text.
    pub text: String,
    /// When it ends; the newest does not.
    pub until: Option<DateTime<Utc>>,
}

/// Why it is not known where a subscription leads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOpen {
    /// The key was destroyed.
    #[error("its key was destroyed")]
    Forgotten,
    /// The key is not in the file of keys.
    #[error("its key is not there")]
    NoKey,
    /// What is there is not what was sealed.
    #[error("it is not what was sealed")]
    Changed,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// One that signs until another takes its place.
    pub fn new(text: String) -> Self {
        Self { text, until: None }
    }
}

/// A new symmetric secret in its text form.
pub fn new_secret() -> String {
    let mut bytes = vec![0; SECRET_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    HmacSecret::new(bytes).expect("a secret may have this length").reveal()
}

impl Endpoint {
    /// One with a single secret.
    pub fn new(url: String, secret: String) -> Self {
        Self { url, secrets: vec![Secret::new(secret)], te_secret: None }
    }

    /// One of ton.events' kind, with a secret that nobody can derive who knows only the customer's hash: the salt is drawn
    /// for it and not kept. Takes tens of milliseconds on a thread of its own.
    pub(super) async fn ton_events(url: String, customer: Hash32) -> Self {
        let deriving = tokio::task::spawn_blocking(move || {
            let mut salt = [0; SALT_BYTES];
            rand::rng().fill_bytes(&mut salt);
            te::Secret::derive(&customer.0, &salt)
        });
        let secret = deriving.await.expect("deriving neither panics nor is aborted");
        Self { url, secrets: Vec::new(), te_secret: Some(secret.reveal()) }
    }

    /// Whether a person is there, and no program that could prove anything.
    pub(super) fn leads_to_a_person(&self) -> bool {
        Kind::of(&self.url).is_some_and(Kind::is_of_people)
    }

    /// The secret of ton.events' kind.
    pub(super) fn te(&self) -> Option<te::Secret> {
        te::Secret::from_hex(self.te_secret.as_deref()?).ok()
    }

    /// Another secret signs from now on; those before it, too, until then.
    pub(super) fn rotate(&mut self, secret: Secret, until: DateTime<Utc>) {
        for before in &mut self.secrets {
            before.until = Some(before.until.map_or(until, |ends| ends.min(until)));
        }
        self.secrets.insert(0, secret);
        self.secrets.truncate(SECRETS_MAX);
    }

    /// What signs at this time; nothing when a secret is none.
    pub(super) fn signer(&self, now: DateTime<Utc>) -> Option<Signer> {
        let lives = self.secrets.iter().filter(|secret| secret.until.is_none_or(|until| until > now));
        let keys = lives.map(|secret| key(&secret.text)).collect::<Option<Vec<_>>>()?;
        let te = match &self.te_secret {
            Some(text) => Some(te::Secret::from_hex(text).ok()?),
            None => None,
        };
        Signer::new(&keys, te.as_ref()).ok()
    }

    /// Whether this was signed with one of its secrets, as a receiver would find at this time.
    pub fn verify(&self, headers: Headers<'_>, body: &[u8], now: DateTime<Utc>) -> Result<(), Refusal> {
        let lives = self.secrets.iter().filter(|secret| secret.until.is_none_or(|until| until > now));
        let keys: Vec<_> = lives.filter_map(|secret| key(&secret.text)).map(|key| key.verifying()).collect();
        verify::verify(&keys, headers, body, u64::try_from(now.timestamp()).unwrap_or(0))
    }

    /// The same of ton.events' header, which has no time.
    pub fn verify_te(&self, signature: &str, body: &[u8]) -> Result<(), Refusal> {
        let is_signed = self.te().is_some_and(|secret| secret.has_signed(body, signature));
        if is_signed { Ok(()) } else { Err(Refusal::NoMatch) }
    }

    /// When one of its secrets ends next, after this time.
    pub(super) fn next_end(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.secrets.iter().filter_map(|secret| secret.until).filter(|until| *until > now).min()
    }

    pub(super) async fn seal(&self, keys: &CustomerKeys, id: SubscriptionId) -> Result<String, KeysError> {
        let (keys, place) = (keys.clone(), StreamName::Subscription(id).to_string());
        let plain = serde_json::to_string(self).expect("an endpoint has text keys");
        let sealing = tokio::task::spawn_blocking(move || keys.seal(&subject(&place), &place, &plain));
        sealing.await.expect("sealing neither panics nor is aborted")
    }

    pub(super) fn open(keys: &CustomerKeys, id: SubscriptionId, sealed: &str) -> Result<Self, NotOpen> {
        let place = StreamName::Subscription(id).to_string();
        match keys.reading().open(&place, sealed) {
            Opened::Text(text) => serde_json::from_str(&text).map_err(|_| NotOpen::Changed),
            Opened::Forgotten(_) => Err(NotOpen::Forgotten),
            Opened::Sealed => Err(NotOpen::NoKey),
            Opened::Plain | Opened::Changed => Err(NotOpen::Changed),
        }
    }
}

/// Destroys the key: what was sealed for the subscription is unreadable from now on, in every copy of the log.
pub(super) async fn forget(keys: &CustomerKeys, id: SubscriptionId, now: DateTime<Utc>) -> Result<(), KeysError> {
    let (keys, place) = (keys.clone(), StreamName::Subscription(id).to_string());
    let forgetting = tokio::task::spawn_blocking(move || keys.forget(&subject(&place), now));
    forgetting.await.expect("forgetting neither panics nor is aborted").map(drop)
}

/// The subscriptions whose keys are there.
pub(super) async fn with_keys(keys: &CustomerKeys) -> Result<Vec<SubscriptionId>, KeysError> {
    let keys = keys.clone();
    let reading = tokio::task::spawn_blocking(move || keys.live("subscription/"));
    let subjects = reading.await.expect("reading neither panics nor is aborted")?;
    let id = |subject: String| match subject.parse() {
        Ok(StreamName::Subscription(id)) => Some(id),
        _ => None,
    };
    Ok(subjects.into_iter().filter_map(id).collect())
}

/// Each subscription has a key of its own, so that it can be destroyed alone.
fn subject(place: &str) -> Subject {
    Subject::from_str(place).expect("a stream's name may name a subject")
}

fn key(text: &str) -> Option<Key> {
    let symmetric = || text.parse::<HmacSecret>().map(Key::Symmetric).ok();
    symmetric().or_else(|| text.parse::<PrivateKey>().map(Key::Asymmetric).ok())
}
