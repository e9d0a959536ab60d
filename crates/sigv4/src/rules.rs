use std::borrow::Cow;

/// What one service accepts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// The service that the scope must name, such as `sts`.
    pub service: Cow<'static, str>,
    /// The regions that the scope may name; `None` accepts any.
    pub regions: Option<Vec<String>>,
    /// How the path is written in the canonical request.
    pub path: PathStyle,
    /// What stands for the body in the canonical request.
    pub body: BodyRule,
    /// Whether presigned requests (signature in the query) are taken.
    pub presigned: bool,
    /// How far the request's date may lie from now, in seconds, either way.
    pub max_skew_seconds: i64,
    /// The longest life of a presigned request, in seconds; a longer `X-Amz-Expires` is cut to it.
    pub max_presigned_seconds: u32,
}

impl Rules {
    /// The rules of S3: any region, paths encoded once, bodies as declared, presigned requests up to a week.
    ///
    /// See <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
    #[must_use]
    pub fn s3() -> Self {
        Self {
            service: Cow::Borrowed("s3"),
            regions: None,
            path: PathStyle::Verbatim,
            body: BodyRule::Declared,
            presigned: true,
            max_skew_seconds: 15 * 60,
            max_presigned_seconds: crate::presented::MAX_EXPIRES_SECONDS,
        }
    }

    /// The rules of every other service (`sts`, `iam`, `eks`…): any region, normalised paths, the body hashed as a
    /// whole. Presigned requests live as long as any other, 15 minutes, whatever they ask for.
    #[must_use]
    pub fn service(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            service: name.into(),
            regions: None,
            path: PathStyle::Normalised,
            body: BodyRule::Hashed,
            presigned: true,
            max_skew_seconds: 15 * 60,
            max_presigned_seconds: 15 * 60,
        }
    }

    /// The same rules for `regions` only.
    #[must_use]
    pub fn in_regions(self, regions: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            regions: Some(regions.into_iter().map(Into::into).collect()),
            ..self
        }
    }
}

/// How a path is written in the canonical request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathStyle {
    /// S3: an object key is what it is. The path is decoded and encoded once; dots and empty segments stay, and an encoded slash is a slash,
    /// as it is in the key.
    Verbatim,
    /// All other services: dot segments and repeated slashes are removed (RFC 3986, 5.2.4), and what was sent is
    /// encoded a second time.
    Normalised,
}

/// What stands for the body in the canonical request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyRule {
    /// The hash of the whole body, which the caller gives; a declared hash must be the same, and nothing else is taken.
    Hashed,
    /// What `x-amz-content-sha256` declares: S3. It is required in the header form; a presigned request without it has
    /// an unsigned payload. A declared hash is compared with the body's if the caller gives that; otherwise the caller
    /// compares when the body has been read.
    Declared,
}
