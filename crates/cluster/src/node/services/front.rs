//! One port of one Service: a listener, and the connections that came through it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use stoke_sandbox::listening;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::plan::Port;
use crate::events::Recorder;

/// How long an endpoint may take to accept a connection before the next is tried.
const ACCEPT_WITHIN: Duration = Duration::from_secs(3);
/// A connection of which one side has ended is ended when the other is silent for this long.
const HALF_OPEN: Duration = Duration::from_secs(900);
/// Looking whether an endpoint listens begins with this pause and doubles it.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause between looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Clients whose endpoint is remembered.
const REMEMBERED: usize = 4096;

/// A served port. Dropping it stops listening; connections that stand go on.
#[derive(Debug)]
pub(super) struct Front {
    port: watch::Sender<Port>,
    task: JoinHandle<()>,
}

impl Front {
    /// Serves `address`. What keeps it from listening is told in an event of `service`.
    pub(super) fn open(address: SocketAddr, port: Port, service: Service, recorder: Recorder) -> Front {
        let (port, current) = watch::channel(port);
        let serving = Serving {
            address,
            port: current,
            chooser: Arc::default(),
            complained: None,
            service,
            recorder,
        };
        let task = tokio::spawn(serving.run());
        Front { port, task }
    }

    /// The endpoints have changed.
    pub(super) fn update(&self, port: Port) {
        self.port.send_if_modified(|current| {
            let changed = *current != port;
            *current = port;
            changed
        });
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Serving {
    address: SocketAddr,
    port: watch::Receiver<Port>,
    chooser: Arc<Chooser>,
    complained: Option<String>,
    service: Service,
    recorder: Recorder,
}

impl Serving {
    async fn run(mut self) {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let look = look(self.address, &self.port.borrow_and_update().endpoints);
            match look {
                Look::Listen => match TcpListener::bind(self.address).await {
                    Ok(listener) => return self.serve(&listener).await,
                    Err(error) => self.complain(&error),
                },
                Look::Taken | Look::Nobody => {}
            }
            tokio::select! {
                changed = self.port.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    pause = SHORTEST_PAUSE;
                }
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// Says once why the port is not served.
    fn complain(&mut self, error: &io::Error) {
        let port = self.address.port();
        let hint = if error.kind() == io::ErrorKind::PermissionDenied {
            format!(
                ": ports below 1024 need a permission; give it with `sudo sysctl -w net.ipv4.ip_unprivileged_port_start={port}`, \
                 or give the Service a port from 1024 on"
            )
        } else {
            String::new()
        };
        let message = format!("cannot listen on {}: {error}{hint}", self.address);
        if self.complained.as_ref() != Some(&message) {
            self.recorder.service(&self.service, "FailedToBindPort", &message);
            self.complained = Some(message);
        }
    }

    async fn serve(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, client)) => {
                    let (port, chooser) = (self.port.borrow().clone(), Arc::clone(&self.chooser));
                    tokio::spawn(async move {
                        if let Some(endpoint) = connect(&port, &chooser, client.ip()).await {
                            splice(stream, endpoint).await;
                        }
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others must end first.
                    tracing::warn!(%error, address = %self.address, "a connection to a service could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// What is to be done about a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// An endpoint listens, and no one at the port itself.
    Listen,
    /// A program listens on this port at all addresses, the Service's among them: connections reach it without us.
    Taken,
    /// No endpoint listens yet.
    Nobody,
}

fn look(address: SocketAddr, endpoints: &[SocketAddr]) -> Look {
    let sockets: Vec<SocketAddr> = listening().into_iter().map(|socket| socket.address).collect();
    judge(address, endpoints, &sockets)
}

fn judge(address: SocketAddr, endpoints: &[SocketAddr], sockets: &[SocketAddr]) -> Look {
    let takes = |wanted: &SocketAddr| {
        let at = |socket: &SocketAddr| socket.ip().is_unspecified() || socket.ip() == wanted.ip();
        sockets
            .iter()
            .any(|socket| socket.port() == wanted.port() && at(socket))
    };
    // Endpoints elsewhere than on this machine's loopback are not ours to look at.
    let elsewhere = |endpoint: &SocketAddr| !endpoint.ip().is_loopback();
    if !endpoints.iter().any(|endpoint| elsewhere(endpoint) || takes(endpoint)) {
        Look::Nobody
    } else if sockets
        .iter()
        .any(|socket| socket.port() == address.port() && socket.ip().is_unspecified())
    {
        Look::Taken
    } else {
        Look::Listen
    }
}

/// Who gets the next connection.
#[derive(Debug, Default)]
struct Chooser(Mutex<Choices>);

#[derive(Debug, Default)]
struct Choices {
    next: usize,
    clients: HashMap<IpAddr, (SocketAddr, Instant)>,
}

impl Chooser {
    /// The endpoints in the order in which they are tried.
    fn order(&self, port: &Port, client: IpAddr, now: Instant) -> Vec<SocketAddr> {
        let mut choices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = port.endpoints.len().max(1);
        let mut order = port.endpoints.clone();
        order.rotate_left(choices.next % count);
        choices.next = (choices.next + 1) % count;
        if let Some(stay) = port.stay
            && let Some((endpoint, seen)) = choices.clients.get(&client)
            && now.duration_since(*seen) < stay
            && let Some(index) = order.iter().position(|known| known == endpoint)
        {
            order.swap(0, index);
        }
        order
    }

    fn remember(&self, port: &Port, client: IpAddr, endpoint: SocketAddr, now: Instant) {
        if let Some(stay) = port.stay {
            let mut choices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if choices.clients.len() >= REMEMBERED {
                choices.clients.retain(|_, (_, seen)| now.duration_since(*seen) < stay);
            }
            if choices.clients.len() < REMEMBERED || choices.clients.contains_key(&client) {
                choices.clients.insert(client, (endpoint, now));
            }
        }
    }
}

/// A connection to the endpoint whose turn it is, or the next that takes it.
async fn connect(port: &Port, chooser: &Chooser, client: IpAddr) -> Option<TcpStream> {
    let now = Instant::now();
    for endpoint in chooser.order(port, client, now) {
        if let Ok(Ok(stream)) = tokio::time::timeout(ACCEPT_WITHIN, TcpStream::connect(endpoint)).await {
            chooser.remember(port, client, endpoint, now);
            return Some(stream);
        }
    }
    None
}

/// Passes bytes both ways until both sides have ended, or one has and the other is silent for long.
async fn splice(client: TcpStream, endpoint: TcpStream) {
    for stream in [&client, &endpoint] {
        // Small answers must not wait for the peer's acknowledgement.
        let _ = stream.set_nodelay(true);
    }
    let half = CancellationToken::new();
    let (client_reader, client_writer) = client.into_split();
    let (endpoint_reader, endpoint_writer) = endpoint.into_split();
    tokio::join!(
        pass(client_reader, endpoint_writer, &half),
        pass(endpoint_reader, client_writer, &half)
    );
}

async fn pass(mut reader: OwnedReadHalf, mut writer: OwnedWriteHalf, half: &CancellationToken) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let silent = async {
            half.cancelled().await;
            tokio::time::sleep(HALF_OPEN).await;
        };
        let read = tokio::select! {
            read = reader.read(&mut buffer) => read,
            () = silent => break,
        };
        match read {
            Ok(count) if count > 0 => {
                if writer.write_all(&buffer[..count]).await.is_err() {
                    break;
                }
            }
            _ => break,
        }
    }
    let _ = writer.shutdown().await;
    half.cancel();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_port_is_listened_on_when_an_endpoint_does_and_nobody_has_it_everywhere() {
        let (service, endpoint) = (address("127.70.252.1:8080"), [address("127.70.1.1:8080")]);
        for (sockets, expected) in [
            (&[] as &[&str], Look::Nobody),
            (&["127.70.1.1:9090", "127.70.1.2:8080"], Look::Nobody),
            (&["127.70.1.1:8080"], Look::Listen),
            (&["0.0.0.0:8080"], Look::Taken),
            (&["[::]:8080"], Look::Taken),
        ] {
            let sockets: Vec<SocketAddr> = sockets.iter().map(|text| address(text)).collect();
            assert_eq!(judge(service, &endpoint, &sockets), expected, "{sockets:?}");
        }
        assert_eq!(judge(service, &[address("10.0.0.1:80")], &[]), Look::Listen);
    }

    #[test]
    fn endpoints_take_turns_and_clients_stay_where_asked() {
        let endpoints = ["127.70.1.1:1", "127.70.1.2:1", "127.70.1.3:1"].map(address).to_vec();
        let (chooser, now) = (Chooser::default(), Instant::now());
        let client = |last: u8| IpAddr::from([127, 0, 0, last]);
        let port = |stay| Port {
            endpoints: endpoints.clone(),
            stay,
        };
        let turns: Vec<SocketAddr> = (0..4).map(|_| chooser.order(&port(None), client(1), now)[0]).collect();
        assert_eq!(turns, [endpoints[0], endpoints[1], endpoints[2], endpoints[0]]);
        let sticky = port(Some(Duration::from_secs(60)));
        let first = chooser.order(&sticky, client(1), now)[0];
        chooser.remember(&sticky, client(1), first, now);
        assert!((0..5).all(|_| chooser.order(&sticky, client(1), now)[0] == first));
        let later = now + Duration::from_secs(61);
        let turns: Vec<SocketAddr> = (0..3).map(|_| chooser.order(&sticky, client(1), later)[0]).collect();
        assert!(turns.iter().any(|turn| *turn != first), "{turns:?}");
        let gone = Port {
            endpoints: vec![address("127.70.1.9:1")],
            stay: sticky.stay,
        };
        assert_eq!(chooser.order(&gone, client(1), now), [address("127.70.1.9:1")]);
    }

    #[tokio::test]
    async fn connections_are_passed_on_by_halves_and_to_the_next_when_one_is_gone() {
        let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let port = Port {
            endpoints: vec![dead, endpoint.local_addr().unwrap()],
            stay: None,
        };
        let stream = connect(&port, &Chooser::default(), IpAddr::from([127, 0, 0, 1]))
            .await
            .unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(front.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = front.accept().await.unwrap();
        let spliced = tokio::spawn(splice(accepted, stream));
        let (mut server, _) = endpoint.accept().await.unwrap();
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        server.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "question");
        server.write_all(b"answer").await.unwrap();
        drop(server);
        text.clear();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer");
        spliced.await.unwrap();
    }
}
