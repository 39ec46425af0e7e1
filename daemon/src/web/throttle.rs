//! How often one caller may call: a token bucket for each, with a real burst and bounded memory.
//!
//! A bucket is one number, the time at which it would be full again (the generic cell rate algorithm): a call is
//! allowed while that time is less than the burst away. Memory is two generations of callers; when the young one is
//! full the old one is forgotten, which costs a caller nothing but what he used up so long ago.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::client_ip::ClientIp;
use super::problem::Problem;
use crate::config::Pace;

/// Callers remembered in one generation; about 2 MiB for both.
const CALLERS_MAX: usize = 32_768;
const MINUTE_NS: u64 = 60_000_000_000;

/// The buckets of all callers of one group of routes.
#[derive(Debug)]
pub struct Throttle {
    /// Between two calls in the long run; 0 means no limit.
    interval_ns: u64,
    /// How far ahead of now a bucket may be before a call is refused.
    ahead_ns: u64,
    began: Instant,
    callers: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Caller, u64>,
    old: HashMap<Caller, u64>,
}

/// An IPv4 address, or the /64 block that one IPv6 subscriber has.
type Caller = u64;

impl Throttle {
    /// Buckets of this pace.
    pub fn new(pace: Pace) -> Arc<Self> {
        let interval_ns = if pace.per_minute == 0 { 0 } else { (MINUTE_NS / u64::from(pace.per_minute)).max(1) };
        let ahead_ns = interval_ns.saturating_mul(u64::from(pace.burst.max(1)) - 1);
        Arc::new(Self { interval_ns, ahead_ns, began: Instant::now(), callers: Mutex::default() })
    }

    /// Takes one call from the caller's bucket, or says how long to wait for the next.
    pub fn take(&self, ip: IpAddr, now: Instant) -> Result<(), Duration> {
        if self.interval_ns == 0 {
            return Ok(());
        }
        let now_ns = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        // A panic while the lock was held leaves a usable map.
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let full_ns = callers.full_ns(caller(ip)).max(now_ns);
        let wait_ns = (full_ns - now_ns).saturating_sub(self.ahead_ns);
        if wait_ns > 0 {
            return Err(Duration::from_nanos(wait_ns));
        }
        callers.set(caller(ip), full_ns.saturating_add(self.interval_ns));
        Ok(())
    }
}

impl Generations {
    fn full_ns(&self, caller: Caller) -> u64 {
        self.young.get(&caller).or_else(|| self.old.get(&caller)).copied().unwrap_or(0)
    }

    fn set(&mut self, caller: Caller, full_ns: u64) {
        if self.young.len() >= CALLERS_MAX && !self.young.contains_key(&caller) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(caller, full_ns);
    }
}

fn caller(ip: IpAddr) -> Caller {
    match ip {
        // Blocks that begin with 32 zero bits are given to nobody, so the two kinds do not meet.
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => u64::try_from(v6.to_bits() >> 64).unwrap_or(u64::MAX),
    }
}

/// Middleware: refuses with 429 and `Retry-After` when the caller's bucket is empty.
pub async fn limit(State(throttle): State<Arc<Throttle>>, client: ClientIp, request: Request, next: Next) -> Response {
    match throttle.take(client.0, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(wait) => too_many(wait).into_response(),
    }
}

fn too_many(wait: Duration) -> Problem {
    let message = "You have reached maximum request limit.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message).retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(last: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(last))
    }

    #[test]
    fn the_whole_burst_passes_at_once_and_then_one_call_an_interval() {
        let throttle = Throttle::new(Pace { per_minute: 60, burst: 5 });
        let mut now = Instant::now();
        for _ in 0..5 {
            assert_eq!(throttle.take(ip(1), now), Ok(()));
        }
        let wait = throttle.take(ip(1), now).unwrap_err();
        assert!(wait <= Duration::from_secs(1) && wait > Duration::from_millis(990), "{wait:?}");
        assert_eq!(throttle.take(ip(2), now), Ok(()), "another caller has a bucket of his own");
        now += wait;
        assert_eq!(throttle.take(ip(1), now), Ok(()));
        assert!(throttle.take(ip(1), now).is_err());
        now += Duration::from_secs(3600);
        assert_eq!((0..9).filter(|_| throttle.take(ip(1), now).is_ok()).count(), 5, "a pause fills it up, not over");
    }

    #[test]
    fn no_limit_means_no_limit() {
        let throttle = Throttle::new(Pace { per_minute: 0, burst: 1 });
        assert!((0..100).all(|_| throttle.take(ip(1), Instant::now()).is_ok()));
    }

    /// S5: a subscriber of IPv6 is one caller.
    #[test]
    fn a_subscriber_of_ipv6_is_one_caller_whatever_address_he_takes() {
        let throttle = Throttle::new(Pace { per_minute: 1, burst: 1 });
        let now = Instant::now();
        assert!(throttle.take("2001:db8:1:2::1".parse().unwrap(), now).is_ok());
        assert!(throttle.take("2001:db8:1:2:ffff::2".parse().unwrap(), now).is_err());
        assert!(throttle.take("2001:db8:1:3::1".parse().unwrap(), now).is_ok());
    }

    /// S5: memory stays bounded.
    #[test]
    fn memory_stays_bounded_and_recent_callers_are_remembered() {
        let throttle = Throttle::new(Pace { per_minute: 1, burst: 1 });
        let now = Instant::now();
        let callers = u32::try_from(3 * CALLERS_MAX).unwrap();
        for caller in 0..callers {
            assert!(throttle.take(ip(caller), now).is_ok());
        }
        assert!(throttle.take(ip(callers - 1), now).is_err());
        let generations = throttle.callers.lock().unwrap();
        assert!(generations.young.len() <= CALLERS_MAX && generations.old.len() <= CALLERS_MAX);
    }

    #[tokio::test]
    async fn a_caller_who_asks_too_often_is_told_when_to_come_back() {
        use axum::{Router, body::Body, middleware::from_fn_with_state, routing::get};
        use tower::ServiceExt;
        let throttle = Throttle::new(Pace { per_minute: 2, burst: 1 });
        let router = Router::new().route("/", get(|| async {})).layer(from_fn_with_state(throttle, limit));
        let ask = || router.clone().oneshot(Request::get("/").body(Body::empty()).unwrap());
        assert_eq!(ask().await.unwrap().status(), StatusCode::OK);
        let refused = ask().await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], "30");
    }

    proptest! {
        /// S5: never more than burst and rate.
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            per_minute in 1u32..10_000, burst in 1u32..50, pauses_ms in prop::collection::vec(0u64..500, 1..200),
        ) {
            let throttle = Throttle::new(Pace { per_minute, burst });
            let start = Instant::now();
            let mut now = start;
            let mut passed = 0u64;
            for pause in pauses_ms {
                now += Duration::from_millis(pause);
                passed += u64::from(throttle.take(ip(1), now).is_ok());
                let elapsed_ns = u64::try_from((now - start).as_nanos()).unwrap();
                prop_assert!(passed <= u64::from(burst) + elapsed_ns / throttle.interval_ns);
            }
        }
    }
}
