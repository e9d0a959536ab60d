//! When is fetched, and what is remembered.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use irsa_oidc::{FetchError, FetchOptions, Trusted};
use irsa_token::SigningKey;
use tokio::sync::Notify;

use crate::issuer::{Authority, DISCOVERY, Issuer, KEYS, Reply, account, ask, at, key, options};

/// A fetcher and an issuer with one key, whose key set has these headers.
async fn pair(headers: &str) -> (Trusted, Issuer, SigningKey) {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    issuer.reply(KEYS, Reply::keys(headers, &[&key]));
    (Trusted::new(options(&authority)).unwrap(), issuer, key)
}

fn failure() -> Reply {
    Reply::status("503 Service Unavailable", "", "")
}

#[tokio::test]
async fn jk_11_many_callers_cause_one_fetch() {
    let (trusted, issuer, key) = pair("").await;
    let calls = (0..200).map(|_| ask(&trusted, &issuer, Some(key.key_id()), at(0)));
    for keys in join_all(calls).await {
        assert!(keys.unwrap().contains(key.key_id()));
    }
    assert_eq!((issuer.count(DISCOVERY), issuer.count(KEYS)), (1, 1));
}

#[tokio::test]
async fn jk_11_unknown_key_ids_cause_one_fetch_an_interval() {
    let (trusted, issuer, key) = pair("cache-control: max-age=3600\r\n").await;
    for second in 0..20 {
        let kids: Vec<String> = (0..500).map(|index| format!("unknown-{second}-{index}")).collect();
        for kid in &kids {
            let keys = ask(&trusted, &issuer, Some(kid), at(second)).await.unwrap();
            assert!(!keys.contains(kid) && keys.contains(key.key_id()));
        }
    }
    // The first one, and those of the seconds 0, 5, 10 and 15.
    assert_eq!(issuer.count(KEYS), 5);
}

#[tokio::test]
async fn jk_11_a_burst_of_unknown_key_ids_waits_for_one_fetch() {
    let (trusted, issuer, key) = pair("").await;
    ask(&trusted, &issuer, Some(key.key_id()), at(0)).await.unwrap();
    let kids: Vec<String> = (0..10_000).map(|index| format!("unknown-{index}")).collect();
    for keys in join_all(kids.iter().map(|kid| ask(&trusted, &issuer, Some(kid), at(1)))).await {
        assert!(keys.unwrap().contains(key.key_id()));
    }
    assert_eq!(issuer.count(KEYS), 2);
}

#[tokio::test]
async fn jk_11_issuers_that_forbid_caching_have_a_budget() {
    let (trusted, issuer, key) = pair("cache-control: no-cache\r\n").await;
    for index in 0..1000 {
        let kid = format!("unknown-{index}");
        let known = if index % 2 == 0 { key.key_id() } else { &kid };
        ask(&trusted, &issuer, Some(known), at(0)).await.unwrap();
    }
    assert_eq!(issuer.count(KEYS), 1 + 8);
    for index in 0..100 {
        ask(&trusted, &issuer, Some(&format!("more-{index}")), at(3))
            .await
            .unwrap();
    }
    assert_eq!(issuer.count(KEYS), 1 + 8 + 3);
}

#[tokio::test]
async fn jk_12_a_new_key_is_accepted_after_one_fetch() {
    let (trusted, issuer, old) = pair("cache-control: max-age=3600\r\n").await;
    ask(&trusted, &issuer, Some(old.key_id()), at(0)).await.unwrap();
    let new = key();
    issuer.reply(KEYS, Reply::keys("", &[&old, &new]));
    let keys = ask(&trusted, &issuer, Some(new.key_id()), at(1)).await.unwrap();
    assert!(keys.contains(new.key_id()));
    assert_eq!(issuer.count(KEYS), 2);
}

#[tokio::test]
async fn jk_12_a_fetch_that_began_before_the_key_was_published_is_not_the_last_word() {
    let (trusted, issuer, old) = pair("").await;
    ask(&trusted, &issuer, Some(old.key_id()), at(0)).await.unwrap();
    let gate = Arc::new(Notify::new());
    issuer.reply(KEYS, Reply::keys("", &[&old]).gated(&gate));
    // In the last quarter of its life, the set is fetched anew behind the caller's back.
    ask(&trusted, &issuer, Some(old.key_id()), at(299)).await.unwrap();
    while issuer.count(KEYS) < 2 {
        tokio::task::yield_now().await;
    }
    let new = key();
    issuer.reply(KEYS, Reply::keys("", &[&old, &new]));
    let call = ask(&trusted, &issuer, Some(new.key_id()), at(299));
    let (keys, ()) = tokio::join!(call, async { gate.notify_one() });
    assert!(keys.unwrap().contains(new.key_id()));
    assert_eq!(issuer.count(KEYS), 3);
}

