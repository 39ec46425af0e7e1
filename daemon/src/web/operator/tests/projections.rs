//! What an operator sees of the projections, and making them anew.

use futures::StreamExt;

use super::*;
use crate::web::shapes::{ProjectionPage, ProjectionRow};

async fn all(desk: &Desk) -> Vec<ProjectionRow> {
    let page: ProjectionPage = serde_json::from_value(desk.got("/operator/v1/projections").await).unwrap();
    assert_eq!(page.head, desk.store.head());
    page.projections
}

async fn made(desk: &Desk) -> Vec<ProjectionRow> {
    loop {
        let projections = all(desk).await;
        if projections.iter().all(|projection| projection.rebuild.is_none()) {
            return projections;
        }
        tokio::task::yield_now().await;
    }
}

fn generations(projections: &[ProjectionRow]) -> Vec<i64> {
    projections.iter().map(|projection| projection.generation).collect()
}

#[tokio::test]
async fn a_projection_is_made_anew_by_its_name_and_all_by_theirs() {
    let desk = Desk::start().await;
    desk.bind(1).await;
    desk.deposit(1, Some("target"), received()).await;
    let shown = desk.got("/operator/v1/deposits").await;
    let before = all(&desk).await;
    let names: Vec<_> = before.iter().map(|projection| (projection.name.as_str(), projection.lag)).collect();
    assert_eq!(
        names,
        [
            ("deposits", 0),
            ("addresses", 0),
            ("ledger", 0),
            ("statistics", 0),
            ("notifications", 0),
            ("pace", 0),
            ("names", 0)
        ]
    );
    assert!(before.iter().all(|projection| projection.shown_version == Some(projection.version)));
    assert_eq!(generations(&before), [1; 7]);
    let (status, asked) = desk.post("/operator/v1/projections/ledger/rebuild", "").await;
    assert_eq!(status, 200, "{asked}");
    assert_eq!(generations(&made(&desk).await), [1, 1, 2, 1, 1, 1, 1]);
    assert_eq!(desk.post("/operator/v1/projections/all/rebuild", "").await.0, 200);
    assert_eq!(generations(&made(&desk).await), [2, 2, 3, 2, 2, 2, 2]);
    assert_eq!(desk.got("/operator/v1/deposits").await, shown);
}

#[tokio::test]
async fn one_that_there_is_not_is_refused_with_the_names_of_those_that_there_are() {
    let desk = Desk::start().await;
    let (status, problem) = desk.post("/operator/v1/projections/customers/rebuild", "").await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (404, Some("unknown_projection")));
    let message = problem["message"].as_str().unwrap();
    assert!(
        message.contains("deposits, addresses, ledger, statistics, notifications, pace, names, and all"),
        "{message}"
    );
}

#[tokio::test]
async fn whoever_watches_is_told_of_every_change() {
    let desk = Desk::start().await;
    desk.bind(1).await;
    let mut stream = desk.ask(Request::get("/operator/v1/projections/live"), "").await.into_body().into_data_stream();
    let mut until = async |generation: i64| loop {
        let piece = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap().unwrap();
        let Some(data) = std::str::from_utf8(&piece).unwrap().strip_prefix("data: ") else { continue };
        let page: ProjectionPage = serde_json::from_str(data.trim()).unwrap();
        if page.projections.iter().all(|row| row.generation == generation && row.rebuild.is_none() && row.lag == 0) {
            return;
        }
    };
    until(1).await;
    assert_eq!(desk.post("/operator/v1/projections/all/rebuild", "").await.0, 200);
    until(2).await;
}

#[tokio::test]
async fn nobody_is_asked_who_does_not_run() {
    let desk = Desk::start().await;
    desk.post("/operator/v1/parts/projection/stop", "").await;
    let (status, problem) = desk.post("/operator/v1/projections/ledger/rebuild", "").await;
    assert_eq!((status.as_u16(), problem["code"].as_str()), (503, Some("views_unavailable")));
}
