//! eksctl's task trees.

use crate::account::ServiceAccountName;

/// What is done for one account: one thing, or several one after the other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Task {
    steps: Vec<String>,
    /// A tree of its own though it has one step.
    is_tree: bool,
}

/// What creating does for an account: with `role`, a role; with `service_account`, a service account.
#[must_use]
pub fn create_task(name: &ServiceAccountName, role: bool, service_account: bool) -> Task {
    let role = role.then(|| format!("create IAM role for serviceaccount \"{name}\""));
    let account = service_account.then(|| format!("create serviceaccount \"{name}\""));
    Task {
        steps: role.into_iter().chain(account).collect(),
        is_tree: false,
    }
}

/// What updating does for an account.
#[must_use]
pub fn update_task(name: &ServiceAccountName) -> Task {
    Task {
        steps: vec![format!("update IAMServiceAccount {name}")],
        is_tree: true,
    }
}

/// What deleting does for an account; `wait` is for the role to be gone.
#[must_use]
pub fn delete_task(name: &ServiceAccountName, role: bool, wait: bool) -> Task {
    let suffix = if wait { "" } else { " [async]" };
    let role = role.then(|| format!("delete IAM role for serviceaccount \"{name}\"{suffix}"));
    Task {
        steps: role
            .into_iter()
            .chain([format!("delete serviceaccount \"{name}\"")])
            .collect(),
        is_tree: false,
    }
}

impl Task {
    fn text(&self) -> String {
        match &self.steps[..] {
            [] => "no tasks".to_owned(),
            [step] if self.is_tree => format!("1 task: {{ {step} }}"),
            [step] => step.clone(),
            steps => {
                let lines: String = steps.iter().map(|step| format!("        {step},\n")).collect();
                format!("\n    {} sequential sub-tasks: {{ \n{lines}    }}", steps.len())
            }
        }
    }
}

/// The tree of all accounts, as eksctl logs it; `plan` says that it is not carried out.
///
/// (eksctl loses the `(plan)` of a single task.)
#[must_use]
pub fn tree(tasks: &[Task], plan: bool) -> String {
    let texts: Vec<String> = tasks.iter().map(Task::text).collect();
    let prefix = if plan { "(plan) " } else { "" };
    match &texts[..] {
        [] => "no tasks".to_owned(),
        [only] => format!("{prefix}1 task: {{ {only} }}"),
        all => format!("{prefix}\n{} parallel tasks: {{ {} \n}}\n", all.len(), all.join(", ")),
    }
}

/// What eksctl logs of accounts that are left out because they are there already.
#[must_use]
pub fn excluded(names: &[ServiceAccountName]) -> Option<String> {
    let list: Vec<String> = names.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{} existing iamserviceaccount(s) ({}) will be excluded",
            names.len(),
            list.join(",")
        )
    })
}
