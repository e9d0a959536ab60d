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

/// What a policy's resource text says at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    One,
    Run,
    /// Something that only a variable can hold.
    Opaque,
}

/// A resource type's ARN pattern.
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
        let tokens: Vec<Token> = arn.bytes().map(Token::Byte).collect();
        meets(&self.0, &tokens)
    }

    /// Whether some ARN fits both.
    pub(crate) fn overlaps(&self, resource: &Resource) -> bool {
        meets(&self.0, &resource.0)
    }

    /// Whether all that the resource says fits this pattern.
    pub(crate) fn covers(&self, resource: &Resource) -> bool {
        let tokens: Vec<Token> = resource
            .0
            .iter()
            .map(|token| match token {
                Token::Byte(byte) => Token::Byte(*byte),
                _ => Token::Opaque,
            })
            .collect();
        meets(&self.0, &tokens)
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
            meets(wide, &tokens.collect::<Vec<_>>())
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
pub(crate) struct Resource(Vec<Token>);

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
            if let Some((variable, after)) = rest.strip_prefix("${").and_then(|rest| rest.split_once('}')) {
                tokens.push(match variable {
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
        Self(tokens)
    }
}

/// Whether a text exists that fits both. Time: the product of the lengths at most; where little is wild, few places are
/// looked at for each sign.
fn meets(signs: &[Sign], tokens: &[Token]) -> bool {
    // `row[j]`: the signs so far and the first `j` tokens can have matched the same text. All of it that is true stands
    // from `first` on.
    let mut row = vec![false; tokens.len().saturating_add(1)];
    let mut next = row.clone();
    let mut first = 0;
    if let Some(start) = row.first_mut() {
        *start = true;
    }
    let mut last = 0;
    for sign in signs {
        // The bounds of what is true in `next`.
        let mut bounds: Option<(usize, usize)> = None;
        let mut reach = |place: usize| {
            let (low, high) = bounds.unwrap_or((place, place));
            bounds = Some((low.min(place), high.max(place)));
        };
        // Whether the places after this one are reached by way of its token, in `row` and in `next`.
        let (mut row_carry, mut next_carry) = (false, false);
        let places = row.iter_mut().zip(next.iter_mut()).enumerate().skip(first);
        for (place, (reached, reached_next)) in places {
            if place > last && !row_carry && !next_carry {
                break;
            }
            let here = std::mem::take(reached) || row_carry;
            let token = tokens.get(place);
            *reached_next = next_carry;
            (row_carry, next_carry) = (false, false);
            if here {
                match (sign, token) {
                    // A variable may end here; or the policy's wildcard holds the sign and goes on.
                    (Sign::More(_), _) | (Sign::Byte(_) | Sign::One(_), Some(Token::Run)) => *reached_next = true,
                    (Sign::Byte(byte), Some(Token::Byte(other))) => next_carry = byte == other,
                    (Sign::One(in_field), Some(Token::Byte(byte))) => next_carry = !(*in_field && *byte == b':'),
                    (Sign::Byte(_), Some(Token::One)) | (Sign::One(_), Some(Token::One | Token::Opaque)) => {
                        next_carry = true;
                    }
                    (Sign::Byte(_), Some(Token::Opaque)) | (_, None) => {}
                }
                row_carry = match (sign, token) {
                    // The policy's wildcard may end here; or the variable holds its character and goes on.
                    (_, Some(Token::Run)) | (Sign::More(_), Some(Token::One | Token::Opaque)) => true,
                    (Sign::More(in_field), Some(Token::Byte(byte))) => !(*in_field && *byte == b':'),
                    _ => false,
                };
            }
            if *reached_next {
                reach(place);
            }
        }
        let Some((low, high)) = bounds else {
            return false;
        };
        (first, last) = (low, high);
        std::mem::swap(&mut row, &mut next);
    }
    // Wildcards at the end of the policy's text may hold nothing.
    let trailing = tokens.iter().rev().take_while(|token| **token == Token::Run).count();
    row.iter()
        .rev()
        .take(trailing.saturating_add(1))
        .any(|reached| *reached)
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

    proptest! {
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
