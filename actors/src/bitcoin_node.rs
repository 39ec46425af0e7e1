//! A Bitcoin node over JSON-RPC with basic authentication.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bitcoin::{Block, BlockHash, Transaction, Txid};
use millrace_protocols::wire::bitcoind::{
    ANSWER_BYTES_MAX, Call, CallError, ChainInfo, GetBlock, GetBlockHash, GetBlockchainInfo, GetRawMempool,
    GetRawTransaction, RpcErrorKind,
};
use reqwest::{Method, StatusCode};

use crate::http::{Http, Limits, SetUpError};
use crate::ports::{Answer, BitcoinNode, PortError};

/// Blocks are large and nodes slow while they verify; a round that waits this long only comes later.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(60),
    at_once_max: 8,
    answer_bytes_max: ANSWER_BYTES_MAX,
};

/// Longer answers are read on a thread of their own: decoding megabytes would hold up every actor.
const READ_HERE_BYTES_MAX: usize = 64 * 1024;

/// Where the node is and who we are to it.
#[derive(Clone)]
pub struct Settings {
    /// Its address, such as `http://127.0.0.1:8332`.
    pub url: String,
    /// `rpcuser`.
    pub user: String,
    /// `rpcpassword`.
    pub password: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("url", &self.url).field("user", &self.user).finish_non_exhaustive()
    }
}

/// A node reached by HTTP.
#[derive(Debug)]
pub struct HttpBitcoinNode {
    http: Http,
    settings: Settings,
    next_id: AtomicU64,
}

impl HttpBitcoinNode {
    /// A client; nothing is asked yet.
    pub fn new(settings: Settings) -> Result<Self, SetUpError> {
        Ok(Self { http: Http::new(&settings.url, LIMITS)?, settings, next_id: AtomicU64::new(1) })
    }

    async fn call<C>(&self, call: C) -> Result<Result<C::Answer, CallError>, PortError>
    where
        C: Call + Send + Sync + 'static,
        C::Answer: Send + 'static,
    {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = self
            .http
            .request(Method::POST, "")
            .basic_auth(&self.settings.user, Some(&self.settings.password))
            .header("content-type", "application/json")
            .body(call.request().to_json(id));
        let reply = self.http.send(request).await?;
        match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(PortError::Refused("it does not accept our user name and password".to_owned()));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                return Err(PortError::Unreachable("it has too much to do already".to_owned()));
            }
            _ => {}
        }
        if reply.body.len() <= READ_HERE_BYTES_MAX {
            return Ok(call.answer(id, &reply.body));
        }
        tokio::task::spawn_blocking(move || call.answer(id, &reply.body))
            .await
            .map_err(|_| PortError::Nonsense("its answer could not be read to the end".to_owned()))
    }

    async fn must<C>(&self, call: C) -> Result<C::Answer, PortError>
    where
        C: Call + Send + Sync + 'static,
        C::Answer: Send + 'static,
    {
        self.call(call).await?.map_err(port_error)
    }

    /// The answer; `None` when the refusal is one of those that mean "there is no such thing".
    async fn may<C>(&self, call: C, absent: RpcErrorKind) -> Result<Option<C::Answer>, PortError>
    where
        C: Call + Send + Sync + 'static,
        C::Answer: Send + 'static,
    {
        match self.call(call).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(CallError::Refused(refused)) if refused.kind() == absent => Ok(None),
            Err(error) => Err(port_error(error)),
        }
    }
}

fn port_error(error: CallError) -> PortError {
    match error {
        CallError::Refused(refused) if refused.kind() == RpcErrorKind::WarmingUp => {
            PortError::Unreachable(format!("it is still starting: {}", refused.message))
        }
        CallError::Refused(refused) => PortError::Refused(refused.to_string()),
        CallError::Nonsense(nonsense) => PortError::Nonsense(nonsense.to_string()),
    }
}

impl BitcoinNode for HttpBitcoinNode {
    fn chain_info(&self) -> Answer<'_, ChainInfo> {
        Box::pin(self.must(GetBlockchainInfo))
    }

    fn hash_at(&self, height: u32) -> Answer<'_, Option<BlockHash>> {
        Box::pin(self.may(GetBlockHash { height }, RpcErrorKind::OutOfRange))
    }

    fn block(&self, hash: BlockHash) -> Answer<'_, Option<Block>> {
        Box::pin(self.may(GetBlock { hash }, RpcErrorKind::NotFound))
    }

    fn mempool(&self) -> Answer<'_, Vec<Txid>> {
        Box::pin(self.must(GetRawMempool))
    }

    fn waiting(&self, txid: Txid) -> Answer<'_, Option<Transaction>> {
        Box::pin(self.may(GetRawTransaction { txid, in_block: None }, RpcErrorKind::NotFound))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A node that gives one answer to everything; `ID` in it becomes the request's.
    async fn asked<T>(
        status: &'static str,
        body: &'static str,
        ask: impl AsyncFnOnce(&HttpBitcoinNode) -> T,
    ) -> (T, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = HttpBitcoinNode::new(Settings { url, user: "desk".into(), password: "secret".into() }).unwrap();
        let server = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let mut length = 0;
            while !request[..length].ends_with(b"}") {
                length += connection.read(&mut request[length..]).await.unwrap();
            }
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
            connection.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let (request, answer) = tokio::join!(server, ask(&node));
        (answer, request)
    }

    #[tokio::test]
    async fn a_call_is_a_post_with_our_name_and_password() {
        let body =
            r#"{"result":["4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"],"error":null,"id":1}"#;
        let (answer, request) = asked("200 OK", body, async |node| node.mempool().await).await;
        assert_eq!(answer.unwrap().len(), 1);
        assert!(request.starts_with("POST / HTTP/1.1"), "{request}");
        assert!(request.to_lowercase().contains("authorization: basic zgvzazpzzwnyzxq="), "{request}");
        assert!(request.ends_with(r#""method":"getrawmempool","params":[false]}"#), "{request}");
    }

    #[tokio::test]
    async fn what_the_node_does_not_know_is_absent_and_no_error() {
        let above = r#"{"result":null,"error":{"code":-8,"message":"Block height out of range"},"id":1}"#;
        assert_eq!(asked("500 Error", above, async |node| node.hash_at(9).await).await.0, Ok(None));
        let unknown = r#"{"result":null,"error":{"code":-5,"message":"Block not found"},"id":1}"#;
        let hash = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f".parse().unwrap();
        assert_eq!(asked("500 Error", unknown, async |node| node.block(hash).await).await.0, Ok(None));
    }

    #[tokio::test]
    async fn a_wrong_password_a_busy_node_and_nonsense_are_told_apart() {
        let (refused, _) = asked("401 Unauthorized", "", async |node| node.mempool().await).await;
        assert!(matches!(refused, Err(PortError::Refused(_))), "{refused:?}");
        let (busy, _) = asked("503 Busy", "Work queue depth exceeded", async |node| node.mempool().await).await;
        assert!(matches!(busy, Err(PortError::Unreachable(_))), "{busy:?}");
        let (nonsense, _) =
            asked("200 OK", r#"{"result":7,"error":null,"id":1}"#, async |node| node.mempool().await).await;
        assert!(matches!(nonsense, Err(PortError::Nonsense(why)) if why.contains("result")));
    }
}
