//! Clients in other languages: installed or built once below the target directory, from their languages' own package registries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The version of Python's client.
const KUBERNETES: &str = "kubernetes==32.0.1";
/// The version of Go's client.
const CLIENT_GO: &str = "v0.32.3";

/// Runs a command; gives its standard output, or everything it said when it failed.
pub fn output(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text + &String::from_utf8_lossy(&output.stderr))
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// The Python of a virtual environment with the client, made when it is first asked for; or why it cannot be.
pub fn python() -> &'static Result<PathBuf, String> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let home = directory("python");
        let (python, done) = (home.join("bin/python"), home.join(KUBERNETES));
        if done.exists() {
            return Ok(python);
        }
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&home);
        output(make)?;
        let mut install = Command::new(&python);
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            KUBERNETES,
        ]);
        output(install)?;
        std::fs::write(done, "").map_err(|error| error.to_string())?;
        Ok(python)
    })
}

/// Why there is no Go; `None` when there is.
pub fn missing_go() -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let look = || {
        Command::new("go")
            .arg("version")
            .output()
            .err()
            .map(|error| format!("go: {error}"))
    };
    MISSING.get_or_init(look).clone()
}

/// The executable of a Go program, built when its text is new.
pub fn go(name: &str, program: &str) -> Result<PathBuf, String> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let home = directory("go").join(name);
    let (source, executable) = (home.join("main.go"), home.join(name));
    if executable.exists() && std::fs::read_to_string(&source).is_ok_and(|there| there == program) {
        return Ok(executable);
    }
    let _ = std::fs::remove_file(&executable);
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    std::fs::write(&source, program).map_err(|error| error.to_string())?;
    let require = |module: &str| format!("\tk8s.io/{module} {CLIENT_GO}\n");
    let modules: String = ["api", "apimachinery", "client-go"].map(require).concat();
    let module = format!("module {name}\n\ngo 1.23.0\n\nrequire (\n{modules})\n");
    std::fs::write(home.join("go.mod"), module).map_err(|error| error.to_string())?;
    for arguments in [["mod", "tidy"].as_slice(), &["build", "-o", name, "."]] {
        let mut command = Command::new("go");
        command
            .current_dir(&home)
            .args(arguments)
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=mod");
        output(command)?;
    }
    Ok(executable)
}
