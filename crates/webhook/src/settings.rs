use crate::EnvFrom;

/// What an operator chooses for all mutations; the defaults are those of the reference webhook's flags.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The part before the slash of every annotation that is read, on service accounts and on pods.
    pub annotation_prefix: String,
    /// The token's audience where the service account names none.
    pub token_audience: String,
    /// Where the token volume is mounted. The mount says it as it is written here; variables hold the cleaned form.
    pub token_mount_path: String,
    /// The token's life in seconds where neither pod nor service account name one; below 600 means 600.
    pub token_expiration_seconds: i64,
    /// The longest token life in seconds that an annotation can ask for. The default is the Kubernetes API's own limit
    /// for projected tokens, 2^32: above it the API server refuses the pod.
    pub max_token_expiration_seconds: i64,
    /// The region to inject as `AWS_DEFAULT_REGION` and `AWS_REGION`; none or empty injects neither.
    pub default_region: Option<String>,
    /// Whether `AWS_STS_REGIONAL_ENDPOINTS=regional` is injected where the service account does not say.
    pub regional_sts: bool,
    /// `arn:aws:iam::111122223333:role/`, to put before a `role-arn` annotation that holds only a name or path.
    pub role_arn_prefix: Option<String>,
    /// What happens to a role ARN that is not one.
    pub role_arn_check: RoleArnCheck,
    /// How a Windows pod is recognised.
    pub windows_detection: WindowsDetection,
    /// Whether the lists of containers to skip and to include may also stand on the service account; the reference webhook reads them on pods
    /// alone.
    pub account_lists: bool,
    /// Whether a role's session gets the pod's name, for whoever reads the audit log later.
    pub session_name: SessionName,
    /// Which `envFrom` of containers are respected.
    pub env_from: EnvFrom,
    /// What EKS Pod Identity injects.
    pub container_credentials: ContainerCredentials,
}

impl Settings {
    /// The shortest token life in seconds that the Kubernetes API accepts.
    pub const MIN_TOKEN_EXPIRATION_SECONDS: i64 = 600;

    pub(crate) fn region(&self) -> Option<&str> {
        self.default_region.as_deref().filter(|region| !region.is_empty())
    }

    /// The nearest allowed token life. A maximum below the API's minimum counts as the minimum.
    pub(crate) fn clamp_expiration(&self, seconds: i64) -> i64 {
        seconds
            .min(self.max_token_expiration_seconds)
            .max(Self::MIN_TOKEN_EXPIRATION_SECONDS)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            annotation_prefix: "eks.amazonaws.com".into(),
            token_audience: "sts.amazonaws.com".into(),
            token_mount_path: "/var/run/secrets/eks.amazonaws.com/serviceaccount".into(),
            token_expiration_seconds: 86_400,
            max_token_expiration_seconds: 1 << 32,
            default_region: None,
            regional_sts: false,
            role_arn_prefix: None,
            role_arn_check: RoleArnCheck::Warn,
            windows_detection: WindowsDetection::NodeSelector,
            account_lists: false,
            session_name: SessionName::Sdk,
            env_from: EnvFrom::Ignore,
            container_credentials: ContainerCredentials::default(),
        }
    }
}

/// The token and the endpoint of EKS Pod Identity: <https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html>.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContainerCredentials {
    /// The token's audience.
    pub audience: String,
    /// Where the token volume is mounted.
    pub token_mount_path: String,
    /// The volume's name.
    pub token_volume_name: String,
    /// The token's file name inside of the volume.
    pub token_path: String,
    /// Where SDKs get credentials.
    pub full_uri: String,
}

impl Default for ContainerCredentials {
    fn default() -> Self {
        Self {
            audience: "pods.eks.amazonaws.com".into(),
            token_mount_path: "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount".into(),
            token_volume_name: "eks-pod-identity-token".into(),
            token_path: "eks-pod-identity-token".into(),
            full_uri: "http://169.254.170.23/v1/credentials".into(),
        }
    }
}

/// Who names a role's session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionName {
    /// The SDK makes a name up, as with the reference webhook.
    Sdk,
    /// `AWS_ROLE_SESSION_NAME` is the pod's name.
    Pod,
}

/// What happens to a pod whose service account's role ARN is malformed, or of another partition than the region's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RoleArnCheck {
    /// Inject it as it is and warn, as the reference webhook does.
    Warn,
    /// Inject nothing and warn.
    Refuse,
}

/// How a pod shows that it runs on Windows, where file names look different.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WindowsDetection {
    /// By its node selector alone, as the reference webhook does.
    NodeSelector,
    /// Also by `spec.os.name` and by a required node affinity that leaves only Windows nodes.
    Declared,
}
