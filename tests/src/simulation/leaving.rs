//! What leaves the desk, looked at as it leaves: its intention is in the log by then, and the desk is not halted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use millrace_actors::event_store::{Append, AppendError, Expected, Reader, Store, Write};
use millrace_model::deposit::Event as DepositEvent;
use millrace_model::desk::{Desk, Event as DeskEvent, HaltCause, Halted, Resumed};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, Position, StreamName};

/// How many events are read at once.
const PAGE_EVENTS: usize = 4_096;

/// The door through which orders and payouts leave.
#[derive(Debug, Default)]
pub struct Leaving {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    log: Option<Arc<Reader>>,
    /// Orders and payouts that the log speaks of, by their ids, up to this position.
    intended: HashSet<String>,
    position: Position,
    is_halted: bool,
    /// The first that should have stayed.
    wrong: Option<String>,
}

impl Leaving {
    /// An order or a payout with this id leaves now.
    pub fn leaves(&self, id: &str) {
        let mut state = self.lock();
        if state.wrong.is_some() {
            return;
        }
        state.wrong = match state.is_intended(id) {
            _ if state.is_halted => Some(format!("the desk was halted, and {id} left it")),
            Ok(true) => None,
            Ok(false) => Some(format!("{id} left the desk before it was in the log")),
            Err(error) => Some(format!("{error:#}")),
        };
    }

    /// Whether all that left might leave.
    pub fn was_right(&self) -> Result<()> {
        match &self.lock().wrong {
            Some(wrong) => bail!("{wrong}"),
            None => Ok(()),
        }
    }

    /// A desk begins with this log, which may be another one and have forgotten something.
    pub fn begin(&self, log: Arc<Reader>) -> Result<()> {
        let is_halted = stood(&log)?.1.halt().is_some();
        let mut state = self.lock();
        *state = State { log: Some(log), is_halted, wrong: state.wrong.take(), ..State::default() };
        Ok(())
    }

    /// The operator halts the desk, or lets it go on. (When the log does not take it, all stays as it is.)
    pub async fn turn(&self, store: &Store) -> Result<()> {
        let (version, desk) = stood(&*store.reader()?)?;
        let was_halted = desk.halt().is_some();
        let note = "the story wants it".to_owned();
        let event: DeskEvent = match was_halted {
            false => Halted { cause: HaltCause::Operator { note } }.into(),
            true => Resumed { note }.into(),
        };
        if was_halted {
            // Something may leave before the answer is here.
            self.lock().is_halted = false;
        }
        let append = Append {
            command_id: CommandId::of_fact(&["halt", &version.to_string()]),
            command: "TurnHalt",
            body: "{}".to_owned(),
            causation: None,
            correlation: None,
            writes: vec![Write::new(StreamName::Desk, Expected::Exactly(version), vec![Event::Desk(event)])],
        };
        match store.append(append).await {
            Ok(_) => self.lock().is_halted = !was_halted,
            Err(AppendError::Unavailable(_)) => self.lock().is_halted = was_halted,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether the desk is halted.
    pub fn is_halted(&self) -> bool {
        self.lock().is_halted
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_intended(&mut self, id: &str) -> Result<bool> {
        while let Some(log) = self.log.clone()
            && let page = log.after(self.position, PAGE_EVENTS)?
            && let Some(last) = page.last()
        {
            self.position = last.position;
            self.intended.extend(page.iter().filter_map(|recorded| match &recorded.event {
                Event::Deposit(DepositEvent::OrderIntended(intended)) => Some(intended.order.cid.to_string()),
                Event::Deposit(DepositEvent::PayoutSigned(signed)) => Some(signed.txid.to_string()),
                _ => None,
            }));
        }
        Ok(self.intended.contains(id))
    }
}

fn stood(log: &Reader) -> Result<(u64, Desk)> {
    let events = log.stream(&StreamName::Desk, 0)?;
    let desk = events.iter().fold(Desk::default(), |desk, recorded| match &recorded.event {
        Event::Desk(event) => desk.evolve(event),
        _ => desk,
    });
    Ok((events.len() as u64, desk))
}
