//! Programs that tests stand beside.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use libtest_mimic::Trial;
use stoke_testkit::{Tier, trial};

/// A program of the PATH, else the Debian package to install.
pub fn found(names: &[&str], package: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places =
        std::env::split_paths(&path).flat_map(|directory| names.iter().map(move |name| directory.join(name)));
    let missing = || format!("{} is not installed: apt-get install {package}", names.join(" or "));
    places.find(|place| place.is_file()).ok_or_else(missing)
}

pub fn promtool() -> Result<PathBuf, String> {
    found(&["promtool"], "prometheus")
}

pub fn amtool() -> Result<PathBuf, String> {
    found(&["amtool"], "prometheus-alertmanager")
}

pub fn alertmanager() -> Result<PathBuf, String> {
    found(&["alertmanager", "prometheus-alertmanager"], "prometheus-alertmanager")
}

/// A test that needs a program.
pub fn with(name: &str, program: fn() -> Result<PathBuf, String>, test: fn(PathBuf)) -> Trial {
    let needs = move || program().map(drop);
    trial(name, Tier::Default, needs, move || {
        test(program()?);
        Ok(())
    })
}

/// What a program said, when it ended well.
pub fn said(command: &mut Command) -> String {
    let output = ran(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

pub fn ran(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A port of this machine that is free.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A request over HTTP: the body of the answer when it is 200.
pub fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
}
