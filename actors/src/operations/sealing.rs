//! Operators' notes on their way into the log: none gets there as it was written. And whether the file that this takes is there.

use std::time::Duration;

use millrace_model::deposit::Command;
use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Position, StreamName};

use super::OperateError;
use crate::customer_keys::{CustomerKeys, KeysError, Subject};
use crate::deposits::Deposits;
use crate::event_store::{ReadError, Reader, Store};
use crate::supervision::Reporter;

/// The condition that says what is wrong with the file.
const CONDITION: &str = "customer_keys";
/// The pause between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How many events are looked through at once.
const PAGE_EVENTS_MAX: usize = 4_096;

/// The command with its note as ciphertext. Nothing is sealed for a command that the rules forbid.
pub(super) async fn sealed(
    deposits: &Deposits,
    keys: &CustomerKeys,
    id: DepositId,
    mut command: Command,
) -> Result<Command, OperateError> {
    let tracked = deposits.known(id)?;
    tracked.deposit.decide(&command)?;
    let Some(note) = command.note_mut() else { return Ok(command) };
    let (keys, subject, plain) = (keys.clone(), Subject::of(&tracked.deposit), note.clone());
    let place = StreamName::Deposit(id).to_string();
    *note = on_thread(move || keys.seal(&subject, &place, &plain))
        .await
        .map_err(|error| OperateError::NotSealed(error.to_string()))?;
    Ok(command)
}

/// Says in the health what is wrong with the file, for as long as it is.
pub(super) async fn watch(keys: CustomerKeys, store: Store, report: Reporter) {
    let mut missing = None;
    loop {
        let checked = match look(&keys, &store, missing.take()).await {
            Ok(Look::There) => None,
            Ok(Look::Missing(of)) => {
                missing = Some(of);
                let path = keys.path().display();
                Some(format!(
                    "{path} is not there, and notes in the log are sealed with its keys; put its backup there"
                ))
            }
            Err(error) => Some(error),
        };
        match checked {
            None => report.clear(CONDITION),
            Some(what) => report.set(CONDITION, what),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What was found.
enum Look {
    There,
    /// And the log has sealed notes, the first of them here.
    Missing(Position),
}

/// Looks at the file. Where there is none, the log says whether there should be: if not, it is made.
async fn look(keys: &CustomerKeys, store: &Store, missing: Option<Position>) -> Result<Look, String> {
    let told = |error: KeysError| error.to_string();
    let checking = keys.clone();
    if on_thread(move || checking.check()).await.map_err(told)? {
        return Ok(Look::There);
    }
    let first = match missing {
        Some(position) => Some(position),
        None => {
            let reader = store.reader().map_err(|error| error.to_string())?;
            on_thread(move || first_sealed(&reader)).await.map_err(|error| error.to_string())?
        }
    };
    let Some(first) = first else {
        let making = keys.clone();
        return on_thread(move || making.create()).await.map(|()| Look::There).map_err(told);
    };
    Ok(Look::Missing(first))
}

/// The place of the first sealed note in the log.
fn first_sealed(reader: &Reader) -> Result<Option<Position>, ReadError> {
    let mut after = 0;
    loop {
        let page = reader.after(after, PAGE_EVENTS_MAX)?;
        let Some(last) = page.last() else { return Ok(None) };
        after = last.position;
        for recorded in page {
            if let Event::Deposit(mut event) = recorded.event
                && event.note_mut().is_some_and(|note| crate::customer_keys::is_sealed(note))
            {
                return Ok(Some(recorded.position));
            }
        }
    }
}

/// The disk is waited for elsewhere than where all actors run.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("nothing in it panics")
}
