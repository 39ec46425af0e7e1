//! A Skycoin node with the hot wallet, over its REST interface.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use millrace_protocols::wire::skycoin::address::SkyAddress;
use millrace_protocols::wire::skycoin::hash::Txid;
use millrace_protocols::wire::skycoin::rest::{
    self, Block as SkyBlock, Body, Broadcast, CSRF_HEADER, Created, Failure, Funds, Lag, Method, Payout, Refusal,
    Request, Seen, Spend, UnspentOutput,
};
use millrace_protocols::wire::skycoin::transaction::Transaction;
use reqwest::header::HeaderValue;
use tokio::sync::OnceCell;

use crate::http::{Http, Limits, Reply, SetUpError};
use crate::ports::{Answer, CreateError, PortError, SkyTip, SkycoinNode, SkycoinWatch};

/// The longest answer worth reading holds thousands of outputs at some 300 bytes each.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(20),
    at_once_max: 64,
    answer_bytes_max: 16 * 1024 * 1024,
};

/// The node behind an address.
pub struct HttpSkycoinNode {
    http: Http,
    wallet_id: String,
    /// The hot wallet's addresses, once asked for; the first takes the change.
    addresses: OnceCell<Vec<SkyAddress>>,
    broadcast: Broadcast,
    token: Mutex<Token>,
}

/// What a POST carries to show that it does not come from a page in somebody's browser.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Token {
    /// Fetched when first needed, and again when the node no longer takes it.
    #[default]
    Unknown,
    /// Good for some time.
    Known(HeaderValue),
    /// The node wants none: it is started without that protection and has no such page.
    None,
}

impl HttpSkycoinNode {
    /// Connects to nothing yet.
    pub fn new(url: &str, wallet_id: &str, broadcast: Broadcast) -> Result<Self, SetUpError> {
        let (wallet_id, addresses) = (wallet_id.to_owned(), OnceCell::new());
        Ok(Self { http: Http::new(url, LIMITS)?, wallet_id, addresses, broadcast, token: Mutex::default() })
    }

    async fn ask<T>(&self, request: &Request, read: impl Fn(u16, &[u8]) -> Result<T, Failure>) -> Result<T, Trouble> {
        for _ in 0..2 {
            match self.ask_once(request, &read).await {
                Err(Trouble::Failure(Failure::Refused { refusal: Refusal::CsrfToken, .. })) => self.forget_token(),
                answer => return answer,
            }
        }
        // Nothing was said about the request itself, so this is no refusal of it.
        Err(Trouble::Port(PortError::Unreachable("the node takes none of its own CSRF tokens".into())))
    }

    async fn ask_once<T>(
        &self,
        request: &Request,
        read: &impl Fn(u16, &[u8]) -> Result<T, Failure>,
    ) -> Result<T, Trouble> {
        let mut http_request = match request.method {
            Method::Get => self.http.request(reqwest::Method::GET, request.path),
            Method::Post => {
                let post = self.http.request(reqwest::Method::POST, request.path);
                match self.token().await? {
                    Token::Known(token) => post.header(CSRF_HEADER, token),
                    Token::Unknown | Token::None => post,
                }
            }
        }
        .query(&request.query);
        if let Body::Json(body) = &request.body {
            http_request = http_request.header("content-type", "application/json").body(body.clone());
        }
        let Reply { status, body, .. } =
            self.http.send(http_request).await.map_err(|error| Trouble::Port(error.into()))?;
        read(status.as_u16(), &body).map_err(Trouble::Failure)
    }

    async fn addresses(&self) -> Result<&[SkyAddress], PortError> {
        let ask = async || {
            let wallet = self.ask(&rest::get_wallet(&self.wallet_id), rest::wallet).await?;
            let problem = || PortError::Nonsense(format!("the wallet {} has no addresses", self.wallet_id));
            (!wallet.addresses.is_empty()).then_some(wallet.addresses).ok_or_else(problem)
        };
        Ok(self.addresses.get_or_try_init(ask).await?)
    }

    /// The token to use, never an unknown one.
    async fn token(&self) -> Result<Token, Trouble> {
        let known = self.kept_token().clone();
        if known != Token::Unknown {
            return Ok(known);
        }
        let request = self.http.request(reqwest::Method::GET, rest::get_csrf().path);
        let Reply { status, body, .. } = self.http.send(request).await.map_err(|error| Trouble::Port(error.into()))?;
        let token = match rest::csrf(status.as_u16(), &body) {
            Ok(text) => {
                let mut token = HeaderValue::try_from(text)
                    .map_err(|_| Trouble::Port(PortError::Nonsense("csrf_token does not fit into a header".into())))?;
                token.set_sensitive(true);
                Token::Known(token)
            }
            Err(Failure::Refused { status: 404, .. }) => Token::None,
            Err(failure) => return Err(Trouble::Failure(failure)),
        };
        self.kept_token().clone_from(&token);
        Ok(token)
    }

