//! ARN patterns of resource types (`arn:${Partition}:s3:::${BucketName}/${ObjectName}`) against ARNs and against what
//! policies write under `Resource`.
//!
//! A variable stands for one or more characters; within an ARN's first five fields, for none that is a colon. AWS does
//! not publish what a name may hold, so the variables of the last field take everything: where the answer is not known,
//! it is "possible".

/// The longest text of a resource that is looked at as a whole, in bytes: AWS's limit for an ARN. Of a longer one the
/// rest counts as a wildcard.
const LONGEST_ARN: usize = 2048;

/// A sign of a resource type's pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Byte(u8),
    /// One character of a variable; `true` where no colon may be.
    One(bool),
    /// Any more of them.
    More(bool),
}

/// What a text says at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    One,
    Run,
    /// Something that only a variable can hold.
    Opaque,
}

/// A resource type's ARN pattern.
#[derive(Debug)]
pub(crate) struct Template(Vec<Sign>);

impl Template {
    pub(crate) fn new(pattern: &str) -> Self {
        let mut signs = Vec::with_capacity(pattern.len());
        let mut colons = 0_usize;
        let mut rest = pattern;
        while let Some(character) = rest.chars().next() {
            let in_field = colons < 5;
            // One pattern of the table writes its variable without the dollar sign.
            let variable = rest.strip_prefix("${").or_else(|| rest.strip_prefix('{'));
            if let Some((_, after)) = variable.and_then(|variable| variable.split_once('}')) {
                signs.extend([Sign::One(in_field), Sign::More(in_field)]);
                rest = after;
                continue;
            }
            let (this, after) = rest.split_at_checked(character.len_utf8()).unwrap_or((rest, ""));
            rest = after;
            match character {
                '*' => signs.push(Sign::More(in_field)),
                _ => signs.extend(this.bytes().map(Sign::Byte)),
            }
            colons = colons.saturating_add(usize::from(character == ':'));
        }
        Self(signs)
    }

    pub(crate) fn matches(&self, arn: &str) -> bool {
        meets(&self.0, &Tokens::new(arn.bytes().map(Token::Byte)))
    }

    /// Whether some ARN fits both.
    pub(crate) fn overlaps(&self, resource: &Resource) -> bool {
        meets(&self.0, &resource.text)
    }

    /// Whether all that the resource says fits this pattern.
    pub(crate) fn covers(&self, resource: &Resource) -> bool {
        meets(&self.0, &resource.whole)
    }

    /// Whether this pattern takes all that the other stands for, by a variable that holds a slash, and not the other
    /// way round.
    ///
    /// A slash parts names that are of different types: `table/t` and `table/t/index/i`. A colon does not: AWS lets
    /// actions on a function name its aliases (`function:f:prod`), too, and actions on a log group its streams.
    pub(crate) fn is_wider_than(&self, other: &Self) -> bool {
        let holds = |wide: &[Sign], narrow: &Self| {
            let tokens = narrow.0.iter().filter_map(|sign| match sign {
                Sign::Byte(byte) => Some(Token::Byte(*byte)),
                Sign::One(_) => Some(Token::Opaque),
                Sign::More(_) => None,
            });
            meets(wide, &Tokens::new(tokens))
        };
        let without_colons: Vec<Sign> = self
            .0
            .iter()
            .map(|sign| match sign {
                Sign::Byte(byte) => Sign::Byte(*byte),
                Sign::One(_) => Sign::One(true),
                Sign::More(_) => Sign::More(true),
            })
            .collect();
        holds(&without_colons, other) && !holds(&other.0, self)
    }
}

/// What a policy writes under `Resource`.
pub(crate) struct Resource {
    /// With its wildcards.
    text: Tokens,
    /// With its wildcards as something that only a variable can hold.
    whole: Tokens,
}

impl Resource {
    /// Reads it: `*` and `?` are wildcards, a policy variable can be anything, missing fields of an ARN are.
    pub(crate) fn new(text: &str) -> Self {
        let mut tokens = Vec::with_capacity(text.len().min(LONGEST_ARN));
        let mut colons = 0_usize;
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if tokens.len() >= LONGEST_ARN {
                tokens.push(Token::Run);
                break;
            }
            if let Some((name, after)) = variable(rest) {
                tokens.push(match name {
                    "*" => Token::Byte(b'*'),
                    "?" => Token::Byte(b'?'),
                    "$" => Token::Byte(b'$'),
                    _ => Token::Run,
                });
                rest = after;
                continue;
            }
            let (this, after) = rest.split_at_checked(character.len_utf8()).unwrap_or((rest, ""));
            rest = after;
            match character {
                '*' if tokens.last() == Some(&Token::Run) => {}
                '*' => tokens.push(Token::Run),
                '?' => tokens.push(Token::One),
                _ => tokens.extend(this.bytes().map(Token::Byte)),
            }
            colons = colons.saturating_add(usize::from(character == ':'));
        }
        if text != "*" {
            for _ in colons..5 {
                tokens.extend([Token::Byte(b':'), Token::Run]);
            }
        }
        let whole = tokens.iter().map(|token| match token {
            Token::Byte(byte) => Token::Byte(*byte),
            Token::One | Token::Run | Token::Opaque => Token::Opaque,
        });
        Self {
            whole: Tokens::new(whole),
            text: Tokens::new(tokens.iter().copied()),
        }
    }
}

