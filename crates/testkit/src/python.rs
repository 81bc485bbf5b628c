//! Python environments of tests, in the target directory.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::target_directory;

/// A virtual environment with these packages: its Python. Made once for each list of packages.
pub fn environment(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let directory = target_directory().join("tmp").join(name);
    let python = directory.join("bin/python");
    let done = directory.join("done");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    let mut venv = Command::new("python3");
    outcome(
        "python3 -m venv",
        venv.args(["-m", "venv", "--clear"]).arg(&directory).output(),
    )?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "-q", "--disable-pip-version-check"])
        .args(packages);
    outcome("pip install", install.output())?;
    std::fs::write(&done, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}

/// The last line of what a command that failed wrote.
fn outcome(command: &str, output: std::io::Result<Output>) -> Result<(), String> {
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            Err(format!("{command}: {last}"))
        }
        Err(error) => Err(format!("{command}: {error}")),
    }
}
