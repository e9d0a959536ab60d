//! The audit records of one S3 request: one for the operation, and for a multi-object delete one a key, as CloudTrail does.

use irsa_audit::ObjectWriter;
use irsa_core::{AccountId, partition_of_region};
use irsa_iam::Caller;
use irsa_s3::{Operation, S3Outcome, Target};
use irsa_sts::Resource;
use irsa_wire::{EventKind, Service, WireError};

use crate::pipeline::{Pipeline, RequestContext};
use crate::random::random;
use crate::recording::Recording;

/// What is known of an S3 request when its records are written.
pub(crate) struct S3Record<'a> {
    pub(crate) context: &'a RequestContext<'a>,
    pub(crate) outcome: &'a S3Outcome,
    pub(crate) caller: Option<&'a Caller>,
    /// The bucket's owner.
    pub(crate) account: Option<AccountId>,
    pub(crate) error: Option<&'a WireError>,
    pub(crate) allowed_by: Option<&'a str>,
    pub(crate) host_id: &'a str,
    /// Where the signature stood, as CloudTrail says it; `None`: there is none.
    pub(crate) method: Option<&'static str>,
    /// The header `x-amz-copy-source`.
    pub(crate) copy_source: Option<&'a str>,
}

/// What differs between the records of one request.
struct Part<'a> {
    event_name: &'a str,
    read_only: bool,
    kind: EventKind,
    key: Option<&'a str>,
    /// The version that the body names.
    version: Option<&'a str>,
    targets: &'a [&'a Target],
    /// Headers of the answer.
    elements: &'a [(&'static str, String)],
    error: Option<&'a WireError>,
    /// Where the id of the record comes from; no two records share it.
    seed: [u8; 16],
}

/// Whether a condition key is about something that the request says, and that is not in the record yet.
fn is_parameter(name: &str) -> bool {
    const OTHERS: [&str; 5] = [
        "ObjectCreationOperation",
        "ResourceAccount",
        "VersionId",
        "x-amz-content-sha256",
        "x-amz-copy-source",
    ];
    !OTHERS.contains(&name) && !name.starts_with("ExistingObjectTag/") && !name.starts_with("RequestObjectTag")
}

