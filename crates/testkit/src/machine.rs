//! What this machine has and reaches.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `Ok` when an address (`name:port`) takes connections.
pub fn reached(address: &str) -> Result<(), String> {
    let mut addresses = address
        .to_socket_addrs()
        .map_err(|error| format!("{address}: {error}"))?;
    let within = Duration::from_secs(5);
    if addresses.any(|address| TcpStream::connect_timeout(&address, within).is_ok()) {
        Ok(())
    } else {
        Err(format!("{address} is out of reach"))
    }
}

/// `Ok` when a program is on the PATH; `how` says how to install it.
pub fn program(name: &str, how: &str) -> Result<(), String> {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join(name).is_file());
    if found {
        Ok(())
    } else {
        Err(format!("{name} is not installed ({how})"))
    }
}

/// The target directory of the running test program: what is installed for tests is kept there.
pub fn target_directory() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    // target/<profile>/deps/<program>
    program.ancestors().nth(3).unwrap_or(Path::new("target")).to_path_buf()
}

/// The version of helm that is built.
const HELM: &str = "v3.19.5";

/// helm of the PATH, or built below the target directory when `STOKE_BUILD_CLIENTS` asks for that: it takes minutes.
pub fn helm() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join("helm"))
        .find(|file| file.is_file());
    let home = target_directory().join("tmp/helm");
    let built = home.join("helm");
    if let Some(found) = found.or_else(|| built.is_file().then(|| built.clone())) {
        return Ok(found);
    }
    if std::env::var_os("STOKE_BUILD_CLIENTS").is_none() {
        return Err("helm is not installed; STOKE_BUILD_CLIENTS=1 builds it".to_owned());
    }
    let package = format!("helm.sh/helm/v3/cmd/helm@{HELM}");
    let made = std::process::Command::new("go")
        .args(["install", &package])
        .env("GOBIN", &home)
        .output()
        .map_err(|error| format!("go: {error}"))?;
    match made.status.success() {
        true => Ok(built),
        false => Err(format!(
            "helm cannot be built: {}",
            String::from_utf8_lossy(&made.stderr)
        )),
    }
}
