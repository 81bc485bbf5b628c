//! watch: events of the store as a stream of JSON, over chunked HTTP or over a WebSocket.
//!
//! A watcher is a cursor: it reads events after its revision when it can send them. One that falls out of the window is told 410 and ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures::{SinkExt, Stream, StreamExt};
use http::HeaderValue;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::call::{Call, with_warnings};
use super::handlers::bodies::table_of;
use super::handlers::options::{check_versions, revision as read_revision};
use super::handlers::read::{reached, selectors};
use crate::apimachinery::objects::{metadata_of, present};
use crate::apimachinery::request::Form;
use crate::apimachinery::selectors::{FieldSelector, LabelSelector};
use crate::apimachinery::status::Status;
use crate::store::{Event, EventKind, Interest, Object};

/// Events read from the store at once.
const BATCH: usize = 256;
/// Time between bookmarks on a quiet watch.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch lasts when the client does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);

struct Watcher {
    call: Call,
    labels: LabelSelector,
    fields: FieldSelector,
    revision: u64,
    /// Frames to send, and objects whose frames are made when they are sent.
    waiting: VecDeque<Waiting>,
    interest: Interest,
    commits: tokio::sync::watch::Receiver<u64>,
    ends: Instant,
    next_bookmark: Instant,
    bookmarks: bool,
    columns_sent: bool,
    /// Its time is over: what waits is still sent.
    ending: bool,
    done: bool,
}

enum Waiting {
    Frame(Bytes),
    Added(Arc<Object>),
}

/// Starts a watch and answers with its stream.
pub async fn serve(call: Call, upgrade: Option<WebSocketUpgrade>) -> Result<Response, Status> {
    let warnings = call.warnings.clone();
    let watcher = Watcher::start(call)?;
    if let Some(upgrade) = upgrade {
        return Ok(upgrade.on_upgrade(move |socket| over_websocket(socket, watcher)));
    }
    let frames = watcher.frames().map(|frame| {
        let mut line = Vec::with_capacity(frame.len() + 1);
        line.extend_from_slice(&frame);
        line.push(b'\n');
        Ok::<_, std::convert::Infallible>(Bytes::from(line))
    });
    let mut response = Response::new(Body::from_stream(frames));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/json"));
    Ok(with_warnings(response, &warnings))
}

/// One text frame per event; ends when either side does.
async fn over_websocket(socket: WebSocket, watcher: Watcher) {
    let (mut sender, mut receiver) = socket.split();
    let frames = watcher.frames();
    futures::pin_mut!(frames);
    loop {
        tokio::select! {
            frame = frames.next() => {
                let Some(frame) = frame else { break };
                let Ok(text) = String::from_utf8(frame.to_vec()) else { break };
                if sender.send(Message::Text(text.into())).await.is_err() {
                    return;
                }
            }
            message = receiver.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            }
        }
    }
    // The peer may be gone already.
    let _ = sender.send(Message::Close(None)).await;
}

impl Watcher {
    fn start(mut call: Call) -> Result<Watcher, Status> {
        check_versions(&call.query, true)?;
        let (labels, fields) = selectors(&call)?;
        // A watch of one object by its path is a watch of its name.
        let fields = match call.request.target.name.take() {
            Some(name) => {
                let resource = call.resource();
                FieldSelector::parse(&format!("metadata.name={name}"), &resource.key, None)?
            }
            None => fields,
        };
        let asked = call.query.get("resourceVersion").map(read_revision).transpose();
        // The real server takes this for a fault of its own.
        let asked = asked.map_err(|error| Status::new(500, "", error.message))?;
        let initial = call.query.flag("sendInitialEvents");
        let seconds = call
            .query
            .get("timeoutSeconds")
            .and_then(|text| text.parse().ok())
            .filter(|seconds| *seconds > 0);
        let lasts = seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        let now = Instant::now();
        let interest = Interest::one(&call.request.target.resource.key);
        let mut watcher = Watcher {
            labels,
            fields,
            revision: 0,
            waiting: VecDeque::new(),
            commits: call.registry().store.subscribe(interest.clone()),
            interest,
            ends: now + lasts,
            next_bookmark: now + BOOKMARK_EVERY,
            bookmarks: call.query.flag("allowWatchBookmarks"),
            columns_sent: false,
            ending: false,
            done: false,
            call,
        };
        let explicit_none = watcher.call.query.get("sendInitialEvents") == Some("false");
        match asked {
            Some(revision) if revision > 0 && !initial => watcher.revision = revision,
            _ if explicit_none => watcher.revision = watcher.call.registry().store.revision(),
            asked => {
                reached(&watcher.call, asked.unwrap_or_default())?;
                watcher.send_current(initial && watcher.bookmarks);
            }
        }
        Ok(watcher)
    }

    /// Queues what exists now as added.
    fn send_current(&mut self, mark_end: bool) {
        let resource = self.call.request.target.resource.clone();
        let namespace = self.call.request.target.namespace.clone();
        let page = {
            let keep = |object: &Object| self.matches(object);
            self.call
                .registry()
                .store
                .list(&resource.key, namespace.as_deref(), None, usize::MAX, keep)
        };
        self.revision = page.revision;
        self.waiting.extend(page.items.into_iter().map(Waiting::Added));
        if mark_end {
            let bookmark = self.bookmark(true);
            self.waiting.push_back(Waiting::Frame(bookmark));
        }
    }

