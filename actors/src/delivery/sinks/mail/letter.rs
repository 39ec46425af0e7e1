//! The mail itself: two forms of the same words, and the headers that say that a machine wrote it.

use std::time::SystemTime;

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use millrace_protocols::words::Words;
use sha2::{Digest, Sha256};

/// RFC 3834: nobody's holiday reply comes back.
#[derive(Clone)]
struct AutoSubmitted;

/// RFC 2369: where the reader's program ends it.
#[derive(Clone)]
struct ListUnsubscribe(String);

/// RFC 8058: that one POST there does it.
#[derive(Clone)]
struct ListUnsubscribePost;

/// A header that is written and never read.
macro_rules! written {
    ($header:ty, $name:literal, |$this:ident| $value:expr) => {
        impl Header for $header {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }

            fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Err("it is only written".into())
            }

            fn display(&self) -> HeaderValue {
                let $this = self;
                HeaderValue::new(Self::name(), $value)
            }
        }
    };
}

written!(AutoSubmitted, "Auto-Submitted", |_this| "auto-generated".to_owned());
written!(ListUnsubscribe, "List-Unsubscribe", |this| format!("<{}>", this.0));
written!(ListUnsubscribePost, "List-Unsubscribe-Post", |_this| "List-Unsubscribe=One-Click".to_owned());

/// Writes it. The same words to the same mailbox have the same `Message-ID`, however often they are sent; those to another have
/// another.
pub(super) fn compose(
    from: &Mailbox,
    to: &Address,
    words: &Words,
    at: SystemTime,
) -> Result<Message, lettre::error::Error> {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(to.to_string()));
    let whose = u32::from_be_bytes([a, b, c, d]);
    let id = format!("<{}.{whose:08x}@{}>", words.id.hyphenated(), from.email.domain());
    let mut builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(words.subject.clone())
        .date(at)
        .message_id(Some(id))
        .header(AutoSubmitted);
    if let Some(leave) = &words.leave {
        builder = builder.header(ListUnsubscribe(leave.clone())).header(ListUnsubscribePost);
    }
    let part = |kind: ContentType, text: String| SinglePart::builder().header(kind).body(text);
    let plain = part(ContentType::TEXT_PLAIN, words.text());
    builder.multipart(MultiPart::alternative().singlepart(plain).singlepart(part(ContentType::TEXT_HTML, words.html())))
}
