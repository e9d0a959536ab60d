//! Which service accounts a command is about: `--include`, `--exclude`, `--only-missing`.
//!
//! Names are matched as `namespace/name`, with the namespace that a file leaves out filled in. (eksctl matches such an
//! account as `/name`.) `*` matches any text, slashes too; an exclusion wins over an inclusion.

use std::collections::BTreeSet;

use crate::account::ServiceAccountName;

/// A pattern with `*`, `?`, `[a-z]`, `[!a-z]` and `{one,other}`; `\` takes the next character for itself.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    alternatives: Vec<Vec<Token>>,
}

#[derive(Clone, Debug)]
enum Token {
    Any,
    One,
    Class { negated: bool, ranges: Vec<(char, char)> },
    Char(char),
}

/// A brace that is not closed yet.
struct Brace {
    /// The alternatives of what stands before it.
    before: Vec<Vec<Token>>,
    /// Those inside it that are complete.
    complete: Vec<Vec<Token>>,
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("parsing glob filter \"{glob}\": {why}")]
pub struct GlobError {
    glob: String,
    why: &'static str,
}

impl Glob {
    const MOST_ALTERNATIVES: usize = 1024;

    /// Reads a pattern.
    ///
    /// # Errors
    /// A bracket or brace has no end, or there are more than a thousand alternatives.
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        let fault = |why| GlobError {
            glob: text.chars().take(256).collect(),
            why,
        };
        let mut open: Vec<Brace> = Vec::new();
        let mut current: Vec<Vec<Token>> = vec![Vec::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let token = match character {
                '*' => Token::Any,
                '?' => Token::One,
                '[' => class(&mut characters).ok_or_else(|| fault("`[` has no end, or nothing in it"))?,
                '\\' => Token::Char(characters.next().ok_or_else(|| fault("nothing stands after `\\`"))?),
                '{' => {
                    open.push(Brace {
                        before: std::mem::replace(&mut current, vec![Vec::new()]),
                        complete: Vec::new(),
                    });
                    continue;
                }
                ',' if !open.is_empty() => {
                    let done = std::mem::replace(&mut current, vec![Vec::new()]);
                    if let Some(brace) = open.last_mut() {
                        brace.complete.extend(done);
                    }
                    continue;
                }
                '}' => {
                    let Brace { before, mut complete } = open.pop().ok_or_else(|| fault("`}` has no beginning"))?;
                    complete.append(&mut current);
                    if before.len().saturating_mul(complete.len()) > Self::MOST_ALTERNATIVES {
                        return Err(fault("it has too many alternatives"));
                    }
                    current = before
                        .iter()
                        .flat_map(|before| complete.iter().map(move |after| [before.as_slice(), after].concat()))
                        .collect();
                    continue;
                }
                other => Token::Char(other),
            };
            for alternative in &mut current {
                alternative.push(token.clone());
            }
        }
        if !open.is_empty() {
            return Err(fault("`{` has no end"));
        }
        Ok(Self {
            text: text.to_owned(),
            alternatives: current,
        })
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        self.alternatives.iter().any(|tokens| matches(tokens, &text))
    }
}

fn class(characters: &mut std::str::Chars<'_>) -> Option<Token> {
    let mut inside = Vec::new();
    loop {
        match characters.next()? {
            ']' if !inside.is_empty() => break,
            '\\' => inside.push((characters.next()?, true)),
            other => inside.push((other, false)),
        }
    }
    let negated = matches!(inside.first(), Some(('!' | '^', false))) && inside.len() > 1;
    let mut inside = inside.into_iter().skip(usize::from(negated)).peekable();
    let mut ranges = Vec::new();
    while let Some((from, _)) = inside.next() {
        let mut to = from;
        if inside.next_if_eq(&('-', false)).is_some() {
            match inside.next() {
                Some((end, _)) => to = end,
                None => ranges.push(('-', '-')),
            }
        }
        ranges.push((from, to));
    }
    Some(Token::Class { negated, ranges })
}

