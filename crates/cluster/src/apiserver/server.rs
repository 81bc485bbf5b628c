//! The server's state, and the way of a request from the socket to its handler.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use tokio_util::sync::CancellationToken;

use super::admission::Configured;
use super::allowance::ledger::Ledger;
use super::auth::{Identity, Tokens};
use super::handlers;
use super::media;
use super::openapi::Documents;
use super::rbac::Policies;
use super::request::{Form, Query, Target};
use super::resources::{Registry, Resource};
use super::service_addresses::ServiceAddresses;
use super::status::ApiError;
use super::streaming;
use crate::kubelet::Kubelet;
use crate::store::{Key, Store};

/// Largest request body, in bytes, as the real API server has it.
const MOST_BODY_BYTES: usize = 3 << 20;
/// Time a client has to send a body.
const BODY_TAKES: Duration = Duration::from_secs(60);

/// What a server is made of.
pub struct Settings {
    /// Where it listens: 127.X.0.1, of the cluster's loopback subnet 127.X.0.0/16, and a port.
    pub place: SocketAddrV4,
    /// Certificate of the cluster's authority, PEM.
    pub authority_pem: String,
    /// Issuer and checker of bearer tokens.
    pub tokens: Tokens,
}

impl Settings {
    /// Second byte of the cluster's loopback subnet.
    pub fn subnet(&self) -> u8 {
        self.place.ip().octets()[1]
    }
}

/// The API server. Shared by every connection and by the in-process client.
pub struct Server {
    /// Where objects live.
    pub store: Store,
    /// What it was made with.
    pub settings: Settings,
    /// Cancelled when the cluster stops; ends every watch.
    pub stopping: CancellationToken,
    /// Changes whenever the clock jumps.
    pub jumps: tokio::sync::watch::Sender<u64>,
    /// OpenAPI documents made so far.
    pub documents: Documents,
    /// Roles and bindings, as they are now.
    pub policies: Policies,
    /// Webhooks and policies in force.
    pub admission: Configured,
    /// What the quotas of namespaces have left.
    pub ledger: Ledger,
    registry: RwLock<Arc<Registry>>,
    definitions: Mutex<HashMap<Arc<str>, Definition>>,
    kubelet: OnceLock<Arc<dyn Kubelet>>,
    /// Who has which Service address.
    pub service_addresses: ServiceAddresses,
}

/// The resources of one stored definition, as read at a revision.
struct Definition {
    revision: u64,
    resources: Vec<Arc<Resource>>,
}

impl Server {
    /// A server over a store, with the custom resources already stored in it.
    pub fn new(store: Store, settings: Settings) -> Arc<Server> {
        let server = Arc::new(Server {
            store,
            settings,
            jumps: tokio::sync::watch::Sender::new(0),
            stopping: CancellationToken::new(),
            documents: Documents::default(),
            policies: Policies::default(),
            admission: Configured::default(),
            ledger: Ledger::default(),
            registry: RwLock::new(Arc::new(Registry::built_in())),
            definitions: Mutex::default(),
            kubelet: OnceLock::new(),
            service_addresses: ServiceAddresses::default(),
        });
        server.reload_custom_resources();
        server
    }

    /// Gives the server its node; pod logs come from there.
    pub fn set_kubelet(&self, kubelet: Arc<dyn Kubelet>) {
        // The first node stays: a cluster has one.
        let _ = self.kubelet.set(kubelet);
    }

    /// The node, once it is there.
    pub fn kubelet(&self) -> Option<&Arc<dyn Kubelet>> {
        self.kubelet.get()
    }

    /// Resources served now.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves what the stored CustomResourceDefinitions say. Only those that changed are read again.
    pub fn reload_custom_resources(&self) {
        let mut read = self.definitions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut registry = Registry::built_in();
        let mut now = HashMap::new();
        let key = Arc::from(super::crd::DEFINITIONS);
        for definition in self.store.list(&key, None, None, usize::MAX, |_| true).items {
            let known = read
                .remove(&definition.key.name)
                .filter(|known| known.revision == definition.revision);
            let known = known.unwrap_or_else(|| {
                let resources = super::crd::resources_of(&definition.value()).into_iter().map(Arc::new);
                Definition {
                    revision: definition.revision,
                    resources: resources.collect(),
                }
            });
            known
                .resources
                .iter()
                .for_each(|resource| registry.add_shared(resource.clone()));
            now.insert(definition.key.name.clone(), known);
        }
        *read = now;
        *self.registry.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(registry);
    }

    /// Address of the API server.
    pub fn address(&self) -> Ipv4Addr {
        *self.settings.place.ip()
    }

    /// The HTTP service.
    pub fn router(self: &Arc<Server>) -> Router {
        Router::new().fallback(entry).with_state(self.clone())
    }
}