impl S3Record<'_> {
    /// Puts the records into the journal.
    pub(crate) async fn write(&self, pipeline: &Pipeline) -> Result<(), WireError> {
        let operation = self.outcome.operation;
        let is_data = operation.is_none_or(|operation| operation.data_event);
        let many = operation.is_some_and(|operation| operation.name == "DeleteObjects");
        let targets: Vec<&Target> = self.outcome.targets.iter().map(|(target, _)| target.as_ref()).collect();
        let whole = Part {
            event_name: operation.map_or("Unknown", |operation| operation.event_name),
            read_only: operation.is_none_or(|operation| operation.read_only),
            kind: if is_data {
                EventKind::Data
            } else {
                EventKind::Management
            },
            key: self.outcome.key.as_deref(),
            version: None,
            targets: if many { &[] } else { &targets },
            elements: &self.outcome.elements,
            error: self.error,
            seed: self.context.record_seed,
        };
        self.write_part(pipeline, &whole).await?;
        if many {
            for deleted in &self.outcome.keys {
                let failed = deleted.error.as_ref().map(|(code, message)| WireError {
                    code: code.clone().into(),
                    status: 400,
                    message: message.clone(),
                    reason: None,
                });
                let of_key: Vec<&Target> = targets
                    .iter()
                    .copied()
                    .filter(|target| target.key.as_ref() == Some(&deleted.key))
                    .filter(|target| target.version.is_none() || target.version == deleted.version)
                    .collect();
                let part = Part {
                    event_name: "DeleteObject",
                    read_only: false,
                    kind: EventKind::Data,
                    key: Some(&deleted.key),
                    version: deleted.version.as_deref(),
                    targets: &of_key,
                    elements: &deleted.elements,
                    error: failed.as_ref(),
                    seed: random(),
                };
                self.write_part(pipeline, &part).await?;
            }
        }
        Ok(())
    }

    async fn write_part(&self, pipeline: &Pipeline, part: &Part<'_>) -> Result<(), WireError> {
        let mut parameters = ObjectWriter::with_capacity(256);
        parameters
            .text_if("bucketName", self.outcome.bucket.as_deref())
            .text_if("Host", self.context.host)
            .text_if("key", part.key)
            .text_if("versionId", part.version)
            .text_if("x-amz-copy-source", self.copy_source);
        for (name, value) in &self.outcome.parameters {
            parameters.text(name, value);
        }
        // Which setting of a bucket it is about, as CloudTrail shows it: an empty parameter.
        if let Some(setting) = self.outcome.operation.and_then(Operation::setting) {
            parameters.text(setting, "");
        }
        let mut said: Vec<&str> = Vec::new();
        for (name, values) in part.targets.iter().flat_map(|target| &target.context) {
            let name = name.strip_prefix("s3:").unwrap_or(name);
            // Several questions may ask about one parameter.
            if is_parameter(name) && !said.contains(&name) {
                said.push(name);
                parameters.text(name, &values.join(","));
            }
        }
        let parameters = parameters.finish();
        let elements = (!part.elements.is_empty()).then(|| {
            let mut elements = ObjectWriter::with_capacity(128);
            for (name, value) in part.elements {
                elements.text(name, value);
            }
            elements.finish()
        });
        let resources = self.resources(part.targets, partition_of_region(&pipeline.config.region));
        let (bytes_in, bytes_out) = (self.outcome.bytes_in.to_string(), self.outcome.bytes_out.to_string());
        let host_id = format!("\"{}\"", self.host_id);
        let mut additional = Vec::with_capacity(6);
        let method = self.method.map(|method| format!("\"{method}\""));
        if let Some(method) = &method {
            additional.extend([
                ("SignatureVersion", "\"SigV4\""),
                ("AuthenticationMethod", method.as_str()),
            ]);
        }
        let suite = self
            .context
            .peer
            .tls
            .as_ref()
            .map(|tls| format!("\"{}\"", tls.cipher_suite));
        if let Some(suite) = &suite {
            additional.push(("CipherSuite", suite.as_str()));
        }
        additional.extend([
            ("bytesTransferredIn", bytes_in.as_str()),
            ("bytesTransferredOut", bytes_out.as_str()),
            ("x-amz-id-2", host_id.as_str()),
        ]);
        let actions: Vec<&str> = part.targets.iter().map(|target| target.action).collect();
        let recording = Recording {
            service: Service::S3,
            event_name: part.event_name,
            read_only: part.read_only,
            kind: part.kind,
            request_id: self.context.id,
            record_seed: part.seed,
            facts: &self.context.facts,
            peer: self.context.peer,
            host: self.context.host,
            caller: self.caller,
            unproven_key: None,
            web_identity: None,
            account: self.account,
            request_parameters: Some(&parameters),
            response_elements: elements.as_deref(),
            error: part.error,
            resources: &resources,
            additional: &additional,
            actions: &actions,
            allowed_by: self.allowed_by,
            unverified_claims: None,
        };
        pipeline.record(&recording.to_json()).await
    }

    /// The objects of the targets, their buckets, and the request's bucket.
    fn resources(&self, targets: &[&Target], partition: &str) -> Vec<Resource> {
        let Some(account) = self.account else { return Vec::new() };
        let mut resources: Vec<Resource> = Vec::new();
        let mut add = |account, kind, arn: String| {
            if resources.iter().all(|known| known.arn != arn) {
                resources.push(Resource { account, kind, arn });
            }
        };
        for target in targets.iter().filter(|target| target.key.is_some()) {
            let account = target.resource_account.unwrap_or(account);
            add(account, "AWS::S3::Object", target.resource_arn.clone());
        }
        if let Some(bucket) = &self.outcome.bucket {
            add(account, "AWS::S3::Bucket", format!("arn:{partition}:s3:::{bucket}"));
        }
        // What a copy reads may be another account's.
        for target in targets {
            if let (Some(bucket), Some(account)) = (&target.bucket, target.resource_account) {
                add(account, "AWS::S3::Bucket", format!("arn:{partition}:s3:::{bucket}"));
            }
        }
        resources
    }
}
