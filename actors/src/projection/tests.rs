//! Projections that are made anew: beside those that are shown, from where they were cut off, by themselves.

mod checked;
mod names;
mod notifications;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millrace_model::deposit::{self, Command, Detected, HoldReason};
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::{DepositId, Position, StreamName};
use rusqlite::Connection;

use super::build::{Build, Company, Ended, Source};
use super::*;
use crate::event_store::Page;
use crate::sender::tests::rig::Rig;

const WITHIN: Duration = Duration::from_secs(60);

fn views(rig: &Rig) -> Views {
    let views = Views::new(&path(rig));
    start(&rig.tree, rig.deposits.store().clone(), views.clone()).unwrap();
    views
}

fn path(rig: &Rig) -> PathBuf {
    rig.folder().join("views.db")
}

async fn caught_up(rig: &Rig, views: &Views) -> Position {
    let head = rig.deposits.store().head();
    views.caught_up(head, WITHIN).await;
    assert_eq!(views.position(), head, "{:?}", rig.tree.health());
    head
}

/// Some deposits, one of which goes on.
async fn live(rig: &Rig) {
    some(rig, 9..12).await;
}

async fn some(rig: &Rig, numbers: std::ops::Range<u8>) {
    for number in numbers {
        let id = rig.owe(number, "3").await;
        let hold = Command::Hold { reason: HoldReason::Operator { note: "look".to_owned() } };
        rig.deposits.execute(id, &hold).await.unwrap();
    }
}

/// Everything that a projection's table holds.
fn rows(path: &Path, projection: Projection) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let table = projection.table();
    let mut statement = connection.prepare(&format!("SELECT * FROM {} ORDER BY {}", table.name, table.key)).unwrap();
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| {
        (0..columns).map(|index| Ok(format!("{:?}", row.get_ref(index)?))).collect::<Result<Vec<_>, _>>()
    };
    statement.query_map([], row).unwrap().map(|row| row.unwrap().join("|")).collect()
}

fn all_rows(path: &Path) -> Vec<Vec<String>> {
    Projection::ALL.into_iter().map(|projection| rows(path, projection)).collect()
}

