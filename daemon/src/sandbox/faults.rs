//! Faults on the wire, switched on by rule: which server, which operation, what goes wrong, and how often.
//!
//! A rule counts only requests it fits. Several rules may fit one request: every delay is served, and of the others the
//! oldest decides. Chance comes from a seed, so that a run can be repeated.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// The operation that stands for all of a server's.
pub const ANY_OPERATION: &str = "*";
/// So many rules at once are a mistake of whoever sets them.
const RULES_MAX: usize = 1_000;
/// Nobody waits longer than that for anything.
const DELAY_MS_MAX: u64 = 600_000;

/// The three servers of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Server {
    /// The Bitcoin node; its operations are RPC methods, such as `sendrawtransaction`.
    Bitcoin,
    /// The Skycoin node; its operations are paths without `/api/v1/` (`injectTransaction`), or with `v2/` in front.
    Skycoin,
    /// The exchange; its operations are paths without `/v1/` (`createorder`).
    C2cx,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// The request waits before it is looked at.
    Delay {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The server acts, and the answer waits.
    DelayReply {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// The server acts, and the connection closes without an answer.
    LoseReply,
    /// The connection closes, and the server never acts.
    LoseRequest,
    /// An error, and the server does not act.
    Fail {
        /// The HTTP status, 500 to 599.
        status: u16,
    },
    /// The server acts, and answers an error.
    FailAfterActing {
        /// The HTTP status, 500 to 599.
        status: u16,
    },
    /// This server's way of saying "too many requests"; it does not act.
    RateLimit,
    /// HTTP 200 with an answer that is none; the server does not act.
    Nonsense,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Where.
    pub server: Server,
    /// Which operation, or [`ANY_OPERATION`]; upper and lower case are the same.
    #[serde(default = "any_operation")]
    pub operation: String,
    /// What.
    #[serde(flatten)]
    pub effect: Effect,
    /// For so many requests, then never again; without it, until the rule is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// For so many of a thousand requests; without it, for every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_mille: Option<u32>,
}

fn any_operation() -> String {
    ANY_OPERATION.to_owned()
}

/// Why a rule is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Not a server's error.
    #[error("a failure has a status from 500 to 599")]
    Status,
    /// Too long a wait.
    #[error("a delay is at most {DELAY_MS_MAX} ms")]
    Delay,
    /// A chance above one.
    #[error("per_mille is at most 1000")]
    Chance,
    /// The list is full.
    #[error("there are {RULES_MAX} rules already; clear some")]
    TooMany,
}

impl Rule {
    fn check(&self) -> Result<(), RuleError> {
        match self.effect {
            Effect::Delay { ms } | Effect::DelayReply { ms } if ms > DELAY_MS_MAX => return Err(RuleError::Delay),
            Effect::Fail { status } | Effect::FailAfterActing { status } if !(500..=599).contains(&status) => {
                return Err(RuleError::Status);
            }
            Effect::Delay { .. }
            | Effect::DelayReply { .. }
            | Effect::LoseReply
            | Effect::LoseRequest
            | Effect::Fail { .. }
            | Effect::FailAfterActing { .. }
            | Effect::RateLimit
            | Effect::Nonsense => (),
        }
        if self.per_mille.is_some_and(|chance| chance > 1_000) { Err(RuleError::Chance) } else { Ok(()) }
    }

    fn fits(&self, server: Server, operations: &[String]) -> bool {
        let named = |operation: &String| self.operation.eq_ignore_ascii_case(operation);
        self.server == server && (self.operation == ANY_OPERATION || operations.iter().any(named))
    }
}

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Waited before anything else.
    pub delay: Duration,
    /// Waited before the answer.
    pub reply_delay: Duration,
    /// What happens instead of an ordinary answer.
    pub disturbance: Option<Disturbance>,
}

/// What happens instead of an ordinary answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// Act, then close.
    LoseReply,
    /// Close.
    LoseRequest,
    /// Answer this, without acting.
    Instead(Answer),
    /// Act, then answer this.
    Afterwards(Answer),
}

