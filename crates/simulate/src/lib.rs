//! What would happen if: requests decided under policies that the asker gives.
//!
//! * [`Simulator`] answers cases, each a line of JSON, as `irsa policy simulate --batch` hands them over.
//! * [`Caller`] is a caller named by its ARN, as people and recorded cases name it.
//! * [`decide`] is the engine's decision, and what AWS refuses whatever the policies say.
//! * [`context_keys`] lists the condition keys that a policy asks for.
//!
//! ```
//! let mut simulator = irsa_simulate::Simulator::new();
//! let mut answer = String::new();
//! simulator.answer(
//!     br#"{"id": 1, "policies": {"identity": [{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}]},
//!          "request": {"principal": "arn:aws:iam::111122223333:user/ann", "action": "s3:GetObject",
//!                      "resource": "arn:aws:s3:::bucket/key"}}"#,
//!     &mut answer,
//! );
//! assert_eq!(
//!     answer,
//!     r#"{"id":1,"decision":"Allowed","reason":"because statement 1 of identity[0], line 1, column 15 allows the s3:GetObject action"}"#
//! );
//! ```
//!
//! # What a case means
//!
//! ```text
//! {"id": …, "policies": {"identity": [DOC…], "boundary": DOC, "session": DOC, "resource": DOC,
//!                        "scp": [[DOC…]…], "rcp": [[DOC…]…], "vpce": [DOC…]},
//!  "request": {"principal": …, "action": …, "resource": …, "resourceAccount": …, "context": {…}}}
//! ```
//!
//! * An id is a string or a number and comes back letter by letter. Without one the answer's id is `null`.
//! * A member that is absent is as `null`, and as an empty list: there is no such policy. A *level* of `scp` is a list too,
//!   and an empty one allows nothing, as an organizational unit without policies would.
//! * A document is an object, or a string that holds one. It is compiled from its own source text, so that a repeated
//!   member is found and a number keeps its digits. A document that is none makes the answer an error with its place:
//!   nothing is decided under half of the policies.
//! * Members that are not known are ignored; one that stands twice makes the case an error, as either could be meant.
//! * The `resource` policy of an STS role operation on a role is its trust policy, and must allow even within an account;
//!   so must a KMS key's policy.
//! * Without a `resourceAccount`, the account that the resource's ARN names owns it; if it names none, the caller's does.
//! * Condition keys are those that the case gives, and no others. AWS would add some to a request (`aws:PrincipalArn`,
//!   `aws:CurrentTime`…); a simulation that added them could not show what a policy does in their absence, and recorded
//!   cases hold every key that there was. `aws:PrincipalArn` and `aws:userid` in turn tell who the caller is where its
//!   ARN does not: the path of a role, its `AROA…` id.
//!
//! # Documents that IAM would not take in their place
//!
//! Recorded cases and other simulators know documents that IAM refuses, but that leave no doubt about what is meant. They
//! are decided under, and the reason says what IAM would say against them:
//!
//! * `Resource` in a trust policy is compared with the role's ARN.
//! * In a policy that is attached to an identity or an account, `Principal` narrows what is allowed, and not what is denied.
//! * A statement without principals is about everyone in the policies of VPC endpoints and in resource control policies,
//!   and about nobody in other resource policies.
//! * `"Principal": "arn:…"` is as `{"AWS": "arn:…"}`.
//! * A control policy may have an empty list of statements, and matches nothing.
//! * One document may stand where a list of them is asked for, and a list of one where one is; `session` takes several,
//!   which allow as one.
//!
//! All else that the engine refuses stays refused.
//!
//! Pure: no IO, no clock, no panic on any input; the memory of a [`Simulator`] is bounded.
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

mod answer;
mod caller;
mod case;
mod compiled;
mod keys;
mod repair;
mod ruling;

pub use answer::{MAX_LINE, Simulator};
pub use caller::{Caller, CallerError};
pub use compiled::{Parsed, Place, PolicySet, parse};
pub use keys::context_keys;
pub use ruling::{Ruling, decide, is_operation, owner, reserved};
