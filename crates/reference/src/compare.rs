//! Asks both evaluators about a case.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use irsa_policy::{Context, Decision, Layers, Policy, PolicyKind, Principal, Profile, StatementOutcome, Verdict};

use crate::case::{Case, Draft};
use crate::evaluator::{self, Answer, Caller, Choices, Document, Effect, Kind, Link, Policies, Request, Values};

/// What both said alike of a case.
#[derive(Clone, Debug)]
pub struct Agreement {
    /// The decision; `None` if a policy was refused, so that there was nothing to decide.
    pub decision: Option<Answer>,
    /// The policies as the reference read them.
    pub policies: Policies,
}

/// What they say differently.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Difference {
    /// The engine panicked, or the reference.
    Panic(String),
    /// One reads a policy that the other refuses.
    Acceptance {
        /// The text.
        text: String,
        /// Its kind.
        kind: Kind,
        /// Why the reference refuses it.
        reference: Option<String>,
        /// Why the engine refuses it.
        engine: Option<String>,
    },
    /// They decide differently.
    Decision {
        /// What the reference says.
        reference: Answer,
        /// What the engine says.
        engine: Answer,
    },
    /// `decision`, `decide` and `explain` of the engine are not of one mind.
    Itself(String),
    /// They see one statement differently.
    Statement {
        /// Where it stands.
        place: String,
        /// What the reference says.
        reference: String,
        /// What the engine says.
        engine: String,
    },
}

impl Difference {
    /// Whether two differences are of one sort.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic(words) => write!(f, "panic: {words}"),
            Self::Acceptance {
                text,
                kind,
                reference,
                engine,
            } => {
                let said = |refusal: &Option<String>| match refusal {
                    Some(why) => format!("refused: {why}"),
                    None => "accepted".to_owned(),
                };
                let (reference, engine) = (said(reference), said(engine));
                write!(
                    f,
                    "{kind:?} policy {text}\n  reference: {reference}\n  engine:    {engine}"
                )
            }
            Self::Decision { reference, engine } => {
                write!(f, "decision\n  reference: {reference:?}\n  engine:    {engine:?}")
            }
            Self::Itself(what) => write!(f, "the engine contradicts itself: {what}"),
            Self::Statement {
                place,
                reference,
                engine,
            } => write!(f, "{place}\n  reference: {reference}\n  engine:    {engine}"),
        }
    }
}

/// Asks both.
///
/// # Errors
/// They differ, or the engine panics.
pub fn compare(case: &Case, choices: &Choices) -> Result<Agreement, Box<Difference>> {
    catch_unwind(AssertUnwindSafe(|| both(case, choices))).unwrap_or_else(|payload| {
        let words = payload.downcast_ref::<String>().cloned();
        let words = words.or_else(|| payload.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        Err(Box::new(Difference::Panic(words.unwrap_or_default())))
    })
}

fn both(case: &Case, choices: &Choices) -> Result<Agreement, Box<Difference>> {
    let mut reader = Reader::new(&case.bindings, choices);
    let identity = reader.list(&case.identity)?;
    let boundary = reader.some(case.boundary.as_ref())?;
    let session = case.session.as_deref().map(|drafts| reader.list(drafts)).transpose()?;
    let resource = reader.some(case.resource.as_ref())?;
    let service_control = reader.levels(&case.service_control)?;
    let resource_control = reader.levels(&case.resource_control)?;
    let vpc_endpoint = case
        .vpc_endpoint
        .as_deref()
        .map(|drafts| reader.list(drafts))
        .transpose()?;
    let policies = Policies {
        identity: identity.0,
        boundary: boundary.0,
        session: session.as_ref().map(|(documents, _)| documents.clone()),
        resource: resource.0,
        service_control: service_control.0,
        resource_control: resource_control.0,
        vpc_endpoint: vpc_endpoint.as_ref().map(|(documents, _)| documents.clone()),
    };
    if reader.refused {
        return Ok(Agreement {
            decision: None,
            policies,
        });
    }
    let layers = Layers {
        identity: &identity.1,
        boundary: boundary.1.as_deref(),
        session: session.as_ref().map(|(_, policies)| policies.as_slice()),
        resource: resource.1.as_deref(),
        service_control: &service_control.1,
        resource_control: &resource_control.1,
        vpc_endpoint: vpc_endpoint.as_ref().map(|(_, policies)| policies.as_slice()),
        profile: reader.profile,
    };
    let reference = evaluator::decide(&policies, &case.request, choices);
    let engine = Engine::ask(&layers, &case.request)?;
    if engine.decision != reference {
        return Err(Box::new(Difference::Decision {
            reference,
            engine: engine.decision,
        }));
    }
    compare_statements(&reader.documents, &engine, case, choices)?;
    Ok(Agreement {
        decision: Some(reference),
        policies,
    })
}

/// Reads every policy twice, and gives each a number for a label.
struct Reader<'b> {
    bindings: &'b [(String, String)],
    profile: Profile,
    documents: Vec<Document>,
    refused: bool,
}

type Lists = (Vec<Document>, Vec<Arc<Policy>>);

