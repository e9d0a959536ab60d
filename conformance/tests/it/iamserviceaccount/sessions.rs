//! The sessions of `docs/sessions`, as they are printed.

use std::path::{Path, PathBuf};

use anyhow::Result;
use irsa_conformance::{ControlPlane, Server, session::Session};
use serde_json::{Value, json};

use super::world::{World, control_plane, server, with_kubectl};
use crate::shell;

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/sessions")
        .join(name)
}

/// Addresses as the documents have them.
fn addresses(server: &Server, control_planes: &[&ControlPlane]) -> Result<Vec<(String, String)>> {
    let mut all = vec![
        (server.endpoint()?.to_owned(), "http://127.0.0.1:4700".to_owned()),
        (server.tls_endpoint()?.to_owned(), "https://127.0.0.1:4701".to_owned()),
    ];
    for (index, control_plane) in control_planes.iter().enumerate() {
        let host = control_plane.url().trim_start_matches("https://").to_owned();
        all.push((host, format!("127.0.0.1:{}", 6443 + index)));
    }
    Ok(all)
}

fn run(world: &World, name: &str) -> Result<()> {
    let texts = addresses(&world.server, &[&world.control_plane])?;
    Session::read(&document(name))?.run(&world.command("bash")?, world.folder.path(), &texts)
}

#[test]
fn the_walk_through_of_the_documents() -> Result<()> {
    run(&World::start()?, "walk-through.md")
}

#[test]
fn a_cluster_and_all_its_roles_out_of_one_file() -> Result<()> {
    run(&World::start()?, "create-cluster.md")
}

#[test]
fn five_hundred_accounts_out_of_one_file() -> Result<()> {
    let world = World::start()?;
    world.register("prod")?;
    run(&world, "five-hundred.md")
}

#[test]
fn drift_is_found_and_repaired() -> Result<()> {
    let world = World::start()?;
    world.register("prod")?;
    run(&world, "drift.md")
}

#[test]
fn a_deployer_needs_no_more_than_its_policies() -> Result<()> {
    let world = World::start()?;
    world.register("prod")?;
    run(&world, "permissions.md")
}

#[test]
fn a_workload_moves_from_one_cluster_to_another() -> Result<()> {
    let (blue, green, server) = (control_plane(&[])?, control_plane(&[])?, server()?);
    let folder = tempfile::tempdir()?;
    let kubeconfig = folder.path().join("kubeconfig");
    let named = |name: &str, key: &str, value: Value| json!({"name": name, key: value});
    let cluster = |name: &str, control_plane: &ControlPlane| {
        let cluster = json!({"server": control_plane.url(), "certificate-authority": control_plane.authority()});
        named(name, "cluster", cluster)
    };
    let contexts =
        ["blue", "green"].map(|name| named(name, "context", json!({"cluster": name, "user": "administrator"})));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "blue",
        "clusters": [cluster("blue", &blue), cluster("green", &green)],
        "users": [named("administrator", "user", json!({"token": blue.token()}))],
        "contexts": contexts,
    });
    std::fs::write(&kubeconfig, config.to_string())?;
    let mut command = shell::command(&server, "bash", folder.path())?;
    command.env("KUBECONFIG", kubeconfig);
    with_kubectl(&mut command)?;
    let texts = addresses(&server, &[&blue, &green])?;
    Session::read(&document("migration.md"))?.run(&command, folder.path(), &texts)
}
