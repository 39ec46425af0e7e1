//! Telegram: the operator's bot writes to a chat.
//!
//! | the API says | the notification |
//! |---|---|
//! | 429 with `retry_after` | is sent again, and the chat left alone until then |
//! | 403, or 400 because of the chat | the subscription is disabled: blocked, or no such chat |
//! | 400 because of the text | is given up |
//! | anything else | is sent again, by its schedule |

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderValue};
use millrace_protocols::delivery::verdict::{Refusal, Trouble};
use millrace_protocols::wire::telegram::{Answer, Chat, answer, send_message};
use millrace_protocols::words::Words;
use reqwest::Method;

use super::destination::Destination;
use super::people::{Came, Teller};
use crate::clock::Clock;
use crate::http::{Http, HttpError, Limits, SetUpError};

/// What Telegram is given. It takes some thirty messages a second of a bot.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(10),
    at_once_max: 8,
    answer_bytes_max: 64 * 1_024,
};

/// The operator's bot.
pub struct Telegram {
    http: Http,
    /// Has the bot's token in it.
    path: String,
}

impl Telegram {
    /// The bot of this token, at the server of this address. Asks nobody yet.
    pub fn new(api_url: &str, token: &str) -> Result<Self, SetUpError> {
        Ok(Self { http: Http::new(api_url, LIMITS)?, path: format!("bot{token}/sendMessage") })
    }

    async fn send(&self, chat: &Chat, words: &Words, clock: &dyn Clock) -> Came {
        let request = self.http.request(Method::POST, &self.path);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match self.http.send(request.body(send_message(chat, &words.text()))).await {
            Ok(reply) => came(answer(reply.status.as_u16(), &reply.body), clock),
            Err(error) => unanswered(&error),
        }
    }
}

impl Teller for Telegram {
    fn leads_to(&self, to: &Destination) -> bool {
        matches!(to, Destination::Telegram { .. })
    }

    fn tell<'a>(&'a self, to: &'a Destination, words: &'a Words, clock: &'a dyn Clock) -> BoxFuture<'a, Came> {
        async move {
            match to {
                Destination::Telegram { chat } => self.send(chat, words, clock).await,
                _ => Came::refused(Refusal::Receiver, "it is no chat of Telegram's"),
            }
        }
        .boxed()
    }
}

fn came(answer: Answer, clock: &dyn Clock) -> Came {
    match answer {
        Answer::Sent => Came::there(),
        Answer::Later { retry_after_s, why } => {
            let now_ms = u64::try_from(clock.now().timestamp_millis()).unwrap_or(0);
            let at_ms = retry_after_s.map(|wait_s| now_ms.saturating_add(wait_s.saturating_mul(1_000)));
            Came::later(at_ms, why)
        }
        Answer::NoChat(why) => Came::refused(Refusal::Receiver, why),
        Answer::BadMessage(why) => Came::refused(Refusal::Message, why),
        Answer::Trouble(why) => Came::later(None, why),
    }
}

/// What a request without an answer means.
pub(super) fn unanswered(error: &HttpError) -> Came {
    let trouble = match error {
        HttpError::Broken(_) => Trouble::Broken,
        HttpError::TooSlow => Trouble::Timeout,
        HttpError::TooLong(_) => Trouble::Protocol,
    };
    Came::failed(trouble, error.to_string())
}

#[cfg(test)]
mod tests;
