/// An AWS service that the server speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Service {
    /// Identity and access management: Query protocol, 2010-05-08.
    Iam,
    /// Security token service: Query protocol, 2011-06-15.
    Sts,
    /// Kubernetes clusters: REST-JSON.
    Eks,
    /// Object storage: REST-XML.
    S3,
    /// Event history: JSON 1.1.
    CloudTrail,
    /// Our own administration calls: JSON.
    Irsa,
}

impl Service {
    /// The name in a SigV4 credential scope and before the colon of an action.
    #[must_use]
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::Eks => "eks",
            Self::S3 => "s3",
            Self::CloudTrail => "cloudtrail",
            Self::Irsa => "irsa",
        }
    }

    /// The service of a signing name.
    #[must_use]
    pub fn from_signing_name(name: &str) -> Option<Self> {
        [Self::Iam, Self::Sts, Self::Eks, Self::S3, Self::CloudTrail, Self::Irsa]
            .into_iter()
            .find(|service| service.signing_name() == name)
    }

    /// The `eventSource` of audit records.
    #[must_use]
    pub fn event_source(self) -> &'static str {
        match self {
            Self::Iam => "iam.amazonaws.com",
            Self::Sts => "sts.amazonaws.com",
            Self::Eks => "eks.amazonaws.com",
            Self::S3 => "s3.amazonaws.com",
            Self::CloudTrail => "cloudtrail.amazonaws.com",
            Self::Irsa => "irsa.dev",
        }
    }

    /// The XML namespace of the service's Query answers; empty for the others.
    #[must_use]
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Eks | Self::S3 | Self::CloudTrail | Self::Irsa => "",
        }
    }

    /// The API version of the service's Query protocol; empty for the others.
    #[must_use]
    pub fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
            Self::Eks | Self::S3 | Self::CloudTrail | Self::Irsa => "",
        }
    }
}

/// Who may make a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Unsigned; a signature that is there is not looked at. The operation itself checks what it was given.
    Anonymous,
    /// Signed, and allowed to whoever the signature belongs to (GetCallerIdentity).
    Authenticated,
    /// Signed, and allowed by policy.
    Authorized,
    /// Signed; the operation asks the policy engine itself, because the answer depends on more than one policy set
    /// (AssumeRole: trust policy and identity policy together).
    Delegated,
}

/// Where CloudTrail puts the record of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventKind {
    /// Control plane.
    Management,
    /// Data plane: objects.
    Data,
}

/// What the pipeline must know of an operation before it may run; no operation exists without it.
#[derive(Clone, Copy, Debug)]
pub struct OperationSpec {
    /// The service it belongs to.
    pub service: Service,
    /// Its name in the API and in audit records.
    pub name: &'static str,
    /// The IAM action that authorizes it, such as `iam:CreateRole`.
    pub action: &'static str,
    /// Who may call it.
    pub access: Access,
    /// CloudTrail's `readOnly`.
    pub read_only: bool,
    /// Management or data event.
    pub kind: EventKind,
}