/// An answer that is not the server's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An error page, as a proxy makes it.
    Error(u16),
    /// Too many requests.
    RateLimit,
    /// Something that is no answer.
    Nonsense,
}

impl Answer {
    /// The answer as this server gives it.
    pub fn of(self, server: Server) -> Response<Body> {
        let (status, kind, text) = match (self, server) {
            (Self::Error(status), _) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, "text/html", format!("<html><body><h1>{status}</h1></body></html>"))
            }
            // Bitcoin Core knows no rate limit; this is what it says when too many requests wait.
            (Self::RateLimit, Server::Bitcoin) => {
                (StatusCode::SERVICE_UNAVAILABLE, "text/plain", "Work queue depth exceeded".to_owned())
            }
            (Self::RateLimit, Server::Skycoin) => {
                (StatusCode::TOO_MANY_REQUESTS, "text/plain", "429 Too Many Requests\n".to_owned())
            }
            (Self::RateLimit, Server::C2cx) => {
                let text = r#"{"code":400,"message":"Too Many Requests","data":{}}"#;
                (StatusCode::OK, "application/json", text.to_owned())
            }
            (Self::Nonsense, _) => (StatusCode::OK, "application/json", r#"{"surprise":[1,2,"#.to_owned()),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
    }
}

/// All rules that are on.
#[derive(Debug)]
pub struct Faults {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Vec<Rule>,
    chance: SmallRng,
}

