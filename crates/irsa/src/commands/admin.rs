use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::{CreateAccount, ListAccounts};
use crate::instance::Instance;
use crate::output::{self, Format};
use crate::table::Table;

/// Makes an account and prints its root key.
pub(super) async fn create_account(arguments: CreateAccount) -> anyhow::Result<ExitCode> {
    let instance = Instance::find(&arguments.data.data)?;
    let mut body = json!({});
    if let Some(account) = arguments.account {
        body["accountId"] = account.to_string().into();
    }
    if let Some(name) = arguments.name {
        body["name"] = name.into();
    }
    let answer = instance
        .root_client(None)?
        .json("irsa", "POST", "/accounts", Some(&body))
        .await?;
    if arguments.output.output == Format::Json {
        output::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let account = text("/account/id");
    let mut table = Table::new(&["ACCOUNT", "ACCESS KEY ID", "SECRET ACCESS KEY"]);
    table.row(&[
        account,
        text("/accessKey/accessKeyId"),
        text("/accessKey/secretAccessKey"),
    ]);
    output::data(table);
    output::note(format_args!(
        "the secret is shown this once; `{}` keeps it as profile `account-{account}`",
        instance.folder.credentials_file().display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Prints the accounts.
pub(super) async fn list_accounts(arguments: ListAccounts) -> anyhow::Result<ExitCode> {
    let client = Instance::find(&arguments.data.data)?.root_client(None)?;
    let answer = client.json("irsa", "GET", "/accounts", None).await?;
    if arguments.output.output == Format::Json {
        output::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["ACCOUNT", "NAME"]);
    for account in answer["accounts"].as_array().into_iter().flatten() {
        let text = |name: &str| account[name].as_str().unwrap_or_default();
        table.row(&[text("id"), text("name")]);
    }
    output::data(table);
    Ok(ExitCode::SUCCESS)
}
