//! E-mail: a message is handed to the operator's mail server, which has it from then on.
//!
//! | the server says | the notification |
//! |---|---|
//! | 4xx to anything, or nothing in time | is sent again, by its schedule |
//! | 5xx to the recipient | the subscription is disabled: there is no such mailbox |
//! | 5xx to the recipient for want of room, or for reasons of policy (5.7) | is sent again |
//! | 5xx to the message itself | is given up |
//! | 5xx to the sender, the greeting or the password | is sent again: that is the operator's to mend |

mod letter;
mod office;
pub mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use millrace_protocols::delivery::verdict::{Refusal, Trouble};
use millrace_protocols::words::Words;

use super::destination::Destination;
use super::people::{Came, Teller};
use crate::clock::Clock;
use letter::compose;
use office::{Failure, Office, Stage};
use server::Server;

/// The operator's mail server, and who writes.
pub struct Mail {
    office: Office,
    from: Mailbox,
}

/// Who writes is no mailbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mailbox such as desk@example.org, or Desk <desk@example.org>")]
pub struct NoMailbox(pub String);

/// Reads a mailbox of plain ASCII: mail servers that take others are rare.
pub fn mailbox(text: &str) -> Result<Mailbox, NoMailbox> {
    let found: Option<Mailbox> = text.parse().ok();
    found.filter(|mailbox| is_plain(&mailbox.email)).ok_or_else(|| NoMailbox(text.to_owned()))
}

/// Reads an address of plain ASCII without a name, at a host that has one: the number of a machine may be one in the desk's own
/// network.
pub fn address(text: &str) -> Option<Address> {
    text.parse().ok().filter(is_plain)
}

fn is_plain(address: &Address) -> bool {
    let text: &str = address.as_ref();
    let last = address.domain().rsplit_once('.').map(|(_, last)| last);
    let is_a_name = last.is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_alphabetic()));
    text.bytes().all(|byte| byte.is_ascii_graphic()) && is_a_name && !address.domain().starts_with('[')
}

impl Mail {
    /// Through this server. Connects to nobody yet.
    pub fn new(server: Server, from: Mailbox) -> Self {
        let hello = from.email.domain().to_owned();
        Self { office: Office::new(server, hello), from }
    }

    async fn send(&self, to: &Address, words: &Words, clock: &dyn Clock) -> Came {
        let letter = match compose(&self.from, to, words, clock.now().into()) {
            Ok(letter) => letter,
            Err(error) => return Came::refused(Refusal::Message, error.to_string()),
        };
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.clone()]);
        let envelope = envelope.expect("somebody is written to");
        match self.office.hand_over(&envelope, &letter.formatted()).await {
            Ok(()) => Came::there(),
            Err(failure) => came(&failure),
        }
    }
}

impl Teller for Mail {
    fn leads_to(&self, to: &Destination) -> bool {
        matches!(to, Destination::Mail { .. })
    }

    fn tell<'a>(&'a self, to: &'a Destination, words: &'a Words, clock: &'a dyn Clock) -> BoxFuture<'a, Came> {
        async move {
            let Destination::Mail { address: to } = to else {
                return Came::refused(Refusal::Receiver, "it is no address of e-mail");
            };
            match address(to) {
                Some(to) => self.send(&to, words, clock).await,
                None => Came::refused(Refusal::Receiver, "it is no address of e-mail"),
            }
        }
        .boxed()
    }

    fn close_idle(&self) {
        self.office.close_idle();
    }
}

fn came(failure: &Failure) -> Came {
    let text = failure.to_string();
    match (failure.code, failure.stage) {
        (Some(code), Stage::Recipient) if code >= 500 && failure.is_of_the_recipient() => {
            Came::refused(Refusal::Receiver, text)
        }
        (Some(code), Stage::Content) if code >= 500 && failure.is_of_the_letter() => {
            Came::refused(Refusal::Message, text)
        }
        (Some(_), _) => Came::later(None, text),
        (None, _) => Came::failed(failure.trouble.unwrap_or(Trouble::Broken), text),
    }
}

/// How long an idle connection is kept. Mail servers keep theirs for minutes.
const IDLE_KEPT: Duration = Duration::from_secs(30);
