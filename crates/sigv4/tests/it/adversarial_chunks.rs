//! The attacks on bodies in aws-chunked encoding.

use aws_sigv4::http_request::SignableBody;
use irsa_sigv4::{ChecksumAlgorithm, ChunkError, Trailers};
use proptest::prelude::*;

use crate::chunks::{Body, SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER, checksum, decode, decode_in, decoder, put};
use crate::support::{Request, Signer};

const DATA: [&[u8]; 3] = [b"first chunk", b"second chunk", b"third chunk"];

fn length() -> usize {
    DATA.concat().len()
}

fn whole() -> (Request, Body) {
    let request = put(SIGNED, length(), None);
    let body = DATA
        .iter()
        .fold(Body::signed(&request), |body, chunk| body.chunk(chunk))
        .last()
        .text("\r\n");
    (request, body)
}

/// The body's chunks as they stand on the wire.
fn parts(body: &Body) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut rest = body.bytes.as_slice();
    while !rest.is_empty() {
        let header = rest.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let digits = rest.iter().position(|byte| *byte == b';').unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..digits]).unwrap(), 16).unwrap();
        let (part, after) = rest.split_at(header + 2 + size + 2);
        parts.push(part.to_vec());
        rest = after;
    }
    parts
}

fn refused(request: &Request, parts: &[&[u8]]) -> (Vec<u8>, ChunkError) {
    let (decoded, end) = decode_in(request, parts.iter().map(|part| part.to_vec()));
    assert!(
        DATA.concat().starts_with(&decoded),
        "only what was signed, in its order, may come out"
    );
    (decoded, end.expect_err("the body is not what was signed"))
}

#[test]
fn adv_sv_20_reordered_dropped_and_repeated_chunks() {
    let (request, body) = whole();
    let parts = parts(&body);
    let [first, second, third, last] = [&parts[0], &parts[1], &parts[2], &parts[3]].map(Vec::as_slice);
    for order in [
        vec![second, first, third, last],
        vec![first, third, second, last],
        vec![second, third, last],
        vec![first, third, last],
        vec![first, second, last],
        vec![first, first, second, third, last],
        vec![first, second, second, last],
        vec![last],
    ] {
        let (_, error) = refused(&request, &order);
        assert!(
            matches!(error, ChunkError::SignatureMismatch | ChunkError::WrongLength { .. }),
            "{error:?}"
        );
    }
    assert_eq!(refused(&request, &[first, second, third]).1, ChunkError::Incomplete);
    assert_eq!(refused(&request, &[]).1, ChunkError::Incomplete);
    for extra in [b"x".as_slice(), b"\r\n", last, first] {
        assert_eq!(
            refused(&request, &[first, second, third, last, extra]).1,
            ChunkError::ExtraBytes
        );
    }
}

#[test]
fn adv_sv_20_a_chunk_of_another_request() {
    let (request, body) = whole();
    let target = Request::new(
        "PUT",
        "/bucket/other",
        &[("host", "h"), ("x-amz-decoded-content-length", &length().to_string())],
    );
    let other = Signer::new("s3").sign(&target, SignableBody::Precomputed(SIGNED.to_owned()));
    assert_ne!(other.signature(), request.signature());
    let theirs = parts(&Body::signed(&other).chunk(DATA[0]).last().text("\r\n"));
    let ours = parts(&body);
    assert_eq!(
        refused(&request, &[&theirs[0], &ours[1], &ours[2], &ours[3]]),
        (Vec::new(), ChunkError::SignatureMismatch)
    );
    assert_eq!(
        refused(&request, &[&ours[0], &ours[1], &ours[2], &theirs[1]]).1,
        ChunkError::SignatureMismatch
    );
}

