//! What an endpoint's answer, or that there is none, means for the notification and for the endpoint.

use chrono::DateTime;

use super::policy::{Chance, Schedule, jitter};

/// The longest that `Retry-After` pauses an endpoint, in milliseconds.
pub const PAUSE_MS_MAX: u64 = 24 * 3_600_000;
/// How much later than asked it goes on at most, so that not all come at the same moment, in milliseconds.
const PAUSE_JITTER_MS: u64 = 1_000;
/// How long after a crash or on a stale connection the same is sent again, in milliseconds.
const AT_ONCE_MS: u64 = 0;
/// How long after it could not be read a notification is read again, in milliseconds.
const UNREAD_MS: u64 = 5_000;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was an answer.
    Answered {
        /// Its status.
        status: u16,
        /// Until when `Retry-After` asks to wait, in milliseconds since 1970.
        retry_after_ms: Option<u64>,
        /// What `webhook-delivery` asks for.
        directive: Option<Directive>,
    },
    /// A receiver that does not speak HTTP has it.
    Accepted,
    /// A receiver that does not speak HTTP does not take it.
    Refused(Refusal),
    /// There was no answer.
    Failed(Trouble),
}

/// What a receiver that does not speak HTTP refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// To take it for now.
    ForNow {
        /// Until when it asks to be left alone, in milliseconds since 1970.
        retry_at_ms: Option<u64>,
    },
    /// To take this one ever; it takes others.
    Message,
    /// Everything: there is no such receiver, or no more.
    Receiver,
}

/// What an answer's header `webhook-delivery` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Directive {
    /// Send nothing any more.
    Disable,
    /// Do not send this one again.
    AbortMessage,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// The address is one that is never called.
    Forbidden,
    /// Its name could not be resolved.
    Resolve,
    /// No connection came about.
    Connect,
    /// Nothing encrypted came about.
    Tls,
    /// The connection, a fresh one, broke.
    Broken,
    /// The connection had been idle, and its other side closed it meanwhile.
    Stale,
    /// Not in time.
    Timeout,
    /// The answer is no HTTP.
    Protocol,
    /// The process ended before it knew.
    Unknown,
    /// The notification could not be read; nothing was sent.
    Unread,
    /// There is no such notification any more; nothing was sent.
    Missing,
}

/// What becomes of the notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrived.
    Delivered,
    /// It is sent again, not before this time.
    Retry {
        /// In milliseconds since 1970.
        not_before_ms: u64,
    },
    /// The receiver does not want it: it is settled.
    Aborted,
    /// It was tried as often as the schedule allows while others arrived: it is settled, and the endpoint is served.
    GivenUp,
    /// The endpoint is disabled and the notification stays owed.
    Disable(Reason),
}

/// Why an endpoint is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It answered 410, or there is no such receiver.
    Gone,
    /// It asked for it by `webhook-delivery`.
    Asked,
    /// A notification was tried as often as the schedule allows, and none arrived meanwhile.
    Exhausted,
}

/// What the attempt says of the endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It takes notifications.
    Well,
    /// It is asked for more than it can do.
    Overloaded,
    /// It does not take them.
    Failing,
    /// Nothing.
    Silent,
}

/// What was before an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// How many of the schedule's failures the notification had.
    pub failures: u32,
    /// How many others had arrived at the endpoint when it failed first.
    pub arrived_then: u64,
    /// How many have by now.
    pub arrived: u64,
}

impl Past {
    /// An endpoint that took another one since is there: then it is the notification that it does not take.
    fn at_the_end(self) -> Fate {
        match self.failures > 0 && self.arrived > self.arrived_then {
            true => Fate::GivenUp,
            false => Fate::Disable(Reason::Exhausted),
        }
    }
}

/// All that follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Of the notification.
    pub fate: Fate,
    /// Of the endpoint.
    pub health: Health,
    /// The endpoint is left alone until this time.
    pub pause_until_ms: Option<u64>,
    /// How many of the schedule's failures the notification has now.
    pub failures: u32,
}

