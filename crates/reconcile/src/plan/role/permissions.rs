//! Policies of a role that is there: in which order they change.

use std::collections::BTreeSet;

use irsa_policy::validate::non_whitespace_len;

use super::target::Target;
use crate::actual::Role;
use crate::document;
use crate::plan::{Action, Change, Part, PlannedRole, Planner, Resource, Sign, change, sign};

impl Planner<'_> {
    /// Policies: what is new first, then what changes, then what goes; denials come first and go last. Answers with all
    /// steps.
    pub(super) fn permissions(
        &mut self,
        target: &Target,
        role: &Role,
        first: &[usize],
        planned: &mut PlannedRole,
    ) -> Vec<usize> {
        let begin = self.plan.steps.len();
        let name = &role.name;
        let resource = Resource::Role(name.clone());
        let quotas = self.options.quotas;
        let put = |policy: &str, document: &str| Action::PutRolePolicy {
            role: name.clone(),
            policy: policy.to_owned(),
            document: document.to_owned(),
        };
        let detach = |arn: &str| Action::DetachRolePolicy {
            role: name.clone(),
            arn: arn.to_owned(),
        };
        let mut replaced: Vec<(&String, &String, &String)> = Vec::new();
        let mut fresh: Vec<(&String, &String)> = Vec::new();
        for (policy, text) in &target.inline {
            match role.inline.get(policy) {
                None => fresh.push((policy, text)),
                Some(old) if !document::is_same(old, text) => replaced.push((policy, old, text)),
                Some(_) => continue,
            }
            let old = role.inline.get(policy).map(String::as_str);
            planned.changes.push(inline_change(&resource, policy, old, Some(text)));
        }
        let dropped: Vec<&String> = role
            .inline
            .keys()
            .filter(|policy| !target.inline.contains_key(*policy))
            .collect();
        for policy in &dropped {
            let old = role.inline.get(*policy).map(String::as_str);
            planned.changes.push(inline_change(&resource, policy, old, None));
        }
        let attached: Vec<&String> = target.attached.difference(&role.attached).collect();
        let detached: Vec<&String> = role.attached.difference(&target.attached).collect();
        for arn in &attached {
            planned
                .changes
                .push(change(Sign::Add, &resource, Part::ManagedPolicy, None, Some(arn)));
        }
        for arn in &detached {
            planned
                .changes
                .push(change(Sign::Remove, &resource, Part::ManagedPolicy, Some(arn), None));
        }

        let size =
            |texts: &mut dyn Iterator<Item = &String>| -> usize { texts.map(|text| non_whitespace_len(text)).sum() };
        let now = size(&mut role.inline.values());
        let more = size(&mut fresh.iter().map(|(_, text)| *text));
        let unions: Vec<Option<String>> = replaced.iter().map(|(_, old, new)| document::union(old, new)).collect();
        let joined = size(&mut unions.iter().flatten());
        let parted = size(&mut replaced.iter().map(|(_, old, _)| *old));
        let finally = size(&mut replaced.iter().map(|(_, _, new)| *new));
        // What the inline policies come to while old and new ones stand beside each other.
        let grown = replaced
            .iter()
            .map(|(_, old, new)| non_whitespace_len(new).saturating_sub(non_whitespace_len(old)))
            .sum::<usize>();
        let has_room = now.saturating_add(more).saturating_add(grown) <= quotas.inline_policies;
        let has_room_for_unions = replaced.len() > 1
            && unions.iter().all(Option::is_some)
            && now
                .saturating_add(more)
                .saturating_sub(parted)
                .saturating_add(joined.max(finally))
                <= quotas.inline_policies;

        let mut early = first.to_vec();
        let mut gone: BTreeSet<&String> = BTreeSet::new();
        if !has_room {
            for policy in &dropped {
                gone.insert(policy);
                early.push(self.step(
                    Action::DeleteRolePolicy {
                        role: name.clone(),
                        policy: (*policy).clone(),
                    },
                    first.to_vec(),
                ));
            }
            // What shrinks makes room for what grows.
            replaced.sort_by_key(|(_, old, new)| {
                let grows = non_whitespace_len(new) > non_whitespace_len(old);
                (grows, non_whitespace_len(new))
            });
            for (policy, _, new) in std::mem::take(&mut replaced) {
                let step = self.step(put(policy, new), early.clone());
                early.push(step);
                planned.ready.push(step);
            }
            planned.notes.push(format!(
                "the inline policies of role `{name}` have no room for old and new ones together: some go before others come"
            ));
        }
        let mut added = Vec::new();
        fresh.sort_by_key(|(_, text)| !document::denies(text));
        for (policy, text) in &fresh {
            let step = self.step(put(policy, text), early.clone());
            added.push(step);
            if document::denies(text) {
                early.push(step);
            }
        }
        let together = role.attached.len().saturating_add(attached.len());
        let overflow = together.saturating_sub(quotas.attached_policies).min(detached.len());
        let mut room = early.clone();
        if overflow > 0 && !attached.is_empty() {
            room.extend(&added);
            for arn in detached.iter().take(overflow) {
                let step = self.step(detach(arn), added.iter().chain(first).copied().collect());
                room.push(step);
            }
            planned.notes.push(format!(
                "role `{name}` cannot have old and new managed policies together: {overflow} of them go before others come"
            ));
        }
        for arn in &attached {
            let attach = Action::AttachRolePolicy {
                role: name.clone(),
                arn: (*arn).clone(),
            };
            added.push(self.step(attach, room.clone()));
        }
        // A statement that moves from one policy to another stands in both for a while.
        let mut before: Vec<usize> = added.iter().chain(&early).copied().collect();
        let mut complete: BTreeSet<&String> = BTreeSet::new();
        if has_room_for_unions && has_room {
            let mut joined = Vec::new();
            for ((policy, old, new), union) in replaced.iter().zip(&unions) {
                let Some(union) = union else { continue };
                if document::is_same(union, old) {
                    continue;
                }
                let is_new = document::is_same(union, new);
                if is_new {
                    complete.insert(policy);
                }
                joined.push(self.step(put(policy, if is_new { new } else { union }), before.clone()));
            }
            before.extend(joined);
        }
        let mut changed = before.clone();
        for (policy, _, new) in &replaced {
            if !complete.contains(policy) {
                changed.push(self.step(put(policy, new), before.clone()));
            }
        }
        planned
            .ready
            .extend(changed.iter().filter(|step| !first.contains(step)));
        let mut after = changed.clone();
        let late = if attached.is_empty() { 0 } else { overflow };
        for arn in detached.iter().skip(late) {
            after.push(self.step(detach(arn), changed.clone()));
        }
        let denies = |policy: &String| role.inline.get(policy).is_some_and(|text| document::denies(text));
        let (last, before): (Vec<&String>, Vec<&String>) = dropped
            .into_iter()
            .filter(|policy| !gone.contains(policy))
            .partition(|policy| denies(policy));
        let delete = |policy: &String| Action::DeleteRolePolicy {
            role: name.clone(),
            policy: policy.clone(),
        };
        for policy in before {
            after.push(self.step(delete(policy), changed.clone()));
        }
        for policy in last {
            self.step(delete(policy), after.clone());
        }
        (begin..self.plan.steps.len()).collect()
    }
}

pub(super) fn inline_change(resource: &Resource, policy: &str, old: Option<&str>, new: Option<&str>) -> Change {
    let access = old.zip(new).map(|(old, new)| document::access(old, new));
    Change {
        statements: document::difference(old, new),
        access,
        ..change(
            sign(old, new),
            resource,
            Part::InlinePolicy(policy.to_owned()),
            old,
            new,
        )
    }
}
