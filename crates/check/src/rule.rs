//! A rule is one function and what is to be known about it; all of them together are [`RULES`].

use std::cell::Cell;

use irsa_policy::PolicyKind;
use irsa_policy::syntax::JsonError;

use crate::Options;
use crate::finding::{FindingType, Path};
use crate::tree::{Bytes, Item, Name, Tree};

/// What a rule looks at.
pub(crate) struct Subject<'a, 't> {
    pub(crate) text: &'t str,
    pub(crate) kind: PolicyKind,
    pub(crate) tree: &'a Tree<'t>,
    /// Why the text is no JSON document; the tree is empty then.
    pub(crate) json_error: Option<&'a JsonError>,
    pub(crate) options: &'a Options<'a>,
    /// How many more misspelt names are compared with all that there are: a hostile text has thousands.
    pub(crate) spellings: Cell<usize>,
}

/// Misspelt names of a document that get a suggestion.
pub(crate) const SPELLINGS: usize = 200;

impl Subject<'_, '_> {
    fn spelled<T>(&self, suggest: impl FnOnce() -> Option<T>) -> Option<T> {
        let left = self.spellings.get().checked_sub(1)?;
        self.spellings.set(left);
        suggest()
    }

    /// The action that a misspelt one probably means.
    pub(crate) fn near_action(&self, action: &str) -> Option<String> {
        self.spelled(|| self.options.services.suggest_actions(action).into_iter().next())
    }

    /// Services whose prefix is near a misspelt one.
    pub(crate) fn near_services(&self, prefix: &str) -> Vec<&str> {
        let services = self.options.services;
        self.spelled(|| Some(services.suggest_services(prefix)))
            .unwrap_or_default()
    }

    /// The condition key that a misspelt one probably means.
    pub(crate) fn near_key(&self, key: &str) -> Option<String> {
        self.spelled(|| self.options.services.suggest_condition_keys(key).into_iter().next())
    }

    /// The way to the whole document.
    pub(crate) fn tree_path(&self) -> Path {
        Path::default()
    }

    /// Where a finding about the whole document is shown.
    pub(crate) fn first_byte(&self) -> Bytes {
        let start = self.tree.bytes.start.min(self.text.len());
        let length = self
            .text
            .get(start..)
            .and_then(|rest| rest.chars().next())
            .map_or(0, char::len_utf8);
        start..start.saturating_add(length)
    }

    /// A member to be put in at the beginning of an object, whose `{` ends at a byte: laid out as its neighbours are.
    pub(crate) fn member_text(&self, after_brace: usize, member: &str) -> String {
        let rest = self.text.get(after_brace..).unwrap_or_default();
        let space = rest
            .len()
            .saturating_sub(rest.trim_start_matches([' ', '\t', '\n', '\r']).len());
        let space = rest.get(..space).unwrap_or_default();
        if space.contains('\n') {
            format!("{space}{member},")
        } else {
            format!("{member}, ")
        }
    }

    /// Whether the policy is attached to the one resource that it is about, and need not name it, as those of ECR's
    /// repositories.
    ///
    /// See <https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html>.
    pub(crate) fn names_no_resource(&self) -> bool {
        if self.kind != PolicyKind::Resource {
            return false;
        }
        if let Some(resource_type) = self.options.resource_type {
            return matches!(resource_type, "AWS::ECR::Repository" | "AWS::ECR::PublicRepository");
        }
        let statements = &self.tree.statements;
        let lists = || statements.iter().filter_map(|statement| statement.action.as_ref());
        let mut actions = lists().flat_map(|list| &list.items).peekable();
        let of_repositories = |action: &str| {
            let service = action.split_once(':').map(|(service, _)| service);
            service.is_some_and(|service| {
                ["ecr", "ecr-public"]
                    .iter()
                    .any(|known| known.eq_ignore_ascii_case(service))
            })
        };
        actions.peek().is_some()
            && lists().count() == statements.len()
            && actions.all(|item| of_repositories(&item.text))
    }

    /// Whether policy variables mean something.
    pub(crate) fn has_variables(&self) -> bool {
        self.tree
            .version
            .as_ref()
            .is_some_and(|version| version.text == "2012-10-17")
    }
}

