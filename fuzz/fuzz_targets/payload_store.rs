//! Any bytes as the two files of a payload store.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringdb_fuzz_bodies::payload_store(data);
});
