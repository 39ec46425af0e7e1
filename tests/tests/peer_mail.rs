//! Letters to a real mail server: what arrives, as another program's library reads it, and what is refused.

use anyhow::{Context, Result};
use millrace_actors::clock::SystemClock;
use millrace_actors::delivery::sinks::Ended;
use millrace_actors::delivery::sinks::destination::Destination;
use millrace_actors::delivery::sinks::mail::server::{InClear, Server};
use millrace_actors::delivery::sinks::mail::{Mail, mailbox};
use millrace_actors::delivery::sinks::people::tell;
use millrace_model::notification::NotificationType;
use millrace_protocols::delivery::verdict::{Outcome, Refusal, Trouble};
use millrace_protocols::words::Words;
use millrace_tests::peers::mail::{Encryption, MailServer};
use serde_json::Value;

const LATER: Outcome = Outcome::Refused(Refusal::ForNow { retry_at_ms: None });

fn words(kind: NotificationType) -> Result<Words> {
    let body = kind.example().to_string();
    let words = Words::read(body.as_bytes(), Some("https://desk.example.org"))?;
    Ok(words.with_leave(Some("https://desk.example.org/leave/1.x".to_owned())))
}

async fn sent(mail: &Mail, to: &str, words: &Words) -> Ended {
    let to = Destination::Mail { address: to.to_owned() };
    tell(mail, &to, words, &SystemClock).await
}

fn mail(server: Server) -> Result<Mail> {
    Ok(Mail::new(server, mailbox("Coin desk <desk@example.org>")?))
}

/// Makes a certificate for this machine, and its key.
fn certificate() -> Result<(String, String)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

#[tokio::test]
async fn every_notification_arrives_as_two_forms_of_the_same_words() -> Result<()> {
    let Some(mut server) = MailServer::start(Encryption::None, "", "").await? else { return Ok(()) };
    let mail = mail(Server::parse(&format!("smtp://127.0.0.1:{}", server.port), InClear::Allowed)?)?;
    for (number, kind) in NotificationType::ALL.into_iter().enumerate() {
        let words = words(kind)?;
        let ended = sent(&mail, "customer@example.net", &words).await;
        assert_eq!(ended.outcome, Outcome::Accepted, "{ended:?}");
        let letter = server.letter(number).await?;
        assert_eq!(
            (&letter["from"], &letter["to"]),
            (&"desk@example.org".into(), &["customer@example.net"][..].into())
        );
        assert_eq!((&letter["type"], &letter["defects"]), (&"multipart/alternative".into(), &Value::Array(vec![])));
        let headers = &letter["headers"];
        assert_eq!(headers["from"], "Coin desk <desk@example.org>");
        assert_eq!(headers["subject"], words.subject);
        assert_eq!(headers["auto-submitted"], "auto-generated");
        assert_eq!(headers["list-unsubscribe"], "<https://desk.example.org/leave/1.x>");
        assert!(headers["message-id"].as_str().context("an id")?.contains(&words.id.to_string()), "{headers}");
        let text = |form: &str| letter[form].as_str().unwrap_or_default().replace("\r\n", "\n");
        assert_eq!((text("plain"), text("html")), (words.text(), words.html()), "{kind}");
    }
    Ok(())
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_gone_and_one_that_wants_time_gets_the_same_letter() -> Result<()> {
    let Some(mut server) = MailServer::start(Encryption::None, "", "").await? else { return Ok(()) };
    let mail = mail(Server::parse(&format!("smtp://127.0.0.1:{}", server.port), InClear::Allowed)?)?;
    let words = words(NotificationType::DepositConfirmed)?;
    let gone = sent(&mail, "gone@example.net", &words).await;
    assert_eq!(gone.outcome, Outcome::Refused(Refusal::Receiver), "{gone:?}");
    assert!(gone.error.is_some_and(|error| !error.contains("gone@")));
    assert_eq!(sent(&mail, "later@example.net", &words).await.outcome, LATER);
    assert_eq!(sent(&mail, "later@example.net", &words).await.outcome, Outcome::Accepted);
    assert_eq!(server.letter(0).await?["to"][0], "later@example.net");
    Ok(())
}

#[tokio::test]
async fn letters_and_the_password_travel_encrypted() -> Result<()> {
    let (certificate, key) = certificate()?;
    for (encryption, scheme) in [(Encryption::Tls, "smtps"), (Encryption::StartTls, "smtp")] {
        let Some(mut peer) = MailServer::start(encryption, &certificate, &key).await? else { return Ok(()) };
        let port = peer.port;
        let address = |user: &str| format!("{scheme}://{user}@localhost:{port}");
        let mut server = Server::parse(&address("desk:p%40ss%3Aword"), InClear::Refused)?;
        let words = words(NotificationType::WithdrawalConfirmed)?;
        // Nobody whom the machine trusts vouches for it.
        let distrusted = sent(&mail(server.clone())?, "customer@example.net", &words).await;
        assert!(matches!(distrusted.outcome, Outcome::Failed(Trouble::Tls | Trouble::Connect)), "{distrusted:?}");
        server.authority = Some(certificate.clone());
        let ended = sent(&mail(server.clone())?, "customer@example.net", &words).await;
        assert_eq!(ended.outcome, Outcome::Accepted, "{ended:?}");
        let letter = peer.letter(0).await?;
        assert!(letter["encrypted"] == true && letter["authenticated"] == true, "{letter}");
        let mut wrong = Server::parse(&address("desk:wrong"), InClear::Refused)?;
        wrong.authority = server.authority.clone();
        let refused = sent(&mail(wrong)?, "customer@example.net", &words).await;
        assert_eq!(refused.outcome, LATER, "{refused:?}");
    }
    Ok(())
}
