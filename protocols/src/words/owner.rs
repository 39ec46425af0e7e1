//! A customer's subscription that is not served any more, told to him where he is still told, with what to do about it.

use chrono::{DateTime, SecondsFormat, Utc};
use millrace_model::ids::SubscriptionId;
use millrace_model::subscription::Silence;
use serde::Deserialize;

use super::{Body, Link, Unreadable, Words, sentence};

/// What to do about it.
const AGAIN: &str = "subscribe the same address again, as you did before; what was missed is in your history";

/// What of a subscription is told.
#[derive(Deserialize)]
struct Subscription {
    subscription: SubscriptionId,
    reason: Silence,
    subscribed_at: DateTime<Utc>,
}

/// The words. `public` is the desk's public address, without a slash at its end.
pub(super) fn read(body: &Body<'_>, public: Option<&str>) -> Result<Words, Unreadable> {
    let about: Subscription = serde_json::from_str(body.resource.get())?;
    let (subject, sentence) = sentence::of_desk(body.event_type);
    let subscribed = about.subscribed_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(Words {
        id: body.id,
        topic: body.event_type.name(),
        about: about.subscription.to_string(),
        subject: subject.to_owned(),
        sentence: sentence.to_owned(),
        facts: vec![
            ("Subscription", about.subscription.to_string()),
            ("Subscribed", subscribed),
            ("Why", about.reason.sentence().to_owned()),
            ("To be told there again", AGAIN.to_owned()),
        ],
        link: public.map(|public| Link { label: "Your deposits are at", url: format!("{public}/") }),
        leave: None,
    })
}
