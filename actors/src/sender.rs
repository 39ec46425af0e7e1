//! Pays out: intention, signed bytes, broadcast, confirmation; one set of bytes for one deposit.
//!
//! The wallet signs without broadcasting, so nothing has happened before the bytes are in the log. From then on these
//! bytes are handed to the node as often as needed: after a restart, after a lost answer, after the node forgot them.
//! Other bytes are made only when a final transaction of somebody else has spent one of their inputs.

mod wallet;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use millrace_model::deposit::{Command, Deposit, HoldReason, SignedPayout, Stage};
use millrace_model::event::Event;
use millrace_model::ids::{DepositId, Hash32, StreamName};
use millrace_model::wallet::{InputsReserved, InputsSpent};
use millrace_protocols::payout::{Answer, Phase, SignedTransaction, Step};
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{Txid, UxId};
use millrace_protocols::wire::skycoin::rest::{Created, Payout, Refusal};
use tokio::time::Instant;

use crate::deposits::{Deposits, ExecuteError, Tracked};
use crate::event_store::{Expected, Write};
use crate::ports::{CreateError, PortError, SkycoinNode};
use crate::supervision::{Reporter, Tree, TreeError};
use crate::worker::{self, Duty, Next};
use wallet::HotWallet;

/// The part's name in the tree.
pub const PART: &str = "sender";
/// How long a payout waits before it looks for free outputs, or for its switch, again.
const SHORT_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The names under which trouble is reported.
const NODE: &str = "skycoin_node";
const WALLET: &str = "wallet";

/// How payouts are made.
#[derive(Clone)]
pub struct Settings {
    /// The hot wallet's id at the node.
    pub wallet_id: String,
    /// Its password, when it has one.
    pub password: Option<String>,
    /// How deep a payout must be, its own block included.
    pub confirmations: u64,
    /// How long between two looks at a payout.
    pub poll: Duration,
    /// Bytes that the node does not know are handed in again after this.
    pub resend_after: Duration,
    /// Whether anything is paid out at the moment.
    pub enabled: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Adds the sender to the tree.
pub fn start(tree: &Tree, deposits: Deposits, node: Arc<dyn SkycoinNode>, settings: Settings) -> Result<(), TreeError> {
    let shared = deposits.clone();
    worker::start(tree, PART, deposits, move |report| Sender {
        wallet: HotWallet::new(shared.clone(), Arc::clone(&node)),
        deposits: shared.clone(),
        node: Arc::clone(&node),
        settings: settings.clone(),
        report,
        change_address: OnceLock::new(),
        unknown_since: Mutex::default(),
    })
}

struct Sender {
    deposits: Deposits,
    node: Arc<dyn SkycoinNode>,
    settings: Settings,
    report: Reporter,
    wallet: HotWallet,
    /// The hot wallet's own address.
    change_address: OnceLock<SkyAddress>,
    /// Since when the node does not know a payout that it took.
    unknown_since: Mutex<HashMap<DepositId, Instant>>,
}

/// What keeps a payout from its next step.
enum Obstacle {
    /// The node's.
    Node(PortError),
    /// The log's, or a rule's.
    Execute(ExecuteError),
    /// Nothing to spend.
    Short(String),
    /// The wallet did something else than it was asked for.
    Misbehaved(String),
}

impl From<PortError> for Obstacle {
    fn from(error: PortError) -> Self {
        Self::Node(error)
    }
}

impl From<ExecuteError> for Obstacle {
    fn from(error: ExecuteError) -> Self {
        Self::Execute(error)
    }
}

impl Duty for Sender {
    async fn prepare(&self) -> Result<(), String> {
        let address = self.node.hot_address().await.map_err(|error| {
            self.report.set(NODE, error.to_string());
            error.to_string()
        })?;
        // A second start of one incarnation does not happen.
        let _ = self.change_address.set(address);
        self.report.clear(NODE);
        self.wallet.take_over().await
    }

    fn concerns(&self, deposit: &Deposit) -> bool {
        matches!(deposit.stage, Stage::WaitSend | Stage::WaitConfirm)
    }

