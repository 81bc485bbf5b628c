//! Acting on a running container: commands inside it, requests to it, and stopping it with its hooks.

use std::io::Read;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ExecAction, GRPCAction, HTTPGetAction, LifecycleHandler};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use stoke_sandbox::{Exec, Sandbox};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{grpc, tls};

/// As much of a command's output as is kept for a message.
const OUTPUT: u64 = 10 << 10;

/// A running container, as far as its probes and hooks are concerned.
#[derive(Clone)]
pub(crate) struct Inside {
    pub sandbox: Arc<Sandbox>,
    pub address: Ipv4Addr,
    pub environment: Vec<(String, String)>,
    pub working_directory: PathBuf,
    /// Whether its input ends when the first who typed to it leaves.
    pub stdin_once: bool,
    /// Named ports of the container.
    pub ports: Vec<(String, u16)>,
}

impl Inside {
    /// Runs a command; its output is the success or, with the exit code, the failure.
    pub(crate) async fn exec(&self, action: &ExecAction, limit: Duration) -> Result<String, String> {
        let exec = Exec {
            command: action.command.clone().unwrap_or_default(),
            environment: self.environment.clone(),
            working_directory: self.working_directory.clone(),
        };
        let (reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
        let copy = writer.try_clone().map_err(|error| error.to_string())?;
        let null = std::fs::File::open("/dev/null").map_err(|error| error.to_string())?;
        let (done, end) = oneshot::channel();
        let handle = self
            .sandbox
            .exec(exec, [null.into(), writer.into(), copy.into()], move |result| {
                let _ = done.send(result);
            })
            .map_err(|error| error.to_string())?;
        let output = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let _ = reader.take(OUTPUT).read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let Ok(end) = timeout(limit, end).await else {
            let _ = handle.signal(9);
            return Err(format!(
                "command timed out: command {:?} timed out after {limit:?}",
                action.command.clone().unwrap_or_default()
            ));
        };
        // A child that keeps the stream open must not hold up the answer.
        let output = timeout(Duration::from_millis(200), output)
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default();
        match end {
            Ok(Ok(exit)) if exit.code == Some(0) => Ok(output),
            Ok(Ok(exit)) if output.trim().is_empty() => Err(format!("command exited with {}", exit.container_code())),
            Ok(Ok(_)) => Err(output),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the container ended".to_owned()),
        }
    }

    /// Sends a GET request; a status from 200 to 399 is success.
    pub(crate) async fn http_get(&self, action: &HTTPGetAction, limit: Duration) -> Result<String, String> {
        let secure = action.scheme.as_deref() == Some("HTTPS");
        let port = self.port(&action.port)?;
        let host = action
            .host
            .clone()
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| self.address.to_string());
        let path = action
            .path
            .clone()
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| "/".to_owned());
        let slash = if path.starts_with('/') { "" } else { "/" };
        let scheme = if secure { "https" } else { "http" };
        let url = format!("{scheme}://{host}:{port}{slash}{path}");
        let request = request(action, &host, port, &format!("{slash}{path}"));
        let exchange = async {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            if secure {
                converse(tls::connect(stream, &host).await?, &request).await
            } else {
                converse(stream, &request).await
            }
        };
        match timeout(limit, exchange).await {
            Err(_) => Err(format!(
                "Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            )),
            Ok(Err(error)) => Err(format!("Get \"{url}\": {error}")),
            Ok(Ok(answer)) => match status_code(&answer) {
                Some(code) if (200..400).contains(&code) => Ok(format!("HTTP probe succeeded with statuscode: {code}")),
                Some(code) => Err(format!("HTTP probe failed with statuscode: {code}")),
                None => Err(format!("Get \"{url}\": malformed HTTP response")),
            },
        }
    }

    /// Opens a connection.
    pub(crate) async fn tcp(&self, host: Option<&str>, port: &IntOrString, limit: Duration) -> Result<String, String> {
        let port = self.port(port)?;
        let host = host
            .filter(|host| !host.is_empty())
            .map_or_else(|| self.address.to_string(), str::to_owned);
        match timeout(limit, TcpStream::connect((host.as_str(), port))).await {
            Err(_) => Err(format!("dial tcp {host}:{port}: i/o timeout")),
            Ok(Err(error)) => Err(format!("dial tcp {host}:{port}: {error}")),
            Ok(Ok(_)) => Ok(String::new()),
        }
    }

    /// Asks the gRPC health service; `SERVING` is success.
    pub(crate) async fn grpc(&self, action: &GRPCAction, limit: Duration) -> Result<String, String> {
        let port = self.port(&IntOrString::Int(action.port))?;
        let service = action.service.as_deref().unwrap_or_default();
        grpc::check((self.address, port).into(), service, limit).await
    }

    /// Runs a lifecycle hook.
    pub(crate) async fn hook(&self, hook: &LifecycleHandler, limit: Duration) -> Result<(), String> {
        if let Some(action) = &hook.exec {
            return self.exec(action, limit).await.map(|_| ());
        }
        if let Some(action) = &hook.http_get {
            return self.http_get(action, limit).await.map(|_| ());
        }
        if let Some(action) = &hook.sleep {
            tokio::time::sleep(Duration::from_secs(u64::try_from(action.seconds).unwrap_or(0)).min(limit)).await;
            return Ok(());
        }
        Err("invalid handler: no action specified".to_owned())
    }

    /// Stops the container: its hook, SIGTERM to the main process, and after `grace` (both together) SIGKILL.
    pub(crate) async fn stop(&self, pre_stop: Option<&LifecycleHandler>, grace: Duration) -> Result<(), String> {
        let deadline = tokio::time::Instant::now() + grace;
        let mut result = Ok(());
        if let Some(hook) = pre_stop.filter(|_| !grace.is_zero()) {
            result = match timeout(grace, self.hook(hook, grace)).await {
                Ok(result) => result,
                Err(_) => Err("the hook did not end within the grace period".to_owned()),
            };
        }
        if !grace.is_zero() {
            let _ = self.sandbox.signal(15);
        }
        while self.sandbox.ended().is_none() && tokio::time::Instant::now() < deadline {
            let left = deadline - tokio::time::Instant::now();
            tokio::time::sleep(left.min(Duration::from_millis(20))).await;
        }
        if self.sandbox.ended().is_none() {
            self.sandbox.kill();
        }
        result
    }

    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        match port {
            IntOrString::Int(number) => u16::try_from(*number).map_err(|_| format!("invalid port number: {number}")),
            IntOrString::String(text) => match self.ports.iter().find(|(name, _)| name == text) {
                Some((_, port)) => Ok(*port),
                None => text.parse().map_err(|_| format!("couldn't find port: {text}")),
            },
        }
    }
}

