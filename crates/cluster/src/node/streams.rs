//! What people do with running containers: run further commands, attach to the main process, connect to ports.
//!
//! In: which container, and which streams. Out: the streams, as the API server hands them on, or a refusal in the kubelet's words.
//! Nothing here outlives its container: the sandbox closes every stream when it ends.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use stoke_sandbox::{Exec, Exit, Sandbox};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::inside::Inside;
use crate::kubelet::{ContainerName, KubeletError, Process, Streams};

/// How long the address of a port is believed: a burst of connections asks the containers once.
const BELIEVED: Duration = Duration::from_millis(500);

/// The containers that run now, by pod. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Live(Arc<Mutex<HashMap<String, LivePod>>>);

#[derive(Default)]
struct LivePod {
    containers: HashMap<String, Inside>,
    /// Where ports were found lately. A pod has few ports; those of the last burst are kept.
    ports: HashMap<u16, (SocketAddr, Instant)>,
}

impl Live {
    /// A container runs.
    pub(crate) fn enter(&self, uid: &str, container: &str, inside: Inside) {
        let mut pods = self.lock();
        let pod = pods.entry(uid.to_owned()).or_default();
        pod.containers.insert(container.to_owned(), inside);
        pod.ports.clear();
    }

    /// A container has ended.
    pub(crate) fn leave(&self, uid: &str, container: &str) {
        let mut pods = self.lock();
        if let Some(pod) = pods.get_mut(uid) {
            pod.containers.remove(container);
            pod.ports.clear();
            if pod.containers.is_empty() {
                pods.remove(uid);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, LivePod>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, name: &ContainerName) -> Result<Inside, KubeletError> {
        let pods = self.lock();
        let found = pods.get(&name.uid).and_then(|pod| pod.containers.get(&name.container));
        found.cloned().ok_or_else(|| {
            KubeletError::internal(format!(
                "unable to upgrade connection: container not found ({:?})",
                name.container
            ))
        })
    }

    /// Runs a command. One that does not start ends at once, with the reason.
    pub(crate) async fn exec(
        &self,
        name: ContainerName,
        command: Vec<String>,
        streams: Streams,
    ) -> Result<Process, KubeletError> {
        let inside = self.find(&name)?;
        let exec = Exec {
            command,
            environment: inside.environment,
            working_directory: inside.working_directory,
        };
        let sandbox = inside.sandbox;
        if streams.tty {
            on_terminal(sandbox, exec, streams).await
        } else {
            on_pipes(&sandbox, exec, streams)
        }
        .map_err(|error| KubeletError::internal(error.to_string()))
    }

    /// Attaches to the main process.
    pub(crate) async fn attach(&self, name: ContainerName, streams: Streams) -> Result<Process, KubeletError> {
        let inside = self.find(&name)?;
        attach(inside, streams).map_err(|error| KubeletError::internal(error.to_string()))
    }

    /// Connects to a port of the pod: the network is the machine's, so it must be a process of the pod that listens there.
    pub(crate) async fn connect(&self, name: ContainerName, port: u16) -> Result<TcpStream, KubeletError> {
        let mut cause = "connect: connection refused (no process of the pod listens there)".to_owned();
        for address in self.addresses(&name, port).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Small answers must not wait for the peer's acknowledgement.
                    let _ = stream.set_nodelay(true);
                    if let Some(pod) = self.lock().get_mut(&name.uid) {
                        pod.ports.retain(|_, (_, found)| found.elapsed() < BELIEVED);
                        pod.ports.entry(port).or_insert((address, Instant::now()));
                    }
                    return Ok(stream);
                }
                Err(error) => cause = format!("connect: {error}"),
            }
        }
        Err(KubeletError::internal(format!(
            "failed to execute portforward in network namespace \"host\": failed to connect to localhost:{port} inside \
             pod {}: {cause}",
            name.uid
        )))
    }

    /// Where a port of the pod is reached.
    async fn addresses(&self, name: &ContainerName, port: u16) -> Result<Vec<SocketAddr>, KubeletError> {
        let (containers, believed): (Vec<Inside>, _) = {
            let pods = self.lock();
            let pod = pods.get(&name.uid);
            let believed = pod.and_then(|pod| pod.ports.get(&port).copied());
            let containers = pod.into_iter().flat_map(|pod| pod.containers.values());
            (containers.cloned().collect(), believed)
        };
        if let Some((address, found)) = believed
            && found.elapsed() < BELIEVED
        {
            return Ok(vec![address]);
        }
        let Some(own) = containers.first().map(|inside| inside.address) else {
            let pod = format!("{}_{}", name.pod, name.namespace);
            return Err(KubeletError::not_found(format!("pod not found ({pod:?})")));
        };
        let found = tokio::task::spawn_blocking(move || {
            let listeners = containers
                .iter()
                .filter_map(|inside| inside.sandbox.listeners(port).ok());
            listeners.flatten().map(|listener| reachable(listener, own)).collect()
        });
        found.await.map_err(|error| KubeletError::internal(error.to_string()))
    }
}

