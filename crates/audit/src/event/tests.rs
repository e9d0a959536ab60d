use super::*;
use crate::{SessionContext, SessionIssuer};

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn noon() -> Timestamp {
    Timestamp::parse_iso8601("2026-09-11T10:00:00Z").unwrap()
}

const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/issuer.example";
const ROLE: &str = "arn:aws:iam::111122223333:role/apps/reader";

fn exchange<'a>(identity: UserIdentity<'a>, resources: &'a [Resource<'a>]) -> Event<'a> {
    Event {
        user_identity: identity,
        event_time: noon(),
        event_source: "sts.amazonaws.com",
        event_name: "AssumeRoleWithWebIdentity",
        aws_region: "us-east-1",
        source_ip_address: "203.0.113.5",
        user_agent: "aws-cli/2.30",
        error: None,
        request_parameters: Some(
            r#"{"roleArn":"arn:aws:iam::111122223333:role/apps/reader","roleSessionName":"app1","durationSeconds":3600}"#,
        ),
        response_elements: None,
        additional_event_data: &[(
            "RequestDetails",
            r#"{"awsServingRegion":"us-east-1","endpointType":"regional"}"#,
        )],
        irsa: None,
        request_id: "c6104cbe-af31-11e0-8154-cbc7ccf896c7",
        event_id: "8f1c2d3e-4a5b-4c6d-8e7f-0a1b2c3d4e5f",
        read_only: true,
        resources,
        category: Category::Management,
        recipient_account: Some(account()),
        tls: Some(TlsDetails {
            version: Some("TLSv1.3"),
            cipher_suite: Some("TLS_AES_128_GCM_SHA256"),
            host: Some("sts.us-east-1.amazonaws.com"),
            key_exchange: None,
        }),
    }
}

/// The record in one line, and again for people.
fn snapshot(name: &str, event: &Event<'_>) {
    let json = event.to_json();
    assert!(!json.contains('\n'));
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    insta::assert_snapshot!(name, serde_json::to_string_pretty(&read).unwrap());
}

#[test]
fn an_exchange() {
    let resources = [Resource {
        account: Some(account()),
        kind: "AWS::IAM::Role",
        arn: ROLE,
    }];
    let identity = UserIdentity::WebIdentityUser {
        principal_id: "arn:aws:iam::111122223333:oidc-provider/issuer.example:sts.amazonaws.com:system:serviceaccount:ns:sa",
        user_name: "system:serviceaccount:ns:sa",
        identity_provider: PROVIDER,
    };
    let mut answer = ObjectWriter::new();
    answer
        .open("credentials")
        .text("accessKeyId", "ASIAIOSFODNN7EXAMPLE")
        .text("expiration", "Sep 11, 2026, 11:00:00 AM")
        .close()
        .text("subjectFromWebIdentityToken", "system:serviceaccount:ns:sa")
        .open("assumedRoleUser")
        .text("assumedRoleId", "AROACLKWSDQRAOEXAMPLE:app1")
        .text("arn", "arn:aws:sts::111122223333:assumed-role/reader/app1")
        .close()
        .number("packedPolicySize", 24)
        .text("provider", PROVIDER)
        .text("audience", "sts.amazonaws.com");
    let answer = answer.finish();
    let event = Event {
        response_elements: Some(&answer),
        ..exchange(identity, &resources)
    };
    snapshot("assume_role_with_web_identity", &event);
}

#[test]
fn a_token_that_failed() {
    let event = Event {
        error: Some(EventError {
            code: "InvalidIdentityToken",
            message: "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements",
        }),
        irsa: Some(
            r#"{"decision":"Denied","reason":"no key with the id of the token","unverifiedClaims":{"iss":"https://issuer.example","sub":"system:serviceaccount:ns:sa"}}"#,
        ),
        ..exchange(UserIdentity::Unknown { access_key_id: None }, &[])
    };
    snapshot("failed_token", &event);
}

