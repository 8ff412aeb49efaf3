//! `cargo xtask bench`: the benches, after a description of the machine that their numbers hold for; with `--page` their
//! tables go to docs/BENCHMARKS.md.

mod page;

use std::ffi::OsString;
use std::path::{Path, absolute};

use crate::run::{self, Result, cargo};

/// Runs the named bench, or all of them.
pub(crate) fn task(args: &mut lexopt::Parser) -> Result<()> {
    let Request {
        name,
        for_page,
        passed,
    } = read(args)?;
    println!("{}", machine());
    if for_page {
        let name = name.as_ref().map(|name| name.to_string_lossy());
        return page::write(name.as_deref(), &passed, &machine());
    }
    let mut bench = cargo("bench --locked -p ringdb-benches");
    match &name {
        Some(name) => bench.arg("--bench").arg(name),
        None => bench.arg("--benches"),
    };
    run::run(bench.arg("--").args(passed))
}

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    name: Option<OsString>,
    /// Whether what comes out goes to the page.
    for_page: bool,
    /// What the bench is told.
    passed: Vec<OsString>,
}

fn read(args: &mut lexopt::Parser) -> Result<Request> {
    let mut request = Request::default();
    loop {
        // What follows `--` goes to the bench as it is.
        if let Some(mut raw) = args.try_raw_args()
            && raw.next_if(|next| next == "--").is_some()
        {
            request.passed.extend(raw);
            break;
        }
        match args.next()? {
            Some(lexopt::Arg::Value(value)) if request.name.is_none() => request.name = Some(value),
            Some(lexopt::Arg::Long("page")) => request.for_page = true,
            Some(lexopt::Arg::Long("peers")) => request.passed.push("--peers".into()),
            Some(lexopt::Arg::Long("data")) => {
                let folder = args.value()?;
                // Cargo runs a bench in the folder of its package.
                let folder = absolute(Path::new(&folder))?;
                request.passed.extend(["--data".into(), folder.into()]);
            }
            Some(arg) => return Err(arg.unexpected().into()),
            None => break,
        }
    }
    // Criterion would not know what to do with it. The page keeps it from the benches that are Criterion's.
    let has_cases = match &request.name {
        Some(name) => ["index", "lowdim", "verbs"]
            .iter()
            .any(|known| name == known),
        None => request.for_page,
    };
    let is_for_cases = |arg: &OsString| arg == "--peers" || arg == "--data";
    if !has_cases && request.passed.iter().any(is_for_cases) {
        return Err("--peers and --data go with the benches `index`, `lowdim` and `verbs`".into());
    }
    Ok(request)
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

    fn check_arguments(args: &[&str], expected: Option<(Option<&str>, &[&str])>) {
        let found = read(&mut lexopt::Parser::from_args(args));
        let expected = expected.map(|(name, passed)| Request {
            name: name.map(OsString::from),
            for_page: args.contains(&"--page"),
            passed: passed.iter().map(OsString::from).collect(),
        });
        assert_eq!(found.ok(), expected, "{args:?}");
    }

    #[test]
    fn arguments_go_where_they_belong() {
        check_arguments(&[], Some((None, &[])));
        check_arguments(&["--", "--a", "b"], Some((None, &["--a", "b"])));
        check_arguments(&["scan", "--", "--a"], Some((Some("scan"), &["--a"])));
        check_arguments(
            &["index", "--peers", "--", "--scale", "1"],
            Some((Some("index"), &["--peers", "--scale", "1"])),
        );
        check_arguments(&["lowdim", "--peers"], Some((Some("lowdim"), &["--peers"])));
        check_arguments(&["--page"], Some((None, &[])));
        check_arguments(&["scan", "--page"], Some((Some("scan"), &[])));
        check_arguments(&["--page", "--peers"], Some((None, &["--peers"])));
        check_arguments(&["scan", "--page", "--peers"], None);
        check_arguments(&["scan", "--peers"], None);
        check_arguments(&["--peers"], None);
        check_arguments(&["index", "--data"], None);
        check_arguments(&["index", "other"], None);
        check_arguments(&["index", "--scale"], None);
        let here = absolute("words").expect("the working folder has a path");
        let here = here.to_str().expect("its path is text");
        check_arguments(
            &["index", "--data", "words"],
            Some((Some("index"), &["--data", here])),
        );
    }

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
