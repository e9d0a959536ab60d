//! Bodies in aws-chunked encoding as clients send them.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::SignableBody;
use bytes::Bytes;
use irsa_sigv4::{Checksum, ChecksumAlgorithm, ChunkDecoder, ChunkError, Rules, Trailers};
use proptest::prelude::*;

use crate::support::{DATE, Request, Signer, now, sha256, sign_raw, signature_of};

const SCOPE: &str = "20260102/us-east-1/s3/aws4_request";

/// A body that is being written, with its chain of signatures.
#[derive(Clone)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    signature: Option<String>,
}

impl Body {
    pub(crate) fn signed(request: &Request) -> Self {
        Self {
            bytes: Vec::new(),
            signature: Some(request.signature()),
        }
    }

    pub(crate) fn unsigned() -> Self {
        Self {
            bytes: Vec::new(),
            signature: None,
        }
    }

    fn next(&mut self, algorithm: &str, rest: &str) -> String {
        let previous = self.signature.take().unwrap();
        let next = signature_of(SCOPE, &format!("{algorithm}\n{DATE}\n{SCOPE}\n{previous}\n{rest}"));
        self.signature = Some(next.clone());
        next
    }

    fn header(&mut self, data: &[u8]) {
        let mut header = format!("{:x}", data.len());
        if self.signature.is_some() {
            let rest = format!("{}\n{}", hex::encode(sha256(b"")), hex::encode(sha256(data)));
            header += &format!(";chunk-signature={}", self.next("AWS4-HMAC-SHA256-PAYLOAD", &rest));
        }
        self.bytes.extend_from_slice(format!("{header}\r\n").as_bytes());
    }

    pub(crate) fn chunk(mut self, data: &[u8]) -> Self {
        self.header(data);
        self.bytes.extend_from_slice(data);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn last(mut self) -> Self {
        self.header(b"");
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        self.bytes.extend_from_slice(text.as_bytes());
        self
    }

    /// The last chunk, one trailer, its signature if chunks are signed, and the end.
    pub(crate) fn trailer(self, name: &str, value: &str) -> Self {
        let mut body = self.last().text(&format!("{name}:{value}\r\n"));
        if body.signature.is_some() {
            let rest = hex::encode(sha256(format!("{name}:{value}\n").as_bytes()));
            let signature = body.next("AWS4-HMAC-SHA256-TRAILER", &rest);
            body = body.text(&format!("x-amz-trailer-signature:{signature}\r\n"));
        }
        body.text("\r\n")
    }
}

/// A signed PutObject whose body has `length` bytes.
pub(crate) fn put(payload: &str, length: usize, trailer: Option<&str>) -> Request {
    let mut request = Request::new(
        "PUT",
        "/bucket/key",
        &[
            ("host", "s3.example.com"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", &length.to_string()),
        ],
    );
    if let Some(trailer) = trailer {
        request.add("x-amz-trailer", trailer);
    }
    let mut signed = Signer::new("s3").sign(&request, SignableBody::Precomputed(payload.to_owned()));
    signed.body_sha256 = None;
    signed
}

pub(crate) const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
pub(crate) const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
pub(crate) const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

pub(crate) fn decoder(request: &Request) -> Result<ChunkDecoder, ChunkError> {
    request
        .verified(now(), &Rules::s3())
        .unwrap_or_else(|error| panic!("{error}"))
        .chunk_decoder(&request.headers)
        .map(|decoder| decoder.expect("a streaming payload"))
}

/// What came out, and how it ended.
pub(crate) fn decode_in(
    request: &Request,
    pieces: impl IntoIterator<Item = Vec<u8>>,
) -> (Vec<u8>, Result<Trailers, ChunkError>) {
    let mut decoder = match decoder(request) {
        Ok(decoder) => decoder,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut decoded = Vec::new();
    for piece in pieces {
        match decoder.push(Bytes::from(piece)) {
            Ok(output) => decoded.extend(output.concat()),
            Err(error) => {
                assert_eq!(decoder.push(Bytes::from_static(b"0")), Err(error.clone()));
                assert_eq!(decoder.finish(), Err(error));
                break;
            }
        }
    }
    (decoded, decoder.finish())
}

pub(crate) fn decode(request: &Request, body: &Body) -> (Vec<u8>, Result<Trailers, ChunkError>) {
    decode_in(request, [body.bytes.clone()])
}

pub(crate) fn checksum(algorithm: ChecksumAlgorithm, data: &[u8]) -> String {
    let mut checksum = Checksum::new(algorithm);
    checksum.update(data);
    checksum.finish_base64()
}

/// Cuts `bytes` at the given places.
fn cut(bytes: &[u8], places: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.push(0);
    places.push(bytes.len());
    places.sort_unstable();
    places.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).collect()
}

fn places() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..12)
}

