//! A sink's turn in a run: what it was not told yet, one after the other, each settled in the database before the next.

use chrono::DateTime;

use super::feed::{FeedError, Page, Told};
use super::progress::{Moment, Progress, Step, Stopped};
use super::run::{Fatal, Named, Resumed, Run};
use super::store::{GivenUp, Kept, Known, Lease, StoreError};
use super::summary::{NAMED_MAX, SinkReport, Stands};
use crate::delivery::sinks::{Ended, Message};

/// How long a lease holds from its last renewal, in milliseconds: whatever ends a run, the next one waits no longer.
pub(super) const LEASE_MS: u64 = 60_000;
/// A lease that ends sooner than this is renewed before an attempt, in milliseconds: an attempt takes 20 s at most.
const LEASE_MARGIN_MS: u64 = 35_000;
/// How often one notification is sent in one run: again at once only where a connection had gone stale.
const ATTEMPTS_AT_ONCE_MAX: usize = 3;

/// A sink's turn.
pub(super) struct Turn<'r> {
    run: &'r Run,
    sink: &'r Named,
    lease: Option<Lease>,
    sent: u64,
    report: SinkReport,
}

/// Why a turn ends before everything was told.
enum Break {
    At(Stands),
    Fatal(Fatal),
}

impl From<StoreError> for Break {
    fn from(error: StoreError) -> Self {
        Self::Fatal(error.into())
    }
}

impl<'r> Turn<'r> {
    pub(super) fn new(run: &'r Run, sink: &'r Named) -> Self {
        Self { run, sink, lease: None, sent: 0, report: SinkReport::new(&sink.name) }
    }

    /// Tells it everything, or as much as may be.
    pub(super) async fn make(&mut self) -> Result<Stands, Fatal> {
        let lease = self.new_lease();
        let Some(mut progress) = self.run.store.take(&self.known(), lease, self.run.now_ms()).await? else {
            self.report.error = Some("another run serves it".to_owned());
            return Ok(Stands::Busy);
        };
        self.lease = Some(lease);
        if self.sink.resumed == Resumed::Yes {
            progress.resume();
        }
        if let Some(stopped) = progress.stopped {
            return Ok(self.stopped(stopped));
        }
        let ended = match self.tell(&mut progress).await {
            Ok(()) => Ok(Stands::CaughtUp),
            Err(Break::At(stands)) => Ok(stands),
            Err(Break::Fatal(fatal)) => Err(fatal),
        };
        // What was passed over since the last change is not looked at again.
        match self.keep(&progress).await {
            Ok(()) | Err(Break::At(_)) => ended,
            Err(Break::Fatal(fatal)) => ended.and(Err(fatal)),
        }
    }

    /// Gives the lease back and says what came of it.
    pub(super) async fn end(self) -> SinkReport {
        if let Some(lease) = self.lease
            && let Err(error) = self.run.store.release(&self.sink.name, lease.owner).await
        {
            // It ends by itself.
            tracing::warn!(sink = self.sink.name, %error, "a lease was not given back");
        }
        self.report
    }

