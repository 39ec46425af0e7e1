//! The node's REST interface: requests as plain values, answers as typed ones.
//!
//! Whoever does the HTTP sends a [`Request`] and hands status and body of the answer to the decoder that belongs to it.
//! Version 1 of the interface answers errors as plain text (`400 Bad Request - …`), version 2 as JSON.

mod answers;
mod failure;
mod payout;
mod progress;
mod requests;
mod seen;
mod spends;

pub use answers::{
    AddressVerdict, Balance, Funds, Health, UnspentOutput, UnspentOutputs, Wallet, address_verdict, balance, csrf,
    health, outputs, wallet,
};
pub use failure::{Failure, Refusal};
pub use payout::{
    Created, CreatedInput, Mismatch, PAYOUT_DECIMALS, Payout, PayoutError, TransactionVerdict, created, injected,
    transaction_verdict,
};
pub use progress::{Lag, Progress, progress};
pub use requests::{
    Body, Broadcast, CSRF_HEADER, Method, Request, get_balance, get_block, get_block_with_owners, get_csrf, get_health,
    get_outputs, get_pending, get_progress, get_raw_transaction, get_transaction, get_transactions, get_wallet,
    get_wallet_balance, inject, verify_address, verify_transaction,
};
pub use seen::{
    Block, Pending, Seen, SeenInput, SeenOutput, Standing, block, pending, raw_transaction, transaction, transactions,
};
pub use spends::{Spend, spends};
