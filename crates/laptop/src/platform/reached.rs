//! Where a component answers clients of this machine: its address is found, and asked what a client would ask.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Client;
use kube::api::{Api, ListParams};
use stoke_platform::reach::{At, Question, Reach};
use stoke_platform::render::Scope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::secrets;
use crate::error::Outcome;
use crate::runbook::probes::get;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A component that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What a browser or a client of this machine uses.
    pub url: String,
}

/// Asks a component once.
///
/// # Errors
/// When the cluster cannot be asked. What the component did not answer is in the result.
pub async fn ask(client: &Client, scope: &Scope<'_>, name: &str, reach: &Reach) -> Outcome<Result<Answered, String>> {
    let address = match &reach.at {
        At::Service(service) => match address_of(client, scope, service).await? {
            Some(address) => Some(address),
            None => pod_of(client, scope, name).await?,
        },
        At::Pod => pod_of(client, scope, name).await?,
    };
    let Some(address) = address else {
        return Ok(Err("it has no address".to_owned()));
    };
    let token = match &reach.question {
        Question::Http {
            token: Some((secret, key)),
            ..
        } => secrets::read(client, scope.namespace(), secret, key).await?,
        _ => None,
    };
    let address = SocketAddr::from((address, reach.port));
    let asked = tokio::time::timeout(PATIENCE, question(address, &reach.question, token.as_deref())).await;
    let asked = asked.unwrap_or_else(|_| Err(format!("{address} does not answer within {} s", PATIENCE.as_secs())));
    Ok(asked.map(|()| Answered {
        url: format!("{}{address}{}", reach.scheme, reach.path),
    }))
}

/// The address of a Service; none where it has none.
async fn address_of(client: &Client, scope: &Scope<'_>, name: &str) -> Outcome<Option<Ipv4Addr>> {
    let api: Api<Service> = Api::namespaced(client.clone(), scope.namespace());
    let address = api.get_opt(name).await?.and_then(|service| service.spec?.cluster_ip);
    Ok(address.and_then(|address| address.parse().ok()))
}

/// The address of a component's first pod that is ready.
async fn pod_of(client: &Client, scope: &Scope<'_>, name: &str) -> Outcome<Option<Ipv4Addr>> {
    let labels: Vec<String> = scope
        .selector(name)
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let api: Api<Pod> = Api::namespaced(client.clone(), scope.namespace());
    let pods = api.list(&ListParams::default().labels(&labels.join(","))).await?;
    let address = |pod: &Pod| {
        let status = pod.status.as_ref()?;
        let ready = status
            .conditions
            .iter()
            .flatten()
            .any(|one| one.type_ == "Ready" && one.status == "True");
        status.pod_ip.as_deref().filter(|_| ready)?.parse().ok()
    };
    Ok(pods.iter().find_map(address))
}

async fn question(address: SocketAddr, question: &Question, token: Option<&str>) -> Result<(), String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| format!("{address}: {error}"))?;
    match question {
        Question::Http { path, .. } => {
            let token = token.map(|token| format!("Authorization: token {token}\r\n"));
            let head = format!("Host: {address}\r\n{}", token.unwrap_or_default());
            get(stream, path, &head).await.map(drop)
        }
        Question::Postgresql => said(stream, SSL_REQUEST, |answer: &[u8; 1]| matches!(answer, b"S" | b"N")).await,
        Question::Thrift => said(stream, GET_ALL_DATABASES, |answer: &[u8; 4]| *answer == [0x80, 1, 0, 2]).await,
        // Length, number of the request, and no error.
        Question::Kafka => {
            said(stream, API_VERSIONS, |answer: &[u8; 10]| {
                answer[4..] == [0, 0, 0, 7, 0, 0]
            })
            .await
        }
        Question::Connect { version } => match stoke_connect::greet(stream).await {
            // All pods share this machine: another server may have the port at all addresses.
            Ok(said) if said.starts_with("Spark ") && !said.starts_with(&format!("Spark {version} ")) => Err(format!(
                "{said}, and it should be {version}: another server has the port"
            )),
            said => said.map(drop).map_err(|error| error.to_string()),
        },
    }
    .map_err(|why| match why.contains(&address.to_string()) {
        true => why,
        false => format!("{address}: {why}"),
    })
}

/// PostgreSQL's question whether the connection may be encrypted, which is answered with one letter.
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// A call of Hive's metastore, which it answers out of its database.
const GET_ALL_DATABASES: &[u8] = b"\x80\x01\x00\x01\x00\x00\x00\x11get_all_databases\x00\x00\x00\x01\x00";
/// `ApiVersions` in its first form: length, 18, 0, the number 7, no client.
const API_VERSIONS: &[u8] = &[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff];

/// Whether an answer begins as it must.
async fn said<const N: usize>(
    mut stream: TcpStream,
    question: &[u8],
    fits: impl FnOnce(&[u8; N]) -> bool,
) -> Result<(), String> {
    stream.write_all(question).await.map_err(|error| error.to_string())?;
    let mut answer = [0; N];
    let read = stream.read_exact(&mut answer).await;
    read.map_err(|_| "the connection is closed without an answer".to_owned())?;
    match fits(&answer) {
        true => Ok(()),
        false => Err("it answers with something else".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that says this to whatever it is asked.
    async fn server(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 256];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(answer).await;
        });
        address
    }

    #[tokio::test]
    async fn only_an_answer_of_its_own_protocol_counts() {
        let http = || Question::Http { path: "/", token: None };
        let table: [(Question, &'static [u8], bool); 9] = [
            (http(), b"HTTP/1.1 200 OK\r\n\r\n", true),
            (http(), b"HTTP/1.1 302 Found\r\n\r\n", true),
            (http(), b"HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
            (http(), b"", false),
            (Question::Postgresql, b"N", true),
            (Question::Postgresql, b"HTTP/1.1 400", false),
            (Question::Thrift, b"\x80\x01\x00\x02more", true),
            (Question::Thrift, b"\x80\x01\x00\x03more", false),
            (Question::Kafka, b"\x00\x00\x01\x00\x00\x00\x00\x07\x00\x00", true),
        ];
        for (asked, answer, expected) in table {
            let said = question(server(answer).await, &asked, None).await;
            assert_eq!(said.is_ok(), expected, "{asked:?} {answer:?} {said:?}");
        }
    }
}
