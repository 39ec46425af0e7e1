//! A doorman before a broker: who does not prove that he knows the password, by SCRAM-SHA-512 or by PLAIN, gets no further. For
//! the broker that installs here cannot be told of anybody who may come in.
//!
//! Frames and the two calls are those of <https://kafka.apache.org/protocol>, versions 1 of SaslHandshake and 0 to 2 of
//! SaslAuthenticate; the proofs are RFC 5802's and RFC 4616's.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Who may come in.
pub const USER: &str = "millrace";
/// What he has to know.
pub const PASSWORD: &str = "pass, with = and ,";
const SALT: &[u8] = b"a salt of 16 byt";
const ROUNDS: u32 = 4_096;
const SERVER_NONCE: &str = "the-doorman";
/// As large as a frame may be before somebody is let in, in bytes.
const FRAME_BYTES_MAX: usize = 64 * 1_024;
const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
/// SASL_AUTHENTICATION_FAILED.
const FAILED: i16 = 58;

/// The doorman, who goes when it is dropped.
pub struct Doorman {
    /// How many were let in, and how many were not.
    pub let_in: Arc<AtomicU32>,
    pub turned_away: Arc<AtomicU32>,
    standing: tokio::task::JoinHandle<()>,
}

impl Drop for Doorman {
    fn drop(&mut self) {
        self.standing.abort();
    }
}

impl Doorman {
    /// Stands at one address before another.
    pub async fn stand(at: &str, before: &str) -> Result<Self> {
        let (listener, before) = (TcpListener::bind(at).await?, before.to_owned());
        let (let_in, turned_away) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (inside, outside) = (Arc::clone(&let_in), Arc::clone(&turned_away));
        let standing = async move {
            let mut visits = tokio::task::JoinSet::new();
            while let Ok((visitor, _)) = listener.accept().await {
                let (before, inside, outside) = (before.clone(), Arc::clone(&inside), Arc::clone(&outside));
                visits.spawn(async move {
                    if visit(visitor, &before, &inside).await.is_err() {
                        outside.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with the doorman")]
        let standing = tokio::spawn(standing);
        Ok(Self { let_in, turned_away, standing })
    }
}

async fn visit(mut visitor: TcpStream, before: &str, inside: &AtomicU32) -> Result<()> {
    let mut broker = TcpStream::connect(before).await?;
    let mut mechanism = String::new();
    let mut scram = None;
    loop {
        let frame = read(&mut visitor).await?;
        let call = Call::parse(&frame)?;
        match call.api {
            API_VERSIONS => {
                write(&mut broker, &frame).await?;
                write(&mut visitor, &read(&mut broker).await?).await?;
            }
            SASL_HANDSHAKE => {
                mechanism = call.mechanism()?;
                write(&mut visitor, &call.mechanisms()).await?;
            }
            SASL_AUTHENTICATE => {
                let said = String::from_utf8(call.said()?)?;
                let Ok((answer, is_over)) = judge(&mechanism, &mut scram, &said) else {
                    write(&mut visitor, &call.answer(FAILED, "")).await?;
                    bail!("he does not know the password");
                };
                write(&mut visitor, &call.answer(0, &answer)).await?;
                if is_over {
                    inside.fetch_add(1, Ordering::SeqCst);
                    // However that ends, he was let in.
                    let _ = copy_bidirectional(&mut visitor, &mut broker).await;
                    return Ok(());
                }
            }
            api => bail!("he wants {api} before he said who he is"),
        }
    }
}

/// What is answered, and whether he is believed.
fn judge(mechanism: &str, scram: &mut Option<Scram>, said: &str) -> Result<(String, bool)> {
    match (mechanism, scram.take()) {
        ("PLAIN", None) => {
            ensure!(said == format!("\0{USER}\0{PASSWORD}"), "another one");
            Ok((String::new(), true))
        }
        ("SCRAM-SHA-512", None) => {
            let first = Scram::begin(said)?;
            let answer = first.server_first.clone();
            *scram = Some(first);
            Ok((answer, false))
        }
        ("SCRAM-SHA-512", Some(first)) => Ok((first.end(said)?, true)),
        (mechanism, _) => bail!("nobody says who he is by {mechanism}"),
    }
}

/// A proof under way.
struct Scram {
    client_first: String,
    server_first: String,
}

impl Scram {
    fn begin(said: &str) -> Result<Self> {
        let client_first = said.strip_prefix("n,,").context("no header")?;
        let nonce = client_first.strip_prefix(&format!("n={USER},r=")).context("another user")?;
        let server_first = format!("r={nonce}{SERVER_NONCE},s={},i={ROUNDS}", STANDARD.encode(SALT));
        Ok(Self { client_first: client_first.to_owned(), server_first })
    }

    /// What proves in turn that the password is known here.
    fn end(self, said: &str) -> Result<String> {
        let (without_proof, proof) = said.rsplit_once(",p=").context("no proof")?;
        let nonce = self.server_first.split(',').next().context("a nonce")?;
        ensure!(without_proof == format!("c=biws,{nonce}"), "another exchange");
        let told = format!("{},{},{without_proof}", self.client_first, self.server_first);
        let mut salted = [0; digest::SHA512_OUTPUT_LEN];
        let rounds = NonZeroU32::new(ROUNDS).context("rounds")?;
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, SALT, PASSWORD.as_bytes(), &mut salted);
        let stored = digest::digest(&digest::SHA512, keyed(&salted, "Client Key").as_ref());
        let signature = keyed(stored.as_ref(), &told);
        let key: Vec<_> =
            STANDARD.decode(proof)?.iter().zip(signature.as_ref()).map(|(one, other)| one ^ other).collect();
        ensure!(digest::digest(&digest::SHA512, &key).as_ref() == stored.as_ref(), "a wrong proof");
        let server_key = keyed(&salted, "Server Key");
        Ok(format!("v={}", STANDARD.encode(keyed(server_key.as_ref(), &told))))
    }
}

fn keyed(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, key), text.as_bytes())
}

/// A call: what it is, and what follows its header.
struct Call<'f> {
    api: i16,
    /// From this version of SaslAuthenticate on, lengths are written in another way.
    is_compact: bool,
    has_lifetime: bool,
    number: &'f [u8],
    body: &'f [u8],
}

impl<'f> Call<'f> {
    fn parse(frame: &'f [u8]) -> Result<Self> {
        let (head, rest) = frame.split_at_checked(8).context("a header")?;
        let (api, version) = (i16::from_be_bytes([head[0], head[1]]), i16::from_be_bytes([head[2], head[3]]));
        let (client, rest) = rest.split_at_checked(2).context("a client's name")?;
        let client = usize::try_from(i16::from_be_bytes([client[0], client[1]])).unwrap_or(0);
        let is_compact = api == SASL_AUTHENTICATE && version >= 2;
        let body = rest.get(client + usize::from(is_compact)..).context("a body")?;
        Ok(Self { api, is_compact, has_lifetime: version >= 1, number: &head[4..8], body })
    }

