use super::*;
use crate::policy::{Policy, PolicyKind};

/// Whether a statement whose only condition is this one holds, through the parser.
fn holds(version: &str, operator: &str, key: &str, values: &str, context: &Context) -> bool {
    let text = format!(
        r#"{{"Version":"{version}","Statement":{{"Effect":"Allow","Action":"*","Resource":"*",
            "Condition":{{"{operator}":{{"{key}":{values}}}}}}}}}"#
    );
    let policy = Policy::parse("test", PolicyKind::Identity, &text).unwrap();
    policy.conditions[0].holds(context, &mut Memo::default())
}

fn single(operator: &str, policy: &str, request: &str) -> bool {
    let mut context = Context::new();
    context.set("k", request);
    context.set("aws:username", "ann");
    context.set("star", "*");
    holds("2012-10-17", operator, "k", policy, &context)
}

/// A negated operator's answer is the opposite for every single value.
fn check(positive: &str, negated: Option<&str>, cases: &[(&str, &str, bool)]) {
    for (policy, request, expected) in cases {
        assert_eq!(
            single(positive, policy, request),
            *expected,
            "{positive} {policy} {request}"
        );
        if let Some(negated) = negated {
            assert_eq!(
                single(negated, policy, request),
                !expected,
                "{negated} {policy} {request}"
            );
        }
    }
}

/// PE-03: every operator under every qualifier, for a key that is absent, single, or a list.
#[test]
fn pe_03_operators_by_qualifier_by_presence() {
    // Operator, policy value, a request value that agrees with it and one that does not.
    let positive = [
        ("StringEquals", "a", "a", "b"),
        ("StringEqualsIgnoreCase", "a", "A", "b"),
        ("StringLike", "a*", "ab", "b"),
        ("NumericEquals", "5", "5.0", "6"),
        ("NumericLessThan", "5", "4", "5"),
        ("NumericLessThanEquals", "5", "5", "6"),
        ("NumericGreaterThan", "5", "6", "5"),
        ("NumericGreaterThanEquals", "5", "5", "4"),
        ("DateEquals", "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02"),
        ("DateLessThan", "2026-01-01", "2025-12-31", "2026-01-01"),
        ("DateLessThanEquals", "2026-01-01", "2026-01-01", "2026-01-02"),
        ("DateGreaterThan", "2026-01-01", "2026-01-02", "2026-01-01"),
        ("DateGreaterThanEquals", "2026-01-01", "2026-01-01", "2025-12-31"),
        ("Bool", "true", "True", "false"),
        ("BinaryEquals", "YWI=", "ab", "YWI"),
        ("IpAddress", "10.0.0.0/8", "10.1.1.1", "11.0.0.1"),
        ("ArnEquals", "arn:aws:s3:::*", "arn:aws:s3:::b", "arn:aws:sqs:::b"),
        ("ArnLike", "arn:aws:s3:::*", "arn:aws:s3:::b", "arn:aws:sqs:::b"),
    ];
    let negated = [
        ("StringNotEquals", "a", "a", "b"),
        ("StringNotEqualsIgnoreCase", "a", "A", "b"),
        ("StringNotLike", "a*", "ab", "b"),
        ("NumericNotEquals", "5", "5.0", "6"),
        ("DateNotEquals", "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-02"),
        ("NotIpAddress", "10.0.0.0/8", "10.1.1.1", "11.0.0.1"),
        ("ArnNotEquals", "arn:aws:s3:::*", "arn:aws:s3:::b", "arn:aws:sqs:::b"),
        ("ArnNotLike", "arn:aws:s3:::*", "arn:aws:s3:::b", "arn:aws:sqs:::b"),
    ];
    // absent, one that agrees, one that does not, [agrees], [agrees, does not], [does not], []
    let rows = [
        ("", "", "FTFFFFF", "TFTFFFT"),
        ("", "IfExists", "TTFFFFT", "TFTFFFT"),
        ("ForAllValues:", "", "TTFTFFT", "TFTFFTT"),
        ("ForAllValues:", "IfExists", "TTFTFFT", "TFTFFTT"),
        ("ForAnyValue:", "", "FTFTTFF", "FFTFTTF"),
        ("ForAnyValue:", "IfExists", "FTFTTFF", "FFTFTTF"),
    ];
    let operators = positive
        .iter()
        .map(|operator| (operator, false))
        .chain(negated.iter().map(|operator| (operator, true)));
    for ((name, policy, agrees, differs), is_negated) in operators {
        for (qualifier, suffix, of_positive, of_negated) in rows {
            let expected = if is_negated { of_negated } else { of_positive };
            let mut contexts: [Context; 7] = std::array::from_fn(|_| Context::new());
            contexts[1].set("k", agrees);
            contexts[2].set("k", differs);
            contexts[3].set_list("k", [agrees]);
            contexts[4].set_list("k", [agrees, differs]);
            contexts[5].set_list("k", [differs]);
            contexts[6].set_list("k", Vec::<String>::new());
            let operator = format!("{qualifier}{name}{suffix}");
            let actual: String = contexts
                .iter()
                .map(|context| {
                    let holds = holds("2012-10-17", &operator, "k", &format!("\"{policy}\""), context);
                    if holds { 'T' } else { 'F' }
                })
                .collect();
            assert_eq!(actual, expected, "{operator}");
        }
    }
}

