//! Projections verified from their page, over a real log and real views.

use std::time::Duration;

use millrace_actors::projection::Projection;
use millrace_model::ids::DepositId;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::visitor::Visitor;
use crate::web::operator::tests::{Desk, received};

/// How long a machine that others keep busy may take.
const WITHIN: Duration = Duration::from_secs(60);
/// More than are kept of one projection.
const MANY: u128 = 60;

/// Changes rows behind the desk's back.
fn change(desk: &Desk, sql: &str) {
    let views = Connection::open(desk.folder.path().join("views.db")).unwrap();
    views.busy_timeout(Duration::from_secs(5)).unwrap();
    assert!(views.execute(sql, []).unwrap() > 0, "{sql}");
}

/// The page once nothing is being verified or made anew any more: work that everybody else's goes before.
async fn settled(visitor: &Visitor) -> String {
    let settling = async {
        loop {
            let page = visitor.get("/console/projections").await.shown();
            if !page.contains("being verified") && !page.contains("being made anew") {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(WITHIN, settling).await.expect("it ends")
}

/// What the page says in the row of a projection.
fn row<'p>(page: &'p str, name: &str) -> &'p str {
    let from = page.find(&format!("<tr id=\"projection-{name}\"")).unwrap();
    page[from..].split_once("</tr>").unwrap().0
}

async fn desk_of(deposits: u128) -> (Desk, Visitor) {
    let desk = Desk::start().await;
    for number in 1..=deposits {
        desk.deposit(number, Some("target"), received()).await;
    }
    let visitor = Visitor::of(&desk).await;
    (desk, visitor)
}

#[tokio::test]
async fn what_fits_is_said_to_fit_and_up_to_where() {
    let (_desk, visitor) = desk_of(3).await;
    assert!(row(&settled(&visitor).await, "ledger").contains("not verified"));
    let answer = visitor.post(1, "/console/projections/all/verify", &[]).await;
    assert_eq!(answer.to.as_deref(), Some("/console/projections"), "{}", answer.text);
    let page = settled(&visitor).await;
    assert_eq!(page.matches("is what the log says").count(), 7, "{page}");
    assert!(row(&page, "deposits").contains("as of position 9, 3 rows, looked at"), "{page}");
    assert!(!page.contains("differ-") && !page.contains("role=\"alert\""), "{page}");
}

#[tokio::test]
async fn a_changed_row_is_named_with_its_deposit_and_gone_once_it_is_made_anew() {
    let (desk, visitor) = desk_of(3).await;
    change(&desk, "UPDATE deposits SET address = '<b>elsewhere</b>' WHERE seq = 4");
    change(&desk, "DELETE FROM deposits WHERE seq = 7");
    visitor.post(1, "/console/projections/deposits/verify", &[]).await;
    let page = settled(&visitor).await;
    assert!(row(&page, "deposits").contains("2 rows differ"), "{page}");
    assert!(row(&page, "ledger").contains("not verified"), "only what was asked for: {page}");
    let id = DepositId(uuid::Uuid::from_u128(2));
    for said in
        ["<del>&lt;b&gt;elsewhere&lt;/b&gt;</del>", "<ins>address 2</ins>", "<del>nothing</del>", "<ins>there</ins>"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(
        page.contains(&format!("href=\"/console/deposits/{id}\"")) && page.contains("href=\"/console/log/4\""),
        "{page}"
    );
    assert!(page.contains("id=\"act-mend-deposits\""), "{page}");

    let why = [("note", "it was tampered with")];
    assert!(visitor.post(2, "/console/projections/deposits/rebuild", &why).await.status.is_redirection());
    let page = settled(&visitor).await;
    assert!(row(&page, "deposits").contains("made anew since it was verified") && !page.contains("<del>"), "{page}");
    visitor.post(3, "/console/projections/deposits/verify", &[]).await;
    assert!(row(&settled(&visitor).await, "deposits").contains("is what the log says"));
}

#[tokio::test]
async fn of_many_rows_some_are_kept_and_all_are_counted() {
    let (desk, visitor) = desk_of(MANY).await;
    change(&desk, "UPDATE deposits SET body = json_set(body, '$.status', 'done')");
    visitor.post(1, "/console/projections/deposits/verify", &[]).await;
    let page = settled(&visitor).await;
    assert!(row(&page, "deposits").contains("60 rows differ"), "{page}");
    assert_eq!(page.matches("body.status").count(), 50, "{page}");
    assert!(page.contains("And 10 rows more differ"), "{page}");
}

#[tokio::test]
async fn a_second_click_begins_nothing_and_neither_does_another_form_while_one_look_lasts() {
    let (desk, visitor) = desk_of(3).await;
    let (all, ledger) = ("/console/projections/all/verify", "/console/projections/ledger/verify");
    let first = visitor.post(1, all, &[]).await;
    assert_eq!(first.to.as_deref(), Some("/console/projections"));
    let when = |page: &str| {
        let (_, time) = page.split_once(", looked at <time datetime=\"").unwrap();
        time.split('"').next().unwrap().to_owned()
    };
    let looked_at = when(&settled(&visitor).await);
    assert_eq!(visitor.post(1, all, &[]).await.to, first.to, "the same form leads to the same place");
    assert_eq!(when(&settled(&visitor).await), looked_at, "and looks at nothing again");

    desk.state.checks.claim(&[Projection::Ledger]).unwrap();
    let page = visitor.get("/console/projections").await.shown();
    assert!(
        row(&page, "ledger").contains("being verified") && !row(&page, "names").contains("being verified"),
        "{page}"
    );
    assert!(
        !page.contains("act-verify-") && page.contains("act-rebuild-names"),
        "nothing is offered that is refused: {page}"
    );
    visitor.post(2, ledger, &[]).await.refused(409, "one look at a time");
}

#[tokio::test]
async fn what_comes_while_it_is_verified_is_no_difference() {
    let (desk, visitor) = desk_of(40).await;
    let ((begun, has_begun), (go_on, goes_on)) = (oneshot::channel(), oneshot::channel::<()>());
    let mut first = Some((begun, goes_on));
    let stop_once = move || {
        if let Some((begun, goes_on)) = first.take() {
            begun.send(()).unwrap();
            goes_on.blocking_recv().unwrap();
        }
    };
    let (log, views) = (desk.folder.path().join("log.db"), desk.views.clone());
    desk.state.checks.begin_heard(log, views, Projection::ALL.to_vec(), stop_once).unwrap();
    tokio::time::timeout(WITHIN, has_begun).await.unwrap().unwrap();
    for number in 41..=60 {
        desk.deposit(number, Some("target"), received()).await;
    }
    go_on.send(()).unwrap();
    let page = settled(&visitor).await;
    assert_eq!(page.matches("is what the log says").count(), 7, "{page}");
    assert!(row(&page, "deposits").contains("as of position 180, 60 rows"), "{page}");
}

#[tokio::test]
async fn views_that_cannot_be_read_are_said_to_be_so() {
    let (desk, visitor) = desk_of(2).await;
    change(&desk, "UPDATE projections SET version = 99 WHERE name = 'pace'");
    visitor.post(1, "/console/projections/all/verify", &[]).await;
    let page = settled(&visitor).await;
    assert!(
        row(&page, "pace").contains("could not be verified") && row(&page, "pace").contains("another version"),
        "{page}"
    );
    assert_eq!(page.matches("is what the log says").count(), 6, "the others were: {page}");
    visitor.post(2, "/console/projections/nobody/verify", &[]).await.refused(404, "no projection of this name");
    visitor.post(3, "/console/projections/pace/verify", &[("note", "why")]).await.refused(422, "note");

    std::fs::remove_file(desk.folder.path().join("views.db")).unwrap();
    visitor.post(4, "/console/projections/ledger/verify", &[]).await;
    let page = settled(&visitor).await;
    assert!(row(&page, "ledger").contains("could not be verified"), "{page}");
}

#[tokio::test]
async fn whoever_follows_is_told_when_it_was_verified() {
    use futures::StreamExt;
    let (_desk, visitor) = desk_of(2).await;
    let mut told = visitor.follow(None).await.into_body().into_data_stream();
    let _everything = told.next().await.unwrap().unwrap();
    visitor.post(1, "/console/projections/names/verify", &[]).await;
    let next = tokio::time::timeout(WITHIN, told.next()).await.unwrap().unwrap().unwrap();
    assert!(String::from_utf8(next.to_vec()).unwrap().contains("projections"));
}
