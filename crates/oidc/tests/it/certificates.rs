//! Whose certificate an issuer may have.

use irsa_oidc::{FetchError, FetchOptions, Trusted, thumbprint};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::issuer::{Authority, Issuer, KEYS, Reply, account, at, fetch_once, key, options};

fn params(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

fn expired(host: &str) -> CertificateParams {
    let mut params = params(host);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

/// An issuer with a certificate of these parameters and the authority's in the chain.
async fn issuer(authority: &Authority, params: &CertificateParams) -> Issuer {
    let (certificate, private) = authority.issue(params);
    let issuer = Issuer::with_chain(vec![certificate, authority.certificate()], &private).await;
    issuer.reply(KEYS, Reply::keys("", &[&key()]));
    issuer
}

/// Options under which no authority is known.
fn unknown(authority: &Authority) -> FetchOptions {
    FetchOptions {
        extra_ca: Vec::new(),
        ..options(authority)
    }
}

async fn fetch_with_thumbprint(options: FetchOptions, issuer: &Issuer, thumbprint: &str) -> Result<(), FetchError> {
    let trusted = Trusted::new(options).unwrap();
    let keys = trusted
        .keys(account(1), &issuer.url, &[thumbprint.to_owned()], None, at(0))
        .await;
    keys.map(|_| ())
}

#[tokio::test]
async fn jk_15_expired_or_foreign_certificates_are_refused() {
    let authority = Authority::new();
    for params in [
        expired("issuer.test"),
        params("other.test"),
        params("*.issuer.test"),
        params("127.0.0.1"),
    ] {
        let issuer = issuer(&authority, &params).await;
        let refused = fetch_once(options(&authority), &issuer).await.unwrap_err();
        assert!(matches!(refused, FetchError::Tls { .. }), "{refused}");
        assert_eq!(issuer.count(KEYS), 0);
    }
}

#[tokio::test]
async fn jk_15_unknown_authorities_are_refused() {
    let authority = Authority::named("same");
    let issuer = issuer(&authority, &params("issuer.test")).await;
    for options in [
        unknown(&authority),
        options(&Authority::new()),
        options(&Authority::named("same")),
    ] {
        let refused = fetch_once(options, &issuer).await.unwrap_err();
        assert!(matches!(refused, FetchError::UntrustedCertificate { .. }), "{refused}");
        assert!(refused.to_string().contains("--issuer-ca"), "{refused}");
    }
}

#[tokio::test]
async fn jk_15_thumbprints_count_if_the_authority_is_unknown() {
    let authority = Authority::new();
    let issuer = issuer(&authority, &params("issuer.test")).await;
    let known = thumbprint(issuer.chain.last().unwrap());
    fetch_with_thumbprint(unknown(&authority), &issuer, &known)
        .await
        .unwrap();
    fetch_with_thumbprint(unknown(&authority), &issuer, &known.to_uppercase())
        .await
        .unwrap();
    // A trusted authority needs none; AWS ignores a wrong one then.
    fetch_with_thumbprint(options(&authority), &issuer, &"0".repeat(40))
        .await
        .unwrap();
}

#[tokio::test]
async fn jk_16_a_wrong_thumbprint_is_told_with_the_right_one() {
    let authority = Authority::named("private");
    let issuer = issuer(&authority, &params("issuer.test")).await;
    let presented = thumbprint(&authority.certificate());
    let leaf = thumbprint(&issuer.chain[0]);
    for wrong in ["0".repeat(40), leaf, String::new(), presented[..39].to_owned()] {
        let refused = fetch_with_thumbprint(unknown(&authority), &issuer, &wrong)
            .await
            .unwrap_err();
        let host = "issuer.test".to_owned();
        let presented = presented.clone();
        assert_eq!(refused, FetchError::Thumbprint { host, presented });
        let namesake = options(&Authority::named("private"));
        assert_eq!(
            fetch_with_thumbprint(namesake, &issuer, &wrong).await.unwrap_err(),
            refused
        );
    }
}

#[tokio::test]
async fn jk_16_a_right_thumbprint_excuses_nothing_else() {
    let authority = Authority::new();
    let known = thumbprint(&authority.certificate());
    for params in [expired("issuer.test"), params("other.test")] {
        let issuer = issuer(&authority, &params).await;
        let refused = fetch_with_thumbprint(unknown(&authority), &issuer, &known)
            .await
            .unwrap_err();
        assert!(matches!(refused, FetchError::Tls { .. }), "{refused}");
    }
}

#[tokio::test]
async fn jk_16_the_pinned_certificate_must_have_signed_the_chain() {
    // The attacker's own certificate, with the pinned authority's merely put behind it: everybody has that one.
    let (pinned, attacker) = (Authority::new(), Authority::new());
    let (certificate, private) = attacker.issue(&params("issuer.test"));
    let issuer = Issuer::with_chain(
        vec![certificate, attacker.certificate(), pinned.certificate()],
        &private,
    )
    .await;
    let refused = fetch_with_thumbprint(unknown(&pinned), &issuer, &thumbprint(&pinned.certificate()))
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            FetchError::UntrustedCertificate { .. } | FetchError::Tls { .. }
        ),
        "{refused}"
    );
    assert_eq!(issuer.count(KEYS), 0);
}

#[tokio::test]
async fn jk_16_a_lone_certificate_is_the_last_of_its_chain() {
    let private = KeyPair::generate().unwrap();
    let certificate = params("issuer.test").self_signed(&private).unwrap().der().clone();
    let known = thumbprint(&certificate);
    let issuer = Issuer::with_chain(vec![certificate], &private).await;
    issuer.reply(KEYS, Reply::keys("", &[&key()]));
    let authority = Authority::new();
    fetch_with_thumbprint(unknown(&authority), &issuer, &known)
        .await
        .unwrap();
    assert!(
        fetch_with_thumbprint(unknown(&authority), &issuer, &"0".repeat(40))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn jk_20_changed_thumbprints_are_heeded_at_once() {
    let authority = Authority::new();
    let issuer = issuer(&authority, &params("issuer.test")).await;
    let trusted = Trusted::new(unknown(&authority)).unwrap();
    let known = [thumbprint(&authority.certificate())];
    let wrong = ["0".repeat(40)];
    for _ in 0..2 {
        assert!(trusted.keys(account(1), &issuer.url, &known, None, at(0)).await.is_ok());
        assert!(
            trusted
                .keys(account(1), &issuer.url, &wrong, None, at(0))
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn jk_15_the_systems_authorities_do_not_vouch_for_a_private_one() {
    let authority = Authority::new();
    let issuer = issuer(&authority, &params("issuer.test")).await;
    let system = |extra_ca| FetchOptions {
        system_ca: true,
        extra_ca,
        ..options(&authority)
    };
    assert!(fetch_once(system(Vec::new()), &issuer).await.is_err());
    assert!(fetch_once(system(vec![authority.certificate()]), &issuer).await.is_ok());
}

#[test]
fn an_authority_that_is_none_is_told_at_the_start() {
    let options = FetchOptions {
        extra_ca: vec![vec![1, 2, 3].into()],
        ..FetchOptions::default()
    };
    assert!(Trusted::new(options).is_err());
}
