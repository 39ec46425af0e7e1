//! A receiver for tests: reads requests letter by letter and answers what it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) line: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
    /// Which connection it came on.
    pub(super) connection: usize,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// These bytes.
    Bytes(String),
    /// These bytes, and the connection is closed.
    Last(String),
    /// Nothing; the connection is closed.
    Close,
    /// Nothing ever.
    Silence,
}

/// An answer with a status, more headers and no body.
pub(super) fn status(status: u16, headers: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{headers}\r\n"))
}

pub(super) struct Sink {
    pub(super) address: SocketAddr,
    received: mpsc::Receiver<Received>,
    _tasks: JoinSet<()>,
}

impl Sink {
    pub(super) async fn start(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::channel(10_000);
        let mut tasks = JoinSet::new();
        let answer = Arc::new(answer);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (sender, answer) = (sender.clone(), Arc::clone(&answer));
                connections.spawn(async move {
                    let _ = serve(stream, connection, &sender, &*answer).await;
                });
            }
        });
        Self { address, received, _tasks: tasks }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    pub(super) async fn next(&mut self) -> Received {
        let limit = std::time::Duration::from_secs(20);
        tokio::time::timeout(limit, self.received.recv()).await.expect("something comes in time").unwrap()
    }

    pub(super) fn waiting(&mut self) -> usize {
        std::iter::from_fn(|| self.received.try_recv().ok()).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    sender: &mpsc::Sender<Received>,
    answer: &(impl Fn(&Received) -> Reply + ?Sized),
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(received) = read(&mut stream, &mut buffer, connection).await? else { return Ok(()) };
        let reply = answer(&received);
        sender.send(received).await.unwrap();
        match reply {
            Reply::Bytes(bytes) => stream.write_all(bytes.as_bytes()).await?,
            Reply::Last(bytes) => return stream.write_all(bytes.as_bytes()).await,
            Reply::Close => return Ok(()),
            Reply::Silence => std::future::pending().await,
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> std::io::Result<Option<Received>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
            let mut lines = head.split("\r\n").map(str::to_owned);
            let line = lines.next().unwrap();
            let pairs = lines.filter_map(|line| line.split_once(": ").map(|(a, b)| (a.to_lowercase(), b.to_owned())));
            let headers: HashMap<_, _> = pairs.collect();
            let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Ok(Some(Received { line, headers, body, connection }));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
