use proptest::prelude::*;

use super::*;

const ALL: Syntax = Syntax::new(true, true, &Profile::AWS);

fn matches(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern, ALL).matches(text, &Context::default())
}

/// The obvious matcher: tries everything.
fn naive(pattern: &[Token], text: &str) -> bool {
    let Some((token, rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    match token {
        Token::Literal(literal) => text.strip_prefix(&**literal).is_some_and(|text| naive(rest, text)),
        Token::One | Token::OneInField => text.chars().next().is_some_and(|first| {
            (matches!(token, Token::One) || first != ':') && naive(rest, &text[first.len_utf8()..])
        }),
        Token::Run | Token::RunInField => {
            naive(rest, text)
                || text.chars().next().is_some_and(|first| {
                    (matches!(token, Token::Run) || first != ':') && naive(pattern, &text[first.len_utf8()..])
                })
        }
        Token::Variable(_) => false,
    }
}

#[test]
fn wildcards() {
    for (pattern, text, expected) in [
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("**", "abc", true),
        ("?", "", false),
        ("?", "é", true),
        ("??", "é", false),
        ("a*", "a", true),
        ("a*", "b", false),
        ("*a", "bca", true),
        ("*a", "bcab", false),
        ("a*b*c", "a1b2b3c", true),
        ("a*b*c", "a1b2b3cd", false),
        ("*?", "é", true),
        ("?*", "é", true),
        ("*é", "aé", true),
        ("a?c", "abc", true),
        ("a?c", "a\nc", true),
        ("a*c", "a:/\nc", true),
        ("${*}", "*", true),
        ("${*}", "x", false),
        ("${?}a${$}", "?a$", true),
        ("a$b", "a$b", true),
        ("a$", "a$", true),
        ("{x}", "{x}", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
    }
}

#[test]
fn broken_variables_match_nothing() {
    for pattern in [
        "${",
        "${}",
        "${a",
        "a${b c}",
        "${ a}",
        "${a }",
        "${a,}",
        "${a, b}",
        "${a, 'b}",
        "${a, 'b'",
        "${a, 'b' c}",
        "${${a}}",
        "${*",
        "${a*}",
        "${'x'}",
    ] {
        assert!(matches!(Pattern::new(pattern, ALL), Pattern::Never), "{pattern}");
    }
}

#[test]
fn variables() {
    let mut context = Context::new();
    context.set("aws:username", "ann");
    context.set("aws:PrincipalTag/Team", "*");
    context.set("empty", "");
    context.set_list("aws:TagKeys", ["one"]);
    let matches = |pattern: &str, text: &str| Pattern::new(pattern, ALL).matches(text, &context);
    assert!(matches("home/${aws:username}/*", "home/ann/x"));
    assert!(matches("home/${AWS:UserName}/*", "home/ann/x"));
    assert!(!matches("home/${aws:username}/*", "home/bob/x"));
    // The tag's value is an asterisk and nothing else.
    assert!(matches("${aws:principaltag/team}", "*"));
    assert!(!matches("${aws:principaltag/team}", "bob"));
    assert!(!matches("a*${aws:principaltag/team}", "a-bob"));
    assert!(!matches("${none}", ""));
    assert!(!matches("*${none}*", "anything"));
    assert!(matches("${none, 'dflt'}", "dflt"));
    assert!(matches("${none,'a}b*'}x", "a}b*x"));
    assert!(!matches("${none, '*'}", "x"));
    assert!(matches("[${empty}]", "[]"));
    assert!(matches("[${empty, 'd'}]", "[d]"));
    assert!(!matches("${aws:TagKeys}", "one"));
    assert!(matches("${aws:TagKeys, 'd'}", "d"));
    assert!(matches(
        "${a,'1'}${a,'2'}${a,'3'}${a,'4'}${a,'5'}${aws:username}",
        "12345ann"
    ));
}

#[test]
fn without_variables_the_text_is_literal() {
    let old = Syntax::WILDCARDS;
    let mut context = Context::new();
    context.set("aws:username", "ann");
    let pattern = Pattern::new("${aws:username}*", old);
    assert!(pattern.matches("${aws:username}/x", &context));
    assert!(!pattern.matches("ann", &context));
}

#[test]
fn case_folding_is_ascii() {
    let none = Context::default();
    assert!(Pattern::new("AbC", ALL).matches_ignoring_case("aBc", &none));
    assert!(Pattern::new("A*C", ALL).matches_ignoring_case("abbc", &none));
    assert!(Pattern::new("AB*", ALL).matches_ignoring_case("abbc", &none));
    assert!(!Pattern::new("É", ALL).matches_ignoring_case("é", &none));
}

#[test]
fn hostile_patterns_stay_linear() {
    let started = std::time::Instant::now();
    assert!(!matches(&format!("{}b", "*a".repeat(200)), &"a".repeat(4000)));
    assert!(!matches(&format!("{}*b", "*?a".repeat(200)), &"a".repeat(4000)));
    assert!(matches(&"*a".repeat(8), &"a".repeat(60)));
    let mut confined = vec![Token::Literal("arn:".into())];
    for _ in 0..50 {
        confined.extend([
            Token::RunInField,
            Token::Literal("a".into()),
            Token::Run,
            Token::Literal(":".into()),
        ]);
    }
    assert!(!Pattern::of(confined).matches(&format!("arn:{}", "a".repeat(4000)), &Context::default()));
    // Backtracking would need longer than the age of the universe; the bound only has to tell these two apart.
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![
        "[ab:é]{1,2}".prop_map(|text| Token::Literal(text.into())),
        Just(Token::One),
        Just(Token::Run),
    ]
}

proptest! {
    #[test]
    fn agrees_with_the_obvious_matcher(tokens in proptest::collection::vec(token(), 0..8), text in "[ab:é]{0,10}") {
        let expected = naive(&tokens, &text);
        prop_assert_eq!(Pattern::of(tokens).matches(&text, &Context::default()), expected);
    }

    /// ARN patterns, whose wildcards are confined to fields, through the compiler that confines them.
    #[test]
    fn agrees_on_arns(pattern in "a(:[ab?*]{0,3}){3,7}", text in "a(:[ab]{0,3}){4,8}") {
        for tokens in crate::resource::confine_for_tests(&pattern) {
            let expected = naive(&tokens, &text);
            prop_assert_eq!(Pattern::of(tokens).matches(&text, &Context::default()), expected, "{}", pattern);
        }
    }

    #[test]
    fn never_panics(pattern in ".{0,30}", text in ".{0,30}") {
        let mut context = Context::new();
        context.set("a", "é*");
        let compiled = Pattern::new(&pattern, ALL);
        compiled.matches(&text, &context);
        compiled.matches_ignoring_case(&text, &context);
        let _ = compiled.resolved(&context);
    }
}
