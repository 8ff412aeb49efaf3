//! The facade as its users see it.

mod bad_input;
mod directories;
mod face;
mod queries;