/// One request being handled.
pub struct Call {
    /// The server.
    pub server: Arc<Server>,
    /// Who asks.
    pub identity: Identity,
    /// What is asked for.
    pub target: Target,
    /// Query parameters.
    pub query: Query,
    /// Form of the answer.
    pub form: Form,
    /// `Content-Type` of the body, without parameters.
    pub content_type: String,
    /// `User-Agent`, the default field manager.
    pub user_agent: String,
    /// The body.
    pub body: Bytes,
    /// Warnings to send with the answer.
    pub warnings: Vec<String>,
    /// Warnings of webhooks and policies.
    pub admitted: Mutex<Vec<String>>,
}

impl Call {
    /// The resource asked for.
    pub fn resource(&self) -> &Resource {
        &self.target.resource
    }

    /// Namespace of the path, empty for cluster-wide resources.
    pub fn namespace(&self) -> &str {
        self.target.namespace.as_deref().unwrap_or_default()
    }

    /// Name of the path, empty for collections.
    pub fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    /// Key of the object of the path.
    pub fn key(&self) -> Key {
        Key::new(&self.resource().key, self.namespace(), self.name())
    }

    /// Plural and group, as messages name the resource.
    pub fn qualified(&self) -> String {
        self.resource().qualified()
    }
}

async fn entry(State(server): State<Arc<Server>>, request: Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &server).await.ok();
    let wanted = media::Wanted::of(&parts.headers).map_or(media::Media::Json, |wanted| wanted.media);
    match answer(server, parts, body, upgrade).await {
        Ok(response) => media::write(response, wanted).await,
        // A request for what we cannot give is answered as everyone can read it.
        Err(error) if error.code == 406 => error.into_response(),
        Err(error) => media::write(error.into_response(), wanted).await,
    }
}

async fn answer(
    server: Arc<Server>,
    mut parts: Parts,
    body: Body,
    upgrade: Option<WebSocketUpgrade>,
) -> Result<Response, ApiError> {
    let path = parts.uri.path().to_owned();
    if matches!(path.as_str(), "/healthz" | "/livez" | "/readyz" | "/ping") {
        return Ok("ok".into_response());
    }
    if path.trim_end_matches('/') == "/version" {
        return Ok(handlers::json_response(&handlers::version()));
    }
    let identity = server.identify(&mut parts)?;
    let identity = server.impersonate(identity, &parts.headers)?;
    let query = Query(
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|cause| ApiError::bad_request(format!("cannot read the query: {cause}")))?
            .0,
    );
    if let Some(response) = handlers::discovery(&server, &identity, &path, &query, &parts.headers)? {
        return Ok(response);
    }
    let registry = server.registry();
    let target = Target::parse(&path, &registry)?;
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let content_type = header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let user_agent = header("user-agent").to_owned();
    let form = if upgrade.is_some() || target.subresource.as_deref() == Some("log") || streaming::is_stream(&target) {
        Form::Object
    } else {
        let wanted = media::Wanted::of(&parts.headers)?;
        media::check(wanted.media, &target.resource.api_version(), &target.resource.kind)?;
        wanted.form
    };
    let call = Call {
        server: server.clone(),
        identity,
        target,
        query,
        form,
        content_type,
        user_agent,
        body: Bytes::new(),
        warnings: Vec::new(),
        admitted: Mutex::default(),
    };
    let streams = streaming::is_stream(&call.target);
    // Running a command is not reading, whichever method the client's protocol begins with.
    let verb = match streams {
        true if matches!(parts.method, Method::GET | Method::POST) => "create",
        true => return Err(ApiError::method_not_allowed()),
        false => handlers::verb(&parts.method, &call)?,
    };
    server.authorize(&call, verb)?;
    if streams {
        return streaming::serve(call, streaming::Upgrade::of(upgrade, &mut parts)?).await;
    }
    let body = if parts.method == Method::GET {
        Bytes::new()
    } else {
        read_body(body).await?
    };
    let (content_type, body) = media::read(&call.content_type, body)?;
    let call = Call {
        body,
        content_type,
        ..call
    };
    handlers::dispatch(verb, call, upgrade).await
}

async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    let limited = http_body_util::Limited::new(body, MOST_BODY_BYTES);
    let collected = tokio::time::timeout(BODY_TAKES, limited.collect()).await.map_err(|_| {
        let message = format!("the body was not sent within {} seconds", BODY_TAKES.as_secs());
        ApiError::new(408, "Timeout", message)
    })?;
    let collected = collected.map_err(|_| {
        let message = format!("Request entity too large: limit is {MOST_BODY_BYTES}");
        ApiError::new(413, "RequestEntityTooLarge", message)
    })?;
    Ok(collected.to_bytes())
}

/// Adds the warnings of a call to its answer.
pub fn with_warnings(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        let text = format!("299 - {:?}", warning.replace(['\n', '\r'], " "));
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append("warning", value);
        }
    }
    response
}
