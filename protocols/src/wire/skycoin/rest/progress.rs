//! How far a node is on the chain: what one that is behind does not know proves nothing.

use serde::Deserialize;

use super::failure::{Failure, decode};
use super::requests::Broadcast;

/// How far a node is, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of its newest block.
    pub current: u64,
    /// The highest number that anybody it is connected to has told it, its own included.
    pub highest: u64,
    /// How many peers have told it theirs.
    pub peers: usize,
}

/// Why a node may not know what has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lag {
    /// It has yet to read blocks that others have.
    #[error("the node is syncing: it is at block {current} of {highest}")]
    Behind {
        /// Its newest block.
        current: u64,
        /// The newest block it has heard of.
        highest: u64,
    },
    /// It is connected to nobody, so it has not heard of blocks that others may have.
    #[error("the node has no peers to tell it how long the chain is")]
    Alone,
}

impl Progress {
    /// Why the node may not know what has happened; `None` when it is at the end of the chain. One that broadcasts to nobody
    /// makes the blocks itself, and needs no peers to know.
    pub fn lag(&self, broadcast: Broadcast) -> Option<Lag> {
        let Self { current, highest, peers } = *self;
        match broadcast {
            _ if current < highest => Some(Lag::Behind { current, highest }),
            Broadcast::Peers if peers == 0 => Some(Lag::Alone),
            Broadcast::Peers | Broadcast::Quiet => None,
        }
    }
}

/// Reads the answer to [`super::get_progress`].
pub fn progress(status: u16, body: &[u8]) -> Result<Progress, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        current: u64,
        highest: u64,
        // Written as null by a node that has none.
        peers: Option<Vec<Peer>>,
    }
    #[derive(Deserialize)]
    struct Peer {
        height: u64,
    }
    let Answer { current, highest, peers } = decode(status, body)?;
    let peers = peers.unwrap_or_default();
    let tallest = peers.iter().map(|peer| peer.height).max().unwrap_or_default();
    Ok(Progress { current, highest: highest.max(tallest), peers: peers.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Progress {
        progress(200, body.as_bytes()).unwrap()
    }

    /// P10: a Skycoin node that has heard of higher blocks is behind, and one that hears of nobody cannot say.
    #[test]
    fn a_node_is_at_the_end_when_nobody_is_further() {
        let peers = |height: u64| format!(r#"[{{"address":"192.0.2.1:6000","height":{height}}}]"#);
        let answer =
            |highest: u64, peers: &str| read(&format!(r#"{{"current":58,"highest":{highest},"peers":{peers}}}"#));
        assert_eq!(answer(58, &peers(58)).lag(Broadcast::Peers), None);
        assert_eq!(answer(58, &peers(57)).lag(Broadcast::Peers), None);
        let behind = Some(Lag::Behind { current: 58, highest: 60 });
        for broadcast in [Broadcast::Peers, Broadcast::Quiet] {
            assert_eq!(answer(60, &peers(57)).lag(broadcast), behind);
            assert_eq!(answer(58, &peers(60)).lag(broadcast), behind, "a peer is further than it says");
        }
        for nobody in ["[]", "null"] {
            assert_eq!(answer(58, nobody).lag(Broadcast::Peers), Some(Lag::Alone));
            assert_eq!(answer(58, nobody).lag(Broadcast::Quiet), None, "it makes the blocks itself");
        }
    }

    #[test]
    fn what_is_no_progress_is_nonsense() {
        for body in ["", "{}", r#"{"current":-1,"highest":1,"peers":[]}"#, r#"{"current":1,"highest":1,"peers":[{}]}"#]
        {
            assert!(matches!(progress(200, body.as_bytes()), Err(Failure::Nonsense { .. })), "{body}");
        }
        assert!(matches!(progress(503, b""), Err(Failure::Unavailable { .. })));
    }
}
