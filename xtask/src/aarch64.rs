//! `cargo xtask aarch64`: the index's tests for 64-bit Arm, under qemu's emulation of a processor.
//!
//! The only task that needs a Debian system: its compiler comes with a standard library for the other architecture as
//! an ordinary package, signed like all others. It is meant for whoever changes a kernel and is no part of the gate.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::{self, Result, cargo, target_dir};

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// What has to be installed: a compiler, its standard library, a linker with what it links, the C library that the tests
/// load, and the emulator.
const PACKAGES: &[&str] = &[
    "rustc-web",
    "libstd-rust-web-dev:arm64",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "libc6:arm64",
    "qemu-user-static",
];

/// Where Debian puts the compiler; rustup's, which usually comes first in `PATH`, lacks the target.
const RUSTC: &str = "/usr/bin/rustc";
const LINKER: &str = "aarch64-linux-gnu-gcc";
/// No `-L`: the C library of the cross compiler under `/usr/aarch64-linux-gnu` is an older build than `libc6:arm64`, and
/// under the emulator its first `pthread_create` never returns.
const RUNNER: &str = "qemu-aarch64-static";

/// Installs what is missing and runs the tests; the arguments go to them.
pub(crate) fn task(args: &mut lexopt::Parser) -> Result<()> {
    let args: Vec<_> = args.raw_args()?.collect();
    let missing: Vec<&str> = PACKAGES
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect();
    if !missing.is_empty() {
        install(&missing).map_err(|error| {
            format!(
                "{error}\nthe packages {} are needed, from Debian, installed by root",
                missing.join(" ")
            )
        })?;
    }
    if !Path::new(RUSTC).exists() {
        return Err(format!("rustc-web is installed and {RUSTC} is not there").into());
    }
    run::run(&mut tests(&target_dir()?, args))
}

fn tests(target_dir: &Path, args: Vec<OsString>) -> Command {
    let mut test = cargo("test --locked --no-fail-fast --lib --tests -p ringdb-index --target");
    test.arg(TARGET).arg("--").args(args);
    test.env("RUSTC", RUSTC)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER)
        // The gate sees only the warnings of the processor that it runs on.
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "-D warnings",
        )
        // A run in which nothing but the scalar kernel took part shows nothing that the gate does not.
        .env("RINGDB_REQUIRE_KERNEL", "neon")
        // Another compiler would throw away what rustup's has built.
        .env("CARGO_TARGET_DIR", target_dir.join("aarch64"));
    test
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null());
    query
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn install(packages: &[&str]) -> Result<()> {
    run::run(Command::new("dpkg").args(["--add-architecture", "arm64"]))?;
    run::run(Command::new("apt-get").args(["--quiet", "update"]))?;
    let mut install = Command::new("apt-get");
    install
        .args(["--quiet", "install", "--yes", "--no-install-recommends"])
        .args(packages);
    run::run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_for_arm_must_take_part() {
        let test = tests(Path::new("target"), Vec::new());
        let required = test
            .get_envs()
            .find(|(name, _)| *name == "RINGDB_REQUIRE_KERNEL");
        assert_eq!(required.and_then(|(_, value)| value), Some("neon".as_ref()));
    }
}