/// The name in a policy variable that begins a text, and what follows it. A default may hold the closing brace.
fn variable(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix("${")?;
    let (name, after) = text.split_once('}')?;
    if name.contains('\'') {
        text.split_once("'}")
    } else {
        Some((name, after))
    }
}

/// Sixty-four tokens: bit `n` is set if the `n`th is of the kind.
#[derive(Clone, Debug, Default)]
struct Word {
    bytes: u64,
    colons: u64,
    ones: u64,
    runs: u64,
    opaques: u64,
}

/// A text as sets of places, so that a sign is compared with sixty-four tokens at once.
#[derive(Debug)]
struct Tokens {
    words: Vec<Word>,
    /// The places of each byte: 256 for each word.
    places: Vec<[u64; 256]>,
    /// The place behind the last token.
    end: usize,
}

impl Tokens {
    fn new(tokens: impl IntoIterator<Item = Token>) -> Self {
        let mut this = Self {
            words: Vec::new(),
            places: Vec::new(),
            end: 0,
        };
        let mut bit: u64 = 0;
        for token in tokens {
            bit = bit.rotate_left(1);
            if bit <= 1 {
                this.grow();
                bit = 1;
            }
            let (Some(word), Some(places)) = (this.words.last_mut(), this.places.last_mut()) else {
                break;
            };
            match token {
                Token::Byte(byte) => {
                    word.bytes |= bit;
                    if byte == b':' {
                        word.colons |= bit;
                    }
                    if let Some(places) = places.get_mut(usize::from(byte)) {
                        *places |= bit;
                    }
                }
                Token::One => word.ones |= bit,
                Token::Run => word.runs |= bit,
                Token::Opaque => word.opaques |= bit,
            }
            this.end = this.end.saturating_add(1);
        }
        // The place behind the last token needs a bit, too.
        if this.end.is_multiple_of(64) {
            this.grow();
        }
        this
    }

    fn grow(&mut self) {
        self.words.push(Word::default());
        self.places.push([0; 256]);
    }
}

/// Whether a text exists that fits both. Bit `n` of the states: the signs so far and the first `n` tokens can have
/// matched the same text.
fn meets(signs: &[Sign], tokens: &Tokens) -> bool {
    let mut states = vec![0_u64; tokens.words.len()];
    if let Some(start) = states.first_mut() {
        *start = 1;
    }
    for sign in signs {
        // What goes over from one word to the next: a flow, and a state that has moved.
        let (mut flow, mut moved) = (false, 0);
        let mut alive = 0;
        for ((state, word), places) in states.iter_mut().zip(&tokens.words).zip(&tokens.places) {
            let any =
                |in_field: bool| word.ones | word.opaques | word.bytes & !(if in_field { word.colons } else { 0 });
            match sign {
                // A variable holds any number of these tokens; the policy's wildcards may hold nothing.
                Sign::More(in_field) => *state = flood(*state, any(*in_field) | word.runs, &mut flow),
                Sign::One(_) | Sign::Byte(_) => {
                    let holding = match sign {
                        Sign::Byte(byte) => places.get(usize::from(*byte)).copied().unwrap_or_default() | word.ones,
                        Sign::One(in_field) | Sign::More(in_field) => any(*in_field),
                    };
                    let reached = flood(*state, word.runs, &mut flow);
                    let holds = reached & holding;
                    // A wildcard holds the sign and stays.
                    *state = (reached & word.runs) | (holds << 1) | moved;
                    moved = holds >> 63;
                }
            }
            alive |= *state;
        }
        if alive == 0 {
            return false;
        }
    }
    let mut flow = false;
    let mut last = 0;
    for (state, word) in states.iter().zip(&tokens.words) {
        last = flood(*state, word.runs, &mut flow);
    }
    last & (1 << (tokens.end % 64)) != 0
}

