//! An API server in memory, as a tower service under `kube::Client`: enough of Kubernetes for the operator's requests, a log of them, and a
//! place to cut the operator off before or after any of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Map, Value, json};

type Reply = UnsyncBoxBody<bytes::Bytes, Infallible>;

/// Resource, namespace, name.
pub type Id = (String, String, String);

/// Where the operator is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The request does not arrive.
    Before(usize),
    /// It arrives and has its effect; the answer does not.
    After(usize),
}

/// Resource, label it must have, where its events go.
type Watcher = (String, Option<(String, String)>, UnboundedSender<bytes::Bytes>);

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Id, Value>,
    watchers: Vec<Watcher>,
    log: Vec<String>,
    cut: Option<Cut>,
    refusals: Vec<(String, u16, String)>,
    lingering: bool,
}

/// The API server. Clones share it.
#[derive(Clone, Default)]
pub struct FakeApi {
    state: Arc<Mutex<State>>,
    pub cut: Arc<tokio::sync::Notify>,
    pub changed: Arc<tokio::sync::Notify>,
}

impl FakeApi {
    pub fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.serve(request).await) }
        });
        Client::new(service, "default")
    }

    /// Requests so far, without lists, watches and Events.
    pub fn log(&self) -> Vec<String> {
        self.state.lock().unwrap().log.clone()
    }

    pub fn clear_log(&self) {
        self.state.lock().unwrap().log.clear();
    }

    pub fn cut_at(&self, cut: Cut) {
        self.state.lock().unwrap().cut = Some(cut);
    }

    pub fn cut_nowhere(&self) {
        self.state.lock().unwrap().cut = None;
    }

    /// Requests that begin with `start` are refused with this code and message, once.
    pub fn refuse(&self, start: &str, code: u16, message: &str) {
        self.state
            .lock()
            .unwrap()
            .refusals
            .push((start.into(), code, message.into()));
    }

    /// Deleted pods stay, marked, until [`FakeApi::remove`].
    pub fn let_pods_linger(&self) {
        self.state.lock().unwrap().lingering = true;
    }

    pub fn get(&self, resource: &str, name: &str) -> Option<Value> {
        let state = self.state.lock().unwrap();
        state
            .objects
            .get(&(resource.into(), "default".into(), name.into()))
            .cloned()
    }

    pub fn all(&self, resource: &str) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        state
            .objects
            .iter()
            .filter(|(id, _)| id.0 == resource)
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// Names of everything but Events, as `resource/name`.
    pub fn names(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .objects
            .keys()
            .filter(|id| id.0 != "events")
            .map(|id| format!("{}/{}", id.0, id.2))
            .collect()
    }

    /// Creates or replaces an object, as a user or a node would.
    pub fn put(&self, resource: &str, mut object: Value) -> Value {
        let mut state = self.state.lock().unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        object["metadata"]["namespace"] = json!("default");
        let stored = state.store((resource.into(), "default".into(), name), object);
        drop(state);
        self.changed.notify_waiters();
        stored
    }

    /// Merges a patch into an object, as a user or a node would.
    pub fn change(&self, resource: &str, name: &str, patch: Value) {
        let mut object = self.get(resource, name).unwrap();
        merge(&mut object, &patch);
        self.put(resource, object);
    }

    pub fn remove(&self, resource: &str, name: &str) {
        let id = (resource.to_owned(), "default".to_owned(), name.to_owned());
        self.state.lock().unwrap().remove(&id);
        self.changed.notify_waiters();
    }

    async fn serve(&self, request: Request<Body>) -> Response<Reply> {
        let method = request.method().as_str().to_owned();
        let (path, query) = (
            request.uri().path().to_owned(),
            request.uri().query().unwrap_or_default().to_owned(),
        );
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let (resource, namespace, name, subresource) = parse(&path);
        if name.is_none() && method == "GET" {
            return self.list_or_watch(&resource, &query);
        }
        if resource == "events" {
            return self.apply(&method, &resource, &namespace, name, None, body);
        }
        let number = {
            let mut state = self.state.lock().unwrap();
            let shown = name
                .clone()
                .or_else(|| body["metadata"]["name"].as_str().map(str::to_owned))
                .unwrap_or_default();
            let sub = subresource.as_ref().map(|sub| format!("/{sub}")).unwrap_or_default();
            state.log.push(format!("{method} {resource}/{shown}{sub}"));
            state.log.len()
        };
        let cut = self.state.lock().unwrap().cut;
        if cut == Some(Cut::Before(number)) {
            self.cut.notify_one();
            return std::future::pending().await;
        }
        let answer = self.apply(&method, &resource, &namespace, name, subresource, body);
        if cut == Some(Cut::After(number)) {
            self.cut.notify_one();
            return std::future::pending().await;
        }
        answer
    }

    fn apply(
        &self,
        method: &str,
        resource: &str,
        namespace: &str,
        name: Option<String>,
        subresource: Option<String>,
        mut body: Value,
    ) -> Response<Reply> {
        let mut state = self.state.lock().unwrap();
        let name = name
            .or_else(|| body["metadata"]["name"].as_str().map(str::to_owned))
            .unwrap_or_default();
        let request = format!("{method} {resource}/{name}");
        if let Some(at) = state.refusals.iter().position(|(start, ..)| request.starts_with(start)) {
            let (_, code, message) = state.refusals.remove(at);
            return failure(code, "Forbidden", &message);
        }
        let id: Id = (resource.to_owned(), namespace.to_owned(), name.clone());
        let known = state.objects.get(&id).cloned();
        let not_found = || failure(404, "NotFound", &format!("{resource} \"{name}\" not found"));
        let answer = match (method, known) {
            ("GET", Some(known)) => answer(200, &known),
            ("POST", Some(_)) => {
                return failure(409, "AlreadyExists", &format!("{resource} \"{name}\" already exists"));
            }
            ("POST", None) => {
                body["metadata"]["namespace"] = json!(namespace);
                answer(201, &state.store(id, body))
            }
            ("PATCH", Some(known)) => {
                let wanted = body["metadata"]["resourceVersion"].as_str();
                if wanted.is_some_and(|wanted| Some(wanted) != known["metadata"]["resourceVersion"].as_str()) {
                    return failure(409, "Conflict", "the object has been modified");
                }
                let mut object = known;
                match subresource.as_deref() {
                    Some("status") => merge(&mut object["status"], &body["status"]),
                    _ => merge(&mut object, &body),
                }
                answer(200, &state.store(id, object))
            }
            ("PATCH", None) if subresource.is_none() => {
                body["metadata"]["namespace"] = json!(namespace);
                answer(201, &state.store(id, body))
            }
            ("DELETE", Some(mut known)) => {
                if state.lingering && resource == "pods" {
                    known["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                    known = state.store(id, known);
                } else {
                    state.remove(&id);
                }
                answer(200, &known)
            }
            (_, None) => not_found(),
            other => panic!("not served: {other:?}"),
        };
        drop(state);
        self.changed.notify_waiters();
        answer
    }

    fn list_or_watch(&self, resource: &str, query: &str) -> Response<Reply> {
        let mut state = self.state.lock().unwrap();
        let label = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("labelSelector="))
            .map(|selector| selector.replace("%2F", "/").replace("%3D", "="))
            .and_then(|selector| {
                selector
                    .split_once('=')
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
            });
        if query.contains("watch=true") {
            let from: u64 = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("resourceVersion="))
                .and_then(|version| version.parse().ok())
                .unwrap_or(0);
            let (send, receive) = unbounded();
            for (_, object) in state.objects.iter().filter(|(id, _)| id.0 == resource) {
                let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
                if version > from && selected(&label, object) {
                    let _ = send.unbounded_send(line("ADDED", object));
                }
            }
            state.watchers.push((resource.to_owned(), label, send));
            return stream(receive);
        }
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|(id, object)| id.0 == resource && selected(&label, object))
            .map(|(_, object)| object)
            .collect();
        answer(
            200,
            &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": state.version.to_string()}, "items": items}),
        )
    }
}

