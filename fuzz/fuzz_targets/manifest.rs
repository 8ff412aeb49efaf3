//! Any bytes as a MANIFEST.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringdb_fuzz_bodies::manifest(data);
});