/// The usual walk with one point to return to: no pattern takes more than the product of both lengths.
fn matches(tokens: &[Token], text: &[char]) -> bool {
    let (mut token, mut at) = (0_usize, 0_usize);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() || token < tokens.len() {
        let matched = match (tokens.get(token), text.get(at)) {
            (Some(Token::Any), _) => {
                retry = Some((token, at));
                token = token.saturating_add(1);
                continue;
            }
            (Some(Token::One), Some(_)) => true,
            (Some(Token::Char(wanted)), Some(found)) => wanted == found,
            (Some(Token::Class { negated, ranges }), Some(found)) => {
                ranges.iter().any(|(from, to)| (from..=to).contains(&found)) != *negated
            }
            _ => false,
        };
        if matched {
            token = token.saturating_add(1);
            at = at.saturating_add(1);
        } else if let Some((star, from)) = retry.filter(|(_, from)| *from < text.len()) {
            at = from.saturating_add(1);
            token = star.saturating_add(1);
            retry = Some((star, at));
        } else {
            return false;
        }
    }
    true
}

/// The globs of a command.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

/// What a filter leaves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// In the order given.
    pub included: Vec<ServiceAccountName>,
    /// In the order given.
    pub excluded: Vec<ServiceAccountName>,
}

/// An inclusion that includes nothing: probably misspelt.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no iamserviceaccounts match include glob filter specification: \"{0}\"")]
pub struct NothingIncludedError(String);

impl Filter {
    /// Reads globs; both lists may be empty.
    ///
    /// # Errors
    /// All globs that cannot be read.
    pub fn parse<S: AsRef<str>>(include: &[S], exclude: &[S]) -> Result<Self, Vec<GlobError>> {
        let mut filter = Self::default();
        let mut errors = Vec::new();
        for (texts, globs) in [(include, &mut filter.include), (exclude, &mut filter.exclude)] {
            for text in texts {
                match Glob::parse(text.as_ref()) {
                    Ok(glob) => globs.push(glob),
                    Err(error) => errors.push(error),
                }
            }
        }
        if errors.is_empty() { Ok(filter) } else { Err(errors) }
    }

    /// Whether an account is chosen.
    #[must_use]
    pub fn includes(&self, name: &ServiceAccountName) -> bool {
        let name = name.to_string();
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&name));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }

    /// Divides accounts.
    ///
    /// # Errors
    /// There are inclusions, and not one account matches any of them.
    pub fn select<'n>(
        &self,
        names: impl IntoIterator<Item = &'n ServiceAccountName>,
    ) -> Result<Selection, NothingIncludedError> {
        let mut selection = Selection::default();
        let mut matched = self.include.is_empty();
        for name in names {
            let text = name.to_string();
            matched |= self.include.iter().any(|glob| glob.matches(&text));
            if self.includes(name) {
                selection.included.push(name.clone());
            } else {
                selection.excluded.push(name.clone());
            }
        }
        if matched {
            Ok(selection)
        } else {
            let globs: Vec<&str> = self.include.iter().map(|glob| glob.text.as_str()).collect();
            Err(NothingIncludedError(globs.join(",")))
        }
    }
}

impl Selection {
    /// What eksctl logs of it.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        let line = |names: &[ServiceAccountName], word: &str| {
            let (s, were) = if names.len() == 1 { ("", "was") } else { ("s", "were") };
            let list: Vec<String> = names.iter().map(ToString::to_string).collect();
            format!(
                "{} iamserviceaccount{s} ({}) {were} {word} (based on the include/exclude rules)",
                names.len(),
                list.join(", ")
            )
        };
        let mut lines = Vec::new();
        if !self.included.is_empty() {
            lines.push(line(&self.included, "included"));
        }
        if !self.excluded.is_empty() {
            lines.push(line(&self.excluded, "excluded"));
        }
        lines
    }
}

/// What `delete -f` is about, and what is to be said about it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Deletion {
    /// The accounts to delete, before `--include` and `--exclude`.
    pub names: Vec<ServiceAccountName>,
    /// In eksctl's words.
    pub notes: Vec<String>,
}

/// Whether a text matches a pattern of a policy, in which only `*` and `?` stand for others.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let token = |character| match character {
        '*' => Token::Any,
        '?' => Token::One,
        other => Token::Char(other),
    };
    let tokens: Vec<Token> = pattern.chars().map(token).collect();
    let text: Vec<char> = text.chars().collect();
    matches(&tokens, &text)
}

