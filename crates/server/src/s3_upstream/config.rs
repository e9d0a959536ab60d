//! What a server is told about stores behind it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use irsa_core::AccountId;
use irsa_s3::is_valid_bucket_name;
use irsa_upstream::{Deadlines, Endpoint, Upstream};

use super::{Behind, Places};
use crate::gateway::UpstreamCredentials;

/// S3 stores that stand behind the server.
#[derive(Clone, Debug, Default)]
pub struct S3UpstreamConfig {
    /// The stores and where they are; empty: objects are kept here.
    pub upstreams: Vec<S3Upstream>,
    /// What requests to them are signed with.
    pub credentials: UpstreamCredentials,
    /// The region that they are signed for; `None`: the server's.
    pub region: Option<String>,
    /// Certificate authorities of the stores, in PEM, instead of this machine's.
    pub ca: Option<PathBuf>,
    /// Whether keys go on that stores may read in two ways: with empty segments, with `.` or `..` for one, with a backslash or with a zero.
    /// For S3 they are names like others; for a store that keeps objects in files they may be another object, or none of its own.
    pub literal_keys: bool,
    /// How long a copy or a completed upload may take before its answer is begun, so that the caller knows that it is under way; `None`:
    /// 20 seconds.
    pub patience: Option<Duration>,
}

/// One store: `[ACCOUNT/][BUCKET=]URL`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct S3Upstream {
    /// The account whose buckets it has; `None`: the server's first.
    pub account: Option<AccountId>,
    /// The bucket that is there; `None`: all that are named nowhere else.
    pub bucket: Option<String>,
    /// `http` or `https`, host and port.
    pub url: String,
}

/// Why stores can't stand behind the server.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum S3UpstreamError {
    /// A text of `--s3-upstream`.
    #[error(
        "`{0}` is no S3 store: write `URL`, `BUCKET=URL` or `ACCOUNT/BUCKET=URL`, with a URL such as `http://127.0.0.1:9000`"
    )]
    Upstream(String),
    /// A bucket name.
    #[error("`{0}` is no name of a bucket")]
    Bucket(String),
    /// A URL.
    #[error("{0}")]
    Url(String),
    /// The same bucket twice.
    #[error("the bucket `{0}` has two stores")]
    Twice(String),
    /// More than one store for all other buckets.
    #[error("two stores are for all buckets that are named nowhere else: only one can be")]
    TwoDefaults,
    /// The certificate authorities.
    #[error("{0}")]
    Ca(String),
}

impl FromStr for S3Upstream {
    type Err = S3UpstreamError;

    fn from_str(text: &str) -> Result<Self, S3UpstreamError> {
        let wrong = || S3UpstreamError::Upstream(text.to_owned());
        let (account, rest) = match text.split_once('/') {
            Some((number, rest)) if number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                (Some(number.parse().map_err(|_| wrong())?), rest)
            }
            _ => (None, text),
        };
        let (bucket, url) = match rest.split_once('=') {
            Some((bucket, url)) if !bucket.contains(':') => (Some(bucket), url),
            _ => (None, rest),
        };
        if let Some(bucket) = bucket
            && !is_valid_bucket_name(bucket)
        {
            return Err(S3UpstreamError::Bucket(bucket.to_owned()));
        }
        if !url.contains("://") {
            return Err(wrong());
        }
        url.parse::<Endpoint>()
            .map_err(|error| S3UpstreamError::Url(error.to_string()))?;
        Ok(Self {
            account,
            bucket: bucket.map(str::to_owned),
            url: url.to_owned(),
        })
    }
}

impl S3UpstreamConfig {
    /// The stores of a server whose first account is `account`.
    pub(crate) fn places(&self, account: AccountId) -> Result<Places, S3UpstreamError> {
        let source = self.credentials.source();
        let mut places = Places::default();
        // One a server, so that its connections are shared.
        let mut stores: HashMap<String, Arc<Upstream>> = HashMap::new();
        for of in &self.upstreams {
            let endpoint: Endpoint = of
                .url
                .parse()
                .map_err(|error| S3UpstreamError::Url(format!("{error}")))?;
            let name = endpoint.to_string();
            let upstream = match stores.get(&name) {
                Some(known) => Arc::clone(known),
                None => {
                    let made = Upstream::new(endpoint, source.clone(), self.ca.as_deref(), Deadlines::default());
                    let made = Arc::new(made.map_err(|error| S3UpstreamError::Ca(error.to_string()))?);
                    stores.insert(name, Arc::clone(&made));
                    made
                }
            };
            let behind = Arc::new(Behind {
                account: of.account.unwrap_or(account),
                upstream,
            });
            match &of.bucket {
                None if places.rest.is_some() => return Err(S3UpstreamError::TwoDefaults),
                None => places.rest = Some(behind),
                Some(bucket) => {
                    if places.named.insert(bucket.clone(), behind).is_some() {
                        return Err(S3UpstreamError::Twice(bucket.clone()));
                    }
                }
            }
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_written_in_one_way() {
        let of = |text: &str| text.parse::<S3Upstream>();
        let plain = of("http://127.0.0.1:9000").unwrap();
        assert_eq!(
            (plain.account, plain.bucket, plain.url.as_str()),
            (None, None, "http://127.0.0.1:9000")
        );
        let named = of("logs=https://ceph").unwrap();
        assert_eq!(
            (named.bucket.as_deref(), named.url.as_str()),
            (Some("logs"), "https://ceph")
        );
        let whole = of("111122223333/logs=http://[::1]:9000").unwrap();
        assert_eq!(whole.account, "111122223333".parse().ok());
        assert!(of("111122223333/http://x").unwrap().account.is_some());
        for text in [
            "",
            "ceph",
            "=http://x",
            "Logs=http://x",
            "a/b=http://x",
            "logs=x",
            "logs=http://x/path",
            "http://user:secret@x",
            "1/http://x",
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_can_not_be_is_told() {
        let of = |texts: &[&str]| {
            let config = S3UpstreamConfig {
                upstreams: texts.iter().map(|text| text.parse().unwrap()).collect(),
                ..S3UpstreamConfig::default()
            };
            config.places("111122223333".parse().unwrap()).map(|_| ())
        };
        assert_eq!(
            of(&["http://x", "logs=http://y", "444455556666/other=http://y"]),
            Ok(())
        );
        assert_eq!(of(&["http://x", "http://y"]), Err(S3UpstreamError::TwoDefaults));
        assert_eq!(
            of(&["a-b=http://x", "a-b=http://y"]),
            Err(S3UpstreamError::Twice("a-b".to_owned()))
        );
    }
}
