use aws_lc_rs::digest;
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::error::excerpt;
use crate::key::{Signature, SigningKey, digest_bytes, hex32, sha256};
use crate::presented::{Payload, single};

/// The longest signed chunk, in bytes: it is held in memory until its signature was right. Clients send 64 KiB to 1 MiB.
const MAX_SIGNED_CHUNK: u64 = 16 * 1024 * 1024;
/// Sixteen hex digits, `;chunk-signature=`, 64 hex digits and the line's end.
const MAX_CHUNK_HEADER: usize = 16 + 17 + 64 + 2;
/// A trailer with its name, a base64 checksum or a signature, and the line's end.
const MAX_TRAILER_LINE: usize = 512;

/// Decodes a body in aws-chunked encoding, and verifies its chunks, trailer and checksum.
///
/// Bytes of a signed chunk come out only after that chunk's signature was right. The body as a whole is right only when
/// [`finish`](Self::finish) says so: until then nothing of it may be made visible.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html> and
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>.
pub struct ChunkDecoder {
    signer: Option<ChunkSigner>,
    has_trailer: bool,
    /// The declared trailer's checksum over what came out.
    checksum: Option<Checksum>,
    trailers: Trailers,
    decoded_length: u64,
    /// How much of the decoded length no chunk has claimed yet.
    unclaimed: u64,
    state: State,
    /// The unfinished line of a chunk header or trailer.
    line: Vec<u8>,
    failed: Option<ChunkError>,
}

enum State {
    ChunkHeader,
    Data(Chunk),
    /// The line's end after a chunk's bytes, and of the body after the last one.
    DataEnd {
        last: bool,
    },
    Trailer(TrailerState),
    End,
}

struct Chunk {
    left: u64,
    /// For signed chunks: what was claimed, and the bytes so far.
    held: Option<HeldChunk>,
}

struct HeldChunk {
    signature: Signature,
    bytes: BytesMut,
    hash: digest::Context,
}

#[derive(Default)]
struct TrailerState {
    /// What the trailer's signature covers.
    text: Vec<u8>,
    blank_line: bool,
    signature_verified: bool,
}