    async fn perform(&self, tracked: Arc<Tracked>) -> Next {
        let id = tracked.deposit.receipt.id;
        let step = match (&tracked.deposit.stage, tracked.deposit.signed_payout()) {
            (Stage::WaitSend, None) => self.sign(&tracked).await,
            (Stage::WaitSend, Some(signed)) => self.send(id, signed).await,
            (_, Some(signed)) => self.confirm(id, signed).await,
            (_, None) => return Next::Wait,
        };
        match step {
            Ok(next) => next,
            Err(obstacle) => self.wait_out(id, obstacle).await,
        }
    }
}

impl Sender {
    /// Makes the bytes and stores them with the inputs they reserve. Nothing leaves the desk here.
    async fn sign(&self, tracked: &Tracked) -> Result<Next, Obstacle> {
        if !(self.settings.enabled)() {
            return Ok(Next::After(SHORT_AGAIN_AFTER));
        }
        let id = tracked.deposit.receipt.id;
        let Some(owed) = &tracked.deposit.payout else { return Ok(Next::Wait) };
        if owed.attempt == 0 {
            self.deposits.execute(id, &Command::IntendPayout).await?;
        }
        let Some(to) = tracked.deposit.receipt.customer.as_ref().and_then(|customer| customer.target.parse().ok())
        else {
            return Err(Obstacle::Misbehaved("the deposit has no address to pay".to_owned()));
        };
        let inputs = self.wallet.claim(id, owed.amount).await.map_err(Obstacle::Short)?;
        self.report.clear(WALLET);
        let payout = Payout {
            wallet_id: self.settings.wallet_id.clone(),
            password: self.settings.password.clone(),
            unspents: inputs,
            change_address: self.change_address(),
            to,
            coins: owed.amount,
        };
        let signed = match self.create(&payout).await {
            Ok(created) => signed(&created),
            Err(obstacle) => {
                self.wallet.give_back(id);
                return Err(obstacle);
            }
        };
        self.report.clear(NODE);
        self.store(id, signed).await
    }

    async fn create(&self, payout: &Payout) -> Result<Created, Obstacle> {
        let created = self.node.create(payout).await.map_err(|error| match error {
            CreateError::Port(error) => Obstacle::Node(error),
            CreateError::Refused { refusal: Refusal::InsufficientHours, .. } => {
                Obstacle::Short("waiting for hours: the wallet has no coin hours to burn".to_owned())
            }
            CreateError::Refused { refusal: Refusal::SpendPending | Refusal::InputGone, message } => {
                Obstacle::Short(message)
            }
            CreateError::Refused { message, .. } => Obstacle::Node(PortError::Refused(message)),
        })?;
        payout.check(&created).map_err(|mismatch| Obstacle::Misbehaved(mismatch.to_string()))?;
        Ok(created)
    }

    async fn store(&self, id: DepositId, signed: SignedPayout) -> Result<Next, Obstacle> {
        let reserved = InputsReserved { deposit: id, inputs: signed.inputs.clone() };
        let stored = self
            .deposits
            .execute_with(id, &Command::RecordSigned(signed), vec![self.wallet_write(reserved.into())])
            .await;
        match stored {
            Ok(tracked) => match tracked.deposit.signed_payout() {
                Some(signed) => self.send(id, signed).await,
                None => Ok(Next::Look),
            },
            Err(error) => {
                if let ExecuteError::Rejected(_) = error {
                    self.wallet.give_back(id);
                }
                Err(error.into())
            }
        }
    }

    fn wallet_write(&self, event: millrace_model::wallet::Event) -> Write {
        Write::new(StreamName::Wallet, Expected::Owner(self.wallet.epoch()), vec![Event::Wallet(event)])
    }

    /// Hands the bytes in, as often as it takes.
    async fn send(&self, id: DepositId, signed: &SignedPayout) -> Result<Next, Obstacle> {
        let payout = self.read(signed)?;
        let answer = match self.node.inject(payout.transaction()).await {
            Ok(()) => {
                self.deposits.execute(id, &Command::RecordSent).await?;
                return Ok(Next::After(self.settings.poll));
            }
            Err(PortError::Refused(_)) => Answer::NotTaken,
            Err(error) => return Err(error.into()),
        };
        let step = payout.next(Phase::Signed, answer);
        self.follow(id, signed, &payout, step).await
    }

    async fn confirm(&self, id: DepositId, signed: &SignedPayout) -> Result<Next, Obstacle> {
        let payout = self.read(signed)?;
        let seen = self.node.transaction(Txid(signed.txid.0)).await?;
        let phase = self.phase(id, seen.is_some());
        let step = payout.next(phase, Answer::Transaction(seen.as_ref()));
        self.follow(id, signed, &payout, step).await
    }

    fn phase(&self, id: DepositId, known: bool) -> Phase {
        let mut unknown_since = self.unknown_since.lock().expect("nothing panics while it holds these times");
        if known {
            unknown_since.remove(&id);
            return Phase::Sent;
        }
        let since = *unknown_since.entry(id).or_insert_with(Instant::now);
        if since.elapsed() >= self.settings.resend_after { Phase::Overdue } else { Phase::Sent }
    }

