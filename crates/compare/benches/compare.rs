//! How long a comparison takes: pairs that people have, large ones, and ones made to hurt.

use divan::Bencher;
use irsa_compare::{Document, Options, compare, gained};
use irsa_policy::PolicyKind;

fn main() {
    divan::main();
}

fn document(statements: &str) -> Document {
    let text = format!(r#"{{"Version": "2012-10-17", "Statement": [{statements}]}}"#);
    match Document::parse("bench", PolicyKind::Identity, &text) {
        Ok(document) => document,
        Err(error) => panic!("{error}"),
    }
}

fn statement(actions: &str, resources: &str, conditions: &str) -> String {
    format!(r#"{{"Effect": "Allow", "Action": {actions}, "Resource": {resources}, "Condition": {{{conditions}}}}}"#)
}

/// Two statements of a pod's policy; the new one reads one prefix more.
#[divan::bench]
fn typical_pair(bencher: Bencher<'_, '_>) {
    let list = statement(
        r#""s3:ListBucket""#,
        r#""arn:aws:s3:::my-bucket""#,
        r#""StringLike": {"s3:prefix": "data/*"}"#,
    );
    let objects = |prefix: &str| {
        statement(
            r#"["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]"#,
            &format!(r#""arn:aws:s3:::my-bucket/{prefix}*""#),
            "",
        )
    };
    let old = document(&format!("{}, {list}", objects("data/")));
    let new = document(&format!("{list}, {}", objects("d")));
    bencher.bench(|| compare(&old, &new, &Options::default()));
}

/// The same policy on both sides: mostly what is asked.
#[divan::bench(args = [2, 10, 50])]
fn unchanged(bencher: Bencher<'_, '_>, statements: usize) {
    let all = many(statements);
    let document = document(&all.join(","));
    bencher.bench(|| compare(&document, &document, &Options::default()));
}

/// Every statement reworded, so that nothing is equal by its text.
#[divan::bench(args = [2, 10, 50])]
fn reworded(bencher: Bencher<'_, '_>, statements: usize) {
    let all = many(statements);
    let old = document(&all.join(","));
    let new: Vec<String> = all
        .iter()
        .rev()
        .map(|text| text.replace("s3:PutObject\"", "s3:PutObject\", \"S3:putobject\", \"s3:PutObjec?\""))
        .collect();
    let new = document(&new.join(","));
    bencher.bench(|| compare(&old, &new, &Options::default()));
}

fn many(statements: usize) -> Vec<String> {
    (0..statements)
        .map(|number| {
            let text = statement(
                &format!(r#"["s3:PutObject", "s3:Get*", "dynamodb:Action{number}*"]"#),
                &format!(r#"["arn:aws:s3:::bucket-{number}/*", "arn:aws:s3:::my-bucket/d*/{number}*"]"#),
                r#""IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "StringEquals": {"aws:PrincipalTag/team": "blue"}"#,
            );
            if number % 5 == 4 {
                text.replace("Allow", "Deny").replace("10.0.0.0/8", "192.0.2.0/24")
            } else {
                text
            }
        })
        .collect()
}

/// A variable in both.
#[divan::bench]
fn variables(bencher: Bencher<'_, '_>) {
    let own = |more: &str| {
        document(&statement(
            r#"["s3:GetObject", "s3:PutObject"]"#,
            &format!(
                r#"["arn:aws:s3:::home/${{aws:username}}/*", "arn:aws:s3:::home/${{aws:PrincipalTag/team}}/*"{more}]"#
            ),
            "",
        ))
    };
    let (old, new) = (own(r#", "arn:aws:s3:::home/public/*""#), own(""));
    bencher.bench(|| compare(&old, &new, &Options::default()));
}

/// One list of prefixes against a statement for each.
#[divan::bench(args = [50, 200])]
fn prefixes(bencher: Bencher<'_, '_>, count: usize) {
    let resource = |number: usize| format!(r#""arn:aws:s3:::bucket/{number}/*""#);
    let all: Vec<String> = (0..count).map(resource).collect();
    let new = document(&statement(r#""s3:GetObject""#, &format!("[{}]", all.join(",")), ""));
    let each: Vec<String> = all
        .iter()
        .map(|resource| statement(r#""s3:Get*""#, resource, ""))
        .collect();
    let old = document(&each.join(","));
    bencher.bench(|| gained(&old, &new, &Options::default()));
}

/// One pattern with an infix against as many, each with two.
#[divan::bench(args = [2, 4, 6, 8, 10])]
fn infixes(bencher: Bencher<'_, '_>, count: u8) {
    let letter = |number: u8| char::from(b'a' + number);
    let old: Vec<String> = (0..count)
        .map(|number| format!(r#""arn:aws:s3:::b/*k{0}*m{0}*""#, letter(number)))
        .collect();
    let old = document(&statement(r#""s3:GetObject""#, &format!("[{}]", old.join(",")), ""));
    let new = document(&statement(r#""s3:GetObject""#, r#""arn:aws:s3:::b/*k?*m?*""#, ""));
    bencher.bench(|| gained(&old, &new, &Options::default()));
}

/// All of many infixes at once, of which none is there.
#[divan::bench(args = [2, 4, 6, 8, 16], sample_count = 10)]
fn all_infixes(bencher: Bencher<'_, '_>, count: u8) {
    let letter = |number: u8| char::from(b'a' + number);
    let all: Vec<String> = (0..count)
        .map(|number| format!(r#""StringLike": {{"k": "*{0}*"}}"#, letter(number)))
        .collect();
    // One operator can name a key once, so each stands under a spelling of its own.
    let conditions: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let spelling: String = "StringLike"
                .chars()
                .enumerate()
                .map(|(at, character)| {
                    if number >> at & 1 == 1 {
                        character.to_ascii_uppercase()
                    } else {
                        character.to_ascii_lowercase()
                    }
                })
                .collect();
            text.replace("StringLike", &spelling)
        })
        .collect();
    let new = document(&statement(r#""s3:GetObject""#, r#""*""#, &conditions.join(",")));
    let old = document(&statement(
        r#""s3:GetObject""#,
        r#""*""#,
        r#""StringLike": {"k": "?*"}"#,
    ));
    bencher.bench(|| gained(&old, &new, &Options::default()));
}

/// More pigeons than holes, said with denials: no request is allowed, and every way to put the pigeons must be tried.
#[divan::bench(args = [3, 5, 9], sample_count = 10)]
fn pigeons(bencher: Bencher<'_, '_>, holes: usize) {
    let sits = |pigeon: usize, hole: usize, not: bool| format!(r#""p{pigeon}h{hole}": "{not}""#);
    let deny = |keys: String| statement(r#""*""#, r#""*""#, &format!(r#""Null": {{{keys}}}"#)).replace("Allow", "Deny");
    let mut all = vec![statement(r#""s3:GetObject""#, r#""*""#, "")];
    for pigeon in 0..=holes {
        let nowhere: Vec<String> = (0..holes).map(|hole| sits(pigeon, hole, true)).collect();
        all.push(deny(nowhere.join(",")));
        for other in 0..pigeon {
            all.extend((0..holes).map(|hole| deny([sits(pigeon, hole, false), sits(other, hole, false)].join(","))));
        }
    }
    let new = document(&all.join(","));
    let old = document(&statement(r#""iam:*""#, r#""*""#, ""));
    bencher.bench(|| gained(&old, &new, &Options::default()));
}

/// Long patterns full of wildcards, all of which must hold at once.
#[divan::bench(sample_count = 10)]
fn hostile_patterns(bencher: Bencher<'_, '_>) {
    let pattern = |number: usize| {
        let parts: Vec<String> = (0..40)
            .map(|part| format!("*{}?{}", (part * 7 + number) % 5, (part + number * 3) % 3))
            .collect();
        format!(r#""arn:aws:s3:::b/{}*""#, parts.concat())
    };
    let allow = statement(r#""s3:GetObject""#, r#""*""#, "");
    let denials: Vec<String> = (0..60)
        .map(|number| {
            let text = statement(r#""*""#, &pattern(number), "").replace("Allow", "Deny");
            if number % 2 == 0 {
                text
            } else {
                text.replace(r#""Resource""#, r#""NotResource""#)
            }
        })
        .collect();
    let new = document(&format!("{}, {allow}", denials.join(",")));
    let old = document(&statement(r#""s3:GetObject""#, r#""arn:aws:s3:::b/*0*""#, ""));
    bencher.bench(|| gained(&old, &new, &Options::default()));
}

/// As many principals as a policy holds, each in a statement of its own.
#[divan::bench(args = [30, 1500], sample_count = 5)]
fn principals(bencher: Bencher<'_, '_>, count: usize) {
    let text = |kinds: [&str; 3]| {
        let all: Vec<String> = (0..count)
            .map(|number| {
                let kind = kinds[number % 3].replace("NUMBER", &number.to_string());
                format!(r#"{{"Effect": "Allow", "Principal": {{"AWS": "{kind}"}}, "Action": "s3:*", "Resource": "*"}}"#)
            })
            .collect();
        format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, all.join(","))
    };
    let parse = |text: &str| match Document::parse("bench", PolicyKind::Resource, text) {
        Ok(document) => document,
        Err(error) => panic!("{error}"),
    };
    let old = parse(&text([
        "arn:aws:iam::111122223333:user/uNUMBER",
        "AROAEXAMPLENUMBER",
        "arn:aws:iam::111122223333:role/rNUMBER",
    ]));
    let new = parse(&text([
        "arn:aws:sts::111122223333:assumed-role/r/sNUMBER",
        "AIDAEXAMPLENUMBER",
        "arn:aws:sts::111122223333:federated-user/fNUMBER",
    ]));
    bencher.bench(|| compare(&old, &new, &Options::default()));
}

/// Variables in every statement, and constants for each.
#[divan::bench(args = [2, 4, 20], sample_count = 5)]
fn many_variables(bencher: Bencher<'_, '_>, count: usize) {
    let all = |suffix: &str| -> Vec<String> {
        (0..300)
            .map(|number| {
                let key = number % count;
                statement(
                    r#""s3:Get*""#,
                    &format!(r#"["arn:aws:s3:::b/${{aws:PrincipalTag/t{key}}}/{number}{suffix}*", "arn:aws:s3:::c/*${{aws:PrincipalTag/t{key}}}*"]"#),
                    &format!(r#""StringEquals": {{"aws:PrincipalTag/t{key}": "v{number}"}}"#),
                )
            })
            .collect()
    };
    let (old, new) = (document(&all("x").join(",")), document(&all("").join(",")));
    bencher.bench(|| compare(&old, &new, &Options::default()));
}
