//! The check of a body that is not kept here.

use http::HeaderMap;
use s3s::S3Result;
use s3s::crypto::{Checksum as _, Md5};

use super::{Claimed, Hasher, Value, check_form};
use crate::access::error;
use crate::question::S3Refusal;

/// What a request's headers say its content has: `Content-MD5`, a checksum, or a checksum in the trailer.
pub struct Integrity {
    claimed: Claimed,
    md5: Option<Md5>,
    checksum: Option<Hasher>,
}

impl Integrity {
    /// Reads the headers.
    ///
    /// # Errors
    /// They say it in a wrong form, or twice.
    pub fn of(headers: &HeaderMap) -> Result<Self, S3Refusal> {
        let claimed = Claimed::of(headers)?;
        Ok(Self {
            md5: claimed.md5.is_some().then(Md5::new),
            checksum: claimed.algorithm().map(Hasher::new),
            claimed,
        })
    }

    /// The content goes by.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
    }

    /// The content is at its end. Gives the header of the checksum that came in the trailer, and its value.
    ///
    /// # Errors
    /// It is not what was said.
    pub fn finish(self, trailers: Option<&HeaderMap>) -> Result<Option<(&'static str, String)>, S3Refusal> {
        Ok(self.compare(trailers)?)
    }

    fn compare(self, trailers: Option<&HeaderMap>) -> S3Result<Option<(&'static str, String)>> {
        let md5 = self.md5.map(Md5::finalize);
        if let (Some(claimed), Some(found)) = (&self.claimed.md5, md5)
            && claimed.as_slice() != found.as_ref()
        {
            return Err(error(
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            ));
        }
        let Some(computed) = self.checksum.map(Hasher::finish) else {
            return Ok(None);
        };
        let algorithm = self.claimed.algorithm;
        let (claimed, trailing) = match self.claimed.value {
            Value::None => return Ok(None),
            Value::Given(value) => (value, false),
            Value::Trailer => {
                let value = trailers
                    .and_then(|trailers| trailers.get(algorithm.header()))
                    .and_then(|value| value.to_str().ok())
                    .ok_or_else(|| {
                        error(
                            "MalformedTrailerError",
                            "The request contained trailing data that was not well-formed or did not conform to our published schema.",
                        )
                    })?;
                check_form(algorithm, value)?;
                (value.to_owned(), true)
            }
        };
        if claimed != computed {
            let name = algorithm.name();
            return Err(error(
                "BadDigest",
                format!("The {name} you specified did not match the calculated checksum."),
            ));
        }
        Ok(trailing.then_some((algorithm.header(), claimed)))
    }
}
