//! Any bytes as a .npy file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringdb_fuzz_bodies::npy(data);
});