impl Faults {
    /// No rules; chance from this seed.
    pub fn new(seed: u64) -> Self {
        Self { inner: Mutex::new(Inner { rules: Vec::new(), chance: SmallRng::seed_from_u64(seed) }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule.
    pub fn add(&self, rule: Rule) -> Result<(), RuleError> {
        rule.check()?;
        let mut inner = self.lock();
        if inner.rules.len() >= RULES_MAX {
            return Err(RuleError::TooMany);
        }
        inner.rules.push(rule);
        Ok(())
    }

    /// The rules that are still on, oldest first.
    pub fn list(&self) -> Vec<Rule> {
        self.lock().rules.clone()
    }

    /// Takes away all rules, or one server's; says how many.
    pub fn clear(&self, server: Option<Server>) -> usize {
        let mut inner = self.lock();
        let before = inner.rules.len();
        inner.rules.retain(|rule| server.is_some_and(|server| rule.server != server));
        before - inner.rules.len()
    }

    /// Decides what happens to a request for these operations (a batch has several), and counts it.
    pub fn plan(&self, server: Server, operations: &[String]) -> Plan {
        let mut plan = Plan::default();
        let mut inner = self.lock();
        let Inner { rules, chance } = &mut *inner;
        for rule in rules.iter_mut().filter(|rule| rule.fits(server, operations)) {
            if rule.per_mille.is_some_and(|per_mille| chance.random_range(0..1_000) >= per_mille) {
                continue;
            }
            if plan.take(rule.effect) {
                rule.times = rule.times.map(|times| times.saturating_sub(1));
            }
        }
        rules.retain(|rule| rule.times != Some(0));
        plan
    }
}

impl Plan {
    /// Adds an effect; `false` when an older one already decided.
    fn take(&mut self, effect: Effect) -> bool {
        let disturbance = match effect {
            Effect::Delay { ms } => {
                self.delay += Duration::from_millis(ms);
                return true;
            }
            Effect::DelayReply { ms } => {
                self.reply_delay += Duration::from_millis(ms);
                return true;
            }
            Effect::LoseReply => Disturbance::LoseReply,
            Effect::LoseRequest => Disturbance::LoseRequest,
            Effect::Fail { status } => Disturbance::Instead(Answer::Error(status)),
            Effect::FailAfterActing { status } => Disturbance::Afterwards(Answer::Error(status)),
            Effect::RateLimit => Disturbance::Instead(Answer::RateLimit),
            Effect::Nonsense => Disturbance::Instead(Answer::Nonsense),
        };
        let first = self.disturbance.is_none();
        if first {
            self.disturbance = Some(disturbance);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    fn plan(faults: &Faults, operation: &str) -> Option<Disturbance> {
        faults.plan(Server::Skycoin, &[operation.to_owned()]).disturbance
    }

    #[test]
    fn a_rule_for_the_next_requests_ends_after_them() {
        let faults = Faults::new(1);
        let json = r#"{"server":"skycoin","operation":"injectTransaction","effect":"lose_reply","times":2}"#;
        faults.add(rule(json)).unwrap();
        assert_eq!(plan(&faults, "health"), None);
        assert_eq!(faults.plan(Server::Bitcoin, &["injectTransaction".to_owned()]), Plan::default());
        assert_eq!(plan(&faults, "injecttransaction"), Some(Disturbance::LoseReply));
        assert_eq!(faults.list()[0].times, Some(1));
        assert_eq!(plan(&faults, "injectTransaction"), Some(Disturbance::LoseReply));
        assert_eq!(plan(&faults, "injectTransaction"), None);
        assert_eq!(faults.list(), []);
    }

    #[test]
    fn delays_add_up_and_the_oldest_other_rule_decides() {
        let faults = Faults::new(1);
        faults.add(rule(r#"{"server":"skycoin","effect":"delay","ms":5}"#)).unwrap();
        faults.add(rule(r#"{"server":"skycoin","effect":"fail","status":502,"times":1}"#)).unwrap();
        faults.add(rule(r#"{"server":"skycoin","effect":"rate_limit","times":1}"#)).unwrap();
        faults.add(rule(r#"{"server":"skycoin","effect":"delay","ms":7}"#)).unwrap();
        let operations = ["health".to_owned()];
        let first = faults.plan(Server::Skycoin, &operations);
        assert_eq!(first.delay, Duration::from_millis(12));
        assert_eq!(first.disturbance, Some(Disturbance::Instead(Answer::Error(502))));
        let second = faults.plan(Server::Skycoin, &operations);
        assert_eq!(second.disturbance, Some(Disturbance::Instead(Answer::RateLimit)), "it was not used up");
    }

    #[test]
    fn chance_repeats_with_the_same_seed_and_hits_about_as_often_as_it_says() {
        let hits = |seed| {
            let faults = Faults::new(seed);
            faults.add(rule(r#"{"server":"skycoin","effect":"nonsense","per_mille":250}"#)).unwrap();
            (0..1_000).map(|_| plan(&faults, "x").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(hits(7), hits(7));
        assert_ne!(hits(7), hits(8));
        let count = hits(7).iter().filter(|hit| **hit).count();
        assert!((180..320).contains(&count), "{count} of 1000");
    }

    #[test]
    fn impossible_rules_are_refused() {
        let faults = Faults::new(1);
        for (json, error) in [
            (r#"{"server":"c2cx","effect":"fail","status":200}"#, RuleError::Status),
            (r#"{"server":"c2cx","effect":"delay","ms":99999999}"#, RuleError::Delay),
            (r#"{"server":"c2cx","effect":"rate_limit","per_mille":1001}"#, RuleError::Chance),
        ] {
            assert_eq!(faults.add(rule(json)), Err(error));
        }
        assert!(serde_json::from_str::<Rule>(r#"{"server":"c2cx","effect":"explode"}"#).is_err());
    }

    #[test]
    fn clearing_one_server_leaves_the_others() {
        let faults = Faults::new(1);
        for server in ["bitcoin", "skycoin", "skycoin"] {
            faults.add(rule(&format!(r#"{{"server":"{server}","effect":"rate_limit"}}"#))).unwrap();
        }
        assert_eq!(faults.clear(Some(Server::Skycoin)), 2);
        assert_eq!(faults.list().len(), 1);
        assert_eq!(faults.clear(None), 1);
    }
}
