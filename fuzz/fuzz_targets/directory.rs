//! Any changes of a whole database directory.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringdb_fuzz_bodies::directory(data);
});