/// The request of a probe or hook.
fn request(action: &HTTPGetAction, host: &str, port: u16, path: &str) -> String {
    let mut request =
        format!("GET {path} HTTP/1.1\r\nUser-Agent: kube-probe/1.34\r\nAccept: */*\r\nConnection: close\r\n");
    let own: Vec<(&str, &str)> = action
        .http_headers
        .iter()
        .flatten()
        .map(|header| (header.name.as_str(), header.value.as_str()))
        .collect();
    if !own.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {host}:{port}\r\n"));
    }
    for (name, value) in own {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request
}

/// Sends a request; gives the beginning of the answer, at least its first line.
async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = vec![0; 512];
    let mut filled = 0;
    while filled < answer.len() && !answer[..filled].contains(&b'\n') {
        match stream.read(&mut answer[filled..]).await? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(String::from_utf8_lossy(&answer[..filled]).into_owned())
}

/// The code in `HTTP/1.1 200 OK`.
fn status_code(answer: &str) -> Option<u16> {
    let line = answer.lines().next()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_is_read() {
        assert_eq!(status_code("HTTP/1.1 503 Service Unavailable\r\nA: b"), Some(503));
        assert_eq!(status_code("SSH-2.0-OpenSSH"), None);
        assert_eq!(status_code(""), None);
    }
}
