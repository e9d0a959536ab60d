use super::{Facts, Slot};

/// Types of what the parameters of a service's calls name.
const NAMED: [(&str, Slot, &str); 10] = [
    ("iam.amazonaws.com", Slot::ParameterRoleName, "AWS::IAM::Role"),
    ("iam.amazonaws.com", Slot::ParameterUserName, "AWS::IAM::User"),
    ("iam.amazonaws.com", Slot::ParameterPolicyArn, "AWS::IAM::Policy"),
    ("iam.amazonaws.com", Slot::ParameterAccessKeyId, "AWS::IAM::AccessKey"),
    (
        "iam.amazonaws.com",
        Slot::ParameterProviderArn,
        "AWS::IAM::OIDCProvider",
    ),
    ("eks.amazonaws.com", Slot::ParameterName, "AWS::EKS::Cluster"),
    ("eks.amazonaws.com", Slot::ParameterClusterName, "AWS::EKS::Cluster"),
    ("sts.amazonaws.com", Slot::Issued, "AWS::IAM::AccessKey"),
    ("sts.amazonaws.com", Slot::AssumedRoleId, "AWS::STS::AssumedRole"),
    ("sts.amazonaws.com", Slot::AssumedRoleArn, "AWS::STS::AssumedRole"),
];

impl Facts<'_> {
    /// The resources of the event by type and name. One may come more than once.
    pub(super) fn named_resources(&self, mut each: impl FnMut(&str, &str)) {
        let source = self.text(Slot::EventSource).unwrap_or_default();
        for (service, slot, kind) in NAMED {
            if let Some(name) = self.text(slot).filter(|_| service == source) {
                each(kind, name);
            }
        }
        for listed in &self.resources {
            if let (Some(kind), Some(arn)) = (&listed.kind, &listed.arn) {
                // CloudTrail lists a bucket by its name.
                let name = arn.strip_prefix("arn:aws:s3:::").filter(|_| kind == "AWS::S3::Bucket");
                each(kind, name.unwrap_or(arn));
            }
        }
    }
}
