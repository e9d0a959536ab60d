//! From what is asked to what is done: read, plan, show, carry out.

use std::collections::BTreeSet;
use std::process::ExitCode;

use irsa_provision::{Halt, Outcome, Scope, State, Stop, carry_out};
use irsa_reconcile::actual::Actual;
use irsa_reconcile::desired::{Cluster, Desired, Request};
use irsa_reconcile::list::{list, ours};
use irsa_reconcile::plan::{self, Deletion, Options, Plan};
use irsa_reconcile::select::{Filter, deletion};
use irsa_reconcile::{Problem, ServiceAccountName, render};
use tokio::time::Instant;

use super::asked::Asked;
use super::problems::Problems;
use super::refused::{is_others, left_out, others, refused};
use super::register::Issuer;
use super::shown::{self, Done, Progress};
use super::world::{Waiting, Wanted, World};
use crate::cli::iamserviceaccount::{Access, Form};
use crate::failure::Failure;
use crate::output;
use crate::signals;

/// Interrupted: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// `diff`: there is drift.
const DRIFT: u8 = 3;

/// What a command does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Task {
    /// Makes or changes what is asked for.
    Reconcile {
        /// Makes the OIDC providers that are missing.
        providers: bool,
        /// What becomes of the rest if something is refused.
        refused: Refused,
    },
    /// Only shows what differs.
    Diff,
    /// Deletes the account of the flags.
    Delete,
    /// Deletes accounts of files, or those that the files lack.
    DeleteOfFiles { only_missing: bool },
    /// Makes OIDC providers.
    Associate,
}

/// What becomes of the rest if something is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    /// Nothing is done.
    Stop,
    /// What others made is left out, as eksctl does; nothing is done if anything else is refused.
    LeaveOut,
}

/// A command that is ready to call somebody.
pub(super) struct Job {
    pub(super) asked: Vec<Asked>,
    pub(super) filter: Filter,
    pub(super) task: Task,
    pub(super) options: Options,
    pub(super) approve: bool,
    pub(super) wait: bool,
    pub(super) print: Form,
    pub(super) access: Access,
    /// Register clusters first that are not there.
    pub(super) register: Option<Issuer>,
    /// Kubernetes is left alone.
    pub(super) role_only: bool,
}

impl Job {
    pub(super) fn new(task: Task, options: Options, approve: bool, print: Form, access: Access) -> Self {
        Self {
            asked: Vec::new(),
            filter: Filter::default(),
            task,
            options,
            approve,
            wait: false,
            print,
            access,
            register: None,
            role_only: false,
        }
    }

    pub(super) fn role_only(mut self, role_only: bool) -> Self {
        self.role_only = role_only;
        self
    }

    fn says(&self, level: u8) -> bool {
        self.access.verbose >= level
    }

    /// Whether any Kubernetes API is concerned.
    fn needs_kubernetes(&self) -> bool {
        let mut accounts = self.asked.iter().flat_map(|asked| asked.chosen(&self.filter));
        match self.task {
            _ if self.role_only => false,
            Task::Associate => false,
            Task::DeleteOfFiles { only_missing: true } => true,
            _ => accounts.any(|account| !account.role_only),
        }
    }

