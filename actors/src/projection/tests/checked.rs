//! Projections held against the log while the desk goes on with both.

use tokio::sync::{mpsc, oneshot};

use super::compare::{Bounds, check_within};
use super::*;

fn log(rig: &Rig) -> PathBuf {
    rig.folder().join("log.sqlite")
}

/// A look at all of them, and what it is told of on the way.
async fn checked(
    rig: &Rig,
    views: &Views,
    mut told: impl FnMut(Position, Position) -> ControlFlow<()> + Send + 'static,
) -> Result<Option<Checks>, CompareError> {
    let (log, views) = (log(rig), views.clone());
    on_a_thread(move || check(&log, &views, &Projection::ALL, &mut told)).await
}

fn fits(checks: Checks, position: Position) {
    assert_eq!(checks.len(), Projection::ALL.len());
    for (of, checked) in checks {
        let checked = checked.unwrap();
        assert_eq!((checked.position, checked.unlike, checked.first), (position, 0, vec![]), "{of}");
    }
}

/// What is there is folded while the desk stores more, which is compared as well.
#[tokio::test]
async fn what_the_desk_does_meanwhile_is_compared_with_the_rest() {
    let rig = Rig::new().await;
    live(&rig).await;
    let views = views(&rig);
    let before = caught_up(&rig, &views).await;
    let ((begun, has_begun), (go_on, goes_on)) = (oneshot::channel(), oneshot::channel::<()>());
    let mut first = Some((begun, goes_on));
    let looking = checked(&rig, &views, move |_, end| {
        if let Some((begun, goes_on)) = first.take() {
            begun.send(end).unwrap();
            goes_on.blocking_recv().unwrap();
        }
        ControlFlow::Continue(())
    });
    let stored = async {
        assert_eq!(has_begun.await, Ok(before));
        some(&rig, 12..15).await;
        let after = caught_up(&rig, &views).await;
        go_on.send(()).unwrap();
        after
    };
    let (checks, after) = tokio::join!(looking, stored);
    assert!(after > before);
    fits(checks.unwrap().unwrap(), after);
}

/// Somebody who is told stops twice, and each time the desk stores more before he goes on.
#[tokio::test]
async fn the_views_are_not_held_before_it_is_near_them() {
    let rig = Rig::new().await;
    live(&rig).await;
    let views = views(&rig);
    let mut ends = vec![caught_up(&rig, &views).await];
    let ((stops, mut stopped), (go_on, goes_on)) = (mpsc::channel(2), std::sync::mpsc::sync_channel::<()>(1));
    let mut left = 2;
    let paths = (log(&rig), path(&rig));
    let looking = on_a_thread(move || {
        let bounds = Bounds { near_events: 0, held_max: WITHIN };
        check_within((&paths.0, &paths.1), &Projection::ALL, bounds, &mut |_, end| {
            if left > 0 {
                left -= 1;
                stops.blocking_send(end).unwrap();
                goes_on.recv().unwrap();
            }
            ControlFlow::Continue(())
        })
    });
    let stored = async {
        for number in 12..14 {
            assert_eq!(stopped.recv().await.as_ref(), ends.last());
            some(&rig, number..number + 1).await;
            ends.push(caught_up(&rig, &views).await);
            go_on.send(()).unwrap();
        }
        ends[2]
    };
    let (checks, last) = tokio::join!(looking, stored);
    // Had the views been held when it stopped the second time, they would have shown less.
    fits(checks.unwrap().unwrap(), last);
}

#[tokio::test]
async fn the_views_are_let_go_when_it_takes_too_long() {
    let rig = Rig::new().await;
    live(&rig).await;
    let views = views(&rig);
    caught_up(&rig, &views).await;
    let paths = (log(&rig), path(&rig));
    let looking = on_a_thread(move || {
        let bounds = Bounds { near_events: 0, held_max: Duration::ZERO };
        check_within((&paths.0, &paths.1), &Projection::ALL, bounds, &mut |_, _| ControlFlow::Continue(()))
    });
    let checks = looking.await.unwrap().unwrap();
    assert_eq!(checks.len(), Projection::ALL.len());
    for (of, checked) in checks {
        let is_empty = rows(&path(&rig), of).is_empty();
        match checked {
            Err(CompareError::HeldTooLong(held)) => assert!(held == of && !is_empty, "{of}"),
            other => assert!(other.is_ok() && is_empty, "{of}"),
        }
    }
}

#[tokio::test]
async fn every_row_that_is_another_is_told_whatever_is_wrong_with_it() {
    let rig = Rig::new().await;
    live(&rig).await;
    let views = views(&rig);
    let head = caught_up(&rig, &views).await;
    let path = path(&rig);
    change(&path, "UPDATE deposits SET status = 'done' WHERE seq = (SELECT min(seq) FROM deposits)");
    change(&path, "DELETE FROM deposits WHERE seq = (SELECT max(seq) FROM deposits)");
    change(&path, "INSERT INTO deposits VALUES (7777777, 'nobody', NULL, 'nowhere', 'done', '{}')");
    change(&path, "UPDATE ledger SET body = '[]' WHERE name = 'balances'");
    change(&path, "UPDATE projections SET version = 0 WHERE name = 'pace'");
    let checks = checked(&rig, &views, |_, _| ControlFlow::Continue(())).await.unwrap().unwrap();
    let of = |wanted| checks.iter().find(|(of, _)| *of == wanted).unwrap().1.as_ref();
    let deposits = of(Projection::Deposits).unwrap();
    assert_eq!((deposits.position, deposits.rows, deposits.unlike), (head, 4, 3));
    let told: Vec<_> = deposits
        .first
        .iter()
        .map(|row| {
            (row.unlike.column.as_str(), row.unlike.shown.as_str(), row.unlike.made.as_str(), row.deposit.is_some())
        })
        .collect();
    let expected = [
        ("status", "done", "held", true),
        ("the row", "nothing", "there", true),
        ("the row", "there", "nothing", false),
    ];
    assert_eq!(told, expected);
    let ledger = of(Projection::Ledger).unwrap();
    assert_eq!((ledger.unlike, ledger.first[0].unlike.key.as_str(), ledger.first[0].event), (1, "balances", None));
    assert_eq!(of(Projection::Statistics).unwrap().unlike, 0);
    assert!(matches!(of(Projection::Pace), Err(CompareError::OfAnother(Projection::Pace))));
}

#[tokio::test]
async fn it_is_broken_off_where_nobody_wants_to_know_and_leaves_the_views_as_they_are() {
    let rig = Rig::new().await;
    live(&rig).await;
    let views = views(&rig);
    caught_up(&rig, &views).await;
    let (path, before) = (path(&rig), all_rows(&path(&rig)));
    assert!(checked(&rig, &views, |_, _| ControlFlow::Break(())).await.unwrap().is_none());
    // The folding is done with, and rows are gone through.
    let mut looks = 0;
    let late = checked(&rig, &views, move |position, end| {
        looks += u32::from(position == end);
        if looks > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(late.await.unwrap().is_none());
    assert_eq!((all_rows(&path), leavings(&path)), (before, vec![]));
}
