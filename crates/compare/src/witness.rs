//! From a case to a request: readable texts where they will do, and the engine's word on it.

use irsa_core::AccountId;
use irsa_policy::{
    Context, Decision, Explanation, Layers, PolicyKind, Principal, Request, StatementRef, decide, explain,
};

use crate::Options;
use crate::atom::{ACTION, RESOURCE, Setting, Test, ValueTest, key_tape};
use crate::caller::{ACCOUNT, Caller, Candidate, SURROUNDING, SURROUNDINGS, Strength, open_to};
use crate::difference::Question;
use crate::document::Document;
use crate::language::{Budget, Part, Role, search};
use crate::pattern::{Letter, Step, Symbol, Union, letters, literal};
use crate::search::Case;
use crate::tape::{Model, Text};

/// A request that two policies decide differently, and how the engine does it.
///
/// The engine is asked with other policies around that leave the decision to the one that is compared: they allow
/// everything, or, where a policy of a resource names its caller strongly, nothing.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Who calls; `None` if the policies name no principals, because then anybody may.
    pub caller: Option<Caller>,
    /// Whether the caller must have a permissions boundary.
    pub has_boundary: bool,
    /// The action.
    pub action: String,
    /// The resource; in a trust policy an example of a role.
    pub resource: String,
    /// The condition keys, each once.
    pub context: Vec<(String, ContextValue)>,
    /// How strongly the new policy names the caller.
    pub strength: Strength,
    /// The decision under the old policy, and why.
    pub under_old: Explanation,
    /// The decision under the new policy, and why.
    pub under_new: Explanation,
}

/// The value of a condition key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ContextValue {
    /// One value.
    Single(String),
    /// A list of values.
    List(Vec<String>),
}

/// Turns cases into requests and asks the engine about them.
pub(crate) struct Judge<'j> {
    pub(crate) old: &'j Document,
    pub(crate) new: &'j Document,
    pub(crate) candidate: &'j Candidate,
    pub(crate) strength: Strength,
    pub(crate) question: Question,
    pub(crate) options: &'j Options<'j>,
}

/// A request with its own texts.
struct Draft {
    action: String,
    resource: String,
    context: Vec<(String, ContextValue)>,
}

/// Ways to fill in a request, from the most readable to the barest.
const ATTEMPTS: usize = 9;

