//! The parameters of simulations.

use irsa_core::{AccountId, Arn};
use irsa_wire::{Params, Text, Validator, WireError, patterns};

use super::context::Entry;
use super::exclusion::Exclusion;
use super::{handling, invalid, texts};
use crate::error::IamError;
use crate::operation::common::{self, checked, member};
use crate::operation::page::Page;

/// `ActionNameType`.
const ACTION_NAME: Text = Text::new(3, 128, patterns::ANY);
/// `ResourceNameType`.
const RESOURCE_NAME: Text = Text::new(1, 2048, patterns::ANY);
/// `ResourceHandlingOptionType`.
const HANDLING: Text = Text::new(1, 64, patterns::ANY);
/// `OrganizationPolicyListType`.
const MAX_LEVELS: usize = 7;
/// What a simulation is asked.
pub(super) struct Input<'p> {
    /// `PolicySourceArn`; empty for custom policies.
    pub(super) source: &'p str,
    pub(super) documents: Vec<String>,
    pub(super) boundary: Option<String>,
    /// `OrderedOrganizationPolicyInputList`.
    pub(super) levels: Vec<Vec<String>>,
    pub(super) exclusions: Vec<Exclusion>,
    pub(super) actions: Vec<String>,
    /// `*` if none were sent.
    pub(super) resources: Vec<String>,
    pub(super) resource_policy: Option<&'p str>,
    pub(super) owner: Option<AccountId>,
    pub(super) caller_arn: Option<&'p str>,
    pub(super) entries: Vec<Entry>,
}

/// What both operations send, before its meaning is looked at.
struct Raw<'p> {
    documents: Option<Vec<String>>,
    boundaries: Vec<String>,
    actions: Vec<String>,
    resources: Vec<String>,
    resource_policy: Option<&'p str>,
    owner: Option<&'p str>,
    caller_arn: Option<&'p str>,
    entries: Vec<Params>,
    handling: Option<&'p str>,
}

impl<'p> Input<'p> {
    /// SimulateCustomPolicy's.
    pub(super) fn custom(params: &'p Params) -> Result<Self, IamError> {
        let (raw, levels) = checked(|validator| {
            let raw = Raw::read(validator, params)?;
            if raw.documents.is_none() {
                validator.missing("policyInputList");
            }
            Ok((raw, levels(validator, params)?))
        })?;
        let mut input = Self::of(raw, "")?;
        input.levels = levels;
        Ok(input)
    }

    /// SimulatePrincipalPolicy's.
    pub(super) fn principal(params: &'p Params) -> Result<Self, IamError> {
        let (source, raw, exclusions) = checked(|validator| {
            Ok((
                validator.required(params, "PolicySourceArn", common::ARN),
                Raw::read(validator, params)?,
                Exclusion::elements(validator, params)?,
            ))
        })?;
        let mut input = Self::of(raw, source)?;
        input.exclusions = exclusions.iter().map(Exclusion::read).collect::<Result<_, _>>()?;
        Ok(input)
    }

    fn of(raw: Raw<'p>, source: &'p str) -> Result<Self, IamError> {
        if let Some(action) = raw.actions.iter().find(|action| !action.contains(':')) {
            return invalid(format!(
                "An action names its service, such as iam:CreateUser; {action} does not."
            ));
        }
        check_resources(&raw.resources)?;
        if let Some(option) = raw.handling {
            handling::check(option, &raw.resources)?;
        }
        let [boundary] = match raw.boundaries.len() {
            0 => [None],
            1 => [raw.boundaries.into_iter().next()],
            _ => return invalid("Only one permissions boundary policy can be simulated."),
        };
        let owner = raw.owner.map(owner).transpose()?;
        Ok(Self {
            source,
            documents: raw.documents.unwrap_or_default(),
            boundary,
            levels: Vec::new(),
            exclusions: Vec::new(),
            actions: raw.actions,
            resources: if raw.resources.is_empty() {
                vec!["*".to_owned()]
            } else {
                raw.resources
            },
            resource_policy: raw.resource_policy,
            owner,
            caller_arn: raw.caller_arn,
            entries: Entry::read(&raw.entries)?,
        })
    }

