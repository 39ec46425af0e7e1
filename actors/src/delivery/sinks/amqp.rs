//! AMQP 0-9-1, as RabbitMQ and others speak it: a message is published as persistent and mandatory, and the broker's confirm is
//! its receipt.
//!
//! What no queue takes comes back (`mandatory`) and is a refusal. What comes back does not say which message it was, and a wrong
//! exchange ends the channel with all that is under way there; so one message at a time is under way on a channel, and the one
//! connection has as many channels as it takes. One whose message nobody answered for is not used again.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Error, ErrorKind};
use millrace_protocols::delivery::verdict::Trouble;
use tokio_util::sync::CancellationToken;

use super::broker::{Broker, Letter, Miss, Settings};
use super::destination::Destination;

/// How often a connection on which nothing happens is tried, in seconds.
const HEARTBEAT_S: u16 = 10;
/// `basic.properties.delivery-mode` of what outlives the broker.
const PERSISTENT: u8 = 2;

/// A broker of AMQP.
pub(super) struct Amqp(pub(super) Settings);

/// An exchange and a routing key.
pub(super) struct Place {
    exchange: ShortString,
    routing_key: ShortString,
}

/// A connection, with the channels that nothing is under way on.
pub(super) struct Link {
    connection: Connection,
    free: Mutex<Vec<Channel>>,
}

impl Broker for Amqp {
    type Link = Link;
    type Place = Place;

    fn place(destination: &Destination) -> Option<Place> {
        match destination {
            Destination::Amqp { exchange, routing_key } => {
                Some(Place { exchange: exchange.as_str().into(), routing_key: routing_key.as_str().into() })
            }
            _ => None,
        }
    }

    async fn connect(&self, _: CancellationToken) -> Result<Link, Miss> {
        let properties = ConnectionProperties::default().with_connection_name("millrace".into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| not_connected(&error))?;
        let trusted = OwnedTLSConfig { identity: None, cert_chain: self.0.authority.clone() };
        let trying = Try::default();
        let socket = Arc::clone(&trying.0);
        let connecting = Connection::connector(
            self.uri()?,
            runtime,
            async move |uri, runtime| {
                let at = runtime.to_socket_addrs((uri.authority.host.clone(), uri.authority.port));
                let stream = AsyncTcpStream::connect(&runtime, at).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    socket.hold(plain.get_ref().as_fd())?;
                }
                Ok(match uri.scheme {
                    AMQPScheme::AMQP => stream,
                    AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, trusted.as_ref()).await?,
                })
            },
            properties,
        );
        let connection = connecting.await.map_err(|error| not_connected(&error))?;
        trying.succeeded();
        Ok(Link { connection, free: Mutex::default() })
    }

    fn is_up(link: &Link) -> bool {
        link.connection.status().connected()
    }

    async fn publish(link: &Link, place: &Place, letter: Letter) -> Result<(), Miss> {
        if link.connection.status().blocked() {
            return Err(Miss::refused("the broker takes nothing for now: it is short of memory or disk"));
        }
        let channel = link.channel().await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let (exchange, key) = (place.exchange.clone(), place.routing_key.clone());
        let publishing = channel.basic_publish(exchange, key, options, &letter.body, properties(&letter)).await;
        let confirmed = publishing.map_err(|error| not_taken(&error))?.await.map_err(|error| not_taken(&error))?;
        link.free().push(channel);
        match confirmed {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => Err(came_back(&returned)),
            Confirmation::Nack(None) => Err(Miss::refused("the broker could not keep it")),
            Confirmation::NotRequested => Err(Miss::failed(Trouble::Protocol, "the broker does not confirm")),
        }
    }
}

/// A try to connect. One that is given up shuts its socket: the library's own end for a broker that takes a connection and says
/// nothing is none, and it has a thread for each.
#[derive(Default)]
struct Try(Arc<Socket>);

/// What the try is at.
#[derive(Default)]
struct Socket(Mutex<Held>);

#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    Open(TcpStream),
    /// It was given up: what comes now is shut at once.
    GivenUp,
    /// The connection has its own end.
    Succeeded,
}

impl Socket {
    fn hold(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let socket = TcpStream::from(socket.try_clone_to_owned()?);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *held {
            Held::GivenUp => socket.shutdown(Shutdown::Both),
            Held::Nothing | Held::Open(_) | Held::Succeeded => {
                *held = Held::Open(socket);
                Ok(())
            }
        }
    }

    fn end(&self, how: Held) -> Held {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), how)
    }
}

impl Try {
    fn succeeded(self) {
        self.0.end(Held::Succeeded);
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        let before = self.0.end(Held::GivenUp);
        if let Held::Open(socket) = before {
            // One that is not connected any more needs no end.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Amqp {
    fn uri(&self) -> Result<AMQPUri, Miss> {
        let Settings { url, user, password, authority: _ } = &self.0;
        let unfit = |error: String| Miss::failed(Trouble::Forbidden, format!("the broker's address is unfit: {error}"));
        let mut uri: AMQPUri = url.as_str().parse().map_err(unfit)?;
        if let Some(user) = user {
            uri.authority.userinfo.username.clone_from(user);
        }
        if let Some(password) = password {
            uri.authority.userinfo.password.clone_from(password);
        }
        uri.query.heartbeat = Some(HEARTBEAT_S);
        Ok(uri)
    }
}

impl Link {
    fn free(&self) -> MutexGuard<'_, Vec<Channel>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that nothing is under way on. There are no more of them than messages may be under way.
    async fn channel(&self) -> Result<Channel, Miss> {
        let free = std::iter::from_fn(|| self.free().pop()).find(|channel| channel.status().connected());
        if let Some(channel) = free {
            return Ok(channel);
        }
        let channel = self.connection.create_channel().await.map_err(|error| not_taken(&error))?;
        let confirming = channel.confirm_select(ConfirmSelectOptions::default()).await;
        confirming.map_err(|error| not_taken(&error))?;
        Ok(channel)
    }
}

fn properties(letter: &Letter) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in letter.signed.headers() {
        headers.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
    }
    BasicProperties::default()
        .with_message_id(letter.signed.id.as_str().into())
        .with_content_type(letter.content_type.into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers)
}

fn came_back(returned: &BasicReturnMessage) -> Miss {
    Miss::refused(format!("no queue takes it: {} {}", returned.reply_code, returned.reply_text))
}

fn not_connected(error: &Error) -> Miss {
    match error.kind() {
        ErrorKind::IOError(_) => Miss::failed(Trouble::Connect, error.to_string()),
        ErrorKind::ProtocolError(_) => Miss::refused(format!("the broker does not take us: {error}")),
        _ => Miss::failed(Trouble::Connect, error.to_string()),
    }
}

fn not_taken(error: &Error) -> Miss {
    match error.kind() {
        ErrorKind::ProtocolError(_) => Miss::refused(format!("the broker refuses it: {error}")),
        _ => Miss::failed(Trouble::Broken, error.to_string()),
    }
}
