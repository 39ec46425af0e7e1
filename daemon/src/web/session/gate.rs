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
use millrace_actors::operations::Operations;
use millrace_model::operator::{Action, By, OperatorActed};

use super::accounts::{Account, Accounts, AccountsError, AccountsFile};
use super::cookie::{Kept, SessionId};
use super::forms::Forms;
use super::lockout::{Admission, Lockout};
use super::offers::Offers;
use super::password::{self, Press};
use super::private_file;
use super::recorder::Recorder;
use super::require::Operator;
use super::sessions::{self, Change, Presence, Session, Sessions};
use super::totp::Right;
use super::watch::Watch;
use crate::bounded_file::read_text;
use crate::escape::excerpt;
use crate::web::frame::Transport;

const AGENT_CHARS_MAX: usize = 200;
/// Nobody waits longer for the disk to have the sessions.
const SAVED_WITHIN: Duration = Duration::from_secs(2);
/// Of a name that somebody claims.
const CLAIMED_CHARS_MAX: usize = 64;

/// Keeps accounts and sessions, and lets operators in.
pub struct Gate {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Transport,
    pub(super) forms: Forms,
    pub(super) file: AccountsFile,
    pub(super) press: Press,
    /// Changes the accounts' file: apart from the hashes, so that a disk that hangs keeps nobody out for want of a turn.
    pub(super) changes: Press,
    pub(super) offers: Offers,
    /// Knows the accounts.
    watch: Arc<Watch>,
    /// Takes what is done into the log.
    recorder: Recorder,
    sessions_file: PathBuf,
    state: Mutex<State>,
    /// Held while the sessions are written.
    writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    sessions: Sessions,
    lockout: Lockout,
}

/// What somebody says to be let in.
pub(super) struct Claim {
    pub(super) name: String,
    pub(super) password: String,
    /// Empty where none is asked for.
    pub(super) code: String,
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
    /// The accounts cannot be read, or not be written where they have to be.
    NoAccounts,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("transport", &self.transport).finish_non_exhaustive()
    }
}

impl Gate {
    /// The gate of a desk with this data folder. What cannot be read or written is a warning: a desk runs without
    /// operators, and whoever was let in stays in. What is done is told to `operations`, if there are any.
    pub fn open(
        data_dir: &Path,
        clock: Arc<dyn Clock>,
        transport: Transport,
        operations: Option<Operations>,
    ) -> Arc<Self> {
        let file = AccountsFile::of(data_dir);
        let watch = Watch::new(file.clone(), Arc::clone(&clock));
        match file.make(clock.now()) {
            Ok(_) => watch.look_now(),
            Err(error) => tracing::warn!(%error, "nobody can log in to the console"),
        }
        let sessions_file = data_dir.join(sessions::FILE);
        let sessions = known(&sessions_file);
        let state = Mutex::new(State { sessions, ..State::default() });
        Arc::new(Self {
            clock,
            transport,
            forms: Forms::default(),
            file,
            press: Press::default(),
            changes: Press::default(),
            offers: Offers::default(),
            watch,
            recorder: Recorder::new(operations),
            sessions_file,
            state,
            writing: Mutex::default(),
        })
    }

    /// Where the password of the first operator stands, as long as nobody has changed it.
    pub fn first_password_file(&self) -> Option<PathBuf> {
        Some(self.file.password_path()).filter(|path| path.exists())
    }

    /// Whose session a request belongs to.
    pub(super) async fn visitor(
        self: &Arc<Self>,
        headers: &HeaderMap,
        presence: Presence,
    ) -> Option<(SessionId, Session)> {
        let id = SessionId::in_headers(headers, self.transport)?;
        let (session, change) = self.seen(&id.kept(), presence).await?;
        if change == Change::Some {
            drop(self.save());
        }
        Some((id, session))
    }

    /// The session of this id, unless it has ended or its account is no more what it was.
    async fn seen(&self, id: &Kept, presence: Presence) -> Option<(Session, Change)> {
        // For no forged cookie anything is read; and whoever was ended while that lasted is out.
        self.state().sessions.seen(id, Presence::PageAlone, self.clock.now())?;
        let accounts = self.watch.accounts(presence).await?;
        let (session, change) = self.state().sessions.seen(id, presence, self.clock.now())?;
        accounts.get(&session.operator).filter(|account| account.generation == session.generation)?;
        Some((session, change))
    }

    /// Whether a session goes on.
    pub(super) async fn is_in(&self, id: &Kept) -> bool {
        self.seen(id, Presence::PageAlone).await.is_some()
    }

    /// Lets somebody in who says the right things.
    pub(super) async fn log_in(self: &Arc<Self>, claim: Claim) -> Result<SessionId, Refused> {
        let name: String = claim.name.trim().to_ascii_lowercase().chars().take(CLAIMED_CHARS_MAX).collect();
        let accounts = self.accounts().await.ok_or(Refused::NoAccounts)?;
        let admission = self.admit(&name, claim.address)?;
        let account = accounts.get(&name).cloned();
        let checked = self.check(account.as_ref(), claim.password, claim.code).await;
        if let Err(refused) = checked {
            self.count(refused, admission, (&name, claim.address), account.as_ref()).await;
        }
        let (right, account) = (checked?, account.ok_or(Refused::Wrong)?);
        self.state().lockout.right(&name, claim.address);
        let action = if right == Some(Right::Recovery) { Action::LogInByRecovery } else { Action::LogIn };
        self.record(By::Operator(name), action, Some(format!("from {}", claim.address))).await;
        Ok(self.enter(&account, claim.address, &claim.agent).await)
    }