/// The address at which a listener is reached: its own, or the pod's for one that listens on all.
fn reachable(listener: SocketAddr, pod: Ipv4Addr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(pod),
        // A listener on all IPv6 addresses usually takes IPv4 too, but not always.
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// What container runtimes say of a command that does not start.
fn not_started(error: &stoke_sandbox::Error) -> String {
    match error {
        stoke_sandbox::Error::Command { .. } => format!(
            "failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start \
             container process: {error}: unknown"
        ),
        other => format!("failed to exec in container: {other}"),
    }
}

/// The end of a command.
type End = BoxFuture<'static, Result<i32, String>>;

/// The end of a command, as a future and the function that fulfils it.
fn ending() -> (End, impl FnOnce(Result<Exit, stoke_sandbox::Error>) + Send) {
    let (sender, receiver) = oneshot::channel();
    let end = receiver.map(|received| match received {
        Ok(Ok(exit)) => Ok(Exit::container_code(&exit)),
        Ok(Err(stoke_sandbox::Error::Gone)) => Ok(137),
        Ok(Err(error)) => Err(not_started(&error)),
        Err(_) => Ok(137),
    });
    // No one may be waiting any more.
    (end.boxed(), move |result| drop(sender.send(result)))
}

/// A process that never was.
fn stillborn(message: String) -> Process {
    Process {
        stdin: None,
        stdout: None,
        stderr: None,
        resize: None,
        end: Some(async { Err(message) }.boxed()),
    }
}

fn on_pipes(sandbox: &Sandbox, exec: Exec, streams: Streams) -> io::Result<Process> {
    let null = || {
        std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .map(OwnedFd::from)
    };
    let output = |wanted: bool| -> io::Result<(Option<Box<dyn AsyncRead + Send + Unpin>>, OwnedFd)> {
        if !wanted {
            return Ok((None, null()?));
        }
        let (reader, writer) = io::pipe()?;
        let reader = pipe::Receiver::from_owned_fd(reader.into())?;
        Ok((Some(Box::new(reader)), writer.into()))
    };
    let (stdin, theirs): (Option<Box<dyn AsyncWrite + Send + Unpin>>, OwnedFd) = if streams.stdin {
        let (reader, writer) = io::pipe()?;
        let writer = pipe::Sender::from_owned_fd(writer.into())?;
        (Some(Box::new(writer)), reader.into())
    } else {
        (None, null()?)
    };
    let ((stdout, out), (stderr, err)) = (output(streams.stdout)?, output(streams.stderr)?);
    let (end, ended) = ending();
    Ok(match sandbox.exec(exec, [theirs, out, err], ended) {
        Ok(_) => Process {
            stdin,
            stdout,
            stderr,
            resize: None,
            end: Some(end),
        },
        Err(error) => stillborn(not_started(&error)),
    })
}

async fn on_terminal(sandbox: Arc<Sandbox>, exec: Exec, streams: Streams) -> io::Result<Process> {
    let (end, ended) = ending();
    let started = tokio::task::spawn_blocking(move || sandbox.exec_on_terminal(exec, ended)).await?;
    let terminal = match started {
        Ok((_, terminal)) => terminal,
        Err(error) => return Ok(stillborn(not_started(&error))),
    };
    let sized = terminal.try_clone()?;
    Ok(Process {
        stdin: typing(streams.stdin.then(|| terminal.try_clone()).transpose()?)?,
        stdout: Some(Box::new(Terminal::new(terminal)?)),
        stderr: None,
        resize: Some(resizing(sized)),
        end: Some(end),
    })
}

fn attach(inside: Inside, streams: Streams) -> io::Result<Process> {
    let sandbox = inside.sandbox;
    let terminal = sandbox.has_terminal();
    type Ends = (Option<pipe::Receiver>, Option<OwnedFd>);
    let output = |wanted: bool| -> io::Result<Ends> {
        if !wanted {
            return Ok((None, None));
        }
        let (reader, writer) = io::pipe()?;
        Ok((Some(pipe::Receiver::from_owned_fd(reader.into())?), Some(writer.into())))
    };
    let ((stdout, out), (stderr, err)) = (output(streams.stdout)?, output(streams.stderr && !terminal)?);
    let input = sandbox.input();
    let sized = if terminal {
        input.as_ref().map(OwnedFd::try_clone).transpose()?
    } else {
        None
    };
    let stdin = match input.filter(|_| streams.stdin) {
        Some(file) if terminal => typing(Some(file))?,
        Some(file) => Some(Box::new(Typing {
            pipe: Some(pipe::Sender::from_owned_fd(file)?),
            closes: inside.stdin_once.then(|| Arc::clone(&sandbox)),
        }) as Box<dyn AsyncWrite + Send + Unpin>),
        None => None,
    };
    sandbox.attach(out, err).map_err(io::Error::other)?;
    Ok(Process {
        stdin,
        stdout: stdout.map(|file| Box::new(file) as Box<dyn AsyncRead + Send + Unpin>),
        stderr: stderr.map(|file| Box::new(file) as Box<dyn AsyncRead + Send + Unpin>),
        resize: sized.map(resizing),
        end: None,
    })
}

fn typing(terminal: Option<OwnedFd>) -> io::Result<Option<Box<dyn AsyncWrite + Send + Unpin>>> {
    let writer = terminal.map(Terminal::new).transpose()?;
    Ok(writer.map(|writer| Box::new(writer) as Box<dyn AsyncWrite + Send + Unpin>))
}

fn resizing(terminal: OwnedFd) -> Box<dyn Fn(u16, u16) + Send> {
    Box::new(move |rows, columns| {
        if let Err(error) = stoke_sandbox::resize(&terminal, rows, columns) {
            tracing::debug!(%error, "a terminal could not be resized");
        }
    })
}

/// The input of a main process; with `stdinOnce` it ends for good when the first who typed leaves.
struct Typing {
    pipe: Option<pipe::Sender>,
    closes: Option<Arc<Sandbox>>,
}

impl Typing {
    fn end(&mut self) {
        self.pipe = None;
        if let Some(sandbox) = self.closes.take() {
            sandbox.close_input();
        }
    }
}

impl Drop for Typing {
    fn drop(&mut self) {
        self.end();
    }
}

impl AsyncWrite for Typing {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.pipe {
            Some(pipe) => Pin::new(pipe).poll_write(context, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

/// The side of a terminal that people hold.
struct Terminal(AsyncFd<OwnedFd>);

impl Terminal {
    #[expect(
        deprecated,
        reason = "unsound only for files that change under it, which an OwnedFd does not"
    )]
    fn new(file: OwnedFd) -> io::Result<Terminal> {
        let flags = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Terminal(AsyncFd::new(file)?))
    }
}

impl AsyncRead for Terminal {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let read = guard.try_io(|file| Ok(rustix::io::read(file.get_ref(), buffer.initialize_unfilled())?));
            match read {
                Ok(Ok(count)) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                // This is how a terminal whose programs have ended says so.
                Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(context))?;
            match guard.try_io(|file| Ok(rustix::io::write(file.get_ref(), bytes)?)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_at_the_pods() {
        let pod = Ipv4Addr::new(127, 70, 1, 9);
        for (listener, expected) in [
            ("0.0.0.0:80", "127.70.1.9:80"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.70.1.9:80", "127.70.1.9:80"),
            ("[::]:80", "[::1]:80"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(reachable(listener.parse().unwrap(), pod).to_string(), expected);
        }
    }
}
