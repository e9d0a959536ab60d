//! The manifests of `deploy/` as Kustomize and Helm make them.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use irsa_conformance::{
    deploy::{Installation, faults, objects},
    finish,
};
use serde_json::{Value, json};

use crate::shell;

const OURS: Installation<'_> = Installation {
    namespace: "pod-identity-webhook",
    name: "pod-identity-webhook",
    own_authority: true,
    config_map: false,
    backstop: false,
    evicts: false,
    env_from: false,
    env_from_secrets: false,
};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

fn kustomized(folder: &std::path::Path) -> Result<Vec<Value>> {
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").context("KUBEBUILDER_ASSETS names no folder with kubectl")?;
    let finished = finish(
        Command::new(PathBuf::from(assets).join("kubectl"))
            .arg("kustomize")
            .arg(folder),
    )?;
    ensure!(finished.code == Some(0), "`kubectl kustomize` says {}", finished.stderr);
    objects(&finished.stdout)
}

#[test]
fn kustomize_makes_what_must_be() -> Result<()> {
    assert_eq!(
        faults(&kustomized(&folder("kustomize/base"))?, OURS),
        Vec::<String>::new()
    );
    let old = kustomized(&folder("kustomize/overlays/kubernetes-1.20"))?;
    assert_eq!(faults(&old, OURS), Vec::<String>::new());
    let budget = old
        .iter()
        .find(|object| object["kind"] == "PodDisruptionBudget")
        .context("no budget")?;
    assert_eq!(budget["apiVersion"], "policy/v1beta1");
    let managed = kustomized(&folder("kustomize/overlays/cert-manager"))?;
    let installation = Installation {
        own_authority: false,
        ..OURS
    };
    assert_eq!(faults(&managed, installation), Vec::<String>::new());
    assert!(!managed.iter().any(|object| object["kind"] == "Secret"));
    Ok(())
}

#[test]
fn components_go_together() -> Result<()> {
    let work = tempfile::tempdir()?;
    let deploy = folder("kustomize").canonicalize()?;
    // Kustomize takes folders by relative paths only.
    let copied = finish(
        Command::new("cp")
            .arg("-r")
            .arg(&deploy)
            .arg(work.path().join("kustomize")),
    )?;
    ensure!(copied.code == Some(0), "{}", copied.stderr);
    let overlay = work.path().join("kustomize/overlays/all");
    std::fs::create_dir(&overlay)?;
    let components = [
        "backstop",
        "cert-manager",
        "config-map",
        "env-from",
        "env-from-secrets",
        "evict",
        "monitoring",
    ];
    let components: Vec<String> = components
        .iter()
        .map(|name| format!("../../components/{name}"))
        .collect();
    let text = json!({"resources": ["../../base"], "components": components}).to_string();
    std::fs::write(overlay.join("kustomization.yaml"), text)?;
    let installation = Installation {
        own_authority: false,
        config_map: true,
        backstop: true,
        evicts: true,
        env_from: true,
        env_from_secrets: true,
        ..OURS
    };
    assert_eq!(faults(&kustomized(&overlay)?, installation), Vec::<String>::new());
    Ok(())
}

fn helm(values: &Value) -> Result<irsa_conformance::Finished> {
    finish(
        Command::new(shell::venv().join("bin/python"))
            .arg(shell::scripts().join("render_chart.py"))
            .arg(folder("helm/pod-identity-webhook"))
            .arg("identity")
            .arg(values.to_string()),
    )
}

fn rendered(values: &Value) -> Result<Vec<Value>> {
    let finished = helm(values)?;
    ensure!(finished.code == Some(0), "Helm says {}", finished.stderr);
    objects(&finished.stdout)
}

#[test]
fn helm_makes_what_must_be() -> Result<()> {
    let installation = Installation {
        namespace: "identity",
        ..OURS
    };
    let none = Vec::<String>::new();
    assert_eq!(faults(&rendered(&json!({}))?, installation), none);
    let all = json!({"webhook": {"watchConfigMap": true, "envFrom": "all", "envFromSecretsIn": ["app"]}, "backstop": {"enabled": true, "evict": true}, "failClosed": {"exemptNamespaces": ["db"]}});
    let expected = Installation {
        config_map: true,
        backstop: true,
        evicts: true,
        env_from: true,
        env_from_secrets: true,
        ..installation
    };
    let found = rendered(&all)?;
    assert_eq!(faults(&found, expected), none);
    assert!(
        found
            .iter()
            .any(|object| object.to_string().contains("\"identity\",\"db\"]"))
    );
    for source in [
        json!({"source": "cert-manager"}),
        json!({"source": "secret", "secretName": "x", "ca": "-----BEGIN CERTIFICATE-----"}),
    ] {
        let found = rendered(&json!({"certificate": source}))?;
        assert_eq!(
            faults(
                &found,
                Installation {
                    own_authority: false,
                    ..installation
                }
            ),
            none,
            "{source}"
        );
    }
    Ok(())
}

#[test]
fn a_chart_that_is_used_wrongly_says_so() -> Result<()> {
    for (values, what) in [
        (json!({"replica": 3}), "replica"),
        (json!({"replicas": 0}), "/replicas"),
        (json!({"certificate": {"source": "secret"}}), "/certificate/secretName"),
        (json!({"webhook": {"extraArgs": ["v=3"]}}), "/webhook/extraArgs/0"),
        (json!({"image": {"digest": "latest"}}), "/image/digest"),
    ] {
        let finished = helm(&values)?;
        assert_ne!(finished.code, Some(0), "{values}");
        assert!(finished.stderr.contains(what), "{values}: {}", finished.stderr);
    }
    Ok(())
}