    /// Whether somebody who is in knows the password. He has as many attempts as somebody who is not.
    pub(super) async fn confirm(&self, name: &str, password: String, address: IpAddr) -> Result<(), Refused> {
        let accounts = self.accounts().await.ok_or(Refused::NoAccounts)?;
        let admission = self.admit(name, address)?;
        let account = accounts.get(name).ok_or(Refused::Wrong)?;
        let checked = self.check_password(Some(account), password).await;
        if let Err(refused) = checked {
            self.count(refused, admission, (name, address), Some(account)).await;
        }
        checked?;
        self.state().lockout.right(name, address);
        Ok(())
    }

    fn admit(&self, name: &str, address: IpAddr) -> Result<Admission, Refused> {
        match self.state().lockout.attempt(name, address, self.clock.now()) {
            Admission::Locked(wait) => Err(Refused::Locked(wait)),
            admitted => Ok(admitted),
        }
    }

    /// An attempt that was refused for another reason than being wrong counts for nothing.
    async fn count(
        &self,
        refused: Refused,
        admission: Admission,
        (name, address): (&str, IpAddr),
        account: Option<&Account>,
    ) {
        match (refused, admission) {
            (Refused::Wrong, Admission::Last) => self.locked_out(account, address).await,
            (Refused::Wrong, _) => {}
            _ => self.state().lockout.take_back(name, address),
        }
    }

    /// How the code was right, where the account has codes.
    async fn check(
        self: &Arc<Self>,
        account: Option<&Account>,
        password: String,
        code: String,
    ) -> Result<Option<Right>, Refused> {
        self.check_password(account, password).await?;
        match account.filter(|account| account.codes.is_some()) {
            Some(account) => self.take_code(&account.name, code).await.map(Some),
            None => Ok(None),
        }
    }

    async fn check_password(&self, account: Option<&Account>, password: String) -> Result<(), Refused> {
        let hash = account.map(|account| account.password.clone());
        let checked = self.press.run(move || password::is_right(&password, hash.as_deref())).await;
        match checked.map_err(|_| Refused::Crowded)? {
            true => Ok(()),
            false => Err(Refused::Wrong),
        }
    }

    /// Uses a code up: in the file, so that it counts no second time whoever asks.
    async fn take_code(self: &Arc<Self>, name: &str, code: String) -> Result<Right, Refused> {
        let (gate, name, now) = (Arc::clone(self), name.to_owned(), self.now());
        let taking = self.changes.run(move || {
            gate.file.change(|accounts| {
                let codes = accounts.get_mut(&name)?.codes.as_mut();
                codes.and_then(|codes| codes.take(&code, now)).ok_or(AccountsError::Code)
            })
        });
        taking.await.map_err(|_| Refused::Crowded)?.map_err(|error| match error {
            AccountsError::Code | AccountsError::Unknown(_) => Refused::Wrong,
            error => {
                tracing::warn!(%error, "a code cannot be used up, so nobody is let in with it");
                Refused::NoAccounts
            }
        })
    }

    /// What somebody claims to be called may be anything, so it is said only where it is a name.
    async fn locked_out(&self, account: Option<&Account>, address: IpAddr) {
        let name = account.map_or("an unknown name", |account| &account.name);
        self.record(By::Stranger, Action::LockOut, Some(format!("{name}, from {address}"))).await;
    }

    /// Tells the log.
    pub(super) async fn record(&self, by: By, action: Action, subject: Option<String>) {
        self.recorder.record(OperatorActed { by, action, subject, note: None }, self.now()).await;
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
        let accounts = self.accounts().await.expect("the file was made");
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

    /// An account's sessions, the last seen first.
    pub(super) fn sessions_of(&self, account: &Account) -> Vec<Session> {
        self.state().sessions.of(&account.name, &account.generation, self.now())
    }

    /// The session goes on with the new password, and no other of the operator does.
    pub(super) async fn renew(self: &Arc<Self>, operator: &Operator, generation: &str) {
        self.state().sessions.renew(operator.session(), generation);
        self.end(&operator.name, |session| session.id != *operator.session()).await;
    }

    /// The accounts as the file has them now, or as it had them last.
    pub(super) async fn accounts(&self) -> Option<Arc<Accounts>> {
        self.watch.accounts(Presence::Somebody).await
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A panic while the lock was held leaves something usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the sessions are on the disk. A disk that takes nothing, or hangs, is no reason to keep an operator out.
    async fn saved(self: &Arc<Self>) {
        let _ = tokio::time::timeout(SAVED_WITHIN, self.save()).await;
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
