use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The headers that tell an upstream who called. Proxies must let none of a client's own through.
pub const IDENTITY: [&str; 7] = [
    "x-irsa-account",
    "x-irsa-body",
    "x-irsa-pod",
    "x-irsa-principal-arn",
    "x-irsa-request-id",
    "x-irsa-role-session-name",
    "x-irsa-subject",
];

/// The headers of a caller that an upstream does not need once a request is decided, and could misuse.
pub const CREDENTIALS: [&str; 2] = ["authorization", "x-amz-security-token"];

/// Headers by which some servers take a request for another than the one that its head says: another host, another path. Proxies hand on
/// none that a client sends.
pub const MISLEADING: [&str; 12] = [
    "forwarded",
    "x-envoy-original-path",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-host",
    "x-http-host-override",
    "x-http-method-override",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// The longest document that an HTTP answer carries in a header: nginx reads an answer's whole head into one buffer.
const MAX_DOCUMENT: usize = 8 * 1024;
/// The longest message in a header.
const MAX_MESSAGE: usize = 1024;

/// What is known about the body of a request that is allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyCheck {
    /// It was here, and is the one that was signed; or there is none.
    Verified,
    /// Its hash is signed, but it was not here: whoever reads it must compare it with `x-amz-content-sha256`.
    Declared,
    /// It comes in chunks, signed or with a checksum, and was not here: whoever reads it must check them.
    Streaming,
    /// The caller did not sign it.
    Unsigned,
}

impl BodyCheck {
    /// The word in the header `x-irsa-body`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Declared => "declared",
            Self::Streaming => "streaming",
            Self::Unsigned => "unsigned",
        }
    }
}

/// An allowed request: who makes it.
#[derive(Clone, Debug)]
pub struct Permission {
    /// The id of the decision, which its audit record has too.
    pub request_id: String,
    /// The caller's ARN; `None`: a caller without a name, whom a resource policy admits.
    pub principal_arn: Option<String>,
    /// The caller's account.
    pub account: Option<String>,
    /// The role session's name.
    pub role_session_name: Option<String>,
    /// The subject of the token that the session was taken with, such as `system:serviceaccount:shop:reader`.
    pub subject: Option<String>,
    /// The pod, as `namespace/name`, where the token said it.
    pub pod: Option<String>,
    /// What is known about the body.
    pub body: BodyCheck,
}

impl Permission {
    /// The headers for the upstream. What a header can't carry as it is has none: an altered name would be another's.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, HeaderValue)> {
        let values = [
            ("x-irsa-account", self.account.as_deref()),
            ("x-irsa-body", Some(self.body.as_str())),
            ("x-irsa-pod", self.pod.as_deref()),
            ("x-irsa-principal-arn", self.principal_arn.as_deref()),
            ("x-irsa-request-id", Some(self.request_id.as_str())),
            ("x-irsa-role-session-name", self.role_session_name.as_deref()),
            ("x-irsa-subject", self.subject.as_deref()),
        ];
        values
            .into_iter()
            .filter_map(|(name, value)| Some((name, plain(value?)?)))
            .collect()
    }
}

/// A value that every proxy and server reads alike: visible ASCII, with single spaces inside at most.
fn plain(value: &str) -> Option<HeaderValue> {
    let is_plain = !value.is_empty()
        && value.len() <= 2048
        && value.trim() == value
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain.then(|| HeaderValue::from_str(value).ok()).flatten()
}

/// A refused request, in the words of the service that it was for.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status that the service would answer with.
    pub status: StatusCode,
    /// The service's error code.
    pub code: String,
    /// The service's message.
    pub message: String,
    /// Headers of the service's answer: its content type, its ids.
    pub headers: HeaderMap,
    /// The service's error document.
    pub document: String,
    /// Whether nobody is known to have called: a missing or wrong signature.
    pub is_unauthenticated: bool,
    /// The id of the decision.
    pub request_id: String,
}

impl Refusal {
    /// The status for proxies that know only two kinds of refusals, and take everything else for a broken authorizer: so a failure of our own
    /// stays one, and all else is 401 or 403.
    pub(crate) fn subrequest_status(&self) -> StatusCode {
        match self.status {
            status if status.is_server_error() => status,
            _ if self.is_unauthenticated => StatusCode::UNAUTHORIZED,
            _ => StatusCode::FORBIDDEN,
        }
    }

    /// Code, message and document as headers, for proxies that drop the body of an authorizer's answer.
    pub(crate) fn headers(&self) -> Vec<(&'static str, HeaderValue)> {
        let content_type = self.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let document = if content_type.contains("json") {
            one_line(&self.document, |sign, text| {
                let mut units = [0; 2];
                for unit in sign.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            })
        } else {
            // Line breaks between elements mean nothing; those in values are escaped already.
            one_line(&self.document.replace(['\n', '\r'], ""), |sign, text| {
                text.push_str(&format!("&#x{:X};", u32::from(sign)));
            })
        };
        let message: String = self
            .message
            .chars()
            .map(|sign| if matches!(sign, ' '..='~') { sign } else { '?' })
            .take(MAX_MESSAGE)
            .collect();
        let status = self.status.as_u16().to_string();
        let values = [
            ("x-irsa-error-code", Some(self.code.as_str())),
            (
                "x-irsa-error-document",
                Some(document.as_str()).filter(|text| text.len() <= MAX_DOCUMENT),
            ),
            ("x-irsa-error-message", Some(message.trim())),
            ("x-irsa-error-status", Some(status.as_str())),
            ("x-irsa-error-type", Some(content_type)),
            ("x-irsa-request-id", Some(self.request_id.as_str())),
        ];
        values
            .into_iter()
            .filter_map(|(name, value)| {
                let value = HeaderValue::from_str(value?).ok()?;
                (!value.is_empty()).then_some((name, value))
            })
            .collect()
    }
}