impl ChunkDecoder {
    pub(crate) fn new(payload: Payload, signer: Option<ChunkSigner>, headers: &HeaderMap) -> Result<Self, ChunkError> {
        let has_trailer = match payload {
            Payload::StreamingSignedTrailer | Payload::StreamingUnsignedTrailer => true,
            Payload::StreamingSigned | Payload::Sha256(_) | Payload::Unsigned | Payload::Absent => false,
        };
        let header = |name| single(headers, name).map_err(|_| ChunkError::MalformedHeader { name });
        let length = header("x-amz-decoded-content-length")?.ok_or(ChunkError::MissingDecodedLength)?;
        let decoded_length = Some(length)
            .filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|length| length.parse().ok())
            .ok_or(ChunkError::MalformedHeader {
                name: "x-amz-decoded-content-length",
            })?;
        let algorithm = header("x-amz-trailer")?.map(declared_trailer).transpose()?;
        if algorithm.is_some() && !has_trailer {
            return Err(ChunkError::MalformedHeader { name: "x-amz-trailer" });
        }
        Ok(Self {
            signer,
            has_trailer,
            checksum: algorithm.map(Checksum::new),
            trailers: Trailers { checksum: None },
            decoded_length,
            unclaimed: decoded_length,
            state: State::ChunkHeader,
            line: Vec::new(),
            failed: None,
        })
    }

    /// The decoder of a body whose chunks are not signed, of a request that need not be signed either.
    ///
    /// # Errors
    /// If the headers that describe the body are missing or wrong.
    pub fn unsigned(headers: &HeaderMap) -> Result<Self, ChunkError> {
        Self::new(Payload::StreamingUnsignedTrailer, None, headers)
    }

    /// How many bytes will come out, as the request declares; [`finish`](Self::finish) fails if it is not so.
    #[must_use]
    pub fn decoded_length(&self) -> u64 {
        self.decoded_length
    }

    /// Takes the next bytes of the body, however they are cut, and returns the decoded bytes that may be used.
    ///
    /// # Errors
    /// If the body is malformed, or a signature or checksum is wrong. The decoder stays failed then.
    pub fn push(&mut self, input: Bytes) -> Result<Vec<Bytes>, ChunkError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut output = Vec::new();
        match self.advance(input, &mut output) {
            Ok(()) => Ok(output),
            Err(error) => {
                self.state = State::End;
                self.line = Vec::new();
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Says at the end of the body whether all of it came.
    ///
    /// # Errors
    /// If the last chunk or the trailer is missing, or [`push`](Self::push) has failed before.
    pub fn finish(&self) -> Result<Trailers, ChunkError> {
        match (&self.failed, &self.state) {
            (Some(error), _) => Err(error.clone()),
            (None, State::End) => Ok(self.trailers.clone()),
            (None, _) => Err(ChunkError::Incomplete),
        }
    }

    fn advance(&mut self, mut input: Bytes, output: &mut Vec<Bytes>) -> Result<(), ChunkError> {
        while !input.is_empty() {
            match &mut self.state {
                State::ChunkHeader => {
                    if let Some(line) = take_line(&mut self.line, &mut input, MAX_CHUNK_HEADER)? {
                        self.begin_chunk(&line)?;
                    }
                }
                State::Data(chunk) => {
                    if let Some(piece) = chunk.take(&mut input, self.signer.as_mut())? {
                        if let Some(checksum) = &mut self.checksum {
                            checksum.update(&piece);
                        }
                        output.push(piece);
                    }
                    if chunk.left == 0 {
                        self.state = State::DataEnd { last: false };
                    }
                }
                State::DataEnd { last } => {
                    if let Some(line) = take_line(&mut self.line, &mut input, 2)? {
                        if line != b"\r\n" {
                            return Err(malformed("a chunk does not end with its length"));
                        }
                        self.state = if *last { State::End } else { State::ChunkHeader };
                    }
                }
                State::Trailer(_) => {
                    if let Some(line) = take_line(&mut self.line, &mut input, MAX_TRAILER_LINE)? {
                        self.trailer_line(&line)?;
                    }
                }
                State::End => return Err(ChunkError::ExtraBytes),
            }
        }
        Ok(())
    }

    /// Reads `size` or `size;chunk-signature=…`.
    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        let line = line
            .strip_suffix(b"\r\n")
            .and_then(|line| std::str::from_utf8(line).ok())
            .ok_or(malformed("a chunk header is no line of text"))?;
        let (size, signature) = match (line.split_once(';'), &self.signer) {
            (None, None) => (line, None),
            (Some((size, extension)), Some(_)) => {
                let signature = extension
                    .strip_prefix("chunk-signature=")
                    .and_then(|signature| Signature::parse(signature.as_bytes()))
                    .ok_or(malformed("a chunk signature is malformed"))?;
                (size, Some(signature))
            }
            (Some(_), None) => return Err(malformed("a chunk of an unsigned body has an extension")),
            (None, Some(_)) => return Err(malformed("a chunk has no signature")),
        };
        let hex = (1..=16).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = Some(size)
            .filter(|_| hex)
            .and_then(|size| u64::from_str_radix(size, 16).ok())
            .ok_or(malformed("a chunk size is not a number"))?;
        let wrong_length = ChunkError::WrongLength {
            declared: self.decoded_length,
        };
        if size == 0 {
            if let (Some(signer), Some(signature)) = (&mut self.signer, signature) {
                signer.check_chunk(&sha256(b""), &signature)?;
            }
            if self.unclaimed != 0 {
                return Err(wrong_length);
            }
            self.state = if self.has_trailer {
                State::Trailer(TrailerState::default())
            } else {
                State::DataEnd { last: true }
            };
            return Ok(());
        }
        self.unclaimed = self.unclaimed.checked_sub(size).ok_or(wrong_length)?;
        if signature.is_some() && size > MAX_SIGNED_CHUNK {
            return Err(ChunkError::ChunkTooLarge { size });
        }
        self.state = State::Data(Chunk {
            left: size,
            held: signature.map(|signature| HeldChunk {
                signature,
                bytes: BytesMut::new(),
                hash: digest::Context::new(&digest::SHA256),
            }),
        });
        Ok(())
    }

    /// Reads `name:value`, the trailer's signature, or the empty line at the end.
    fn trailer_line(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        let State::Trailer(state) = &mut self.state else {
            return Ok(());
        };
        // Some clients end a trailer with a bare line feed.
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            if self.signer.is_some() && !state.signature_verified {
                // MinIO's client has an empty line before the signature, too.
                if state.blank_line {
                    return Err(ChunkError::MalformedTrailer);
                }
                state.blank_line = true;
                return Ok(());
            }
            // Whoever declared a checksum must have sent it.
            if let Some(checksum) = &self.checksum {
                return Err(ChunkError::MissingTrailer {
                    name: checksum.algorithm().header(),
                });
            }
            self.state = State::End;
            return Ok(());
        }
        let (name, value) = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.split_once(':'))
            .ok_or(ChunkError::MalformedTrailer)?;
        if state.signature_verified {
            return Err(ChunkError::MalformedTrailer);
        }
        let (name, value) = (name.to_ascii_lowercase(), value.trim_ascii());
        if let Some(signer) = &mut self.signer
            && name == "x-amz-trailer-signature"
        {
            let signature = Signature::parse(value.as_bytes()).ok_or(ChunkError::MalformedTrailer)?;
            signer.check_trailer(&sha256(&state.text), &signature)?;
            state.signature_verified = true;
            return Ok(());
        }
        if state.blank_line {
            return Err(ChunkError::MalformedTrailer);
        }
        let checksum = match self.checksum.take() {
            Some(checksum) if checksum.algorithm().header() == name => checksum,
            _ => return Err(ChunkError::UndeclaredTrailer { name: excerpt(&name) }),
        };
        let algorithm = checksum.algorithm();
        let claimed = algorithm.parse_value(value).ok_or(ChunkError::MalformedTrailer)?;
        if claimed != checksum.finish() {
            return Err(ChunkError::ChecksumMismatch { algorithm });
        }
        for part in [&name, ":", value, "\n"] {
            state.text.extend_from_slice(part.as_bytes());
        }
        self.trailers.checksum = Some((algorithm, value.to_owned()));
        Ok(())
    }
}