#[tokio::test]
async fn a_key_change_under_one_key_id_is_seen_at_once_if_the_issuer_forbids_caching() {
    for headers in [
        "cache-control: no-cache\r\n",
        "cache-control: max-age=0\r\n",
        "cache-control: no-store, max-age=60\r\n",
    ] {
        let (trusted, issuer, _) = pair(headers).await;
        for round in 1..5 {
            let signer = key();
            let mut document = SigningKey::jwk_set(&[&signer, &signer]);
            document["keys"][0]["kid"] = "same".into();
            issuer.reply(KEYS, Reply::ok(headers, &document.to_string()));
            let keys = ask(&trusted, &issuer, Some("same"), at(0)).await.unwrap();
            assert!(keys.contains(signer.key_id()), "{headers} {round}");
            assert_eq!(issuer.count(KEYS), round);
        }
    }
}

#[tokio::test]
async fn jk_13_the_last_good_keys_are_used_while_the_issuer_fails() {
    let (trusted, issuer, key) = pair("").await;
    let kid = Some(key.key_id());
    ask(&trusted, &issuer, kid, at(0)).await.unwrap();
    issuer.reply(KEYS, failure());
    let day = 24 * 3600;
    for seconds in [300, 1000, 3600, day] {
        assert!(
            ask(&trusted, &issuer, kid, at(seconds))
                .await
                .unwrap()
                .contains(key.key_id()),
            "{seconds}"
        );
    }
    let refused = ask(&trusted, &issuer, kid, at(day + 1)).await.unwrap_err();
    assert!(matches!(refused, FetchError::Status { status: 503, .. }), "{refused}");
    issuer.reply(KEYS, Reply::keys("", &[&key]));
    assert!(ask(&trusted, &issuer, kid, at(day + 3600)).await.is_ok());
}

#[tokio::test]
async fn jk_13_an_unknown_key_of_a_failing_issuer_is_told_with_the_failure() {
    let (trusted, issuer, key) = pair("").await;
    ask(&trusted, &issuer, Some(key.key_id()), at(0)).await.unwrap();
    issuer.reply(KEYS, failure());
    let refused = ask(&trusted, &issuer, Some("new"), at(1)).await.unwrap_err();
    assert!(matches!(refused, FetchError::Status { status: 503, .. }), "{refused}");
    assert!(ask(&trusted, &issuer, Some(key.key_id()), at(1)).await.is_ok());
}

#[tokio::test]
async fn jk_13_an_empty_set_never_replaces_a_good_one() {
    for empty in [
        "{}",
        r#"{"keys":[]}"#,
        r#"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}"#,
    ] {
        let (trusted, issuer, key) = pair("").await;
        ask(&trusted, &issuer, None, at(0)).await.unwrap();
        issuer.reply(KEYS, Reply::ok("", empty));
        for seconds in [400, 800] {
            assert!(
                ask(&trusted, &issuer, None, at(seconds))
                    .await
                    .unwrap()
                    .contains(key.key_id()),
                "{empty}"
            );
        }
        trusted.forget(account(1), &issuer.url);
        let refused = ask(&trusted, &issuer, None, at(800)).await.unwrap_err();
        assert!(matches!(refused, FetchError::NoKeys { .. }), "{refused}");
    }
}

#[tokio::test]
async fn jk_09_published_private_keys_end_the_trust_in_the_old_set() {
    let (trusted, issuer, key) = pair("").await;
    ask(&trusted, &issuer, None, at(0)).await.unwrap();
    let mut document = SigningKey::jwk_set(&[&key]);
    document["keys"][0]["d"] = "AAAA".into();
    issuer.reply(KEYS, Reply::ok("", &document.to_string()));
    let refused = ask(&trusted, &issuer, Some(key.key_id()), at(300)).await.unwrap_err();
    assert!(matches!(refused, FetchError::PrivateKeys { .. }), "{refused}");
}

