//! The ceiling: a bare hyper server that does the same work and nothing else.
//!
//! For a token exchange that is: read the form, look the key up by `kid`, check the RS256 signature, parse the claims, derive a secret, seal a session token, answer in
//! XML. For a signed call: rebuild the canonical request, hash it, compare the signature (signing key cached), answer in XML. No policies, no audit, no
//! store, no routing: what remains of our own figure beside this one is the price of those.

use std::{collections::HashMap, convert::Infallible, io::Write as _, path::Path, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey},
    constant_time, digest, hmac,
    rand::{SecureRandom as _, SystemRandom},
    signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256},
};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;

/// What the ceiling must know, handed over in a file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Public keys by `kid`: DER `SubjectPublicKeyInfo`, base64.
    pub(crate) keys: HashMap<String, String>,
    /// The one caller.
    pub(crate) access_key_id: String,
    /// Its secret.
    pub(crate) secret_access_key: String,
}

struct State {
    keys: HashMap<String, ParsedPublicKey>,
    access_key_id: String,
    secret_access_key: String,
    derive: hmac::Key,
    seal: LessSafeKey,
    random: SystemRandom,
    /// The last signing key and its scope.
    signing: std::sync::RwLock<(String, Option<hmac::Key>)>,
}

/// Serves until killed; prints its address once it listens.
pub(crate) fn main(setup: &Path) -> Result<()> {
    let setup: Setup = serde_json::from_slice(&std::fs::read(setup)?)?;
    let mut keys = HashMap::new();
    for (key_id, der) in &setup.keys {
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, STANDARD.decode(der)?)
            .map_err(|_| anyhow!("a bad key"))?;
        keys.insert(key_id.clone(), key);
    }
    let random = SystemRandom::new();
    let mut bytes = [0; 32];
    random.fill(&mut bytes).map_err(|_| anyhow!("no random bytes"))?;
    let state = Arc::new(State {
        keys,
        access_key_id: setup.access_key_id,
        secret_access_key: setup.secret_access_key,
        derive: hmac::Key::new(hmac::HMAC_SHA256, &bytes),
        seal: LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| anyhow!("a bad key"))?),
        random,
        signing: std::sync::RwLock::default(),
    });
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let mut stdout = std::io::stdout();
            writeln!(stdout, "{}", listener.local_addr()?)?;
            stdout.flush()?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        })
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let result = match body.collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            match head.headers.get("authorization").and_then(|value| value.to_str().ok()) {
                Some(authorization) => {
                    let target = (
                        head.method.as_str(),
                        head.uri.path(),
                        head.uri.query().unwrap_or_default(),
                    );
                    identity(&state, target, &head.headers, authorization, &body)
                }
                None => exchange(&state, &body),
            }
        }
        Err(error) => Err(error.into()),
    };
    let (status, text) = match result {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::FORBIDDEN, format!("{error:#}")),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("text/xml"));
    Ok(response)
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