impl Judge<'_> {
    /// The request of a case, if the engine confirms it.
    pub(crate) fn witness(&self, case: &Case<'_, '_>) -> Option<Witness> {
        (0..ATTEMPTS).find_map(|attempt| {
            let draft = self.draft(case, attempt)?;
            self.confirm(draft)
        })
    }

    fn confirm(&self, draft: Draft) -> Option<Witness> {
        let mut context = Context::new();
        for (key, value) in &draft.context {
            match value {
                ContextValue::Single(value) => context.set(key, value),
                ContextValue::List(values) => context.set_list(key, values),
            }
        }
        let decision = |document| {
            self.ask(document, &draft, &context, |layers, request| {
                decide(layers, request).decision
            })
        };
        let (old, new) = (decision(self.old), decision(self.new));
        let differs = match self.question {
            Question::Gained => new == Decision::Allowed && old != Decision::Allowed,
            Question::Undenied => old == Decision::ExplicitlyDenied && new != Decision::ExplicitlyDenied,
        };
        if !differs {
            return None;
        }
        let named = self
            .old
            .statements
            .iter()
            .chain(&self.new.statements)
            .any(|statement| statement.probe.is_some());
        Some(Witness {
            caller: named.then(|| self.candidate.caller.clone()),
            has_boundary: self.candidate.bounded,
            under_old: own(self.ask(self.old, &draft, &context, explain)),
            under_new: own(self.ask(self.new, &draft, &context, explain)),
            strength: self.strength,
            action: draft.action,
            resource: draft.resource,
            context: draft.context,
        })
    }

    /// Asks the engine with surroundings that leave the decision to this policy.
    fn ask<R>(
        &self,
        document: &Document,
        draft: &Draft,
        context: &Context,
        act: impl Fn(&Layers<'_>, &Request<'_>) -> R,
    ) -> R {
        let surroundings = &*SURROUNDINGS;
        let everything = surroundings.everything.as_slice();
        let policies = [document.policy.clone()];
        let level = [policies.to_vec()];
        let caller = &self.candidate.caller;
        let open = match document.kind() {
            PolicyKind::ResourceControl | PolicyKind::VpcEndpoint => open_to(caller),
            _ => None,
        };
        let mut owner = caller.account();
        let mut layers = Layers {
            identity: everything,
            resource: surroundings.delegation.as_ref(),
            boundary: everything
                .first()
                .map(|policy| &**policy)
                .filter(|_| self.candidate.bounded),
            ..Layers::default()
        };
        match document.kind() {
            PolicyKind::Identity => layers.identity = &policies,
            PolicyKind::Boundary => layers.boundary = Some(&document.policy),
            PolicyKind::Session => layers.session = Some(&policies),
            PolicyKind::ServiceControl => layers.service_control = &level,
            PolicyKind::ResourceControl => {
                layers.resource_control = &level;
                layers.resource = open.as_ref();
            }
            PolicyKind::VpcEndpoint => {
                layers.vpc_endpoint = Some(&policies);
                layers.resource = open.as_ref();
            }
            PolicyKind::Resource | PolicyKind::Trust => {
                layers.resource = Some(&document.policy);
                if matches!(caller, Caller::Root { .. }) || self.strength == Strength::Account {
                    // From another account all must allow, and any strength will do.
                    layers.session = Some(everything);
                    owner = AccountId::from_number(999_988_887_777);
                } else {
                    layers.identity = &[];
                    // What names the caller itself is not held back by an empty session policy, what names its role is.
                    let open = self.strength == Strength::Role;
                    layers.session = Some(if open { everything } else { &[] });
                }
            }
        }
        caller.with(|principal: Principal<'_>| {
            act(
                &layers,
                &Request {
                    principal,
                    action: &draft.action,
                    resource: &draft.resource,
                    resource_account: owner,
                    context,
                },
            )
        })
    }

    fn draft(&self, case: &Case<'_, '_>, attempt: usize) -> Option<Draft> {
        let keys = &case.tapes.atoms.keys;
        // First what variables stand for.
        let mut values: Vec<String> = vec![String::new(); keys.len()];
        for (number, key) in keys.iter().enumerate() {
            let Some(Some(Setting::Other { colons })) = case.tapes.settings.get(number) else {
                continue;
            };
            let tape = key_tape(number);
            let fits = |value: &String| {
                !value.is_empty()
                    && !key.constants.contains(value)
                    && colons.is_none_or(|colons| value.contains(':') == colons)
                    && allows(case, tape, &Model::Single(letters(value)))
            };
            let own = match case.models.get(tape).and_then(Option::as_ref).map(|model| &**model) {
                Some(Model::Single(text)) => spell(text, &values),
                _ => String::new(),
            };
            let mut usual = usual_values(&key.name).into_iter().filter(fits);
            let choices: Vec<String> = usual
                .next()
                .into_iter()
                .chain(learned(case, number, *colons, &values).filter(fits))
                .chain(usual)
                .chain(Some(own).filter(fits))
                .collect();
            let chosen = choices.get(attempt / 3).or(choices.last());
            if let (Some(value), Some(chosen)) = (values.get_mut(number), chosen) {
                value.clone_from(chosen);
            }
        }
        // Action and resource are readable for longer than the values of keys, which more often hang together.
        let bare = attempt % 3 == 2;
        let action = self.action(case, !bare, &values)?;
        let resource = self.resource(case, !bare, &action, &values)?;
        let nice = attempt.is_multiple_of(3);
        let mut context = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let tape = key_tape(number);
            let Some(model) = case.models.get(tape).and_then(Option::as_ref) else {
                if case.literals.get(tape).is_none_or(Vec::is_empty) {
                    continue;
                }
                return None;
            };
            let value = match &**model {
                Model::Absent | Model::Text(_) | Model::Star => continue,
                Model::Single(text) => match case.tapes.settings.get(number).and_then(Option::as_ref) {
                    Some(Setting::Other { .. }) => {
                        ContextValue::Single(values.get(number).cloned().unwrap_or_default())
                    }
                    Some(_) => ContextValue::Single(spell(text, &values)),
                    None => {
                        let mut choices = if nice { usual_values(&key.name) } else { Vec::new() };
                        if nice {
                            choices.extend(filled(case, tape, &values));
                        }
                        let chosen = choices
                            .into_iter()
                            .find(|value| allows(case, tape, &Model::Single(letters(value))));
                        ContextValue::Single(chosen.unwrap_or_else(|| spell(text, &values)))
                    }
                },
                Model::List(texts) => {
                    let choices = if nice { usual_values(&key.name) } else { Vec::new() };
                    let chosen = choices
                        .into_iter()
                        .find(|value| allows(case, tape, &Model::List(vec![letters(value)])));
                    ContextValue::List(match chosen {
                        Some(value) => vec![value],
                        None => texts.iter().map(|text| spell(text, &values)).collect(),
                    })
                }
            };
            context.push((key.name.clone(), value));
        }
        Some(Draft {
            action,
            resource,
            context,
        })
    }

    fn action(&self, case: &Case<'_, '_>, nice: bool, values: &[String]) -> Option<String> {
        let is_right = |text: &str| allows(case, ACTION, &Model::Text(letters(text)));
        let model = case.models.get(ACTION).and_then(Option::as_ref);
        if nice {
            let named = self.new.statements.iter().chain(&self.old.statements);
            let named = named
                .flat_map(|statement| &statement.actions.texts)
                .filter(|text| text.contains(':') && !text.contains(['*', '?']));
            if let Some(text) = named.into_iter().find(|text| is_right(text)) {
                return Some(text.clone());
            }
            let usual = ["s3:GetObject", "ec2:DescribeInstances"].map(str::to_owned);
            let found = usual.into_iter().find(|text| is_right(text));
            if let Some(text) = found.or_else(|| self.options.actions.and_then(|known| known(&is_right))) {
                return Some(text);
            }
            let patterns = self.new.statements.iter().chain(&self.old.statements);
            let spelled = patterns
                .flat_map(|statement| &statement.actions.texts)
                .filter(|text| text.contains(':'))
                .flat_map(|text| ["Example", "x", ""].map(|word| text.replace('*', word).replace('?', "x")));
            let mut made_up = std::iter::once("example:Action".to_owned())
                .chain(spelled)
                .chain(filled(case, ACTION, values));
            if let Some(text) = made_up.find(|text| is_right(text)) {
                return Some(text);
            }
        }
        match model.map(|model| &**model) {
            Some(Model::Text(text)) => Some(spell(text, values)),
            None => Some("example:Action".to_owned()),
            _ => None,
        }
    }

    fn resource(&self, case: &Case<'_, '_>, nice: bool, action: &str, values: &[String]) -> Option<String> {
        let model = case.models.get(RESOURCE).and_then(Option::as_ref);
        let Some(model) = model else {
            return Some(format!("arn:aws:iam::{ACCOUNT}:role/example"));
        };
        let text = match &**model {
            Model::Star => return Some("*".to_owned()),
            Model::Text(text) => text,
            _ => return None,
        };
        if nice {
            let service = action.split(':').next().unwrap_or("example").to_ascii_lowercase();
            let usual = match service.as_str() {
                "s3" => "arn:aws:s3:::example-bucket/example".to_owned(),
                "iam" | "sts" => format!("arn:aws:iam::{ACCOUNT}:role/example"),
                service => format!("arn:aws:{service}:us-east-1:{ACCOUNT}:example"),
            };
            let choices = filled(case, RESOURCE, values);
            let found = choices
                .into_iter()
                .chain([usual])
                .find(|text| text.starts_with("arn:") && allows(case, RESOURCE, &Model::Text(letters(text))));
            if found.is_some() {
                return found;
            }
        }
        let text = spell(text, values);
        // A text that is no ARN is no resource that anybody has.
        let star = nice && !text.starts_with("arn:") && allows(case, RESOURCE, &Model::Star);
        Some(if star { "*".to_owned() } else { text })
    }
}

