//! Hand cases by element and operator, in both directions.

use irsa_policy::PolicyKind;

use super::*;

mod principals;
mod random;

fn between(kind: PolicyKind, old: &str, new: &str) -> Comparison {
    compare_texts(kind, old, new).unwrap()
}

fn policy(statements: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#)
}

/// An Allow of one action on everything under these conditions.
fn when(conditions: &str) -> String {
    policy(&format!(
        r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{{{conditions}}}}}"#
    ))
}

fn on(action: &str, resource: &str) -> String {
    policy(&format!(
        r#"{{"Effect":"Allow","Action":{action},"Resource":{resource}}}"#
    ))
}

#[track_caller]
fn describe(answer: &Answer) -> String {
    match answer {
        Answer::None => "none".to_owned(),
        Answer::Witness(witness) => {
            let mut text = format!("{} {}", witness.action, witness.resource);
            for (key, value) in &witness.context {
                text.push_str(&match value {
                    ContextValue::Single(value) => format!(" {key}={value}"),
                    ContextValue::List(values) => format!(" {key}={values:?}"),
                });
            }
            text
        }
        Answer::Unknown(why) => format!("unknown: {why:?}"),
    }
}

/// `wide` allows all that `narrow` does, and more.
#[track_caller]
fn wider(narrow: &str, wide: &str) {
    let comparison = between(PolicyKind::Identity, narrow, wide);
    assert_eq!(describe(&comparison.lost), "none", "{narrow}\n{wide}");
    assert!(
        matches!(comparison.gained, Answer::Witness(_)),
        "{}\n{narrow}\n{wide}",
        describe(&comparison.gained)
    );
}

#[track_caller]
fn equivalent(one: &str, other: &str) {
    let comparison = between(PolicyKind::Identity, one, other);
    assert_eq!(describe(&comparison.gained), "none", "{one}\n{other}");
    assert_eq!(describe(&comparison.lost), "none", "{one}\n{other}");
}

#[track_caller]
fn different(one: &str, other: &str) {
    let comparison = between(PolicyKind::Identity, one, other);
    assert!(
        matches!(comparison.gained, Answer::Witness(_)) && matches!(comparison.lost, Answer::Witness(_)),
        "{} and {}\n{one}\n{other}",
        describe(&comparison.gained),
        describe(&comparison.lost)
    );
}

