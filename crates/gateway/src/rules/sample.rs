//! The rules as samples, to compare them with tables of what exists.

use crate::resource::Kind;
use crate::rules::{Operation, Resource, ServiceRules};

/// What one resource of one operation's rule can be, with `*` for values: for comparing rules with tables of what exists.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The action.
    pub action: String,
    /// ARNs, one for each kind of resource that the value may name; none if the rule has no resource.
    pub resources: Vec<String>,
    /// Whether they only stand for those that AWS asks about.
    pub approximate: bool,
    /// The condition keys that the rules fill in by name.
    pub keys: Vec<String>,
}

impl ServiceRules {
    /// A sample of every operation that is forwarded: to compare the rules with a list of actions and resource types.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (name, operation) in self
            .operations
            .iter()
            .filter(|(_, operation)| operation.refuse.is_none())
        {
            let action = operation.action.as_deref().unwrap_or(name);
            let mut own_actions = Vec::new();
            let mut all = Vec::new();
            for resource in operation.resources.iter().flatten() {
                if let Resource::Named {
                    kinds, action: other, ..
                } = resource
                {
                    let kinds: Vec<&Kind> = kinds.iter().filter_map(|kind| self.kinds.get(kind)).collect();
                    let approximate = kinds.iter().any(|kind| kind.approximate);
                    let resources = kinds.iter().map(|kind| kind.sample()).collect();
                    all.push((other.as_deref().unwrap_or(action), resources, approximate));
                    own_actions.push(other.is_some());
                }
            }
            let delegates = operation.reader.is_some() && name.starts_with("Transact")
                || !own_actions.is_empty() && own_actions.iter().all(|own| *own);
            if all.is_empty() && !delegates {
                samples.push(self.sample_of(action, Vec::new(), false, operation));
            }
            for (action, resources, approximate) in all {
                samples.push(self.sample_of(action, resources, approximate, operation));
            }
        }
        samples
    }

    fn sample_of(&self, action: &str, resources: Vec<String>, approximate: bool, operation: &Operation) -> Sample {
        Sample {
            action: format!("{}:{action}", self.prefix),
            resources,
            approximate,
            keys: operation
                .keys
                .keys()
                .filter(|key| !key.ends_with([':', '/']))
                .cloned()
                .collect(),
        }
    }
}
