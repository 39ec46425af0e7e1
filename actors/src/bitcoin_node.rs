//! A Bitcoin node over its JSON-RPC.

use std::sync::atomic::{AtomicU64, Ordering};

use bitcoin::{Block, BlockHash, Transaction, Txid};
use futures::FutureExt;
use millrace_protocols::wire::bitcoind::{
    ANSWER_BYTES_MAX, Call, CallError, ChainInfo, GetBlock, GetBlockHash, GetBlockchainInfo, GetRawMempool,
    GetRawTransaction, RpcErrorKind,
};

use crate::http;
use crate::ports::{Answer, BitcoinNode, PortError};

/// The node behind an address, with the credentials of its RPC.
pub struct HttpBitcoinNode {
    client: reqwest::Client,
    url: String,
    user: String,
    password: String,
    calls: AtomicU64,
}

impl HttpBitcoinNode {
    /// Connects to nothing yet.
    pub fn new(url: &str, user: &str, password: &str) -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: http::client()?,
            url: url.to_owned(),
            user: user.to_owned(),
            password: password.to_owned(),
            calls: AtomicU64::new(0),
        })
    }

    async fn call<C: Call>(&self, call: C) -> Result<C::Answer, Failure> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let request = self
            .client
            .post(&self.url)
            .basic_auth(&self.user, Some(&self.password))
            .header("content-type", "application/json")
            .body(call.request().to_json(id));
        let (status, body) = http::send(request, ANSWER_BYTES_MAX).await.map_err(Failure::Port)?;
        match status {
            401 | 403 => Err(Failure::Port(PortError::Refused("the Bitcoin node refuses the user or password".into()))),
            503 => Err(Failure::Port(PortError::Unreachable("the Bitcoin node is too busy".into()))),
            _ => call.answer(id, &body).map_err(Failure::Call),
        }
    }
}

enum Failure {
    Port(PortError),
    Call(CallError),
}

impl From<Failure> for PortError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Port(error) => error,
            Failure::Call(CallError::Refused(refused)) => Self::Refused(refused.to_string()),
            Failure::Call(CallError::Nonsense(nonsense)) => Self::Nonsense(nonsense.to_string()),
        }
    }
}

/// What the node does not know is an answer.
fn known<T>(answer: Result<T, Failure>) -> Result<Option<T>, PortError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Failure::Call(CallError::Refused(refused)))
            if matches!(refused.kind(), RpcErrorKind::NotFound | RpcErrorKind::OutOfRange) =>
        {
            Ok(None)
        }
        Err(failure) => Err(failure.into()),
    }
}

impl BitcoinNode for HttpBitcoinNode {
    fn chain_info(&self) -> Answer<'_, ChainInfo> {
        async { Ok(self.call(GetBlockchainInfo).await?) }.boxed()
    }

    fn hash_at(&self, height: u32) -> Answer<'_, Option<BlockHash>> {
        async move { known(self.call(GetBlockHash { height }).await) }.boxed()
    }

    fn block(&self, hash: BlockHash) -> Answer<'_, Option<Block>> {
        async move { known(self.call(GetBlock { hash }).await) }.boxed()
    }

    fn mempool(&self) -> Answer<'_, Vec<Txid>> {
        async { Ok(self.call(GetRawMempool).await?) }.boxed()
    }

    fn waiting(&self, txid: Txid) -> Answer<'_, Option<Transaction>> {
        async move { known(self.call(GetRawTransaction { txid, in_block: None }).await) }.boxed()
    }
}
