//! The verifier from outside: AWS's own test suite, `aws-sigv4` as the signer, and the attacks of the adversarial catalogue.

mod adversarial;
mod adversarial_chunks;
mod adversarial_payload;
mod adversarial_times;
mod chunks;
mod garbage;
mod round_trip;
mod suite;
mod support;
