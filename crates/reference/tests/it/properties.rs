//! What must hold of any evaluator of the language, asked of both.

use irsa_reference::case::{Case, Draft, DraftStatement};
use irsa_reference::compare::compare;
use irsa_reference::evaluator::{Answer, Caller, Choices, Effect, Kind};
use irsa_reference::generator::{self, Random};

const CASES: u64 = 600;

/// What both say.
fn ask(case: &Case) -> Option<Answer> {
    match compare(case, &Choices::AWS) {
        Ok(agreement) => agreement.decision,
        Err(difference) => panic!("{difference}\n{}", case.to_json("")),
    }
}

/// Cases that are decided, with their decisions and some randomness.
fn decided(seed: u64) -> impl Iterator<Item = (Case, Answer, Random)> {
    (0..CASES).filter_map(move |number| {
        let case = generator::case(seed, number);
        let answer = ask(&case)?;
        Some((case, answer, Random::of_case(!seed, number)))
    })
}

fn never_grants(seed: u64, change: impl Fn(&mut Case, &mut Random)) {
    let (mut changed, mut lost) = (0, 0);
    for (case, before, mut random) in decided(seed) {
        let mut other = case.clone();
        change(&mut other, &mut random);
        if other == case {
            continue;
        }
        changed += 1;
        let Some(after) = ask(&other) else { continue };
        if after == Answer::Allowed {
            assert_eq!(
                before,
                Answer::Allowed,
                "{}\nbecame\n{}",
                case.to_json(""),
                other.to_json("")
            );
        }
        lost += u64::from(before == Answer::Allowed && after != Answer::Allowed);
    }
    assert!(changed > CASES / 10 && lost > 0, "{changed} changed, {lost} lost");
}

/// A statement about everything.
fn everything(kind: Kind, effect: Effect) -> DraftStatement {
    let names_principal = !matches!(
        kind,
        Kind::Identity | Kind::Boundary | Kind::Session | Kind::ServiceControl
    );
    DraftStatement {
        sid: None,
        effect,
        principal: names_principal.then(|| (false, vec![("AWS", "*".to_owned())])),
        action: (false, vec!["*".to_owned()]),
        resource: (kind != Kind::Trust).then(|| (false, vec!["*".to_owned()])),
        conditions: Vec::new(),
    }
}

fn draft(kind: Kind, statements: Vec<DraftStatement>) -> Draft {
    Draft {
        kind,
        version: Some("2012-10-17"),
        id: None,
        statements,
        style: 0,
        spoiled: None,
    }
}

/// Something of another case: a statement for the same kind of policy.
fn foreign_statement(kind: Kind, effect: Effect, random: &mut Random) -> DraftStatement {
    loop {
        let case = generator::case(99, random.next());
        let found = case
            .drafts()
            .filter(|draft| draft.kind == kind)
            .flat_map(|draft| draft.statements.clone())
            .next();
        if let Some(mut statement) = found {
            statement.effect = effect;
            return statement;
        }
    }
}

#[test]
fn another_deny_never_grants() {
    never_grants(1, |case, random| {
        let count = case.drafts().count();
        if count > 0
            && let Some(draft) = case.drafts_mut().nth(random.below(count))
        {
            let statement = if random.one_in(3) {
                everything(draft.kind, Effect::Deny)
            } else {
                foreign_statement(draft.kind, Effect::Deny, random)
            };
            let at = random.below(draft.statements.len() + 1);
            draft.statements.insert(at, statement);
        }
    });
}

#[test]
fn one_allow_less_never_grants() {
    never_grants(2, |case, random| {
        let mut drafts: Vec<&mut Draft> = case.drafts_mut().filter(|draft| draft.statements.len() > 1).collect();
        if !drafts.is_empty() {
            let at = random.below(drafts.len());
            let statements = &mut drafts[at].statements;
            if let Some(at) = statements
                .iter()
                .position(|statement| statement.effect == Effect::Allow)
            {
                statements.remove(at);
            }
        }
    });
}

#[test]
fn a_session_policy_never_grants() {
    never_grants(3, |case, random| {
        // Without one, a federated user may do nothing, so that there it is what lets identity policies count.
        if case.session.is_none() && !matches!(case.request.caller, Caller::FederatedUser { .. }) {
            let effect = if random.one_in(4) { Effect::Deny } else { Effect::Allow };
            case.session = Some(vec![draft(
                Kind::Session,
                vec![foreign_statement(Kind::Session, effect, random)],
            )]);
        }
    });
}

#[test]
fn a_boundary_never_grants() {
    never_grants(4, |case, random| {
        if case.boundary.is_none() {
            case.boundary = Some(draft(
                Kind::Boundary,
                vec![foreign_statement(Kind::Boundary, Effect::Allow, random)],
            ));
        }
    });
}

