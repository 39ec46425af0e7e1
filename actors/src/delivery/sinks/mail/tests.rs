//! Mail handed to a server that is played here line by line, so that it can say no at any step. A real one is `peer_mail`'s.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use chrono::DateTime;
use millrace_model::notification::NotificationType;
use millrace_protocols::delivery::verdict::Outcome;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::people::tell;
use super::server::InClear;
use super::*;
use crate::clock::ManualClock;

/// What the server says to a command, by its first word; `250 ok` to what is not listed.
type Script = Vec<(&'static str, &'static str)>;

/// A server that keeps what it was told.
struct Played {
    port: u16,
    told: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Played {
    /// Follows one script a connection, the last one for all that come after.
    async fn start(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, mut tasks) = (Arc::new(Mutex::new(Vec::new())), JoinSet::new());
        let heard = Arc::clone(&told);
        tasks.spawn(async move {
            let (mut scripts, mut connections) = (VecDeque::from(scripts), JoinSet::new());
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let script = if scripts.len() > 1 { scripts.pop_front() } else { scripts.front().cloned() };
                let (script, heard) = (script.unwrap_or_default(), Arc::clone(&heard));
                connections.spawn(async move {
                    let _ = converse(stream, &script, &heard).await;
                });
            }
        });
        Self { port, told, _tasks: tasks }
    }

    fn mail(&self) -> Mail {
        let server = Server::parse(&format!("smtp://127.0.0.1:{}", self.port), InClear::Allowed).unwrap();
        Mail::new(server, mailbox("Desk <desk@example.org>").unwrap())
    }

    fn told(&self) -> String {
        self.told.lock().unwrap().join("\n")
    }

    fn count(&self, line: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|told| *told == line).count()
    }
}