    async fn follow(
        &self,
        id: DepositId,
        signed: &SignedPayout,
        payout: &SignedTransaction,
        step: Step,
    ) -> Result<Next, Obstacle> {
        match step {
            Step::AwaitConfirmation => Ok(Next::After(self.settings.poll)),
            Step::Inject | Step::Reinject => {
                self.unknown_since.lock().expect("nothing panics while it holds these times").remove(&id);
                match self.node.inject(payout.transaction()).await {
                    Err(PortError::Refused(_)) => Box::pin(self.look_up(id, signed, payout)).await,
                    Err(error) => Err(error.into()),
                    Ok(()) => Ok(Next::After(self.settings.poll)),
                }
            }
            Step::LookUp => Box::pin(self.look_up(id, signed, payout)).await,
            Step::Final { block_seq, confirmations } => {
                let command = Command::RecordConfirmed { block_seq, confirmations };
                self.end(id, &command).await
            }
            Step::Contested { txid } => {
                self.report.set(WALLET, format!("payout {} is contested by {txid}", signed.txid));
                Ok(Next::After(SHORT_AGAIN_AFTER))
            }
            Step::Conflict { conflicting_txid } => {
                let next = self.end(id, &Command::RecordVoided { conflicting_txid }).await?;
                self.deposits.execute(id, &Command::IntendPayout).await?;
                Ok(next)
            }
        }
    }

    async fn look_up(
        &self,
        id: DepositId,
        signed: &SignedPayout,
        payout: &SignedTransaction,
    ) -> Result<Next, Obstacle> {
        let history = self.node.transactions_of(self.change_address()).await?;
        match payout.next(Phase::Sent, Answer::History(&history)) {
            // The node does not take the bytes and knows nobody who spent their inputs: it is not to be trusted yet.
            Step::Reinject | Step::Inject | Step::LookUp => {
                self.report.set(NODE, format!("the node refuses payout {} and does not say why", signed.txid));
                Ok(Next::After(SHORT_AGAIN_AFTER))
            }
            Step::AwaitConfirmation => match self.deposits.execute(id, &Command::RecordSent).await {
                Ok(_) | Err(ExecuteError::Rejected(_)) => Ok(Next::After(self.settings.poll)),
                Err(error) => Err(error.into()),
            },
            step @ (Step::Final { .. } | Step::Contested { .. } | Step::Conflict { .. }) => {
                self.follow(id, signed, payout, step).await
            }
        }
    }

    /// Records the end of these bytes, and with it that their inputs are spent.
    async fn end(&self, id: DepositId, command: &Command) -> Result<Next, Obstacle> {
        // A payout found final right after it was signed was sent, whoever heard of it.
        if let (Command::RecordConfirmed { .. }, Some(tracked)) =
            (command, self.deposits.get(id).map_err(ExecuteError::from)?)
            && tracked.deposit.stage == Stage::WaitSend
        {
            self.deposits.execute(id, &Command::RecordSent).await?;
        }
        let spent = self.wallet_write(InputsSpent { deposit: id }.into());
        self.deposits.execute_with(id, command, vec![spent]).await?;
        self.wallet.spent(id);
        self.unknown_since.lock().expect("nothing panics while it holds these times").remove(&id);
        self.report.clear(WALLET);
        Ok(Next::Look)
    }

    fn change_address(&self) -> SkyAddress {
        *self.change_address.get().expect("it was asked for before the first deposit was looked at")
    }

    fn read(&self, signed: &SignedPayout) -> Result<SignedTransaction, Obstacle> {
        SignedTransaction::read(signed, self.settings.confirmations)
            .map_err(|error| Obstacle::Misbehaved(error.to_string()))
    }

    async fn wait_out(&self, id: DepositId, obstacle: Obstacle) -> Next {
        match obstacle {
            Obstacle::Node(error) => {
                self.report.set(NODE, error.to_string());
                Next::After(SHORT_AGAIN_AFTER)
            }
            Obstacle::Execute(ExecuteError::Rejected(rejection)) => {
                tracing::debug!(deposit = %id, %rejection, "the deposit has moved");
                Next::After(self.settings.poll)
            }
            Obstacle::Execute(error) => {
                tracing::warn!(deposit = %id, %error, "a step of a payout is not stored, or not known to be");
                Next::After(SHORT_AGAIN_AFTER)
            }
            Obstacle::Short(why) => {
                self.report.set(WALLET, why);
                Next::After(SHORT_AGAIN_AFTER)
            }
            Obstacle::Misbehaved(why) => {
                tracing::error!(deposit = %id, why, "the wallet made another payout than it was asked for");
                let hold = Command::Hold { reason: HoldReason::WalletMisbehaved };
                match self.deposits.execute(id, &hold).await {
                    Ok(_) => Next::Wait,
                    Err(_) => Next::After(SHORT_AGAIN_AFTER),
                }
            }
        }
    }
}

fn signed(created: &Created) -> SignedPayout {
    SignedPayout {
        txid: Hash32(created.txid.0),
        inner_hash: Hash32(created.inner_hash.0),
        inputs: created.transaction.inputs().iter().map(|uxid: &UxId| Hash32(uxid.0)).collect(),
        bytes: created.transaction.to_hex(),
    }
}