#[test]
fn a_level_of_an_organization_and_an_endpoint_never_grant() {
    never_grants(5, |case, random| match random.below(3) {
        0 => {
            let level = vec![draft(
                Kind::ServiceControl,
                vec![foreign_statement(Kind::ServiceControl, Effect::Allow, random)],
            )];
            case.service_control.push(level);
        }
        1 => {
            let level = vec![draft(
                Kind::ResourceControl,
                vec![foreign_statement(Kind::ResourceControl, Effect::Deny, random)],
            )];
            case.resource_control.push(level);
        }
        _ if case.vpc_endpoint.is_none() => {
            case.vpc_endpoint = Some(vec![draft(
                Kind::VpcEndpoint,
                vec![foreign_statement(Kind::VpcEndpoint, Effect::Allow, random)],
            )]);
        }
        _ => {}
    });
}

#[test]
fn order_does_not_matter() {
    let mut changed = 0;
    for (case, before, mut random) in decided(6) {
        let mut other = case.clone();
        other
            .drafts_mut()
            .for_each(|draft| random.shuffle(&mut draft.statements));
        random.shuffle(&mut other.identity);
        other.session.iter_mut().for_each(|drafts| random.shuffle(drafts));
        other.vpc_endpoint.iter_mut().for_each(|drafts| random.shuffle(drafts));
        random.shuffle(&mut other.service_control);
        random.shuffle(&mut other.resource_control);
        random.shuffle(&mut other.request.keys);
        for statement in other.drafts_mut().flat_map(|draft| &mut draft.statements) {
            random.shuffle(&mut statement.action.1);
            statement
                .resource
                .iter_mut()
                .for_each(|(_, entries)| random.shuffle(entries));
            statement
                .principal
                .iter_mut()
                .for_each(|(_, entries)| random.shuffle(entries));
            random.shuffle(&mut statement.conditions);
            statement
                .conditions
                .iter_mut()
                .for_each(|condition| random.shuffle(&mut condition.values));
        }
        changed += u64::from(other != case);
        assert_eq!(
            ask(&other),
            Some(before),
            "{}\nand\n{}",
            case.to_json(""),
            other.to_json("")
        );
    }
    assert!(changed > CASES / 2);
}

/// Whether a user is allowed by one statement alone.
fn allowed_by(case: &Case, statement: DraftStatement) -> Option<bool> {
    let mut alone = Case {
        identity: vec![draft(Kind::Identity, vec![statement])],
        boundary: None,
        session: None,
        resource: None,
        service_control: Vec::new(),
        resource_control: Vec::new(),
        vpc_endpoint: None,
        bindings: Vec::new(),
        request: case.request.clone(),
    };
    alone.request.caller = Caller::User {
        arn: "arn:aws:iam::111122223333:user/ann".to_owned(),
        id: "AIDAANNXXXXXXXXXXXXXX".to_owned(),
        account: "111122223333".to_owned(),
    };
    alone.request.resource_account = None;
    ask(&alone).map(|answer| answer == Answer::Allowed)
}

#[test]
fn an_element_and_its_negation_are_complements() {
    let mut asked = 0;
    for (mut case, ..) in decided(8) {
        // What needs no permission, or the resource's too, says nothing about identity policies.
        if case.request.action.to_ascii_lowercase().starts_with("sts:") || case.request.action.starts_with("kms:") {
            case.request.action = "s3:GetObject".to_owned();
        }
        for statement in case.drafts().flat_map(|draft| draft.statements.clone()) {
            let mut only = everything(Kind::Identity, Effect::Allow);
            only.action = statement.action;
            let mut negation = only.clone();
            negation.action.0 = !negation.action.0;
            assert_ne!(
                allowed_by(&case, only),
                allowed_by(&case, negation),
                "{}",
                case.to_json("")
            );
            let Some(resource) = statement.resource else { continue };
            let mut only = everything(Kind::Identity, Effect::Allow);
            only.resource = Some(resource.clone());
            let mut negation = only.clone();
            negation.resource = Some((!resource.0, resource.1));
            assert_ne!(
                allowed_by(&case, only),
                allowed_by(&case, negation),
                "{}",
                case.to_json("")
            );
            asked += 1;
        }
    }
    assert!(asked > CASES);
}

#[test]
fn a_denial_of_everything_denies_everything() {
    for (case, _, mut random) in decided(9) {
        if case.request.action.eq_ignore_ascii_case("sts:GetCallerIdentity") {
            continue;
        }
        let mut other = case.clone();
        let kind = random.pick(&[
            Kind::Identity,
            Kind::Boundary,
            Kind::Session,
            Kind::Resource,
            Kind::VpcEndpoint,
        ]);
        let denial = draft(kind, vec![everything(kind, Effect::Deny)]);
        match kind {
            Kind::Identity => other.identity.push(denial),
            Kind::Boundary => other.boundary = Some(denial),
            Kind::Session => other.session = Some(vec![denial]),
            Kind::Resource => other.resource = Some(denial),
            _ => other.vpc_endpoint = Some(vec![denial]),
        }
        let answer = ask(&other);
        assert_eq!(answer, Some(Answer::ExplicitlyDenied), "{}", other.to_json(""));
    }
}