/// The states, and those that are reached from one of them through neighbouring places of a mask. The sum carries a bit
/// through each stretch of ones; `flow` is the carry from the word before and to the next.
fn flood(states: u64, mask: u64, flow: &mut bool) -> u64 {
    let (sum, over) = (states & mask).overflowing_add(mask);
    let (sum, over_by_flow) = sum.overflowing_add(u64::from(*flow));
    *flow = over || over_by_flow;
    (sum ^ mask) | states
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OBJECT: &str = "arn:${Partition}:s3:::${BucketName}/${ObjectName}";
    const BUCKET: &str = "arn:${Partition}:s3:::${BucketName}";
    const TABLE: &str = "arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName}";

    fn matches(template: &str, arn: &str) -> bool {
        Template::new(template).matches(arn)
    }

    fn overlaps(template: &str, resource: &str) -> bool {
        Template::new(template).overlaps(&Resource::new(resource))
    }

    #[test]
    fn an_arn_fits_its_type() {
        assert!(matches(OBJECT, "arn:aws:s3:::bucket/a/b:c"));
        assert!(!matches(OBJECT, "arn:aws:s3:::bucket"));
        assert!(!matches(OBJECT, "arn:aws:s3:::bucket/"));
        assert!(matches(BUCKET, "arn:aws-cn:s3:::bucket"));
        assert!(!matches(BUCKET, "arn:aws:s3:us-east-1::bucket"));
        assert!(matches(TABLE, "arn:aws:dynamodb:us-east-1:111122223333:table/t"));
        assert!(!matches(TABLE, "arn:aws:dynamodb:us-east-1:1:1:table/t"));
        assert!(!matches(TABLE, "arn:aws:dynamodb:us-east-1::table/t"));
        assert!(!matches(TABLE, "*"));
        assert!(!matches(TABLE, ""));
        assert!(matches("arn:${Partition}:x:::a/*", "arn:aws:x:::a/"));
        assert!(matches("arn:${Partition}:x:::a-{Date}", "arn:aws:x:::a-1"));
    }

    #[test]
    fn wildcards_of_a_policy_meet_types() {
        assert!(overlaps(OBJECT, "*"));
        assert!(overlaps(OBJECT, "arn:aws:s3:::b*"));
        assert!(overlaps(OBJECT, "arn:aws:s3:::b/${aws:username}/*"));
        assert!(!overlaps(OBJECT, "arn:aws:s3:::bucket"));
        assert!(overlaps(OBJECT, "arn:*:s3:::bucket/?"));
        assert!(!overlaps(OBJECT, "arn:aws:sqs:*:*:*"));
        assert!(overlaps(OBJECT, "arn:aws:s3"));
        assert!(overlaps(OBJECT, "arn:aws:*"));
        assert!(overlaps(TABLE, "arn:aws:dynamodb:*:table/prod-*"));
        assert!(!overlaps(TABLE, "arn:aws:dynamodb:us-east-1:111122223333:index/*"));
        // A `*` that ends a field can go beyond it: `us-east-1:111122223333:table/t` stands before `:index/`.
        assert!(overlaps(TABLE, "arn:aws:dynamodb:*:*:index/*"));
        assert!(!overlaps(TABLE, "arn:aws:dynamodb:::table/t"));
        assert!(overlaps("arn:${Partition}:x:::*/y", "arn:aws:x:::*"));
        assert!(overlaps(OBJECT, "arn:aws:s3:::${aws:PrincipalTag/b, 'a}b'}/x"));
        assert!(overlaps(
            "arn:${Partition}:x:::a/y",
            "arn:aws:x:::${aws:PrincipalTag/b, 'a}b'}/y"
        ));
        assert!(!overlaps("arn:${Partition}:x:::a${*}", "arn:aws:x:::${?}"));
    }

    #[test]
    fn coverage_and_width() {
        let (object, bucket) = (Template::new(OBJECT), Template::new(BUCKET));
        assert!(bucket.is_wider_than(&object));
        assert!(!object.is_wider_than(&bucket));
        assert!(!bucket.is_wider_than(&bucket));
        let function = Template::new("arn:${Partition}:lambda:${Region}:${Account}:function:${FunctionName}");
        let alias = Template::new("arn:${Partition}:lambda:${Region}:${Account}:function:${FunctionName}:${Alias}");
        assert!(!function.is_wider_than(&alias));
        assert!(object.covers(&Resource::new("arn:aws:s3:::b/*")));
        assert!(!object.covers(&Resource::new("arn:aws:s3:::b*")));
        assert!(bucket.covers(&Resource::new("arn:aws:s3:::b*")));
    }

    #[test]
    fn hostile_texts_end_soon() {
        // A minute of work for a matcher that backtracks; here the product of the lengths.
        let hostile = ["arn:aws:s3:::", &"*a".repeat(100_000)].concat();
        assert!(overlaps(OBJECT, &hostile));
        assert!(!overlaps(TABLE, &hostile));
        assert!(overlaps(OBJECT, &["arn:aws:s3:::", &"?".repeat(100_000)].concat()));
        assert!(matches(OBJECT, &["arn:aws:s3:::a", &"/a".repeat(10_000)].concat()));
    }

    /// By the definition, place by place.
    fn naive(signs: &[Sign], tokens: &[Token]) -> bool {
        let Some((sign, more_signs)) = signs.split_first() else {
            return tokens.iter().all(|token| *token == Token::Run);
        };
        let held = |in_field: &bool, token: &Token| !(*in_field && *token == Token::Byte(b':'));
        let here = match (sign, tokens.split_first()) {
            (_, Some((Token::Run, more))) => naive(signs, more) || naive(more_signs, tokens),
            (Sign::Byte(byte), Some((token, more))) => {
                (*token == Token::Byte(*byte) || *token == Token::One) && naive(more_signs, more)
            }
            (Sign::One(in_field), Some((token, more))) => held(in_field, token) && naive(more_signs, more),
            (Sign::More(in_field), Some((token, more))) => held(in_field, token) && naive(signs, more),
            (_, None) => false,
        };
        here || matches!(sign, Sign::More(_)) && naive(more_signs, tokens)
    }

    fn some_sign() -> impl Strategy<Value = Sign> {
        prop_oneof![
            prop_oneof![Just(b'a'), Just(b'b'), Just(b':')].prop_map(Sign::Byte),
            any::<bool>().prop_map(Sign::One),
            any::<bool>().prop_map(Sign::More),
        ]
    }

    fn some_token() -> impl Strategy<Value = Token> {
        prop_oneof![
            prop_oneof![Just(b'a'), Just(b'b'), Just(b':')].prop_map(Token::Byte),
            Just(Token::One),
            Just(Token::Run),
            Just(Token::Opaque),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            signs in proptest::collection::vec(some_sign(), 0..7),
            tokens in proptest::collection::vec(some_token(), 0..7),
            before in prop_oneof![Just(0_usize), 55..70_usize, 120..130_usize],
        ) {
            // A common start moves the rest over the borders of words.
            let start = std::iter::repeat_n(b'a', before);
            let long_signs: Vec<Sign> = start.clone().map(Sign::Byte).chain(signs.iter().copied()).collect();
            let long_tokens: Vec<Token> = start.map(Token::Byte).chain(tokens.iter().copied()).collect();
            let expected = naive(&signs, &tokens);
            prop_assert_eq!(meets(&long_signs, &Tokens::new(long_tokens)), expected);
            // And so does what a variable holds.
            let mut held = vec![Sign::Byte(b'b'), Sign::One(true), Sign::More(true), Sign::Byte(b':')];
            held.extend(&signs);
            let mut holding = vec![Token::Byte(b'b')];
            holding.extend(std::iter::repeat_n(Token::Byte(b'a'), before + 1));
            holding.push(Token::Byte(b':'));
            holding.extend(&tokens);
            prop_assert_eq!(meets(&held, &Tokens::new(holding)), expected);
        }

        /// What a concrete ARN fits, the same text as a policy's resource meets; and wildcards only widen.
        #[test]
        fn wildcards_only_widen(name in "[ab/:]{0,6}", at in 0_usize..6) {
            for template in [OBJECT, BUCKET, "arn:${Partition}:s3:::a${X}:${Y}b", "arn:${Partition}:s3:::*/${Z}"] {
                let arn = format!("arn:aws:s3:::{name}");
                prop_assert_eq!(matches(template, &arn), overlaps(template, &arn));
                if matches(template, &arn) {
                    prop_assert!(Template::new(template).covers(&Resource::new(&arn)));
                    let cut = at.min(name.len());
                    for wildcard in ["*", "**", "${aws:username}"] {
                        let wide = format!("arn:aws:s3:::{}{wildcard}{}", &name[..cut], &name[cut..]);
                        prop_assert!(overlaps(template, &wide), "{} {}", template, wide);
                        let cut_out = format!("arn:aws:s3:::{}{wildcard}", &name[..cut]);
                        prop_assert!(overlaps(template, &cut_out), "{} {}", template, cut_out);
                    }
                }
            }
        }

        #[test]
        fn takes_any_text(template in ".*", resource in ".*") {
            let resource_read = Resource::new(&resource);
            let template = Template::new(&template);
            template.overlaps(&resource_read);
            template.covers(&resource_read);
            prop_assert!(!template.is_wider_than(&template));
            template.matches(&resource);
        }
    }
}
