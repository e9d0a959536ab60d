use irsa_core::AccountId;

use crate::{Client, ClientError, QueryService, Session};

/// STS, as a session sees it.
#[derive(Clone, Debug)]
pub struct Sts {
    pub(crate) client: Client,
    pub(crate) session: Session,
}

/// Whose credentials are used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallerIdentity {
    /// The account.
    pub account: AccountId,
    /// The ARN of the user, or of the role's session.
    pub arn: String,
    /// The unique id.
    pub user_id: String,
}

impl Sts {
    /// `GetCallerIdentity`, which needs no permission. From then on, errors of the session's calls name the account.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn caller_identity(&self) -> Result<CallerIdentity, ClientError> {
        let params: [(&str, &str); 0] = [];
        let answer = self
            .client
            .query_about(None, QueryService::Sts, "GetCallerIdentity", &params)
            .await?;
        let text = |name: &str| {
            answer
                .text_at(&format!("GetCallerIdentityResult/{name}"))
                .ok_or_else(|| self.client.unreadable(format!("it has no `{name}`")))
        };
        let account: AccountId = text("Account")?
            .parse()
            .map_err(|error| self.client.unreadable(format!("{error}")))?;
        let identity = CallerIdentity {
            account,
            arn: text("Arn")?.to_owned(),
            user_id: text("UserId")?.to_owned(),
        };
        self.session.set_account(account);
        Ok(identity)
    }
}
