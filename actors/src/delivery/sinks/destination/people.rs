//! The addresses of people: a mailbox, a chat, a device.

use millrace_protocols::wire::{fcm, telegram};

use super::super::mail;
use super::{Destination, DestinationError, Kind};

/// A mailbox without a name, in plain ASCII, and nothing that a link may have besides (RFC 6068).
pub(super) fn mail(text: &str) -> Result<Destination, DestinationError> {
    let refused = DestinationError::Name(Kind::Mail, "write mailto:name@host, without a name, a subject or a blank");
    let is_bare = !text.contains(['?', '%', ',', '<', '>', '"']);
    let address = mail::address(text).filter(|_| is_bare).ok_or(refused)?;
    Ok(Destination::Mail { address: address.to_string() })
}

pub(super) fn telegram(text: &str) -> Result<Destination, DestinationError> {
    let refused = DestinationError::Name(Kind::Telegram, "a chat is a number, or a channel's name that begins with @");
    telegram::Chat::parse(text).map(|chat| Destination::Telegram { chat }).ok_or(refused)
}

pub(super) fn push(text: &str) -> Result<Destination, DestinationError> {
    let refused = DestinationError::Name(Kind::Push, "a registration token is letters, digits and -_:.");
    let token = Some(text.to_owned()).filter(|token| fcm::is_token(token)).ok_or(refused)?;
    Ok(Destination::Push { token })
}

#[cfg(test)]
mod tests {
    use millrace_protocols::wire::telegram::Chat;

    use super::super::super::super::address::Reach;
    use super::*;

    fn parse(text: &str) -> Result<Destination, DestinationError> {
        Destination::parse(text, Reach::Public)
    }

    #[test]
    fn a_person_is_reached_by_mailbox_chat_or_device() {
        let mailbox = Destination::Mail { address: "a.b+c@example.org".to_owned() };
        assert_eq!(parse("mailto:a.b+c@example.org"), Ok(mailbox));
        assert_eq!(parse("telegram:-10042"), Ok(Destination::Telegram { chat: Chat::Id(-10_042) }));
        assert_eq!(parse("fcm:a:B-_1"), Ok(Destination::Push { token: "a:B-_1".to_owned() }));
    }

    #[test]
    fn what_is_more_than_a_mailbox_is_refused() {
        for text in [
            "",
            "a",
            "a@",
            "@example.org",
            "a@localhost",
            "root@127.0.0.1",
            "a@[10.0.0.5]",
            "a@example.org?subject=x",
            "a@example.org,b@example.org",
            "A <a@example.org>",
            "\"a b\"@example.org",
            "a%0d%0aRCPT@example.org",
            "a@example.org\r\nRCPT TO:<b@example.org>",
            "a@exämple.org",
            "//a@example.org",
        ] {
            assert!(parse(&format!("mailto:{text}")).is_err(), "{text:?}");
        }
        assert!(parse("telegram:me").is_err() && parse("fcm:").is_err() && parse("fcm:a b").is_err());
    }
}