/// An explanation without what the surroundings have to say.
fn own(mut explanation: Explanation) -> Explanation {
    let is_own = |statement: &StatementRef| statement.label() != SURROUNDING;
    explanation.statements.retain(|trace| is_own(&trace.statement));
    explanation.verdict.statement = explanation.verdict.statement.filter(is_own);
    explanation
}

/// Whether nothing that is asked of a tape speaks against a model.
fn allows(case: &Case<'_, '_>, tape: usize, model: &Model) -> bool {
    if matches!(model, Model::Text(text) if matches!(text.as_slice(), [Letter::Char('*')])) && tape == RESOURCE {
        return false;
    }
    case.literals
        .get(tape)
        .into_iter()
        .flatten()
        .all(|literal| case.tapes.evaluate(*literal, model) != Some(false))
}

/// Values of a key with which a text that holds it is what is asked of it: the text is found without the variable, and
/// what stands in its place is read off.
fn learned(case: &Case<'_, '_>, key: usize, colons: Option<bool>, values: &[String]) -> impl Iterator<Item = String> {
    const WORK: u64 = 100_000;
    let is_it = |letter: &Letter| matches!(letter, Letter::Symbol(symbol) if symbol.key as usize == key);
    let any: &[Step] = match colons {
        None => &[Step::One, Step::Run],
        Some(false) => &[Step::OneInField, Step::RunInField],
        Some(true) => &[Step::Run, Step::Char(':'), Step::Run],
    };
    let mut found = Vec::new();
    for (tape, model) in case.models.iter().enumerate() {
        let Some(Model::Text(text) | Model::Single(text)) = model.as_deref() else {
            continue;
        };
        let Some(at) = text.iter().position(is_it) else {
            continue;
        };
        let (before, after) = text.split_at_checked(at).unwrap_or_default();
        let (before, after) = (
            spell(&before.to_vec(), values),
            spell(&after.get(1..).unwrap_or_default().to_vec(), values),
        );
        let whole = Union::new([&[literal(&before, false).as_slice(), any, &literal(&after, false)].concat()]);
        let tests = case.literals.get(tape).into_iter().flatten().filter_map(|literal| {
            match case.tapes.tests.get(literal.atom)? {
                Test::Action(test) | Test::Resource { test, .. } => Some((test, literal.holds)),
                Test::Condition {
                    operator,
                    test: ValueTest::Text(test),
                } => Some((&**test, literal.holds != operator.negated)),
                Test::Condition { .. } | Test::Null(_) => None,
            }
        });
        let (positive, negative): (Vec<_>, Vec<_>) = tests.partition(|(_, wanted)| *wanted);
        let mut parts = vec![Part {
            union: &whole,
            role: Role::Positive,
        }];
        parts.extend(positive.iter().map(|(test, _)| Part {
            union: test.possible(),
            role: Role::Positive,
        }));
        parts.extend(negative.iter().map(|(test, _)| Part {
            union: test.certain(),
            role: Role::Negative,
        }));
        if let Ok(Some(text)) = search(&parts, &mut Budget::new(WORK)) {
            let text = spell(&text, values);
            let inner = text
                .strip_prefix(before.as_str())
                .and_then(|text| text.strip_suffix(after.as_str()));
            found.extend(inner.map(str::to_owned));
        }
    }
    found.into_iter()
}

