//! What an operator changes of his own account: password, codes, sessions. Each asks for the password once more, and each is
//! in the log.

use std::net::IpAddr;
use std::sync::Arc;

use millrace_model::operator::Action;

use super::accounts::{Account, Accounts, AccountsError};
use super::gate::{Gate, Refused};
use super::password;
use super::require::Operator;
use super::sessions::Session;

/// Why an account stays as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unchanged {
    /// The present password is wrong, or cannot be checked now.
    #[error("the present password is not right")]
    Refused(Refused),
    /// The code is not the one that the secret leads to now.
    #[error("the code is not right, or is too old")]
    Code,
    /// The file does not take it, or the new password is none.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

impl From<Refused> for Unchanged {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Gate {
    /// Another password; all other sessions of the account end.
    pub(super) async fn change_password(
        self: &Arc<Self>,
        operator: &Operator,
        address: IpAddr,
        (present, new): (String, String),
    ) -> Result<(), Unchanged> {
        self.confirm(&operator.name, present, address).await?;
        let hashing = self.press.run(move || password::hash(&new)).await;
        let hash = hashing.map_err(|_| Refused::Crowded)?.map_err(AccountsError::from)?;
        self.record(operator.by(), Action::ChangePassword, None).await;
        let now = self.now();
        let generation = self.change(operator, move |account| {
            account.set_password(hash, now);
            Ok(account.generation.clone())
        });
        let generation = generation.await?;
        if *operator.name == *super::accounts::FIRST {
            let file = self.file.clone();
            let _ = tokio::task::spawn_blocking(move || file.forget_first_password()).await;
        }
        self.renew(operator, &generation).await;
        Ok(())
    }

    /// Offers a secret for codes to this session.
    pub(super) async fn begin_codes(
        &self,
        operator: &Operator,
        address: IpAddr,
        present: String,
    ) -> Result<(), Unchanged> {
        self.confirm(&operator.name, present, address).await?;
        self.offers.begin(operator.session(), self.now());
        Ok(())
    }

    /// From now on a code is asked for; the recovery codes are shown to this session for a while.
    pub(super) async fn confirm_codes(self: &Arc<Self>, operator: &Operator, code: &str) -> Result<(), Unchanged> {
        let now = self.now();
        let confirmed = self.offers.confirm(operator.session(), code, now);
        let (codes, recovery) = confirmed.ok_or(Unchanged::Code)?;
        self.record(operator.by(), Action::TurnOnCode, None).await;
        self.change(operator, move |account| {
            account.codes = Some(codes);
            Ok(())
        })
        .await?;
        self.offers.taken(operator.session(), recovery, now);
        Ok(())
    }

    /// No code is asked for any more.
    pub(super) async fn turn_off_codes(
        self: &Arc<Self>,
        operator: &Operator,
        address: IpAddr,
        present: String,
    ) -> Result<(), Unchanged> {
        self.confirm(&operator.name, present, address).await?;
        self.record(operator.by(), Action::TurnOffCode, None).await;
        self.change(operator, |account| {
            account.codes = None;
            Ok(())
        })
        .await
    }

    /// Ends sessions of his own: at once, whatever the log does.
    pub(super) async fn end_sessions(self: &Arc<Self>, operator: &Operator, which: impl Fn(&Session) -> bool) {
        self.end(&operator.name, which).await;
        self.record(operator.by(), Action::EndSessions, None).await;
    }

    /// The file is waited for elsewhere than where requests are answered.
    async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        operator: &Operator,
        change: impl FnOnce(&mut Account) -> Result<T, AccountsError> + Send + 'static,
    ) -> Result<T, Unchanged> {
        let (gate, name) = (Arc::clone(self), Arc::clone(&operator.name));
        let changed =
            self.changes.run(move || gate.file.change(|accounts: &mut Accounts| change(accounts.get_mut(&name)?)));
        let changed = changed.await.map_err(|_| Refused::Crowded)??;
        // Open pages of his are not to be held against what was known before.
        self.accounts().await;
        Ok(changed)
    }
}
