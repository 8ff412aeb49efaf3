//! The storage layer through its public face: payloads, segments, damage.

mod damage;
#[cfg(target_os = "linux")]
mod full_disk;
mod payloads;
mod segments;
mod support;
mod writers;
