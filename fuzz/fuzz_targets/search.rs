//! Any ring query of any rows.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringdb_fuzz_bodies::search(data);
});
