//! Policies of users: inline, attached, and the permissions boundary.

use crate::operation::holder;
use crate::operation::{Operation, change, read};
use crate::record::UserRecord as User;

pub(crate) const OPERATIONS: &[Operation] = &[
    change!(
        "PutUserPolicy",
        holder::put_policy_targets::<User>,
        holder::put_policy::<User>
    ),
    read!(
        "GetUserPolicy",
        holder::get_policy_targets::<User>,
        holder::get_policy::<User>
    ),
    read!(
        "ListUserPolicies",
        holder::named_list::<User>,
        holder::list_policies::<User>
    ),
    change!(
        "DeleteUserPolicy",
        holder::delete_policy_targets::<User>,
        holder::delete_policy::<User>
    ),
    change!(
        "AttachUserPolicy",
        holder::attachment_targets::<User>,
        holder::attach_policy::<User>
    ),
    change!(
        "DetachUserPolicy",
        holder::attachment_targets::<User>,
        holder::detach_policy::<User>
    ),
    read!(
        "ListAttachedUserPolicies",
        holder::list_attached_targets::<User>,
        holder::list_attached::<User>
    ),
    change!(
        "PutUserPermissionsBoundary",
        holder::put_boundary_targets::<User>,
        holder::put_boundary::<User>
    ),
    change!(
        "DeleteUserPermissionsBoundary",
        holder::delete_boundary_targets::<User>,
        holder::delete_boundary::<User>
    ),
];