proptest! {
    #[test]
    fn signed_chunks(data in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..5), places in places()) {
        let request = put(SIGNED, data.concat().len(), None);
        let body = data.iter().fold(Body::signed(&request), |body, chunk| body.chunk(chunk)).last().text("\r\n");
        let (decoded, end) = decode_in(&request, cut(&body.bytes, &places));
        prop_assert_eq!(end, Ok(Trailers::default()));
        prop_assert_eq!(decoded, data.concat());
    }

    #[test]
    fn trailers(
        signed: bool,
        algorithm in prop::sample::select(ChecksumAlgorithm::ALL.to_vec()),
        data in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..5),
        places in places(),
    ) {
        let payload = if signed { SIGNED_TRAILER } else { UNSIGNED_TRAILER };
        let request = put(payload, data.concat().len(), Some(algorithm.header()));
        let body = if signed { Body::signed(&request) } else { Body::unsigned() };
        let value = checksum(algorithm, &data.concat());
        let body = data.iter().fold(body, |body, chunk| body.chunk(chunk)).trailer(algorithm.header(), &value);
        let (decoded, end) = decode_in(&request, cut(&body.bytes, &places));
        prop_assert_eq!(end, Ok(Trailers { checksum: Some((algorithm, value)) }));
        prop_assert_eq!(decoded, data.concat());
    }
}

#[test]
fn byte_by_byte() {
    let data = b"hello, chunked world";
    let request = put(SIGNED_TRAILER, data.len(), Some("x-amz-checksum-crc32"));
    let value = checksum(ChecksumAlgorithm::Crc32, data);
    let body = Body::signed(&request)
        .chunk(&data[..7])
        .chunk(&data[7..])
        .trailer("x-amz-checksum-crc32", &value);
    let (decoded, end) = decode_in(&request, body.bytes.iter().map(|byte| vec![*byte]));
    assert_eq!(decoded, data);
    assert_eq!(end.unwrap().checksum, Some((ChecksumAlgorithm::Crc32, value)));
}

#[test]
fn nothing_of_a_signed_chunk_comes_out_early() {
    let request = put(SIGNED, 1000, None);
    let body = Body::signed(&request).chunk(&[7; 1000]).last().text("\r\n");
    let data_end = body
        .bytes
        .windows(4)
        .position(|window| window == [7, 7, b'\r', b'\n'])
        .unwrap()
        + 2;
    let mut decoder = decoder(&request).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(decoder.decoded_length(), 1000);
    let early = decoder
        .push(Bytes::copy_from_slice(&body.bytes[..data_end - 1]))
        .unwrap();
    assert!(early.is_empty());
    let whole = decoder
        .push(Bytes::copy_from_slice(&body.bytes[data_end - 1..data_end]))
        .unwrap();
    assert_eq!(whole.concat(), [7; 1000]);
    assert_eq!(decoder.finish(), Err(ChunkError::Incomplete));
}

