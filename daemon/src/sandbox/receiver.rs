//! Somebody at whom a webhook may be pointed: keeps what comes for a look, checks its signatures with the secrets it is told,
//! and answers as it is told to, also badly.
//!
//! It is behind the control API, at `/receiver/hook`. What it keeps is in memory, and forgotten when the sandbox stops.

mod hook;
mod page;
pub mod steer;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use millrace_protocols::webhook::secret::HmacSecret;
use millrace_protocols::webhook::te;
use millrace_protocols::webhook::verify::{self, Headers, Key};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock;

pub use hook::router;

/// Where it is told, behind the control API's address.
pub const HOOK: &str = "/receiver/hook";
/// How many it keeps; the oldest go.
const KEPT_MAX: usize = 1_000;
/// How many secrets it checks with; the oldest go.
const SECRETS_MAX: usize = 16;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// 204: it has it.
    Ok,
    /// 500.
    Error,
    /// 410: never again.
    Gone,
    /// 429, with a `Retry-After` of two seconds.
    Busy,
    /// Not at all, for longer than the desk waits.
    Hang,
}

/// What is to be answered from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What.
    pub with: Answer,
    /// For so many only, and 204 after them.
    pub times: Option<u32>,
}

/// Something that came.
#[derive(Debug, Clone, Serialize)]
pub struct Received {
    /// Its number since the sandbox began, from 1.
    number: u64,
    /// When, in milliseconds since 1970.
    at_ms: u64,
    id: Option<String>,
    event_type: Option<String>,
    /// Whether one of the secrets signed it: `right`, `wrong: …`, or `unchecked` without any.
    signature: String,
    /// Whether it came before under the same id.
    repeated: bool,
    answered: Answer,
    body: Value,
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct Shown {
    url: String,
    answers: Order,
    secrets: usize,
    /// How many came and are not kept any more.
    forgotten: u64,
    received: Vec<Received>,
}

/// What came of telling it a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and base64, or 64 lower hexadecimal digits as ton.events has them")]
pub struct NoSecret;

#[derive(Debug, Clone)]
enum Secret {
    Standard(HmacSecret),
    TonEvents(te::Secret),
}

/// The receiver.
#[derive(Debug)]
pub struct Receiver {
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    answers: Order,
    secrets: VecDeque<Secret>,
    count: u64,
    received: VecDeque<Received>,
}

/// A notification as it came.
struct Coming<'a> {
    id: Option<&'a str>,
    timestamp: Option<&'a str>,
    signature: Option<&'a str>,
    te_signature: Option<&'a str>,
    body: &'a [u8],
}

impl Default for Receiver {
    fn default() -> Self {
        let answers = Order { with: Answer::Ok, times: None };
        let inside = Inside { answers, secrets: VecDeque::new(), count: 0, received: VecDeque::new() };
        Self { inside: Mutex::new(inside) }
    }
}

impl Receiver {
    /// What it is told now, and how it answers; `control` is where the control API is.
    pub fn show(&self, control: &str) -> Shown {
        let inside = self.inside();
        let received: Vec<_> = inside.received.iter().cloned().collect();
        Shown {
            url: format!("{control}{HOOK}"),
            answers: inside.answers,
            secrets: inside.secrets.len(),
            forgotten: inside.count - received.len() as u64,
            received,
        }
    }

    /// Checks with this secret, too, from now on.
    pub fn learn(&self, text: &str) -> Result<(), NoSecret> {
        let standard = text.parse().map(Secret::Standard).ok();
        let secret = standard.or_else(|| te::Secret::from_hex(text).map(Secret::TonEvents).ok()).ok_or(NoSecret)?;
        let mut inside = self.inside();
        inside.secrets.push_back(secret);
        if inside.secrets.len() > SECRETS_MAX {
            inside.secrets.pop_front();
        }
        Ok(())
    }

    /// Answers so from now on.
    pub fn answer(&self, order: Order) {
        self.inside().answers = order;
    }

    /// Forgets what came, and answers 204; the secrets stay.
    pub fn clear(&self) -> usize {
        let mut inside = self.inside();
        inside.answers = Order { with: Answer::Ok, times: None };
        std::mem::take(&mut inside.received).len()
    }

    /// Keeps what came, and says what to answer.
    fn take_in(&self, coming: &Coming<'_>) -> Answer {
        let mut inside = self.inside();
        let answered = inside.next_answer();
        inside.count += 1;
        let body: Value = serde_json::from_slice(coming.body)
            .unwrap_or_else(|_| String::from_utf8_lossy(coming.body).into_owned().into());
        let received = Received {
            number: inside.count,
            at_ms: clock::now_ms(),
            id: coming.id.map(str::to_owned),
            event_type: body["event_type"].as_str().map(str::to_owned),
            signature: inside.judged(coming),
            repeated: inside.received.iter().any(|before| before.id.is_some() && before.id.as_deref() == coming.id),
            answered,
            body,
        };
        inside.received.push_back(received);
        if inside.received.len() > KEPT_MAX {
            inside.received.pop_front();
        }
        answered
    }

    /// The answer to ton.events' question, if it knows such a secret: with the newest.
    fn prove(&self, token: &str) -> Option<String> {
        let inside = self.inside();
        inside.secrets.iter().rev().find_map(|secret| match secret {
            Secret::TonEvents(secret) => Some(secret.answer(token)),
            Secret::Standard(_) => None,
        })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn next_answer(&mut self) -> Answer {
        let Order { with, times } = &mut self.answers;
        match times {
            None => *with,
            Some(0) => Answer::Ok,
            Some(left) => {
                *left -= 1;
                *with
            }
        }
    }

    fn judged(&self, coming: &Coming<'_>) -> String {
        if self.secrets.is_empty() {
            return "unchecked".to_owned();
        }
        let is_te = |secret: &Secret| match (secret, coming.te_signature) {
            (Secret::TonEvents(secret), Some(signature)) => secret.has_signed(coming.body, signature),
            (Secret::TonEvents(_), None) | (Secret::Standard(_), _) => false,
        };
        if self.secrets.iter().any(is_te) {
            return "right".to_owned();
        }
        let keys: Vec<_> = self.secrets.iter().filter_map(Secret::key).collect();
        let text = Option::unwrap_or_default;
        let headers =
            Headers { id: text(coming.id), timestamp: text(coming.timestamp), signature: text(coming.signature) };
        match verify::verify(&keys, headers, coming.body, clock::now_s()) {
            Ok(()) => "right".to_owned(),
            Err(refusal) => format!("wrong: {refusal}"),
        }
    }
}

impl Secret {
    fn key(&self) -> Option<Key> {
        match self {
            Self::Standard(secret) => Some(Key::Symmetric(secret.clone())),
            Self::TonEvents(_) => None,
        }
    }
}
