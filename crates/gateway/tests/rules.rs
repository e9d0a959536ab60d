//! The program's own rules against the Service Authorization Reference, as `irsa-metadata` has it.

use irsa_gateway::RuleBook;
use irsa_metadata::Metadata;

#[test]
fn every_action_exists_and_every_resource_is_one_of_its_types() {
    let metadata = Metadata::aws();
    let book = RuleBook::built_in().unwrap();
    let (mut actions, mut resources, mut faults) = (0, 0, Vec::new());
    for service in book.all() {
        for sample in service.samples() {
            actions += 1;
            let Some(action) = metadata.action(&sample.action) else {
                faults.push(format!("{} does not exist", sample.action));
                continue;
            };
            resources += sample.resources.len();
            let accepts = |template: &String| {
                if sample.approximate {
                    action.service().resource_types().any(|known| known.overlaps(template))
                } else {
                    action
                        .resource_types()
                        .any(|accepted| accepted.resource_type().overlaps(template))
                }
            };
            if !sample.resources.is_empty() && !sample.resources.iter().any(accepts) {
                faults.push(format!("{} is not about {:?}", sample.action, sample.resources));
            }
            for key in &sample.keys {
                let known = metadata.condition_key(key);
                if !known.is_some_and(|key| action.carries(key)) {
                    faults.push(format!("{} does not carry {key}", sample.action));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(actions > 800 && resources > 500, "{actions} {resources}");
}

#[test]
fn the_services_that_teams_run_locally_are_there() {
    let book = RuleBook::built_in().unwrap();
    for name in [
        "dynamodb",
        "sqs",
        "sns",
        "secretsmanager",
        "ssm",
        "kms",
        "elasticache",
        "rds",
        "mq",
        "autoscaling",
        "route53",
        "elasticloadbalancing",
    ] {
        assert!(book.services(name).count() >= 1, "{name}");
    }
}