    fn matches(&self, object: &Object) -> bool {
        (self.labels.is_empty() || self.labels.matches(&object.fields))
            && (self.fields.is_empty() || self.fields.matches(object))
    }

    /// What an event is to this watcher: an object that starts or stops matching is added or deleted for it.
    fn frame_of(&mut self, event: &Event) -> Option<Bytes> {
        let object = &event.object;
        if self
            .call
            .request
            .target
            .namespace
            .as_deref()
            .is_some_and(|namespace| *namespace != *object.key.namespace)
        {
            return None;
        }
        let before = event.previous.as_ref().is_some_and(|previous| self.matches(previous));
        let word = if event.kind == EventKind::Deleted {
            before.then_some("DELETED")
        } else {
            match (before, self.matches(object)) {
                (false, true) => Some("ADDED"),
                (true, true) => Some("MODIFIED"),
                (true, false) => Some("DELETED"),
                (false, false) => None,
            }
        }?;
        let resource = self.call.request.target.resource.clone();
        Some(self.frame(word, &present(&resource, object)))
    }

    fn frame(&mut self, word: &str, object: &[u8]) -> Bytes {
        let shaped;
        let object = match self.call.form {
            Form::Object => object,
            Form::Metadata => {
                shaped = metadata_of(&serde_json::from_slice(object).unwrap_or_default()).to_string();
                shaped.as_bytes()
            }
            Form::Table => {
                let value: Value = serde_json::from_slice(object).unwrap_or_default();
                let version = value["metadata"]["resourceVersion"].clone();
                let metadata = Map::from_iter([("resourceVersion".to_owned(), version)]);
                let mut table = table_of(&self.call, &[value], metadata);
                if self.columns_sent {
                    table["columnDefinitions"] = Value::Null;
                }
                self.columns_sent = true;
                shaped = table.to_string();
                shaped.as_bytes()
            }
        };
        let mut frame = Vec::with_capacity(object.len() + 32);
        frame.extend_from_slice(b"{\"type\":\"");
        frame.extend_from_slice(word.as_bytes());
        frame.extend_from_slice(b"\",\"object\":");
        frame.extend_from_slice(object);
        frame.push(b'}');
        frame.into()
    }

    fn bookmark(&self, initial_end: bool) -> Bytes {
        let resource = self.call.resource();
        let mut metadata = json!({"resourceVersion": self.revision.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.call.form {
            Form::Object => json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata}),
            Form::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Form::Table => {
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": self.revision.to_string()},
                "columnDefinitions": null, "rows": []})
            }
        };
        json!({"type": "BOOKMARK", "object": object}).to_string().into()
    }

    /// The frames of the watch, without end-of-line.
    fn frames(self) -> impl Stream<Item = Bytes> + Send {
        futures::stream::unfold(self, |mut watcher| async move {
            let frame = watcher.next().await?;
            Some((frame, watcher))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.waiting.pop_front() {
                Some(Waiting::Frame(frame)) => return Some(frame),
                Some(Waiting::Added(object)) => {
                    let resource = self.call.request.target.resource.clone();
                    return Some(self.frame("ADDED", &present(&resource, &object)));
                }
                None => {}
            }
            if self.done {
                return None;
            }
            if self.catch_up() {
                continue;
            }
            let stopping = self.call.registry().stopping.clone();
            let mark = tokio::select! {
                changed = self.commits.changed() => {
                    self.done |= changed.is_err();
                    false
                }
                () = sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
                    true
                }
                () = sleep_until(self.ends) => {
                    self.ending = true;
                    self.bookmarks
                }
                () = stopping.cancelled() => {
                    self.done = true;
                    false
                }
            };
            // Commits that concern others do not wake this watcher: how far it has seen is looked up for the bookmark.
            if mark {
                self.catch_up();
                if !self.done {
                    let bookmark = self.bookmark(false);
                    self.waiting.push_back(Waiting::Frame(bookmark));
                }
            }
            self.done |= self.ending;
        }
    }

    /// Queues what happened since; true when there may be more to say at once.
    fn catch_up(&mut self) -> bool {
        // Marked as seen before reading, so that a commit in between wakes us again.
        self.commits.borrow_and_update();
        match self
            .call
            .registry()
            .store
            .events_after(&self.interest, self.revision, BATCH)
        {
            Ok((events, complete)) => {
                for event in &events {
                    let frame = self.frame_of(event);
                    self.waiting.extend(frame.map(Waiting::Frame));
                }
                self.revision = self.revision.max(complete);
                !self.waiting.is_empty() || events.len() == BATCH
            }
            Err(compacted) => {
                let message = format!("too old resource version: {} ({})", self.revision, compacted.oldest);
                let status = Status::expired(message).to_json();
                let frame = json!({"type": "ERROR", "object": status}).to_string().into();
                self.waiting.push_back(Waiting::Frame(frame));
                self.done = true;
                true
            }
        }
    }
}