    fn mechanism(&self) -> Result<String> {
        Ok(String::from_utf8(self.body.get(2..).context("a mechanism")?.to_vec())?)
    }

    /// No error, and which there are.
    fn mechanisms(&self) -> Vec<u8> {
        let mut answer = [self.number, &[0; 2], &2_i32.to_be_bytes()].concat();
        for name in ["PLAIN", "SCRAM-SHA-512"] {
            answer.extend((name.len() as i16).to_be_bytes());
            answer.extend(name.as_bytes());
        }
        answer
    }

    /// What he says. It is shorter than what takes two bytes to tell its length by.
    fn said(&self) -> Result<Vec<u8>> {
        let said = if self.is_compact {
            match self.body {
                [length, rest @ ..] if *length < 0x80 => rest.get(..usize::from(*length).saturating_sub(1)),
                [low, high, rest @ ..] => rest.get(..(usize::from(low & 0x7f) | usize::from(*high) << 7) - 1),
                _ => None,
            }
        } else {
            self.body.get(4..)
        };
        Ok(said.context("what he says")?.to_vec())
    }

    fn answer(&self, error: i16, text: &str) -> Vec<u8> {
        let mut answer = self.number.to_vec();
        if self.is_compact {
            answer.push(0);
            answer.extend(error.to_be_bytes());
            let length = text.len() + 1;
            // No message, and then how long the answer is.
            answer.extend([0, length as u8 & 0x7f | if length > 0x7f { 0x80 } else { 0 }]);
            answer.extend((length > 0x7f).then_some((length >> 7) as u8));
            answer.extend(text.as_bytes());
        } else {
            answer.extend(error.to_be_bytes());
            answer.extend((-1_i16).to_be_bytes());
            answer.extend((text.len() as i32).to_be_bytes());
            answer.extend(text.as_bytes());
        }
        if self.has_lifetime {
            answer.extend([0; 8]);
        }
        answer.extend(self.is_compact.then_some(0));
        answer
    }
}

async fn read(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let length = usize::try_from(stream.read_i32().await?)?;
    ensure!(length <= FRAME_BYTES_MAX, "a frame of {length} bytes");
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write(stream: &mut TcpStream, frame: &[u8]) -> Result<()> {
    stream.write_i32(i32::try_from(frame.len())?).await?;
    Ok(stream.write_all(frame).await?)
}
