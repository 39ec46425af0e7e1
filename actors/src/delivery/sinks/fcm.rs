//! Push to Android devices by Firebase Cloud Messaging: the operator's service account asks Google for a grant now and then,
//! and each message bears it.
//!
//! | Google says | the notification |
//! |---|---|
//! | 404 `UNREGISTERED`, 400 because of the token, 403 `SENDER_ID_MISMATCH` | the subscription is disabled: no such device |
//! | 429 or 503 | is sent again, and the device left alone until `Retry-After` |
//! | 400 because of the message | is given up |
//! | anything else, a refused grant included | is sent again, by its schedule |

mod grant;

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use millrace_protocols::delivery::verdict::{Refusal, retry_after_ms};
use millrace_protocols::wire::fcm::{Answer, ServiceAccount, answer, message};
use millrace_protocols::words::Words;
use reqwest::Method;

use super::destination::Destination;
use super::people::{Came, Teller};
use super::telegram::unanswered;
use crate::clock::Clock;
use crate::http::{Http, Limits, Reply};
use grant::Grants;
pub use grant::NoAccount;

/// What Google is given.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(10),
    at_once_max: 16,
    answer_bytes_max: 64 * 1_024,
};

/// The operator's project at Firebase.
pub struct Fcm {
    http: Http,
    path: String,
    grants: Grants,
}

impl Fcm {
    /// The project of a service account, at the server of this address. Asks nobody yet.
    pub fn new(api_url: &str, account: ServiceAccount) -> Result<Self, NoAccount> {
        let (http, path) = (Http::new(api_url, LIMITS)?, account.path());
        Ok(Self { http, path, grants: Grants::new(account)? })
    }

    async fn send(&self, token: &str, words: &Words, clock: &dyn Clock) -> Came {
        let now_s = u64::try_from(clock.now().timestamp()).unwrap_or(0);
        let grant = match self.grants.grant(now_s).await {
            Ok(grant) => grant,
            Err(came) => return came,
        };
        let request = self
            .http
            .request(Method::POST, &self.path)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(AUTHORIZATION, grant.clone())
            .body(message(token, words));
        let reply = match self.http.send(request).await {
            Ok(reply) => reply,
            Err(error) => return unanswered(&error),
        };
        match answer(reply.status.as_u16(), &reply.body) {
            Answer::NotGranted(why) => {
                self.grants.forget(&grant).await;
                Came::later(None, why)
            }
            answer => came(answer, &reply, clock),
        }
    }
}

fn came(answer: Answer, reply: &Reply, clock: &dyn Clock) -> Came {
    match answer {
        Answer::Sent => Came::there(),
        Answer::Later(why) => {
            let now_ms = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
            let asked = reply.retry_after.as_deref().and_then(|asked| retry_after_ms(asked, now_ms));
            Came::later(asked, why)
        }
        Answer::NoDevice(why) => Came::refused(Refusal::Receiver, why),
        Answer::BadMessage(why) => Came::refused(Refusal::Message, why),
        Answer::NotGranted(why) | Answer::Trouble(why) => Came::later(None, why),
    }
}

impl Teller for Fcm {
    fn leads_to(&self, to: &Destination) -> bool {
        matches!(to, Destination::Push { .. })
    }

    fn tell<'a>(&'a self, to: &'a Destination, words: &'a Words, clock: &'a dyn Clock) -> BoxFuture<'a, Came> {
        async move {
            match to {
                Destination::Push { token } => self.send(token, words, clock).await,
                _ => Came::refused(Refusal::Receiver, "it is no device"),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