    async fn tell(&mut self, progress: &mut Progress) -> Result<(), Break> {
        loop {
            if !self.run.goes_on() {
                return Err(Break::At(Stands::More));
            }
            let page = match self.run.feed.after(&progress.place).await {
                Err(FeedError::Foreign) if !self.report.began_again => {
                    tracing::warn!(sink = self.sink.name, "the desk does not know its place; it begins again by time");
                    self.report.began_again = true;
                    progress.begin_again();
                    self.keep(progress).await?;
                    continue;
                }
                page => page.map_err(|error| Break::Fatal(error.into()))?,
            };
            for told in unsettled(&page, progress) {
                self.serve(told, progress).await?;
            }
            // A page with nothing on it leads nowhere: what comes next comes after the same place.
            if !page.told.is_empty() {
                progress.turn_page(page.next.clone());
                self.keep(progress).await?;
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// One notification, until it is settled.
    async fn serve(&mut self, told: &Told, progress: &mut Progress) -> Result<(), Break> {
        if !self.sink.endpoint.filter.wants(&told.outgoing) {
            progress.settle(told);
            self.report.passed += 1;
            return Ok(());
        }
        for _ in 0..ATTEMPTS_AT_ONCE_MAX {
            if let Some(retry) = progress.waits(told.outgoing.id, self.run.now_ms()) {
                let stands = if self.report.error.is_some() { Stands::Failed } else { Stands::Waiting };
                self.report.retry_at =
                    i64::try_from(retry.not_before_ms).ok().and_then(DateTime::from_timestamp_millis);
                self.report.error = retry.error.clone();
                return Err(Break::At(stands));
            }
            if !self.run.goes_on() || self.sent >= self.run.messages_max {
                return Err(Break::At(Stands::More));
            }
            if self.attempt(told, progress).await? {
                return Ok(());
            }
        }
        Err(Break::At(Stands::Failed))
    }

    /// Sends it once; whether it is settled.
    async fn attempt(&mut self, told: &Told, progress: &mut Progress) -> Result<bool, Break> {
        self.renew(progress).await?;
        let attempt = progress.attempt(told.outgoing.id);
        let ended = self.deliver(told, attempt).await;
        self.sent += 1;
        let now = Moment { now_ms: self.run.now_ms(), schedule: &self.run.schedule, chance: Run::chance() };
        let error = said(&ended);
        match progress.attempted(told, (ended.outcome, error.as_deref()), now) {
            Step::Delivered => {
                self.report.delivered += 1;
                self.keep(progress).await?;
                Ok(true)
            }
            Step::GivenUp { attempts } => {
                self.give_up(progress, (told, attempts), error.as_deref()).await?;
                Ok(true)
            }
            Step::Later => {
                tracing::warn!(sink = self.sink.name, id = %told.outgoing.id, attempt, error, "a notification did not arrive");
                self.report.error = error;
                self.keep(progress).await?;
                Ok(false)
            }
            Step::Stopped(stopped) => {
                self.keep(progress).await?;
                Err(Break::At(self.stopped(stopped)))
            }
        }
    }

    async fn deliver(&self, told: &Told, attempt: u16) -> Ended {
        let (outgoing, started_ms) = (&told.outgoing, self.run.now_ms());
        let message = Message { outgoing, attempt, started_ms, clock: &*self.run.clock };
        self.sink.sink.deliver(message).await
    }

    async fn give_up(
        &mut self,
        progress: &Progress,
        (told, attempts): (&Told, u16),
        error: Option<&str>,
    ) -> Result<(), Break> {
        let id = told.outgoing.id;
        tracing::error!(sink = self.sink.name, %id, attempts, error, "a notification is given up");
        let given_up = GivenUp { told, at_ms: self.run.now_ms(), attempts, error };
        let lease = self.new_lease();
        let kept = self.run.store.give_up(&self.known(), progress, lease, given_up).await?;
        self.is_kept(kept, lease)?;
        self.report.given_up += 1;
        if self.report.given_up_ids.len() < NAMED_MAX {
            self.report.given_up_ids.push(id);
        }
        Ok(())
    }

    fn stopped(&mut self, stopped: Stopped) -> Stands {
        self.report.error = Some(stopped.sentence().to_owned());
        Stands::Stopped
    }

    fn known(&self) -> Known<'r> {
        let Named { name, address_sha256, since_ms, .. } = self.sink;
        Known { name, address_sha256, since_ms: *since_ms }
    }

    fn new_lease(&self) -> Lease {
        Lease { owner: self.run.id, until_ms: self.run.now_ms() + LEASE_MS }
    }

    /// Makes sure that the lease outlasts an attempt.
    async fn renew(&mut self, progress: &Progress) -> Result<(), Break> {
        let ends_ms = self.lease.map_or(0, |lease| lease.until_ms);
        if ends_ms < self.run.now_ms() + LEASE_MARGIN_MS { self.keep(progress).await } else { Ok(()) }
    }

    async fn keep(&mut self, progress: &Progress) -> Result<(), Break> {
        if self.lease.is_none() {
            return Err(Break::At(Stands::Lost));
        }
        let lease = self.new_lease();
        let kept = self.run.store.keep(&self.known(), progress, lease).await?;
        self.is_kept(kept, lease)
    }

    fn is_kept(&mut self, kept: Kept, lease: Lease) -> Result<(), Break> {
        match kept {
            Kept::Yes => {
                self.lease = Some(lease);
                Ok(())
            }
            Kept::Lost => {
                self.lease = None;
                self.report.error = Some("another run took it over".to_owned());
                Err(Break::At(Stands::Lost))
            }
        }
    }
}

/// What is on a page behind what is settled; all of it when that is not on it, since nothing may be lost.
fn unsettled<'p>(page: &'p Page, progress: &Progress) -> &'p [Told] {
    let settled = page.told.iter().position(|told| Some(told.outgoing.id) == progress.last);
    &page.told[settled.map_or(0, |settled| settled + 1)..]
}

/// What went wrong in an attempt, if something did.
fn said(ended: &Ended) -> Option<String> {
    use millrace_protocols::delivery::verdict::Outcome;
    let status = match ended.outcome {
        Outcome::Answered { status: 200..=299, .. } | Outcome::Accepted => return None,
        Outcome::Answered { status, .. } => Some(format!("it answered {status}")),
        Outcome::Refused(_) | Outcome::Failed(_) => None,
    };
    ended.error.clone().or(status).or_else(|| Some(crate::delivery::attempts::class(ended.outcome).to_owned()))
}
