//! Requests that go wrong between the exchange and its customer.

use std::collections::VecDeque;

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFault {
    /// Refused as one too many.
    Throttled,
    /// A proxy's page instead of an answer; the exchange never saw the request.
    Unavailable,
    /// A proxy's page instead of an answer; the exchange did what it was asked.
    ReplyLost,
}

/// Which of the next requests go wrong.
#[derive(Debug, Default)]
pub(super) struct WireFaults {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    endpoint: Option<String>,
    fault: WireFault,
    count: u32,
}

impl WireFaults {
    pub(super) fn add(&mut self, endpoint: Option<&str>, fault: WireFault, count: u32) {
        let endpoint = endpoint.map(str::to_ascii_lowercase);
        self.waiting.push_back(Waiting { endpoint, fault, count });
    }

    /// What befalls a request to this endpoint (in lower case).
    pub(super) fn befall(&mut self, endpoint: &str) -> Option<WireFault> {
        self.waiting.retain(|waiting| waiting.count > 0);
        let fits = |waiting: &&mut Waiting| waiting.endpoint.as_deref().is_none_or(|only| only == endpoint);
        let waiting = self.waiting.iter_mut().find(fits)?;
        waiting.count -= 1;
        Some(waiting.fault)
    }
}
