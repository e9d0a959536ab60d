//! What is refused, and what becomes of the rest.

use std::collections::BTreeSet;

use irsa_reconcile::ServiceAccountName;
use irsa_reconcile::plan::{self, Plan, RefusalKind};

use super::list;
use super::world::World;
use crate::failure::Failure;

/// Whether something is refused because others made it, and a flag takes it.
pub(super) fn is_others(kind: RefusalKind) -> bool {
    matches!(kind, RefusalKind::ForeignServiceAccount | RefusalKind::ReferenceTool)
}

/// The accounts that are refused only because others made something of theirs, with their cluster.
pub(super) fn others(plan: &Plan) -> BTreeSet<(String, ServiceAccountName)> {
    let key = |refusal: &plan::Refusal| (refusal.cluster.clone(), refusal.account.clone());
    let kept: BTreeSet<_> = plan
        .refusals
        .iter()
        .filter(|refusal| !is_others(refusal.kind))
        .map(key)
        .collect();
    let all = plan.refusals.iter().map(key);
    all.filter(|key| !kept.contains(key)).collect()
}

pub(super) fn left_out(names: &[ServiceAccountName]) -> Failure {
    let (are, them) = if names.len() == 1 {
        ("is", "it")
    } else {
        ("are", "them")
    };
    Failure::new(format!(
        "{} {are} not ours and left out: {}",
        match names.len() {
            1 => "1 service account".to_owned(),
            count => format!("{count} service accounts"),
        },
        list(names)
    ))
    .hint(format!(
        "--override-existing-serviceaccounts takes {them} over, --adopt what eksctl made"
    ))
}

/// Nothing of a plan with refusals is done.
pub(super) fn refused(plan: &Plan, world: &World, so_far: &str) -> Failure {
    let mut names: Vec<ServiceAccountName> = Vec::new();
    for refusal in &plan.refusals {
        if !names.contains(&refusal.account) {
            names.push(refusal.account.clone());
        }
    }
    let is_provider = |refusal: &plan::Refusal| refusal.kind == RefusalKind::NoProvider;
    let account = &world.account;
    let failure = Failure::new(match plan.refusals.first() {
        Some(only) if plan.refusals.len() == 1 => format!("account {account}: {only}; {so_far}"),
        Some(first) if plan.refusals.iter().all(is_provider) => {
            format!("account {account}: {}; {so_far}", first.message)
        }
        _ => format!(
            "account {account}: {} service accounts are refused: {}; {so_far}",
            names.len(),
            list(&names)
        ),
    });
    match plan.refusals.first() {
        Some(first) => failure.hint(first.help.clone()),
        None => failure,
    }
}
