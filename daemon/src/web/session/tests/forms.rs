//! Forms that are forged, foreign, sent twice or of another shape.

use super::*;

async fn inside() -> (Desk, Vec<(&'static str, String)>) {
    let desk = Desk::new();
    desk.log_in().await;
    let mut fields = desk.get("/console/page").await.fields();
    fields.push(("wish", "sun".to_owned()));
    (desk, fields)
}

#[tokio::test]
async fn a_form_is_carried_out_once_however_often_it_is_clicked() {
    let (desk, fields) = inside().await;
    for _ in 0..3 {
        let answer = desk.post("/console/act", &fields).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/console/page?done=1"));
    }
    let fetched = [("sec-fetch-site", "same-origin"), ("hx-request", "true")];
    let answer = desk.post_with("/console/act", &fields, &fetched).await;
    assert_eq!(
        (answer.status, &answer.headers["hx-redirect"]),
        (StatusCode::OK, &"/console/page?done=1".parse().unwrap())
    );
    assert_eq!(desk.acted(), 1);
    let mut fresh = desk.get("/console/page").await.fields();
    fresh.push(("wish", "sun".to_owned()));
    assert_eq!(desk.post("/console/act", &fresh).await.location(), "/console/page?done=2");
}

#[tokio::test]
async fn a_form_that_was_refused_may_be_mended_and_sent_again() {
    let (desk, mut fields) = inside().await;
    fields[2].1 = "moon".to_owned();
    assert_eq!(desk.post("/console/act", &fields).await.status, StatusCode::CONFLICT);
    fields[2].1 = "sun".to_owned();
    assert_eq!(desk.post("/console/act", &fields).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_that_led_nowhere_is_not_carried_out_again_by_looking_at_the_page_anew() {
    for (wish, status) in [("picture", StatusCode::OK), ("patience", StatusCode::SERVICE_UNAVAILABLE)] {
        let (desk, mut fields) = inside().await;
        fields[2].1 = wish.to_owned();
        assert_eq!(desk.post("/console/act", &fields).await.status, status);
        for _ in 0..2 {
            let again = desk.post("/console/act", &fields).await;
            assert_eq!(again.status, StatusCode::CONFLICT, "{wish}");
            let said = "This form was sent already and may have been carried out: look before you send another.";
            assert!(again.body.contains(said), "{}", again.body);
        }
        assert_eq!(desk.acted(), 1, "{wish}");
    }
}

#[tokio::test]
async fn a_forged_form_does_nothing_and_says_so() {
    let (desk, fields) = inside().await;
    let other = Desk::new();
    other.log_in().await;
    let others = other.get("/console/page").await.field("csrf");
    let with = |token: Option<String>| {
        let mut forged = fields.clone();
        match token {
            Some(token) => forged[0].1 = token,
            None => drop(forged.remove(0)),
        }
        forged
    };
    for forged in [with(None), with(Some(String::new())), with(Some("0".repeat(64))), with(Some(others))] {
        let answer = desk.post("/console/act", &forged).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.body.contains("not of your session"), "{}", answer.body);
    }
    assert_eq!(desk.acted(), 0);
    assert_eq!(desk.post("/console/act", &fields).await.status, StatusCode::SEE_OTHER, "the form itself is still good");
}

#[tokio::test]
async fn another_sites_page_cannot_send_a_form_even_with_the_token() {
    let (desk, fields) = inside().await;
    for headers in [[("sec-fetch-site", "cross-site")], [("origin", "null")], [("origin", "http://desk:9999")]] {
        let answer = desk.post_with("/console/act", &fields, &headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(desk.acted(), 0);
}

#[tokio::test]
async fn a_form_of_another_shape_is_refused_in_a_sentence() {
    let (desk, fields) = inside().await;
    let without_wish = &fields[..2];
    let mut without_id = fields.clone();
    without_id[1].1 = "1".to_owned();
    let mut too_many = fields.clone();
    too_many.extend((0..64).map(|_| ("more", String::new())));
    for bad in [without_wish, &without_id, &too_many] {
        let answer = desk.post("/console/act", bad).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
        assert!(answer.body.contains(r#"role="alert""#));
    }
    assert_eq!(desk.acted(), 0);
}

#[tokio::test]
async fn a_log_out_with_fields_that_it_does_not_have_is_refused() {
    let (desk, fields) = inside().await;
    assert_eq!(desk.post("/console/logout", &fields).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(desk.get("/console/page").await.status, StatusCode::OK);
}