impl State {
    fn store(&mut self, id: Id, mut object: Value) -> Value {
        self.version += 1;
        let version = self.version.to_string();
        let known = self.objects.get(&id);
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(version);
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}-{version}", id.2));
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let type_ = if known.is_some() { "MODIFIED" } else { "ADDED" };
        self.tell(&id, type_, &object);
        self.objects.insert(id, object.clone());
        object
    }

    fn remove(&mut self, id: &Id) {
        if let Some(mut object) = self.objects.remove(id) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.tell(id, "DELETED", &object);
        }
    }

    fn tell(&mut self, id: &Id, type_: &str, object: &Value) {
        self.watchers.retain(|(resource, label, send)| {
            *resource != id.0 || !selected(label, object) || send.unbounded_send(line(type_, object)).is_ok()
        });
    }
}

fn selected(label: &Option<(String, String)>, object: &Value) -> bool {
    label
        .as_ref()
        .is_none_or(|(key, value)| object["metadata"]["labels"][key] == *value)
}

fn line(type_: &str, object: &Value) -> bytes::Bytes {
    format!("{}\n", json!({"type": type_, "object": object})).into()
}

/// `/api/v1/namespaces/N/pods/P/status` and its shorter forms.
fn parse(path: &str) -> (String, String, Option<String>, Option<String>) {
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    parts.drain(..if parts[0] == "api" { 2 } else { 3 });
    let mut namespace = String::new();
    if parts[0] == "namespaces" && parts.len() > 2 {
        namespace = parts[1].to_owned();
        parts.drain(..2);
    }
    let part = |at: usize| parts.get(at).map(|part| (*part).to_owned());
    (parts[0].to_owned(), namespace, part(1), part(2))
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(key)),
            value => merge(target.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

fn answer(code: u16, body: &Value) -> Response<Reply> {
    let mut response = Response::new(Full::new(serde_json::to_vec(body).unwrap().into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn failure(code: u16, reason: &str, message: &str) -> Response<Reply> {
    answer(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code}),
    )
}

fn stream(receive: UnboundedReceiver<bytes::Bytes>) -> Response<Reply> {
    let frames = receive.map(|bytes| Ok::<_, Infallible>(http_body::Frame::data(bytes)));
    Response::new(StreamBody::new(frames).boxed_unsync())
}
