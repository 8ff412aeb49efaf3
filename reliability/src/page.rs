//! The table of results, and docs/RELIABILITY.md, which a long run writes anew but for one section.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::campaign::{Outcome, Plan, Result};
use crate::needs::Missing;
use crate::verdict::grouped;

/// What came of a campaign, or why it was left out.
pub(crate) type Row = (&'static str, std::result::Result<Outcome, Missing>);

/// Between these lines the page is written by hand.
const BY_HAND: [&str; 2] = ["<!-- by hand: begin -->", "<!-- by hand: end -->"];

const NOT_COVERED: &str = "\
- `Verify::Never`, which asks for answers without a look at the checksums.
- Files that are cut or edited while they are mapped. docs/FORMAT.md names the contract; `Access::Read`
  copies instead.
- Damage made on purpose: checksums are CRC-32, and whoever can write can make them right again. Of
  damage by chance that reaches over several bytes, one CRC-32 misses one case in 2^32.
- Several files damaged at once, but for those of another database or generation.
- On ext4 the sync of a file makes names durable as well, so a directory that is not synced does not show
  in `power-cut`; in `crash` it does.
- Disks that say a sync is done when it is not, and disks that change what was durable. The simulated disk
  keeps what was synced; the file below the real file system loses nothing that ext4 handed to it.
- File systems other than those of this run: ext4 where the power is cut, and whatever holds the system's
  temporary files, often tmpfs, for the rest. The simulated disk stands for all others as far as its
  rules go; they are in `crates/ringdb-storage/src/disk/sim`.
- Systems other than Linux.
- A lone payload store: its pair of files is tested by the storage crate, not by these campaigns.
- Two faults at the same time, and writers at work in one directory at the same time.
- Damage to memory, and defects of the processor.
";

/// The rows of the table, as they are shown at the end of every run.
pub(crate) fn table(rows: &[Row]) -> Result<String> {
    let mut text = String::from(
        "| campaign | target | done | wrong | missing | panics | hangs | losses | other | seconds |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (name, row) in rows {
        let outcome = match row {
            Ok(outcome) => outcome,
            Err(missing) => {
                writeln!(text, "| {name} | not run: {missing} | 0 | | | | | | | |")?;
                continue;
            }
        };
        let counts = &outcome.counts;
        let numbers = [
            outcome.target,
            counts.done,
            counts.wrong,
            counts.missing,
            counts.panics,
            // One would have ended the run.
            0,
            counts.losses,
            counts.other,
        ];
        let numbers = numbers.map(grouped).join(" | ");
        let seconds = outcome.took.as_secs_f64();
        writeln!(text, "| {name} | {numbers} | {seconds:.1} |")?;
    }
    Ok(text)
}

/// Writes the page of a long run.
pub(crate) fn write(rows: &[Row], plan: Plan, minutes: u64) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("docs").join("RELIABILITY.md");
    let old = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        old => old.unwrap_or_default(),
    };
    let facts = Facts::gather(&root);
    let page = page(rows, plan, minutes, &facts, by_hand(&old))?;
    std::fs::write(&path, page)?;
    Ok(path)
}

fn page(rows: &[Row], plan: Plan, minutes: u64, facts: &Facts, found: &str) -> Result<String> {
    let Facts {
        commit,
        date,
        processor,
        kernel,
        rustc,
    } = facts;
    let mut text = format!(
        "# Reliability\n\n\
         Databases are damaged, their writers killed, cut off and refused, and what is found afterwards is\n\
         held to what was put in. `cargo xtask reliability --long` ran what follows and wrote this page;\n\
         a short form of it runs with every change.\n\n\
         | | |\n|---|---|\n\
         | commit | {commit} |\n| date | {date} |\n| seed | {} |\n| time given | {minutes} minutes |\n\
         | processor | {processor} |\n| kernel | {kernel} |\n| compiler | {rustc} |\n\n\
         ## Results\n\n{}\n",
        plan.seed,
        table(rows)?
    );
    text.push_str(COLUMNS);
    text.push_str("\nWhat the cases came to:\n\n");
    for (name, row) in rows {
        if let Ok(outcome) = row {
            writeln!(text, "- {name}: {}", outcome.counts)?;
        }
    }
    let [begin, end] = BY_HAND;
    write!(
        text,
        "\n{CAMPAIGNS}\n## Found and fixed\n\n{begin}\n{found}\n{end}\n\n## Not covered\n\n{NOT_COVERED}"
    )?;
    Ok(text)
}

