//! AMQP, with RabbitMQ and pika. The broker takes a quarter of a minute to begin, so one test has all of it.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use millrace_actors::delivery::sinks::destination::Kind;
use millrace_tests::peers::brokers::{
    Arrived, Certificate, RabbitMq, RabbitPorts, Receiver, empty_full_queue, make_full_queue,
};
use millrace_tests::ports::OwnPorts;
use tokio::io::AsyncReadExt as _;

use super::rig::{Rig, broker, check, encrypted_broker};

/// Longer than a try to connect takes, and the wait for the next.
const SOON: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_confirmed_arrived_once_and_what_it_did_not_is_tried_again() -> Result<()> {
    let Some(()) = RabbitMq::installed() else { return Ok(()) };
    let (claimed, folder) = (OwnPorts::claim()?, tempfile::tempdir()?);
    let ports = claimed.ports();
    // The broker does not take a port that is held at any address of the machine, as those that are claimed are.
    let distribution = ports.bitcoin - 10_000;
    let ports = RabbitPorts { amqp: ports.control, encrypted: ports.bitcoin, distribution, mapper: ports.skycoin };
    let certificate = Certificate::make()?;
    let first = RabbitMq::start(ports, folder.path(), &certificate).await?;
    let receiver = Receiver::of_amqp(ports.amqp, "desk", "deposits.#", "all").await?;
    let rig = Rig::start(broker(Kind::Amqp, ports.amqp, None)?)?;
    rig.subscribe(1, "amqp:desk/deposits.all").await?;
    rig.subscribe(2, "amqp:/all").await?;
    rig.subscribe(3, "amqp:nowhere/deposits").await?;
    rig.subscribe(4, "amqp:desk/nobody.listens").await?;
    rig.publish(2);
    let arrived = receiver.exactly(4).await?;
    let before: HashSet<_> = arrived.iter().map(|one| (one.place.clone(), one.headers["webhook-id"].clone())).collect();
    let (by_exchange, by_queue): (Vec<_>, Vec<_>) = arrived.into_iter().partition(|one| one.place.starts_with("desk/"));
    check(&by_exchange, 1..=2)?;
    check(&by_queue, 1..=2)?;
    ensure!(by_queue.iter().all(|one| one.headers["message-id"] == one.headers["webhook-id"]), "{by_queue:?}");
    let said = rig.missed(3, "refused").await?;
    ensure!(said.contains("no exchange 'nowhere'"), "{said}");
    let said = rig.missed(4, "refused").await?;
    ensure!(said.contains("no queue takes it: 312 NO_ROUTE"), "{said}");
    ensure!(rig.delivered(1, 2).await?.len() == 2, "a wrong exchange is nobody else's trouble");
    a_full_queue_refuses_until_it_has_room(ports).await?;
    it_is_spoken_to_encrypted_if_it_is_vouched_for(ports, &certificate).await?;
    drop((first, receiver));
    rig.publish(1);
    rig.missed(1, "connect").await?;
    let _second = RabbitMq::start(ports, folder.path(), &certificate).await?;
    let receiver = Receiver::of_amqp(ports.amqp, "desk", "#", "all").await?;
    rig.delivered(1, 3).await?;
    // The queue takes what nobody listened to, too, by now.
    rig.delivered(4, 3).await?;
    let is_new = |one: &Arrived| !before.contains(&(one.place.clone(), one.headers["webhook-id"].clone()));
    let arrived = receiver.exactly_of(5, is_new).await?;
    let of = |place: &str| arrived.iter().filter(|one| one.place == place).cloned().collect::<Vec<_>>();
    check(&of("desk/deposits.all"), 3..=3)?;
    check(&of("/all"), 3..=3)?;
    check(&of("desk/nobody.listens"), 1..=3)
}

async fn a_full_queue_refuses_until_it_has_room(ports: RabbitPorts) -> Result<()> {
    make_full_queue(ports.amqp, "full")?;
    let rig = Rig::start(broker(Kind::Amqp, ports.amqp, None)?)?;
    rig.subscribe(1, "amqp:/full").await?;
    rig.publish(2);
    rig.delivered(1, 1).await?;
    let said = rig.missed(1, "refused").await?;
    ensure!(said.contains("the broker could not keep it"), "{said}");
    empty_full_queue(ports.amqp, "full")?;
    rig.delivered(1, 2).await.map(drop)
}

async fn it_is_spoken_to_encrypted_if_it_is_vouched_for(ports: RabbitPorts, certificate: &Certificate) -> Result<()> {
    let strangers = Rig::start(encrypted_broker(Kind::Amqp, "amqps", ports.encrypted, None)?)?;
    let rig = Rig::start(encrypted_broker(Kind::Amqp, "amqps", ports.encrypted, Some(&certificate.certificate))?)?;
    let receiver = Receiver::of_amqp(ports.amqp, "desk", "encrypted", "encrypted").await?;
    for rig in [&strangers, &rig] {
        rig.subscribe(1, "amqp:desk/encrypted").await?;
    }
    strangers.publish(1);
    let said = strangers.attempts(1, |attempts| !attempts.is_empty()).await?;
    ensure!(said.iter().all(|attempt| attempt.class != "delivered"), "{said:?}");
    rig.publish(5);
    check(&receiver.exactly(5).await?, 1..=5)
}

/// The library has a thread for each try, and no end for one that nobody answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_a_connection_and_says_nothing_is_left_and_costs_no_more_each_time() -> Result<()> {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let rig = Rig::start(broker(Kind::Amqp, silent.local_addr()?.port(), None)?)?;
    rig.subscribe(1, "amqp:/deposits").await?;
    rig.publish(1);
    for _ in 0..3 {
        let (mut connection, _) = tokio::time::timeout(SOON, silent.accept()).await??;
        let mut greeting = Vec::new();
        // To its end: whoever tried has shut it.
        tokio::time::timeout(SOON, connection.read_to_end(&mut greeting)).await??;
        ensure!(greeting.starts_with(b"AMQP"), "{greeting:?}");
    }
    let said = rig.missed(1, "timeout").await?;
    ensure!(said.contains("connecting took too long"), "{said}");
    Ok(())
}