#[tokio::test]
async fn jk_13_a_failing_issuer_is_asked_ever_more_seldom() {
    let (trusted, issuer, _) = pair("").await;
    issuer.reply(KEYS, failure());
    let mut fetches = Vec::new();
    for second in 0..200 {
        for kid in ["a", "b", "c"] {
            ask(&trusted, &issuer, Some(kid), at(second)).await.unwrap_err();
        }
        if issuer.count(KEYS) > fetches.len() {
            fetches.push(second);
        }
    }
    assert_eq!(issuer.count(KEYS), fetches.len());
    let pauses: Vec<i64> = fetches.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // 2, 4, 8, 16, 32, 60 seconds, counted from the end of the fetch, which takes milliseconds.
    for (pause, expected) in pauses.iter().zip([2, 4, 8, 16, 32, 60, 60]) {
        assert!((expected..=expected + 2).contains(pause), "{pauses:?}");
    }
    assert!((6..=8).contains(&fetches.len()), "{fetches:?}");
}

#[tokio::test]
async fn jk_14_a_removed_key_is_unusable_after_the_lifetime() {
    let (trusted, issuer, old) = pair("cache-control: max-age=60\r\n").await;
    ask(&trusted, &issuer, Some(old.key_id()), at(0)).await.unwrap();
    let new = key();
    issuer.reply(KEYS, Reply::keys("cache-control: max-age=60\r\n", &[&new]));
    assert!(
        ask(&trusted, &issuer, Some(old.key_id()), at(44))
            .await
            .unwrap()
            .contains(old.key_id())
    );
    assert!(
        !ask(&trusted, &issuer, Some(old.key_id()), at(60))
            .await
            .unwrap()
            .contains(old.key_id())
    );
}

#[tokio::test]
async fn jk_14_a_purge_works_at_once() {
    let (trusted, issuer, old) = pair("cache-control: max-age=3600\r\n").await;
    ask(&trusted, &issuer, Some(old.key_id()), at(0)).await.unwrap();
    issuer.reply(KEYS, Reply::keys("", &[&key()]));
    trusted.forget(account(2), &issuer.url);
    assert!(
        ask(&trusted, &issuer, Some(old.key_id()), at(1))
            .await
            .unwrap()
            .contains(old.key_id())
    );
    trusted.forget(account(1), &issuer.url);
    assert!(
        !ask(&trusted, &issuer, Some(old.key_id()), at(1))
            .await
            .unwrap()
            .contains(old.key_id())
    );
    issuer.reply(KEYS, Reply::keys("", &[&old]));
    trusted.forget_all();
    assert!(
        ask(&trusted, &issuer, Some(old.key_id()), at(1))
            .await
            .unwrap()
            .contains(old.key_id())
    );
}

#[tokio::test]
async fn jk_17_lifetimes_are_clamped() {
    for (header, still_used, fetched_anew) in [
        ("", 300, 301),
        ("cache-control: max-age=31536000\r\n", 3600, 3601),
        ("cache-control: max-age=99999999999999999999\r\n", 3600, 3601),
        ("cache-control: max-age=1\r\n", 30, 31),
        ("cache-control: max-age=120\r\nage: 60\r\ndate: garbage\r\n", 60, 61),
    ] {
        // Just before the end, the answer comes from memory, whatever is fetched behind it.
        let (trusted, issuer, key) = pair(header).await;
        ask(&trusted, &issuer, None, at(0)).await.unwrap();
        issuer.reply(KEYS, Reply::Silence);
        assert!(
            ask(&trusted, &issuer, None, at(still_used - 1))
                .await
                .unwrap()
                .contains(key.key_id()),
            "{header}"
        );
        let (trusted, issuer, _) = pair(header).await;
        ask(&trusted, &issuer, None, at(0)).await.unwrap();
        ask(&trusted, &issuer, None, at(fetched_anew)).await.unwrap();
        assert_eq!(issuer.count(KEYS), 2, "{header}");
    }
}

#[tokio::test]
async fn jk_19_accounts_and_providers_share_nothing() {
    let authority = Authority::new();
    let (one, two) = (key(), key());
    let same = |signer: &SigningKey| {
        SigningKey::jwk_set(&[signer])
            .to_string()
            .replace(signer.key_id(), "same")
    };
    let (first, second) = (
        Issuer::start(&authority, &[]).await,
        Issuer::start(&authority, &[]).await,
    );
    first.reply(KEYS, Reply::ok("", &same(&one)));
    second.reply(KEYS, Reply::ok("", &same(&two)));
    let trusted = Trusted::new(options(&authority)).unwrap();
    let keys_of_first = ask(&trusted, &first, Some("same"), at(0)).await.unwrap();
    let keys_of_second = ask(&trusted, &second, Some("same"), at(0)).await.unwrap();
    assert!(!Arc::ptr_eq(&keys_of_first, &keys_of_second));
    let elsewhere = trusted
        .keys(account(2), &first.url, &[], Some("same"), at(0))
        .await
        .unwrap();
    assert!(!Arc::ptr_eq(&keys_of_first, &elsewhere));
    assert_eq!((first.count(KEYS), second.count(KEYS)), (2, 1));
}

