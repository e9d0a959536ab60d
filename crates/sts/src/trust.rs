//! Whether a role trusts a web identity: the condition keys of the exchange, and the question to the role's trust policy.

use irsa_iam::{Provider, RequestFacts, Role};
use irsa_policy::{Context, Decision, Layers, Principal, Request};
use irsa_token::Claims;

use crate::error::StsError;
use crate::session_tags::SessionTags;

/// What an exchange asks for, as far as trust policies may speak about it.
pub(crate) struct WebIdentity<'a> {
    /// The provider in the role's account whose keys verified the token.
    pub(crate) provider: &'a Provider,
    /// What the verified token says.
    pub(crate) claims: &'a Claims,
    /// The accepted audience.
    pub(crate) client_id: &'a str,
    pub(crate) session_name: &'a str,
    pub(crate) tags: &'a SessionTags,
    pub(crate) source_identity: Option<&'a str>,
    /// Whether the token's roles claim names the role.
    pub(crate) authorized_by_issuer: bool,
}

impl WebIdentity<'_> {
    /// The condition keys, all but those of the role's own tags.
    ///
    /// Claims of an issuer of one's own are keys only as far as AWS knows them: `aud`, `oaud`, `sub`, `amr`, `email`.
    pub(crate) fn context(&self, facts: &RequestFacts<'_>) -> Context {
        let mut context = Context::new();
        let issuer = self.provider.record.url.as_str();
        let account = self.provider.account.to_string();
        context.set(&format!("{issuer}:aud"), self.client_id);
        match self.claims.audience.as_deref() {
            Some([only]) => context.set(&format!("{issuer}:oaud"), only.as_str()),
            Some(many) if !many.is_empty() => context.set_list(&format!("{issuer}:oaud"), many.to_vec()),
            _ => {}
        }
        if let Some(subject) = &self.claims.subject {
            context.set(&format!("{issuer}:sub"), subject.as_str());
        }
        if !self.claims.amr.is_empty() {
            context.set_list(&format!("{issuer}:amr"), self.claims.amr.clone());
        }
        if let Some(email) = &self.claims.email {
            context.set(&format!("{issuer}:email"), email.as_str());
        }
        context.set("aws:PrincipalType", "User");
        context.set("aws:userid", self.provider.arn.as_str());
        context.set("aws:SourceIp", facts.source_ip.to_string());
        context.set("aws:SecureTransport", truth(facts.secure_transport));
        context.set("aws:CurrentTime", facts.now.iso8601());
        context.set("aws:EpochTime", facts.now.unix_seconds().to_string());
        context.set("aws:RequestedRegion", facts.region);
        context.set("aws:PrincipalAccount", account.as_str());
        context.set("aws:ResourceAccount", account);
        context.set("aws:ViaAWSService", "false");
        if !facts.user_agent.is_empty() {
            context.set("aws:UserAgent", facts.user_agent);
        }
        if let Some(referer) = facts.referer {
            context.set("aws:referer", referer);
        }
        context.set("sts:RoleSessionName", self.session_name);
        context.set("sts:RoleAuthorizedByIdp", truth(self.authorized_by_issuer));
        if let Some(identity) = self.source_identity {
            context.set("sts:SourceIdentity", identity);
        }
        for (key, value) in &self.tags.tags {
            context.set(&format!("aws:RequestTag/{key}"), value.as_str());
        }
        if !self.tags.tags.is_empty() {
            let keys: Vec<&str> = self.tags.tags.iter().map(|(key, _)| key.as_str()).collect();
            context.set_list("aws:TagKeys", keys);
        }
        if !self.tags.transitive_keys.is_empty() {
            context.set_list("sts:TransitiveTagKeys", self.tags.transitive_keys.clone());
        }
        context
    }

    /// Asks the trust policy for the exchange itself, and for tags and a source identity if the token brings them.
    ///
    /// # Errors
    /// [`StsError::WebIdentityDenied`] with the reason for operators.
    pub(crate) fn check_trust(&self, role: &Role, mut context: Context) -> Result<(), StsError> {
        for tag in &role.record.tags {
            context.set(&format!("aws:ResourceTag/{}", tag.key), tag.value.as_str());
            context.set(&format!("iam:ResourceTag/{}", tag.key), tag.value.as_str());
        }
        let tags = (!self.tags.is_empty()).then_some("sts:TagSession");
        let source_identity = self.source_identity.map(|_| "sts:SetSourceIdentity");
        let actions = std::iter::once("sts:AssumeRoleWithWebIdentity")
            .chain(tags)
            .chain(source_identity);
        let layers = Layers {
            resource: Some(&role.trust),
            ..Layers::default()
        };
        for action in actions {
            let request = Request {
                principal: Principal::WebIdentity {
                    provider: &self.provider.arn,
                },
                action,
                resource: &role.arn,
                resource_account: Some(role.account),
                context: &context,
            };
            if irsa_policy::decide(&layers, &request).decision != Decision::Allowed {
                let explanation = irsa_policy::explain(&layers, &request);
                return Err(StsError::WebIdentityDenied(explanation.to_string()));
            }
        }
        Ok(())
    }
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}
