//! Plans and lists as text: for people, for programs, and as eksctl writes them.

mod diff;
mod json;
mod listing;
mod tasks;

pub use diff::{Summary, text};
pub use json::value;
pub use listing::{NONE_FOUND, list_json, list_table, list_yaml};
pub use tasks::{Task, create_task, delete_task, excluded, tree, update_task};

#[cfg(test)]
mod tests;
