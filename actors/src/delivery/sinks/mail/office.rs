//! Connections to the mail server: a few at once, kept for a while, each used for one letter after the other.
//!
//! A letter is handed over step by step (RFC 5321 §3.3), since it matters to which of them the server says no.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters, TlsParametersBuilder};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use millrace_protocols::delivery::verdict::Trouble;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::IDLE_KEPT;
use super::server::{Encryption, Server};

/// For a connection, the name's resolution and the encryption included.
const CONNECT: Duration = Duration::from_secs(8);
/// How many letters are handed over at once.
const AT_ONCE_MAX: usize = 4;
/// How much of what a server says is kept, in characters.
const SAID_CHARS_MAX: usize = 300;

/// A mail server's counter.
pub(super) struct Office {
    server: Server,
    hello: ClientId,
    turns: Semaphore,
    idle: Mutex<Vec<Idle>>,
    /// Made for the first encrypted connection: a bare machine may have no certificates.
    tls: Mutex<Option<TlsParameters>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

/// A step of handing a letter over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Up to the greeting, encryption included.
    Connection,
    /// The password.
    Account,
    /// From whom.
    Sender,
    /// To whom.
    Recipient,
    /// The letter.
    Content,
}

/// Why a letter was not taken, or why that is not known.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) stage: Stage,
    /// What the server answered, if it did.
    pub(super) code: Option<u16>,
    /// Why there was no answer.
    pub(super) trouble: Option<Trouble>,
    said: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Connection => "connecting to the mail server",
            Stage::Account => "its password",
            Stage::Sender => "the sender",
            Stage::Recipient => "the recipient",
            Stage::Content => "the message",
        };
        write!(f, "{stage}: {}", self.said)
    }
}

impl Failure {
    fn new(stage: Stage, error: &SmtpError) -> Self {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let said = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
        let code = error.status().map(u16::from);
        let trouble = match stage {
            _ if error.is_timeout() => Trouble::Timeout,
            _ if error.is_tls() => Trouble::Tls,
            _ if error.is_response() => Trouble::Protocol,
            Stage::Connection => Trouble::Connect,
            Stage::Account | Stage::Sender | Stage::Recipient | Stage::Content => Trouble::Broken,
        };
        Self { stage, code, trouble: code.is_none().then_some(trouble), said: without_addresses(&said) }
    }

    fn of(stage: Stage, trouble: Trouble, said: &str) -> Self {
        Self { stage, code: None, trouble: Some(trouble), said: said.to_owned() }
    }

    /// Whether the server says that there is no such mailbox, in a code of RFC 3463. Whatever else it says may be of the sender or of a
    /// mailbox that is full, also without such a code: servers keep what they have against a sender until a recipient is named.
    pub(super) fn is_of_the_recipient(&self) -> bool {
        self.has_said(&["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])
    }

    /// Whether it says that it cannot take this letter: its form, or its size.
    pub(super) fn is_of_the_letter(&self) -> bool {
        self.has_said(&["5.3.4", "5.6.0", "5.6.1", "5.6.2", "5.6.3", "5.6.5", "5.6.6", "5.6.7", "5.6.9"])
    }

    fn has_said(&self, codes: &[&str]) -> bool {
        self.said.split_whitespace().any(|word| codes.contains(&word))
    }
}

/// What a server says often names the recipient; he is to be in no file of attempts.
fn without_addresses(said: &str) -> String {
    let words = said.split_whitespace().map(|word| if word.contains('@') { "[address]" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|letter| !letter.is_control()).take(SAID_CHARS_MAX).collect()
}

impl Office {
    pub(super) fn new(server: Server, hello: String) -> Self {
        let turns = Semaphore::new(AT_ONCE_MAX);
        Self { server, hello: ClientId::Domain(hello), turns, idle: Mutex::default(), tls: Mutex::default() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close_idle(&self) {
        self.idle().retain(|kept| kept.since.elapsed() < IDLE_KEPT);
    }

    /// Hands one letter over. Dropped in between, its connection is closed with it.
    pub(super) async fn hand_over(&self, envelope: &Envelope, letter: &[u8]) -> Result<(), Failure> {
        let _turn = self.turns.acquire().await.expect("nobody closes the turns");
        let mut connection = match self.take_idle().await {
            Some(connection) => connection,
            None => self.open().await?,
        };
        // Whatever it refused, the next letter gets a fresh connection.
        steps(&mut connection, envelope, letter).await?;
        self.idle().push(Idle { connection, since: Instant::now() });
        Ok(())
    }

    /// One that is still answered.
    async fn take_idle(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut kept = self.idle().pop()?;
            let is_young = kept.since.elapsed() < IDLE_KEPT;
            if is_young && timeout(CONNECT, kept.connection.test_connected()).await == Ok(true) {
                return Some(kept.connection);
            }
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Failure> {
        let opening = timeout(CONNECT, self.connect()).await;
        let too_slow = |_| Failure::of(Stage::Connection, Trouble::Timeout, "it took too long");
        let mut connection = opening.map_err(too_slow)??;
        if let Some(account) = &self.server.account {
            let credentials = Credentials::new(account.user.clone(), account.password.clone());
            let known = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await;
            known.map_err(|error| Failure::new(Stage::Account, &error))?;
        }
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let failure = |error: SmtpError| Failure::new(Stage::Connection, &error);
        let place = (self.server.host.as_str(), self.server.port);
        let tls = match self.server.encryption {
            Encryption::Tls => Some(self.tls().map_err(failure)?),
            Encryption::StartTls | Encryption::IfOffered => None,
        };
        let connecting = AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT), &self.hello, tls, None);
        let mut connection = connecting.await.map_err(failure)?;
        let upgrades = match self.server.encryption {
            Encryption::Tls => false,
            // Says so where the server cannot.
            Encryption::StartTls => true,
            Encryption::IfOffered => connection.can_starttls(),
        };
        if upgrades {
            let tls = self.tls().map_err(failure)?;
            connection.starttls(tls, &self.hello).await.map_err(failure)?;
        }
        Ok(connection)
    }

    fn tls(&self) -> Result<TlsParameters, SmtpError> {
        let mut kept = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = &*kept {
            return Ok(tls.clone());
        }
        let mut builder = TlsParametersBuilder::new(self.server.host.clone());
        if let Some(authority) = &self.server.authority {
            builder = builder.add_root_certificate(Certificate::from_pem(authority.as_bytes())?);
        }
        let tls = builder.build_rustls()?;
        *kept = Some(tls.clone());
        Ok(tls)
    }
}

async fn steps(connection: &mut AsyncSmtpConnection, envelope: &Envelope, letter: &[u8]) -> Result<(), Failure> {
    let at = |stage: Stage| move |error: SmtpError| Failure::new(stage, &error);
    connection.command(Mail::new(envelope.from().cloned(), vec![])).await.map_err(at(Stage::Sender))?;
    for recipient in envelope.to() {
        connection.command(Rcpt::new(recipient.clone(), vec![])).await.map_err(at(Stage::Recipient))?;
    }
    connection.command(Data).await.map_err(at(Stage::Content))?;
    connection.message(letter).await.map_err(at(Stage::Content))?;
    Ok(())
}