/// The trailer of MinIO's client: a bare line feed, and an empty line before the signature.
#[test]
fn the_trailer_of_minio_clients() {
    let data = b"some data";
    let name = "x-amz-checksum-crc32c";
    let value = checksum(ChecksumAlgorithm::Crc32c, data);
    let request = put(SIGNED_TRAILER, data.len(), Some(name));
    let plain = Body::signed(&request).chunk(data).trailer(name, &value);
    let plain = String::from_utf8(plain.bytes).unwrap();
    let theirs = plain.replace(&format!("{value}\r\n"), &format!("{value}\n\r\n"));
    assert_ne!(plain, theirs);
    let (decoded, end) = decode_in(&request, [theirs.into_bytes()]);
    assert_eq!(decoded, data);
    assert_eq!(end.unwrap().checksum, Some((ChecksumAlgorithm::Crc32c, value)));
}

/// The chunk signatures of our helper are those of `aws-sigv4`, so the tests here do not only agree with themselves.
#[test]
fn the_chain_is_that_of_the_sdk() {
    let identity = Credentials::new(crate::support::KEY_ID, crate::support::SECRET, None, None, "test").into();
    let parameters = aws_sigv4::sign::v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(
            std::time::SystemTime::UNIX_EPOCH
                + std::time::Duration::from_secs(u64::try_from(crate::support::AT).unwrap()),
        )
        .settings(())
        .build()
        .unwrap();
    let request = put(SIGNED, 4, None);
    let seed = request.signature();
    let chunk = aws_sigv4::sign::v4::sign_chunk(&Bytes::from_static(b"data"), &seed, &parameters).unwrap();
    let ours = String::from_utf8(Body::signed(&request).chunk(b"data").bytes).unwrap();
    assert!(ours.contains(chunk.signature()), "{ours}");
}

/// The example of AWS's documentation: 66560 letters in chunks of 64 KiB.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
#[test]
fn the_example_of_the_documentation() {
    let secret = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let mut request = Request::new(
        "PUT",
        "/examplebucket/chunkObject.txt",
        &[
            ("host", "s3.amazonaws.com"),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", SIGNED),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("content-length", "66824"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=\
                 content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
                 x-amz-storage-class,Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
            ),
        ],
    );
    request.body_sha256 = None;
    let head = request.head();
    let presented = irsa_sigv4::presented(&head).unwrap().unwrap();
    let verified = presented
        .verify(secret, None, presented.timestamp(), &Rules::s3())
        .unwrap_or_else(|error| panic!("{error}"));
    let mut decoder = verified.chunk_decoder(&request.headers).unwrap().unwrap();
    let mut body = Vec::new();
    for (length, signature) in [
        (
            65_536,
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        ),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ] {
        body.extend_from_slice(format!("{length:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend_from_slice(&vec![b'a'; length]);
        body.extend_from_slice(b"\r\n");
    }
    let decoded = decoder.push(Bytes::from(body)).unwrap().concat();
    assert_eq!(decoded, vec![b'a'; 66_560]);
    assert_eq!(decoder.finish(), Ok(Trailers::default()));
}

#[test]
fn a_presigned_upload_in_chunks_is_verified_too() {
    let request = Request::new(
        "PUT",
        "/bucket/key",
        &[
            ("host", "s3.example.com"),
            ("x-amz-content-sha256", SIGNED),
            ("x-amz-decoded-content-length", "4"),
        ],
    );
    let mut signed = Signer::new("s3")
        .presigning(60)
        .sign(&request, SignableBody::Precomputed(SIGNED.to_owned()));
    signed.body_sha256 = None;
    let body = Body::signed(&signed).chunk(b"data").last().text("\r\n");
    assert_eq!(decode(&signed, &body), (b"data".to_vec(), Ok(Trailers::default())));
}

#[test]
fn other_payloads_have_no_chunks() {
    let canonical = format!(
        "GET\n/\n\nhost:h\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{DATE}\n\n\
         host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD"
    );
    let request = Request::new(
        "GET",
        "/",
        &[
            ("host", "h"),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("x-amz-date", DATE),
        ],
    );
    let signed = sign_raw(
        &request,
        &canonical,
        "host;x-amz-content-sha256;x-amz-date",
        DATE,
        SCOPE,
    );
    let verified = signed
        .verified(now(), &Rules::s3())
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        verified
            .chunk_decoder(&signed.headers)
            .is_ok_and(|decoder| decoder.is_none())
    );
}