/// Judges an attempt that ended at `now_ms`.
pub fn judge(outcome: Outcome, schedule: &Schedule, past: Past, now_ms: u64, chance: Chance) -> Verdict {
    let failures = past.failures;
    let health = health(outcome);
    let pause_until_ms = pause_until(outcome, now_ms, chance);
    let settled = |fate| Verdict { fate, health, pause_until_ms, failures };
    match outcome {
        Outcome::Answered { directive: Some(Directive::Disable), .. } => settled(Fate::Disable(Reason::Asked)),
        Outcome::Answered { status: 200..=299, .. } | Outcome::Accepted => settled(Fate::Delivered),
        Outcome::Answered { status: 410, .. } | Outcome::Refused(Refusal::Receiver) => {
            settled(Fate::Disable(Reason::Gone))
        }
        Outcome::Answered { directive: Some(Directive::AbortMessage), .. } | Outcome::Refused(Refusal::Message) => {
            settled(Fate::Aborted)
        }
        Outcome::Failed(Trouble::Stale | Trouble::Unknown) => {
            settled(Fate::Retry { not_before_ms: now_ms + AT_ONCE_MS })
        }
        Outcome::Failed(Trouble::Unread) => settled(Fate::Retry { not_before_ms: now_ms + UNREAD_MS }),
        Outcome::Failed(Trouble::Missing) => settled(Fate::Aborted),
        Outcome::Answered { .. } | Outcome::Refused(Refusal::ForNow { .. }) | Outcome::Failed(_) => {
            let failures = failures.saturating_add(1);
            let fate = match schedule.delay_ms(failures, chance) {
                Some(delay_ms) => {
                    let scheduled_ms = now_ms.saturating_add(delay_ms);
                    Fate::Retry { not_before_ms: scheduled_ms.max(pause_until_ms.unwrap_or(0)) }
                }
                None => past.at_the_end(),
            };
            Verdict { fate, health, pause_until_ms, failures }
        }
    }
}

fn health(outcome: Outcome) -> Health {
    match outcome {
        Outcome::Answered { status: 200..=299, .. } | Outcome::Accepted => Health::Well,
        Outcome::Answered { status: 429 | 502 | 503 | 504, .. }
        | Outcome::Refused(Refusal::ForNow { retry_at_ms: Some(_) })
        | Outcome::Failed(Trouble::Timeout) => Health::Overloaded,
        Outcome::Failed(Trouble::Stale | Trouble::Unknown | Trouble::Unread | Trouble::Missing) => Health::Silent,
        Outcome::Answered { .. } | Outcome::Refused(_) | Outcome::Failed(_) => Health::Failing,
    }
}

/// Never before the time asked for, unless that is more than a day away.
fn pause_until(outcome: Outcome, now_ms: u64, chance: Chance) -> Option<u64> {
    let asked_ms = match outcome {
        Outcome::Answered { status: 429 | 503, retry_after_ms, .. } => retry_after_ms?,
        Outcome::Refused(Refusal::ForNow { retry_at_ms }) => retry_at_ms?,
        Outcome::Answered { .. } | Outcome::Accepted | Outcome::Refused(_) | Outcome::Failed(_) => return None,
    };
    let kept_ms = asked_ms.min(now_ms.saturating_add(PAUSE_MS_MAX));
    (kept_ms > now_ms).then(|| kept_ms.saturating_add(jitter(PAUSE_JITTER_MS, chance)))
}

/// The time that a `Retry-After` of an answer received at `now_ms` asks for, in milliseconds since 1970: a number of seconds
/// or an HTTP date (RFC 9110 §10.2.3). Anything else asks for nothing.
pub fn retry_after_ms(value: &str, now_ms: u64) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(now_ms.saturating_add(seconds.saturating_mul(1_000)));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    u64::try_from(date.timestamp_millis()).ok()
}

/// What a `webhook-delivery` asks for.
pub fn directive(value: &str) -> Option<Directive> {
    match value.trim().to_ascii_lowercase().as_str() {
        "disable" => Some(Directive::Disable),
        "abort-message" => Some(Directive::AbortMessage),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
