//! The words that every other crate speaks: account and key identifiers, ARNs, instants.
//!
//! Pure: no IO, no clock of its own, and no panic on any input. Everything here is a newtype
//! whose constructor checks the value once ("parse, don't validate").
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

mod account;
mod arn;
mod time;
mod unique_id;

pub use account::{AccountId, AccountIdError};
pub use arn::{Arn, ArnError, REGION_PARTITIONS, partition_of_region};
pub use time::{Clock, Timestamp};
pub use unique_id::{AccessKeyId, AccessKeyIdError, IdPrefix, UniqueId};
