//! The desk's own stream: appended to by operators, followed for the switches.

use std::convert::Infallible;

use millrace_model::alert::Alert;
use millrace_model::desk::{
    Closed, Desk, Event, HaltCause, Halted, Resumed, Setting, SpendsMatched, SweepSeen, Switch, SwitchSet,
    TransferDeclared,
};
use millrace_model::event;
use millrace_model::ids::{CommandId, Position, StreamName, Version};
use millrace_model::operator::{By, OperatorActed};
use millrace_model::spend::Spend;
use tokio::sync::watch;

use super::{Declared, Note, OperateError, Transfer};
use crate::event_store::{Append, AppendError, Expected, ReadError, Store, Write};
use crate::supervision::Reporter;

/// How many events are looked through at once.
const PAGE_EVENTS_MAX: usize = 4_096;
/// How often a command is decided afresh when others were faster.
const CONFLICTS_MAX: usize = 16;

/// A desk with everything off: what is true until the log says better.
pub(super) fn closed() -> Desk {
    let off = |switch| Event::from(SwitchSet { switch, setting: Setting::Off, note: String::new() });
    let desk = Desk::default().evolve(&off(Switch::Binds));
    desk.evolve(&off(Switch::Purchases)).evolve(&off(Switch::Sends))
}

/// The stream and where its switches are shown.
#[derive(Debug, Clone)]
pub(super) struct DeskStream {
    store: Store,
    switches: watch::Sender<Desk>,
}

/// The desk, and the place in the log it stands for.
#[derive(Debug, Clone, Default)]
struct Stood {
    desk: Desk,
    version: Version,
    position: Position,
}

impl Stood {
    fn take_in(&mut self, recorded: &event::Recorded) {
        let event::Event::Desk(event) = &recorded.event else { return };
        if recorded.version > self.version {
            self.desk = std::mem::take(&mut self.desk).evolve(event);
            (self.version, self.position) = (recorded.version, recorded.position);
        }
    }
}

impl DeskStream {
    pub(super) fn new(store: Store, switches: watch::Sender<Desk>) -> Self {
        Self { store, switches }
    }

    /// Shows where the switches stand, for as long as the incarnation lives.
    pub(super) async fn follow(self, report: &Reporter) -> Result<Infallible, OperateError> {
        let mut bell = self.store.bell();
        let mut seen = self.store.head();
        let mut stood = self.stood(Stood::default())?;
        // Also when nothing changes by it: from now on it is known.
        self.switches.send_replace(stood.desk.clone());
        loop {
            self.show(&stood.desk, report);
            bell.changed().await.map_err(|_| OperateError::Unavailable("the event store is gone".to_owned()))?;
            while seen < self.store.head() {
                match self.store.recent_after(seen, PAGE_EVENTS_MAX) {
                    Some(page) if page.last().is_some() => {
                        page.events().for_each(|recorded| stood.take_in(recorded));
                        seen = page.last().expect("just looked");
                    }
                    // So much happened at once that it is not at hand any more; the stream alone is short.
                    Some(_) | None => {
                        seen = self.store.head();
                        stood = self.stood(stood)?;
                    }
                }
            }
        }
    }

    /// Stores where a switch stands from now on.
    pub(super) async fn set_switch(&self, switch: Switch, setting: Setting, note: &Note, by: &By) -> Declared {
        let event = SwitchSet { switch, setting, note: note.as_str().to_owned() };
        self.change("SetSwitch", Some(by), |desk| (desk.setting(switch) != setting).then(|| event.clone().into())).await
    }

    /// Stores that the desk is halted.
    pub(super) async fn halt(&self, cause: HaltCause, by: Option<&By>) -> Declared {
        let event = Halted { cause };
        self.change("Halt", by, |desk| desk.halt().is_none().then(|| event.clone().into())).await
    }

    /// Stores that it is halted no more.
    pub(super) async fn resume(&self, note: &Note, by: &By) -> Declared {
        let event = Resumed { note: note.as_str().to_owned() };
        self.change("Resume", Some(by), |desk| desk.halt().is_some().then(|| event.clone().into())).await
    }

    /// Stores that a spend was taken for a declared sweep.
    pub(super) async fn sweep_seen(&self, spend: Spend) -> Declared {
        let is_new = |desk: &Desk| !desk.spends().is_known(spend.txid) && desk.spends().covers(spend.coins);
        self.change("SeeSweep", None, |desk| is_new(desk).then(|| SweepSeen { spend: spend.clone() }.into())).await
    }

