//! Any bytes as a payload of a recursive type.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringdb_fuzz_bodies::decode(data);
});