/// Which accounts `delete -f` deletes: those of the file that are there, or with `only_missing` those that are there and
/// not in the file; what is there is what [`ours`](crate::list::ours) says. `keep_aws_node` is what the file says by
/// [`implies_aws_node`](crate::cluster_config::ClusterConfig::implies_aws_node) together with `withOIDC`.
#[must_use]
pub fn deletion(
    configured: &[ServiceAccountName],
    present: &BTreeSet<ServiceAccountName>,
    only_missing: bool,
    keep_aws_node: bool,
) -> Deletion {
    let mut deletion = Deletion::default();
    for name in configured {
        if !present.contains(name) {
            deletion.notes.push(format!(
                "iamserviceaccounts \"{name}\" present in the given config, but missing in the cluster"
            ));
        } else if only_missing {
            deletion.notes.push(format!(
                "iamserviceaccounts \"{name}\" present in the given config and the cluster"
            ));
        } else {
            deletion.names.push(name.clone());
        }
    }
    if only_missing {
        let aws_node = ServiceAccountName::new("kube-system", "aws-node");
        for name in present {
            let is_kept = configured.contains(name) || (keep_aws_node && *name == aws_node);
            if !is_kept {
                deletion.notes.push(format!(
                    "iamserviceaccounts \"{name}\" present in the cluster, but missing from the given config"
                ));
                deletion.names.push(name.clone());
            }
        }
    }
    deletion
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ServiceAccountName {
        let (namespace, name) = text.split_once('/').unwrap();
        ServiceAccountName::new(namespace, name)
    }

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("a*b*c", "a/xbxbc", true),
            ("a*b*c", "a/xbxb", false),
            ("default/?", "default/x", true),
            ("default/?", "default/xy", false),
            ("default/[a-c]", "default/b", true),
            ("default/[!a-c]", "default/b", false),
            ("default/[a-]", "default/-", true),
            ("{kube-system,app-*}/{a,b}", "app-1/b", true),
            ("{kube-system,app-*}/{a,b}", "app-1/c", false),
            ("{a,{b,c}d}", "cd", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::parse(glob).unwrap().matches(text), expected, "{glob} {text}");
        }
        for bad in ["[", "[]", "{a", "a}", "\\", &"{a,b}".repeat(11)] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
        assert!(!Glob::parse(&"*a".repeat(50)).unwrap().matches(&"a".repeat(49)));
    }

    #[test]
    fn an_account_without_a_namespace_in_the_file_is_found_in_its_default_one() {
        let names = [name("default/x"), name("kube-system/y")];
        let filter = Filter::parse(&["default/x"], &[]).unwrap();
        let selection = filter.select(&names).unwrap();
        assert_eq!(selection.included, [name("default/x")]);
        assert_eq!(
            selection.summary(),
            [
                "1 iamserviceaccount (default/x) was included (based on the include/exclude rules)",
                "1 iamserviceaccount (kube-system/y) was excluded (based on the include/exclude rules)"
            ]
        );
    }

    #[test]
    fn exclusion_wins_and_nothing_included_is_an_error() {
        let names = [name("a/x"), name("a/y")];
        let filter = Filter::parse(&["a/*"], &["*/y"]).unwrap();
        assert_eq!(filter.select(&names).unwrap().included, [name("a/x")]);
        let error = Filter::parse(&["b/*", "c"], &[]).unwrap().select(&names).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no iamserviceaccounts match include glob filter specification: \"b/*,c\""
        );
        let errors = Filter::parse(&["[", "ok"], &["{"]).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(
            errors[1].to_string().starts_with("parsing glob filter \"{\": "),
            "{}",
            errors[1]
        );
    }

    #[test]
    fn what_is_missing_from_the_file() {
        let present = BTreeSet::from([name("a/x"), name("a/y"), name("kube-system/aws-node")]);
        let configured = [name("a/x"), name("a/z")];
        let listed = deletion(&configured, &present, false, true);
        assert_eq!(listed.names, [name("a/x")]);
        let missing = deletion(&configured, &present, true, true);
        assert_eq!(missing.names, [name("a/y")]);
        assert_eq!(missing.notes.len(), 3);
        assert_eq!(
            deletion(&configured, &present, true, false).names,
            [name("a/y"), name("kube-system/aws-node")]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_panics(glob in "[a-c*?{},\\[\\]!\\\\/-]{0,12}", text in "[a-c/]{0,10}") {
            if let Ok(glob) = Glob::parse(&glob) {
                let _ = glob.matches(&text);
            }
        }
    }
}