#[test]
fn a_read_of_an_object() {
    let bucket = [
        Resource {
            account: None,
            kind: "AWS::S3::Object",
            arn: "arn:aws:s3:::my-bucket/file.txt",
        },
        Resource {
            account: Some(account()),
            kind: "AWS::S3::Bucket",
            arn: "arn:aws:s3:::my-bucket",
        },
    ];
    let identity = UserIdentity::AssumedRole {
        principal_id: "AROACLKWSDQRAOEXAMPLE:app1",
        arn: "arn:aws:sts::111122223333:assumed-role/reader/app1",
        account: account(),
        access_key_id: Some("ASIAIOSFODNN7EXAMPLE"),
        session: SessionContext {
            issuer: Some(SessionIssuer {
                principal_id: "AROACLKWSDQRAOEXAMPLE",
                arn: ROLE,
                account: account(),
                user_name: "reader",
            }),
            federated_provider: Some(PROVIDER),
            created: noon(),
            mfa: false,
            source_identity: Some("ns/sa"),
        },
    };
    let event = Event {
        event_source: "s3.amazonaws.com",
        event_name: "GetObject",
        request_parameters: Some(r#"{"bucketName":"my-bucket","Host":"my-bucket.s3.amazonaws.com","key":"file.txt"}"#),
        additional_event_data: &[
            ("SignatureVersion", r#""SigV4""#),
            ("CipherSuite", r#""TLS_AES_128_GCM_SHA256""#),
            ("bytesTransferredIn", "0"),
            ("bytesTransferredOut", "12"),
            ("AuthenticationMethod", r#""AuthHeader""#),
            ("x-amz-id-2", r#""ab+/=""#),
        ],
        irsa: Some(r#"{"decision":"Allowed"}"#),
        request_id: "4442587FB7D0A2F9",
        category: Category::Data,
        ..exchange(identity, &bucket)
    };
    snapshot("get_object", &event);
}

#[test]
fn the_other_identities() {
    let session = SessionContext {
        issuer: None,
        federated_provider: None,
        created: noon(),
        mfa: true,
        source_identity: None,
    };
    let identities = [
        UserIdentity::Root {
            arn: "arn:aws:iam::111122223333:root",
            account: account(),
            access_key_id: Some("AKIAIOSFODNN7EXAMPLE"),
            session: None,
        },
        UserIdentity::IamUser {
            principal_id: "AIDACKCEVSQ6C2EXAMPLE",
            arn: "arn:aws:iam::111122223333:user/alice",
            account: account(),
            access_key_id: Some("ASIAIOSFODNN7EXAMPLE"),
            user_name: "alice",
            session: Some(session),
        },
        UserIdentity::AwsAccount {
            principal_id: "AIDACKCEVSQ6C2EXAMPLE",
            account: account(),
        },
        UserIdentity::Anonymous,
        UserIdentity::Unknown {
            access_key_id: Some("AKIAUNKNOWN"),
        },
    ];
    let all: Vec<String> = identities
        .iter()
        .map(|identity| {
            let read: serde_json::Value = serde_json::from_str(&exchange(*identity, &[]).to_json()).unwrap();
            read["userIdentity"].to_string()
        })
        .collect();
    insta::assert_snapshot!("identities", all.join("\n"));
}

/// AU-04: whatever a caller can choose stays inside of its field and its line.
#[test]
fn nothing_a_caller_sends_can_forge_a_record() {
    let hostile =
        "x\",\"errorCode\":\"None\"}\n2 00 {\"eventName\":\"Forged\"}\r\u{2028}\u{1b}[2J\u{85}\u{9b}31m\u{202e}\0\\";
    let mut parameters = ObjectWriter::new();
    parameters
        .text("roleSessionName", hostile)
        .open("principalTags")
        .text(hostile, hostile)
        .close();
    let parameters = parameters.finish();
    let mut irsa = ObjectWriter::new();
    irsa.text("reason", "no such key")
        .open("unverifiedClaims")
        .text("kid", hostile)
        .close();
    let irsa = irsa.finish();
    let event = Event {
        event_source: hostile,
        event_name: hostile,
        aws_region: hostile,
        source_ip_address: hostile,
        user_agent: hostile,
        error: Some(EventError {
            code: hostile,
            message: hostile,
        }),
        request_parameters: Some(&parameters),
        irsa: Some(&irsa),
        request_id: hostile,
        tls: Some(TlsDetails {
            host: Some(hostile),
            ..TlsDetails::default()
        }),
        ..exchange(
            UserIdentity::WebIdentityUser {
                principal_id: hostile,
                user_name: hostile,
                identity_provider: hostile,
            },
            &[],
        )
    };
    let json = event.to_json();
    assert!(
        !json
            .chars()
            .any(|character| character.is_control() || matches!(character, '\u{2028}' | '\u{202e}'))
    );
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    for field in [
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "errorCode",
        "errorMessage",
        "requestID",
    ] {
        assert_eq!(read[field], hostile, "{field}");
    }
    assert_eq!(read["userIdentity"]["userName"], hostile);
    assert_eq!(read["requestParameters"]["principalTags"][hostile], hostile);
    assert_eq!(read["additionalEventData"]["irsa"]["unverifiedClaims"]["kid"], hostile);
    assert_eq!(read["tlsDetails"]["clientProvidedHostHeader"], hostile);

    let folder = tempfile::tempdir().unwrap();
    let options = crate::JournalOptions::new(crate::Durability::Kernel, [1; 32]);
    let journal = crate::Journal::open(folder.path(), options).unwrap();
    assert_eq!(journal.append(&json).unwrap(), 1);
    assert_eq!(journal.append(&json).unwrap(), 2);
    assert_eq!(crate::verify(folder.path(), &[1; 32]).unwrap().records, 2);
}

#[test]
fn records_are_bounded() {
    let large = "é".repeat(300_000);
    let text = format!("\"{large}\"");
    let additional = [("a", text.as_str())];
    let event = Event {
        event_name: &large,
        user_agent: &large,
        error: Some(EventError {
            code: &large,
            message: &large,
        }),
        request_parameters: Some(&text),
        response_elements: Some(&text),
        additional_event_data: &additional,
        irsa: Some(&text),
        ..exchange(
            UserIdentity::WebIdentityUser {
                principal_id: &large,
                user_name: &large,
                identity_provider: &large,
            },
            &[],
        )
    };
    let json = event.to_json();
    assert!(json.len() < 20_000, "{}", json.len());
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["userAgent"].as_str().unwrap().len(), 1024);
    assert_eq!(read["requestParameters"]["omitted"], true);
    assert_eq!(read["requestParameters"]["originalSize"], text.len());
    assert_eq!(read["additionalEventData"]["irsa"]["omitted"], true);
}

#[test]
fn event_ids_are_random_uuids() {
    assert_eq!(event_id([0; 16]), "00000000-0000-4000-8000-000000000000");
    assert_eq!(event_id([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    let bytes = std::array::from_fn(|place| u8::try_from(place).unwrap());
    assert_eq!(event_id(bytes), "00010203-0405-4607-8809-0a0b0c0d0e0f");
}