impl<'b> Reader<'b> {
    fn new(bindings: &'b [(String, String)], choices: &Choices) -> Self {
        Self {
            bindings,
            profile: profile(*choices),
            documents: Vec::new(),
            refused: false,
        }
    }

    fn one(&mut self, draft: &Draft) -> Result<Option<(Document, Arc<Policy>)>, Box<Difference>> {
        let text = draft.text();
        let reference = Document::parse(draft.kind, &text);
        let label = self.documents.len().to_string();
        let engine = Policy::parse_with(&label, kind(draft.kind), &text, &self.profile);
        match (reference, engine) {
            (Ok(mut document), Ok(mut policy)) => {
                document.bind(self.bindings);
                policy.bind_principals(|text| {
                    let (_, id) = self.bindings.iter().find(|(arn, _)| arn == text)?;
                    Some(id.clone())
                });
                self.documents.push(document.clone());
                Ok(Some((document, Arc::new(policy))))
            }
            (Err(_), Err(_)) => {
                self.refused = true;
                Ok(None)
            }
            (reference, engine) => Err(Box::new(Difference::Acceptance {
                text,
                kind: draft.kind,
                reference: reference.err(),
                engine: engine.err().map(|error| error.to_string()),
            })),
        }
    }

    #[expect(clippy::type_complexity, reason = "one policy twice")]
    fn some(&mut self, draft: Option<&Draft>) -> Result<(Option<Document>, Option<Arc<Policy>>), Box<Difference>> {
        match draft {
            Some(draft) => Ok(self.one(draft)?.unzip()),
            None => Ok((None, None)),
        }
    }

    fn list(&mut self, drafts: &[Draft]) -> Result<Lists, Box<Difference>> {
        let mut lists = Lists::default();
        for draft in drafts {
            if let Some((document, policy)) = self.one(draft)? {
                lists.0.push(document);
                lists.1.push(policy);
            }
        }
        Ok(lists)
    }

    #[expect(clippy::type_complexity, reason = "the same levels twice")]
    fn levels(
        &mut self,
        levels: &[Vec<Draft>],
    ) -> Result<(Vec<Vec<Document>>, Vec<Vec<Arc<Policy>>>), Box<Difference>> {
        let lists: Vec<Lists> = levels.iter().map(|level| self.list(level)).collect::<Result<_, _>>()?;
        Ok(lists.into_iter().unzip())
    }
}

/// The engine's profile for the same choices.
///
/// # Panics
/// The engine has other settings than the reference has choices.
#[must_use]
pub fn profile(mut choices: Choices) -> Profile {
    let mut profile = Profile::AWS;
    for (name, choice) in choices.each() {
        assert!(profile.set(name, *choice).is_ok(), "the engine has no setting `{name}`");
    }
    assert_eq!(
        profile.settings().len(),
        choices.each().count(),
        "the engine has settings that the reference lacks"
    );
    profile
}

fn kind(kind: Kind) -> PolicyKind {
    match kind {
        Kind::Identity => PolicyKind::Identity,
        Kind::Boundary => PolicyKind::Boundary,
        Kind::Session => PolicyKind::Session,
        Kind::Trust => PolicyKind::Trust,
        Kind::Resource => PolicyKind::Resource,
        Kind::ServiceControl => PolicyKind::ServiceControl,
        Kind::ResourceControl => PolicyKind::ResourceControl,
        Kind::VpcEndpoint => PolicyKind::VpcEndpoint,
    }
}

/// Everything the engine says of a case.
struct Engine {
    decision: Answer,
    /// The statement that decided: the label of its policy, and its number.
    decisive: Option<(usize, usize)>,
    traces: Vec<Trace>,
}

/// What the engine says of one statement.
struct Trace {
    document: usize,
    index: usize,
    matched: bool,
    delegates: bool,
    words: String,
}

