use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// A secret access key. It is wiped when dropped and prints nowhere.
#[derive(Clone)]
pub struct SecretAccessKey(Zeroizing<Box<str>>);

impl SecretAccessKey {
    /// Takes a secret that was stored (and unsealed) by us.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Writes 30 bytes as the 40 characters that a secret has on AWS.
    pub(crate) fn from_key_material(material: &[u8; 30]) -> Self {
        let text = Zeroizing::new(STANDARD_NO_PAD.encode(material));
        Self::from_stored(&text)
    }

    /// The secret as the bytes that SigV4 takes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The secret as text, for the one answer that hands it to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Makes the secret of a long-term access key: 240 random bits as 40 characters of AWS's alphabet.
///
/// # Errors
/// If the operating system gives no randomness.
pub fn generate_long_term_secret() -> Result<SecretAccessKey, RandomnessError> {
    let mut material = Zeroizing::new([0; 30]);
    fill_random(material.as_mut_slice())?;
    Ok(SecretAccessKey::from_key_material(&material))
}

/// Fills `bytes` from the operating system's generator.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), RandomnessError> {
    rand::fill(bytes).map_err(|_| RandomnessError)
}

/// The operating system gave no randomness, so nothing secret can be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no randomness is available")]
pub struct RandomnessError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_term_secrets_have_the_form_of_aws() {
        let secret = generate_long_term_secret().unwrap();
        assert_eq!(secret.expose().len(), 40);
        let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        assert!(secret.as_bytes().iter().all(|byte| alphabet(*byte)));
        assert_ne!(secret.expose(), generate_long_term_secret().unwrap().expose());
    }
}
