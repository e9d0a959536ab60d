//! A service in plain owned form: what a registration file says, and what the compact table is written from.

use crate::kinds::{AccessLevel, Width};

#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceModel {
    pub(crate) prefix: String,
    pub(crate) name: String,
    pub(crate) supports_resource_control_policies: bool,
    pub(crate) types: Vec<TypeModel>,
    pub(crate) actions: Vec<ActionModel>,
}

impl ServiceModel {
    /// How many actions it has.
    pub(crate) fn width(&self) -> Width {
        let mut width = Width::default();
        for action in &self.actions {
            width.add(action.level, 1);
        }
        width
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TypeModel {
    pub(crate) name: String,
    pub(crate) arns: Vec<String>,
    pub(crate) keys: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct ActionModel {
    pub(crate) name: String,
    pub(crate) level: AccessLevel,
    pub(crate) types: Vec<TypeUseModel>,
    pub(crate) keys: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct TypeUseModel {
    pub(crate) name: String,
    pub(crate) is_required: bool,
    pub(crate) keys: Vec<String>,
}
