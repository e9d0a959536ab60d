//! Any bytes as a review: there is an answer in its own words; a pod's patch applies, only adds, and is empty the second time.
#![no_main]

use std::sync::LazyLock;

use irsa_webhook::review::{Answer, Request, Review};
use irsa_webhook::{
    ContainerIdentity, Identity, Mutation, PatchOperation, SessionName, Settings, WindowsDetection, apply, mutate,
    mutate_container_credentials,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| Settings {
    default_region: Some("us-east-1".into()),
    regional_sts: true,
    account_lists: true,
    windows_detection: WindowsDetection::Declared,
    session_name: SessionName::Pod,
    ..Settings::default()
});

fuzz_target!(|body: &[u8]| {
    let review = Review::read(Some(b"application/json"), body).unwrap();
    let Ok(Request::Pod { pod, .. }) = &review.request else {
        return answered(&review, &Answer::default());
    };
    let role = Identity::new("arn:aws:iam::111122223333:role/reader", &SETTINGS);
    let served = ContainerIdentity {
        regional_sts: true,
        token_expiration_seconds: 86_400,
        jitter_seconds: 60,
    };
    once(&review, pod, |pod| mutate(pod, &role, &SETTINGS));
    once(&review, pod, |pod| {
        mutate_container_credentials(pod, &served, &SETTINGS)
    });
});

fn once(review: &Review, pod: &Value, mutate: impl Fn(&Value) -> Mutation) {
    let mutation = mutate(pod);
    let operations = &mutation.patch.0;
    assert!(
        operations
            .iter()
            .all(|operation| matches!(operation, PatchOperation::Add(_)))
    );
    let mut changed = pod.clone();
    apply(&mut changed, &mutation.patch).unwrap();
    // What differs is what was added: nothing gets shorter.
    assert!(changed.to_string().len() >= pod.to_string().len());
    let again = mutate(&changed);
    assert!(again.patch.0.is_empty(), "{:?}", again.patch);
    let answer = Answer {
        patch: mutation.patch,
        warnings: mutation.warnings.iter().map(ToString::to_string).collect(),
        ..Answer::default()
    };
    assert!(
        answer
            .warnings
            .iter()
            .all(|warning| warning.chars().count() < 256 && !warning.contains('\n'))
    );
    answered(review, &answer);
}

fn answered(review: &Review, answer: &Answer) {
    let text = review.answer(answer);
    let answered: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answered["response"]["uid"], review.uid());
    assert!(answered["response"]["allowed"].is_boolean());
    assert_eq!(
        answered["response"].get("patch").is_some(),
        answered["response"].get("patchType").is_some()
    );
}
