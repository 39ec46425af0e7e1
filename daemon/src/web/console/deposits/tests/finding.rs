//! Finding deposits by whatever names them.

use millrace_model::ids::Outpoint;
use uuid::Uuid;

use super::*;

#[tokio::test]
async fn one_hit_leads_straight_to_the_deposit_whatever_it_is_found_by() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    desk.bind(1).await;
    let id = desk.deposit(1, Some("target"), paid()).await;
    let txid = Hash32([0xee; 32]);
    let other = seen(&desk, 2, Outpoint { txid, index: 3 }).await;
    let stranger = desk.deposit(3, None, quarantined()).await;
    let cid = ClientOrderId::for_attempt("btc", 1).to_string();
    for (text, found) in [
        (id.to_string(), id),
        (PAYOUT.to_string(), id),
        ("1234567".to_owned(), id),
        (cid, id),
        ("target".to_owned(), id),
        ("address+1".to_owned(), id),
        (txid.to_string(), other),
        (format!("{txid}%3A3"), other),
        ("address+3".to_owned(), stranger),
    ] {
        let answer = visitor.get(&format!("/console/deposits?q={text}")).await;
        assert_eq!((answer.status.as_u16(), answer.to), (303, Some(format!("/console/deposits/{found}"))), "{text}");
    }
}

#[tokio::test]
async fn several_hits_are_listed_and_a_customer_has_a_list_of_his_own() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let txid = Hash32([0xee; 32]);
    let two = [seen(&desk, 1, Outpoint { txid, index: 0 }).await, seen(&desk, 2, Outpoint { txid, index: 1 }).await];
    let page = visitor.get(&format!("/console/deposits?q={txid}")).await.shown();
    assert!(two.iter().all(|id| page.contains(&id.to_string())) && page.contains("2 deposits found"), "{page}");
    let answer = visitor.get("/console/deposits?q=customer").await;
    assert_eq!(answer.to.as_deref(), Some("/console/deposits?target=customer"));
}

#[tokio::test]
async fn what_is_nowhere_is_told_with_where_it_was_looked_for_and_a_gigantic_text_is_not_looked_for() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    desk.deposit(1, Some("target"), paid()).await;
    for (text, says) in [
        (Uuid::from_u128(77).to_string(), "among the ids of deposits"),
        ("ab".repeat(32), "among the transactions"),
        ("%3Cscript%3E".to_owned(), "&lt;script&gt;"),
        ("12345678".to_owned(), "the exchange's numbers"),
    ] {
        let page = visitor.get(&format!("/console/deposits?q={text}")).await.shown();
        assert!(
            page.contains("Nothing here is") && page.contains(says) && !page.contains("<script>"),
            "{text}: {page}"
        );
    }
    let gigantic = format!("/console/deposits?q={}", "x".repeat(5_000));
    visitor.get(&gigantic).await.refused(400, "at most 128 characters, and this has 5000");
}

#[tokio::test]
async fn addresses_are_not_looked_for_while_deposits_of_another_version_are_shown() {
    let desk = Desk::start().await;
    let visitor = Visitor::of(&desk).await;
    let stranger = desk.deposit(3, None, quarantined()).await;
    let views = rusqlite::Connection::open(desk.folder.path().join("views.db")).unwrap();
    views.execute("UPDATE projections SET version = 7 WHERE name = 'deposits'", []).unwrap();
    let page = visitor.get("/console/deposits?q=address+3").await.shown();
    assert!(page.contains("Nothing here is") && page.contains("once they are"), "{page}");
    let answer = visitor.get(&format!("/console/deposits?q={stranger}")).await;
    assert_eq!(answer.to, Some(format!("/console/deposits/{stranger}")), "by anything else they are found");
}
