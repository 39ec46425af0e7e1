//! Password, codes and sessions of an account.

use super::*;

async fn inside() -> Desk {
    let desk = Desk::new();
    desk.log_in().await;
    desk
}

impl Desk {
    /// Sends a form of the account's page with these fields besides.
    async fn change(&self, path: &str, more: &[(&'static str, &str)]) -> Answer {
        let mut fields = self.get("/console/account").await.fields();
        fields.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self.post(path, &fields).await
    }

    /// Another browser of the same operator: its cookie.
    async fn elsewhere(&self) -> String {
        let here = self.cookie.lock().unwrap().take();
        self.log_in().await;
        std::mem::replace(&mut *self.cookie.lock().unwrap(), here).unwrap()
    }

    async fn is_open(&self, cookie: &str) -> bool {
        let here = self.cookie.lock().unwrap().replace(cookie.to_owned());
        let status = self.get("/console/page").await.status;
        *self.cookie.lock().unwrap() = here;
        status == StatusCode::OK
    }

    async fn code(&self) -> Answer {
        self.change("/console/account/code/begin", &[("present", &self.password)]).await;
        self.get("/console/account/code").await
    }

    async fn try_code(&self, code: &str) -> Answer {
        let fields = [("name", NAME.to_owned()), ("password", self.password.clone()), ("code", code.to_owned())];
        self.post("/console/login", &fields).await
    }
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions_and_removes_the_first_ones_file() {
    let desk = inside().await;
    let elsewhere = desk.elsewhere().await;
    let fields = [("present", desk.password.as_str()), ("new", "a sentence of mine"), ("again", "a sentence of mine")];
    let changed = desk.change("/console/account/password", &fields).await;
    assert_eq!(changed.location(), "/console/account?done=password", "{}", changed.body);
    assert!(desk.get(changed.location()).await.body.contains("your other sessions have ended"));
    assert!(!desk.is_open(&elsewhere).await);
    assert_eq!(desk.gate.first_password_file(), None);
    desk.cookie.lock().unwrap().take();
    assert_eq!(desk.try_password(NAME, &desk.password).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(desk.try_password(NAME, "a sentence of mine").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_password_is_not_changed_by_whoever_does_not_know_it_nor_to_a_bad_one() {
    let desk = inside().await;
    let present = desk.password.as_str();
    for (present, new, again) in [
        ("wrong", "a sentence of mine", "a sentence of mine"),
        (present, "a sentence of mine", "another sentence of mine"),
        (present, "short", "short"),
    ] {
        let fields = [("present", present), ("new", new), ("again", again)];
        assert_eq!(
            desk.change("/console/account/password", &fields).await.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{new}"
        );
    }
    for _ in 0..5 {
        desk.change("/console/account/password", &[("present", "wrong"), ("new", "x"), ("again", "x")]).await;
    }
    let locked = desk.change("/console/account/password", &[("present", "wrong"), ("new", "x"), ("again", "x")]).await;
    assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS, "whoever found a browser open cannot guess");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all_others() {
    let desk = inside().await;
    let (one, two) = (desk.elsewhere().await, desk.elsewhere().await);
    let page = desk.get("/console/account").await;
    assert_eq!(page.body.matches("192.0.2.1").count(), 3, "{}", page.body);
    let which = page.body.split(r#"name="which" value=""#).nth(1).unwrap().split('"').next().unwrap().to_owned();
    desk.change("/console/account/sessions/end", &[("which", &which)]).await;
    assert_eq!(u8::from(desk.is_open(&one).await) + u8::from(desk.is_open(&two).await), 1);
    desk.change("/console/account/sessions/end", &[("which", "others")]).await;
    assert!(!desk.is_open(&one).await && !desk.is_open(&two).await);
    assert_eq!(desk.get("/console/page").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_account_that_the_command_line_changed_is_another_at_the_next_request() {
    let desk = inside().await;
    let roster = crate::web::session::Roster::of(desk.folder.path());
    roster.add("alice", "a sentence of mine", desk.clock.now()).unwrap();
    roster.remove(NAME).unwrap();
    assert_eq!(desk.get("/console/page").await.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.try_password("alice", "a sentence of mine").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_code_is_asked_for_once_it_was_confirmed_and_each_counts_once() {
    let desk = inside().await;
    let offer = desk.code().await;
    assert!(offer.body.contains("<svg"), "{}", offer.body);
    let secret = offer.body.split("<code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let fields = offer.fields();
    let confirm = |code: String| [fields.clone(), vec![("code", code)]].concat();
    assert_eq!(desk.post("/console/account/code", &confirm("000000".to_owned())).await.status, 422);
    assert!(desk.is_open(&desk.elsewhere().await).await, "nothing is asked for until then");
    let now = || super::super::totp::shown(&secret, desk.clock.now());
    let right = now();
    assert_eq!(desk.post("/console/account/code", &confirm(right.clone())).await.status, StatusCode::SEE_OTHER);
    let codes = desk.get("/console/account/code").await;
    let recovery: Vec<&str> =
        codes.body.split("<li><code>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(recovery.len(), 10);

    desk.cookie.lock().unwrap().take();
    for wrong in ["", "000000", &right] {
        assert_eq!(desk.try_code(wrong).await.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    desk.pass(30);
    let fresh = now();
    assert_eq!(desk.try_code(&fresh).await.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.try_code(&fresh).await.status, StatusCode::UNAUTHORIZED, "it was used");
    assert_eq!(desk.try_code(recovery[0]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(desk.try_code(recovery[0]).await.status, StatusCode::UNAUTHORIZED);
    assert!(desk.get("/console/account").await.body.contains("Recovery codes left: 9"));
    let unwritable = desk.folder.path().join("operators.json.new");
    std::fs::create_dir(&unwritable).unwrap();
    for _ in 0..6 {
        assert_eq!(desk.try_code(recovery[1]).await.status, StatusCode::SERVICE_UNAVAILABLE, "it was not wrong");
    }
    std::fs::remove_dir(&unwritable).unwrap();
    assert_eq!(desk.try_code(recovery[1]).await.status, StatusCode::SEE_OTHER);
    desk.change("/console/account/code/off", &[("present", &desk.password)]).await;
    assert_eq!(desk.try_code("").await.status, StatusCode::SEE_OTHER);
}