fn change(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// Everything that lies in the file besides what is shown.
fn leavings(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let sql =
        "SELECT name FROM sqlite_schema WHERE name LIKE '%\\_next' ESCAPE '\\' OR name LIKE '%\\_old' ESCAPE '\\'";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn made_anew(rig: &Rig, views: &Views) {
    let head = rig.deposits.store().head();
    tokio::time::timeout(WITHIN, async {
        while views.projections(head).iter().any(|status| status.rebuild.is_some()) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// A desk of which something is shown, the rows of that, and their file.
async fn shown() -> (Rig, Vec<Vec<String>>, PathBuf) {
    let rig = Rig::new().await;
    live(&rig).await;
    let views = views(&rig);
    caught_up(&rig, &views).await;
    let path = path(&rig);
    (rig, all_rows(&path), path)
}

#[tokio::test]
async fn what_is_made_anew_is_what_was_followed() {
    let rig = Rig::new().await;
    live(&rig).await;
    let views = views(&rig);
    let head = caught_up(&rig, &views).await;
    let before = all_rows(&path(&rig));
    let generations = || views.projections(head).iter().map(|status| status.generation).collect::<Vec<_>>();
    let first = generations();
    for projection in Projection::ALL {
        views.rebuild(projection);
    }
    made_anew(&rig, &views).await;
    assert_eq!(generations(), first.iter().map(|generation| generation + 1).collect::<Vec<_>>());
    assert_eq!((all_rows(&path(&rig)), leavings(&path(&rig))), (before, vec![]));

    // It goes on from there.
    some(&rig, 12..15).await;
    caught_up(&rig, &views).await;
    let followed = all_rows(&path(&rig));
    assert_eq!(followed[0].len(), 6);
    let log = rig.folder().join("log.sqlite");
    let (path, head) = (path(&rig), rig.deposits.store().head());
    let compared = on_a_thread(move || compare((&log, &path), &Projection::ALL, &mut |_| {})).await;
    assert_eq!(compared.unwrap(), Ok(head));
}

#[tokio::test]
async fn one_of_another_version_is_made_anew_at_the_start_and_shown_as_it_is_until_then() {
    let (rig, before, path_of_views) = shown().await;
    let rig = rig
        .between(|_| {
            change(&path_of_views, "UPDATE projections SET version = 0 WHERE name IN ('ledger', 'deposits')");
            // As that version wrote it, and this one reads it still.
            change(&path_of_views, "UPDATE deposits SET body = replace(body, 'pending', 'penning')");
            change(&path_of_views, "UPDATE ledger SET body = '[]' WHERE name = 'balances'");
        })
        .await;
    let views = views(&rig);
    let filter = Filter { rows_max: 9, ..Filter::default() };
    assert_eq!(views.deposits(&filter).await.unwrap().len(), 3, "the old rows are there before anybody begins");
    caught_up(&rig, &views).await;
    rig.until_well(PART).await;
    assert_eq!(all_rows(&path_of_views), before);
    let statuses = views.projections(0);
    let made_anew = statuses.iter().filter(|status| status.generation == 2).map(|status| status.name);
    assert_eq!(made_anew.collect::<Vec<_>>(), [Projection::Deposits, Projection::Ledger]);
}

/// The file as the first version of the desk left it: tables of these names, and nothing that is known about them.
#[tokio::test]
async fn a_file_of_an_older_shape_is_taken_over() {
    let (rig, before, path) = shown().await;
    let rig = rig
        .between(|_| {
            let older = "DROP TABLE projections; DROP TABLE ledger; DROP TABLE statistics; CREATE TABLE totals (name);
                         CREATE TABLE checkpoint (name)";
            change(&path, older);
        })
        .await;
    let views = views(&rig);
    caught_up(&rig, &views).await;
    assert_eq!(all_rows(&path), before);
}

#[tokio::test]
async fn views_of_a_longer_log_are_emptied_and_made_anew() {
    let (rig, before, path) = shown().await;
    let rig = rig.between(|_| change(&path, "UPDATE projections SET position = 9999")).await;
    let views = views(&rig);
    caught_up(&rig, &views).await;
    assert_eq!(all_rows(&path), before);
}

fn source(reader: &Reader) -> Source<'_> {
    Source { reader, company: Company::Desk }
}

/// A log at rest, and the views of it.
struct AtRest {
    folder: tempfile::TempDir,
}

impl AtRest {
    async fn new() -> Self {
        let rig = Rig::new().await;
        live(&rig).await;
        let views = views(&rig);
        caught_up(&rig, &views).await;
        let at_rest = Self { folder: tempfile::tempdir().unwrap() };
        rig.deposits.store().back_up(&at_rest.log()).unwrap();
        let copied = Connection::open(path(&rig)).unwrap();
        copied.execute("VACUUM INTO ?1", [at_rest.views().to_str().unwrap()]).unwrap();
        at_rest
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    fn views(&self) -> PathBuf {
        self.folder.path().join("views.db")
    }

    fn build(&self) -> (Build, Reader, Position) {
        let log = Reader::look_at(&self.log()).unwrap();
        let head = log.head().unwrap();
        (Build::begin(&self.views(), &Projection::ALL, head, Arc::default()).unwrap(), log, head)
    }

    /// A building that is cut off after so many events, as by a power switch.
    fn cut_off_after(&self, events: Position) {
        let (mut build, log, _) = self.build();
        build.run_to(source(&log), events, &mut |_, _| ControlFlow::Continue(())).unwrap();
        assert_eq!(build.position(), events);
    }

    fn unlike(&self) -> Option<String> {
        let outcome = compare((&self.log(), &self.views()), &Projection::ALL, &mut |_| {}).unwrap();
        outcome.err().map(|unlike| unlike.to_string())
    }
}

#[tokio::test]
async fn a_building_that_was_cut_off_anywhere_is_gone_on_with() {
    let desk = AtRest::new().await;
    let before = all_rows(&desk.views());
    let head = Reader::look_at(&desk.log()).unwrap().head().unwrap();
    for events in 1..head {
        on_a_thread({
            let (log, views) = (desk.log(), desk.views());
            let (folder, before) = (tempfile::tempdir().unwrap(), before.clone());
            move || {
                let copy = AtRest { folder };
                fs::copy(log, copy.log()).unwrap();
                fs::copy(views, copy.views()).unwrap();
                copy.cut_off_after(events);
                let mut seen = Vec::new();
                let made =
                    rebuild((&copy.log(), &copy.views()), &Projection::ALL, &mut |told| seen.push(told.position));
                assert_eq!((made.unwrap(), all_rows(&copy.views())), (head, before), "cut off after {events}");
                assert_eq!(leavings(&copy.views()), Vec::<String>::new());
                assert!(seen.iter().all(|position| *position > events), "it went on after {events}: {seen:?}");
            }
        })
        .await;
    }
}

/// O3: without room for what is made, what is shown stays, and nothing else takes room.
#[tokio::test]
async fn a_building_without_room_leaves_what_is_shown_and_nothing_else() {
    let desk = AtRest::new().await;
    on_a_thread(move || {
        let before = all_rows(&desk.views());
        let (mut build, log, head) = desk.build();
        let pages: i64 = build.connection().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        build.connection().query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        let error = build.run(source(&log), &|| head, &mut |_, _| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().starts_with("the views: the disk is full ("), "{error}");
        build.discard().unwrap();
        assert_eq!((all_rows(&desk.views()), leavings(&desk.views())), (before, vec![]));
    })
    .await;
}

/// O3: the log goes on while the views cannot, and they go on where they were.
#[tokio::test]
async fn a_follower_without_room_writes_nothing_and_the_next_one_goes_on() {
    let rig = Rig::new().await;
    live(&rig).await;
    let (path, store) = (path(&rig), rig.deposits.store().clone());
    on_a_thread(move || {
        let (log, head) = (store.reader().unwrap(), store.head());
        drop(Follower::begin(&path, &log, 0).unwrap());
        let (mut follower, _) = Follower::begin(&path, &log, head).unwrap();
        let pages: i64 = follower.connection().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        follower.connection().query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        // So many that they do not fit into what is there.
        let one = log.after(0, 1).unwrap().remove(0);
        let many = (1..=5_000).map(|position| like(&one, position)).collect();
        let refused = follower.take_in(&Page::of(many), &log).unwrap_err().to_string();
        assert!(refused.starts_with("the views: the disk is full ("), "{refused}");
        let (mut next, found) = Follower::begin(&path, &log, head).unwrap();
        assert_eq!((next.position(), found.stale), (Some(0), vec![]));
        next.take_in(&store.after(0, 1_000).unwrap(), &log).unwrap();
        assert_eq!((next.position(), rows(&path, Projection::Deposits).len()), (Some(head), 3));
    })
    .await;
}

/// The same first event, of another deposit at another position.
fn like(first: &Recorded, position: Position) -> Recorded {
    let Event::Deposit(deposit::Event::Detected(detected)) = &first.event else { panic!("{first:?}") };
    let id = DepositId(uuid::Uuid::from_u128(u128::from(position)));
    let event = Event::Deposit(deposit::Event::Detected(Detected { id, ..detected.clone() }));
    Recorded { position, stream: StreamName::Deposit(id), event, ..first.clone() }
}

#[tokio::test]
async fn a_building_can_be_broken_off_at_every_page() {
    let desk = AtRest::new().await;
    on_a_thread(move || {
        let (mut build, log, head) = desk.build();
        assert_eq!(build.run(source(&log), &|| head, &mut |_, _| ControlFlow::Break(())).unwrap(), Ended::BrokenOff);
    })
    .await;
}

/// O4: a row that the log does not bear out is found, and how.
#[tokio::test]
async fn the_first_row_that_differs_is_named() {
    let desk = AtRest::new().await;
    on_a_thread(move || {
        assert_eq!(desk.unlike(), None);
        let views = fs::read(desk.views()).unwrap();
        for (sql, expected) in [
            (
                "UPDATE deposits SET body = replace(body, '\"version\":5', '\"version\":6') WHERE seq = 1",
                "deposits 1: body.version is 6, and made anew it is 5",
            ),
            (
                "UPDATE deposits SET status = 'lost' WHERE seq = 1",
                "deposits 1: status is lost, and made anew it is held",
            ),
            ("DELETE FROM deposits WHERE seq = 1", "deposits 1: the row is nothing, and made anew it is there"),
            (
                "DELETE FROM ledger WHERE name = 'balances'",
                "ledger balances: the row is nothing, and made anew it is there",
            ),
            (
                "UPDATE statistics SET body = replace(body, '\"addresses\":0', '\"addresses\":1')",
                "statistics totals: body.addresses is 1, and made anew it is 0",
            ),
            (
                "UPDATE notifications SET sequence = 9 WHERE position = 1",
                "notifications 1: sequence is 9, and made anew it is 1",
            ),
        ] {
            change(&desk.views(), sql);
            assert_eq!(desk.unlike().as_deref(), Some(expected), "{sql}");
            fs::write(desk.views(), &views).unwrap();
        }
        change(&desk.views(), "UPDATE projections SET version = 0 WHERE name = 'ledger'");
        let error = compare((&desk.log(), &desk.views()), &Projection::ALL, &mut |_| {}).unwrap_err().to_string();
        assert_eq!(error, "ledger is of another version, or was not made yet; `millrace rebuild ledger` makes it");
        change(&desk.views(), "UPDATE projections SET version = 1, position = 9999 WHERE name = 'ledger'");
        let error = compare((&desk.log(), &desk.views()), &[Projection::Ledger], &mut |_| {}).unwrap_err().to_string();
        assert!(error.starts_with("ledger shows the log up to position 9999, and it ends at "), "{error}");
    })
    .await;
}
