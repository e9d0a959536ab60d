//! Any body in chunks, however it is cut: one outcome, never more than was declared, and whole only if it says so.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use irsa_core::Timestamp;
use irsa_sigv4::{
    ChunkDecoder, ChunkError, Payload, RequestHead, Rules, SigningInput, Trailers, authorization, presented,
};
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"secret";
const WORDS: [(&str, Payload); 3] = [
    ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Payload::StreamingUnsignedTrailer),
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Payload::StreamingSigned),
    (
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        Payload::StreamingSignedTrailer,
    ),
];
const TRAILERS: [Option<&str>; 6] = [
    None,
    Some("x-amz-checksum-crc32"),
    Some("x-amz-checksum-crc32c"),
    Some("x-amz-checksum-crc64nvme"),
    Some("x-amz-checksum-sha1"),
    Some("x-amz-checksum-sha256"),
];

fn head(headers: &HeaderMap) -> RequestHead<'_> {
    RequestHead {
        method: "PUT",
        path: "/bucket/key",
        query: "",
        headers,
    }
}

/// The decoder of a request that was signed by the book.
fn decoder(kind: u8, trailer: u8, length: u64) -> Option<ChunkDecoder> {
    let (word, payload) = WORDS.get(usize::from(kind) % WORDS.len())?;
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("s3.example.com"));
    headers.insert("x-amz-date", HeaderValue::from_static("20260102T030405Z"));
    headers.insert("x-amz-content-sha256", HeaderValue::from_static(word));
    headers.insert("x-amz-decoded-content-length", HeaderValue::from(length));
    if let Some(Some(name)) = TRAILERS.get(usize::from(trailer) % TRAILERS.len()) {
        headers.insert("x-amz-trailer", HeaderValue::from_static(name));
    }
    let now = Timestamp::from_unix_seconds(1_767_323_045);
    let rules = Rules::s3();
    let input = SigningInput {
        access_key_id: "AKIAIOSFODNN7EXAMPLE",
        secret: SECRET,
        region: "us-east-1",
        service: "s3",
        now,
        path: rules.path,
        payload: *payload,
    };
    let value = authorization(&head(&headers), &input).ok()?;
    headers.insert("authorization", HeaderValue::from_str(&value).ok()?);
    let head = head(&headers);
    let verified = presented(&head)
        .unwrap()
        .unwrap()
        .verify(SECRET, None, now, &rules)
        .map_err(|error| error.to_string())
        .unwrap();
    verified.chunk_decoder(&headers).ok().flatten()
}

/// Decodes in pieces of `size`; what came out, and how it ended.
fn run(mut decoder: ChunkDecoder, body: &[u8], size: usize) -> (Vec<u8>, Result<Trailers, ChunkError>) {
    let declared = decoder.decoded_length();
    let mut output = Vec::new();
    for piece in body.chunks(size.max(1)) {
        match decoder.push(Bytes::copy_from_slice(piece)) {
            Ok(pieces) => output.extend(pieces.concat()),
            Err(error) => {
                assert_eq!(decoder.finish().err(), Some(error.clone()));
                assert_eq!(decoder.push(Bytes::from_static(b"0\r\n")).err(), Some(error.clone()));
                return (output, Err(error));
            }
        }
        assert!(output.len() as u64 <= declared, "more came out than was declared");
    }
    let end = decoder.finish();
    if end.is_ok() {
        assert_eq!(output.len() as u64, declared);
    }
    (output, end)
}

fuzz_target!(|input: (u8, u8, u16, u8, &[u8])| {
    let (kind, trailer, length, size, body) = input;
    let make = || decoder(kind, trailer, u64::from(length));
    let Some(first) = make() else {
        return;
    };
    let (whole, whole_end) = run(first, body, body.len());
    for size in [1, usize::from(size)] {
        let (cut, cut_end) = run(make().unwrap(), body, size);
        assert_eq!(cut_end, whole_end);
        // What came out before an error depends on the cut; what is right does not.
        if whole_end.is_ok() {
            assert_eq!(cut, whole);
        }
    }
});