/// Kinds of policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kinds(u8);

impl Kinds {
    pub(crate) const IDENTITY: Self = Self(1);
    pub(crate) const TRUST: Self = Self(2);
    pub(crate) const RESOURCE: Self = Self(4);
    pub(crate) const BOUNDARY: Self = Self(8);
    pub(crate) const SESSION: Self = Self(16);
    pub(crate) const SERVICE_CONTROL: Self = Self(32);
    pub(crate) const RESOURCE_CONTROL: Self = Self(64);
    pub(crate) const VPC_ENDPOINT: Self = Self(128);
    pub(crate) const ALL: Self = Self(255);
    /// Those whose principal is whoever holds them.
    pub(crate) const HELD: Self = Self::IDENTITY.and(Self::BOUNDARY).and(Self::SESSION);
    /// Those that name principals.
    pub(crate) const NAMING: Self = Self::TRUST.and(Self::RESOURCE).and(Self::VPC_ENDPOINT);
    /// Those that IAM and STS read.
    pub(crate) const IAM: Self = Self::HELD.and(Self::TRUST);
    /// Those that can give permissions to somebody.
    pub(crate) const GRANTING: Self = Self::IDENTITY.and(Self::TRUST).and(Self::RESOURCE);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether a kind is among them.
    #[must_use]
    pub fn contain(self, kind: PolicyKind) -> bool {
        let bit = match kind {
            PolicyKind::Identity => Self::IDENTITY,
            PolicyKind::Trust => Self::TRUST,
            PolicyKind::Resource => Self::RESOURCE,
            PolicyKind::Boundary => Self::BOUNDARY,
            PolicyKind::Session => Self::SESSION,
            PolicyKind::ServiceControl => Self::SERVICE_CONTROL,
            PolicyKind::ResourceControl => Self::RESOURCE_CONTROL,
            PolicyKind::VpcEndpoint => Self::VPC_ENDPOINT,
        };
        self.0 & bit.0 != 0
    }
}

/// One rule.
pub struct Rule {
    /// Its issue code.
    pub code: &'static str,
    /// What its findings are, unless a finding says otherwise.
    pub finding_type: FindingType,
    /// What it looks for, in a few words.
    pub title: &'static str,
    /// The kinds of policy that it is about.
    pub kinds: Kinds,
    page: Page,
    pub(crate) run: Run,
}

pub(crate) type Run = fn(&Subject<'_, '_>, &mut Findings);

