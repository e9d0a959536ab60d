//! One file a command.

mod admin;
mod audit;
mod cluster;
mod env;
mod exec;
mod explain;
mod iamserviceaccount;
mod quickstart;
mod run;
mod token;
mod up;
pub(crate) mod webhook;
mod workload;

use std::process::ExitCode;

use crate::cli::{Admin, Audit, Cluster, Command, Token};
use crate::policy;

/// Runs a command to its exit code.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Quickstart(arguments) => quickstart::run(arguments).await,
        Command::Up(arguments) => up::run(*arguments).await,
        Command::Gateway(arguments) => up::run(arguments.up).await,
        Command::Env(arguments) => env::run(&arguments),
        Command::Cluster(Cluster::Register(arguments)) => cluster::register(arguments).await,
        Command::Cluster(Cluster::List(arguments)) => cluster::list(arguments).await,
        Command::Token(Token::Create(arguments)) => token::create(arguments).await,
        Command::Exec(arguments) => exec::run(arguments).await,
        Command::Run(arguments) => run::run(arguments).await,
        Command::Audit(Audit::Lookup(arguments)) => audit::lookup(&arguments),
        Command::Audit(Audit::Verify(arguments)) => audit::verify(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Policy(command) => policy::run(command),
        Command::Create(command) => iamserviceaccount::create(command).await,
        Command::Get(command) => iamserviceaccount::get(command).await,
        Command::Update(command) => iamserviceaccount::update(command).await,
        Command::Delete(command) => iamserviceaccount::delete(command).await,
        Command::Apply(arguments) => iamserviceaccount::apply(*arguments).await,
        Command::Diff(arguments) => iamserviceaccount::diff(*arguments).await,
        Command::Utils(command) => iamserviceaccount::utils(command).await,
        Command::Admin(Admin::CreateAccount(arguments)) => admin::create_account(arguments).await,
        Command::Admin(Admin::ListAccounts(arguments)) => admin::list_accounts(arguments).await,
        Command::Webhook(arguments) => webhook::run(&arguments.words).await,
        Command::Workload(arguments) => workload::run(arguments).await,
    }
}
