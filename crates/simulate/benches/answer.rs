//! How long one case of a batch takes, its policies known from the cases before it or not.

use divan::Bencher;
use divan::counter::BytesCount;
use irsa_simulate::Simulator;

fn main() {
    divan::main();
}

/// A case of some 2 KB: five policies, a caller behind a role, eight condition keys.
fn case() -> String {
    let statement = r#"{"Sid":"Read","Effect":"Allow","Action":["s3:GetObject","s3:ListBucket","s3:GetObjectTagging"],
        "Resource":["arn:aws:s3:::data/${aws:PrincipalTag/team}/*","arn:aws:s3:::data"],
        "Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"Bool":{"aws:SecureTransport":"true"}}}"#;
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
    let full = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    format!(
        r#"{{"id":"c1","policies":{{"identity":[{policy},{policy}],"boundary":{full},"session":null,"resource":null,
        "scp":[[{full}],[{full}]],"rcp":[],"vpce":null}},"request":{{
        "principal":"arn:aws:sts::111122223333:assumed-role/app/s1","action":"s3:GetObject",
        "resource":"arn:aws:s3:::data/blue/key","resourceAccount":"111122223333","context":{{
        "aws:PrincipalArn":"arn:aws:iam::111122223333:role/app","aws:PrincipalTag/team":"blue","aws:SourceIp":"10.1.2.3",
        "aws:SecureTransport":true,"aws:userid":"AROAEXAMPLE1234567890:s1","aws:RequestedRegion":"us-east-1",
        "aws:TagKeys":["a","b"],"aws:CurrentTime":"2026-11-22T10:00:00Z"}}}}}}"#
    )
    .replace('\n', "")
}

#[divan::bench]
fn known_policies(bencher: Bencher<'_, '_>) {
    let case = case();
    let mut simulator = Simulator::new();
    let mut answers = String::new();
    bencher.counter(BytesCount::of_str(&case)).bench_local(|| {
        answers.clear();
        simulator.answer(case.as_bytes(), &mut answers);
        assert!(answers.contains("Allowed"), "{answers}");
    });
}

#[divan::bench]
fn new_policies(bencher: Bencher<'_, '_>) {
    let case = case();
    let mut answers = String::new();
    bencher.counter(BytesCount::of_str(&case)).bench_local(|| {
        answers.clear();
        Simulator::new().answer(case.as_bytes(), &mut answers);
        assert!(answers.contains("Allowed"), "{answers}");
    });
}
