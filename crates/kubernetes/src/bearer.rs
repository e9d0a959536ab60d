//! Bearer tokens that end: asked for anew before they do, and when the API server no longer takes one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::HeaderValue;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long before its end a token counts as ended, or a quarter of its life if that is less: a call takes its time, and clocks differ.
const MARGIN: Duration = Duration::from_secs(60);
/// How young a token is not asked for anew because it was refused: another would be refused as well.
const YOUNG: Duration = Duration::from_secs(10);

/// A bearer token.
pub struct BearerToken {
    value: Zeroizing<String>,
    expires: Option<SystemTime>,
}

impl BearerToken {
    /// A token, and when it ends; without an end it is used until it is refused.
    #[must_use]
    pub fn new(value: impl Into<String>, expires: Option<SystemTime>) -> Self {
        Self {
            value: Zeroizing::new(value.into()),
            expires,
        }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BearerToken")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

type Fetch = Box<dyn Fn() -> BoxFuture<'static, Result<BearerToken, String>> + Send + Sync>;

/// Where bearer tokens come from. Clones share the token.
#[derive(Clone)]
pub struct TokenSource(Arc<Shared>);

struct Shared {
    fetch: Fetch,
    /// The token of now, or whoever is fetching it: all others wait for the one.
    current: Mutex<Arc<OnceCell<Held>>>,
}

struct Held {
    header: HeaderValue,
    /// When the next one is asked for.
    until: Option<SystemTime>,
    since: Instant,
}

impl Held {
    fn is_ending(&self, now: SystemTime) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl TokenSource {
    /// Makes tokens by `fetch`, whose errors are for people.
    pub fn new<F>(fetch: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<BearerToken, String>> + Send + 'static,
    {
        Self(Arc::new(Shared {
            fetch: Box::new(move || Box::pin(fetch())),
            current: Mutex::default(),
        }))
    }

    /// The `Authorization` header of now.
    pub(crate) async fn header(&self) -> Result<HeaderValue, String> {
        let current = self.renewed(|held| held.is_ending(SystemTime::now()));
        if let Some(held) = current.get() {
            return Ok(held.header.clone());
        }
        // Whoever waits for it may have less time than it takes; then the next one finds it there.
        let source = self.clone();
        let fetching = tokio::spawn(async move {
            let held = current.get_or_try_init(|| source.fetch()).await?;
            Ok(held.header.clone())
        });
        fetching.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// The token of this header was not accepted. Whether it makes sense to ask again, with another.
    pub(crate) fn refused(&self, header: &HeaderValue) -> bool {
        let current = self.renewed(|held| held.header == header && held.since.elapsed() >= YOUNG);
        current.get().is_none_or(|held| held.header != header)
    }

    /// The token of now, which is one to be fetched if the one that is there is `old`.
    fn renewed(&self, old: impl Fn(&Held) -> bool) -> Arc<OnceCell<Held>> {
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.get().is_some_and(old) {
            *current = Arc::default();
        }
        Arc::clone(&current)
    }

    async fn fetch(&self) -> Result<Held, String> {
        let token = (self.0.fetch)().await?;
        let text = Zeroizing::new(format!("Bearer {}", token.value.trim()));
        let mut header = HeaderValue::from_str(&text).map_err(|_| "the token is none that can be sent".to_owned())?;
        header.set_sensitive(true);
        let until = token.expires.map(|expires| {
            let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
            expires - MARGIN.min(left / 4)
        });
        Ok(Held {
            header,
            until,
            since: Instant::now(),
        })
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenSource").finish_non_exhaustive()
    }
}

/// The same source, not only one that makes equal tokens.
impl PartialEq for TokenSource {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TokenSource {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Tokens `t1`, `t2`, … that end after `life`, and how many there were.
    fn counted(life: Option<Duration>) -> (TokenSource, Arc<AtomicU32>) {
        let count = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&count);
        let source = TokenSource::new(move || {
            let counter = Arc::clone(&counter);
            async move {
                tokio::task::yield_now().await;
                let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                Ok(BearerToken::new(
                    format!("t{number}\n"),
                    life.map(|life| SystemTime::now() + life),
                ))
            }
        });
        (source, count)
    }

    #[tokio::test]
    async fn one_token_serves_all_until_shortly_before_its_end() {
        let (source, count) = counted(Some(Duration::from_secs(900)));
        let headers = futures_util::future::join_all((0..20).map(|_| source.header())).await;
        for header in headers {
            let header = header.unwrap();
            assert_eq!(header, "Bearer t1");
            assert!(header.is_sensitive());
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);

        let (source, count) = counted(Some(Duration::ZERO));
        assert_eq!(source.header().await.unwrap(), "Bearer t1");
        assert_eq!(source.header().await.unwrap(), "Bearer t2");
        assert_eq!(count.load(Ordering::SeqCst), 2);

        for (life, used) in [(900, 840), (60, 45), (4, 3)] {
            let (source, _) = counted(Some(Duration::from_secs(life)));
            let now = SystemTime::now();
            let held = source.fetch().await.unwrap();
            assert!(!held.is_ending(now + Duration::from_secs(used - 1)), "{life}");
            assert!(held.is_ending(now + Duration::from_secs(used + 1)), "{life}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_once_and_a_young_one_not() {
        let (source, count) = counted(None);
        let first = source.header().await.unwrap();
        assert!(!source.refused(&first), "the next one would be refused as well");
        tokio::time::advance(YOUNG).await;
        assert!(source.refused(&first));
        assert!(
            source.refused(&first),
            "whoever comes later is told of the same new one"
        );
        assert_eq!(source.header().await.unwrap(), "Bearer t2");
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_early_leaves_a_token_to_the_next() {
        let source = TokenSource::new(|| async {
            tokio::time::sleep(Duration::from_secs(15)).await;
            Ok(BearerToken::new("slow", None))
        });
        let short = Duration::from_secs(10);
        assert!(tokio::time::timeout(short, source.header()).await.is_err());
        assert_eq!(
            tokio::time::timeout(short, source.header()).await.unwrap().unwrap(),
            "Bearer slow"
        );
    }

    #[tokio::test]
    async fn what_fails_is_tried_again_the_next_time_and_never_shown() {
        let source = TokenSource::new(|| async { Ok(BearerToken::new("to\nken", None)) });
        assert_eq!(source.header().await.unwrap_err(), "the token is none that can be sent");
        let source = TokenSource::new(|| async { Err("no session".to_owned()) });
        assert_eq!(source.header().await.unwrap_err(), "no session");
        let token = BearerToken::new("secret", None);
        assert_eq!(
            format!("{token:?}{source:?}"),
            "BearerToken { expires: None, .. }TokenSource { .. }"
        );
    }
}
