//! Policies of roles: inline, attached, and the permissions boundary.

use crate::operation::holder;
use crate::operation::{Operation, change, read};
use crate::record::RoleRecord as Role;

pub(crate) const OPERATIONS: &[Operation] = &[
    change!(
        "PutRolePolicy",
        holder::put_policy_targets::<Role>,
        holder::put_policy::<Role>
    ),
    read!(
        "GetRolePolicy",
        holder::get_policy_targets::<Role>,
        holder::get_policy::<Role>
    ),
    read!(
        "ListRolePolicies",
        holder::named_list::<Role>,
        holder::list_policies::<Role>
    ),
    change!(
        "DeleteRolePolicy",
        holder::delete_policy_targets::<Role>,
        holder::delete_policy::<Role>
    ),
    change!(
        "AttachRolePolicy",
        holder::attachment_targets::<Role>,
        holder::attach_policy::<Role>
    ),
    change!(
        "DetachRolePolicy",
        holder::attachment_targets::<Role>,
        holder::detach_policy::<Role>
    ),
    read!(
        "ListAttachedRolePolicies",
        holder::list_attached_targets::<Role>,
        holder::list_attached::<Role>
    ),
    change!(
        "PutRolePermissionsBoundary",
        holder::put_boundary_targets::<Role>,
        holder::put_boundary::<Role>
    ),
    change!(
        "DeleteRolePermissionsBoundary",
        holder::delete_boundary_targets::<Role>,
        holder::delete_boundary::<Role>
    ),
];
