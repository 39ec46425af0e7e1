//! NATS with JetStream, with its own server and nats-py.

use anyhow::{Result, ensure};
use millrace_actors::delivery::sinks::destination::Kind;
use millrace_tests::peers::brokers::{Certificate, Receiver, encrypted_nats, nats, nats_installed};
use millrace_tests::ports::OwnPorts;
use tokio::task::JoinSet;

use super::rig::{Rig, broker, check, encrypted_broker, webhook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_stream_acknowledged_is_in_it_once_and_signed() -> Result<()> {
    let Some(()) = nats_installed() else { return Ok(()) };
    let (ports, store) = (OwnPorts::claim()?, tempfile::tempdir()?);
    let port = ports.ports().control;
    let _server = nats(port, store.path()).await?;
    let receiver = Receiver::of_nats(port, "DESK", "desk.>").await?;
    let rig = Rig::start(broker(Kind::Nats, port, None)?)?;
    rig.subscribe(1, "nats:desk.deposits").await?;
    rig.publish(60);
    let arrived = receiver.exactly(60).await?;
    check(&arrived, 1..=60)?;
    ensure!(arrived[0].headers["Nats-Msg-Id"] == arrived[0].headers["webhook-id"], "{arrived:?}");
    // What is sent once more is acknowledged, and the stream has it already.
    rig.delivered(1, 60).await?;
    rig.resend(1, 7).await?;
    rig.delivered(1, 61).await?;
    rig.publish(1);
    check(&receiver.exactly(61).await?, 1..=61)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_gets_what_it_missed_and_nobody_waits_for_it() -> Result<()> {
    let Some(()) = nats_installed() else { return Ok(()) };
    let (ports, store, mut tasks) = (OwnPorts::claim()?, tempfile::tempdir()?, JoinSet::new());
    let port = ports.ports().control;
    let first = nats(port, store.path()).await?;
    let receiver = Receiver::of_nats(port, "DESK", "desk.>").await?;
    let rig = Rig::start(broker(Kind::Nats, port, None)?)?;
    rig.subscribe(1, "nats:desk.deposits").await?;
    rig.subscribe(2, &webhook(&mut tasks).await?).await?;
    rig.publish(1);
    check(&receiver.exactly(1).await?, 1..=1)?;
    drop((first, receiver));
    rig.publish(1);
    rig.missed(1, "connect").await?;
    let beside = rig.delivered(2, 2).await?;
    ensure!(beside.len() == 2, "{beside:?}");
    let _second = nats(port, store.path()).await?;
    rig.delivered(1, 2).await?;
    let receiver = Receiver::of_nats(port, "DESK", "desk.>").await?;
    check(&receiver.exactly(2).await?, 1..=2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_without_a_stream_is_tried_until_there_is_one() -> Result<()> {
    let Some(()) = nats_installed() else { return Ok(()) };
    let (ports, store) = (OwnPorts::claim()?, tempfile::tempdir()?);
    let port = ports.ports().control;
    let _server = nats(port, store.path()).await?;
    let rig = Rig::start(broker(Kind::Nats, port, None)?)?;
    rig.subscribe(1, "nats:desk.deposits").await?;
    rig.publish(1);
    let said = rig.missed(1, "refused").await?;
    ensure!(said.contains("no stream"), "{said}");
    let receiver = Receiver::of_nats(port, "DESK", "desk.>").await?;
    check(&receiver.exactly(1).await?, 1..=1)?;
    rig.delivered(1, 1).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_server_is_spoken_to_if_its_certificate_is_vouched_for() -> Result<()> {
    let Some(()) = nats_installed() else { return Ok(()) };
    let (ports, store, certificate) = (OwnPorts::claim()?, tempfile::tempdir()?, Certificate::make()?);
    let port = ports.ports().control;
    let _server = encrypted_nats(port, store.path(), &certificate).await?;
    let receiver = Receiver::of_encrypted_nats(port, "DESK", "desk.>", &certificate).await?;
    let strangers = Rig::start(encrypted_broker(Kind::Nats, "tls", port, None)?)?;
    strangers.subscribe(1, "nats:desk.strangers").await?;
    strangers.publish(1);
    let said = strangers.attempts(1, |attempts| !attempts.is_empty()).await?;
    ensure!(said.iter().all(|attempt| attempt.class != "delivered"), "{said:?}");
    let rig = Rig::start(encrypted_broker(Kind::Nats, "tls", port, Some(&certificate.certificate))?)?;
    rig.subscribe(1, "nats:desk.deposits").await?;
    rig.publish(20);
    check(&receiver.exactly(20).await?, 1..=20)
}