#[tokio::test]
async fn jk_20_a_deleted_provider_leaves_nothing_to_the_next_one() {
    let (trusted, issuer, old) = pair("").await;
    let gate = Arc::new(Notify::new());
    issuer.reply(KEYS, Reply::keys("", &[&old]).gated(&gate));
    let new = key();
    let first = ask(&trusted, &issuer, Some(old.key_id()), at(0));
    let second = async {
        while issuer.count(KEYS) < 1 {
            tokio::task::yield_now().await;
        }
        trusted.forget(account(1), &issuer.url);
        issuer.reply(KEYS, Reply::keys("", &[&new]));
        let keys = ask(&trusted, &issuer, Some(new.key_id()), at(0)).await.unwrap();
        gate.notify_one();
        keys
    };
    let (of_old, of_new) = tokio::join!(first, second);
    assert!(of_old.unwrap().contains(old.key_id()) && of_new.contains(new.key_id()));
    // The old fetch ended last, and changed nothing.
    assert!(
        ask(&trusted, &issuer, Some(new.key_id()), at(0))
            .await
            .unwrap()
            .contains(new.key_id())
    );
    assert_eq!(issuer.count(KEYS), 2);
}

#[tokio::test]
async fn a_caller_who_goes_away_takes_no_fetch_along() {
    let (trusted, issuer, key) = pair("").await;
    let gate = Arc::new(Notify::new());
    issuer.reply(KEYS, Reply::keys("", &[&key]).gated(&gate));
    let caller = tokio::spawn({
        let (trusted, url) = (trusted.clone(), issuer.url.clone());
        async move { trusted.keys(account(1), &url, &[], None, at(0)).await }
    });
    while issuer.count(KEYS) < 1 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.notify_one();
    assert!(ask(&trusted, &issuer, None, at(0)).await.is_ok());
    assert_eq!(issuer.count(KEYS), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nothing_alive() {
    let (trusted, issuer, _) = pair("").await;
    ask(&trusted, &issuer, None, at(0)).await.unwrap();
    ask(&trusted, &issuer, None, at(-7200)).await.unwrap();
    assert_eq!(issuer.count(KEYS), 2);
    issuer.reply(KEYS, failure());
    trusted.forget_all();
    ask(&trusted, &issuer, None, at(0)).await.unwrap_err();
    issuer.reply(KEYS, Reply::keys("", &[&key()]));
    ask(&trusted, &issuer, None, at(-7200)).await.unwrap();
}

#[tokio::test]
async fn memory_is_bounded() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    let trusted = Trusted::new(FetchOptions {
        maximum_issuers: 2,
        maximum_fetches: 1,
        ..options(&authority)
    })
    .unwrap();
    let ask = |number, seconds| {
        let (trusted, url) = (trusted.clone(), issuer.url.clone());
        async move {
            trusted
                .keys(account(number), &url, &[], None, at(seconds))
                .await
                .unwrap()
        }
    };
    ask(1, 0).await;
    ask(2, 1).await;
    ask(1, 2).await;
    ask(3, 3).await;
    assert_eq!(issuer.count(KEYS), 3);
    // The one not used for longest is gone, the other is not.
    ask(1, 4).await;
    assert_eq!(issuer.count(KEYS), 3);
    ask(2, 5).await;
    assert_eq!(issuer.count(KEYS), 4);
}

#[tokio::test]
async fn fetches_wait_for_each_other_if_there_are_many() {
    let (authority, key) = (Authority::new(), key());
    let issuer = Issuer::start(&authority, &[&key]).await;
    let trusted = Trusted::new(FetchOptions {
        maximum_fetches: 1,
        deadline: Duration::from_secs(60),
        ..options(&authority)
    })
    .unwrap();
    let calls = (0..20).map(|number| trusted.keys(account(number), &issuer.url, &[], None, at(0)));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(issuer.count(KEYS), 20);
}