/// A text with values in the place of its unknown variables.
fn spell(text: &Text, values: &[String]) -> String {
    let mut spelled = String::new();
    for letter in text {
        match letter {
            Letter::Char(character) => spelled.push(*character),
            Letter::Symbol(symbol) => spelled.push_str(&value_of(*symbol, values)),
        }
    }
    spelled
}

/// The value of an unknown variable; where its case is free, in the other case.
fn value_of(symbol: Symbol, values: &[String]) -> String {
    let value = values.get(symbol.key as usize).map_or("", String::as_str);
    if !symbol.fold {
        return value.to_owned();
    }
    value
        .chars()
        .map(|character| {
            if character.is_ascii_lowercase() {
                character.to_ascii_uppercase()
            } else {
                character.to_ascii_lowercase()
            }
        })
        .collect()
}

/// Texts that the patterns of a tape match, with words in the place of wildcards.
fn filled(case: &Case<'_, '_>, tape: usize, values: &[String]) -> Vec<String> {
    const MOST: usize = 32;
    let mut texts = Vec::new();
    for literal in case.literals.get(tape).into_iter().flatten() {
        let (test, wanted) = match case.tapes.tests.get(literal.atom) {
            Some(Test::Action(test) | Test::Resource { test, .. }) => (test, literal.holds),
            Some(Test::Condition {
                operator,
                test: ValueTest::Text(test),
            }) => (&**test, literal.holds != operator.negated),
            _ => continue,
        };
        if !wanted {
            continue;
        }
        for union in std::iter::once(&test.plain).chain(&test.symbolic) {
            for start in union.starts.iter().take(MOST) {
                for word in ["example", "x", ""] {
                    texts.push(fill(union, *start, word, values));
                }
            }
        }
    }
    texts
}

