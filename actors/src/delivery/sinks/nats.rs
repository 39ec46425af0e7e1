//! NATS: a message is published to a subject that a stream of JetStream keeps, and the stream's acknowledgement is its receipt.
//!
//! `Nats-Msg-Id` is the notification's id, so a stream takes an attempt that was made again within its window for what it is.
//! A subject without a stream is a refusal, told at once.

use std::error::Error as _;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, HeaderMap};
use millrace_protocols::delivery::verdict::Trouble;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use super::super::tls;
use super::broker::{Broker, Letter, Miss, PLACES, Settings};
use super::destination::Destination;

/// How often a connection on which nothing happens is tried.
const PING: Duration = Duration::from_secs(10);
/// Longer than an answer is waited for by whoever publishes.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(15);

/// A server of NATS.
pub(super) struct Nats(pub(super) Settings);

impl Broker for Nats {
    type Link = (Client, Context);
    type Place = String;

    fn place(destination: &Destination) -> Option<String> {
        match destination {
            Destination::Nats { subject } => Some(subject.clone()),
            _ => None,
        }
    }

    async fn connect(&self, down: CancellationToken) -> Result<Self::Link, Miss> {
        let client = self.options(down)?.connect(self.0.url.as_str()).await.map_err(|error| not_connected(&error))?;
        let context = async_nats::jetstream::context::ContextBuilder::new()
            .ack_timeout(ACKNOWLEDGED_WITHIN)
            .max_ack_inflight(PLACES)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok((client, context))
    }

    async fn publish((_, context): &Self::Link, subject: &String, letter: Letter) -> Result<(), Miss> {
        let mut headers = HeaderMap::new();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, letter.signed.id.as_str());
        headers.insert("content-type", letter.content_type);
        letter.signed.headers().for_each(|(name, value)| headers.insert(name, value));
        let published = context.publish_with_headers(subject.clone(), headers, letter.body).await;
        let acknowledged = published.map_err(|error| not_taken(&error))?.await;
        acknowledged.map(drop).map_err(|error| not_taken(&error))
    }
}

impl Nats {
    fn options(&self, down: CancellationToken) -> Result<ConnectOptions, Miss> {
        let Settings { url, user, password, authority } = &self.0;
        let ended = move |event| {
            if let Event::Disconnected | Event::Closed = event {
                down.cancel();
            }
            std::future::ready(())
        };
        // One that ended is not mended behind our back: the next message makes another.
        let mut options = ConnectOptions::new()
            .name("millrace")
            .ping_interval(PING)
            .max_reconnects(1)
            .ignore_discovered_servers()
            .event_callback(ended);
        options = match (user, password) {
            (Some(user), password) => options.user_and_password(user.clone(), password.clone().unwrap_or_default()),
            (None, Some(token)) => options.token(token.clone()),
            (None, None) => options,
        };
        if url.scheme() == "tls" {
            let config = tls::config_with(authority.as_deref())
                .map_err(|error| Miss::failed(Trouble::Tls, error.to_string()))?;
            options = options.require_tls(true).tls_client_config(config);
        }
        Ok(options)
    }
}

fn not_connected(error: &ConnectError) -> Miss {
    let trouble = match error.kind() {
        ConnectErrorKind::Dns => Trouble::Resolve,
        ConnectErrorKind::TimedOut => Trouble::Timeout,
        ConnectErrorKind::Tls => Trouble::Tls,
        ConnectErrorKind::ServerParse | ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => Trouble::Connect,
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            return Miss::refused(format!("the server does not take us: {error}"));
        }
    };
    Miss::failed(trouble, error.to_string())
}

fn not_taken(error: &PublishError) -> Miss {
    match error.kind() {
        PublishErrorKind::StreamNotFound => Miss::refused("no stream keeps the subject"),
        PublishErrorKind::TimedOut => Miss::failed(Trouble::Timeout, error.to_string()),
        PublishErrorKind::BrokenPipe => Miss::failed(Trouble::Broken, error.to_string()),
        PublishErrorKind::WrongLastMessageId
        | PublishErrorKind::WrongLastSequence
        | PublishErrorKind::MaxAckPending
        | PublishErrorKind::MaxPayloadExceeded
        | PublishErrorKind::Other => {
            let why = error.source().map_or_else(String::new, |source| format!(": {source}"));
            Miss::refused(format!("the stream refuses it: {}{why}", error.kind()))
        }
    }
}
