//! MQTT, with Mosquitto and its `mosquitto_sub`.

use anyhow::{Result, ensure};
use millrace_actors::delivery::sinks::destination::Kind;
use millrace_tests::peers::brokers::{Certificate, Receiver, encrypted_mosquitto, mosquitto, mosquitto_installed};
use millrace_tests::ports::OwnPorts;
use tokio::task::JoinSet;

use super::rig::{Rig, broker, check, encrypted_broker, of_class, webhook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_acknowledged_arrived_once_and_signed() -> Result<()> {
    let Some(()) = mosquitto_installed() else { return Ok(()) };
    let ports = OwnPorts::claim()?;
    let port = ports.ports().control;
    let _broker = mosquitto(port, Some("word")).await?;
    let (all, other) = (
        Receiver::of_mqtt(port, "desk/deposits", Some("word")).await?,
        Receiver::of_mqtt(port, "desk/other", Some("word")).await?,
    );
    let rig = Rig::start(broker(Kind::Mqtt, port, Some("word"))?)?;
    rig.subscribe(1, "mqtt:desk/deposits").await?;
    rig.subscribe(2, "mqtt:desk/other").await?;
    rig.publish(60);
    check(&all.exactly(60).await?, 1..=60)?;
    check(&other.exactly(60).await?, 1..=60)?;
    let attempts = rig.delivered(1, 60).await?;
    ensure!(attempts.len() == 60 && attempts.iter().all(|attempt| attempt.status.is_none()), "{attempts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_back_gets_what_it_missed_and_nobody_waits_for_it() -> Result<()> {
    let Some(()) = mosquitto_installed() else { return Ok(()) };
    let (ports, mut tasks) = (OwnPorts::claim()?, JoinSet::new());
    let port = ports.ports().control;
    let rig = Rig::start(broker(Kind::Mqtt, port, None)?)?;
    rig.subscribe(1, "mqtt:desk/deposits").await?;
    rig.subscribe(2, &webhook(&mut tasks).await?).await?;
    rig.publish(1);
    let said = rig.missed(1, "connect").await?;
    ensure!(said.contains("refused"), "{said}");
    let beside = rig.delivered(2, 1).await?;
    ensure!(beside.len() == 1, "{beside:?}");
    let first = mosquitto(port, None).await?;
    let receiver = Receiver::of_mqtt(port, "desk/#", None).await?;
    check(&receiver.exactly(1).await?, 1..=1)?;
    // Away in the middle of a connection, and there again.
    drop((first, receiver));
    let _second = mosquitto(port, None).await?;
    let receiver = Receiver::of_mqtt(port, "desk/#", None).await?;
    rig.publish(1);
    check(&receiver.exactly(1).await?, 2..=2)?;
    rig.delivered(1, 2).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_nobody_subscribes_to_is_tried_until_somebody_does() -> Result<()> {
    let Some(()) = mosquitto_installed() else { return Ok(()) };
    let ports = OwnPorts::claim()?;
    let port = ports.ports().control;
    let _broker = mosquitto(port, None).await?;
    let rig = Rig::start(broker(Kind::Mqtt, port, None)?)?;
    rig.subscribe(1, "mqtt:nobody/listens").await?;
    rig.publish(1);
    let said = rig.missed(1, "refused").await?;
    ensure!(said.contains("nobody subscribes"), "{said}");
    let receiver = Receiver::of_mqtt(port, "nobody/listens", None).await?;
    check(&receiver.exactly(1).await?, 1..=1)?;
    let attempts = rig.delivered(1, 1).await?;
    ensure!(of_class(&attempts, "refused").count() + 1 == attempts.len(), "{attempts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_know_the_desk_is_an_attempt_that_says_so() -> Result<()> {
    let Some(()) = mosquitto_installed() else { return Ok(()) };
    let ports = OwnPorts::claim()?;
    let port = ports.ports().control;
    let _broker = mosquitto(port, Some("word")).await?;
    let rig = Rig::start(broker(Kind::Mqtt, port, Some("another"))?)?;
    rig.subscribe(1, "mqtt:desk/deposits").await?;
    rig.publish(1);
    let said = rig.missed(1, "refused").await?;
    ensure!(said.contains("does not take us") && !said.contains("another"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_broker_is_spoken_to_if_its_certificate_is_vouched_for() -> Result<()> {
    let Some(()) = mosquitto_installed() else { return Ok(()) };
    let (ports, certificate) = (OwnPorts::claim()?, Certificate::make()?);
    let (plain, encrypted) = (ports.ports().control, ports.ports().bitcoin);
    let _broker = encrypted_mosquitto(plain, encrypted, &certificate).await?;
    let receiver = Receiver::of_mqtt(plain, "desk/#", None).await?;
    let strangers = Rig::start(encrypted_broker(Kind::Mqtt, "mqtts", encrypted, None)?)?;
    strangers.subscribe(1, "mqtt:desk/strangers").await?;
    strangers.publish(1);
    let said = strangers.attempts(1, |attempts| !attempts.is_empty()).await?;
    ensure!(said.iter().all(|attempt| attempt.class != "delivered"), "{said:?}");
    let rig = Rig::start(encrypted_broker(Kind::Mqtt, "mqtts", encrypted, Some(&certificate.certificate))?)?;
    rig.subscribe(1, "mqtt:desk/deposits").await?;
    rig.publish(20);
    check(&receiver.exactly(20).await?, 1..=20)
}
