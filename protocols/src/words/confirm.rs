//! What is told before anything else: that somebody asked for it, and how to say that it is wanted.

use uuid::Uuid;

use super::{Link, Words};

/// As what it is told, for programs.
pub const TOPIC: &str = "Subscription.Confirm";
/// The name of the fact that is the code.
pub const CODE: &str = "Code";
/// Where a subscription is confirmed, below the desk's public address; its id and its code follow, with a dot in between.
pub const PATH: &str = "/confirm/";
/// Where it is ended, likewise.
pub const LEAVE_PATH: &str = "/leave/";

/// The question whether `subscription` is wanted, which `code` answers. With the desk's public address, without a slash at its end,
/// there is a page to answer it at.
pub fn question(id: Uuid, subscription: Uuid, code: &str, public: Option<&str>) -> Words {
    let link = public.map(|public| Link {
        label: "Confirm it here",
        url: format!("{public}{PATH}{}.{code}", subscription.hyphenated()),
    });
    Words {
        id,
        topic: TOPIC,
        about: subscription.hyphenated().to_string(),
        subject: "Do you want to hear of deposits?".to_owned(),
        sentence: "Somebody asked this desk to tell you of deposits that are paid out to an address. Nothing more is sent unless \
                   you confirm it within an hour; if it was not you, do nothing."
            .to_owned(),
        facts: vec![("Subscription", subscription.hyphenated().to_string()), (CODE, code.to_owned())],
        link,
        leave: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_says_how_to_answer_it_and_that_nothing_need_be_done() {
        let subscription = Uuid::from_u128(7);
        let words = question(Uuid::nil(), subscription, "CODE", Some("https://desk.example.org"));
        let address = "https://desk.example.org/confirm/00000000-0000-0000-0000-000000000007.CODE";
        assert!(words.text().contains(address) && words.html().contains(&format!("<a href=\"{address}\">")));
        assert!(words.text().contains("Code: CODE") && words.sentence.contains("do nothing"));
        assert!(question(Uuid::nil(), subscription, "CODE", None).link.is_none());
    }
}
