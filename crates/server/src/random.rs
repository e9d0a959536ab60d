use irsa_iam::Random;

/// The operating system's generator.
pub(crate) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        // The library retries inside and fails only where no generator exists at all; an id of zeros then collides and is refused by its compare.
        if let Err(error) = aws_lc_rs::rand::fill(buffer) {
            tracing::error!(%error, "the system gives no randomness");
        }
    }
}

/// A fresh array from the operating system's generator.
pub(crate) fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut buffer = [0; LENGTH];
    SystemRandom.fill(&mut buffer);
    buffer
}