impl Chunk {
    /// Takes bytes of the chunk; returns those that may be used: all of a verified chunk, or any of an unsigned one.
    fn take(&mut self, input: &mut Bytes, signer: Option<&mut ChunkSigner>) -> Result<Option<Bytes>, ChunkError> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        let piece = input.split_to(count);
        self.left = self.left.saturating_sub(piece.len() as u64);
        let Some(held) = &mut self.held else {
            return Ok(Some(piece));
        };
        held.hash.update(&piece);
        // A chunk that came in one piece is not copied.
        let whole = self.left == 0 && held.bytes.is_empty();
        if !whole {
            held.bytes.extend_from_slice(&piece);
        }
        if self.left > 0 {
            return Ok(None);
        }
        let hash = digest_bytes(&held.hash.clone().finish());
        signer
            .ok_or(ChunkError::SignatureMismatch)?
            .check_chunk(&hash, &held.signature)?;
        Ok(Some(if whole { piece } else { held.bytes.split().freeze() }))
    }
}

/// What came after the last chunk.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trailers {
    /// The checksum, verified over the decoded body, as it was sent (base64).
    pub checksum: Option<(ChecksumAlgorithm, String)>,
}

/// The chain of signatures: each chunk's covers the one before.
pub(crate) struct ChunkSigner {
    key: SigningKey,
    /// The date and the scope, a line each.
    context: Vec<u8>,
    previous: Signature,
}

impl ChunkSigner {
    pub(crate) fn new(key: SigningKey, date: &str, scope: &str, seed: Signature) -> Self {
        Self {
            key,
            context: [date, "\n", scope, "\n"].concat().into_bytes(),
            previous: seed,
        }
    }

    fn check_chunk(&mut self, hash: &[u8; 32], signature: &Signature) -> Result<(), ChunkError> {
        let nothing = hex32(&sha256(b""));
        self.check(
            b"AWS4-HMAC-SHA256-PAYLOAD\n",
            &[&nothing, b"\n", &hex32(hash)],
            signature,
        )
    }

