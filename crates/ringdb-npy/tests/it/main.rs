//! The reader through its public face: what it reads, what it refuses, and headers made to harm.

mod headers;
mod rows;
mod support;
