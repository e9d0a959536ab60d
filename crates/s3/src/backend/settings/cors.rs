//! Which pages of other origins may use a bucket.

use s3s::dto::{
    CORSRule, DeleteBucketCorsInput, DeleteBucketCorsOutput, GetBucketCorsInput, GetBucketCorsOutput,
    PutBucketCorsInput, PutBucketCorsOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use super::{Backend, answer, malformed, not_set};
use crate::access::error;
use crate::bucket::CorsRule;

const MAX_RULES: usize = 100;
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

impl Backend {
    pub(in crate::backend) async fn get_bucket_cors(
        &self,
        request: &S3Request<GetBucketCorsInput>,
    ) -> S3Result<S3Response<GetBucketCorsOutput>> {
        let record = self.decided(request)?;
        let rules = &record.settings.cors;
        if rules.is_empty() {
            return Err(not_set(
                "NoSuchCORSConfiguration",
                "The CORS configuration does not exist",
            ));
        }
        let some = |texts: &Vec<String>| (!texts.is_empty()).then(|| texts.clone());
        answer(GetBucketCorsOutput {
            cors_rules: Some(
                rules
                    .iter()
                    .map(|rule| CORSRule {
                        allowed_headers: some(&rule.allowed_headers),
                        allowed_methods: rule.allowed_methods.clone(),
                        allowed_origins: rule.allowed_origins.clone(),
                        expose_headers: some(&rule.expose_headers),
                        id: rule.id.clone(),
                        max_age_seconds: rule.max_age_seconds,
                    })
                    .collect(),
            ),
        })
    }

    pub(in crate::backend) async fn put_bucket_cors(
        &self,
        request: &S3Request<PutBucketCorsInput>,
    ) -> S3Result<S3Response<PutBucketCorsOutput>> {
        self.decided(request)?;
        let rules = &request.input.cors_configuration.cors_rules;
        if rules.is_empty() {
            return Err(malformed());
        }
        if rules.len() > MAX_RULES {
            return Err(error(
                "InvalidRequest",
                "The number of CORS rules should not exceed allowed limit of 100 rules.",
            ));
        }
        let rules = rules.iter().map(read).collect::<S3Result<Vec<_>>>()?;
        self.change(request, |settings| {
            settings.cors.clone_from(&rules);
            Ok(())
        })
        .await?;
        answer(PutBucketCorsOutput {})
    }

    pub(in crate::backend) async fn delete_bucket_cors(
        &self,
        request: &S3Request<DeleteBucketCorsInput>,
    ) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
        self.change(request, |settings| {
            settings.cors.clear();
            Ok(())
        })
        .await?;
        answer(DeleteBucketCorsOutput {})
    }
}

fn read(given: &CORSRule) -> S3Result<CorsRule> {
    let invalid = |message: String| error("InvalidRequest", message);
    if given.allowed_methods.is_empty() || given.allowed_origins.is_empty() {
        return Err(malformed());
    }
    if let Some(method) = given
        .allowed_methods
        .iter()
        .find(|method| !METHODS.contains(&method.as_str()))
    {
        return Err(invalid(format!(
            "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
        )));
    }
    let rule = CorsRule {
        id: given.id.clone(),
        allowed_headers: given.allowed_headers.clone().unwrap_or_default(),
        allowed_methods: given.allowed_methods.clone(),
        allowed_origins: given.allowed_origins.clone(),
        expose_headers: given.expose_headers.clone().unwrap_or_default(),
        max_age_seconds: given.max_age_seconds,
    };
    for (name, patterns) in [
        ("AllowedOrigin", &rule.allowed_origins),
        ("AllowedHeader", &rule.allowed_headers),
    ] {
        if let Some(pattern) = patterns.iter().find(|pattern| pattern.matches('*').count() > 1) {
            return Err(invalid(format!(
                "{name} \"{pattern}\" can not have more than one wildcard."
            )));
        }
    }
    if let Some(header) = rule.expose_headers.iter().find(|header| header.contains('*')) {
        return Err(invalid(format!(
            "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
        )));
    }
    // They go into headers of answers.
    let is_token = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if !rule.expose_headers.iter().all(is_token) {
        return Err(malformed());
    }
    if rule.max_age_seconds.is_some_and(|seconds| seconds < 0)
        || rule.id.as_ref().is_some_and(|id| id.chars().count() > 255)
    {
        return Err(malformed());
    }
    Ok(rule)
}
