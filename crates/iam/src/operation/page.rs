//! Pages of list calls.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use irsa_wire::{Params, Text, Validator, WireError};

use crate::error::IamError;
use crate::operation::Execution;

const MARKER: Text = Text::new(1, 320, MARKER_PATTERN);
const MARKER_PATTERN: irsa_wire::Pattern = irsa_wire::Pattern {
    text: r"[\u0020-\u00FF]+",
    matches: |text| !text.is_empty() && text.chars().all(|character| ('\u{20}'..='\u{ff}').contains(&character)),
};
const SIGNATURE_LEN: usize = 16;
const DEFAULT_SIZE: usize = 100;

/// The page that a list call asks for.
///
/// A marker is the key of the last item that was shown, signed together with the account and the list: a marker that
/// was made up, or that comes from another account or another list, is refused. The page size may differ from page to
/// page.
pub(crate) struct Page {
    after: Option<String>,
    size: usize,
    /// What the next marker is signed with.
    scope: String,
    key: hmac::Key,
}

impl Page {
    /// Checks the form of `Marker` and `MaxItems`.
    pub(crate) fn check(validator: &mut Validator, params: &Params) -> Result<usize, WireError> {
        validator.optional(params, "Marker", MARKER);
        let size = validator.integer(params, "MaxItems", 1, 1000)?;
        Ok(size.and_then(|size| usize::try_from(size).ok()).unwrap_or(DEFAULT_SIZE))
    }

    /// Reads the page. `list` names the operation, and the entity whose parts are listed.
    pub(crate) fn read(params: &Params, execution: &Execution<'_>, list: &[&str]) -> Result<Self, IamError> {
        let size = super::common::checked(|validator| Self::check(validator, params))?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, execution.kek.derive("iam markers").as_slice());
        // No part can hold a line break: names and ARNs don't.
        let scope = format!("{}\n{}", execution.caller.account, list.join("\n").to_ascii_lowercase());
        let mut page = Self {
            after: None,
            size,
            scope,
            key,
        };
        if let Some(marker) = params.get("Marker") {
            page.after = Some(
                page.open(marker)
                    .ok_or_else(|| WireError::validation("Invalid Marker."))?,
            );
        }
        Ok(page)
    }

    /// The same page with no more items than this.
    pub(crate) fn at_most(mut self, size: usize) -> Self {
        self.size = self.size.min(size);
        self
    }

    /// Takes the page out of items that come in the order of their keys; gives the next marker if more are left.
    pub(crate) fn cut<T>(&self, items: impl IntoIterator<Item = (String, T)>) -> (Vec<T>, Option<String>) {
        let mut shown = Vec::new();
        let mut last = String::new();
        for (key, item) in items {
            if self.after.as_ref().is_some_and(|after| key <= *after) {
                continue;
            }
            if shown.len() == self.size {
                return (shown, Some(self.sign(&last)));
            }
            shown.push(item);
            last = key;
        }
        (shown, None)
    }

    /// The same for items whose place in the list is their key.
    pub(crate) fn cut_counted<T>(&self, items: impl IntoIterator<Item = T>) -> (Vec<T>, Option<String>) {
        self.cut(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| (format!("{index:06}"), item)),
        )
    }

    fn signature(&self, position: &str) -> [u8; SIGNATURE_LEN] {
        let tag = hmac::sign(&self.key, format!("{}\n\n{position}", self.scope).as_bytes());
        let mut signature = [0; SIGNATURE_LEN];
        signature
            .iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        signature
    }

    fn sign(&self, position: &str) -> String {
        URL_SAFE_NO_PAD.encode([&self.signature(position), position.as_bytes()].concat())
    }

    fn open(&self, marker: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(marker).ok()?;
        let (signature, position) = bytes.split_first_chunk::<SIGNATURE_LEN>()?;
        let position = std::str::from_utf8(position).ok()?;
        constant_time::verify_slices_are_equal(signature, &self.signature(position)).ok()?;
        Some(position.to_owned())
    }
}
