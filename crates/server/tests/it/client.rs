//! An HTTP/1.1 client that sends what it is told, well-formed or not, and an AWS signer that signs what it is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{digest, hmac};
use irsa_core::Timestamp;

/// How long a test waits for an answer before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// An access key, temporary ones with their token.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

/// A request before it is written.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// As it stands in the request line.
    pub(crate) path: String,
    /// Without the question mark.
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// How a request is signed; everything that a forger would turn is a field.
#[derive(Clone)]
pub(crate) struct Signing<'a> {
    pub(crate) key: &'a Key,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    /// `X-Amz-Date`.
    pub(crate) date: String,
    /// The day of the scope, if it is not that of the date.
    pub(crate) scope_day: Option<String>,
    /// `x-amz-content-sha256`, if it is not the body's hash.
    pub(crate) payload: Option<String>,
    /// Header names that are sent but not signed.
    pub(crate) unsigned: Vec<&'a str>,
}

impl<'a> Signing<'a> {
    pub(crate) fn new(key: &'a Key, service: &'a str) -> Self {
        Self {
            key,
            service,
            region: "us-east-1",
            date: Timestamp::from(SystemTime::now()).basic(),
            scope_day: None,
            payload: None,
            unsigned: Vec::new(),
        }
    }

    /// The same, `seconds` later; a negative number makes it older.
    pub(crate) fn at(self, seconds: i64) -> Self {
        let date = Timestamp::from(SystemTime::now()).plus_seconds(seconds).basic();
        Self { date, ..self }
    }

    pub(crate) fn region(self, region: &'a str) -> Self {
        Self { region, ..self }
    }

    pub(crate) fn payload(self, payload: &str) -> Self {
        Self {
            payload: Some(payload.to_owned()),
            ..self
        }
    }

    pub(crate) fn scope(&self) -> String {
        let day = self.scope_day.as_deref().unwrap_or(&self.date[..8]);
        format!("{day}/{}/{}/aws4_request", self.region, self.service)
    }

    /// The key that signs this scope.
    pub(crate) fn signing_key(&self) -> Vec<u8> {
        let day = self.scope_day.as_deref().unwrap_or(&self.date[..8]);
        let mut key = format!("AWS4{}", self.key.secret).into_bytes();
        for part in [day, self.region, self.service, "aws4_request"] {
            key = mac(&key, part.as_bytes());
        }
        key
    }

    /// Signs a canonical request, whatever it says.
    pub(crate) fn signature(&self, canonical: &str) -> String {
        let text = format!(
            "AWS4-HMAC-SHA256\n{}\n{}\n{}",
            self.date,
            self.scope(),
            sha256(canonical.as_bytes())
        );
        hex::encode(mac(&self.signing_key(), text.as_bytes()))
    }

    /// Signs one chunk of aws-chunked content.
    pub(crate) fn chunk_signature(&self, previous: &str, content: &[u8]) -> String {
        let text = format!(
            "AWS4-HMAC-SHA256-PAYLOAD\n{}\n{}\n{previous}\n{}\n{}",
            self.date,
            self.scope(),
            sha256(b""),
            sha256(content)
        );
        hex::encode(mac(&self.signing_key(), text.as_bytes()))
    }
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A call of the Query protocol.
    pub(crate) fn form(pairs: &[(&str, &str)]) -> Self {
        Self::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(pairs))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Signs in the `Authorization` header.
    pub(crate) fn sign(self, host: &str, key: &Key, service: &str) -> Self {
        self.signed(host, &Signing::new(key, service))
    }

