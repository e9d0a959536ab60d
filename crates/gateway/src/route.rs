//! Routes of REST services: `POST /2013-04-01/hostedzone/{Id}/rrset`.

use http::Method;

use crate::error::GatewayError;
use crate::form::decode;

/// A method and a path pattern, and query parameters that must be there.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    method: Method,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Segment {
    Literal(String),
    Label(String),
}

impl Route {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no route: write `METHOD /path/{{Label}}`");
        let (method, path) = text.split_once(' ').ok_or_else(wrong)?;
        let method: Method = method.parse().map_err(|_| wrong())?;
        let path = path.strip_prefix('/').ok_or_else(wrong)?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let label = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
            let name = label.unwrap_or(segment);
            if name.is_empty() || name.contains(['{', '}', '?', '%']) {
                return Err(wrong());
            }
            segments.push(match label {
                Some(name) => Segment::Label(name.to_owned()),
                None => Segment::Literal(name.to_owned()),
            });
        }
        Ok(Self { method, segments })
    }

    /// The labels' values if the request takes this route, and how many segments are literal.
    pub(crate) fn matches(&self, method: &Method, segments: &[String]) -> Option<(usize, Vec<(String, String)>)> {
        if self.method != *method || self.segments.len() != segments.len() {
            return None;
        }
        let mut labels = Vec::new();
        let mut literals = 0_usize;
        for (expected, found) in self.segments.iter().zip(segments) {
            match expected {
                Segment::Literal(text) if text == found => literals = literals.saturating_add(1),
                Segment::Literal(_) => return None,
                Segment::Label(name) => labels.push((name.clone(), found.clone())),
            }
        }
        Some((literals, labels))
    }

    /// Whether a value stands in the path under this name.
    pub(crate) fn has_label(&self, name: &str) -> bool {
        self.segments
            .iter()
            .any(|segment| matches!(segment, Segment::Label(label) if label == name))
    }

    /// Whether some request could take both routes equally well.
    pub(crate) fn clashes(&self, other: &Self) -> bool {
        self.method == other.method
            && self.segments.len() == other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|(one, two)| match (one, two) {
                    (Segment::Literal(one), Segment::Literal(two)) => one == two,
                    (Segment::Label(_), Segment::Label(_)) => true,
                    _ => false,
                })
    }
}

/// A path's segments, decoded. Whatever a second reader could read as another path is refused.
pub(crate) fn segments(path: &str) -> Result<Vec<String>, GatewayError> {
    let twofold = || GatewayError::Ambiguous("the path has empty, dot or escaped segments".to_owned());
    let path = path.strip_prefix('/').ok_or_else(twofold)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = Vec::new();
    for segment in path.split('/') {
        if segment.contains(['+', ';']) {
            return Err(twofold());
        }
        let decoded = decode(segment)?;
        let plain = decoded
            .chars()
            .all(|sign| !sign.is_control() && !"/\\%?#;".contains(sign));
        if !plain || matches!(decoded.as_str(), "" | "." | "..") {
            return Err(twofold());
        }
        segments.push(decoded);
    }
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_reading() {
        assert_eq!(segments("/a/b%2Dc/").unwrap(), ["a", "b-c"]);
        for path in [
            "",
            "a",
            "//",
            "/a//b",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a%2Fb",
            "/a%5Cb",
            "/a%252Fb",
            "/a;b",
            "/a/.",
            "/a%00",
            "/a%ff",
        ] {
            assert!(segments(path).is_err(), "{path}");
        }
    }

    #[test]
    fn routes() {
        let route = Route::parse("GET /v1/zones/{Id}/records/").unwrap();
        let of = |path: &str| route.matches(&Method::GET, &segments(path).unwrap());
        assert_eq!(
            of("/v1/zones/Z1/records").unwrap(),
            (3, vec![("Id".to_owned(), "Z1".to_owned())])
        );
        assert!(of("/v1/Zones/Z1/records").is_none());
        assert!(of("/v1/zones/Z1").is_none());
        for text in ["GET", "GET v1", "GET /", "GET /{}", "G T /a", "GET /a//b", "GET /a?b"] {
            assert!(Route::parse(text).is_err(), "{text}");
        }
    }
}