#[test]
fn null() {
    let mut present = Context::new();
    present.set("k", "");
    let mut list = Context::new();
    list.set_list("k", ["a", "b"]);
    let absent = Context::new();
    for (values, when_absent) in [
        ("\"true\"", true),
        ("true", true),
        ("[\"TRUE\"]", true),
        ("\"false\"", false),
        ("false", false),
    ] {
        for operator in ["Null", "ForAllValues:Null", "ForAnyValue:Null"] {
            let null = |context| holds("2012-10-17", operator, "k", values, context);
            assert_eq!(null(&absent), when_absent, "{operator} {values}");
            assert_eq!(null(&present), !when_absent, "{operator} {values}");
            assert_eq!(null(&list), !when_absent, "{operator} {values}");
        }
    }
    let null = |values, context| holds("2012-10-17", "Null", "k", values, context);
    assert!(null("[\"true\",\"false\"]", &absent) && null("[\"true\",\"false\"]", &present));
    assert!(!null("\"maybe\"", &absent) && !null("\"maybe\"", &present));
    assert!(!null("[]", &absent) && !null("[]", &present));
}

/// PE-06, and the data set that is empty because its only value is.
#[test]
fn pe_06_sets_that_are_empty() {
    let mut blank = Context::new();
    blank.set_list("k", [""]);
    let empty = Context::new();
    assert!(holds("2012-10-17", "ForAllValues:StringEquals", "k", "\"a\"", &empty));
    assert!(holds("2012-10-17", "ForAllValues:StringEquals", "k", "\"a\"", &blank));
    assert!(!holds("2012-10-17", "ForAnyValue:StringEquals", "k", "\"a\"", &empty));
    assert!(!holds("2012-10-17", "ForAnyValue:StringEquals", "k", "\"a\"", &blank));
    assert!(!holds(
        "2012-10-17",
        "ForAnyValue:StringNotEquals",
        "k",
        "\"a\"",
        &empty
    ));
}

