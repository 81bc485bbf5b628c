//! An API server in memory, as a tower service under `kube::Client`: enough of Kubernetes for the operator's requests (its garbage collector
//! included), a log of them, and every trouble an API server can make: cut off before or after any request, down, slow, forgetful, in conflict.

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

/// What being cut off means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    /// The operator hears nothing more; whoever waits for [`FakeApi::cut`] kills it.
    #[default]
    Death,
    /// The connection breaks: this request fails, all watches end, later requests go through.
    BrokenConnection,
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
    trouble: Trouble,
    refusals: Vec<(String, u16, String)>,
    denied: Vec<(String, u16, String)>,
    created: Vec<String>,
    lingering: bool,
    down: bool,
    latency: std::time::Duration,
    logs: BTreeMap<String, String>,
    conflicts: usize,
    expired: usize,
    asked: usize,
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
            async move { api.serve(request).await.map_err(std::io::Error::other) }
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

    /// What being cut off means from now on.
    pub fn cut_means(&self, trouble: Trouble) {
        self.state.lock().unwrap().trouble = trouble;
    }

    /// Requests (`METHOD resource/name`) that begin with `start` are refused until [`FakeApi::allow_all`].
    pub fn deny(&self, start: &str, code: u16, message: &str) {
        let mut state = self.state.lock().unwrap();
        state.denied.push((start.into(), code, message.into()));
    }

    pub fn allow_all(&self) {
        self.state.lock().unwrap().denied.clear();
    }

    /// Goes down, with every connection, or comes back.
    pub fn set_down(&self, down: bool) {
        let mut state = self.state.lock().unwrap();
        state.down = down;
        state.watchers.clear();
    }

    /// Every request takes so long.
    pub fn slow(&self, latency: std::time::Duration) {
        self.state.lock().unwrap().latency = latency;
    }

    /// Someone else writes to the object just before each of the next so many status writes.
    pub fn conflict(&self, times: usize) {
        self.state.lock().unwrap().conflicts = times;
    }

    /// All watches end with 410 Gone, and so do the next so many at once.
    pub fn forget_history(&self, times: usize) {
        let mut state = self.state.lock().unwrap();
        state.expired = times;
        for (.., send) in state.watchers.drain(..) {
            let _ = send.unbounded_send(gone());
        }
    }

    /// Objects created so far, as `resource/name`, once for each time.
    pub fn created(&self) -> Vec<String> {
        self.state.lock().unwrap().created.clone()
    }

    /// All requests so far: lists, watches and Events too.
    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
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

    /// What the log of a pod says from now on; nothing when nothing was said.
    pub fn say(&self, pod: &str, text: &str) {
        self.state.lock().unwrap().logs.insert(pod.into(), text.into());
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

    async fn serve(&self, request: Request<Body>) -> Result<Response<Reply>, &'static str> {
        let method = request.method().as_str().to_owned();
        let (path, query) = (
            request.uri().path().to_owned(),
            request.uri().query().unwrap_or_default().to_owned(),
        );
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let (resource, namespace, name, subresource) = parse(&path);
        let (latency, down) = {
            let mut state = self.state.lock().unwrap();
            state.asked += 1;
            (state.latency, state.down)
        };
        if down {
            return Err("connection refused");
        }
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if name.is_none() && method == "GET" {
            return Ok(match self.denial(&format!("GET {resource}")) {
                Some(denial) => denial,
                None => self.list_or_watch(&resource, &query),
            });
        }
        if resource == "events" {
            return Ok(self.apply(&method, &resource, &namespace, name, None, body));
        }
        let (number, cut, trouble) = {
            let mut state = self.state.lock().unwrap();
            let shown = name
                .clone()
                .or_else(|| body["metadata"]["name"].as_str().map(str::to_owned))
                .unwrap_or_default();
            let sub = subresource.as_ref().map(|sub| format!("/{sub}")).unwrap_or_default();
            state.log.push(format!("{method} {resource}/{shown}{sub}"));
            if sub == "/status" && state.conflicts > 0 {
                state.conflicts -= 1;
                state.write_by_someone_else(&(resource.clone(), namespace.clone(), shown));
            }
            (state.log.len(), state.cut, state.trouble)
        };
        if cut == Some(Cut::Before(number)) {
            return self.cut_off(trouble).await;
        }
        let answer = self.apply(&method, &resource, &namespace, name, subresource, body);
        if cut == Some(Cut::After(number)) {
            return self.cut_off(trouble).await;
        }
        Ok(answer)
    }

    async fn cut_off(&self, trouble: Trouble) -> Result<Response<Reply>, &'static str> {
        match trouble {
            Trouble::Death => {
                self.cut.notify_one();
                std::future::pending().await
            }
            Trouble::BrokenConnection => {
                self.state.lock().unwrap().watchers.clear();
                Err("connection reset by peer")
            }
        }
    }

    fn denial(&self, request: &str) -> Option<Response<Reply>> {
        let state = self.state.lock().unwrap();
        let (_, code, message) = state.denied.iter().find(|(start, ..)| request.starts_with(start))?;
        let reason = match code {
            401 => "Unauthorized",
            404 => "NotFound",
            429 => "TooManyRequests",
            500.. => "InternalError",
            _ => "Forbidden",
        };
        Some(failure(*code, reason, message))
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
        let name = name
            .or_else(|| body["metadata"]["name"].as_str().map(str::to_owned))
            .unwrap_or_default();
        let request = format!("{method} {resource}/{name}");
        if let Some(denial) = self.denial(&request) {
            return denial;
        }
        let mut state = self.state.lock().unwrap();
        if let Some(at) = state.refusals.iter().position(|(start, ..)| request.starts_with(start)) {
            let (_, code, message) = state.refusals.remove(at);
            return failure(code, "Forbidden", &message);
        }
        let id: Id = (resource.to_owned(), namespace.to_owned(), name.clone());
        let known = state.objects.get(&id).cloned();
        let not_found = || failure(404, "NotFound", &format!("{resource} \"{name}\" not found"));
        let answer = match (method, known) {
            ("GET", Some(_)) if subresource.as_deref() == Some("log") => {
                let text = state.logs.get(&name).cloned().unwrap_or_default();
                Response::new(Full::new(text.into()).boxed_unsync())
            }
            ("GET", Some(known)) => answer(200, &known),
            ("POST", Some(_)) => {
                return failure(409, "AlreadyExists", &format!("{resource} \"{name}\" already exists"));
            }
            ("POST", None) => {
                body["metadata"]["namespace"] = json!(namespace);
                answer(201, &state.create(id, body))
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
                answer(201, &state.create(id, body))
            }
            ("DELETE", Some(mut known)) => {
                let wanted = &body["preconditions"]["uid"];
                if !wanted.is_null() && *wanted != known["metadata"]["uid"] {
                    return failure(409, "Conflict", "the UID in the precondition is another's");
                }
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
            if state.expired > 0 {
                state.expired -= 1;
                let (send, receive) = unbounded();
                let _ = send.unbounded_send(gone());
                return stream(receive);
            }
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

    /// What a request creates. An owner that does not exist any more takes it along, as the garbage collector does.
    fn create(&mut self, id: Id, object: Value) -> Value {
        if id.0 != "events" {
            self.created.push(format!("{}/{}", id.0, id.2));
        }
        let stored = self.store(id.clone(), object);
        let owners = stored["metadata"]["ownerReferences"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let lives = |owner: &Value| {
            self.objects
                .values()
                .any(|object| object["metadata"]["uid"] == owner["uid"])
        };
        if !owners.is_empty() && !owners.iter().any(lives) {
            self.remove(&id);
        }
        stored
    }

    fn write_by_someone_else(&mut self, id: &Id) {
        if let Some(mut object) = self.objects.get(id).cloned() {
            object["metadata"]["annotations"]["seen"] = json!(self.version.to_string());
            self.store(id.clone(), object);
        }
    }

    /// Removes an object and everything it owns.
    fn remove(&mut self, id: &Id) {
        let Some(mut object) = self.objects.remove(id) else {
            return;
        };
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell(id, "DELETED", &object);
        let uid = &object["metadata"]["uid"];
        let owned: Vec<Id> = self
            .objects
            .iter()
            .filter(|(_, other)| {
                let owners = other["metadata"]["ownerReferences"].as_array();
                owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == *uid))
            })
            .map(|(id, _)| id.clone())
            .collect();
        owned.iter().for_each(|id| self.remove(id));
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

fn gone() -> bytes::Bytes {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": "Expired", "message": "too old resource version", "code": 410});
    format!("{}\n", json!({"type": "ERROR", "object": status})).into()
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
