//! The real program, told by ton.events' own variables where the queue is.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::SeqCst;

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use millrace_model::ids::Hash32;
use millrace_model::subscription::customer_hash;
use millrace_protocols::webhook::te;
use millrace_tests::desk::{Desk, fresh_target};
use millrace_tests::operator::OperatorApi;
use millrace_tests::peers::queue::Queue;
use millrace_tests::receiver::{Arrived, Receiver, TOLD_WITHIN, header};
use rskafka::client::partition::Compression;
use rskafka::client::{Credentials, SaslConfig};
use rusqlite::{Connection, OpenFlags};

use super::cipher::Cipher;
use super::doorman::{Doorman, PASSWORD, USER};
use super::provider::{Provider, TOPIC, value};

/// How often the desk is killed while it relays, and how many messages are produced between two kills.
const KILLS: u16 = 3;
const MESSAGES: u16 = 60;

/// Starts a desk that reads this queue; a program that was built without it is said to be so.
async fn desk(queue: &Queue, more: &[(&'static str, &str)]) -> Result<Desk> {
    let mut settings = vec![
        ("QUEUE_PROVIDER_ADDRESS", queue.address.as_str()),
        ("QUEUE_PROVIDER_TOPIC", TOPIC),
        ("QUEUE_PROVIDER_GROUPID", "local"),
        ("RETRIABLE_NOTIFICATION_SENDING_ATTEMPTS", "10"),
        ("RETRIABLE_NOTIFICATION_SENDING_INITIAL_DELAY", "1"),
        ("RETRIABLE_NOTIFICATION_SENDING_MAX_DELAY", "1"),
    ];
    settings.extend(more);
    let desk = Desk::start(&settings).await;
    desk.context("is the program built? cargo build -p millrace-daemon --features kafka")
}

/// A customer's receiver that proved that it holds the secret, once messages are taken for it.
async fn subscribed(desk: &Desk, target: &str) -> Result<(Receiver, te::Secret)> {
    let receiver = Receiver::start().await?;
    let secret = receiver.subscribe(desk, target).await?;
    receiver.holds(secret.clone());
    receiver.stands(desk, |webhook| webhook["status"] == "enabled").await?;
    until(desk, "messages are taken for him", "millrace_relay_customers", |count| count == 1).await?;
    until_begun(desk).await?;
    Ok((receiver, secret))
}

/// Waits until a figure of the desk is so.
async fn until(desk: &Desk, what: &str, name: &str, is_so: impl Fn(u64) -> bool) -> Result<u64> {
    desk.until(TOLD_WITHIN, what, async || {
        let Ok(api) = OperatorApi::of(desk) else { return Ok(None) };
        let (_, page) = api.probe("/metrics").await?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        Ok(line.filter(|count| is_so(*count)))
    })
    .await
}

/// Waits until it is stored where the queue is read from.
async fn until_begun(desk: &Desk) -> Result<u64> {
    desk.until(TOLD_WITHIN, "the queue is read", async || Ok(ask(desk, "SELECT count(*) FROM offsets")?)).await
}

/// A number that is not 0 from the desk's file of what was read.
fn ask(desk: &Desk, question: &str) -> Result<Option<u64>> {
    let path = desk.data_dir().join(millrace_actors::relay::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count = connection.query_row(question, [], |row| row.get(0));
    Ok(count.ok().filter(|count| *count > 0))
}

/// What came, as it was produced, with how often it came. The signature of each was checked.
fn values(customer: Hash32, secret: &te::Secret, arrived: &Arrived) -> Result<BTreeMap<String, u32>> {
    let mut values = BTreeMap::new();
    for (headers, body) in arrived {
        ensure!(header(headers, "x-te-signature") == secret.sign(body), "a wrong signature");
        ensure!(header(headers, "content-type") == "text/plain", "it is a text");
        *values.entry(format!("{customer} {}", std::str::from_utf8(body)?)).or_default() += 1;
    }
    Ok(values)
}

#[tokio::test]
async fn three_records_two_with_one_key_are_two_deliveries_and_none_the_second_time() -> Result<()> {
    let Some(queue) = Queue::start().await? else { return Ok(()) };
    let provider = Provider::at(&queue).await?;
    let (target, customer) = (fresh_target(1), customer_hash(&fresh_target(1)));
    let records = [0, 1, 2].map(|number| value(customer, number));
    provider.send(&[("before", &records[0])], Compression::NoCompression).await?;
    let desk = desk(&queue, &[]).await?;
    let (receiver, secret) = subscribed(&desk, &target).await?;

    let produced = [("key-1", &*records[0]), ("key-2", &*records[1]), ("key-1", &*records[2])];
    provider.send(&produced, Compression::NoCompression).await?;
    receiver.told(2).await?;
    provider.send(&produced, Compression::NoCompression).await?;
    // Another one that arrives says that those before it would have.
    let last = value(customer, 3);
    provider.send(&[("key-3", &last)], Compression::NoCompression).await?;
    until(&desk, "it arrived", "millrace_relay_delivered_total", |count| count >= 3).await?;
    let expected = [&records[0], &records[1], &last].map(|value| (value.clone(), 1));
    assert_eq!(values(customer, &secret, &receiver.arrived())?, BTreeMap::from(expected));
    let repeated = "millrace_relay_records_total{result=\"repeated\"}";
    until(&desk, "the repetitions are counted", repeated, |count| count == 4).await?;
    Ok(())
}

#[tokio::test]
async fn a_desk_that_is_killed_takes_every_message_once_and_delivers_all() -> Result<()> {
    let Some(queue) = Queue::start().await? else { return Ok(()) };
    let provider = Provider::at(&queue).await?;
    let (target, customer) = (fresh_target(2), customer_hash(&fresh_target(2)));
    let mut desk = desk(&queue, &[]).await?;
    let (receiver, secret) = subscribed(&desk, &target).await?;
    let all: Vec<_> = (0..KILLS * MESSAGES).map(|number| (format!("key-{number}"), value(customer, number))).collect();
    let all: Vec<_> = all.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    for (round, some) in all.chunks(usize::from(MESSAGES)).enumerate() {
        // Some of them twice, and the others one by one, so that it is in the middle of something.
        provider.send(&some[..10], Compression::NoCompression).await?;
        for record in some {
            provider.send(&[*record], Compression::NoCompression).await?;
        }
        receiver.told(round * usize::from(MESSAGES) + 5).await?;
        desk.kill_and_restart().await?;
    }
    let question = format!("SELECT count(*) / {} FROM messages", all.len());
    desk.until(TOLD_WITHIN, "all were taken", async || ask(&desk, &question)).await?;
    let expected: BTreeMap<_, _> = all.iter().map(|(_, value)| (*value).to_owned()).map(|value| (value, ())).collect();
    let arrived = desk
        .until(TOLD_WITHIN, "all arrived", async || {
            let arrived = values(customer, &secret, &receiver.arrived())?;
            Ok((arrived.len() == expected.len()).then_some(arrived))
        })
        .await?;
    assert!(arrived.keys().eq(expected.keys()), "nothing else came");

    // All of it again is nothing new, and what was taken was taken once.
    provider.send(&all, Compression::NoCompression).await?;
    let last = value(customer, u16::MAX);
    provider.send(&[("last", &last)], Compression::NoCompression).await?;
    let question = format!("SELECT count(*) FROM messages WHERE body LIKE '%{}'", &last[last.len() - 10..]);
    desk.until(TOLD_WITHIN, "the last was taken", async || ask(&desk, &question)).await?;
    let taken = ask(&desk, "SELECT count(*) FROM messages")?;
    assert_eq!(taken, Some(all.len() as u64 + 1));
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_by_ton_events_own_schedule() -> Result<()> {
    let Some(queue) = Queue::start().await? else { return Ok(()) };
    let provider = Provider::at(&queue).await?;
    let (target, customer) = (fresh_target(3), customer_hash(&fresh_target(3)));
    let desk = desk(&queue, &[("CRC_SALT", "00")]).await?;
    let (receiver, secret) = subscribed(&desk, &target).await?;
    receiver.answers(StatusCode::SERVICE_UNAVAILABLE).await;
    let message = value(customer, 1);
    provider.send(&[("key", &message)], Compression::NoCompression).await?;
    // The desk's own schedule would wait for 30 seconds, and these are two delays of one.
    receiver.told(3).await?;
    receiver.answers(StatusCode::OK).await;
    until(&desk, "it arrived", "millrace_relay_delivered_total", |count| count == 1).await?;
    assert!(values(customer, &secret, &receiver.arrived())?.keys().eq([&message]));
    assert!(std::fs::read_to_string(desk.log_file())?.contains("CRC_SALT is set and has no effect"));
    Ok(())
}

#[tokio::test]
async fn over_connections_that_are_encrypted_it_arrives_too_and_not_from_somebody_nobody_trusts() -> Result<()> {
    let Some(queue) = Queue::start_behind("localhost").await? else { return Ok(()) };
    let cipher = Cipher::stand(&queue.address, &queue.inside).await?;
    let trusting = cipher.trusting()?;
    let provider = Provider::by(&queue, |builder| builder.tls_config(trusting)).await?;
    let (target, customer) = (fresh_target(4), customer_hash(&fresh_target(4)));
    let trusted = cipher.certificate_file().display().to_string();
    let mut desk = desk(&queue, &[("MILLRACE_RELAY__TLS", "true")]).await?;
    until(&desk, "a stranger is not believed", "millrace_relay_failures_total", |count| count > 0).await?;
    desk.set("SSL_CERT_FILE", Some(&trusted));
    desk.kill_and_restart().await?;
    let (receiver, secret) = subscribed(&desk, &target).await?;
    let message = value(customer, 1);
    provider.send(&[("key", &message)], Compression::NoCompression).await?;
    let arrived = receiver.told(1).await?;
    assert!(values(customer, &secret, &arrived)?.keys().eq([&message]));
    Ok(())
}

#[tokio::test]
async fn who_has_to_say_who_he_is_says_it_and_with_a_wrong_password_nothing_is_read() -> Result<()> {
    let Some(queue) = Queue::start_behind("127.0.0.1").await? else { return Ok(()) };
    let doorman = Doorman::stand(&queue.address, &queue.inside).await?;
    let known = SaslConfig::Plain(Credentials::new(USER.to_owned(), PASSWORD.to_owned()));
    let provider = Provider::by(&queue, |builder| builder.sasl_config(known)).await?;
    let let_in_before = doorman.let_in.load(SeqCst);
    let (target, customer) = (fresh_target(5), customer_hash(&fresh_target(5)));
    let wrong = [("QUEUE_PROVIDER_USERNAME", USER), ("QUEUE_PROVIDER_PASSWORD", "a-wrong-password")];
    let mut desk = desk(&queue, &wrong).await?;
    until(&desk, "a wrong password is refused", "millrace_relay_failures_total", |count| count > 0).await?;
    let conditions = "millrace_part_conditions{part=\"relay\"}";
    until(&desk, "the health says so", conditions, |count| count == 1).await?;
    assert!(doorman.turned_away.load(SeqCst) > 0 && doorman.let_in.load(SeqCst) == let_in_before);

    desk.set("QUEUE_PROVIDER_PASSWORD", Some(PASSWORD));
    desk.kill_and_restart().await?;
    let (receiver, secret) = subscribed(&desk, &target).await?;
    let messages = [1, 2].map(|number| value(customer, number));
    provider.send(&[("scram-sha-512", &messages[0])], Compression::NoCompression).await?;
    receiver.told(1).await?;
    until(&desk, "and no more", conditions, |count| count == 0).await?;
    assert!(doorman.let_in.load(SeqCst) > let_in_before);
    desk.set("MILLRACE_RELAY__MECHANISM", Some("plain"));
    desk.kill_and_restart().await?;
    provider.send(&[("plain", &messages[1])], Compression::NoCompression).await?;
    let arrived = receiver.told(2).await?;
    assert!(values(customer, &secret, &arrived)?.keys().eq(&messages));
    let log = std::fs::read_to_string(desk.log_file())?;
    assert!(!log.contains(PASSWORD) && !log.contains("a-wrong-password"), "nothing of it is in the log");
    Ok(())
}
