//! The pages as a browser without scripts gets them.

use axum::body::Body;
use http::header::{CONTENT_LANGUAGE, LOCATION, SET_COOKIE};
use http::{Request, StatusCode};

use super::super::words::Language;
use super::{Rig, Setup, TARGET, read};
use crate::web::public::Binds;

async fn page(rig: &Rig, path: &str) -> String {
    let (status, text) = read(rig.ask(Request::get(path).body(Body::empty()).unwrap()).await).await;
    assert_eq!(status, StatusCode::OK, "{path}");
    text
}

async fn posted(rig: &Rig, fields: &str) -> http::Response<Body> {
    let request = Request::post("/bind").header("content-type", "application/x-www-form-urlencoded");
    rig.ask(request.body(Body::from(fields.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_quote_is_answered_for_either_side() {
    let rig = Rig::start(Setup::default()).await;
    for (query, said) in [
        ("amount=0.1", "50.000000"),
        ("amount=0%2C1", "50.000000"),
        ("payout=50", "0.10000000"),
        ("amount=1&payout=2", "Fill in one of the two."),
        ("amount=x", "Write a number such as 0.1"),
        ("amount=0.001", "deposits from 0.005 BTC"),
        ("payout=100000", "deposits up to 10 BTC"),
        ("", "1 BTC buys 500 SKY."),
        ("", "0.005 to 10 BTC for one deposit"),
    ] {
        let whole = page(&rig, &format!("/?{query}")).await;
        assert!(whole.contains(said), "{query}: {whole}");
        assert!(page(&rig, &format!("/quote?{query}")).await.contains(said), "{query}");
    }
    let russian = page(&rig, "/?lang=ru&amount=5").await;
    assert!(russian.contains("2500,000000") && russian.contains("Обменник комиссии не берёт"), "{russian}");
}

#[tokio::test]
async fn every_page_is_in_the_language_that_is_asked_for_and_a_choice_stays() {
    let rig = Rig::start(Setup::default()).await;
    for language in Language::ALL {
        let asked = Request::get("/?amount=1").header("accept-language", language.tag()).body(Body::empty()).unwrap();
        let response = rig.ask(asked).await;
        assert!(!response.headers().contains_key(SET_COOKIE), "nothing was chosen");
        assert_eq!(response.headers()[CONTENT_LANGUAGE], language.html());
        let text = read(response).await.1;
        assert!(text.contains(&format!("<html lang=\"{}\">", language.html())), "{text}");
        assert!(text.contains(language.words().title) && text.contains("/?amount=1&amp;lang=ru"), "{text}");

        let chosen = Request::get(format!("/?lang={}", language.tag())).body(Body::empty()).unwrap();
        let response = rig.ask(chosen).await;
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let again =
            Request::get("/").header("cookie", cookie).header("accept-language", "en").body(Body::empty()).unwrap();
        assert!(read(rig.ask(again).await).await.1.contains(language.words().title));
        let part = Request::get(format!("/quote?lang={}", language.tag())).body(Body::empty()).unwrap();
        assert!(!rig.ask(part).await.headers().contains_key(SET_COOKIE), "a part of a page chooses nothing");
    }
}

#[tokio::test]
async fn an_address_is_looked_at_and_what_is_wrong_is_said_in_its_place() {
    let rig = Rig::start(Setup::default()).await;
    let english = Language::English.words();
    for (typed, said) in [
        (TARGET, english.target_is_right),
        ("", english.address_empty),
        (&TARGET[..20], english.address_length),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", english.address_bitcoin),
    ] {
        assert!(page(&rig, &format!("/check?target={typed}")).await.contains(said), "{typed}");
    }
    let refused = posted(&rig, &format!("target={}%3Cscript%3E", &TARGET[..20])).await;
    let (status, text) = read(refused).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(text.contains("aria-invalid=\"true\"") && text.contains(english.address_character), "{text}");
    assert!(text.contains("&lt;script&gt;") && !text.contains("<script>"));
}

#[tokio::test]
async fn an_address_is_given_out_with_what_is_to_be_paid_to_it() {
    let rig = Rig::start(Setup::default()).await;
    let bound = posted(&rig, &format!("target={TARGET}&amount=0.1")).await;
    assert_eq!(bound.status(), StatusCode::SEE_OTHER);
    let place = bound.headers()[LOCATION].to_str().unwrap().to_owned();
    assert_eq!(place, format!("/customer/{TARGET}?amount=0.10000000"));
    for language in Language::ALL {
        let text = page(&rig, &format!("{place}&lang={}", language.tag())).await;
        let words = language.words();
        for said in [
            words.waiting,
            words.send_to,
            words.copy,
            words.open_wallet,
            words.look_again,
            &(words.from_to)(&(words.number)("0.005"), "10"),
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(text.contains("href=\"bitcoin:bcrt1") && text.contains("?amount=0.10000000\""), "{text}");
        assert!(text.contains("<svg") && !text.contains("style=") && !text.contains("onclick"), "{text}");
    }
    let (status, text) = read(rig.ask(Request::get("/customer/nobody").body(Body::empty()).unwrap()).await).await;
    assert!(status == StatusCode::BAD_REQUEST && text.contains("no Skycoin address"), "{text}");
}

#[tokio::test]
async fn a_desk_that_gives_out_no_addresses_says_so_and_still_quotes() {
    let rig = Rig::start(Setup { binds: Binds::Disabled, ..Setup::default() }).await;
    let text = page(&rig, "/?amount=0.1").await;
    let words = Language::English.words();
    assert!(text.contains(words.binds_disabled) && text.contains("50.000000") && !text.contains("action=\"/bind\""));
}

#[tokio::test]
async fn a_path_with_nothing_is_a_page_to_browsers_and_a_problem_to_programs() {
    let rig = Rig::start(Setup::default()).await;
    let ask = async |accept: &str, language: &str| {
        let request = Request::get("/nowhere").header("accept", accept).header("accept-language", language);
        read(rig.ask(request.body(Body::empty()).unwrap()).await).await
    };
    for (tag, language) in [("en", Language::English), ("ru", Language::Russian), ("zh-CN", Language::Chinese)] {
        let (status, text) = ask("text/html,application/xhtml+xml;q=0.9", tag).await;
        let words = language.words();
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(text.contains(words.no_page) && text.contains(words.way_home), "{text}");
    }
    for accept in ["*/*", "application/json"] {
        let (status, text) = ask(accept, "ru").await;
        assert!(status == StatusCode::NOT_FOUND && text.contains("There is nothing at this path."), "{text}");
    }
}
