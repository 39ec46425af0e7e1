//! The client over TLS: only to who proves to be the host, and with sessions taken up again.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::*;

struct Here;

impl Resolve for Here {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::ready(Ok(vec![IpAddr::from([127, 0, 0, 1])])))
    }
}

/// A receiver that is `hooks.example.com`, answers once a connection and tells how each began.
struct Receiver {
    address: SocketAddr,
    trusted: ClientConfig,
    handshakes: mpsc::Receiver<HandshakeKind>,
    _serving: JoinSet<()>,
}

impl Receiver {
    async fn start() -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let issued = rcgen::generate_simple_self_signed(vec!["hooks.example.com".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(issued.cert.der().clone()).unwrap();
        let trusted = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, handshakes) = mpsc::channel(16);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let kind = stream.get_ref().1.handshake_kind().unwrap();
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request).await.unwrap();
                let answer = b"HTTP/1.1 204 X\r\nConnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                let _ = stream.shutdown().await;
                told.send(kind).await.unwrap();
            }
        });
        Self { address, trusted, handshakes, _serving: serving }
    }

    fn line(&self, host: &str) -> Line {
        let url = format!("https://{host}:{}/", self.address.port());
        Line::new(Target::parse(&url, Reach::Sandbox).unwrap()).unwrap()
    }
}

async fn outcome(client: &Client, line: &Line) -> Outcome {
    client.post(line, HeaderMap::new(), Bytes::from_static(b"body"), || 0).await.outcome
}

#[tokio::test]
async fn a_host_that_proves_to_be_one_is_sent_to_and_its_session_taken_up_again() {
    let mut receiver = Receiver::start().await;
    let client = Client::new(Reach::Sandbox, Arc::new(Here)).with_tls(receiver.trusted.clone());
    let line = receiver.line("hooks.example.com");
    for handshake in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let delivered = Outcome::Answered { status: 204, retry_after_ms: None, directive: None };
        assert_eq!(outcome(&client, &line).await, delivered);
        assert_eq!(receiver.handshakes.recv().await, Some(handshake));
    }
}

#[tokio::test]
async fn who_is_another_host_or_vouched_for_by_nobody_gets_nothing() {
    let receiver = Receiver::start().await;
    let client = Client::new(Reach::Sandbox, Arc::new(Here)).with_tls(receiver.trusted.clone());
    assert_eq!(outcome(&client, &receiver.line("other.example.com")).await, Outcome::Failed(Trouble::Tls));
    let stranger = Client::new(Reach::Sandbox, Arc::new(Here)).with_tls(Receiver::start().await.trusted);
    assert_eq!(outcome(&stranger, &receiver.line("hooks.example.com")).await, Outcome::Failed(Trouble::Tls));
}
