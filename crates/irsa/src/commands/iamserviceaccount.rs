//! `create|get|update|delete iamserviceaccount`, `apply`, `diff`, `create cluster` and `utils`: the words of eksctl over the
//! plan of [`irsa_reconcile`] and the calls of [`irsa_provision`].
//!
//! Every command goes the same way: flags and files are read and checked whole ([`asked`], [`problems`]); only then anybody
//! is called, first to read ([`world`]); the plan is shown ([`shown`]), and carried out if that was asked for ([`job`]).

mod asked;
mod get;
mod job;
mod kubernetes;
mod problems;
mod refused;
mod register;
mod shown;
mod world;

use std::process::ExitCode;

use irsa_reconcile::desired::Mode;
use irsa_reconcile::plan::Options;
use irsa_reconcile::select::Filter;
use irsa_reconcile::{ServiceAccount, ServiceAccountName};

use crate::cli::iamserviceaccount::{
    Access, Apply, Associate, Colour, Create, CreateAccount, CreateCluster, Delete, DeleteAccount, Diff, Form, Get,
    GetAccount, Globs, Role, RoleOnly, Take, Update, UpdateAccount, Utils, Who,
};
use crate::output;
use asked::{Asked, Needs};
use job::{Job, Refused, Task};
use problems::Problems;

pub(super) async fn utils(command: Utils) -> anyhow::Result<ExitCode> {
    let Utils::AssociateIamOidcProvider(arguments) = command;
    associate(arguments)?.run().await
}

pub(super) async fn create(command: Create) -> anyhow::Result<ExitCode> {
    match command {
        Create::Iamserviceaccount(arguments) => create_account(*arguments)?.run().await,
        Create::Cluster(arguments) => create_cluster(*arguments).await,
    }
}

pub(super) async fn get(command: Get) -> anyhow::Result<ExitCode> {
    let Get::Iamserviceaccount(arguments) = command;
    get_account(*arguments)?.run().await
}

pub(super) async fn update(command: Update) -> anyhow::Result<ExitCode> {
    let Update::Iamserviceaccount(arguments) = command;
    update_account(*arguments)?.run().await
}

pub(super) async fn delete(command: Delete) -> anyhow::Result<ExitCode> {
    let Delete::Iamserviceaccount(arguments) = command;
    delete_account(*arguments)?.run().await
}

pub(super) async fn apply(arguments: Apply) -> anyhow::Result<ExitCode> {
    let Apply {
        files,
        globs,
        role_only,
        take,
        approve,
        wait,
        print,
        access,
    } = arguments;
    let task = Task::Reconcile {
        providers: true,
        refused: Refused::Stop,
    };
    let approve = approve.approve.unwrap_or(true);
    let (asked, filter) = of_files(&files.config_file, &globs, role_only, &access)?;
    Job {
        asked,
        filter,
        wait: wait.wait,
        ..Job::new(task, options(Mode::Create, take), approve, print.output, access)
    }
    .role_only(role_only.role_only)
    .run()
    .await
}

pub(super) async fn diff(arguments: Diff) -> anyhow::Result<ExitCode> {
    let Diff {
        files,
        globs,
        role_only,
        take,
        print,
        access,
    } = arguments;
    let (asked, filter) = of_files(&files.config_file, &globs, role_only, &access)?;
    Job {
        asked,
        filter,
        ..Job::new(Task::Diff, options(Mode::Create, take), false, print.output, access)
    }
    .role_only(role_only.role_only)
    .run()
    .await
}

fn options(mode: Mode, take: Take) -> Options {
    Options {
        mode,
        override_existing: take.override_existing_serviceaccounts,
        adopt: take.adopt,
        ..Options::default()
    }
}

/// What `--verbose`, `--color` and the flags without effect come to; before anything else is said.
fn begin(access: &Access) {
    if access.color == Colour::False {
        anstream::ColorChoice::Never.write_global();
    }
    let ignored = [
        ("cfn-role-arn", access.ignored.cfn_role_arn.is_some()),
        (
            "cfn-disable-rollback",
            access.ignored.cfn_disable_rollback == Some(true),
        ),
        ("dumpLogs", access.ignored.dump_logs == Some(true)),
    ];
    for (name, _) in ignored.iter().filter(|(_, is)| *is && access.verbose >= 2) {
        output::warning(format_args!("--{name} has no effect"));
    }
}

/// The files of `apply`, `diff` and `create cluster`.
fn of_files(
    files: &[std::path::PathBuf],
    globs: &Globs,
    role_only: RoleOnly,
    access: &Access,
) -> anyhow::Result<(Vec<Asked>, Filter)> {
    begin(access);
    let mut problems = Problems::default();
    if access.region.is_some() {
        problems.usage("cannot use --region when --config-file/-f is set");
    }
    let mut asked = asked::files(files, Needs::Nothing, &mut problems);
    let filter = asked::filter(globs, &mut problems);
    let said = select(&asked, &filter, globs, &mut problems);
    contexts(&asked, access, &mut problems);
    if role_only.role_only {
        roles_only(&mut asked);
    }
    finish(problems, &said, access)?;
    Ok((asked, filter))
}