#[test]
fn several_values_are_or_and_their_negation_nor() {
    check(
        "StringEquals",
        Some("StringNotEquals"),
        &[
            (r#"["a","b"]"#, "b", true),
            (r#"["a","b"]"#, "c", false),
            (r#"["a","b"]"#, "A", false),
            (r#"[]"#, "a", false),
        ],
    );
}

/// PE-04: `StringEquals` has no wildcards, but variables and escapes.
#[test]
fn pe_04_string_equals_is_literal() {
    check(
        "StringEquals",
        Some("StringNotEquals"),
        &[
            ("\"*\"", "*", true),
            ("\"*\"", "x", false),
            ("\"a?\"", "ab", false),
            ("\"${*}${?}\"", "*?", true),
            ("\"${aws:username}\"", "ann", true),
            ("\"${none}\"", "", false),
            ("\"${none, 'x'}\"", "x", true),
            ("\"${broken\"", "${broken", false),
        ],
    );
    check(
        "StringEqualsIgnoreCase",
        Some("StringNotEqualsIgnoreCase"),
        &[
            ("\"AB*\"", "ab*", true),
            ("\"${aws:username}\"", "ANN", true),
            ("\"É\"", "é", false),
        ],
    );
}

#[test]
fn string_like() {
    check(
        "StringLike",
        Some("StringNotLike"),
        &[
            (
                "\"system:serviceaccount:team-*:*\"",
                "system:serviceaccount:team-a:app",
                true,
            ),
            (
                "\"system:serviceaccount:team-*:*\"",
                "system:serviceaccount:other:app",
                false,
            ),
            ("\"A*\"", "a", false),
            ("\"${star}\"", "anything", false),
            ("\"${star}\"", "*", true),
            ("\"*\"", "", true),
        ],
    );
}

/// PE-07: keys in any case, values in theirs.
#[test]
fn pe_07_key_case_and_value_case() {
    let mut context = Context::new();
    context.set("aws:PrincipalTag/Team", "Blue");
    let equals = |key, value| holds("2012-10-17", "StringEquals", key, value, &context);
    assert!(equals("AWS:principaltag/TEAM", "\"Blue\""));
    assert!(!equals("aws:PrincipalTag/Team", "\"blue\""));
}

#[test]
fn numbers() {
    check(
        "NumericEquals",
        Some("NumericNotEquals"),
        &[
            ("10", "10", true),
            ("\"10\"", "1e1", true),
            ("9007199254740993", "9007199254740992", false),
            ("-0.50", "-.5", false),
            ("-0.50", "-0.5", true),
        ],
    );
}

/// PE-18: a value that is none of its type never agrees, on either side, and so satisfies a negation.
#[test]
fn pe_18_operands_of_the_wrong_type() {
    for (positive, negated, good) in [
        ("NumericEquals", Some("NumericNotEquals"), "5"),
        ("NumericLessThan", None, "5"),
        ("NumericGreaterThanEquals", None, "5"),
        ("DateEquals", Some("DateNotEquals"), "2026-01-01"),
        ("DateGreaterThan", None, "2026-01-01"),
        ("Bool", None, "true"),
        ("IpAddress", Some("NotIpAddress"), "10.0.0.1"),
        ("ArnLike", Some("ArnNotLike"), "arn:aws:s3:::b"),
    ] {
        for bad in [
            "",
            " ",
            "x",
            "10.0.0.0/99",
            "２０２６",
            "0x5",
            "1,5",
            "2026-02-31",
            "arn:aws",
        ] {
            for (policy, request) in [(bad, good), (good, bad), (bad, bad)] {
                let policy = format!("\"{policy}\"");
                assert!(!single(positive, &policy, request), "{positive} {policy} {request}");
                if let Some(negated) = negated {
                    assert!(single(negated, &policy, request), "{negated} {policy} {request}");
                }
            }
        }
    }
    for bad in ["YWI", "!", "YWI=="] {
        assert!(!single("BinaryEquals", &format!("\"{bad}\""), "ab"), "{bad}");
        assert!(!single("BinaryEquals", &format!("\"{bad}\""), bad), "{bad}");
    }
    // JSON brings bytes as base64.
    assert!(single("BinaryEquals", r#""YWI=""#, "YWI="));
}

#[test]
fn booleans_addresses_and_binaries() {
    check(
        "Bool",
        None,
        &[
            ("true", "true", true),
            ("\"TRUE\"", "true", true),
            ("\"false\"", "False", true),
            ("\"true\"", "false", false),
            ("\"${none, 'true'}\"", "true", true),
            ("\"${none, 'true'}\"", "false", false),
            ("\"${none, 'yes'}\"", "yes", false),
        ],
    );
    check(
        "IpAddress",
        Some("NotIpAddress"),
        &[
            (r#"["10.0.0.0/8","2001:db8::/32"]"#, "2001:db8:0::1", true),
            (r#"["10.0.0.0/8","2001:db8::/32"]"#, "::ffff:10.0.0.1", false),
            (r#""203.0.113.7""#, "203.0.113.7", true),
        ],
    );
    check(
        "BinaryEquals",
        None,
        &[("\"AAE=\"", "\u{0}\u{1}", true), ("\"\"", "", true)],
    );
}

/// PE-14.
#[test]
fn pe_14_arn_fields_do_not_run_into_each_other() {
    for (positive, negated) in [("ArnLike", "ArnNotLike"), ("ArnEquals", "ArnNotEquals")] {
        check(
            positive,
            Some(negated),
            &[
                ("\"arn:aws:sns:*:t\"", "arn:aws:sns:us-east-1:111122223333:t", false),
                ("\"arn:aws:sns:*:*:t\"", "arn:aws:sns:us-east-1:111122223333:t", true),
                ("\"arn:aws:iam::*:role/*\"", "arn:aws:iam::1:role/a:b", true),
                (
                    "\"arn:aws:iam::1:role/${aws:username}\"",
                    "arn:aws:iam::1:role/ann",
                    true,
                ),
                ("\"arn:aws:iam::1:role/${star}\"", "arn:aws:iam::1:role/ann", false),
            ],
        );
    }
}

/// PE-24: variables are a feature of the 2012 language; before it they are text.
#[test]
fn pe_24_versions() {
    let mut context = Context::new();
    context.set("aws:username", "ann");
    context.set("k", "ann");
    context.set("old", "${aws:username}");
    let equals = |version, key| holds(version, "StringEquals", key, "\"${aws:username}\"", &context);
    assert!(equals("2012-10-17", "k") && !equals("2012-10-17", "old"));
    assert!(!equals("2008-10-17", "k") && equals("2008-10-17", "old"));
}

/// Of many constants the deciding ones are found at once: a batch of hostile size takes no longer than its reading.
#[test]
fn many_numbers_and_dates() {
    let numbers: Vec<String> = (0..2000).map(|number| format!("\"{}\"", number * 2)).collect();
    let list = format!("[{},\"x\"]", numbers.join(","));
    for (operator, request, expected) in [
        ("NumericEquals", "1998", true),
        ("NumericEquals", "1998.0", true),
        ("NumericEquals", "1999", false),
        ("NumericNotEquals", "1999", true),
        ("NumericNotEquals", "0", false),
        ("NumericLessThan", "3997", true),
        ("NumericLessThan", "3998", false),
        ("NumericLessThanEquals", "3998", true),
        ("NumericGreaterThan", "0", false),
        ("NumericGreaterThan", "1", true),
        ("NumericGreaterThanEquals", "0", true),
        ("NumericGreaterThanEquals", "-1", false),
        ("DateEquals", "1970-01-01T00:33:18Z", true),
        ("DateEquals", "1970-01-01T00:33:19Z", false),
        ("DateLessThan", "3997", true),
        ("DateLessThan", "3998", false),
        ("DateGreaterThanEquals", "0", true),
    ] {
        assert_eq!(single(operator, &list, request), expected, "{operator} {request}");
    }
}
