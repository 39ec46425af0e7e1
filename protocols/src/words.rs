//! A notification told to a person: a subject, one calm sentence, and what it is about, as plain text and as HTML.
//!
//! Made of the very body that is sent to machines, so both say the same. Nothing here trusts a text: what is put into a line is
//! freed of control characters and cut, what is put into HTML is escaped.

mod alert;
pub mod confirm;
mod html;
mod owner;
mod sentence;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use millrace_model::ids::{DepositId, SubscriptionId};
use millrace_model::ledger::Ticker;
use millrace_model::notification::{NotificationType, ResourceType, SubmitState};
use millrace_model::subscription::Disabling;
use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

/// The longest line that comes from outside, in characters: far longer than an address or a transaction.
const LINE_CHARS_MAX: usize = 128;

/// What a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The notification's id: the same in every attempt.
    pub id: Uuid,
    /// As what it is told, for programs that read it: a type's name of the catalogue, or [`confirm::TOPIC`].
    pub topic: &'static str,
    /// What it is about, for programs: the deposit's or the subscription's id, or `desk`.
    pub about: String,
    /// A few words, in one line of ASCII.
    pub subject: String,
    /// What happened.
    pub sentence: String,
    /// What it is about, each with its name.
    pub facts: Vec<(&'static str, String)>,
    /// Where more is to be seen or done, when the desk has a public address.
    pub link: Option<Link>,
    /// The address that ends the subscription.
    pub leave: Option<String>,
}

/// A page, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What is there.
    pub label: &'static str,
    /// Its address.
    pub url: String,
}

/// A body that is no notification of this version.
#[derive(Debug, thiserror::Error)]
#[error("the notification cannot be put into words: {0}")]
pub struct Unreadable(#[from] serde_json::Error);

/// What of a body is told.
#[derive(Deserialize)]
struct Body<'b> {
    id: Uuid,
    event_type: NotificationType,
    #[serde(borrow)]
    resource: &'b RawValue,
}

/// What of a deposit or withdrawal is told.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Transaction {
    tx: String,
    coin: Ticker,
    amount: u64,
    block_id: u64,
    from: String,
    to: String,
    is_bounced: bool,
    submit_state: SubmitState,
    #[serde(rename = "deposit_id")]
    deposit: DepositId,
    #[serde(rename = "payout_txid")]
    payout_txid: Option<String>,
    #[serde(rename = "refund")]
    refund: Option<String>,
    #[serde(rename = "refund_txid")]
    refund_txid: Option<String>,
}

/// What of the desk is told, or of an operator's webhook.
#[derive(Deserialize)]
struct Desk {
    cause: Option<String>,
    webhook: Option<SubscriptionId>,
    reason: Option<Disabling>,
}

impl Words {
    /// Reads a notification's body. `public` is the desk's public address, without a slash at its end.
    pub fn read(body: &[u8], public: Option<&str>) -> Result<Self, Unreadable> {
        let body: Body<'_> = serde_json::from_slice(body)?;
        if let Some(words) = alert::read(&body)? {
            return Ok(words);
        }
        match body.event_type.resource() {
            ResourceType::Deposit | ResourceType::Withdrawal => {
                Ok(of_transaction(&body, &serde_json::from_str(body.resource.get())?, public))
            }
            ResourceType::Subscription => owner::read(&body, public),
            ResourceType::Desk => Ok(of_desk(&body, &serde_json::from_str(body.resource.get())?)),
        }
    }

    /// The same with the address that ends the subscription.
    pub fn with_leave(self, leave: Option<String>) -> Self {
        Self { leave, ..self }
    }

    /// The whole of it as plain text.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.sentence);
        for (name, value) in &self.facts {
            let _ = write!(text, "\n{name}: {value}");
        }
        if let Some(link) = &self.link {
            let _ = write!(text, "\n\n{}: {}", link.label, link.url);
        }
        if let Some(leave) = &self.leave {
            let _ = write!(text, "\n\nTo hear no more of this: {leave}");
        }
        text.push('\n');
        text
    }

    /// The same as a document of HTML.
    pub fn html(&self) -> String {
        html::document(self)
    }
}

fn of_transaction(body: &Body<'_>, about: &Transaction, public: Option<&str>) -> Words {
    let coins = format!("{} {}", about.coin.amount(about.amount.into()), about.coin.as_str());
    let mut facts = vec![("Amount", coins.clone()), ("Deposit address", line(&about.from))];
    if !about.to.is_empty() {
        facts.push(("Paid out to", line(&about.to)));
    }
    facts.push(("Deposit's transaction", line(&about.tx)));
    let more = [("Payout's transaction", &about.payout_txid), ("Refund's transaction", &about.refund_txid)];
    facts.extend(more.into_iter().filter_map(|(name, value)| Some((name, line(value.as_deref()?)))));
    facts.push(("Deposit's id", about.deposit.to_string()));
    Words {
        id: body.id,
        topic: body.event_type.name(),
        about: about.deposit.to_string(),
        subject: line(&sentence::subject(body.event_type, about, &coins)),
        sentence: line_of_any_length(&sentence::of_transaction(body.event_type, about, &coins)),
        facts,
        link: public.filter(|_| !about.to.is_empty()).map(|public| page(public, &line(&about.to))),
        leave: None,
    }
}

fn of_desk(body: &Body<'_>, about: &Desk) -> Words {
    let facts = [
        about.cause.as_deref().map(|cause| ("Cause", line(cause))),
        about.webhook.map(|id| ("Webhook's id", id.to_string())),
        about.reason.map(|why| ("Why", why.sentence().to_owned())),
    ];
    let (subject, sentence) = sentence::of_desk(body.event_type);
    Words {
        id: body.id,
        topic: body.event_type.name(),
        about: "desk".to_owned(),
        subject: subject.to_owned(),
        sentence: sentence.to_owned(),
        facts: facts.into_iter().flatten().collect(),
        link: None,
        leave: None,
    }
}

fn page(public: &str, target: &str) -> Link {
    let target: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
    Link { label: "All deposits for this address", url: format!("{public}/customer/{target}") }
}

/// One line of bounded length.
fn line(text: &str) -> String {
    line_of_any_length(text).chars().take(LINE_CHARS_MAX).collect()
}

/// Without what would end a line, turn its direction, or be invisible in it.
fn line_of_any_length(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() && !is_invisible(*letter)).collect()
}

fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