#[test]
fn adv_sv_20_lengths() {
    for declared in [0, length() - 1, length() + 1] {
        let request = put(SIGNED, declared, None);
        let body = DATA
            .iter()
            .fold(Body::signed(&request), |body, chunk| body.chunk(chunk))
            .last()
            .text("\r\n");
        let (decoded, end) = decode(&request, &body);
        assert_eq!(
            end,
            Err(ChunkError::WrongLength {
                declared: declared as u64
            })
        );
        assert!(decoded.len() <= declared);
    }
    let request = put(SIGNED, usize::MAX, None);
    let signature = "0".repeat(64);
    for (size, error) in [
        ("8000000000000000", ChunkError::ChunkTooLarge { size: 1 << 63 }),
        ("ffffffffffffffff", ChunkError::ChunkTooLarge { size: u64::MAX }),
        ("1000001", ChunkError::ChunkTooLarge { size: (16 << 20) + 1 }),
    ] {
        let body = Body::unsigned().text(&format!("{size};chunk-signature={signature}\r\n"));
        assert_eq!(decode(&request, &body).1, Err(error));
    }
    let small = put(SIGNED, 5, None);
    let body = Body::unsigned().text(&format!("8000000000000000;chunk-signature={signature}\r\n"));
    assert_eq!(decode(&small, &body).1, Err(ChunkError::WrongLength { declared: 5 }));
}

#[test]
fn adv_sv_20_malformed_chunk_headers() {
    let signature = "0".repeat(64);
    let request = put(SIGNED, 5, None);
    for header in [
        format!(";chunk-signature={signature}\r\n"),
        format!("+5;chunk-signature={signature}\r\n"),
        format!("-1;chunk-signature={signature}\r\n"),
        format!("0x5;chunk-signature={signature}\r\n"),
        format!(" 5;chunk-signature={signature}\r\n"),
        format!("00000000000000005;chunk-signature={signature}\r\n"),
        format!("5;chunk-signature={signature}\n"),
        format!("5;chunk-signature={signature};a=b\r\n"),
        "5;chunk-signature=\r\n".to_owned(),
        format!("5;chunk-signature={}\r\n", "F".repeat(64)),
        format!("5;other={signature}\r\n"),
        "5\r\n".to_owned(),
        "\r\n".to_owned(),
        "5".repeat(200),
        "é;chunk-signature=\r\n".to_owned(),
    ] {
        let (decoded, end) = decode(&request, &Body::unsigned().text(&header));
        assert!(decoded.is_empty());
        assert!(
            matches!(end, Err(ChunkError::MalformedChunk { .. })),
            "{header}: {end:?}"
        );
    }
    let unsigned = put(UNSIGNED_TRAILER, 5, None);
    for header in ["5;a=b\r\n", "5\n", "\r\n", "g\r\n", "5 \r\n"] {
        let (_, end) = decode(&unsigned, &Body::unsigned().text(header));
        assert!(
            matches!(end, Err(ChunkError::MalformedChunk { .. })),
            "{header}: {end:?}"
        );
    }
    let (_, end) = decode(&unsigned, &Body::unsigned().text("5\r\nhelloXX"));
    assert!(matches!(end, Err(ChunkError::MalformedChunk { .. })), "{end:?}");
}

#[test]
fn adv_sv_20_headers_that_describe_the_body() {
    let with = |name: &str, value: Option<&str>| {
        let mut request = put(UNSIGNED_TRAILER, 5, None);
        let verified = request
            .verified(crate::support::now(), &irsa_sigv4::Rules::s3())
            .unwrap_or_else(|error| panic!("{error}"));
        match value {
            Some(value) => request.set(name, value),
            None => drop(request.headers.remove(name)),
        }
        verified.chunk_decoder(&request.headers).err()
    };
    let length = "x-amz-decoded-content-length";
    assert_eq!(with(length, None), Some(ChunkError::MissingDecodedLength));
    for bad in ["", "-1", "+1", "1.5", "five", "18446744073709551616"] {
        assert_eq!(
            with(length, Some(bad)),
            Some(ChunkError::MalformedHeader { name: length }),
            "{bad}"
        );
    }
    for bad in [
        "",
        "x-amz-meta-a",
        "x-amz-checksum-md5",
        "x-amz-checksum-crc32,x-amz-checksum-sha1",
    ] {
        assert_eq!(
            with("x-amz-trailer", Some(bad)),
            Some(ChunkError::UnsupportedTrailer { name: bad.to_owned() })
        );
    }
    assert_eq!(
        decoder(&put(SIGNED, 5, Some("x-amz-checksum-crc32"))).err(),
        Some(ChunkError::MalformedHeader { name: "x-amz-trailer" })
    );
}