/// Where a rule is explained.
#[derive(Clone, Copy)]
enum Page {
    /// Access Analyzer's reference; the section's kind.
    Analyzer(&'static str),
    Url(&'static str),
}

const REFERENCE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html";

impl Rule {
    pub(crate) const fn error(code: &'static str, title: &'static str, kinds: Kinds, run: Run) -> Self {
        Self::analyzer("error", FindingType::Error, code, title, kinds, run)
    }

    /// An error of Access Analyzer that rests on what services have, which a table can be behind on and which does not
    /// bind services of one's own.
    pub(crate) const fn doubt(code: &'static str, title: &'static str, kinds: Kinds, run: Run) -> Self {
        Self::analyzer("error", FindingType::Warning, code, title, kinds, run)
    }

    pub(crate) const fn security_warning(code: &'static str, title: &'static str, kinds: Kinds, run: Run) -> Self {
        Self::analyzer(
            "security-warning",
            FindingType::SecurityWarning,
            code,
            title,
            kinds,
            run,
        )
    }

    pub(crate) const fn warning(code: &'static str, title: &'static str, kinds: Kinds, run: Run) -> Self {
        Self::analyzer("general-warning", FindingType::Warning, code, title, kinds, run)
    }

    pub(crate) const fn suggestion(code: &'static str, title: &'static str, kinds: Kinds, run: Run) -> Self {
        Self::analyzer("suggestion", FindingType::Suggestion, code, title, kinds, run)
    }

    /// A rule that Access Analyzer does not have, or has under another type.
    pub(crate) const fn own(
        finding_type: FindingType,
        code: &'static str,
        title: &'static str,
        url: &'static str,
        kinds: Kinds,
        run: Run,
    ) -> Self {
        Self {
            code,
            finding_type,
            title,
            kinds,
            page: Page::Url(url),
            run,
        }
    }

    const fn analyzer(
        section: &'static str,
        finding_type: FindingType,
        code: &'static str,
        title: &'static str,
        kinds: Kinds,
        run: Run,
    ) -> Self {
        Self {
            code,
            finding_type,
            title,
            kinds,
            page: Page::Analyzer(section),
            run,
        }
    }

    /// The page that explains it.
    #[must_use]
    pub fn learn_more(&self) -> String {
        match self.page {
            Page::Url(url) => url.to_owned(),
            Page::Analyzer(section) => {
                let name = self.code.to_ascii_lowercase().replace('_', "-");
                format!("{REFERENCE}#access-analyzer-reference-policy-checks-{section}-{name}")
            }
        }
    }
}

/// Findings beyond so many of one rule are only counted: nobody reads them, and a hostile text has millions.
const MOST_OF_A_RULE: usize = 100;

/// Where rules put what they find.
pub(crate) struct Findings {
    rule: &'static Rule,
    of_this_rule: usize,
    pub(crate) all: Vec<Raw>,
    pub(crate) omitted: usize,
    /// Takes the changes to findings that are only counted.
    scratch: Raw,
}

/// A finding in bytes.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) rule: &'static Rule,
    pub(crate) finding_type: FindingType,
    pub(crate) message: String,
    pub(crate) path: Path,
    pub(crate) bytes: Bytes,
    pub(crate) fix: Option<String>,
    pub(crate) edits: Vec<(Bytes, String)>,
}

impl Findings {
    pub(crate) fn new(rule: &'static Rule) -> Self {
        Self {
            rule,
            of_this_rule: 0,
            all: Vec::new(),
            omitted: 0,
            scratch: Raw {
                rule,
                finding_type: rule.finding_type,
                message: String::new(),
                path: Path::default(),
                bytes: 0..0,
                fix: None,
                edits: Vec::new(),
            },
        }
    }

    pub(crate) fn begin(&mut self, rule: &'static Rule) {
        self.rule = rule;
        self.of_this_rule = 0;
    }

    /// Something is wrong here.
    pub(crate) fn add(&mut self, path: &Path, bytes: &Bytes, message: impl Into<String>) -> &mut Raw {
        self.of_this_rule = self.of_this_rule.saturating_add(1);
        if self.of_this_rule > MOST_OF_A_RULE {
            self.omitted = self.omitted.saturating_add(1);
            return &mut self.scratch;
        }
        self.all.push(Raw {
            rule: self.rule,
            finding_type: self.rule.finding_type,
            message: message.into(),
            path: path.clone(),
            bytes: bytes.clone(),
            fix: None,
            edits: Vec::new(),
        });
        self.all.last_mut().unwrap_or(&mut self.scratch)
    }

    /// A value is wrong.
    pub(crate) fn at(&mut self, item: &Item<'_>, message: impl Into<String>) -> &mut Raw {
        self.add(&item.path, &item.bytes, message)
    }

    /// A member's name is wrong.
    pub(crate) fn at_name(&mut self, name: &Name<'_>, message: impl Into<String>) -> &mut Raw {
        self.add(&name.path, &name.bytes, message)
    }
}

impl Raw {
    /// What to do about it.
    pub(crate) fn fix(&mut self, description: impl Into<String>) -> &mut Self {
        self.fix = Some(description.into());
        self
    }

    /// A replacement that carries the fix out.
    pub(crate) fn edit(&mut self, bytes: &Bytes, text: impl Into<String>) -> &mut Self {
        self.edits.push((bytes.clone(), text.into()));
        self
    }

    /// The replacement of a JSON string by another.
    pub(crate) fn retext(&mut self, bytes: &Bytes, text: &str) -> &mut Self {
        self.edit(bytes, quoted(text))
    }

    /// Another type than the rule's.
    pub(crate) fn as_type(&mut self, finding_type: FindingType) -> &mut Self {
        self.finding_type = finding_type;
        self
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// Foreign text for a message, cut to what a person reads.
pub(crate) fn clip(text: &str) -> String {
    const MOST: usize = 128;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
