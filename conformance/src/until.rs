//! Waiting for programs of others that say nothing when they are ready.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The first and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

/// Looks until something is there, soon at first and then more seldom, and no longer than `limit`. A look says what is there, or why it is not
/// there yet; its error ends the waiting.
pub fn until<T>(limit: Duration, mut look: impl FnMut() -> Result<Result<T, String>>) -> Result<T> {
    let started = Instant::now();
    let (mut pause, longest) = PAUSES;
    loop {
        let missing = match look()? {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        if started.elapsed() > limit {
            bail!("not ready after {} seconds: {missing}", limit.as_secs());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_until_it_is_there_or_never_will_be() {
        let mut looks = 0;
        let found = until(Duration::from_secs(60), || {
            looks += 1;
            Ok(if looks == 3 {
                Ok("there")
            } else {
                Err("not yet".to_owned())
            })
        });
        assert_eq!((found.unwrap(), looks), ("there", 3));
        let late = until(Duration::ZERO, || Ok(Err::<(), _>("it sleeps".to_owned())));
        assert_eq!(late.unwrap_err().to_string(), "not ready after 0 seconds: it sleeps");
        let ended = until(Duration::from_secs(60), || -> Result<Result<(), String>> {
            bail!("it ended")
        });
        assert_eq!(ended.unwrap_err().to_string(), "it ended");
    }
}