#[test]
fn adv_sv_21_checksums_in_trailers() {
    let name = "x-amz-checksum-sha256";
    let data = b"data";
    let right = checksum(ChecksumAlgorithm::Sha256, data);
    let wrong = checksum(ChecksumAlgorithm::Sha256, b"other");
    for signed in [false, true] {
        let payload = if signed { SIGNED_TRAILER } else { UNSIGNED_TRAILER };
        let request = put(payload, data.len(), Some(name));
        let begin = || {
            let body = if signed {
                Body::signed(&request)
            } else {
                Body::unsigned()
            };
            body.chunk(data)
        };
        let end = |body: Body| decode(&request, &body).1;
        assert_eq!(
            end(begin().trailer(name, &right)),
            Ok(Trailers {
                checksum: Some((ChecksumAlgorithm::Sha256, right.clone()))
            })
        );
        assert_eq!(
            end(begin().trailer(name, &wrong)),
            Err(ChunkError::ChecksumMismatch {
                algorithm: ChecksumAlgorithm::Sha256
            })
        );
        assert_eq!(end(begin().trailer(name, "AAAA")), Err(ChunkError::MalformedTrailer));
        assert_eq!(end(begin().trailer(name, "")), Err(ChunkError::MalformedTrailer));
        assert_eq!(
            end(begin().trailer("x-amz-checksum-crc32", "AAAAAA==")),
            Err(ChunkError::UndeclaredTrailer {
                name: "x-amz-checksum-crc32".to_owned()
            })
        );
        assert_eq!(
            end(begin().trailer("x-amz-meta-a", "b")),
            Err(ChunkError::UndeclaredTrailer {
                name: "x-amz-meta-a".to_owned()
            })
        );
        let undeclared = put(payload, data.len(), None);
        let body = if signed {
            Body::signed(&undeclared)
        } else {
            Body::unsigned()
        };
        assert_eq!(
            decode(&undeclared, &body.chunk(data).trailer(name, &right)).1,
            Err(ChunkError::UndeclaredTrailer { name: name.to_owned() })
        );
        assert_eq!(
            end(begin()
                .last()
                .text(&format!("{name}:{right}\r\n{name}:{right}\r\n\r\n"))),
            Err(ChunkError::UndeclaredTrailer { name: name.to_owned() })
        );
        assert_eq!(
            end(begin().last().text("no colon\r\n")),
            Err(ChunkError::MalformedTrailer)
        );
        assert_eq!(
            end(begin().last().text(&format!("{name}:{right}\r\n"))),
            Err(ChunkError::Incomplete)
        );
        let long = format!("{name}:{}", "a".repeat(1000));
        assert!(matches!(
            end(begin().last().text(&long)),
            Err(ChunkError::MalformedChunk { .. })
        ));
    }
}

#[test]
fn adv_sv_21_the_declared_trailer_must_come() {
    let name = "x-amz-checksum-sha256";
    let request = put(UNSIGNED_TRAILER, 4, Some(name));
    assert_eq!(
        decode(&request, &Body::unsigned().chunk(b"data").last().text("\r\n")).1,
        Err(ChunkError::MissingTrailer { name })
    );
    let request = put(UNSIGNED_TRAILER, 4, None);
    assert_eq!(
        decode(&request, &Body::unsigned().chunk(b"data").last().text("\r\n")).1,
        Ok(Trailers::default())
    );
}