    /// Signs in the `Authorization` header, as `signing` says.
    pub(crate) fn signed(mut self, host: &str, signing: &Signing<'_>) -> Self {
        let hash = sha256(&self.body);
        let payload = signing.payload.clone().unwrap_or(hash);
        self.headers.push(("x-amz-date".to_owned(), signing.date.clone()));
        if signing.service == "s3" || signing.payload.is_some() {
            self.headers.push(("x-amz-content-sha256".to_owned(), payload.clone()));
        }
        if let Some(token) = &signing.key.token {
            self.headers.push(("x-amz-security-token".to_owned(), token.clone()));
        }
        let (lines, names) = self.canonical_headers(host, &signing.unsigned);
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{payload}",
            self.method,
            canonical_path(&self.path, signing.service),
            canonical_query(&self.query)
        );
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={}",
            signing.key.id,
            signing.scope(),
            signing.signature(&canonical)
        );
        self.header("authorization", &authorization)
    }

    /// Signs in the query string. Headers that are there already are signed too, unless `signing` leaves them out.
    pub(crate) fn presigned(mut self, host: &str, signing: &Signing<'_>, expires: &str) -> Self {
        let (lines, names) = self.canonical_headers(host, &signing.unsigned);
        let mut query = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{}/{}", signing.key.id, signing.scope())),
            ("X-Amz-Date", signing.date.clone()),
            ("X-Amz-Expires", expires.to_owned()),
            ("X-Amz-SignedHeaders", names.clone()),
        ];
        if let Some(token) = &signing.key.token {
            query.push(("X-Amz-Security-Token", token.clone()));
        }
        for (name, value) in query {
            let separator = if self.query.is_empty() { "" } else { "&" };
            self.query = format!("{}{separator}{name}={}", self.query, encode(&value));
        }
        let payload = match (&signing.payload, signing.service) {
            (Some(payload), _) => payload.clone(),
            (None, "s3") => "UNSIGNED-PAYLOAD".to_owned(),
            (None, _) => sha256(&self.body),
        };
        let canonical = format!(
            "{}\n{}\n{}\n{lines}\n{names}\n{payload}",
            self.method,
            canonical_path(&self.path, signing.service),
            canonical_query(&self.query)
        );
        self.query = format!("{}&X-Amz-Signature={}", self.query, signing.signature(&canonical));
        self
    }

    fn canonical_headers(&self, host: &str, unsigned: &[&str]) -> (String, String) {
        let host = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"))
            .map_or(host, |(_, value)| value);
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .filter(|(name, _)| !unsigned.contains(&name.as_str()) && name != "host")
            .collect();
        headers.push(("host".to_owned(), host.to_owned()));
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        (lines, names.join(";"))
    }

    /// The value of a header.
    pub(crate) fn get(&self, wanted: &str) -> &str {
        let found = self.headers.iter().find(|(name, _)| name == wanted);
        found.map_or("", |(_, value)| value)
    }

    /// Puts another value in the place of a header's.
    pub(crate) fn replace(mut self, wanted: &str, value: &str) -> Self {
        for (name, old) in &mut self.headers {
            if name == wanted {
                value.clone_into(old);
            }
        }
        self
    }

    /// The same without a header.
    pub(crate) fn without(mut self, unwanted: &str) -> Self {
        self.headers.retain(|(name, _)| name != unwanted);
        self
    }

    /// The hex signature of a signed request.
    pub(crate) fn signature(&self) -> String {
        let authorization = self.get("authorization");
        authorization
            .rsplit_once("Signature=")
            .map_or("", |(_, hex)| hex)
            .to_owned()
    }

    /// The bytes for the wire. The connection ends with the answer.
    pub(crate) fn bytes(&self, host: &str) -> Vec<u8> {
        let question = if self.query.is_empty() { "" } else { "?" };
        let mut head = format!("{} {}{question}{} HTTP/1.1\r\n", self.method, self.path, self.query);
        let has = |wanted: &str| self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        if !has("host") {
            head.push_str(&format!("host: {host}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !has("connection") {
            head.push_str("connection: close\r\n");
        }
        if !has("content-length") && !has("transfer-encoding") && (!self.body.is_empty() || self.method != "GET") {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer as it came.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, wanted: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The first element of this name in an XML answer.
    pub(crate) fn element(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(
            value
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&apos;", "'")
                .replace("&amp;", "&"),
        )
    }

    /// The error code, whatever the protocol; empty for a success.
    pub(crate) fn code(&self) -> String {
        if self.status < 400 {
            return String::new();
        }
        match self.header("x-amzn-errortype") {
            Some(code) => code.to_owned(),
            None => self.element("Code").unwrap_or_default(),
        }
    }

    /// The error message, whatever the protocol.
    pub(crate) fn message(&self) -> String {
        if self.header("content-type").is_some_and(|kind| kind.contains("json")) {
            return self.json()["message"].as_str().unwrap_or_default().to_owned();
        }
        self.element("Message").unwrap_or_default()
    }

    /// Status and code in one text, for assertions that say what they saw.
    pub(crate) fn outcome(&self) -> String {
        format!("{} {}", self.status, self.code()).trim_end().to_owned()
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.header("x-amzn-requestid")
            .or_else(|| self.header("x-amz-request-id"))
    }

    /// Reads one answer from a stream that ends with it.
    fn parse(bytes: &[u8], is_head: bool) -> Result<Self, String> {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .ok_or_else(|| format!("no head in {:?}", String::from_utf8_lossy(bytes)))?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok())
            .ok_or_else(|| format!("no status in {head:?}"))?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let rest = &bytes[end + 4..];
        if status == 100 {
            return Self::parse(rest, is_head);
        }
        let get = |wanted: &str| {
            headers
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
        };
        let body = if get("transfer-encoding") == Some("chunked") {
            dechunked(rest)?
        } else {
            rest.to_vec()
        };
        if let (Some(length), false) = (
            get("content-length").and_then(|length| length.parse::<usize>().ok()),
            is_head,
        ) && status != 304
            && length != body.len()
        {
            return Err(format!("{length} bytes were announced, {} came: {head}", body.len()));
        }
        Ok(Self { status, headers, body })
    }
}

fn dechunked(mut rest: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let end = rest
            .windows(2)
            .position(|window| window == b"\r\n")
            .ok_or("a chunk has no head")?;
        let size = std::str::from_utf8(&rest[..end]).map_err(|error| error.to_string())?;
        let size = usize::from_str_radix(size, 16).map_err(|error| error.to_string())?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(rest.get(..size).ok_or("a chunk is short")?);
        rest = &rest[size + 2..];
    }
}

/// Connects to `host:port`.
pub(crate) fn connect(host: &str) -> TcpStream {
    let stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends bytes and reads the answer to its end.
pub(crate) fn exchange(host: &str, bytes: &[u8], is_head: bool) -> Result<Response, String> {
    let mut stream = connect(host);
    // A server that refuses a body early may close while it is still being sent.
    drop(stream.write_all(bytes));
    read_answer(&mut stream, is_head)
}

/// Reads until the server closes.
pub(crate) fn read_answer(stream: &mut TcpStream, is_head: bool) -> Result<Response, String> {
    let mut answer = Vec::new();
    let mut block = [0; 16 * 1024];
    loop {
        match stream.read(&mut block) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&block[..read]),
            // What came before a reset is the answer; nothing is an error below.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => return Err(format!("{error} after {:?}", String::from_utf8_lossy(&answer))),
        }
    }
    Response::parse(&answer, is_head)
}

/// Sends a request on a connection of its own.
pub(crate) fn send(host: &str, request: &Request) -> Response {
    exchange(host, &request.bytes(host), request.method == "HEAD")
        .unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.path))
}

/// `a=1&b=2`, encoded.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    pairs.join("&")
}

/// Percent-encodes all but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    encode_bytes(text.as_bytes())
}

fn encode_bytes(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match escape {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

/// S3 takes the path decoded and encoded once but for its slashes, all others encode a second time what was sent.
fn canonical_path(path: &str, service: &str) -> String {
    match service {
        "s3" => encode_bytes(&decode(path)).replace("%2F", "/"),
        _ => path.split('/').map(encode).collect::<Vec<String>>().join("/"),
    }
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode_bytes(&decode(name)), encode_bytes(&decode(value))))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Hex of the SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

pub(crate) fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
        .as_ref()
        .to_vec()
}
