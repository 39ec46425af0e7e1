//! Logging in and out, and who is kept out.

use super::*;

#[tokio::test]
async fn whoever_is_not_logged_in_sees_nothing_and_is_led_back_afterwards() {
    let desk = Desk::new();
    let led = desk.get("/console/page?a=b").await;
    assert_eq!((led.status, led.location()), (StatusCode::SEE_OTHER, "/console/login?next=%2Fconsole%2Fpage%3Fa%3Db"));
    let form = desk.get(led.location()).await;
    assert_eq!((form.status, form.field("next").as_str()), (StatusCode::OK, "/console/page?a=b"));
    let fields = [("name", NAME.to_owned()), ("password", desk.password.clone()), ("next", form.field("next"))];
    let inside = desk.post("/console/login", &fields).await;
    assert_eq!(inside.location(), "/console/page?a=b");
    let set = inside.headers["set-cookie"].to_str().unwrap();
    assert!(set.starts_with("millrace=") && set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
    assert_eq!(desk.get("/console/page").await.status, StatusCode::OK);
    assert_eq!(desk.get("/console/login").await.location(), "/console", "who is in needs no form");
}

#[tokio::test]
async fn scripts_and_streams_are_told_so_in_a_sentence() {
    let desk = Desk::new();
    for (name, value) in [("hx-request", "true"), ("accept", "text/event-stream"), ("accept", "application/json")] {
        let answer = desk.ask(Request::get("/console/page").header(name, value), String::new()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}");
        assert!(answer.headers["hx-redirect"].to_str().unwrap().starts_with("/console/login?next="));
        assert!(answer.body.contains("nothing was done"), "{}", answer.body);
    }
}

#[tokio::test]
async fn nobody_is_led_out_of_the_console() {
    for next in [
        "https://evil.example/",
        "//evil.example",
        "/console//evil.example\\",
        "/consoleevil",
        "/operator/v1/deposits",
        "/console/login",
        "/console/logout",
        "/console/\r\nset-cookie: a=b",
        "",
    ] {
        let desk = Desk::new();
        let fields = [("name", NAME.to_owned()), ("password", desk.password.clone()), ("next", next.to_owned())];
        assert_eq!(desk.post("/console/login", &fields).await.location(), "/console", "{next:?}");
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_told_alike() {
    let desk = Desk::new();
    let wrong = desk.try_password(NAME, "wrong").await;
    let unknown = desk.try_password("nobody", "wrong").await;
    assert_eq!((wrong.status, unknown.status), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    assert_eq!(wrong.body.replace(NAME, ""), unknown.body.replace("nobody", ""));
    assert!(wrong.body.contains(r#"role="alert""#) && !wrong.headers.contains_key("set-cookie"));
    let script = desk.try_password("<script>", "wrong").await;
    assert!(!script.body.contains("<script>"), "{}", script.body);
}

#[tokio::test]
async fn five_wrong_passwords_lock_the_account_and_the_right_one_does_not_help_until_the_wait_is_over() {
    let desk = Desk::new();
    for _ in 0..5 {
        assert_eq!(desk.try_password(NAME, "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    let locked = desk.try_password(NAME, &desk.password).await;
    assert_eq!(
        (locked.status, &locked.headers["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"60".parse().unwrap())
    );
    assert!(locked.body.contains("1 minute"), "{}", locked.body);
    desk.pass(60);
    desk.log_in().await;
}

#[tokio::test]
async fn a_crowd_makes_nobody_wait_who_has_the_right_password() {
    let desk = Desk::new();
    for _ in 0..10 {
        let crowd = desk.gate.press.crowd();
        let answer = desk.try_password(NAME, &desk.password).await;
        assert_eq!(
            (answer.status, &answer.headers["retry-after"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"5".parse().unwrap())
        );
        drop(crowd);
    }
    for _ in 0..4 {
        assert_eq!(desk.try_password(NAME, "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    desk.log_in().await;
    let account = desk.get("/console/account").await;
    for _ in 0..10 {
        let _crowd = desk.gate.press.crowd();
        let mut fields = account.fields();
        fields.extend([("present", desk.password.clone()), ("new", "x".repeat(20)), ("again", "x".repeat(20))]);
        let answer = desk.post("/console/account/password", &fields).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.body);
    }
    desk.log_in().await;
}

#[tokio::test]
async fn a_session_outlives_the_core_and_ends_after_twelve_quiet_hours() {
    let mut desk = Desk::new();
    desk.log_in().await;
    desk.start_again();
    assert_eq!(desk.get("/console/page").await.status, StatusCode::OK);
    desk.pass(12 * HOUR);
    let fields = [("wish", "sun".to_owned())];
    let headers = [("sec-fetch-site", "same-origin"), ("referer", "http://desk:8081/console/page")];
    let ended = desk.post_with("/console/act", &fields, &headers).await;
    assert_eq!(ended.location(), "/console/login?next=%2Fconsole%2Fpage&ended=1");
    assert!(desk.get(ended.location()).await.body.contains("nothing was done"));
    assert_eq!(desk.acted(), 0);
}

#[tokio::test]
async fn a_form_of_nobody_is_told_that_nothing_was_done() {
    let desk = Desk::new();
    let led = desk.post("/console/act", &[("wish", "sun".to_owned())]).await;
    assert_eq!(led.location(), "/console/login?next=%2Fconsole&undone=1");
    assert!(desk.get(led.location()).await.body.contains("nothing was done"));
    assert!(!desk.get("/console/page").await.location().contains("undone"), "who only looks is just asked who he is");
    assert_eq!(desk.acted(), 0);
}

#[tokio::test]
async fn what_an_open_page_asks_by_itself_is_no_sign_of_anybody() {
    let desk = Desk::new();
    desk.log_in().await;
    desk.pass(11 * HOUR);
    let refresh = || Request::get("/console/page").header("hx-request", "true").header("x-refresh", "1");
    assert_eq!(desk.ask(refresh(), String::new()).await.status, StatusCode::OK);
    assert_eq!(desk.get("/console/live").await.status, StatusCode::OK);
    desk.pass(HOUR);
    assert_eq!(desk.ask(refresh(), String::new()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(desk.get("/console/page").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn who_stays_is_known_to_be_out_by_age_by_log_out_and_without_his_account() {
    let desk = Desk::new();
    desk.log_in().await;
    let old = desk.stay();
    desk.pass(12 * HOUR - 1);
    assert!(!old.is_over().await);
    desk.pass(1);
    assert!(old.is_over().await, "that it was looked at kept nobody in");

    desk.log_in().await;
    let one = desk.stay();
    desk.log_in().await;
    let other = desk.stay();
    assert!(!one.is_over().await && !other.is_over().await);
    let fields = desk.get("/console/account").await.fields();
    let ended =
        desk.post("/console/account/sessions/end", &[fields, vec![("which", "others".to_owned())]].concat()).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER, "{}", ended.body);
    assert!(one.is_over().await && !other.is_over().await, "one was ended by the other");

    let roster = crate::web::session::Roster::of(desk.folder.path());
    roster.add("alice", "a sentence of mine", desk.clock.now()).unwrap();
    assert!(!other.is_over().await);
    roster.remove(NAME).unwrap();
    desk.pass(1);
    assert!(other.is_over().await, "a page that asks by itself knows it after a second");
}

#[tokio::test]
async fn a_forged_cookie_is_nobodys_and_what_is_kept_opens_nothing() {
    let desk = Desk::new();
    desk.log_in().await;
    let kept = std::fs::read_to_string(desk.folder.path().join("sessions.json")).unwrap();
    let cookie = desk.cookie.lock().unwrap().clone().unwrap();
    let id = cookie.strip_prefix("millrace=").unwrap();
    assert!(!kept.contains(id));
    let hash = kept.split("\"id\": \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for forged in [hash, "0".repeat(64), "x".to_owned()] {
        *desk.cookie.lock().unwrap() = Some(format!("millrace={forged}"));
        assert_eq!(desk.get("/console/page").await.status, StatusCode::SEE_OTHER, "{forged}");
    }
}

#[tokio::test]
async fn who_logs_out_is_out_with_the_old_cookie_too() {
    let desk = Desk::new();
    desk.log_in().await;
    let cookie = desk.cookie.lock().unwrap().clone();
    assert_eq!(desk.get("/console/logout").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let fields = desk.get("/console/page").await.fields();
    assert_eq!(desk.post("/console/logout", &fields).await.location(), "/console/login");
    *desk.cookie.lock().unwrap() = cookie;
    assert_eq!(desk.get("/console/page").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_link_from_elsewhere_logs_nobody_out() {
    let desk = Desk::new();
    desk.log_in().await;
    let link = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    for (accept, status) in [("text/html", StatusCode::SEE_OTHER), ("image/*", StatusCode::UNAUTHORIZED)] {
        // The browser holds the cookie back.
        let cookie = desk.cookie.lock().unwrap().take();
        let request = Request::get("/console/page").header("accept", accept);
        let request = link.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let led = desk.ask(request, String::new()).await;
        assert_eq!(led.status, status);
        assert!(!led.headers.contains_key("set-cookie"), "{:?}", led.headers);
        *desk.cookie.lock().unwrap() = cookie;
        assert_eq!(desk.get("/console/page").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_cookie_that_is_no_session_just_now_stays_and_one_that_is_logged_out_goes() {
    let desk = Desk::new();
    desk.log_in().await;
    // Another tab asks between the writing of a new password and the renewal of the session.
    let file = desk.folder.path().join("operators.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let generation = text.split("\"generation\": \"").nth(1).unwrap().split('"').next().unwrap();
    let (old, new) = (text.clone(), text.replace(generation, "0011223344556677"));
    crate::web::session::private_file::write(&file, &new).unwrap();
    let led = desk.get("/console/page").await;
    assert!(led.location().ends_with("&ended=1") && !led.headers.contains_key("set-cookie"), "{:?}", led.headers);
    crate::web::session::private_file::write(&file, &old).unwrap();
    let fields = desk.get("/console/page").await.fields();
    let out = desk.post("/console/logout", &fields).await;
    assert!(out.headers["set-cookie"].to_str().unwrap().ends_with("; Max-Age=0"));
}

#[tokio::test]
async fn no_other_site_logs_a_browser_in() {
    let desk = Desk::new();
    let fields = [("name", NAME.to_owned()), ("password", desk.password.clone())];
    for headers in
        [[("sec-fetch-site", "cross-site")], [("sec-fetch-site", "same-site")], [("origin", "https://evil.example")]]
    {
        let answer = desk.post_with("/console/login", &fields, &headers).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.body.contains("another site") && !answer.headers.contains_key("set-cookie"));
    }
    assert_eq!(desk.post_with("/console/login", &fields, &[("origin", "http://desk:8081")]).await.status, 303);
}

#[tokio::test]
async fn hostile_forms_are_refused_in_a_sentence() {
    let desk = Desk::new();
    for fields in [vec![], vec![("name", "x".repeat(10_000))], vec![("name", NAME.to_owned())]] {
        let answer = desk.post("/console/login", &fields).await;
        assert!(answer.status.is_client_error() && answer.body.contains("role=\"alert\""), "{}", answer.body);
    }
    let large = [("name", NAME.to_owned()), ("password", "x".repeat(20_000))];
    assert_eq!(desk.post("/console/login", &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn pages_have_nothing_inline_and_tell_their_own_site_alone_where_they_are_from() {
    let desk = Desk::new();
    let page = desk.get("/console/login").await;
    assert!(
        !page.body.contains("<script") && !page.body.contains("style=") && !page.body.contains("http"),
        "{}",
        page.body
    );
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["referrer-policy"], "same-origin");
    assert_eq!(page.headers["cache-control"], "no-store");
}
