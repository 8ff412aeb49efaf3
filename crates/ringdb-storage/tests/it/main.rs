//! The storage layer through its public face: payloads, segments, damage.

mod damage;
mod payloads;
mod segments;
mod support;
