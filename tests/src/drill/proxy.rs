//! A proxy that a desk takes for its node or exchange, and that is late, cuts, loses and garbles as a seed draws it.
//!
//! It works on connections and bytes. What the desk sends is passed on at most once and in order: repeating an order is the
//! one thing that must come from nobody but the desk.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const CHUNK_BYTES: usize = 16 * 1024;
/// Answers of one connection that come through before its trouble.
const SOUND_ANSWERS_MAX: u32 = 6;
const LATE_MS_MAX: u64 = 400;
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// An answer that is none: well-formed HTTP around what nobody can decode.
const GARBAGE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 24\r\n\r\n{\"result\": [7, \xff\xfe\"\x00}}\n\n\n\n";

/// How a peer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it is.
    Honest,
    /// So many of a thousand connections come to grief.
    Unsound(u32),
    /// Nobody is there.
    Dead,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    /// Every answer comes so late.
    Late(Duration),
    /// The request is delivered, the answer is not.
    AnswerLost,
    /// The request is not delivered either.
    RequestLost,
    /// Half of the answer, then nothing.
    Truncated,
    /// Something else instead of the answer.
    Garbled,
    /// The peer says that it has nothing more to say, and says nothing.
    HalfClosed,
}

/// What connections share.
#[derive(Debug)]
struct House {
    to: SocketAddr,
    manner: Mutex<(Manner, SmallRng)>,
}

/// A running proxy; it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    house: Arc<House>,
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Proxy {
    /// Stands before whoever listens at `url`, honestly for the time being.
    pub async fn before(url: &str, chance: SmallRng) -> Result<Self> {
        let to = url.trim_start_matches("http://").trim_end_matches('/').parse().context("a loopback address")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let house = Arc::new(House { to, manner: Mutex::new((Manner::Honest, chance)) });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&house)));
        Ok(Self { house, address, _task: task })
    }

    /// Where the desk is to look for the peer.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on, for new connections.
    pub fn behave(&self, manner: Manner) {
        self.house.manner.lock().unwrap_or_else(PoisonError::into_inner).0 = manner;
    }
}

impl House {
    /// What happens to the next connection, and after how many answers; `None` when nobody is there to take it.
    fn draw(&self) -> Option<(Trouble, u32)> {
        let mut drawn = self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        let (manner, chance) = &mut *drawn;
        let per_mille = match *manner {
            Manner::Dead => return None,
            Manner::Honest => 0,
            Manner::Unsound(per_mille) => per_mille,
        };
        let trouble = match chance.random_range(0..6) {
            _ if !chance.random_ratio(per_mille, 1_000) => Trouble::None,
            0 => Trouble::Late(Duration::from_millis(chance.random_range(10..LATE_MS_MAX))),
            1 => Trouble::AnswerLost,
            2 => Trouble::RequestLost,
            3 => Trouble::Truncated,
            4 => Trouble::Garbled,
            _ => Trouble::HalfClosed,
        };
        Some((trouble, chance.random_range(0..SOUND_ANSWERS_MAX)))
    }
}

async fn accept(listener: TcpListener, house: Arc<House>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((desk, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some((trouble, after)) = house.draw() else {
            cut(&desk);
            continue;
        };
        let to = house.to;
        connections.spawn(async move {
            // A connection that ends early is what this is for.
            let _ = converse(desk, to, trouble, after).await;
        });
    }
}

/// A reset instead of an orderly end.
fn cut(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

async fn converse(desk: TcpStream, to: SocketAddr, trouble: Trouble, after: u32) -> std::io::Result<()> {
    let peer = TcpStream::connect(to).await?;
    peer.set_nodelay(true)?;
    desk.set_nodelay(true)?;
    let ((asks, answers), (from_peer, to_peer)) = (desk.into_split(), peer.into_split());
    let lost_from = if trouble == Trouble::RequestLost { after } else { u32::MAX };
    tokio::select! {
        _ = deliver(asks, to_peer, lost_from) => {}
        _ = answer(from_peer, answers, trouble, after) => {}
    }
    Ok(())
}

/// Passes on what the desk sends, and cuts the connection instead of passing on request number `lost_from`.
async fn deliver(mut desk: OwnedReadHalf, mut peer: OwnedWriteHalf, lost_from: u32) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    for request in 0.. {
        let bytes = desk.read(&mut chunk).await?;
        if bytes == 0 {
            return Ok(());
        }
        if request >= lost_from {
            cut(desk.as_ref());
            return Ok(());
        }
        peer.write_all(&chunk[..bytes]).await?;
    }
    Ok(())
}

/// Passes on the answers until the trouble.
async fn answer(
    mut peer: OwnedReadHalf,
    mut desk: OwnedWriteHalf,
    trouble: Trouble,
    after: u32,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    for answer in 0u32.. {
        let bytes = peer.read(&mut chunk).await?;
        if bytes == 0 {
            return Ok(());
        }
        let said = &chunk[..bytes];
        match trouble {
            Trouble::Late(late) => tokio::time::sleep(late).await,
            _ if answer < after => {}
            Trouble::None | Trouble::RequestLost => {}
            Trouble::AnswerLost => {
                cut(desk.as_ref());
                return Ok(());
            }
            Trouble::Truncated => return desk.write_all(&said[..bytes / 2]).await,
            Trouble::Garbled => return desk.write_all(GARBAGE).await,
            Trouble::HalfClosed => {
                desk.shutdown().await?;
                return std::future::pending().await;
            }
        }
        desk.write_all(said).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> (String, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut said = [0; 64];
                while let Ok(bytes) = stream.read(&mut said).await {
                    if bytes == 0 || stream.write_all(&said[..bytes]).await.is_err() {
                        break;
                    }
                }
            }
        });
        (url, task)
    }

    async fn ask(proxy: &Proxy) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect(proxy.address).await.ok()?;
        stream.write_all(b"ping").await.ok()?;
        let mut heard = vec![0; 200];
        let bytes = stream.read(&mut heard).await.ok()?;
        heard.truncate(bytes);
        Some(heard)
    }

    #[tokio::test]
    async fn an_honest_one_passes_everything_on_and_a_dead_one_nothing() {
        let (url, _peer) = echo().await;
        let proxy = Proxy::before(&url, crate::seed::chance(1, "proxy")).await.unwrap();
        assert_eq!(ask(&proxy).await.unwrap(), b"ping");
        proxy.behave(Manner::Dead);
        assert!(ask(&proxy).await.is_none_or(|heard| heard.is_empty()));
        proxy.behave(Manner::Honest);
        assert_eq!(ask(&proxy).await.unwrap(), b"ping");
    }

    #[tokio::test]
    async fn an_unsound_one_does_every_kind_of_harm_and_the_same_for_the_same_seed() {
        let house = |seed| House {
            to: "127.0.0.1:1".parse().unwrap(),
            manner: Mutex::new((Manner::Unsound(500), crate::seed::chance(seed, "proxy"))),
        };
        let draw = |seed| {
            let house = house(seed);
            (0..200).map(|_| house.draw().unwrap()).collect::<Vec<_>>()
        };
        let drawn = draw(7);
        assert_eq!(drawn, draw(7));
        assert_ne!(drawn, draw(8));
        for kind in ["None", "Late", "AnswerLost", "RequestLost", "Truncated", "Garbled", "HalfClosed"] {
            assert!(drawn.iter().any(|(trouble, _)| format!("{trouble:?}").starts_with(kind)), "{kind}");
        }
    }
}
