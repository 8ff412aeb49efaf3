//! `cargo xtask bench`: the Criterion benches, after a description of the machine that their numbers hold for.

use std::ffi::OsString;

use crate::run::{self, Result, cargo};

/// Runs the named bench, or all of them.
pub(crate) fn task(args: &mut lexopt::Parser) -> Result<()> {
    let (mut name, mut rest) = (None, Vec::<OsString>::new());
    loop {
        // What follows `--` goes to Criterion as it is.
        if let Some(mut raw) = args.try_raw_args()
            && raw.next_if(|next| next == "--").is_some()
        {
            rest.extend(raw);
            break;
        }
        match args.next()? {
            Some(lexopt::Arg::Value(value)) if name.is_none() => name = Some(value),
            Some(arg) => return Err(arg.unexpected().into()),
            None => break,
        }
    }
    println!("{}", machine());
    let mut bench = cargo("bench --locked -p ringdb-benches");
    match &name {
        Some(name) => bench.arg("--bench").arg(name),
        None => bench.arg("--benches"),
    };
    run::run(bench.arg("--").args(rest))
}

/// Processor, memory and kernel, as far as the system tells.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    describe(
        &read("/proc/cpuinfo"),
        &read("/proc/meminfo"),
        &read("/proc/sys/kernel/osrelease"),
    )
}

fn describe(cpus: &str, memory: &str, kernel: &str) -> String {
    let model = field(cpus, "model name").unwrap_or("unknown processor");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let kib: u64 = field(memory, "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(0);
    let kernel = if kernel.trim().is_empty() {
        std::env::consts::OS
    } else {
        kernel.trim()
    };
    format!(
        "{model}, {threads} hardware threads, {} MiB of memory, {kernel}",
        kib / 1024
    )
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(key, value)| (key.trim(), value.trim()))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_described_in_one_line() {
        let text = describe(
            "processor\t: 0\nmodel name\t: Fast One\nprocessor\t: 1\nmodel name\t: Fast One\n",
            "MemTotal:        4194304 kB\nMemFree: 1 kB\n",
            "6.1.0\n",
        );
        assert!(text.starts_with("Fast One, "), "{text}");
        assert!(
            text.ends_with(" hardware threads, 4096 MiB of memory, 6.1.0"),
            "{text}"
        );
    }

    #[test]
    fn a_silent_system_is_described_too() {
        assert!(describe("", "", "").starts_with("unknown processor, "));
    }
}
