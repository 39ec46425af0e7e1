//! The gate: whom the desk knows, who is logged in, and who has to wait.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::USER_AGENT;
use millrace_actors::clock::Clock;

use super::accounts::{Account, Accounts, AccountsFile, Stamp};
use super::cookie::SessionId;
use super::forms::Forms;
use super::lockout::{Admission, Lockout};
use super::password::{self, Press};
use super::private_file;
use super::sessions::{self, Change, Session, Sessions};
use crate::bounded_file::read_text;
use crate::escape::excerpt;
use crate::web::frame::Transport;

const AGENT_CHARS_MAX: usize = 200;
/// Of a name that somebody claims.
const CLAIMED_CHARS_MAX: usize = 64;

/// Keeps accounts and sessions, and lets operators in.
pub struct Gate {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Transport,
    pub(super) forms: Forms,
    pub(super) file: AccountsFile,
    pub(super) press: Press,
    sessions_file: PathBuf,
    state: Mutex<State>,
    /// Held while the sessions are written.
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The file as it was when it was last read, well or not.
    stamp: Option<Stamp>,
    /// The accounts as they were last read well.
    accounts: Option<Arc<Accounts>>,
    sessions: Sessions,
    lockout: Lockout,
}

/// What somebody says to be let in.
pub(super) struct Claim {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) address: IpAddr,
    pub(super) agent: String,
}

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Name, password or code is wrong; nobody is told which.
    Wrong,
    /// Too many attempts were wrong.
    Locked(Duration),
    /// Too many try at once.
    Crowded,
    /// The accounts cannot be read.
    NoAccounts,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Gate {
    /// The gate of a desk with this data folder. What cannot be read or written is a warning: a desk runs without
    /// operators, and whoever was let in stays in.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>, transport: Transport) -> Arc<Self> {
        let file = AccountsFile::of(data_dir);
        if let Err(error) = file.make(clock.now()) {
            tracing::warn!(%error, "nobody can log in to the console");
        }
        let sessions_file = data_dir.join(sessions::FILE);
        let sessions = known(&sessions_file);
        let state = Mutex::new(State { sessions, ..State::default() });
        let (forms, press, writing) = (Forms::default(), Press::default(), Mutex::default());
        Arc::new(Self { clock, transport, forms, file, press, sessions_file, state, writing })
    }

    /// Where the password of the first operator stands, as long as nobody has changed it.
    pub fn first_password_file(&self) -> Option<PathBuf> {
        Some(self.file.password_path()).filter(|path| path.exists())
    }

    /// Whose session a request belongs to.
    pub(super) fn visitor(self: &Arc<Self>, headers: &HeaderMap) -> Option<(SessionId, Session)> {
        let id = SessionId::in_headers(headers, self.transport)?;
        let accounts = self.accounts()?;
        let (session, change) = self.state().sessions.seen(&id.kept(), self.clock.now())?;
        accounts.get(&session.operator).filter(|account| account.generation == session.generation)?;
        if change == Change::Some {
            drop(self.save());
        }
        Some((id, session))
    }

    /// Lets somebody in who says the right things.
    pub(super) async fn log_in(self: &Arc<Self>, claim: Claim) -> Result<SessionId, Refused> {
        let name: String = claim.name.trim().to_ascii_lowercase().chars().take(CLAIMED_CHARS_MAX).collect();
        let accounts = self.accounts().ok_or(Refused::NoAccounts)?;
        self.admit(&name, claim.address)?;
        let account = accounts.get(&name).cloned();
        self.check(account.as_ref(), claim.password).await?;
        let account = account.ok_or(Refused::Wrong)?;
        self.state().lockout.right(&name, claim.address);
        Ok(self.enter(&account, claim.address, &claim.agent).await)
    }

    fn admit(&self, name: &str, address: IpAddr) -> Result<(), Refused> {
        let admission = self.state().lockout.attempt(name, address, self.clock.now());
        match admission {
            Admission::Admitted | Admission::Last => Ok(()),
            Admission::Locked(wait) => Err(Refused::Locked(wait)),
        }
    }

    async fn check(&self, account: Option<&Account>, password: String) -> Result<(), Refused> {
        let hash = account.map(|account| account.password.clone());
        let checked = self.press.run(move || password::is_right(&password, hash.as_deref())).await;
        match checked.map_err(|_| Refused::Crowded)? {
            true => Ok(()),
            false => Err(Refused::Wrong),
        }
    }

    async fn enter(self: &Arc<Self>, account: &Account, address: IpAddr, agent: &str) -> SessionId {
        let id = SessionId::new(password::random());
        let now = self.clock.now();
        let (operator, generation) = (account.name.clone(), account.generation.clone());
        let agent = excerpt(agent, AGENT_CHARS_MAX);
        let session = Session { id: id.kept(), operator, generation, opened_at: now, seen_at: now, address, agent };
        self.state().sessions.open(session);
        self.saved().await;
        id
    }

    /// Somebody who is in, for the tests of pages: the cookie that his browser sends, and what his forms carry.
    #[cfg(test)]
    pub(in crate::web) async fn let_in(self: &Arc<Self>) -> (String, String) {
        let accounts = self.accounts().expect("the file was made");
        let id = self.enter(&accounts.operators[0], [127, 0, 0, 1].into(), "a test").await;
        let set = id.set(self.transport);
        let cookie = set.to_str().expect("plain words").split(';').next().unwrap_or_default().to_owned();
        (cookie, id.form_token())
    }

    /// Ends sessions of an operator; how many they were.
    pub(super) async fn end(self: &Arc<Self>, operator: &str, which: impl Fn(&Session) -> bool) -> usize {
        let ended = self.state().sessions.end(operator, which);
        self.saved().await;
        ended
    }

    /// The accounts as the file has them now, or as it had them last.
    pub(super) fn accounts(&self) -> Option<Arc<Accounts>> {
        let stamp = self.file.stamp();
        let mut state = self.state();
        if stamp != state.stamp {
            state.stamp = stamp;
            match self.file.read() {
                Ok(accounts) => state.accounts = Some(Arc::new(accounts)),
                Err(error) => tracing::warn!(%error, "the accounts stay as they were"),
            }
        }
        state.accounts.clone()
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A panic while the lock was held leaves something usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the sessions are on the disk. A disk that takes nothing is no reason to keep an operator out.
    async fn saved(self: &Arc<Self>) {
        let _ = self.save().await;
    }

    fn save(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let gate = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _turn = gate.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let text = gate.state().sessions.text();
            if let Err(error) = private_file::write(&gate.sessions_file, &text) {
                tracing::warn!(%error, "sessions are not kept: they end with this process");
            }
        })
    }
}

pub(super) fn agent_of(headers: &HeaderMap) -> String {
    headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned()).unwrap_or_default()
}

fn known(path: &Path) -> Sessions {
    let text = match read_text(path, sessions::FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(%error, "the sessions cannot be read: operators log in again");
            }
            return Sessions::default();
        }
    };
    Sessions::parse(&text).unwrap_or_else(|error| {
        tracing::warn!(%error, "the sessions cannot be understood: operators log in again");
        Sessions::default()
    })
}