impl Engine {
    fn ask(layers: &Layers<'_>, request: &Request) -> Result<Self, Box<Difference>> {
        let mut context = Context::new();
        for (key, values) in &request.keys {
            let set = match values {
                Values::One(value) => context.try_set(key, value),
                Values::List(values) => context.try_set_list(key, values),
            };
            set.map_err(|error| Box::new(Difference::Itself(error.to_string())))?;
        }
        let account = |text: &str| {
            text.parse()
                .map_err(|_| Box::new(Difference::Itself(format!("account {text}"))))
        };
        let mut names = Vec::new();
        let request = irsa_policy::Request {
            principal: match &request.caller {
                Caller::Anonymous => Principal::Anonymous,
                Caller::Root { account: owner } => Principal::Root {
                    account: account(owner)?,
                },
                Caller::User {
                    arn,
                    id,
                    account: owner,
                } => Principal::User {
                    arn,
                    unique_id: id,
                    account: account(owner)?,
                },
                Caller::RoleSession {
                    arn,
                    role_arn,
                    role_id,
                    account: owner,
                } => Principal::RoleSession {
                    session_arn: arn,
                    role_arn,
                    role_unique_id: role_id,
                    account: account(owner)?,
                },
                Caller::FederatedUser {
                    arn,
                    user_arn,
                    account: owner,
                } => Principal::FederatedUser {
                    arn,
                    user_arn,
                    account: account(owner)?,
                },
                Caller::WebIdentity { provider } => Principal::WebIdentity { provider },
                Caller::Saml { provider } => Principal::Saml { provider },
                Caller::Service { names: all } => {
                    names.extend(all.iter().map(String::as_str));
                    Principal::Service { names: &names }
                }
            },
            action: &request.action,
            resource: &request.resource,
            resource_account: request.resource_account.as_deref().map(account).transpose()?,
            context: &context,
        };
        let quick = irsa_policy::decision(layers, &request);
        let verdict = irsa_policy::decide(layers, &request);
        let explanation = irsa_policy::explain(layers, &request);
        let told = &explanation.verdict;
        if quick != verdict.decision
            || (verdict.decision, verdict.layer) != (told.decision, told.layer)
            || place(&verdict) != place(told)
        {
            let what = format!("decision {quick:?}, decide {verdict:?}, explain {told:?}");
            return Err(Box::new(Difference::Itself(what)));
        }
        let number = |label: &str| {
            label
                .parse::<usize>()
                .map_err(|_| Box::new(Difference::Itself(format!("label {label}"))))
        };
        let mut traces = Vec::new();
        for trace in &explanation.statements {
            traces.push(Trace {
                document: number(trace.statement.label())?,
                index: trace.statement.index(),
                matched: matches!(trace.outcome, StatementOutcome::Matched { .. }),
                delegates: matches!(trace.outcome, StatementOutcome::Matched { delegates: true }),
                words: format!("{:?}", trace.outcome),
            });
        }
        let decisive = match &verdict.statement {
            Some(statement) => Some((number(statement.label())?, statement.index())),
            None => None,
        };
        Ok(Self {
            decision: match quick {
                Decision::Allowed => Answer::Allowed,
                Decision::ExplicitlyDenied => Answer::ExplicitlyDenied,
                Decision::ImplicitlyDenied => Answer::ImplicitlyDenied,
            },
            decisive,
            traces,
        })
    }
}

fn place(verdict: &Verdict) -> Option<(&str, usize)> {
    let statement = verdict.statement.as_ref()?;
    Some((statement.label(), statement.index()))
}

/// Every statement that was asked matches for both or for neither, all that should be asked were, and the one that is said
/// to have decided can have done so.
fn compare_statements(
    documents: &[Document],
    engine: &Engine,
    case: &Case,
    choices: &Choices,
) -> Result<(), Box<Difference>> {
    let differ = |document: usize, index: usize, reference: String, engine: String| {
        let kind = documents.get(document).map(|document| document.kind);
        let place = format!("statement {index} of policy {document} ({kind:?})");
        Err(Box::new(Difference::Statement {
            place,
            reference,
            engine,
        }))
    };
    let bounded = case.boundary.is_some();
    for trace in &engine.traces {
        let Some(document) = documents.get(trace.document) else {
            return differ(
                trace.document,
                trace.index,
                "no such policy".to_owned(),
                trace.words.clone(),
            );
        };
        let Some(statement) = document.statements.get(trace.index) else {
            return differ(
                trace.document,
                trace.index,
                "no such statement".to_owned(),
                trace.words.clone(),
            );
        };
        let closeness = evaluator::closeness(document, statement, &case.request, bounded, choices);
        let delegates = closeness == Some(Link::Account);
        if trace.matched != closeness.is_some() || trace.delegates != delegates {
            return differ(
                trace.document,
                trace.index,
                format!("{closeness:?}"),
                trace.words.clone(),
            );
        }
    }
    // A request that needs no permission asks no policy.
    if !engine.traces.is_empty() {
        for (number, document) in documents.iter().enumerate() {
            for index in 0..document.statements.len() {
                let told = engine
                    .traces
                    .iter()
                    .any(|trace| trace.document == number && trace.index == index);
                if told != evaluator::is_asked(document.kind, &case.request, choices) {
                    return differ(number, index, format!("asked: {}", !told), format!("asked: {told}"));
                }
            }
        }
    }
    let expected = match engine.decision {
        Answer::Allowed => Effect::Allow,
        Answer::ExplicitlyDenied => Effect::Deny,
        Answer::ImplicitlyDenied => {
            return match engine.decisive {
                Some((document, index)) => {
                    differ(document, index, "no statement decided".to_owned(), "decided".to_owned())
                }
                None => Ok(()),
            };
        }
    };
    match engine.decisive {
        Some((document, index)) => {
            let can = documents.get(document).is_some_and(|document| {
                document.statements.get(index).is_some_and(|statement| {
                    statement.effect == expected
                        && evaluator::closeness(document, statement, &case.request, bounded, choices).is_some()
                })
            });
            if can {
                Ok(())
            } else {
                differ(document, index, "can not have decided".to_owned(), "decided".to_owned())
            }
        }
        None if expected == Effect::Deny => {
            Err(Box::new(Difference::Itself("a denial without a statement".to_owned())))
        }
        None => Ok(()),
    }
}
