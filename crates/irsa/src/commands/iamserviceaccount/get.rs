//! `get iamserviceaccount`.

use std::process::ExitCode;

use irsa_provision::Scope;
use irsa_reconcile::list::{Listed, list};
use irsa_reconcile::render;
use serde_json::Value;

use super::asked::Asked;
use super::shown::Progress;
use super::world::{Waiting, Wanted, World};
use crate::cli::iamserviceaccount::{Access, Form};
use crate::output;
use crate::table::Table;

/// What is to be listed.
pub(super) struct Listing {
    pub(super) asked: Vec<Asked>,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) role_only: bool,
    pub(super) print: Form,
    pub(super) access: Access,
}

impl Listing {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let waiting = Waiting::default();
        match tokio::time::timeout(self.access.timeout, self.list(&waiting)).await {
            Ok(done) => done,
            Err(_) => Err(crate::failure::Failure::new(format!(
                "it took longer than --timeout={}{}",
                self.access.shown_timeout(),
                waiting.shown()
            ))
            .into()),
        }
    }

    async fn list(&self, waiting: &Waiting) -> anyhow::Result<ExitCode> {
        let progress = Progress::new(self.access.verbose >= 3);
        let scope = Scope {
            roles: true,
            kubernetes: false,
        };
        let wanted = Wanted {
            asked: &self.asked,
            access: &self.access,
            kubernetes: false,
            register: None,
            approve: false,
            waiting,
        };
        let world = World::reach(&wanted).await?;
        let state = world.read(scope, &|event| progress.on(event)).await;
        let mut actual = state?.actual;
        if !self.role_only {
            // The roles say most of it; what Kubernetes has beside is worth a moment.
            match world.service_accounts(&self.asked, &self.access).await {
                Ok(clusters) => actual.clusters = clusters,
                Err(error) if self.access.verbose >= 2 => {
                    output::warning(format_args!(
                        "only roles are listed, not what Kubernetes has: {}",
                        crate::failure::line(&error)
                    ));
                }
                Err(_) => {}
            }
        }
        progress.end();
        let mut all: Vec<(String, Vec<Listed>)> = Vec::new();
        for (index, cluster) in world.clusters.iter().enumerate() {
            let mut listed = list(cluster, index, &actual);
            listed.retain(|one| {
                self.namespace
                    .as_ref()
                    .is_none_or(|namespace| one.name.namespace == *namespace)
            });
            listed.retain(|one| self.name.as_ref().is_none_or(|name| one.name.name == *name));
            all.push((world.labels.get(index).cloned().unwrap_or_default(), listed));
        }
        output::data(text(self.print, &all).trim_end_matches('\n'));
        Ok(ExitCode::SUCCESS)
    }
}

/// As eksctl prints it; of several clusters with the cluster beside.
fn text(form: Form, all: &[(String, Vec<Listed>)]) -> String {
    if let [(_, listed)] = all {
        return match form {
            Form::Table => render::list_table(listed),
            Form::Json => render::list_json(listed),
            Form::Yaml => render::list_yaml(listed),
        };
    }
    if form == Form::Table {
        if all.iter().all(|(_, listed)| listed.is_empty()) {
            return render::NONE_FOUND.to_owned();
        }
        let mut table = Table::new(&["CLUSTER", "NAMESPACE", "NAME", "ROLE ARN"]);
        for (cluster, listed) in all {
            for one in listed {
                table.row(&[cluster, &one.name.namespace, &one.name.name, &one.role_arn]);
            }
        }
        return table.to_string();
    }
    let mut elements: Vec<Value> = Vec::new();
    for (cluster, listed) in all {
        let listed: Vec<Value> = serde_json::from_str(&render::list_json(listed)).unwrap_or_default();
        elements.extend(listed.into_iter().map(|mut one| {
            one["cluster"] = cluster.as_str().into();
            one
        }));
    }
    match form {
        Form::Yaml => crate::yaml::text(&elements.into()),
        Form::Json | Form::Table => format!("{:#}", Value::from(elements)),
    }
}