const COLUMNS: &str = "\
Wrong: an answer that is neither right nor an error. Missing: one that lacks something. Hangs: longer than
20 seconds (power-cut: 120); the first would have ended the run. Losses: a database that had been there, or
was acknowledged, and was not found whole. Other: files touched or left that ought not to be, or a writer
refused without a reason.
";

const CAMPAIGNS: &str = "\
## Campaigns

Databases with codes, and boxes where dims are few, are among those of every campaign. Where rows are searched,
bounds of rings are distances of rows, and some rows are decided by boxes, some by prefixes, some by codes, some by
fine codes and some by their coordinates, so that a wrong code or box would be a wrong answer.

- **damage**: every flipped bit and every cut of every file of small databases of each kind, and a sample of
  those of larger ones; a byte more, pieces swapped, blanked, a file gone or something else in its place,
  files of other generations and databases, in every mixture. Each is opened in four ways (`Verify::Open`
  and `Verify::Lazy`, `Access::Map` and `Access::Read`) and asked everything. An error, or the same
  answers. One mutant in 16 is given to a writer as well, and so is every damaged LOCK.
- **crash**: the power is cut on a simulated disk after any operation of a writer, or while codes are made
  anew; all that was not durable is lost, or none of it, or random parts down to sectors. The old database or
  the new, whole, and the new one from the moment it is durable; the next writer goes on and clears up.
- **recovery**: and cut again during that next writer.
- **power-cut**: ext4, shut down at random moments under a writer.
- **kill**: a writing process, killed at random moments.
- **faults**: each call to the file system fails, once or from then on, with each of seven errors, and each
  write is done by half; on real and simulated disks. The error comes back or the call truly succeeds.
";

/// The part of an old page that is written by hand.
fn by_hand(old: &str) -> &str {
    let [begin, end] = BY_HAND;
    let kept = old
        .split_once(begin)
        .and_then(|(_, rest)| rest.split_once(end));
    kept.map_or("Nothing yet.", |(kept, _)| kept.trim())
}

/// What a run depends on beyond its seed.
struct Facts {
    commit: String,
    date: String,
    processor: String,
    kernel: String,
    rustc: String,
}

impl Facts {
    fn gather(root: &Path) -> Self {
        let git = |args: &str| output(Command::new("git").current_dir(root).args(args.split(' ')));
        let changed = match git("status --porcelain --untracked-files=no").as_deref() {
            Some("") => "",
            _ => ", with changes",
        };
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == "model name").then(|| value.trim().to_owned())
        });
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let known = |fact: Option<String>| fact.unwrap_or_else(|| "unknown".to_owned());
        Self {
            commit: format!("{}{changed}", known(git("rev-parse HEAD"))),
            date: known(output(Command::new("date").args(["-u", "+%F"]))),
            processor: format!("{}, {threads} hardware threads", known(model)),
            kernel: known(output(Command::new("uname").arg("-sr"))),
            rustc: known(output(Command::new("rustc").arg("--version"))),
        }
    }
}

/// What a command prints, if it ends well.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::verdict::Counts;

    #[test]
    fn what_is_written_by_hand_stays() {
        let plan = Plan {
            seed: 5,
            is_long: true,
            deadline: None,
            only_case: None,
        };
        let mut counts = Counts::default();
        counts.add(&Ok("the same"));
        let outcome = Outcome {
            name: "damage",
            target: 1_000_000,
            counts,
            took: Duration::from_millis(1250),
        };
        let missing = Missing::new("root", "nobody");
        let rows = [("damage", Ok(outcome)), ("power-cut", Err(missing))];
        let facts = Facts::gather(Path::new("."));
        let first = page(&rows, plan, 60, &facts, by_hand("")).unwrap();
        assert!(
            first.contains("| damage | 1 000 000 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 1.2 |\n"),
            "{first}"
        );
        assert!(
            first.contains("| power-cut | not run: needs root: nobody | 0 |"),
            "{first}"
        );
        assert!(first.contains("- damage: 1 the same\n"), "{first}");
        assert!(first.contains("Nothing yet."), "{first}");
        let edited = first.replace("Nothing yet.", "- A bug.\n- Another.");
        let second = page(&rows, plan, 60, &facts, by_hand(&edited)).unwrap();
        assert_eq!(second, edited);
    }
}
