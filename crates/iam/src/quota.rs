/// How much an account may hold. The defaults are the greatest values that AWS grants on request.
///
/// See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
#[derive(Clone, Debug)]
pub struct Quotas {
    /// Roles an account.
    pub roles: usize,
    /// Customer managed policies an account.
    pub policies: usize,
    /// Users an account.
    pub users: usize,
    /// OIDC providers an account.
    pub providers: usize,
    /// Audiences a provider.
    pub client_ids: usize,
    /// Managed policies attached to one role or user.
    pub attached_policies: usize,
    /// Versions of a managed policy.
    pub policy_versions: usize,
    /// Access keys a user.
    pub access_keys: usize,
    /// Tags an entity.
    pub tags: usize,
    /// Characters of a managed policy, white space not counted.
    pub policy_size: usize,
    /// Characters of all inline policies of a role together, white space not counted.
    pub role_policies_size: usize,
    /// Characters of all inline policies of a user together, white space not counted.
    pub user_policies_size: usize,
    /// Characters of a trust policy, white space not counted.
    pub trust_policy_size: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            roles: 10_000,
            policies: 10_000,
            providers: 700,
            attached_policies: 25,
            trust_policy_size: 8192,
            ..Self::aws_default()
        }
    }
}

impl Quotas {
    /// What a new AWS account has: for tests of parity.
    #[must_use]
    pub fn aws_default() -> Self {
        Self {
            roles: 1000,
            policies: 1500,
            users: 5000,
            providers: 100,
            client_ids: 100,
            attached_policies: 10,
            policy_versions: 5,
            access_keys: 2,
            tags: 50,
            policy_size: 6144,
            role_policies_size: 10_240,
            user_policies_size: 2048,
            trust_policy_size: 2048,
        }
    }
}
