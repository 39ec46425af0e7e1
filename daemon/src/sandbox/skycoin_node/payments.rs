//! What the node does for a wallet's owner: make wallets and addresses, create and sign transactions, inject them.

use std::collections::HashMap;
use std::io;

use bitcoin::secp256k1::SecretKey;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::{Txid, UxId};
use millrace_protocols::wire::skycoin::transaction::Transaction;

use super::control::candidate;
use super::entry::Entry;
use super::ledger::UxOut;
use super::rules::{Violation, is_settled, judge};
use super::spend::{Candidate, Spend, SpendError, build};
use super::wallet::{ADDRESSES_MAX, Recipe, Wallet};
use super::{SkycoinNode, State};

/// What a transaction may spend.
#[derive(Debug, Clone)]
pub(super) enum Sources {
    /// Everything in the wallet.
    All,
    /// These addresses of it.
    Addresses(Vec<SkyAddress>),
    /// These outputs.
    Unspents(Vec<UxId>),
}

/// What happens to outputs that a waiting transaction already spends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PendingSpends {
    /// The request fails.
    Refuse,
    /// They are left out.
    LeaveOut,
}

/// Whether the wallet signs what it creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signing {
    /// Yes.
    Now,
    /// The caller signs later.
    Later,
}

/// Why a wallet request fails; the real node's sentences.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalletError {
    #[error("wallet doesn't exist")]
    Missing,
    #[error("wallet already exists with the same seed")]
    Exists,
    #[error("a collection wallet needs valid private keys")]
    PrivateKeys,
    #[error("a wallet has at most {ADDRESSES_MAX} addresses")]
    TooManyAddresses,
    #[error("address not found in wallet")]
    ForeignAddress,
    #[error("unspent output of {0} does not exist")]
    UnspentMissing(UxId),
    #[error("uxout is not owned by any address in the wallet")]
    ForeignUnspent,
    #[error("Please spend after your pending transaction is confirmed")]
    SpendPending,
    #[error("{0}")]
    Spend(#[from] SpendError),
    #[error("{0}")]
    Storage(#[from] io::Error),
}

/// Why a transaction is not injected.
#[derive(Debug, thiserror::Error)]
pub(super) enum InjectError {
    #[error("{0}")]
    Violation(#[from] Violation),
    #[error("Connection pool is empty")]
    NoPeers,
    #[error("{0}")]
    Storage(#[from] io::Error),
}

impl SkycoinNode {
    pub(super) fn create_wallet(&self, recipe: Recipe) -> Result<Wallet, WalletError> {
        let wallet = Wallet::of(&recipe).ok_or(WalletError::PrivateKeys)?;
        let first = wallet.keys().first().ok_or(WalletError::PrivateKeys)?.address;
        let mut state = self.lock();
        if state.key_of(&first).is_some() || state.wallets.contains_key(&recipe.id) {
            return Err(WalletError::Exists);
        }
        state.journal.append(&Entry::Wallet(recipe))?;
        state.wallets.insert(wallet.id.clone(), wallet.clone());
        Ok(wallet)
    }

    pub(super) fn new_addresses(&self, id: &str, count: usize) -> Result<Vec<SkyAddress>, WalletError> {
        let mut state = self.lock();
        let before = state.wallets.get(id).ok_or(WalletError::Missing)?.keys().len();
        if count > ADDRESSES_MAX || before + count > ADDRESSES_MAX {
            return Err(WalletError::TooManyAddresses);
        }
        state.journal.append(&Entry::WalletGrown { id: id.to_owned(), count })?;
        let wallet = state.wallets.get_mut(id).ok_or(WalletError::Missing)?;
        wallet.grow(count);
        Ok(wallet.keys()[before..].iter().map(|key| key.address).collect())
    }

    /// Creates a transaction from a wallet, without telling anybody. The signing happens outside the lock.
    pub(super) fn create_transaction(
        &self,
        wallet_id: &str,
        sources: &Sources,
        pending: PendingSpends,
        signing: Signing,
        mut spend: Spend,
    ) -> Result<Transaction, WalletError> {
        let secrets = {
            let state = self.lock();
            let wallet = state.wallets.get(wallet_id).ok_or(WalletError::Missing)?;
            spend.candidates = state.candidates(wallet, sources, pending)?;
            wallet_secrets(wallet, &spend.candidates)
        };
        let (mut transaction, chosen) = build(&spend)?;
        if signing == Signing::Now {
            for (input, candidate) in chosen.iter().enumerate() {
                transaction.sign(input, secrets.get(&candidate.address).ok_or(WalletError::ForeignUnspent)?);
            }
        }
        Ok(transaction)
    }

    /// Signs the inputs named, or all that are not signed yet.
    pub(super) fn sign(
        &self,
        wallet_id: &str,
        mut transaction: Transaction,
        indexes: &[usize],
    ) -> Result<Transaction, WalletError> {
        let state = self.lock();
        let wallet = state.wallets.get(wallet_id).ok_or(WalletError::Missing)?;
        let unsigned = |index: &usize| transaction.signatures()[*index].iter().all(|byte| *byte == 0);
        let inputs: Vec<usize> = match indexes {
            [] => (0..transaction.inputs().len()).filter(unsigned).collect(),
            named => named.to_vec(),
        };
        for input in inputs {
            let uxid = *transaction.inputs().get(input).ok_or(WalletError::ForeignUnspent)?;
            let output = state.ledger.unspent(&uxid).ok_or(WalletError::UnspentMissing(uxid))?;
            let key = wallet.key_of(&output.output.address).ok_or(WalletError::ForeignUnspent)?;
            transaction.sign(input, &key.secret);
        }
        Ok(transaction)
    }

    /// Puts a transaction into the pool. What is there or confirmed already is simply named again.
    pub(super) fn inject(&self, transaction: Transaction, quiet: bool) -> Result<Txid, InjectError> {
        if !quiet && self.peers == 0 {
            return Err(InjectError::NoPeers);
        }
        let (txid, signers) = (transaction.txid(), transaction.signers());
        let mut state = self.lock();
        if is_settled(&state.ledger, &txid) {
            return Ok(txid);
        }
        judge(&state.ledger, &transaction, &signers)?;
        Ok(state.accept(transaction)?)
    }
}

impl State {
    fn candidates(
        &self,
        wallet: &Wallet,
        sources: &Sources,
        pending: PendingSpends,
    ) -> Result<Vec<Candidate>, WalletError> {
        let outputs: Vec<(UxId, &UxOut)> = match sources {
            Sources::All => wallet.keys().iter().flat_map(|key| self.ledger.unspent_of(&key.address)).collect(),
            Sources::Addresses(addresses) => {
                if !addresses.iter().all(|address| wallet.key_of(address).is_some()) {
                    return Err(WalletError::ForeignAddress);
                }
                addresses.iter().flat_map(|address| self.ledger.unspent_of(address)).collect()
            }
            Sources::Unspents(uxids) => {
                let named = |uxid: &UxId| {
                    let output = self.ledger.unspent(uxid).ok_or(WalletError::UnspentMissing(*uxid))?;
                    wallet.key_of(&output.output.address).ok_or(WalletError::ForeignUnspent)?;
                    Ok((*uxid, output))
                };
                uxids.iter().map(named).collect::<Result<_, WalletError>>()?
            }
        };
        let is_free = |(uxid, _): &(UxId, &UxOut)| self.ledger.pending_spender(uxid).is_none();
        if pending == PendingSpends::Refuse && !outputs.iter().all(is_free) {
            return Err(WalletError::SpendPending);
        }
        let free = outputs.into_iter().filter(is_free);
        Ok(free.map(|(uxid, output)| candidate(&self.ledger, uxid, output)).collect())
    }
}

fn wallet_secrets(wallet: &Wallet, candidates: &[Candidate]) -> HashMap<SkyAddress, SecretKey> {
    let keys = candidates.iter().filter_map(|candidate| wallet.key_of(&candidate.address));
    keys.map(|key| (key.address, key.secret)).collect()
}