/// Selects only from what is sound: a filter over half a file would say nonsense.
fn select(asked: &[Asked], filter: &Filter, globs: &Globs, problems: &mut Problems) -> Vec<String> {
    match problems.has_errors() {
        true => Vec::new(),
        false => asked::select(asked, filter, globs, problems),
    }
}

/// Fails with all that was found, or says what was chosen.
fn finish(problems: Problems, said: &[String], access: &Access) -> anyhow::Result<()> {
    problems.check(access.verbose)?;
    if access.verbose >= 3 {
        said.iter().for_each(output::note);
    }
    Ok(())
}

fn roles_only(asked: &mut [Asked]) {
    for account in asked.iter_mut().flat_map(|asked| &mut asked.accounts) {
        account.role_only = true;
    }
}

/// Checks `--context` against the clusters.
fn contexts(asked: &[Asked], access: &Access, problems: &mut Problems) {
    let clusters: Vec<&str> = asked.iter().map(|asked| asked.cluster.as_str()).collect();
    if let Err(why) = kubernetes::contexts(&access.context, &clusters) {
        problems.usage(why);
    }
}

fn associate(arguments: Associate) -> anyhow::Result<Job> {
    let Associate {
        mut cluster,
        name,
        files,
        approve,
        print,
        access,
    } = arguments;
    begin(&access);
    let mut problems = Problems::default();
    // `--name` is what `--cluster` was called.
    cluster.extend(name);
    let who = Who {
        cluster,
        ..Who::default()
    };
    let asked = if files.config_file.is_empty() {
        asked::cluster_names(&who.cluster, &mut problems);
        let flags = asked::flags(&access, &who, &Role::default(), RoleOnly::default());
        asked::of_flags(&flags, None, false, &mut problems)
    } else {
        asked::not_with_files(&asked::given_who(&access, &who), None, &mut problems);
        asked::files(&files.config_file, Needs::Oidc, &mut problems)
    };
    finish(problems, &[], &access)?;
    let approve = approve.approve.unwrap_or(false);
    let options = options(Mode::Create, Take::default());
    Ok(Job {
        asked,
        ..Job::new(Task::Associate, options, approve, print.output, access)
    })
}

/// What `create` and `update` ask for.
fn reconciled(
    (access, who, role, role_only): (&Access, &Who, &Role, RoleOnly),
    (attach_role_arn, is_update): (Option<String>, bool),
    (files, globs): (&[std::path::PathBuf], &Globs),
) -> anyhow::Result<(Vec<Asked>, Filter)> {
    begin(access);
    let mut problems = Problems::default();
    let filter = asked::filter(globs, &mut problems);
    let mut said = Vec::new();
    let asked = if files.is_empty() {
        asked::only_with_files(globs, None, &mut problems);
        let mut flags = asked::flags(access, who, role, role_only);
        flags.attach_role_arn = attach_role_arn;
        flags.is_update = is_update;
        let account = match flags.account() {
            Ok(account) => Some(account),
            Err(found) => {
                problems.usages(found);
                None
            }
        };
        asked::of_flags(&flags, account.as_ref(), true, &mut problems)
    } else {
        let mut given = asked::given(access, who, role, role_only);
        given.push(("attach-role-arn", attach_role_arn.is_some()));
        asked::not_with_files(&given, who.argument.as_ref(), &mut problems);
        let asked = asked::files(files, Needs::ServiceAccounts, &mut problems);
        said = select(&asked, &filter, globs, &mut problems);
        asked
    };
    contexts(&asked, access, &mut problems);
    finish(problems, &said, access)?;
    Ok((asked, filter))
}

fn create_account(arguments: CreateAccount) -> anyhow::Result<Job> {
    let CreateAccount {
        who,
        role,
        attach_role_arn,
        role_only,
        files,
        globs,
        take,
        approve,
        wait,
        print,
        access,
    } = arguments;
    let (asked, filter) = reconciled(
        (&access, &who, &role, role_only),
        (attach_role_arn, false),
        (&files.config_file, &globs),
    )?;
    if role_only.role_only && access.verbose >= 2 {
        output::note(
            "serviceaccounts in Kubernetes will not be created or modified, since the option --role-only is used",
        );
    }
    let task = Task::Reconcile {
        providers: false,
        refused: Refused::LeaveOut,
    };
    let approve = approve.approve.unwrap_or(false);
    Ok(Job {
        asked,
        filter,
        wait: wait.wait,
        ..Job::new(task, options(Mode::Create, take), approve, print.output, access)
    })
}

