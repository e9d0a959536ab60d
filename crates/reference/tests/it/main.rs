//! The reference against the documentation, against the engine, and against what must hold of any evaluator.

mod agreement;
mod documentation;
mod properties;
