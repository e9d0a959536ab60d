//! What S3's own protocol offers to those who may do less than they want.

mod bodies;
mod cors;
mod keys;
mod objects;
mod sessions;
mod strangers;
mod uploads;