#[test]
fn adv_sv_21_the_trailer_is_signed() {
    let name = "x-amz-checksum-crc32";
    let request = put(SIGNED_TRAILER, 4, Some(name));
    let value = checksum(ChecksumAlgorithm::Crc32, b"data");
    let begin = || {
        Body::signed(&request)
            .chunk(b"data")
            .last()
            .text(&format!("{name}:{value}\r\n"))
    };
    let end = |text: &str| decode(&request, &begin().text(text)).1;
    assert_eq!(
        end(&format!("x-amz-trailer-signature:{}\r\n\r\n", "0".repeat(64))),
        Err(ChunkError::SignatureMismatch)
    );
    assert_eq!(
        end("x-amz-trailer-signature:\r\n\r\n"),
        Err(ChunkError::MalformedTrailer)
    );
    assert_eq!(end("\r\n"), Err(ChunkError::Incomplete));
    assert_eq!(end("\r\n\r\n"), Err(ChunkError::MalformedTrailer));
    let good = Body::signed(&request).chunk(b"data").trailer(name, &value);
    let good = String::from_utf8(good.bytes).unwrap();
    let late = good.replace("\r\n\r\n", "\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    assert_eq!(
        decode_in(&request, [late.into_bytes()]).1,
        Err(ChunkError::MalformedTrailer)
    );
    // The signature before the trailer covers nothing of it.
    let lines: Vec<&str> = good.split_inclusive("\r\n").collect();
    let count = lines.len();
    let mut swapped = lines.clone();
    swapped.swap(count - 3, count - 2);
    assert_eq!(
        decode_in(&request, [swapped.concat().into_bytes()]).1,
        Err(ChunkError::SignatureMismatch)
    );
}

proptest! {
    #[test]
    fn adv_sv_20_a_changed_byte_of_a_signed_body_is_refused(at: prop::sample::Index, mask in 1_u8..) {
        let (request, body) = whole();
        let mut bytes = body.bytes.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        // Upper case is another spelling of the same size.
        let size_digit = bytes[at].is_ascii_hexdigit() && body.bytes[at].eq_ignore_ascii_case(&bytes[at]);
        prop_assume!(!size_digit);
        let (decoded, end) = decode_in(&request, [bytes]);
        prop_assert!(end.is_err());
        prop_assert!(DATA.concat().starts_with(&decoded));
    }

    #[test]
    fn adv_sv_20_a_truncated_body_is_refused(at: prop::sample::Index) {
        let (request, body) = whole();
        let at = at.index(body.bytes.len());
        let (decoded, end) = decode_in(&request, [body.bytes[..at].to_vec()]);
        prop_assert_eq!(end, Err(ChunkError::Incomplete));
        prop_assert!(DATA.concat().starts_with(&decoded));
    }

    #[test]
    fn any_stream_is_answered(
        payload in prop::sample::select(vec![SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER]),
        pieces in prop::collection::vec(
            prop_oneof![
                any::<Vec<u8>>(),
                Just(b"5\r\nhello\r\n".to_vec()),
                Just(b"0\r\n".to_vec()),
                Just(b"\r\n".to_vec()),
                Just(b"5;chunk-signature=".to_vec()),
                Just(b"0".repeat(64)),
                Just(b"x-amz-checksum-crc32:AAAAAA==\r\n".to_vec()),
                Just(b"ffffffffffffffff\r\n".to_vec()),
            ],
            0..8,
        ),
    ) {
        let request = put(payload, 10, (payload != SIGNED).then_some("x-amz-checksum-crc32"));
        let (decoded, end) = decode_in(&request, pieces);
        prop_assert!(decoded.len() <= 10);
        prop_assert!(payload == UNSIGNED_TRAILER || (decoded.is_empty() && end.is_err()));
    }
}