#[test]
fn actions() {
    let all = r#""*""#;
    wider(&on(r#""s3:GetObject""#, all), &on(r#""s3:Get*""#, all));
    wider(
        &on(r#"["s3:GetObject","s3:GetObjectAcl"]"#, all),
        &on(r#""s3:GetObject*""#, all),
    );
    equivalent(&on(r#"["S3:getobject","s3:Get*"]"#, all), &on(r#"["s3:Get*"]"#, all));
    equivalent(&on(r#"["s3:*","s3:Get?bject"]"#, all), &on(r#""S3:*""#, all));
    different(&on(r#""s3:Get*""#, all), &on(r#""s3:*Object""#, all));
    wider(&on(r#"[]"#, all), &on(r#""a:b""#, all));
    equivalent(&on(r#"[]"#, all), &on(r#"["a:b"]"#, "[]"));
    // What everybody may do anyway is nobody's gain.
    equivalent(&on(r#"[]"#, all), &on(r#""sts:GetCallerIdentity""#, all));
}

#[test]
fn negated_actions() {
    let not = |actions: &str| policy(&format!(r#"{{"Effect":"Allow","NotAction":{actions},"Resource":"*"}}"#));
    wider(&not(r#"["iam:*","s3:*"]"#), &not(r#""iam:*""#));
    wider(&on(r#""s3:*""#, r#""*""#), &not(r#""iam:*""#));
    equivalent(&not("[]"), &on(r#""*""#, r#""*""#));
}

#[test]
fn resources() {
    let get = |resource: &str| on(r#""s3:GetObject""#, resource);
    wider(&get(r#""arn:aws:s3:::b/app/*""#), &get(r#""arn:aws:s3:::b/*""#));
    wider(
        &get(r#""arn:aws:s3:::b/*""#),
        &get(r#"["arn:aws:s3:::b/*","arn:aws:s3:::c/*"]"#),
    );
    wider(&get(r#""arn:*""#), &get(r#""*""#));
    wider(&get(r#""arn:aws:s3:::b/*/x""#), &get(r#""arn:aws:s3:::b/*""#));
    different(&get(r#""arn:aws:s3:::b/*a""#), &get(r#""arn:aws:s3:::b/a*""#));
    // Case matters in resources.
    different(&get(r#""arn:aws:s3:::b/A""#), &get(r#""arn:aws:s3:::b/a""#));
    // A `*` at the end of its field reaches beyond it, one inside does not.
    wider(&get(r#""arn:aws:x:us-*-1:1:r""#), &get(r#""arn:aws:x:us-*:1:r""#));
    // A short ARN is padded.
    equivalent(&get(r#""arn:aws:s3""#), &get(r#"["arn:aws:s3","arn:aws:s3:*:*:*"]"#));
    let not = |resource: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","NotResource":{resource}}}"#
        ))
    };
    wider(
        &not(r#"["arn:aws:s3:::b/*","arn:aws:s3:::c"]"#),
        &not(r#""arn:aws:s3:::b/*""#),
    );
    equivalent(
        &not(r#"["arn:aws:s3:::b/*","arn:aws:s3:::b/c"]"#),
        &not(r#""arn:aws:s3:::b/*""#),
    );
}

#[test]
fn denials() {
    let all = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#;
    let deny = |resource: &str| format!(r#"{{"Effect":"Deny","Action":"s3:Put*","Resource":{resource}}}"#);
    wider(&policy(&format!("{all},{}", deny(r#""*""#))), &policy(all));
    wider(
        &policy(&format!("{all},{}", deny(r#""arn:aws:s3:::*""#))),
        &policy(&format!("{}, {all}", deny(r#""arn:aws:s3:::b/*""#))),
    );
    equivalent(
        &policy(&format!("{all},{}", deny(r#""*""#))),
        &policy(
            r#"{"Effect":"Allow","NotAction":["s3:Put*"],"Resource":"*"},{"Effect":"Deny","NotAction":"s3:*","Resource":"*"}"#,
        ),
    );
    // A denial that takes away nothing that is granted.
    let granted = r#"{"Effect":"Allow","Action":"ec2:*","Resource":"*"}"#;
    let comparison = between(
        PolicyKind::Identity,
        &policy(&format!("{granted},{}", deny(r#""*""#))),
        &policy(granted),
    );
    assert_eq!(comparison.is_equivalent(), Some(true));
    assert!(matches!(comparison.undenied, Answer::Witness(_)));
}

#[test]
fn unions_cover_what_no_single_statement_does() {
    let halves = policy(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},
           {"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"Null":{"aws:SecureTransport":"true"}}},
           {"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"StringNotEqualsIgnoreCase":{"aws:SecureTransport":"true"}}},
           {"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"ForAllValues:StringLike":{"aws:SecureTransport":"?*"}}},
           {"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:SecureTransport":""}}}"#,
    );
    equivalent(&halves, &on(r#""s3:GetObject""#, r#""*""#));
}

#[test]
fn string_conditions() {
    for (narrow, wide) in [
        (r#""StringEquals":{"k":"a"}"#, r#""StringEquals":{"k":["a","b"]}"#),
        (r#""StringEquals":{"k":"ab"}"#, r#""StringLike":{"K":"a*"}"#),
        (r#""StringEquals":{"k":"a"}"#, r#""StringEqualsIgnoreCase":{"k":"A"}"#),
        (r#""StringEquals":{"k":"a"}"#, r#""StringEqualsIfExists":{"k":"a"}"#),
        (r#""StringEquals":{"k":"a"}"#, r#""StringNotEquals":{"k":"b"}"#),
        (r#""StringNotEquals":{"k":["a","b"]}"#, r#""StringNotEquals":{"k":"a"}"#),
        (r#""StringNotLike":{"k":"a*"}"#, r#""StringNotEquals":{"k":"a"}"#),
        (
            r#""StringEquals":{"k":"a"},"StringLike":{"l":"*"}"#,
            r#""StringEquals":{"k":"a"}"#,
        ),
        (r#""StringLike":{"k":"?*"}"#, r#""StringLike":{"k":"*"}"#),
        (r#""StringLike":{"k":"*"}"#, r#""Null":{"k":"false"}"#),
        (r#""StringEquals":{"k":"a"}"#, r#""Null":{"k":"false"}"#),
        (
            r#""Bool":{"k":"true"}"#,
            r#""StringEqualsIgnoreCase":{"k":["True","x"]}"#,
        ),
        (r#""BinaryEquals":{"k":"YQ=="}"#, r#""StringLike":{"k":["a*","Y*"]}"#),
        (r#""Null":{"k":"true"}"#, r#""Null":{"k":["true","false"]}"#),
        (r#""Null":{"k":"x"}"#, r#""Null":{"k":"true"}"#),
    ] {
        wider(&when(narrow), &when(wide));
    }
    equivalent(
        &when(r#""StringEquals":{"k":["a","b"]}"#),
        &when(r#""stringequals":{"K":["b","a"]}"#),
    );
    equivalent(
        &when(r#""Bool":{"k":"true"}"#),
        &when(r#""StringEqualsIgnoreCase":{"k":"TRUE"}"#),
    );
    // What is no text still equals its own base64.
    equivalent(
        &when(r#""BinaryEquals":{"k":"/w=="}"#),
        &when(r#""StringEquals":{"k":"/w=="}"#),
    );
    equivalent(
        &when(r#""BinaryEquals":{"k":"YQ=="}"#),
        &when(r#""StringEquals":{"k":["a","YQ=="]}"#),
    );
    different(&when(r#""StringLike":{"k":"a*"}"#), &when(r#""StringLike":{"k":"*a"}"#));
    different(
        &when(r#""StringEquals":{"k":"a*"}"#),
        &when(r#""StringLike":{"k":"a??"}"#),
    );
}

#[test]
fn set_qualifiers() {
    for (narrow, wide) in [
        (
            r#""ForAnyValue:StringEquals":{"k":"a"}"#,
            r#""ForAnyValue:StringEquals":{"k":["a","b"]}"#,
        ),
        (
            r#""ForAllValues:StringEquals":{"k":"a"}"#,
            r#""ForAllValues:StringEquals":{"k":["a","b"]}"#,
        ),
        (r#""StringEquals":{"k":"a"}"#, r#""ForAnyValue:StringEquals":{"k":"a"}"#),
        (
            r#""StringEquals":{"k":"a"}"#,
            r#""ForAllValues:StringEquals":{"k":"a"}"#,
        ),
        (
            r#""ForAllValues:StringEquals":{"k":["a","b"]},"ForAnyValue:StringEquals":{"k":"a"}"#,
            r#""ForAnyValue:StringLike":{"k":"a*"}"#,
        ),
        (
            r#""ForAllValues:StringNotEquals":{"k":"a"},"Null":{"k":"false"}"#,
            r#""ForAllValues:StringNotEquals":{"k":"a"}"#,
        ),
    ] {
        wider(&when(narrow), &when(wide));
    }
    // Every value is `a`, and one is: the same as one is and none is not, but for the empty set.
    equivalent(
        &when(r#""ForAllValues:StringEquals":{"k":"a"},"ForAnyValue:StringEquals":{"k":"a"}"#),
        &when(r#""ForAllValues:StringLike":{"k":"a"},"ForAnyValue:StringLike":{"k":"a"}"#),
    );
    different(
        &when(r#""ForAllValues:StringEquals":{"k":["a"]}"#),
        &when(r#""ForAnyValue:StringEquals":{"k":["a"]}"#),
    );
    equivalent(
        &when(r#""ForAnyValue:StringLikeIfExists":{"k":"a"}"#),
        &when(r#""ForAnyValue:StringLike":{"k":"a"}"#),
    );
}

#[test]
fn numbers_dates_and_addresses() {
    for (narrow, wide) in [
        (
            r#""NumericLessThan":{"k":"10"}"#,
            r#""NumericLessThanEquals":{"k":"10"}"#,
        ),
        (r#""NumericEquals":{"k":"10"}"#, r#""NumericLessThan":{"k":"10.5"}"#),
        (
            r#""NumericEquals":{"k":["1","3"]}"#,
            r#""NumericGreaterThanEquals":{"k":"1"}"#,
        ),
        (
            r#""NumericGreaterThan":{"k":"1"},"NumericLessThan":{"k":"1.0000001"}"#,
            r#""NumericGreaterThan":{"k":"1.0"}"#,
        ),
        (r#""NumericGreaterThan":{"k":"5"}"#, r#""NumericNotEquals":{"k":"5"}"#),
        (
            r#""DateLessThan":{"k":"2026-01-01"}"#,
            r#""DateLessThan":{"k":"2026-01-01T00:00:00.000000001Z"}"#,
        ),
        (
            r#""DateEquals":{"k":"0"}"#,
            r#""DateLessThanEquals":{"k":"1970-01-01T00:00:00Z"}"#,
        ),
        (r#""IpAddress":{"k":"10.0.0.0/9"}"#, r#""IpAddress":{"k":"10.0.0.0/8"}"#),
        (
            r#""IpAddress":{"k":"10.0.0.1"}"#,
            r#""NotIpAddress":{"k":"11.0.0.0/8"}"#,
        ),
        (r#""IpAddress":{"k":"::1"}"#, r#""IpAddress":{"k":"::/0"}"#),
        (
            r#""NotIpAddress":{"k":"0.0.0.0/0"}"#,
            r#""NotIpAddress":{"k":"10.0.0.0/8"}"#,
        ),
    ] {
        wider(&when(narrow), &when(wide));
    }
    equivalent(
        &when(r#""NumericEquals":{"k":"10"}"#),
        &when(r#""NumericEquals":{"k":"1e1"}"#),
    );
    equivalent(
        &when(r#""NumericGreaterThan":{"k":"3"},"NumericLessThan":{"k":"3"}"#),
        &when(r#""NumericEquals":{"k":"none"}"#),
    );
    equivalent(
        &when(r#""IpAddress":{"k":["10.0.0.0/9","10.128.0.0/9"]}"#),
        &when(r#""IpAddress":{"k":"10.1.2.3/8"}"#),
    );
    equivalent(
        &when(r#""DateEquals":{"k":"2026-01-01"}"#),
        &when(r#""DateEquals":{"k":"2025-12-31T23:00:00-01:00"}"#),
    );
    // Just one instant lies between.
    equivalent(
        &when(r#""DateGreaterThan":{"k":"2026-01-01"},"DateLessThan":{"k":"2026-01-01T00:00:00.000000002Z"}"#),
        &when(r#""DateEquals":{"k":"2026-01-01T00:00:00.000000001Z"}"#),
    );
}

#[test]
fn arns() {
    for (narrow, wide) in [
        (
            r#""ArnEquals":{"k":"arn:aws:iam::1:role/a"}"#,
            r#""ArnLike":{"k":"arn:aws:iam::*:role/*"}"#,
        ),
        (
            r#""ArnLike":{"k":"arn:aws:iam::1:role/*"}"#,
            r#""ArnLike":{"k":"arn:aws:iam::1:*"}"#,
        ),
        (
            r#""ArnLike":{"k":"arn:aws:iam::1:role/*"}"#,
            r#""StringLike":{"k":"arn:aws:iam::*"}"#,
        ),
        (r#""ArnLike":{"k":"*:*:*:*:*:*"}"#, r#""ArnLike":{"k":"*"}"#),
    ] {
        wider(&when(narrow), &when(wide));
    }
    equivalent(
        &when(r#""ArnNotLike":{"k":"arn:aws:s3:::*"}"#),
        &when(r#""ArnNotEquals":{"k":["arn:aws:s3:::*","arn:aws:s3:::b"]}"#),
    );
    equivalent(&when(r#""ArnLike":{"k":"arn:aws:iam"}"#), &when(r#""Bool":{"k":"x"}"#));
}

#[test]
fn variables() {
    let get = |resource: &str| on(r#""s3:GetObject""#, resource);
    let own = get(r#""arn:aws:s3:::b/${aws:username}/*""#);
    equivalent(&own, &own);
    wider(&own, &get(r#""arn:aws:s3:::b/*""#));
    wider(&own, &get(r#""arn:aws:s3:::b/*/*""#));
    different(&own, &get(r#""arn:aws:s3:::b/ann/*""#));
    different(&own, &get(r#""arn:aws:s3:::b/${aws:userid}/*""#));
    wider(&get(r#""arn:aws:s3:::b/${aws:username}/x/*""#), &own);
    wider(
        &own,
        &get(r#"["arn:aws:s3:::b/${aws:username}/*","arn:aws:s3:::c/${aws:username}"]"#),
    );
    // An empty name takes the default too.
    different(&own, &get(r#""arn:aws:s3:::b/${aws:username, 'nobody'}/*""#));
    wider(
        &get(r#""arn:aws:s3:::b/${aws:username}/x/*""#),
        &get(r#""arn:aws:s3:::b/?*/*""#).replace(
            "]}",
            r#",{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b//*"}]}"#,
        ),
    );
    // Pinned by a condition, the variable is no longer one.
    let ann = |resource: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"{resource}","Condition":{{"StringEquals":{{"aws:username":"ann"}}}}}}"#
        ))
    };
    equivalent(&ann("arn:aws:s3:::b/${aws:username}/*"), &ann("arn:aws:s3:::b/ann/*"));
    // In the older version it is a text like any other.
    let old = own.replace("2012-10-17", "2008-10-17");
    different(&old, &own);
    let tag = |text: &str| when(&format!(r#""StringEquals":{{"s3:ExistingObjectTag/team":"{text}"}}"#));
    equivalent(&tag("${aws:PrincipalTag/team}"), &tag("${aws:principaltag/TEAM}"));
    wider(
        &tag("${aws:PrincipalTag/team}"),
        &when(r#""StringLike":{"s3:ExistingObjectTag/team":"*"}"#),
    );
    different(&tag("${aws:PrincipalTag/team}"), &tag("blue"));
    wider(
        &tag("${aws:PrincipalTag/team}"),
        &when(r#""StringEqualsIgnoreCase":{"s3:ExistingObjectTag/team":"${aws:PrincipalTag/team}"}"#),
    );
    let role = |text: &str| when(&format!(r#""ArnLike":{{"aws:SourceArn":"{text}"}}"#));
    wider(
        &role("arn:aws:iam::111122223333:role/${aws:username}"),
        &role("arn:aws:iam::*:role/*"),
    );
    // The value might hold a colon, as far as the engine knows.
    different(
        &role("arn:aws:iam::${aws:PrincipalAccount}:role/*"),
        &role("arn:aws:iam::*:role/*"),
    );
    wider(
        &role("arn:aws:iam::${aws:PrincipalAccount}:role/a"),
        &role("arn:aws:iam::${aws:PrincipalAccount}:role/*"),
    );
}

#[test]
fn variables_bring_colons() {
    let arn = |texts: &str| when(&format!(r#""ArnEquals":{{"k":{texts}}}"#));
    wider(&arn(r#"["arn:aws:s3:::a"]"#), &arn(r#"["arn:aws:s3:::a","${p}"]"#));
    wider(
        &arn(r#"["arn:aws:iam::1:role/x"]"#),
        &arn(r#"["arn:aws:iam::1:role/x","arn:aws:iam::${p}"]"#),
    );
    equivalent(&arn(r#"["arn:aws:x:${p}:*:r"]"#), &arn(r#"["arn:aws:x:${P}:*:r"]"#));
}

#[test]
fn a_variable_meets_a_text_without_wildcards() {
    let old = when(r#""StringEquals":{"z":"z"}"#);
    let new = when(r#""StringEquals":{"k":"${p}"},"StringLike":{"k":"abc"}"#);
    assert_eq!(
        describe(&between(PolicyKind::Identity, &old, &new).gained),
        "s3:GetObject arn:aws:s3:::example-bucket/example k=abc p=abc"
    );
}

#[test]
fn more_variables_than_can_be_followed() {
    let all = |from: usize| -> String {
        let tags: Vec<String> = (from..from + 12)
            .map(|tag| format!("${{aws:PrincipalTag/t{tag}}}"))
            .collect();
        format!(r#""arn:aws:s3:::b/{}""#, tags.join("/"))
    };
    let get = |resource: &str| on(r#""s3:GetObject""#, resource);
    wider(&get(&all(0)), &get(r#""arn:aws:s3:::b/*""#));
    equivalent(&get(&all(0)), &get(&all(0)));
    let gained = between(PolicyKind::Identity, &get(&all(0)), &get(&all(1))).gained;
    assert!(!matches!(gained, Answer::None), "{}", describe(&gained));
}

#[test]
fn patterns_one_by_one_where_all_are_too_many() {
    let patterns = |end: &str| -> String {
        let all: Vec<String> = (0..20)
            .map(|number| format!(r#""arn:aws:s3:::b/*a{number}*z*{end}""#))
            .collect();
        format!("[{}]", all.join(","))
    };
    wider(
        &on(r#""s3:GetObject""#, &patterns("y")),
        &on(r#""s3:GetObject""#, &patterns("")),
    );
}

#[test]
fn what_variables_leave_open() {
    // Every name has one letter, or two and more; but the unknown one is not taken apart.
    let old = on(
        r#""s3:GetObject""#,
        r#"["arn:aws:s3:::b/","arn:aws:s3:::b/?","arn:aws:s3:::b/??*"]"#,
    );
    let new = on(r#""s3:GetObject""#, r#""arn:aws:s3:::b/${aws:username}""#);
    let gained = between(PolicyKind::Identity, &old, &new).gained;
    assert_eq!(describe(&gained), r#"unknown: [Variables(["aws:username"])]"#);
    // A number and a text at once.
    let old = when(r#""NumericLessThan":{"k":"1000"}"#);
    let new = when(r#""NumericLessThan":{"k":"1000"},"StringLike":{"k":"?*"}"#);
    assert_eq!(describe(&between(PolicyKind::Identity, &old, &new).gained), "none");
    let new = when(r#""StringLike":{"k":["1??","2??"]}"#);
    let old = when(r#""NumericLessThan":{"k":"1000"}"#);
    assert!(matches!(
        between(PolicyKind::Identity, &old, &new).gained,
        Answer::Witness(_)
    ));
    let new = when(r#""NumericGreaterThan":{"k":"17"},"NumericLessThan":{"k":"18"},"StringLike":{"k":"1?*3"}"#);
    let old = when(r#""NumericEquals":{"k":"5"}"#);
    assert_eq!(
        describe(&between(PolicyKind::Identity, &old, &new).gained),
        r#"unknown: [MixedTypes(["k"])]"#
    );
}

#[test]
fn kinds_of_policy() {
    // A short ARN is read with its missing fields in identity-based policies, not in service control policies.
    let (short, long) = (
        on(r#""s3:*""#, r#""arn:aws:s3""#),
        on(r#""s3:*""#, r#""arn:aws:s3:*:*:*""#),
    );
    for (kind, covered) in [
        (PolicyKind::Identity, true),
        (PolicyKind::Boundary, true),
        (PolicyKind::Session, true),
        (PolicyKind::ServiceControl, false),
    ] {
        let comparison = between(kind, &short, &long);
        assert_eq!(matches!(comparison.gained, Answer::None), covered, "{kind}");
        assert!(!matches!(comparison.lost, Answer::Unknown(_)));
    }
    let (one, other) = (
        Document::parse("a", PolicyKind::Identity, &short).unwrap(),
        Document::parse("b", PolicyKind::Boundary, &short).unwrap(),
    );
    assert!(matches!(gained(&one, &other, &Options::default()), Answer::Unknown(why) if why == [Why::Kinds]));
}

#[test]
fn what_is_no_policy() {
    assert!(matches!(
        compare_texts(PolicyKind::Identity, "x", "{}"),
        Err(CompareError::Old(_))
    ));
    assert!(matches!(
        compare_texts(PolicyKind::Identity, &on(r#""*""#, r#""*""#), "{}"),
        Err(CompareError::New(_))
    ));
}

#[test]
fn witnesses_are_readable() {
    let comparison = between(
        PolicyKind::Identity,
        &on(r#""s3:GetObject""#, r#""arn:aws:s3:::my-bucket/app/*""#),
        &on(r#"["s3:GetObject","s3:PutObject"]"#, r#""arn:aws:s3:::my-bucket/*""#),
    );
    assert_eq!(
        describe(&comparison.gained),
        "s3:PutObject arn:aws:s3:::my-bucket/example"
    );
    let comparison = between(
        PolicyKind::Identity,
        &when(r#""IpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#),
        &when(""),
    );
    assert_eq!(
        describe(&comparison.gained),
        "s3:GetObject arn:aws:s3:::example-bucket/example"
    );
}
