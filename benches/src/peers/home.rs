//! Where peers live: the program of `benches/peers` is built and the Python environment is made when the first
//! peer needs it, and both are kept.

use std::cell::OnceCell;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{PEERS, Result, Runtime};

/// Every name that a threaded library here takes its number of threads from.
const THREADS: &[&str] = &[
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// What would choose the kernels of a BLAS, or bring in modules from elsewhere.
const CLEARED: &[&str] = &[
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "PYTHONPATH",
    "PYTHONHOME",
];

/// The folder of what peers need, under the target directory.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    threads: usize,
    program: OnceCell<std::result::Result<PathBuf, String>>,
    python: OnceCell<std::result::Result<PathBuf, String>>,
}

impl Home {
    /// Peers in a folder beside this one of the target directory, each with so many threads; nothing is made yet.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(beside: &Path, threads: usize) -> Result<Self> {
        let folder = beside.with_file_name("peers");
        std::fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            threads,
            program: OnceCell::new(),
            python: OnceCell::new(),
        })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command that starts a peer, after making what it needs.
    pub(super) fn command(&self, name: &str) -> Result<Command> {
        let known = PEERS.iter().find(|(known, _)| *known == name);
        let (_, runtime) = known.ok_or_else(|| format!("there is no peer {name}"))?;
        let mut command = match runtime {
            Runtime::Rust => {
                let program = self.program.get_or_init(|| text(build(&self.folder)));
                let mut command = Command::new(program.as_ref().map_err(Clone::clone)?);
                command.arg(name);
                command
            }
            Runtime::Python(adapter) | Runtime::Tuned(adapter) => {
                let python = self.python.get_or_init(|| text(environment(&self.folder)));
                let mut command = Command::new(python.as_ref().map_err(Clone::clone)?);
                // No byte code beside the sources.
                command.arg("-B");
                command.arg(package().join("python/serve.py")).arg(adapter);
                command
            }
        };
        for name in CLEARED {
            command.env_remove(name);
        }
        for name in THREADS {
            command.env(name, self.threads.to_string());
        }
        if let (Runtime::Tuned(_), Some(kernel)) = (runtime, blas_kernel()) {
            command.env("OPENBLAS_CORETYPE", kernel);
        }
        Ok(command)
    }
}

/// What OpenBLAS calls the fastest kernel of this processor.
fn blas_kernel() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512bw") {
            return Some("SkylakeX");
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return Some("Haswell");
        }
    }
    None
}

fn text<T>(result: Result<T>) -> std::result::Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// The package of the peers.
fn package() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Builds the program as ring-db's README advises: for this very processor.
fn build(folder: &Path) -> Result<PathBuf> {
    let target = folder.join("cargo");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--locked", "--manifest-path"]);
    cargo.arg(package().join("Cargo.toml"));
    cargo
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", "-C target-cpu=native")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut cargo)?;
    let program = format!("ringdb-peers{}", std::env::consts::EXE_SUFFIX);
    Ok(target.join("release").join(program))
}

/// The interpreter of an environment that holds exactly what `requirements.txt` names.
fn environment(folder: &Path) -> Result<PathBuf> {
    let wanted = package().join("requirements.txt");
    let venv = folder.join("venv");
    // Copied there after all else, so that an environment that was left half made is made anew.
    let made = venv.join("requirements.txt");
    let python = venv.join("bin/python");
    if std::fs::read(&made).ok() == Some(std::fs::read(&wanted)?) {
        return Ok(python);
    }
    if venv.exists() {
        std::fs::remove_dir_all(&venv)?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    let mut install = Command::new(&python);
    install
        .args(pip)
        .args(["--no-deps", "--only-binary", ":all:", "--requirement"]);
    run(install.arg(&wanted))?;
    std::fs::copy(&wanted, &made)?;
    Ok(python)
}

/// Runs a command whose output belongs to nobody's answer.
fn run(command: &mut Command) -> Result<()> {
    let line: Vec<OsString> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_os_string)
        .collect();
    let line = line.join(OsStr::new(" "));
    eprintln!("{}", line.display());
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("`{}` cannot be started: {error}", line.display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", line.display()).into())
    }
}
