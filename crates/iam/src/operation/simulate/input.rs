//! The parameters of simulations.

use irsa_core::{AccountId, Arn};
use irsa_wire::{Params, Text, Validator, WireError, patterns};

use super::context::Entry;
use super::{invalid, texts};
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
/// `PolicyExclusionsListType`.
const MAX_EXCLUSIONS: usize = 256;
/// The scenarios of EC2, which is all that the reference names.
const SCENARIOS: [&str; 6] = [
    "EC2-Classic-InstanceStore",
    "EC2-Classic-EBS",
    "EC2-VPC-InstanceStore",
    "EC2-VPC-InstanceStore-Subnet",
    "EC2-VPC-EBS",
    "EC2-VPC-EBS-Subnet",
];
/// `PolicyIdentifierPolicyType`.
const EXCLUDED_TYPES: [&str; 6] = [
    "inline",
    "aws-managed",
    "user-managed",
    "permission-boundary",
    "scp",
    "rcp",
];

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

/// A policy of the principal that is left out.
pub(super) struct Exclusion {
    pub(super) kind: String,
    pub(super) arn: Option<String>,
    /// Kind and name of the holder, and the policy's name.
    pub(super) inline: Option<(String, String, String)>,
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
                exclusions(validator, params)?,
            ))
        })?;
        let mut input = Self::of(raw, source)?;
        input.exclusions = exclusions;
        Ok(input)
    }

    fn of(raw: Raw<'p>, source: &'p str) -> Result<Self, IamError> {
        if raw.actions.iter().any(|action| !action.contains(':')) {
            return invalid("The action is invalid since it is missing names");
        }
        check_resources(&raw.resources)?;
        let is_explicit = raw.resources.iter().any(|resource| resource != "*");
        if let Some(option) = raw.handling.filter(|_| is_explicit) {
            let refused =
                |action: &&String| !SCENARIOS.contains(&option) || !action.eq_ignore_ascii_case("ec2:RunInstances");
            if let Some(action) = raw.actions.iter().find(refused) {
                return invalid(format!(
                    "Invalid input resource handling options. Action does not support resource handling options: {action}."
                ));
            }
        }
        let [boundary] = match raw.boundaries.len() {
            0 => [None],
            1 => [raw.boundaries.into_iter().next()],
            _ => return invalid("Only one permissions boundary policy can be simulated."),
        };
        let owner = raw.owner.map(owner).transpose()?;
        if raw.resource_policy.is_some() && !is_explicit {
            return invalid("Invalid Entity Arn: * does not clearly define entity type and name.");
        }
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

/// Recorded: `*` stands alone, and everything else has six fields.
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
        .filter(|arn| arn.service() == "iam" && arn.region().is_empty() && !arn.resource().is_empty())
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

fn exclusions(validator: &mut Validator, params: &Params) -> Result<Vec<Exclusion>, WireError> {
    const NAME: &str = "PolicyExclusionList";
    let elements = params.list(NAME)?.unwrap_or_default();
    validator.count(&member(NAME), elements.len(), 0, MAX_EXCLUSIONS);
    let mut exclusions = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        let place = |name: &str| format!("{}.{}.member.{name}", member(NAME), index.saturating_add(1));
        let kind = element.get("PolicyType").unwrap_or_default();
        if !EXCLUDED_TYPES.contains(&kind) {
            let words = EXCLUDED_TYPES.join(", ");
            let constraint = format!("Member must satisfy enum value set: [{words}]");
            validator.fail(&place("policyType"), kind, false, &constraint);
        }
        let arn = element.get("PolicyArn");
        let arn = arn.map(|arn| validator.text(&place("policyArn"), arn, common::ARN).to_owned());
        let part = |name: &str| element.get(&format!("InlinePolicyIdentifier.{name}"));
        let inline = match ["AttachmentType", "AttachmentName", "PolicyName"].map(part) {
            [None, None, None] => None,
            parts => {
                let [kind, holder, policy] = parts.map(Option::unwrap_or_default);
                for (name, value) in [("attachmentName", holder), ("policyName", policy)] {
                    validator.text(
                        &place(&format!("inlinePolicyIdentifier.{name}")),
                        value,
                        common::POLICY_NAME,
                    );
                }
                Some((kind.to_owned(), holder.to_owned(), policy.to_owned()))
            }
        };
        exclusions.push(Exclusion {
            kind: kind.to_owned(),
            arn,
            inline,
        });
    }
    Ok(exclusions)
}