async fn converse(stream: TcpStream, script: &Script, told: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let says = |word: &str| script.iter().find(|(of, _)| *of == word).map(|(_, says)| *says);
    writer.write_all(format!("{}\r\n", says("(connection)").unwrap_or("220 played")).as_bytes()).await?;
    told.lock().unwrap().push("(connection)".to_owned());
    let mut is_content = false;
    while let Some(line) = lines.next_line().await? {
        let word = match (is_content, line.as_str()) {
            (true, ".") => ".",
            (true, _) => {
                told.lock().unwrap().push(line);
                continue;
            }
            (false, line) => line.split([' ', ':']).next().unwrap_or_default(),
        };
        let usual = if word == "DATA" { "354 go on" } else { "250 ok" };
        let answer = says(word).unwrap_or(usual);
        is_content = answer.starts_with("354");
        told.lock().unwrap().push(line.clone());
        if answer.is_empty() {
            return Ok(());
        }
        writer.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn clock() -> ManualClock {
    ManualClock::new(DateTime::from_timestamp(1_790_000_000, 0).unwrap())
}

fn words() -> Words {
    let body = NotificationType::WithdrawalConfirmed.example().to_string();
    let words = Words::read(body.as_bytes(), Some("https://desk.example.org")).unwrap();
    words.with_leave(Some("https://desk.example.org/leave/1.x".to_owned()))
}

async fn sent(mail: &Mail) -> (Outcome, String) {
    let to = Destination::Mail { address: "customer@example.net".to_owned() };
    let ended = tell(mail, &to, &words(), &clock()).await;
    (ended.outcome, ended.error.unwrap_or_default())
}

async fn outcome_of(script: Script) -> (Outcome, String) {
    let played = Played::start(vec![script]).await;
    sent(&played.mail()).await
}

#[tokio::test]
async fn a_letter_says_whose_it_is_and_that_a_machine_wrote_it() {
    let played = Played::start(vec![vec![]]).await;
    assert_eq!(sent(&played.mail()).await, (Outcome::Accepted, String::new()));
    let told = played.told();
    for line in [
        "EHLO example.org",
        "MAIL FROM:<desk@example.org>",
        "RCPT TO:<customer@example.net>",
        "To: customer@example.net",
        "Subject: Payout final: 250.000000 SKY",
        "Auto-Submitted: auto-generated",
        "List-Unsubscribe: <https://desk.example.org/leave/1.x>",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Date: Mon, 21 Sep 2026 14:13:20 +0000",
        "Your payout of 250.000000 SKY is final.",
    ] {
        assert!(told.contains(&format!("\n{line}")), "{line} is missing in:\n{told}");
    }
    assert!(told.contains("multipart/alternative") && told.contains("text/html") && told.contains("text/plain"));
}

#[tokio::test]
async fn the_same_words_have_the_same_message_id_and_travel_on_one_connection() {
    let played = Played::start(vec![vec![]]).await;
    let mail = played.mail();
    for _ in 0..2 {
        assert_eq!(sent(&mail).await.0, Outcome::Accepted);
    }
    let told = played.told();
    let ids: Vec<_> = told.lines().filter(|line| line.starts_with("Message-ID: ")).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    assert!(ids[0].contains(&words().id.to_string()) && ids[0].ends_with("@example.org>"), "{ids:?}");
    assert_eq!(played.count("(connection)"), 1);
}

#[tokio::test]
async fn each_refusal_means_what_it_is_a_refusal_of() {
    let later = Outcome::Refused(Refusal::ForNow { retry_at_ms: None });
    let (gone, message) = (Outcome::Refused(Refusal::Receiver), Outcome::Refused(Refusal::Message));
    let cases: [(&str, &str, Outcome); 15] = [
        ("(connection)", "554 no service", later),
        ("EHLO", "421 busy", later),
        ("MAIL", "550 who are you", later),
        ("MAIL", "451 later", later),
        ("RCPT", "451 4.7.1 greylisted", later),
        ("RCPT", "550 5.1.1 no such user", gone),
        ("RCPT", "552 5.2.2 mailbox full", later),
        ("RCPT", "554 5.7.1 relay access denied", later),
        ("RCPT", "550 5.1.8 sender address rejected: domain not found", later),
        ("RCPT", "550 relay not permitted", later),
        ("RCPT", "550 5.4.5 daily sending limit exceeded", later),
        ("DATA", "451 later", later),
        (".", "554 5.6.0 not this", message),
        (".", "550 5.7.1 looks like spam", later),
        (".", "452 no room", later),
    ];
    for (word, says, expected) in cases {
        let (outcome, error) = outcome_of(vec![(word, says)]).await;
        assert_eq!(outcome, expected, "{word}: {says}: {error}");
        assert!(!error.is_empty(), "{word}: {says}");
    }
}

#[tokio::test]
async fn what_is_said_of_the_recipient_does_not_name_him() {
    let says = "550 5.1.1 <customer@example.net>: Recipient address rejected";
    let (_, error) = outcome_of(vec![("RCPT", says)]).await;
    assert!(error.contains("Recipient address rejected") && !error.contains("customer"), "{error}");
}

#[tokio::test]
async fn a_server_that_goes_away_is_trouble_and_the_next_letter_gets_through() {
    let played = Played::start(vec![vec![("DATA", "")], vec![]]).await;
    let mail = played.mail();
    let (outcome, error) = sent(&mail).await;
    assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?} {error}");
    assert_eq!(sent(&mail).await.0, Outcome::Accepted);
}

#[tokio::test]
async fn nobody_there_and_nonsense_are_trouble() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let server = Server::parse(&format!("smtp://127.0.0.1:{port}"), InClear::Allowed).unwrap();
    let mail = Mail::new(server, mailbox("desk@example.org").unwrap());
    assert_eq!(sent(&mail).await.0, Outcome::Failed(Trouble::Connect));
    let (outcome, error) = outcome_of(vec![("(connection)", "HTTP/1.1 400 Bad Request")]).await;
    assert_eq!(outcome, Outcome::Failed(Trouble::Protocol), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::parse(&format!("smtp://127.0.0.1:{port}"), InClear::Allowed).unwrap();
    let mail = Mail::new(server, mailbox("desk@example.org").unwrap());
    assert_eq!(sent(&mail).await.0, Outcome::Failed(Trouble::Timeout));
}

#[tokio::test]
async fn outside_the_sandbox_nothing_is_said_in_clear() {
    let played = Played::start(vec![vec![]]).await;
    let text = format!("smtp://desk:secret@127.0.0.1:{}", played.port);
    let server = Server::parse(&text, InClear::Refused).unwrap();
    let mail = Mail::new(server, mailbox("desk@example.org").unwrap());
    let (outcome, error) = sent(&mail).await;
    assert!(matches!(outcome, Outcome::Failed(_)) && error.contains("STARTTLS"), "{outcome:?} {error}");
    assert!(!played.told().contains("AUTH") && !played.told().contains("MAIL"), "{}", played.told());
}

#[test]
fn a_mailbox_is_plain_and_somewhere() {
    assert!(mailbox("Desk <desk@example.org>").is_ok() && mailbox("desk@example.org").is_ok());
    for wrong in ["", "desk", "desk@localhost", "Desk <desk@exämple.org>", "a@b.org\r\nBcc: c@d.org"] {
        assert!(mailbox(wrong).is_err(), "{wrong:?}");
    }
}
