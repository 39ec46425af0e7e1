//! Which addresses lead where, and what is said of those that lead nowhere.

use super::super::Sinks;
use super::*;

fn parse(address: &str) -> Result<Destination, DestinationError> {
    Destination::parse(address, Reach::Public)
}

fn refusal(address: &str) -> String {
    parse(address).unwrap_err().to_string()
}

#[test]
fn the_scheme_says_which_kind_it_is() {
    assert_eq!(parse("https://example.com/hook").unwrap().kind(), Kind::Webhook);
    assert_eq!(parse("nats:desk.deposits").unwrap(), Destination::Nats { subject: "desk.deposits".into() });
    let amqp = Destination::Amqp { exchange: "desk".into(), routing_key: "deposit.confirmed/1".into() };
    assert_eq!(parse("amqp:desk/deposit.confirmed/1").unwrap(), amqp);
    assert_eq!(parse("mqtt:desk/deposits").unwrap(), Destination::Mqtt { topic: "desk/deposits".into() });
    assert_eq!(parse("NATS:a").unwrap().kind(), Kind::Nats);
}

#[test]
fn without_an_exchange_the_key_is_a_queue() {
    let amqp = Destination::Amqp { exchange: String::new(), routing_key: "queue".into() };
    assert_eq!(parse("amqp:/queue").unwrap(), amqp);
    assert!(refusal("amqp:queue").contains("amqp:/queue"));
}

#[test]
fn a_server_in_an_address_is_refused_with_what_to_write() {
    for (address, instead) in [
        ("nats://broker:4222/a", "nats:subject"),
        ("amqp://user:word@broker/a", "amqp:exchange/routing-key"),
        ("mqtt://broker/a", "mqtt:topic"),
    ] {
        let refusal = refusal(address);
        assert!(refusal.contains(instead) && !refusal.contains("word"), "{refusal}");
    }
}

#[test]
fn names_that_brokers_do_not_take_are_refused() {
    let long = "a".repeat(256);
    for address in ["nats:", "nats:a..b", "nats:a.", "nats:a b", "nats:a.*", "nats:a.>", "nats:$SYS.a"] {
        assert!(matches!(parse(address), Err(DestinationError::Name(Kind::Nats, _))), "{address}");
    }
    for address in ["amqp:", "amqp:a", "amqp:/", "amqp:a/\u{7}", &format!("amqp:{long}/a"), &format!("amqp:a/{long}")] {
        assert!(matches!(parse(address), Err(DestinationError::Name(Kind::Amqp, _))), "{address}");
    }
    for address in ["mqtt:", "mqtt:a/+", "mqtt:a/#", "mqtt:$SYS/a", "mqtt:a\0", &format!("mqtt:{}", "a".repeat(1_025))]
    {
        assert!(matches!(parse(address), Err(DestinationError::Name(Kind::Mqtt, _))), "{address}");
    }
    assert_eq!(parse(&"a".repeat(3_000)), Err(AddressError::TooLong.into()));
    assert_eq!(parse("ftp://example.com/"), Err(DestinationError::Scheme));
    assert_eq!(parse("nothing"), Err(AddressError::NoUrl.into()));
}

#[test]
fn where_nothing_is_configured_nobody_is_sent() {
    let sinks = Sinks::webhooks(Reach::Public);
    assert!(sinks.parse("https://example.com/hook").is_ok());
    for kind in [Kind::Nats, Kind::Amqp, Kind::Mqtt] {
        let refusal = sinks.parse(&format!("{}:a/b", kind.scheme())).unwrap_err().to_string();
        let missing = if kind.is_compiled() { kind.section() } else { kind.feature() };
        assert!(refusal.contains(missing), "{refusal}");
    }
}