    fn check_trailer(&mut self, hash: &[u8; 32], signature: &Signature) -> Result<(), ChunkError> {
        self.check(b"AWS4-HMAC-SHA256-TRAILER\n", &[&hex32(hash)], signature)
    }

    fn check(&mut self, algorithm: &[u8], last: &[&[u8]], signature: &Signature) -> Result<(), ChunkError> {
        let mut text = Vec::with_capacity(384);
        text.extend_from_slice(algorithm);
        text.extend_from_slice(&self.context);
        text.extend_from_slice(&self.previous.hex());
        text.push(b'\n');
        for part in last {
            text.extend_from_slice(part);
        }
        self.previous = self.key.sign(&text);
        if self.previous.matches(signature) {
            Ok(())
        } else {
            Err(ChunkError::SignatureMismatch)
        }
    }
}

/// Why a body in aws-chunked encoding is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChunkError {
    /// The header is needed for every body in this encoding.
    #[error("the header x-amz-decoded-content-length is missing")]
    MissingDecodedLength,
    /// A header that describes the body is there twice, is no number, or does not fit the kind of payload.
    #[error("the header {name} is malformed")]
    MalformedHeader {
        /// The header.
        name: &'static str,
    },
    /// `x-amz-trailer` declares something else than one checksum.
    #[error("the trailer `{name}` is not supported: one x-amz-checksum trailer is")]
    UnsupportedTrailer {
        /// The value of the header, cut to a readable length.
        name: String,
    },
    /// The framing is wrong.
    #[error("the chunked body is malformed: {reason}")]
    MalformedChunk {
        /// What is wrong.
        reason: &'static str,
    },
    /// A signed chunk is larger than what is held in memory.
    #[error("a signed chunk has {size} bytes, and at most {MAX_SIGNED_CHUNK} are allowed")]
    ChunkTooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// The chunks hold more or less than was declared.
    #[error("the body does not have the declared length of {declared} bytes")]
    WrongLength {
        /// `x-amz-decoded-content-length`.
        declared: u64,
    },
    /// A chunk or the trailer was changed, moved, or signed with another key.
    #[error("a chunk signature does not match")]
    SignatureMismatch,
    /// There is something after the end.
    #[error("there are bytes after the end of the body")]
    ExtraBytes,
    /// The trailer is no list of `name:value`, or its signature or checksum is malformed.
    #[error("the trailer is malformed")]
    MalformedTrailer,
    /// The body has a trailer that `x-amz-trailer` does not declare, or has it twice.
    #[error("the trailer `{name}` is not declared")]
    UndeclaredTrailer {
        /// The trailer, cut to a readable length.
        name: String,
    },
    /// The declared trailer did not come.
    #[error("the declared trailer {name} is missing")]
    MissingTrailer {
        /// The trailer.
        name: &'static str,
    },
    /// The body is not what the checksum says.
    #[error("the {} checksum does not match the body", .algorithm.name())]
    ChecksumMismatch {
        /// The checksum's algorithm.
        algorithm: ChecksumAlgorithm,
    },
    /// The body ended before its last chunk or trailer.
    #[error("the body ended too early")]
    Incomplete,
}

fn malformed(reason: &'static str) -> ChunkError {
    ChunkError::MalformedChunk { reason }
}

fn declared_trailer(value: &str) -> Result<ChecksumAlgorithm, ChunkError> {
    ChecksumAlgorithm::from_header(value.trim()).ok_or_else(|| ChunkError::UnsupportedTrailer { name: excerpt(value) })
}

/// Takes from `input` to the end of a line of at most `limit` bytes; `None` if the line has not ended yet.
fn take_line(line: &mut Vec<u8>, input: &mut Bytes, limit: usize) -> Result<Option<Vec<u8>>, ChunkError> {
    let room = limit.saturating_sub(line.len());
    let end = input.iter().take(room).position(|byte| *byte == b'\n');
    let count = end.map_or(room.min(input.len()), |end| end.saturating_add(1));
    line.extend(input.iter().take(count));
    input.advance(count);
    if end.is_some() {
        return Ok(Some(std::mem::take(line)));
    }
    if line.len() >= limit {
        return Err(malformed("a line is too long"));
    }
    Ok(None)
}
