//! What is signed, sent and read, beside what Google's documentation shows.

use millrace_model::notification::NotificationType;

use super::*;

fn account() -> ServiceAccount {
    let text = json!({
        "type": "service_account",
        "project_id": "coin-desk",
        "private_key_id": "abc",
        "private_key": "-----BEGIN PRIVATE KEY-----\n…",
        "client_email": "desk@coin-desk.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    serde_json::from_value(text).unwrap()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

#[test]
fn an_assertion_says_who_asks_for_what_and_for_how_long() {
    let text = account().to_be_signed(1_700_000_000);
    let (head, claims) = text.split_once('.').unwrap();
    assert_eq!(decoded(head), json!({ "alg": "RS256", "typ": "JWT", "kid": "abc" }));
    let expected = json!({
        "iss": "desk@coin-desk.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    });
    assert_eq!(decoded(claims), expected);
    let form = grant_form("a.b", &[0xff, 0xfe]);
    assert_eq!(form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.__4");
    assert_eq!(account().path(), "v1/projects/coin-desk/messages:send");
    assert!(!format!("{:?}", account()).contains("PRIVATE"));
}

#[test]
fn a_grant_is_read_or_its_refusal_said() {
    let body = br#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#;
    assert_eq!(granted(200, body), Ok(Granted { access_token: "ya29.x".to_owned(), expires_in: 3_599 }));
    let refused = br#"{"error":"invalid_grant","error_description":"Invalid JWT\r\nSignature."}"#;
    assert_eq!(granted(400, refused), Err("no grant, status 400: invalid_grant Invalid JWT Signature.".to_owned()));
    assert!(granted(200, br#"{"access_token":"a\r\nb","expires_in":1}"#).is_err());
    assert!(granted(200, b"{}").is_err() && granted(502, b"<html>").is_err());
}

#[test]
fn a_message_has_words_for_the_person_and_data_for_the_app() {
    let body = NotificationType::WithdrawalConfirmed.example().to_string();
    let words = Words::read(body.as_bytes(), Some("https://desk.example.org")).unwrap();
    let sent: Value = serde_json::from_slice(&message("tok:en", &words)).unwrap();
    let message = &sent["message"];
    assert_eq!(message["token"], "tok:en");
    assert_eq!(message["notification"]["title"], "Payout final: 250.000000 SKY");
    assert_eq!(message["notification"]["body"], "Your payout of 250.000000 SKY is final.");
    assert_eq!(message["data"]["event_type"], "Withdrawal.Confirmed");
    assert_eq!(message["data"]["about"], message["android"]["notification"]["tag"]);
    let data = message["data"].as_object().unwrap();
    assert!(data.len() == 4 && data.values().all(Value::is_string), "data are texts: {data:?}");
}

#[test]
fn each_answer_has_its_meaning() {
    let said = |status: u16, code: &str, message: &str, more: Value| {
        let details = json!([
            { "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code },
            more,
        ]);
        let error = json!({ "code": status, "message": message, "status": "X", "details": details });
        answer(status, json!({ "error": error }).to_string().as_bytes())
    };
    assert_eq!(answer(200, br#"{"name":"projects/coin-desk/messages/1"}"#), Answer::Sent);
    let gone = said(404, "UNREGISTERED", "Requested entity was not found.", json!({}));
    assert_eq!(gone, Answer::NoDevice("status 404 UNREGISTERED Requested entity was not found.".to_owned()));
    // Of all devices at once, when another project's account was configured.
    assert!(matches!(said(403, "SENDER_ID_MISMATCH", "", json!({})), Answer::Trouble(_)));
    let invalid = "The registration token is not a valid FCM registration token";
    assert!(matches!(said(400, "INVALID_ARGUMENT", invalid, json!({})), Answer::NoDevice(_)));
    let field = json!({ "fieldViolations": [{ "field": "message.token", "description": "Invalid" }] });
    assert!(matches!(said(400, "INVALID_ARGUMENT", "Invalid", field), Answer::NoDevice(_)));
    let field = json!({ "fieldViolations": [{ "field": "message.data[0].value", "description": "Invalid" }] });
    assert!(matches!(said(400, "INVALID_ARGUMENT", "Invalid value", field), Answer::BadMessage(_)));
    assert!(matches!(said(429, "QUOTA_EXCEEDED", "", json!({})), Answer::Later(_)));
    assert!(matches!(said(503, "UNAVAILABLE", "", json!({})), Answer::Later(_)));
    assert!(matches!(said(401, "THIRD_PARTY_AUTH_ERROR", "", json!({})), Answer::NotGranted(_)));
    for (status, body) in [(404, ""), (403, "{}"), (400, "<html>"), (500, "<html>"), (302, "")] {
        assert!(matches!(answer(status, body.as_bytes()), Answer::Trouble(_)), "{status}");
    }
}

#[test]
fn a_token_is_what_google_gives_out() {
    assert!(is_token("dEvice-1_x:APA91bH.zz"));
    for wrong in ["", "a b", "a\r\nb", "a/b", &"x".repeat(TOKEN_BYTES_MAX + 1)] {
        assert!(!is_token(wrong), "{wrong:?}");
    }
}