    /// Runs it to its exit code, no longer than `--timeout`.
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let started = Instant::now();
        let (stop, waiting) = (Stop::default(), Waiting::default());
        let mut signals = signals::stop_signals()?;
        let deadline = started.checked_add(self.access.timeout);
        // Until something is changed, a signal or the end of the time ends it where it is.
        let prepared = tokio::select! {
            prepared = self.prepare(&waiting) => prepared?,
            _ = signals.recv() => return Ok(interrupted(self.so_far())),
            () = until(deadline) => return Err(self.too_long(&waiting.shown(), self.so_far()).into()),
        };
        let Prepared {
            world,
            plan,
            state,
            wishes,
        } = prepared;
        if let Some(code) = self.show(&world, &plan, &wishes)? {
            return Ok(code);
        }
        let (insisting, insisted) = tokio::sync::oneshot::channel();
        let listening = {
            let stop = stop.clone();
            tokio::spawn(async move {
                if signals.recv().await.is_some() {
                    stop.stop();
                }
                // Who asks again will not wait for what is under way.
                if signals.recv().await.is_some() {
                    let _ = insisting.send(());
                }
            })
        };
        let progress = Progress::new(self.says(3));
        let planner = |actual: &Actual| self.plan(&wishes, actual);
        let job = irsa_provision::Job {
            clusters: &world.clusters,
            actual: &state.actual,
            plan: &plan,
            planner: &planner,
        };
        let options = irsa_provision::Options {
            deadline,
            wait: self.wait,
            scope: self.scope(&world),
            ..irsa_provision::Options::default()
        };
        let observer = |event: irsa_provision::Event<'_>| progress.on(event);
        let outcome = tokio::select! {
            outcome = carry_out(&world.target, &job, &options, &stop, &observer) => Some(outcome),
            Ok(()) = insisted => None,
        };
        listening.abort();
        progress.end();
        let Some(outcome) = outcome else {
            return Ok(interrupted("what was under way may be done or not"));
        };
        let done = Done {
            outcome: &outcome,
            account: world.account,
            took: started.elapsed(),
        };
        if self.print != Form::Table {
            super::print_value(self.print, &done.value(&plan));
        }
        let code = self.finish(&done, &wishes.left_out)?;
        if self.task == Task::Associate && outcome.is_success() && self.says(3) {
            self.associating(&world, &plan, true);
        }
        Ok(code)
    }

    /// What a command has done that has not come to its plan.
    fn so_far(&self) -> &'static str {
        match self.register {
            Some(_) if self.approve => "no more than clusters were registered",
            _ => "nothing was changed",
        }
    }

    fn too_long(&self, waiting: &str, what: &str) -> Failure {
        let timeout = self.access.shown_timeout();
        Failure::new(format!("it took longer than --timeout={timeout}{waiting}; {what}"))
            .hint("run the same command again to go on; a longer --timeout lets it end")
    }

    fn scope(&self, world: &World) -> Scope {
        Scope {
            roles: self.task != Task::Associate,
            kubernetes: self.needs_kubernetes() && world.has_kubernetes(),
        }
    }

    async fn prepare(&self, waiting: &Waiting) -> anyhow::Result<Prepared> {
        let needs_kubernetes = self.needs_kubernetes();
        let progress = Progress::new(self.says(3));
        let wanted = Wanted {
            asked: &self.asked,
            access: &self.access,
            kubernetes: needs_kubernetes,
            register: self.register.as_ref(),
            approve: self.approve,
            waiting,
        };
        let world = World::reach(&wanted).await?;
        let state = world.read(self.scope(&world), &|event| progress.on(event)).await;
        progress.end();
        let state = state?;
        if let Some(why) = state.without_quotas.as_ref().filter(|_| self.says(2)) {
            output::warning(format_args!(
                "the quotas of account {} could not be read, those of a new account are taken: {why}",
                world.account
            ));
        }
        let mut wishes = self.wishes(&world, &state)?;
        let mut plan = self.plan(&wishes, &state.actual);
        if let Task::Reconcile {
            refused: Refused::LeaveOut,
            ..
        } = self.task
        {
            let left_out = others(&plan);
            if !left_out.is_empty() {
                for refusal in plan.refusals.iter().filter(|refusal| is_others(refusal.kind)) {
                    output::warning(output::shown(&refusal.to_string()));
                    output::hint(output::shown(&refusal.help));
                }
                let label = |index: usize| wishes.labels.get(index).cloned().unwrap_or_default();
                wishes
                    .desired
                    .retain(|cluster, name| !left_out.contains(&(label(cluster), name.clone())));
                let names: Vec<ServiceAccountName> = left_out.iter().map(|(_, name)| name.clone()).collect();
                if let Some(text) = render::excluded(&names).filter(|_| self.says(3)) {
                    output::note(text);
                }
                wishes.left_out = names;
                plan = self.plan(&wishes, &state.actual);
            }
        }
        self.policies_are_there(&world, &plan, &state.actual).await?;
        Ok(Prepared {
            world,
            plan,
            state,
            wishes,
        })
    }

    /// A policy that is not there would be found only when its role is made.
    async fn policies_are_there(&self, world: &World, plan: &Plan, actual: &Actual) -> anyhow::Result<()> {
        if !plan.refusals.is_empty() {
            return Ok(());
        }
        let mut problems = Problems::default();
        for arn in world.absent_policies(plan, actual).await {
            let accounts = self.asked.iter().flat_map(|asked| &asked.accounts);
            let place = accounts
                .filter(|account| {
                    let attached = account.attach_policy_arns.iter().flatten();
                    attached
                        .chain(&account.permissions_boundary)
                        .any(|one| one.to_string() == arn)
                })
                .find_map(|account| account.place.clone());
            let mut problem = Problem::error(format!("account {}: there is no policy `{arn}`", world.account));
            problem.help =
                Some("`aws iam list-policies` lists those that there are; make it, or name another".to_owned());
            problem.place = place;
            problems.error(problem);
        }
        problems.check(self.access.verbose)
    }

    /// What is wanted, now that the clusters are known.
    fn wishes(&self, world: &World, state: &State) -> anyhow::Result<Wishes> {
        let options = Options {
            quotas: state.quotas,
            create_providers: match self.task {
                Task::Reconcile { providers, .. } => providers,
                Task::Diff => true,
                _ => false,
            },
            ..self.options
        };
        let mut wishes = Wishes {
            options,
            labels: world.labels.clone(),
            desired: Desired::default(),
            deletion: Deletion::default(),
            associated: Vec::new(),
            left_out: Vec::new(),
        };
        match self.task {
            Task::Reconcile { .. } | Task::Diff => {
                let requests = self.requests(world);
                match Desired::new(&requests, self.options.mode) {
                    Ok(desired) => wishes.desired = desired,
                    Err(found) => {
                        let mut problems = Problems::default();
                        problems.extend(found);
                        problems.check(self.access.verbose)?;
                    }
                }
                wishes.desired.retain(|_, name| self.filter.includes(name));
                if options.create_providers {
                    // A cluster may be asked to have a provider and no account.
                    let clusters = self.asked.iter().zip(&world.clusters);
                    wishes.associated = clusters
                        .filter(|(asked, _)| asked.with_oidc() && asked.chosen(&self.filter).next().is_none())
                        .map(|(_, cluster)| cluster.clone())
                        .collect();
                }
            }
            Task::Associate => wishes.associated.clone_from(&world.clusters),
            Task::Delete | Task::DeleteOfFiles { .. } => {
                wishes.deletion = Deletion {
                    clusters: world.clusters.clone(),
                    accounts: self.deletion(world, state),
                };
            }
        }
        Ok(wishes)
    }

    fn requests(&self, world: &World) -> Vec<Request> {
        let request = |(asked, cluster): (&Asked, &Cluster)| {
            let mut accounts = asked.accounts.clone();
            if !self.scope(world).kubernetes {
                for account in &mut accounts {
                    account.role_only = true;
                }
            }
            let tags = asked.config.as_ref().map(|config| config.tags.clone());
            Request {
                cluster: cluster.clone(),
                tags: tags.unwrap_or_default(),
                accounts,
            }
        };
        self.asked.iter().zip(&world.clusters).map(request).collect()
    }

    fn deletion(&self, world: &World, state: &State) -> Vec<(usize, ServiceAccountName)> {
        let mut accounts = Vec::new();
        for (index, (asked, cluster)) in self.asked.iter().zip(&world.clusters).enumerate() {
            let mut names = asked.names();
            let Task::DeleteOfFiles { only_missing } = self.task else {
                accounts.extend(names.into_iter().map(|name| (index, name)));
                continue;
            };
            if !only_missing {
                names.retain(|name| self.filter.includes(name));
            }
            // What is only trusted by somebody's hand is deleted when it is named, and is nothing that a file lacks.
            let present: BTreeSet<ServiceAccountName> = match only_missing {
                true => ours(cluster, index, &state.actual),
                false => {
                    let listed = list(cluster, index, &state.actual).into_iter();
                    listed.map(|listed| listed.name).collect()
                }
            };
            let config = asked.config.as_ref();
            let file = config.map_or("", |config| &config.place.file);
            if self.says(3) {
                output::note(format_args!(
                    "comparing {} iamserviceaccounts defined in the given config (\"{file}\") against remote state",
                    names.len()
                ));
            }
            let keep_aws_node = asked.with_oidc() && config.is_some_and(|config| config.implies_aws_node);
            let mut found = deletion(&names, &present, only_missing, keep_aws_node);
            if self.says(3) {
                found.notes.iter().for_each(output::note);
            }
            if only_missing {
                found.names.retain(|name| self.filter.includes(name));
            }
            accounts.extend(found.names.into_iter().map(|name| (index, name)));
        }
        accounts
    }

    fn plan(&self, wishes: &Wishes, actual: &Actual) -> Plan {
        let mut plan = match self.task {
            Task::Associate => Plan::default(),
            Task::Delete | Task::DeleteOfFiles { .. } => {
                let mut plan = plan::delete(&wishes.deletion, actual, &wishes.options);
                if !self.needs_kubernetes() {
                    // Nobody looked.
                    for account in &mut plan.accounts {
                        account.notes.retain(|note| !note.starts_with("serviceaccount \""));
                    }
                }
                plan
            }
            Task::Reconcile { .. } | Task::Diff => plan::plan(&wishes.desired, actual, &wishes.options),
        };
        if !wishes.associated.is_empty() {
            append(&mut plan, plan::associate(&wishes.associated, actual));
        }
        plan
    }

    /// Shows a plan; answers with the exit code if that was all.
    fn show(&self, world: &World, plan: &Plan, wishes: &Wishes) -> anyhow::Result<Option<ExitCode>> {
        let is_refused = !plan.refusals.is_empty();
        let goes_on = self.approve && !is_refused && !plan.is_empty();
        if self.print == Form::Table {
            shown::plan(plan);
        } else if !goes_on {
            super::print_value(self.print, &shown::plan_value(plan, world.account));
        }
        if is_refused {
            return Err(refused(plan, world, self.so_far()).into());
        }
        let left_out = || match wishes.left_out.len() {
            0 => Ok(()),
            _ => Err(left_out(&wishes.left_out)),
        };
        if self.task == Task::Associate && self.says(3) {
            self.associating(world, plan, false);
        }
        if self.task == Task::Diff {
            let code = if plan.is_empty() { 0 } else { DRIFT };
            return Ok(Some(ExitCode::from(code)));
        }
        if plan.is_empty() {
            left_out()?;
            if self.says(3) && self.task != Task::Associate {
                output::note("nothing to do");
            }
            return Ok(Some(ExitCode::SUCCESS));
        }
        if !self.approve {
            output::note("no changes were applied, run again with '--approve' to apply the changes");
            left_out()?;
            return Ok(Some(ExitCode::SUCCESS));
        }
        Ok(None)
    }

    /// In eksctl's words.
    fn associating(&self, world: &World, plan: &Plan, is_done: bool) {
        for cluster in &world.clusters {
            let arn = cluster.provider_arn();
            let is_new = plan.shared.iter().any(|change| {
                change.resource == plan::Resource::Provider(arn.clone()) && change.part == plan::Part::Whole
            });
            let (name, region) = (&cluster.name, &cluster.region);
            output::note(match (is_new, self.approve) {
                (false, _) if is_done => continue,
                (true, _) if is_done => {
                    format!("created IAM Open ID Connect provider for cluster \"{name}\" in \"{region}\"")
                }
                (false, _) => format!(
                    "IAM Open ID Connect provider is already associated with cluster \"{name}\" in \"{region}\""
                ),
                (true, false) => {
                    format!("(plan) would create IAM Open ID Connect provider for cluster \"{name}\" in \"{region}\"")
                }
                (true, true) => {
                    format!("will create IAM Open ID Connect provider for cluster \"{name}\" in \"{region}\"")
                }
            });
        }
    }

    /// What came of it, and the exit code.
    fn finish(&self, done: &Done<'_>, left: &[ServiceAccountName]) -> anyhow::Result<ExitCode> {
        let outcome: &Outcome = done.outcome;
        done.failures();
        if outcome.halted == Some(Halt::Stopped) {
            return Ok(interrupted(&done.counts()));
        }
        if outcome.halted == Some(Halt::Deadline) {
            return Err(self.too_long("", &done.counts()).into());
        }
        if !outcome.is_success() {
            return Err(Failure::new(format!("{}: {}", done.what_failed(), done.counts()))
                .hint("run the same command again when that is mended: it goes on where this one ended")
                .into());
        }
        if self.says(3) && self.task != Task::Associate {
            output::note(done.summary());
        }
        match left.len() {
            0 => Ok(ExitCode::SUCCESS),
            _ => Err(left_out(left).into()),
        }
    }
}

/// What a job has found out before it changes anything.
struct Prepared {
    world: World,
    plan: Plan,
    state: State,
    wishes: Wishes,
}

/// What is wanted.
struct Wishes {
    options: Options,
    /// What the plan calls the clusters.
    labels: Vec<String>,
    desired: Desired,
    deletion: Deletion,
    /// Clusters that need nothing but a provider.
    associated: Vec<Cluster>,
    left_out: Vec<ServiceAccountName>,
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn interrupted(what: &str) -> ExitCode {
    output::note(format_args!("interrupted: {what}"));
    output::hint("run the same command again to go on");
    ExitCode::from(INTERRUPTED)
}

/// Puts one plan behind another.
fn append(plan: &mut Plan, more: Plan) {
    let base = plan.steps.len();
    plan.steps.extend(more.steps.into_iter().map(|mut step| {
        step.id = step.id.saturating_add(base);
        for after in &mut step.after {
            *after = after.saturating_add(base);
        }
        step
    }));
    plan.shared.extend(more.shared);
    plan.accounts.extend(more.accounts);
    plan.refusals.extend(more.refusals);
}

#[cfg(test)]
mod tests;