fn update_account(arguments: UpdateAccount) -> anyhow::Result<Job> {
    let UpdateAccount {
        who,
        role,
        role_only,
        files,
        globs,
        take,
        approve,
        wait,
        print,
        access,
    } = arguments;
    let (asked, filter) = reconciled(
        (&access, &who, &role, role_only),
        (None, true),
        (&files.config_file, &globs),
    )?;
    let task = Task::Reconcile {
        providers: false,
        refused: Refused::Stop,
    };
    let approve = approve.approve.unwrap_or(false);
    Ok(Job {
        asked,
        filter,
        wait: wait.wait,
        ..Job::new(task, options(Mode::Update, take), approve, print.output, access)
    })
}

fn delete_account(arguments: DeleteAccount) -> anyhow::Result<Job> {
    let DeleteAccount {
        who,
        namespace,
        role_only,
        files,
        globs,
        only_missing,
        take,
        approve,
        wait,
        print,
        access,
    } = arguments;
    begin(&access);
    let mut problems = Problems::default();
    let filter = asked::filter(&globs, &mut problems);
    let mut said = Vec::new();
    let is_missing_only = only_missing == Some(true);
    let role = Role {
        namespace,
        ..Role::default()
    };
    let (asked, task) = if files.config_file.is_empty() {
        asked::only_with_files(&globs, only_missing, &mut problems);
        let flags = asked::flags(&access, &who, &role, role_only);
        let account = match flags.account_name() {
            Ok(name) => Some(ServiceAccount::new(name)),
            Err(found) => {
                problems.usages(found);
                None
            }
        };
        let asked = asked::of_flags(&flags, account.as_ref(), false, &mut problems);
        (asked, Task::Delete)
    } else {
        let given = [
            asked::given_who(&access, &who),
            vec![("namespace", role.namespace.is_some())],
        ];
        asked::not_with_files(&given.concat(), who.argument.as_ref(), &mut problems);
        let asked = asked::files(&files.config_file, Needs::Oidc, &mut problems);
        if !is_missing_only {
            said = select(&asked, &filter, &globs, &mut problems);
        }
        let only_missing = is_missing_only;
        (asked, Task::DeleteOfFiles { only_missing })
    };
    contexts(&asked, &access, &mut problems);
    finish(problems, &said, &access)?;
    let approve = approve.unwrap_or(task == Task::Delete);
    Ok(Job {
        asked,
        filter,
        wait: wait.wait,
        ..Job::new(task, options(Mode::Create, take), approve, print.output, access)
    }
    .role_only(role_only.role_only))
}

fn get_account(arguments: GetAccount) -> anyhow::Result<get::Listing> {
    let GetAccount {
        who,
        namespace,
        role_only,
        files,
        chunk_size: _,
        print,
        access,
    } = arguments;
    begin(&access);
    let mut problems = Problems::default();
    let mut name = None;
    let asked = if files.config_file.is_empty() {
        let role = Role::default();
        let flags = asked::flags(&access, &who, &role, role_only);
        if who.name.is_some() || who.argument.is_some() {
            match flags.account_name() {
                Ok(found) => name = Some(found.name),
                Err(found) => problems.usages(found),
            }
        } else {
            asked::cluster_names(&who.cluster, &mut problems);
        }
        asked::of_flags(&flags, None, false, &mut problems)
    } else {
        asked::not_with_files(&asked::given_who(&access, &who), who.argument.as_ref(), &mut problems);
        asked::files(&files.config_file, Needs::NotWithoutOidc, &mut problems)
    };
    contexts(&asked, &access, &mut problems);
    finish(problems, &[], &access)?;
    Ok(get::Listing {
        asked,
        namespace,
        name,
        role_only: role_only.role_only,
        print: print.output,
        access,
    })
}

async fn create_cluster(arguments: CreateCluster) -> anyhow::Result<ExitCode> {
    let CreateCluster {
        files,
        issuer_url,
        jwks,
        role_only,
        take,
        approve,
        wait,
        print,
        access,
    } = arguments;
    let (asked, filter) = of_files(&files.config_file, &Globs::default(), role_only, &access)?;
    let issuer = register::Issuer::read(issuer_url, jwks.as_deref(), asked.len())?;
    let task = Task::Reconcile {
        providers: true,
        refused: Refused::Stop,
    };
    let approve = approve.approve.unwrap_or(true);
    Job {
        asked,
        filter,
        register: Some(issuer),
        wait: wait.wait,
        ..Job::new(task, options(Mode::Create, take), approve, print.output, access)
    }
    .role_only(role_only.role_only)
    .run()
    .await
}

/// `default/reader, kube-system/dns and 3 more`.
fn list(names: &[ServiceAccountName]) -> String {
    const MOST: usize = 5;
    let shown: Vec<String> = names.iter().take(MOST).map(ToString::to_string).collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A command that prints a value for programs.
fn print_value(form: Form, value: &serde_json::Value) {
    match form {
        Form::Yaml => output::data(crate::yaml::text(value).trim_end()),
        Form::Json | Form::Table => output::json(value),
    }
}
