//! The journal from outside: tampering, crashes, finding events.

mod crash;
mod finding;
mod index;
mod retention;
mod tampering;