fn fill(union: &Union, start: u32, word: &str, values: &[String]) -> String {
    let mut text = String::new();
    let mut colons = 0_usize;
    let mut at = start;
    loop {
        match union.step(at) {
            Step::Char(character) | Step::Fold(character) => {
                colons = colons.saturating_add(usize::from(character == ':'));
                text.push(character);
            }
            Step::One | Step::OneInField => text.push('x'),
            Step::Run | Step::RunInField => {
                let starts_field = text.ends_with(':') && text.starts_with("arn:");
                text.push_str(match colons {
                    1 if starts_field => "aws",
                    3 if starts_field => "us-east-1",
                    4 if starts_field => ACCOUNT,
                    _ => word,
                });
            }
            Step::Symbol(symbol) => text.push_str(&value_of(symbol, values)),
            Step::End => return text,
        }
        at = at.saturating_add(1);
    }
}

/// Values that a key may well have, for people to recognise it.
fn usual_values(key: &str) -> Vec<String> {
    let key = key.to_ascii_lowercase();
    let first: &[&str] = match key.as_str() {
        "aws:principalaccount" | "aws:sourceaccount" | "aws:resourceaccount" | "aws:sourceowner" => {
            &[ACCOUNT, "444455556666"]
        }
        "aws:principalarn" => &["arn:aws:iam::111122223333:role/example"],
        "aws:sourcearn" => &["arn:aws:sns:us-east-1:111122223333:example"],
        "aws:userid" => &["AROAEXAMPLE1234567890:session"],
        "aws:sourceip" | "aws:vpcsourceip" => &["203.0.113.10", "198.51.100.10"],
        "aws:requestedregion" => &["us-east-1", "eu-west-1"],
        "aws:securetransport" | "aws:multifactorauthpresent" | "aws:viaawsservice" => &["true", "false"],
        "aws:currenttime" | "aws:tokenissuetime" => &["2026-01-02T03:04:05Z"],
        "aws:epochtime" => &["1767323045"],
        "aws:principalorgid" | "aws:resourceorgid" => &["o-example1234"],
        "aws:sourcevpc" => &["vpc-0example"],
        "aws:sourcevpce" => &["vpce-0example"],
        "s3:max-keys" => &["10"],
        _ if key.ends_with(":sub") => &["system:serviceaccount:default:example"],
        _ if key.ends_with(":aud") => &["sts.amazonaws.com"],
        _ => &["example"],
    };
    first
        .iter()
        .copied()
        .chain(["example-2", "k", "1:example", "arn:aws:s3:::example"])
        .map(str::to_owned)
        .collect()
}
