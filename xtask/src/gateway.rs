//! The gateway's rules: made from botocore's models of the services, IAM's table of actions and `xtask/gateway/services.json`.

use std::{ffi::OsString, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{clients, root, step::run, target};

/// Writes the rules, or checks that they are what their sources give.
pub(crate) fn rules(words: &[OsString]) -> Result<()> {
    let check = match words {
        [] => false,
        [word] if word == "--check" => true,
        [word, ..] => bail!("`{}` is not known", word.to_string_lossy()),
    };
    let environment = target().join("conformance/venv");
    clients::python(&environment)?;
    let made = target().join("gateway-rules.json");
    let committed = root().join("crates/gateway/data/rules.json");
    run(Command::new(environment.join("bin/python"))
        .arg(root().join("xtask/gateway/rules.py"))
        .arg(root().join("crates/metadata/data/aws.txt"))
        .arg(&made))?;
    let text = std::fs::read_to_string(&made).with_context(|| made.display().to_string())?;
    if !check {
        return std::fs::write(&committed, text).with_context(|| committed.display().to_string());
    }
    if std::fs::read_to_string(&committed).with_context(|| committed.display().to_string())? != text {
        bail!("crates/gateway/data/rules.json is not what `cargo xtask gateway-rules` makes");
    }
    Ok(())
}