/// One token exchange.
fn exchange(state: &State, body: &[u8]) -> Result<String> {
    let (mut token, mut role, mut session) = (String::new(), String::new(), String::new());
    for pair in body.split(|&byte| byte == b'&') {
        let mut parts = pair.splitn(2, |&byte| byte == b'=');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let slot = match name {
            b"WebIdentityToken" => &mut token,
            b"RoleArn" => &mut role,
            b"RoleSessionName" => &mut session,
            _ => continue,
        };
        *slot = percent_decode(value).decode_utf8()?.into_owned();
    }
    let (signed, signature) = token.rsplit_once('.').context("no JWS")?;
    let (header, payload) = signed.split_once('.').context("no JWS")?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
    let key = state
        .keys
        .get(&header.kid)
        .filter(|_| header.alg == "RS256")
        .context("no key")?;
    key.verify_sig(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature)?)
        .map_err(|_| anyhow!("a bad signature"))?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs();
    claims
        .get("exp")
        .and_then(Value::as_u64)
        .filter(|&expires| expires > now)
        .context("expired")?;
    let subject = claims.get("sub").and_then(Value::as_str).context("no sub")?;

    let mut random = [0; 16 + 12 + 10];
    state.random.fill(&mut random).map_err(|_| anyhow!("no random bytes"))?;
    let (session_id, rest) = random.split_at(16);
    let (nonce, name) = rest.split_at(12);
    let access_key_id = format!("ASIA{}", hex::encode_upper(name).get(..16).unwrap_or_default());
    let secret = STANDARD.encode(hmac::sign(&state.derive, &[access_key_id.as_bytes(), session_id].concat()).as_ref());
    let mut sealed = format!("{role}\n{session}\n{subject}\n{now}").into_bytes();
    sealed.extend_from_slice(session_id);
    state
        .seal
        .seal_in_place_append_tag(
            Nonce::try_assume_unique_for_key(nonce).map_err(|_| anyhow!("a bad nonce"))?,
            Aad::from(&access_key_id),
            &mut sealed,
        )
        .map_err(|_| anyhow!("not sealed"))?;
    let sealed = STANDARD.encode([nonce, &sealed].concat());
    Ok(format!(
        "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
         <SubjectFromWebIdentityToken>{subject}</SubjectFromWebIdentityToken><Audience>sts.amazonaws.com</Audience><AssumedRoleUser>\
         <Arn>{role}/{session}</Arn><AssumedRoleId>AROAEXAMPLE:{session}</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>{access_key_id}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{sealed}</SessionToken><Expiration>{now}</Expiration></Credentials>\
         </AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>\
         </AssumeRoleWithWebIdentityResponse>"
    ))
}

/// One signed call.
fn identity(
    state: &State,
    target: (&str, &str, &str),
    headers: &HeaderMap,
    authorization: &str,
    body: &[u8],
) -> Result<String> {
    let mut fields = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .context("another algorithm")?
        .split(',')
        .map(str::trim);
    let mut field = |name: &str| {
        fields
            .next()
            .and_then(|field| field.strip_prefix(name))
            .context("a malformed header")
    };
    let credential = field("Credential=")?;
    let names = field("SignedHeaders=")?;
    let signature = hex::decode(field("Signature=")?)?;
    let (id, scope) = credential.split_once('/').context("no scope")?;
    if id != state.access_key_id {
        return Err(anyhow!("another key"));
    }
    let (method, path, query) = target;
    let mut canonical = format!("{method}\n{path}\n{query}\n");
    for name in names.split(';') {
        let value = headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .context("a signed header is missing")?;
        canonical.extend([name, ":", value.trim(), "\n"]);
    }
    canonical.extend(["\n", names, "\n", &hex::encode(digest::digest(&digest::SHA256, body))]);
    let date = headers
        .get("x-amz-date")
        .and_then(|value| value.to_str().ok())
        .context("no date")?;
    let hash = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let sign = |key: &hmac::Key| {
        let expected = hmac::sign(key, text.as_bytes());
        constant_time::verify_slices_are_equal(expected.as_ref(), &signature).map_err(|_| anyhow!("a bad signature"))
    };
    {
        let cached = state.signing.read().map_err(|_| anyhow!("poisoned"))?;
        if let (cached_scope, Some(key)) = &*cached
            && cached_scope == scope
        {
            sign(key)?;
            return Ok(caller(id));
        }
    }
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{}", state.secret_access_key).as_bytes());
    for part in scope.split('/') {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    sign(&key)?;
    *state.signing.write().map_err(|_| anyhow!("poisoned"))? = (scope.to_owned(), Some(key));
    Ok(caller(id))
}

fn caller(id: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/{id}</Arn>\
         <UserId>{id}</UserId><Account>111122223333</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId>\
         </ResponseMetadata></GetCallerIdentityResponse>"
    )
}
