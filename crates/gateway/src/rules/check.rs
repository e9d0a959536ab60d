//! What must hold in a whole book of rules: kinds exist, and no request can mean two services or routes.

use std::collections::{BTreeMap, HashMap};

use crate::error::RulesError;
use crate::path::Path;
use crate::route::Route;
use crate::rules::form::Source;
use crate::rules::{Protocol, Resource, RuleBook, ServiceRules, is_word};

/// Where services and operations stand in the file that is read.
#[derive(Default)]
pub(super) struct Places {
    services: HashMap<usize, (usize, BTreeMap<String, usize>)>,
}

impl Places {
    /// Notes a service by its number in the book, and its operations.
    pub(super) fn add(&mut self, number: usize, place: usize, operations: BTreeMap<String, usize>) {
        let (known_place, known) = self.services.entry(number).or_default();
        *known_place = place;
        known.extend(operations);
    }

    /// Where an operation stands; or its service, if the operation was known before the file.
    fn of(&self, number: usize, operation: &str) -> usize {
        self.services.get(&number).map_or(0, |(place, operations)| {
            operations.get(operation).copied().unwrap_or(*place)
        })
    }

    fn of_service(&self, number: usize) -> usize {
        self.services.get(&number).map_or(0, |(place, _)| *place)
    }
}

impl RuleBook {
    /// What needs the whole book: kinds exist, and no request can mean two services or routes.
    pub(super) fn check(&self, source: Source<'_>, places: &Places) -> Result<(), RulesError> {
        for (number, service) in self.services.iter().enumerate() {
            let is_rest = matches!(service.protocol, Protocol::RestJson | Protocol::RestXml);
            let routes: Vec<(&String, &Route)> = service
                .operations
                .iter()
                .filter_map(|(name, operation)| Some((name, operation.route.as_ref()?)))
                .collect();
            for (name, operation) in &service.operations {
                let at = |problem: String| source.error(places.of(number, name), problem);
                if !is_word(name) {
                    return Err(at(format!("`{name}` is no name of an operation")));
                }
                if is_rest != operation.route.is_some() {
                    return Err(at(format!(
                        "the operation `{name}` needs a `route` if its service is REST, and has none otherwise"
                    )));
                }
                for resource in operation.resources.iter().flatten() {
                    service
                        .check_resource(resource)
                        .map_err(|problem| at(format!("the operation `{name}`: {problem}")))?;
                }
                if let Some(route) = &operation.route
                    && let Some((other, _)) = routes
                        .iter()
                        .find(|(other, known)| *other != name && known.clashes(route))
                {
                    return Err(at(format!("the operations `{name}` and `{other}` have the same route")));
                }
            }
        }
        for (index, service) in self.services.iter().enumerate() {
            for (number, other) in self.services.iter().enumerate().skip(index.saturating_add(1)) {
                let both = |one: &[String], two: &[String]| one.iter().any(|word| two.contains(word));
                let is_rest =
                    |service: &ServiceRules| matches!(service.protocol, Protocol::RestJson | Protocol::RestXml);
                let clash = both(&service.signing_names, &other.signing_names)
                    && (both(&service.targets, &other.targets)
                        || both(&service.versions, &other.versions)
                        || is_rest(service) && is_rest(other));
                if clash {
                    let problem = format!("`{}` and `{}` could both mean a request", service.prefix, other.prefix);
                    return Err(source.error(places.of_service(number), problem));
                }
            }
        }
        Ok(())
    }
}

impl ServiceRules {
    fn check_resource(&self, resource: &Resource) -> Result<(), String> {
        let Resource::Named {
            kinds,
            from,
            otherwise,
            action,
            ..
        } = resource
        else {
            return Ok(());
        };
        for kind in kinds {
            let known = self
                .kinds
                .get(kind)
                .ok_or_else(|| format!("no kind of resource `{kind}` is declared"))?;
            if known.slots() != from.len() {
                return Err(format!("the kind `{kind}` takes {} values", known.slots()));
            }
        }
        if from.len() > 1 && from.iter().any(Path::is_plural) {
            return Err("lists can't be combined to one resource".to_owned());
        }
        if action.as_ref().is_some_and(|action| !is_word(action)) {
            return Err("an action stands without its prefix".to_owned());
        }
        otherwise
            .as_ref()
            .map_or(Ok(()), |resource| self.check_resource(resource))
    }
}
