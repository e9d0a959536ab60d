//! Admission reviews: what an API server asks of a webhook, and what it is answered.
//!
//! Both versions, `admission.k8s.io/v1` and `v1beta1`, have the same shape here; whatever type information came goes back, since the API server
//! holds the answer to it. See <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use serde_json::{Map, Value, json};

/// What cannot be answered as a review at all.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReviewError {
    /// The content type is not exactly `application/json`.
    #[error("invalid Content-Type, expected `application/json`")]
    ContentType,
}

/// One review.
#[derive(Clone, Debug)]
pub struct Review {
    /// What goes back unread.
    envelope: Envelope,
    /// What is asked; `Err`: the message of the refusal that the request deserves.
    pub request: Result<Request, String>,
}

#[derive(Clone, Debug, Default)]
struct Envelope {
    kind: Option<Value>,
    api_version: Option<Value>,
    uid: String,
}

/// What a review asks.
#[derive(Clone, Debug)]
pub enum Request {
    /// A pod is to be created.
    Pod {
        /// Its namespace: the request's, else its own.
        namespace: String,
        /// The pod.
        pod: Value,
        /// Whether nothing must come of it but the answer.
        dry_run: bool,
    },
    /// Something else, which is none of our business and is let through: the reason.
    Other(&'static str),
}

/// The answer to one review.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Why it is refused; `None`: it is allowed.
    pub refused: Option<String>,
    /// What is added to the pod; an empty patch is none.
    pub patch: Patch,
    /// What the one who creates the pod is shown.
    pub warnings: Vec<String>,
    /// What the API server's audit log gets, under the webhook's name.
    pub audit_annotations: Vec<(&'static str, String)>,
}

impl Review {
    /// Reads a review.
    ///
    /// # Errors
    /// [`ReviewError::ContentType`].
    pub fn read(content_type: Option<&[u8]>, body: &[u8]) -> Result<Self, ReviewError> {
        if content_type != Some(b"application/json") {
            return Err(ReviewError::ContentType);
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::refused(Envelope::default(), "bad content"));
        }
        let mut document = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(document)) => document,
            Ok(_) => return Ok(Self::refused(Envelope::default(), "the body is no AdmissionReview")),
            Err(error) => {
                let message = format!("the body is no JSON: {error}");
                return Ok(Self::refused(Envelope::default(), &message));
            }
        };
        let mut envelope = Envelope {
            kind: document.remove("kind").filter(|kind| !kind.is_null()),
            api_version: document.remove("apiVersion").filter(|version| !version.is_null()),
            uid: String::new(),
        };
        let mut request = match document.remove("request") {
            Some(Value::Object(request)) => request,
            None | Some(Value::Null) => return Ok(Self::refused(envelope, "bad content")),
            Some(_) => return Ok(Self::refused(envelope, "`request` is not an object")),
        };
        if let Some(Value::String(uid)) = request.remove("uid") {
            envelope.uid = uid;
        }
        let request = read_request(&mut request);
        Ok(Self { envelope, request })
    }

    fn refused(envelope: Envelope, message: &str) -> Self {
        Self {
            envelope,
            request: Err(message.to_owned()),
        }
    }

    /// The review's unique id, which the answer repeats.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.envelope.uid
    }

    /// The answer as the API server reads it.
    #[must_use]
    pub fn answer(&self, answer: &Answer) -> String {
        let mut response = Map::new();
        response.insert("uid".into(), json!(self.envelope.uid));
        response.insert("allowed".into(), json!(answer.refused.is_none()));
        if let Some(message) = &answer.refused {
            response.insert("status".into(), json!({"metadata": {}, "message": message}));
        } else if !answer.patch.0.is_empty() {
            // Additions of strings and numbers: there is nothing that could not be written.
            let patch = serde_json::to_vec(&answer.patch).unwrap_or_default();
            response.insert("patch".into(), json!(STANDARD.encode(patch)));
            response.insert("patchType".into(), json!("JSONPatch"));
        }
        if !answer.audit_annotations.is_empty() {
            let annotations = answer.audit_annotations.iter();
            let annotations: Map<String, Value> = annotations
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            response.insert("auditAnnotations".into(), annotations.into());
        }
        if !answer.warnings.is_empty() {
            response.insert("warnings".into(), json!(answer.warnings));
        }
        let mut document = Map::new();
        for (name, value) in [
            ("kind", &self.envelope.kind),
            ("apiVersion", &self.envelope.api_version),
        ] {
            if let Some(value) = value {
                document.insert(name.into(), value.clone());
            }
        }
        document.insert("response".into(), response.into());
        Value::from(document).to_string()
    }
}

