//! Files of rules that are wrong, and what their authors are told.

use super::*;

/// A file with one service and these operations, each on a line of its own from the third on.
fn file(operations: &str) -> String {
    format!(
        "{{\"services\":[\n{{\"signingNames\":[\"o\"],\"prefix\":\"o\",\"protocol\":\"json\",\"targets\":[\"O\"],\"resources\":{{\"order\":{{\"arn\":\"arn:{{partition}}:o:{{region}}:{{account}}:order/{{}}\"}}}},\"operations\":{{\n{operations}}}}}]}}"
    )
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let one = |name: &str, rest: &str| format!("{{\"services\":[\n{{\"signingNames\":[\"{name}\"],{rest}}}]}}");
    let mut faults = Vec::new();
    for (text, place, part) in [
        (String::new(), (1, 0), "EOF"),
        ("[]".to_owned(), (1, 1), "an object was expected"),
        (
            "{\"services\":[\n[[\"o\"],\"o\"]]}".to_owned(),
            (2, 1),
            "an object was expected",
        ),
        ("{}".to_owned(), (1, 2), "missing field `services`"),
        ("{\"services\":[]} x".to_owned(), (1, 17), "trailing characters"),
        (
            "{\n  \"services\": [\n    {\"prefx\": 1}\n  ]\n}".to_owned(),
            (3, 12),
            "unknown field `prefx`",
        ),
        (
            one("o", "\"prefix\":\"o\",\"protocol\":\"soap\""),
            (2, 52),
            "unknown variant `soap`",
        ),
        (
            one("o", "\"prefix\":\"o\",\"protocol\":\"json\""),
            (2, 1),
            "needs `targets`",
        ),
        (
            one("o", "\"prefix\":\"o\",\"protocol\":\"query\""),
            (2, 1),
            "needs `versions`",
        ),
        (
            one("", "\"prefix\":\"o\",\"protocol\":\"json\",\"targets\":[\"O\"]"),
            (2, 1),
            "needs `signingNames`",
        ),
        (
            one("o", "\"prefix\":\"o:\",\"protocol\":\"json\",\"targets\":[\"O\"]"),
            (2, 1),
            "`o:` is no prefix of actions",
        ),
        (
            one(
                "sqs",
                "\"prefix\":\"q\",\"protocol\":\"json\",\"targets\":[\"AmazonSQS\"]",
            ),
            (2, 1),
            "could both mean a request",
        ),
        (
            one(
                "elasticloadbalancing",
                "\"prefix\":\"elasticloadbalancing\",\"protocol\":\"query\"",
            ),
            (2, 1),
            "say which by `targets` or `versions`",
        ),
        (
            one(
                "o",
                "\"prefix\":\"o\",\"protocol\":\"json\",\"targets\":[\"O\"],\n\"resources\":{\"a\":{\"arn\":\"arn:aws:o\"}}",
            ),
            (3, 18),
            "is no template of an ARN",
        ),
        (
            file("\"Cancel\":{\"resources\":[{\"kind\":\"ordr\",\"from\":\"Id\"}]}"),
            (3, 10),
            "no kind of resource `ordr`",
        ),
        (
            file("\"Cancel\":{\"resources\":[{\"kind\":\"order\",\"from\":[\"Id\",\"Other\"]}]}"),
            (3, 10),
            "takes 1 values",
        ),
        (file("\"A\":{},\n\"A\":{}"), (4, 3), "`A` is there twice"),
        (file("\"Get It\":{}"), (3, 10), "`Get It` is no name of an operation"),
        (
            file("\"Get\":{},\n\"Put\":{\"resource\":[]}"),
            (4, 17),
            "unknown field `resource`",
        ),
        (
            file("\"Get\":{\"resources\":[\"order\"]}"),
            (3, 27),
            "`order` is no resource",
        ),
        (file("\"Get\":{\"resources\":[7]}"), (3, 21), "expected `\"*\"`"),
        (
            file("\"Get\":{\"resources\":[{\"kind\":\"order\",\"form\":\"Id\"}]}"),
            (3, 42),
            "unknown field `form`",
        ),
        (
            file("\"Get\":{\"resources\":[{\"kind\":\"order\",\"from\":\"Id[\"}]}"),
            (3, 48),
            "`Id[` is no path",
        ),
        (file("\"Get\":{\"action\":\"o:Get\"}"), (3, 7), "`o:Get` is no action"),
        (
            file("\"Get\":{\"route\":\"GET /x\"}"),
            (3, 7),
            "needs a `route` if its service is REST",
        ),
        (file("\"Get\":{\"tags\":{}}"), (3, 17), "either `map` or `each`"),
        (
            file("\"Get\":{\"keys\":{\"team\":\"Team\"}}"),
            (3, 7),
            "`team` is no condition key",
        ),
    ] {
        let error = RuleBook::built_in().unwrap().with(&text).unwrap_err();
        if !error.problem.contains(part) || (error.line, error.column) != place {
            faults.push(format!("{error}: expected {place:?} {part}\n{text}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
