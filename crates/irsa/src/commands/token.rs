use std::process::ExitCode;

use crate::cli::TokenCreate;
use crate::instance::Instance;
use crate::output::{self, Format};
use crate::tokens::TokenSource;

/// Prints a new token.
pub(super) async fn create(arguments: TokenCreate) -> anyhow::Result<ExitCode> {
    let client = Instance::find(&arguments.data.data)?.root_client(None)?;
    let source = TokenSource::new(client, arguments.cluster, arguments.serviceaccount, None);
    let seconds = i64::try_from(arguments.duration.as_secs()).unwrap_or(i64::MAX);
    let issued = source.issue(&arguments.audience, seconds).await?;
    match arguments.output.output {
        Format::Table => output::data(&issued.token),
        Format::Json => output::json(&issued.answer),
    }
    Ok(ExitCode::SUCCESS)
}
