//! `Action` and `NotAction`.
//!
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html>.

use super::document::Names;
use super::glob;

/// Whether the action of a request is one that the element speaks of.
pub(super) fn applies(element: &Names<String>, action: &str) -> bool {
    let listed = element.entries.iter().any(|entry| matches(entry, action));
    listed != element.negated
}

/// Service prefix and name are compared without case; `*` and `?` are wildcards.
pub(super) fn matches(entry: &str, action: &str) -> bool {
    let entry = glob::plain(&entry.to_ascii_lowercase());
    glob::matches(&entry, &glob::chars(&action.to_ascii_lowercase()))
}