    fn forget_token(&self) {
        *self.kept_token() = Token::Unknown;
    }

    fn kept_token(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Trouble {
    Port(PortError),
    Failure(Failure),
}

impl From<Trouble> for PortError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Port(error) => error,
            Trouble::Failure(failure @ Failure::Refused { .. }) => Self::Refused(failure.to_string()),
            Trouble::Failure(failure @ Failure::Unavailable { .. }) => Self::Unreachable(failure.to_string()),
            Trouble::Failure(failure @ Failure::Nonsense { .. }) => Self::Nonsense(failure.to_string()),
        }
    }
}

impl SkycoinNode for HttpSkycoinNode {
    fn hot_address(&self) -> Answer<'_, SkyAddress> {
        async { Ok(self.addresses().await?[0]) }.boxed()
    }

    fn spendable(&self, confirmations: u64) -> Answer<'_, Vec<UnspentOutput>> {
        async move {
            let outputs = self.ask(&rest::get_outputs(self.addresses().await?), rest::outputs).await?;
            Ok(outputs.spendable(confirmations).cloned().collect())
        }
        .boxed()
    }

    fn create<'a>(&'a self, payout: &'a Payout) -> BoxFuture<'a, Result<Created, CreateError>> {
        async {
            let request = payout.request().map_err(|error| PortError::Refused(error.to_string()))?;
            self.ask(&request, rest::created).await.map_err(|trouble| match trouble {
                Trouble::Failure(Failure::Refused { refusal, message, .. }) => {
                    CreateError::Refused { refusal, message }
                }
                other => CreateError::Port(other.into()),
            })
        }
        .boxed()
    }

    fn inject<'a>(&'a self, transaction: &'a Transaction) -> Answer<'a, ()> {
        async {
            self.ask(&rest::inject(transaction, self.broadcast), rest::injected).await?;
            Ok(())
        }
        .boxed()
    }

    fn transaction(&self, txid: Txid) -> Answer<'_, Option<Seen>> {
        async move { Ok(self.ask(&rest::get_transaction(&txid), rest::transaction).await?) }.boxed()
    }

    fn payments_to(&self, address: SkyAddress) -> Answer<'_, Vec<Txid>> {
        async move {
            let touching = self.ask(&rest::get_transactions(&[address]), rest::transactions).await?;
            let pays = |seen: &&Seen| seen.outputs.iter().any(|output| output.address == address);
            Ok(touching.iter().filter(pays).map(|seen| seen.txid).collect())
        }
        .boxed()
    }

    fn own(&self, txid: Txid) -> Answer<'_, Option<Transaction>> {
        async move {
            let ours = self.addresses().await?;
            let raw = self.ask(&rest::get_raw_transaction(&txid), rest::raw_transaction).await?;
            Ok(raw.filter(|raw| raw.signers().is_ok_and(|signers| signers.iter().all(|signer| ours.contains(signer)))))
        }
        .boxed()
    }

    fn lag(&self) -> Answer<'_, Option<Lag>> {
        async { Ok(self.ask(&rest::get_progress(), rest::progress).await?.lag(self.broadcast)) }.boxed()
    }

    fn transactions_of(&self, address: SkyAddress) -> Answer<'_, Vec<Seen>> {
        async move {
            let mut addresses = self.addresses().await?.to_vec();
            addresses.push(address);
            let request = rest::get_transactions(&addresses);
            Ok(self.ask(&request, rest::transactions).await?)
        }
        .boxed()
    }
}

impl SkycoinWatch for HttpSkycoinNode {
    fn holdings(&self) -> Answer<'_, Funds> {
        async {
            let balance = self.ask(&rest::get_balance(self.addresses().await?), rest::balance).await?;
            Ok(balance.confirmed)
        }
        .boxed()
    }

    fn tip(&self) -> Answer<'_, SkyTip> {
        async {
            let health = self.ask(&rest::get_health(), rest::health).await?;
            Ok(SkyTip { seq: health.head_seq, hash: health.head_hash })
        }
        .boxed()
    }

    fn sky_block(&self, seq: u64) -> Answer<'_, Option<SkyBlock>> {
        async move { Ok(self.ask(&rest::get_block(seq), rest::block).await?) }.boxed()
    }

    fn spends_in(&self, seq: u64) -> Answer<'_, Option<Vec<Spend>>> {
        async move {
            let ours = self.addresses().await?;
            let read = |status, body: &[u8]| rest::spends(status, body, ours);
            Ok(self.ask(&rest::get_block_with_owners(seq), read).await?)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