    /// Whether resources were named.
    pub(super) fn names_resources(&self) -> bool {
        self.resources.iter().any(|resource| resource != "*")
    }
}

impl<'p> Raw<'p> {
    fn read(validator: &mut Validator, params: &'p Params) -> Result<Self, WireError> {
        Page::check(validator, params)?;
        let actions = common::texts(validator, params, "ActionNames", ACTION_NAME)?;
        if actions.is_none() {
            validator.missing("actionNames");
        }
        let actions = actions.unwrap_or_default();
        let entries = params.list("ContextEntries")?.unwrap_or_default();
        Entry::check(validator, &entries);
        Ok(Self {
            documents: texts(validator, params, "PolicyInputList")?,
            boundaries: texts(validator, params, "PermissionsBoundaryPolicyInputList")?.unwrap_or_default(),
            actions,
            resources: common::texts(validator, params, "ResourceArns", RESOURCE_NAME)?.unwrap_or_default(),
            resource_policy: validator.optional(params, "ResourcePolicy", common::DOCUMENT),
            owner: validator.optional(params, "ResourceOwner", RESOURCE_NAME),
            caller_arn: validator.optional(params, "CallerArn", RESOURCE_NAME),
            entries,
            handling: validator.optional(params, "ResourceHandlingOption", HANDLING),
        })
    }
}

/// GetContextKeysForCustomPolicy's documents.
pub(super) fn documents(params: &Params) -> Result<Vec<String>, IamError> {
    checked(|validator| {
        let documents = texts(validator, params, "PolicyInputList")?;
        if documents.is_none() {
            validator.missing("policyInputList");
        }
        Ok(documents.unwrap_or_default())
    })
}

/// GetContextKeysForPrincipalPolicy's parameters.
pub(super) fn source_and_documents(params: &Params) -> Result<(&str, Vec<String>), IamError> {
    checked(|validator| {
        Ok((
            validator.required(params, "PolicySourceArn", common::ARN),
            texts(validator, params, "PolicyInputList")?.unwrap_or_default(),
        ))
    })
}

/// `*` stands alone, and everything else has six fields.
fn check_resources(resources: &[String]) -> Result<(), IamError> {
    let is_all = |resource: &&String| *resource == "*";
    if resources.len() > 1 && resources.iter().any(|resource| is_all(&resource)) {
        return invalid("you cannot include both * and individual resources in the resource list for a simulation.");
    }
    let is_arn = |resource: &str| {
        let fields: Vec<&str> = resource.splitn(6, ':').collect();
        matches!(fields.as_slice(), ["arn", partition, service, _, _, rest]
            if !partition.is_empty() && !service.is_empty() && !rest.is_empty())
    };
    match resources.iter().find(|resource| !is_all(resource) && !is_arn(resource)) {
        Some(resource) => invalid(format!("ResourceNames are not in a valid ARN format: {resource}.")),
        None => Ok(()),
    }
}

fn owner(text: &str) -> Result<AccountId, IamError> {
    let account = text
        .parse::<Arn>()
        .ok()
        .filter(|arn| arn.service() == "iam" && arn.region().is_empty() && arn.resource() == "root")
        .and_then(|arn| arn.account_id());
    match account {
        Some(account) => Ok(account),
        None => invalid(format!("'{text}' is not a valid as a Resource Owner.")),
    }
}

fn levels(validator: &mut Validator, params: &Params) -> Result<Vec<Vec<String>>, WireError> {
    const NAME: &str = "OrderedOrganizationPolicyInputList";
    let levels = params.list(NAME)?.unwrap_or_default();
    validator.count(&member(NAME), levels.len(), 0, MAX_LEVELS);
    let policies = |level: &Params| Ok(texts(validator, level, "ServiceControlPolicyInputList")?.unwrap_or_default());
    levels.iter().map(policies).collect()
}
