//! A user's history: the bridge's view of it, the feed of its changes, and what can be told at all.

use millrace_actors::event_store::{Append, Expected, Write};
use millrace_model::deposit::{
    self, BlockRef, Confirmed, Customer, Detected, Held, HoldReason, Mined, PayoutBasis, PayoutSigned, Sent,
    StatusWaitDecide, StatusWaitSend,
};
use millrace_model::event;
use millrace_model::ids::{CommandId, DepositId, Hash32, Outpoint, StreamName};
use millrace_model::money::Amount;
use millrace_model::notification::NotificationType;
use uuid::Uuid;

use super::*;

/// A deposit address of the target's.
async fn address(desk: &Rig) -> String {
    let (status, text) = desk.bind(&[]).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["deposit_address"].as_str().unwrap().to_owned()
}

fn detected(number: u8, address: &str) -> deposit::Event {
    Detected {
        id: DepositId(Uuid::from_u128(u128::from(number))),
        outpoint: Outpoint { txid: Hash32([number; 32]), index: 1 },
        address: address.to_owned(),
        amount: "0.5".parse().unwrap(),
        customer: Some(Customer { target: TARGET.to_owned(), bound_method: Method::Direct }),
        spends: vec![],
        coinbase: false,
    }
    .into()
}

fn mined() -> deposit::Event {
    Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } }.into()
}

fn owed() -> [deposit::Event; 2] {
    let basis = PayoutBasis::Direct { rate: "500".parse().unwrap() };
    let owed = StatusWaitSend { basis, amount: "250".parse().unwrap(), rounding: Amount::ZERO };
    [StatusWaitDecide {}.into(), owed.into()]
}

fn paid() -> [deposit::Event; 3] {
    let txid = Hash32([5; 32]);
    let signed = PayoutSigned { txid, inner_hash: txid, inputs: vec![], bytes: String::new() };
    [signed.into(), Sent {}.into(), Confirmed { block_seq: 90, confirmations: 1 }.into()]
}

/// More of a deposit's life, after so many events.
async fn happens(desk: &Rig, number: u8, version: u64, events: impl IntoIterator<Item = deposit::Event>) {
    let stream = StreamName::Deposit(DepositId(Uuid::from_u128(u128::from(number))));
    let command_id = CommandId::of_fact(&[&stream.to_string(), &version.to_string()]);
    let events = events.into_iter().map(event::Event::Deposit).collect();
    let writes = vec![Write::new(stream, Expected::Exactly(version), events)];
    let (body, command) = ("{}".to_owned(), "Test");
    let append = Append { command_id, command, body, causation: None, correlation: None, writes };
    let committed = desk.store.append(append).await.unwrap();
    desk.views.caught_up(committed.last, Duration::from_secs(20)).await;
    assert_eq!(desk.views.position(), committed.last);
}

/// The rows of an answer, with where the next page begins and whether a link leads there.
async fn page(desk: &Rig, query: &str) -> (Vec<Value>, Option<String>, Option<String>) {
    let response = desk.ask(Request::get(format!("/api/history?{query}")).body(Body::empty()).unwrap()).await;
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (next, link) = (header("x-next-cursor"), header("link"));
    let (status, text) = read(response).await;
    assert_eq!(status, 200, "{query}: {text}");
    (serde_json::from_str(&text).unwrap(), next, link)
}

async fn rows(desk: &Rig, query: &str) -> Vec<Value> {
    page(desk, query).await.0
}