fn read_request(request: &mut Map<String, Value>) -> Result<Request, String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    // What a webhook's rules should have kept away is let through: refusing it could stop what has nothing to do with pods.
    if !matches!(text("operation").as_str(), "" | "CREATE") {
        return Ok(Request::Other("operation"));
    }
    if !text("subResource").is_empty() {
        return Ok(Request::Other("subresource"));
    }
    let kind = request.get("kind").and_then(|kind| kind.get("kind"));
    if kind.is_some_and(|kind| kind != "Pod") {
        return Ok(Request::Other("kind"));
    }
    let dry_run = request.get("dryRun") == Some(&Value::Bool(true));
    let namespace = text("namespace");
    let pod = match request.remove("object") {
        Some(pod @ Value::Object(_)) => pod,
        None | Some(Value::Null) => return Err("`request.object` is missing".to_owned()),
        Some(_) => return Err("`request.object` is not a pod".to_owned()),
    };
    let own = || {
        pod.pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let namespace = if namespace.is_empty() {
        own().to_owned()
    } else {
        namespace
    };
    Ok(Request::Pod {
        namespace,
        pod,
        dry_run,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JSON: Option<&[u8]> = Some(b"application/json");

    fn read(document: &Value) -> Review {
        Review::read(JSON, document.to_string().as_bytes()).unwrap()
    }

    fn asked(request: &Value) -> Review {
        read(&json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}))
    }

    fn other(review: &Review) -> Option<&'static str> {
        match review.request {
            Ok(Request::Other(reason)) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn type_information_and_uid_go_back() {
        let allowed = Answer::default();
        let review = asked(&json!({"uid": "u-1", "namespace": "app", "object": {"metadata": {"namespace": "own"}}}));
        assert_eq!(
            review.answer(&allowed),
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"u-1","allowed":true}}"#
        );
        let Ok(Request::Pod { namespace, dry_run, .. }) = review.request else {
            panic!("{review:?}");
        };
        assert_eq!((namespace.as_str(), dry_run), ("app", false));
        let bare =
            read(&json!({"request": {"uid": "u", "dryRun": true, "object": {"metadata": {"namespace": "own"}}}}));
        assert_eq!(bare.answer(&allowed), r#"{"response":{"uid":"u","allowed":true}}"#);
        let Ok(Request::Pod { namespace, dry_run, .. }) = bare.request else {
            panic!("{bare:?}");
        };
        assert_eq!((namespace.as_str(), dry_run), ("own", true));
    }

    #[test]
    fn a_patch_goes_with_its_type_and_a_refusal_with_its_reason() {
        let review = asked(&json!({"uid": "u", "object": {}}));
        let patch: Patch =
            serde_json::from_value(json!([{"op": "add", "path": "/spec/volumes", "value": []}])).unwrap();
        let answer = Answer {
            patch,
            warnings: vec!["look out".into()],
            audit_annotations: vec![("decision", "injected".into())],
            ..Answer::default()
        };
        let written: Value = serde_json::from_str(&review.answer(&answer)).unwrap();
        let response = &written["response"];
        assert_eq!(response["patchType"], "JSONPatch");
        let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        assert_eq!(patch, br#"[{"op":"add","path":"/spec/volumes","value":[]}]"#);
        assert_eq!(response["warnings"], json!(["look out"]));
        assert_eq!(response["auditAnnotations"], json!({"decision": "injected"}));
        let refused = Answer {
            refused: Some("no role".into()),
            ..answer
        };
        let written: Value = serde_json::from_str(&review.answer(&refused)).unwrap();
        assert_eq!(written["response"]["allowed"], false);
        assert_eq!(
            written["response"]["status"],
            json!({"metadata": {}, "message": "no role"})
        );
        assert_eq!(written["response"].get("patch"), None);
    }

    #[test]
    fn what_is_no_review_is_refused_and_what_is_no_pods_creation_let_through() {
        for content_type in [
            None,
            Some(&b"application/JSON"[..]),
            Some(b"application/json; charset=utf-8"),
        ] {
            assert_eq!(Review::read(content_type, b"{}").err(), Some(ReviewError::ContentType));
        }
        for (body, message) in [
            ("", "bad content"),
            (" \n", "bad content"),
            ("{}", "bad content"),
            ("{\"request\": null}", "bad content"),
            ("{\"request\": \"x\"}", "`request` is not an object"),
            ("[]", "the body is no AdmissionReview"),
            ("{\"request\": {}}", "`request.object` is missing"),
            ("{\"request\": {\"object\": null}}", "`request.object` is missing"),
            ("{\"request\": {\"object\": [1]}}", "`request.object` is not a pod"),
        ] {
            let review = Review::read(JSON, body.as_bytes()).unwrap();
            assert_eq!(review.request.unwrap_err(), message, "{body}");
        }
        for body in ["{", "{\"request\": ", "\u{feff}{}"] {
            let refused = Review::read(JSON, body.as_bytes()).unwrap().request.unwrap_err();
            assert!(refused.starts_with("the body is no JSON"), "{refused}");
        }
        for (request, reason) in [
            (json!({"operation": "UPDATE", "object": {}}), "operation"),
            (json!({"operation": "DELETE", "object": null}), "operation"),
            (
                json!({"operation": "CREATE", "subResource": "binding", "object": {}}),
                "subresource",
            ),
            (json!({"kind": {"kind": "Deployment"}, "object": {}}), "kind"),
        ] {
            assert_eq!(other(&asked(&request)), Some(reason), "{request}");
        }
    }

    #[test]
    fn deep_and_large_bodies_are_refused_in_bounds() {
        let deep = format!("{{\"request\": {}", "[".repeat(5_000_000));
        assert!(Review::read(JSON, deep.as_bytes()).unwrap().request.is_err());
        let many = format!(
            "{{\"request\": {{\"object\": {{\"a\": [{}1]}}}}}}",
            "1,".repeat(1_000_000)
        );
        assert!(Review::read(JSON, many.as_bytes()).unwrap().request.is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_answer(body: Vec<u8>) {
            let review = Review::read(JSON, &body).unwrap();
            let answer: Value = serde_json::from_str(&review.answer(&Answer::default())).unwrap();
            prop_assert!(answer["response"]["uid"].is_string());
        }
    }
}
