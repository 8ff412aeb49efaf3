//! The storage layer through its public face: payloads, segments, damage.

mod damage;
mod derived;
#[cfg(target_os = "linux")]
mod full_disk;
mod payloads;
mod readers;
mod ruins;
mod salvage;
mod salvaged_payloads;
mod segments;
mod support;
mod verify;
mod writers;
