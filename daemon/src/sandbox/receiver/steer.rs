//! `millrace sandbox receiver …`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Answer, Order};
use crate::sandbox::client::{Client, ClientError};

/// What can be done with the receiver of webhooks.
#[derive(Debug, Subcommand)]
pub enum ReceiverCommand {
    /// Show where it is and what it was told, as JSON; for the eye the control API has `/receiver/page`.
    List,
    /// Tell it a secret to check signatures with: of a webhook, or of a customer's subscription.
    Secret {
        /// As it was shown when the webhook was made.
        secret: String,
    },
    /// Tell it how to answer.
    Answer {
        /// How.
        with: Answer,
        /// For so many notifications only.
        #[arg(long)]
        times: Option<u32>,
    },
    /// Have it forget what it was told, and answer 204 again.
    Clear,
}

/// Does it.
pub async fn steer(client: &Client, command: ReceiverCommand) -> Result<Value, ClientError> {
    match command {
        ReceiverCommand::List => client.get("/receiver").await,
        ReceiverCommand::Secret { secret } => client.post("/receiver/secret", &json!({ "secret": secret })).await,
        ReceiverCommand::Answer { with, times } => client.post("/receiver/answer", &json!(Order { with, times })).await,
        ReceiverCommand::Clear => client.delete("/receiver").await,
    }
}
