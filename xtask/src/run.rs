//! Child processes: an error always names the command and how it ended.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_metadata::MetadataCommand;

/// The result of a task; its error is a sentence for a person.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Where this workspace builds to, so that a task can keep its own artefacts beside it.
pub(crate) fn target_dir() -> Result<PathBuf> {
    target_dir_of(&mut cargo("metadata --no-deps --format-version 1"))
}

/// Asks cargo, which takes it from two variables and from several files.
fn target_dir_of(metadata: &mut Command) -> Result<PathBuf> {
    let metadata = MetadataCommand::parse(String::from_utf8(output(metadata)?)?)?;
    Ok(metadata.target_directory.into())
}

/// The cargo that started this program, with its arguments separated by blanks, in the folder of the workspace.
pub(crate) fn cargo(args: &str) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(args.split_whitespace()).current_dir(root());
    command
}

/// Runs a command whose output goes straight to the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| not_started(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(ended(command, status))
    }
}

/// Runs a command, passes its standard output on line by line and shows each line to `on_line`.
pub(crate) fn follow(command: &mut Command, on_line: impl FnMut(&str)) -> Result<()> {
    let spawned = command.stdout(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| not_started(command, &error))?;
    if let Some(output) = child.stdout.take() {
        pass_on(BufReader::new(output), std::io::stdout(), on_line)?;
    }
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(ended(command, status))
    }
}

/// Copies bytes as they are, whatever their encoding; only `on_line` sees a line without its end and as text.
fn pass_on(
    mut from: impl BufRead,
    mut to: impl Write,
    mut on_line: impl FnMut(&str),
) -> Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        on_line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(())
}

/// Runs a command and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(ended(command, output.status))
    }
}

fn not_started(command: &Command, error: &std::io::Error) -> Box<dyn Error> {
    format!("`{}` cannot be started: {error}", shown(command)).into()
}

fn ended(command: &Command, status: std::process::ExitStatus) -> Box<dyn Error> {
    format!("`{}` ended with {status}", shown(command)).into()
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_command_and_how_it_ended() {
        let mut wrong = cargo("no-such-command --flag");
        let error = run(wrong.stderr(Stdio::null()))
            .expect_err("cargo has no such command")
            .to_string();
        assert!(
            error.starts_with("`cargo no-such-command --flag` ended with "),
            "{error}"
        );
        let missing = run(&mut Command::new("no-such-program"))
            .expect_err("there is no such program")
            .to_string();
        assert!(
            missing.starts_with("`no-such-program` cannot be started: "),
            "{missing}"
        );
    }

    #[test]
    fn lines_are_passed_on_and_shown() {
        let text = b"one\r\n\ntw\xff\nlast";
        let (mut copy, mut lines) = (Vec::new(), Vec::new());
        pass_on(&text[..], &mut copy, |line| lines.push(line.to_owned()))
            .expect("memory can be read and written");
        assert_eq!(copy, text);
        assert_eq!(lines, ["one", "", "tw\u{fffd}", "last"]);
    }

    fn check_target_dir(variable: &str, value: &str, expected: &str) {
        let mut metadata = cargo("metadata --no-deps --format-version 1");
        metadata
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_BUILD_TARGET_DIR")
            .env(variable, value);
        let dir = target_dir_of(&mut metadata).expect("the manifests can be read");
        assert_eq!(dir, root().join(expected), "{variable}={value}");
    }

    #[test]
    fn the_target_directory_is_the_one_that_cargo_uses() {
        check_target_dir("CARGO_TARGET_DIR", "elsewhere", "elsewhere");
        check_target_dir("CARGO_BUILD_TARGET_DIR", "elsewhere", "elsewhere");
    }

    #[test]
    fn a_command_is_waited_for() {
        let version = output(&mut cargo("--version")).expect("cargo tells its version");
        assert!(version.starts_with(b"cargo "), "{version:?}");
    }
}
