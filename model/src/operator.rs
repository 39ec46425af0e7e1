//! Who operates the desk, and what operators do to it that no other event says.
//!
//! Whoever gave a command is kept with it: in the body, as `by`. Commands that were stored before there were names have none.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The field of a command's body.
const BY: &str = "by";
/// The one with why, where the event has no place for it.
const NOTE: &str = "note";

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Whoever holds the API's token; the desk knows no more of him.
    Token,
    /// An operator who logged in, by the name of his account.
    Operator(String),
    /// Somebody who was not let in.
    Stranger,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token => f.write_str("the operator's token"),
            Self::Operator(name) => write!(f, "operator {name}"),
            Self::Stranger => f.write_str("somebody who was not let in"),
        }
    }
}

impl By {
    /// The body of a command of this name, with who gave it. What is no JSON object stays as it is.
    pub fn sign(&self, command: &str, body: String) -> String {
        let Ok(mut signed) = serde_json::from_str::<Value>(&body) else { return body };
        let by = serde_json::to_value(self).expect("a name is JSON");
        match inside(command, &mut signed) {
            Some(fields) => fields.insert(BY.to_owned(), by),
            None => return body,
        };
        signed.to_string()
    }

    /// Who gave a command of this name, if its body says.
    pub fn of(command: &str, body: &str) -> Option<Self> {
        if !body.contains(r#""by":"#) {
            return None;
        }
        let mut body = serde_json::from_str::<Value>(body).ok()?;
        inside(command, &mut body)?.remove(BY).and_then(|by| serde_json::from_value(by).ok())
    }
}

/// The body of a command of this name with why it was given, in the operator's words. What is no JSON object stays as it is.
pub fn with_note(command: &str, body: String, note: &str) -> String {
    let Ok(mut noted) = serde_json::from_str::<Value>(&body) else { return body };
    match inside(command, &mut noted) {
        Some(fields) => fields.insert(NOTE.to_owned(), note.into()),
        None => return body,
    };
    noted.to_string()
}

/// Why a command of this name was given, if its body says.
pub fn note_of(command: &str, body: &str) -> Option<String> {
    let mut body = serde_json::from_str::<Value>(body).ok()?;
    inside(command, &mut body)?.get(NOTE)?.as_str().map(str::to_owned)
}

/// A deposit's command stands in its own name, others are their fields.
fn inside<'b>(command: &str, body: &'b mut Value) -> Option<&'b mut serde_json::Map<String, Value>> {
    let fields = body.as_object_mut()?;
    if fields.len() == 1 && fields.get(command).is_some_and(Value::is_object) {
        return fields.get_mut(command)?.as_object_mut();
    }
    Some(fields)
}

/// What an operator does that is no command of a deposit, the desk or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Start a part.
    StartPart,
    /// Stop a part.
    StopPart,
    /// Restart a part.
    RestartPart,
    /// Break a part, in the sandbox.
    BreakPart,
    /// Build a projection again.
    RebuildProjection,
    /// Back the log up.
    BackUp,
    /// Forget what tells of a customer; of whom is not said.
    ForgetCustomer,
    /// Send a notification again.
    ResendNotification,
    /// Send a notification that tells of nothing.
    SimulateNotification,
    /// Log in.
    LogIn,
    /// Log in with a recovery code.
    LogInByRecovery,
    /// Be wrong so often that nobody is listened to for a while.
    LockOut,
    /// Log out.
    LogOut,
    /// End sessions.
    EndSessions,
    /// Change the password.
    ChangePassword,
    /// Ask for a code at every log-in.
    TurnOnCode,
    /// Ask for no code any more.
    TurnOffCode,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::StartPart,
        Self::StopPart,
        Self::RestartPart,
        Self::BreakPart,
        Self::RebuildProjection,
        Self::BackUp,
        Self::ForgetCustomer,
        Self::ResendNotification,
        Self::SimulateNotification,
        Self::LogIn,
        Self::LogInByRecovery,
        Self::LockOut,
        Self::LogOut,
        Self::EndSessions,
        Self::ChangePassword,
        Self::TurnOnCode,
        Self::TurnOffCode,
    ];

    /// The word used in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartPart => "start_part",
            Self::StopPart => "stop_part",
            Self::RestartPart => "restart_part",
            Self::BreakPart => "break_part",
            Self::RebuildProjection => "rebuild_projection",
            Self::BackUp => "back_up",
            Self::ForgetCustomer => "forget_customer",
            Self::ResendNotification => "resend_notification",
            Self::SimulateNotification => "simulate_notification",
            Self::LogIn => "log_in",
            Self::LogInByRecovery => "log_in_by_recovery",
            Self::LockOut => "lock_out",
            Self::LogOut => "log_out",
            Self::EndSessions => "end_sessions",
            Self::ChangePassword => "change_password",
            Self::TurnOnCode => "turn_on_code",
            Self::TurnOffCode => "turn_off_code",
        }
    }
}

/// Somebody is about to do something, or did it. See [`crate::desk::Event::OperatorActed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorActed {
    /// Who.
    pub by: By,
    /// What.
    pub action: Action,
    /// To what: a part's or projection's name, or where somebody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gave_a_command_is_read_back_from_its_body() {
        for by in [By::Token, By::Operator("alice".to_owned()), By::Stranger] {
            for (command, body) in
                [("Release", r#"{"Release":{"note":"why"}}"#), ("Resume", r#"{"note":"why"}"#), ("PauseDelivery", "{}")]
            {
                assert_eq!(By::of(command, body), None);
                assert_eq!(By::of(command, &by.sign(command, body.to_owned())), Some(by.clone()), "{command}");
            }
        }
    }

    #[test]
    fn why_a_command_was_given_is_read_back_from_its_body() {
        for (command, body) in
            [("PauseDelivery", r#"{"PauseDelivery":{}}"#), ("MoveCursor", r#"{"MoveCursor":{"after":7}}"#)]
        {
            assert_eq!(note_of(command, body), None);
            let noted = with_note(command, By::Token.sign(command, body.to_owned()), "it \"moves\"");
            assert_eq!(note_of(command, &noted).as_deref(), Some("it \"moves\""), "{noted}");
            assert_eq!(By::of(command, &noted), Some(By::Token), "{noted}");
        }
    }

    #[test]
    fn a_signed_command_on_a_deposit_is_still_that_command() {
        let command = crate::deposit::Command::Release { note: "why".to_owned() };
        let body = serde_json::to_string(&command).unwrap();
        let signed = By::Operator("alice".to_owned()).sign(command.name(), body);
        assert_eq!(serde_json::from_str::<crate::deposit::Command>(&signed).unwrap(), command);
    }

    #[test]
    fn a_body_that_has_no_fields_stays_as_it_is_and_says_nobody() {
        for body in [r#""RecordSent""#, "null", "no JSON", r#"["by"]"#] {
            assert_eq!(By::Token.sign("RecordSent", body.to_owned()), body);
        }
        assert_eq!(By::of("Resume", r#"{"by":7}"#), None);
    }

    #[test]
    fn actions_have_the_same_word_in_the_log_and_in_the_api() {
        for action in Action::ALL {
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
    }
}