/// A text of ASCII signs on one line; `escape` writes the others.
fn one_line(text: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut line = String::with_capacity(text.len());
    for sign in text.chars() {
        if matches!(sign, ' '..='~') {
            line.push(sign);
        } else {
            escape(sign, &mut line);
        }
    }
    line
}

/// Whether a header of a client looks like one of ours.
pub(crate) fn is_ours(name: &str) -> bool {
    name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("x-irsa-"))
}

/// Whether a header is one that answers to callers carry.
pub(crate) fn is_of_answer(name: &HeaderName) -> bool {
    *name == header::CONTENT_TYPE || name.as_str().starts_with("x-am") || is_ours(name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission() -> Permission {
        Permission {
            request_id: "R1".to_owned(),
            principal_arn: Some("arn:aws:sts::111122223333:assumed-role/app/a".to_owned()),
            account: Some("111122223333".to_owned()),
            role_session_name: None,
            subject: Some("a\r\nx-irsa-account: 1".to_owned()),
            pod: Some("é".to_owned()),
            body: BodyCheck::Declared,
        }
    }

    #[test]
    fn a_name_that_no_header_carries_is_left_out() {
        let headers = permission().headers();
        let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "x-irsa-account",
                "x-irsa-body",
                "x-irsa-principal-arn",
                "x-irsa-request-id"
            ]
        );
        assert!(headers.iter().all(|(name, _)| IDENTITY.contains(name)));
        assert_eq!(plain(" a"), None);
        assert_eq!(plain(""), None);
        assert_eq!(plain("a\x7f"), None);
        assert!(plain("a b").is_some());
    }

    #[test]
    fn the_documented_proxies_take_away_what_misleads() {
        let nginx = include_str!("../../../docs/authorizer/nginx.conf").to_ascii_lowercase();
        let envoy = include_str!("../../../docs/authorizer/envoy.yaml");
        for name in MISLEADING {
            let line = format!("proxy_set_header {name} \"\";");
            assert_eq!(nginx.matches(&line).count(), 1, "{line}");
            let line = format!("- {name}\n");
            assert_eq!(envoy.matches(&line).count(), 1, "{line}");
        }
    }

    fn refusal(content_type: &'static str, document: &str) -> Refusal {
        Refusal {
            status: StatusCode::BAD_REQUEST,
            code: "InvalidToken".to_owned(),
            message: "Line\r\nX: y é".to_owned(),
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))]),
            document: document.to_owned(),
            is_unauthenticated: true,
            request_id: "R1".to_owned(),
        }
    }

    fn header_of(refusal: &Refusal, wanted: &str) -> String {
        let headers = refusal.headers();
        let found = headers.iter().find(|(name, _)| *name == wanted);
        found.map_or_else(String::new, |(_, value)| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn documents_fit_into_a_line() {
        let xml = refusal(
            "application/xml",
            "<?xml version=\"1.0\"?>\n<Error><Key>é&#xA;\u{1F600}</Key></Error>",
        );
        assert_eq!(
            header_of(&xml, "x-irsa-error-document"),
            "<?xml version=\"1.0\"?><Error><Key>&#xE9;&#xA;&#x1F600;</Key></Error>"
        );
        let json = refusal("application/x-amz-json-1.0", "{\"message\":\"é\u{1F600}\"}");
        assert_eq!(
            header_of(&json, "x-irsa-error-document"),
            "{\"message\":\"\\u00e9\\ud83d\\ude00\"}"
        );
        assert_eq!(header_of(&json, "x-irsa-error-message"), "Line??X: y ?");
        assert_eq!(header_of(&json, "x-irsa-error-status"), "400");
        let long = refusal("application/xml", &"a".repeat(MAX_DOCUMENT + 1));
        assert_eq!(header_of(&long, "x-irsa-error-document"), "");
        assert_eq!(header_of(&long, "x-irsa-error-code"), "InvalidToken");
    }

    #[test]
    fn proxies_with_two_words_for_no() {
        let mut refusal = refusal("application/xml", "");
        assert_eq!(refusal.subrequest_status(), StatusCode::UNAUTHORIZED);
        refusal.is_unauthenticated = false;
        assert_eq!(refusal.subrequest_status(), StatusCode::FORBIDDEN);
        refusal.status = StatusCode::NOT_FOUND;
        assert_eq!(refusal.subrequest_status(), StatusCode::FORBIDDEN);
        refusal.status = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(refusal.subrequest_status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
