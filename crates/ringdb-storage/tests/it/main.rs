//! The storage layer through its public face: payloads, segments, damage.

mod damage;
mod derived;
mod foreign_manifest;
#[cfg(target_os = "linux")]
mod full_disk;
mod leftovers;
mod misfits;
mod nothing_salvaged;
mod payloads;
mod later;
mod readers;
mod rederived;
mod rotten;
mod ruins;
mod salvage;
mod salvaged_payloads;
mod segments;
mod support;
mod verified_payloads;
mod verify;
mod writers;