    /// Stores up to which block all spends are accounted for.
    pub(super) async fn spends_matched(&self, block_seq: u64) -> Declared {
        let is_new = |desk: &Desk| desk.spends().matched_to().is_none_or(|before| before < block_seq);
        self.change("MatchSpends", None, |desk| is_new(desk).then(|| SpendsMatched { block_seq }.into())).await
    }

    /// Stores an alert that is news.
    pub(super) async fn alert(&self, alert: Alert) -> Declared {
        let is_new = |desk: &Desk| desk.alerts().is_new(&alert);
        self.change(alert.command(), None, |desk| is_new(desk).then(|| alert.clone().into())).await
    }

    /// Stores that somebody does something; once, however often it is asked for under this id.
    pub(super) async fn acted(&self, id: CommandId, acted: OperatorActed) -> Declared {
        let event = Event::from(acted);
        let body = event.payload();
        let mut conflicts = 0;
        loop {
            let stood = self.stood(Stood::default())?;
            match self.append(&stood, id, "RecordAct", &body, event.clone()).await {
                Err(AppendError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Stores what changes the desk as it is; nothing when nothing does.
    async fn change(
        &self,
        command: &'static str,
        by: Option<&By>,
        decide: impl Fn(&Desk) -> Option<Event>,
    ) -> Declared {
        let mut conflicts = 0;
        loop {
            let stood = self.stood(Stood::default())?;
            let Some(event) = decide(&stood.desk) else { return Ok(stood.position) };
            let body = event.payload();
            let body = by.map_or(body.clone(), |by| by.sign(command, body));
            let parts = [&stood.version.to_string(), command, &body];
            let id = CommandId::following(stood.position, &parts);
            match self.append(&stood, id, command, &body, event).await {
                Err(AppendError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                outcome => return Ok(outcome?),
            }
        }
    }

    /// Stores a declared transfer.
    pub(super) async fn declare(
        &self,
        transfer: Transfer,
        (note, by): (&Note, Option<&By>),
        key: Option<&str>,
    ) -> Declared {
        let Transfer { kind, place, coins } = transfer;
        let event = TransferDeclared { kind, place, coins, note: note.as_str().to_owned() };
        // The same transfer is the same whoever declares it again.
        let fact = serde_json::to_string(&event).expect("events have text keys");
        let body = by.map_or(fact.clone(), |by| by.sign("DeclareTransfer", fact.clone()));
        let mut conflicts = 0;
        loop {
            let stood = self.stood(Stood::default())?;
            let id = match key {
                Some(key) => CommandId::of_fact(&["DeclareTransfer", key, &fact]),
                None => CommandId::following(stood.position, &[&stood.version.to_string(), "DeclareTransfer", &body]),
            };
            match self.append(&stood, id, "DeclareTransfer", &body, event.clone().into()).await {
                Err(AppendError::Conflict { .. }) if conflicts < CONFLICTS_MAX => conflicts += 1,
                outcome => return Ok(outcome?),
            }
        }
    }

    async fn append(
        &self,
        stood: &Stood,
        command_id: CommandId,
        command: &'static str,
        body: &str,
        event: Event,
    ) -> Result<Position, AppendError> {
        let events = vec![event::Event::Desk(event)];
        let append = Append {
            command_id,
            command,
            body: body.to_owned(),
            // An operator or the clock did it; the stream's event before led to nothing.
            causation: None,
            correlation: None,
            writes: vec![Write::new(StreamName::Desk, Expected::Exactly(stood.version), events)],
        };
        self.store.append(append).await.map(|committed| committed.last)
    }

    /// Where the desk stands now, beginning from where it stood.
    fn stood(&self, mut stood: Stood) -> Result<Stood, ReadError> {
        let events = self.store.reader()?.stream(&StreamName::Desk, stood.version)?;
        events.iter().for_each(|recorded| stood.take_in(recorded));
        Ok(stood)
    }

    fn show(&self, desk: &Desk, report: &Reporter) {
        match desk.halt() {
            Some(cause) if desk.closed(Switch::Binds) == Some(Closed::Halted) => {
                report
                    .set("halted", format!("no address, order or payout goes out until an operator resumes: {cause}"));
            }
            Some(cause) => report.set("halted", format!("no order and no payout goes out: {cause}")),
            None => report.clear("halted"),
        }
        self.switches.send_if_modified(|shown| {
            let is_new = shown != desk;
            shown.clone_from(desk);
            is_new
        });
    }
}
