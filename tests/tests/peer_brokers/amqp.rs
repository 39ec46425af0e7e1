//! AMQP, with RabbitMQ and pika. The broker takes a quarter of a minute to begin, so one test has all of it.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use millrace_actors::delivery::sinks::destination::Kind;
use millrace_tests::peers::brokers::{Arrived, RabbitMq, RabbitPorts, Receiver};
use millrace_tests::ports::OwnPorts;

use super::rig::{Rig, broker, check};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_confirmed_arrived_once_and_what_it_did_not_is_tried_again() -> Result<()> {
    let Some(()) = RabbitMq::installed() else { return Ok(()) };
    let (claimed, folder) = (OwnPorts::claim()?, tempfile::tempdir()?);
    let ports = claimed.ports();
    // The broker does not take a port that is held at any address of the machine, as those that are claimed are.
    let distribution = ports.bitcoin - 10_000;
    let ports = RabbitPorts { amqp: ports.control, distribution, mapper: ports.skycoin };
    let first = RabbitMq::start(ports, folder.path()).await?;
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
    drop((first, receiver));
    rig.publish(1);
    rig.missed(1, "connect").await?;
    let _second = RabbitMq::start(ports, folder.path()).await?;
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