fn texts<'r>(rows: &'r [Value], field: &str) -> Vec<&'r str> {
    rows.iter().map(|row| row[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_bridges_view_has_a_row_for_what_came_in_and_one_for_what_goes_out() {
    let desk = Rig::start(Setup::default()).await;
    let address = address(&desk).await;
    happens(&desk, 1, 0, [detected(1, &address), mined()]).await;
    let of = |more: &str| format!("user={TARGET}{more}");
    let waiting = rows(&desk, &of("")).await;
    assert_eq!(texts(&waiting, "SubmitState"), ["wait_for_confirmation"], "the newest block is not known");
    desk.height.send_replace(Some(7));
    assert_eq!(texts(&rows(&desk, &of("")).await, "SubmitState"), ["wait_for_confirmation 1/2"]);

    happens(&desk, 1, 2, owed()).await;
    happens(&desk, 2, 0, [detected(2, &address)]).await;
    let three = rows(&desk, &of("")).await;
    assert_eq!(texts(&three, "Type"), ["deposit", "withdrawal", "deposit"], "the newest first");
    assert_eq!(texts(&three, "SubmitState"), ["pending", "queue", "success"]);
    assert_eq!(texts(&three, "From"), [&address; 3]);
    assert_eq!(texts(&three, "To"), [TARGET; 3]);
    assert_eq!([&three[1]["Amount"], &three[2]["Amount"]], [250_000_000, 50_000_000]);
    assert!(three.iter().all(|row| row.get("Event").is_none() && row.as_object().unwrap().len() == 18));
    assert_eq!(rows(&desk, &format!("user={address}")).await, three, "the deposit address will do");
    assert_eq!(rows(&desk, "user=nobody").await, Vec::<Value>::new());
    assert_eq!(rows(&desk, &of("&offset=1&limit=1")).await, three[1..2]);
    assert_eq!(rows(&desk, &of("&limit=0")).await, three);
    assert_eq!(rows(&desk, &of("&type=withdrawal")).await, three[1..2]);
    assert_eq!(rows(&desk, &of("&coin=BTC&event=Deposit.Confirmed")).await, three[2..]);

    happens(&desk, 1, 4, [Held { reason: HoldReason::PayoutAboveMaximum }.into()]).await;
    assert_eq!(texts(&rows(&desk, &of("")).await, "SubmitState"), ["pending", "pending_manual", "success"]);
}

#[tokio::test]
async fn the_feed_goes_on_where_it_was_and_shows_every_row_as_it_was_then() {
    let desk = Rig::start(Setup::default()).await;
    let address = address(&desk).await;
    let (nothing, start, _) = page(&desk, &format!("user={TARGET}&cursor=")).await;
    assert_eq!(nothing, Vec::<Value>::new());
    happens(&desk, 1, 0, [detected(1, &address), mined()]).await;
    happens(&desk, 1, 2, owed()).await;
    let (first, next, link) = page(&desk, &format!("user={TARGET}&limit=3&cursor={}", start.unwrap())).await;
    assert_eq!(texts(&first, "SubmitState"), ["pending", "wait_for_confirmation", "success"]);
    let next = next.unwrap();
    assert_eq!(link, Some(format!("</api/history?user={TARGET}&limit=3&cursor={next}>; rel=\"next\"")));
    happens(&desk, 1, 4, paid()).await;
    let (rest, end, link) = page(&desk, &format!("user={address}&cursor={next}")).await;
    let expected =
        ["Added_To_Queue", "In_Consensus", "Submitted", "Confirmed"].map(|name| format!("Withdrawal.{name}"));
    assert_eq!(texts(&rest, "Event"), expected);
    assert_eq!((link, &rest[3]["SubmitConfirm_block"], &rest[3]["Sequence"]), (None, &90.into(), &7.into()));
    assert_eq!(rest[3]["SubmitTxHash"], Hash32([5; 32]).to_string());
    let (_, after_all, _) = page(&desk, &format!("user={TARGET}&cursor=")).await;
    let end = end.unwrap();
    assert_eq!(after_all.as_ref(), Some(&end), "whoever is through is where everybody is");
    assert_eq!(page(&desk, &format!("user={TARGET}&cursor={end}")).await, (vec![], Some(end.clone()), None));
    let failed = page(&desk, &format!("user={TARGET}&event=Deposit.Failed&cursor=")).await;
    assert_eq!(failed, (vec![], Some(end), None), "nobody looks twice through what he does not want");
}

#[tokio::test]
async fn what_can_be_told_is_said_with_schema_and_example() {
    let desk = Rig::start(Setup::default()).await;
    let (status, types) = desk.get("/api/v1/event-types").await;
    let types = types["event_types"].as_array().unwrap();
    assert_eq!((status.as_u16(), types.len()), (200, 10));
    for (shown, kind) in types.iter().zip(NotificationType::ALL) {
        assert_eq!((&shown["name"], &shown["status"]), (&kind.name().into(), &"ENABLED".into()));
        assert_eq!(shown["example"]["event_type"], kind.name());
        assert_eq!(shown["schema"]["properties"]["event_type"]["const"], kind.name());
        assert_eq!(desk.get(&format!("/api/v1/event-types/{kind}")).await, (StatusCode::OK, shown.clone()));
    }
}

/// What is said is what happens: with payouts off nothing is on its way, and its block is deep enough whatever the tip is.
#[tokio::test]
async fn who_waits_since_payouts_are_off_is_told_so_and_who_comes_next() {
    let desk = Rig::start(Setup::default()).await;
    let address = address(&desk).await;
    happens(&desk, 1, 0, [detected(1, &address), mined()].into_iter().chain(owed())).await;
    let page = async |path: &str| read(desk.ask(Request::get(path).body(Body::empty()).unwrap()).await).await.1;
    let customer = format!("/customer/{TARGET}");
    let goes_on = page(&customer).await;
    assert!(goes_on.contains("Sending SKY") && goes_on.contains("2 of 2"), "{goes_on}");
    desk.switches.send_replace(super::off(Switch::Sends));
    let waits = page(&customer).await;
    assert!(
        waits.contains("not paying out at the moment; your deposit is safe") && !waits.contains("Sending SKY"),
        "{waits}"
    );
    assert!(page("/").await.contains("The desk is not paying out at the moment."));
}

/// The configuration and the file HALT stop what no switch does.
#[tokio::test]
async fn what_stops_the_desk_besides_its_switches_is_told_too() {
    let outer: Outer =
        Arc::new(|switch| (switch == Switch::Sends).then_some("there is a file HALT in the data folder"));
    let desk = Rig::start(Setup { outer, ..Setup::default() }).await;
    let page = read(desk.ask(Request::get("/").body(Body::empty()).unwrap()).await).await.1;
    assert!(page.contains("The desk is not paying out at the moment.") && !page.contains("HALT"), "{page}");
}
