//! Publishes Kubernetes Events beside the work, each once: its name derives from what it says.

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::api::PostParams;
use kube::core::Request;
use kube::{Client, Resource};
use serde::de::IgnoredAny;
use tokio::sync::mpsc;

use super::is_code;
use crate::Clock;
use crate::application::EventNote;
use crate::names::{COMPONENT, hex};

/// Events that may wait to be sent; beyond that new ones are dropped, with a log line: telling people must never delay the work.
const WAITING: usize = 10_000;
const AT_ONCE: usize = 8;

/// Takes notes and publishes them in the background.
#[derive(Clone)]
pub(crate) struct Publisher {
    notes: mpsc::Sender<Event>,
    instance: String,
    clock: Clock,
}

impl Publisher {
    /// A publisher that reports as `instance`, and the task that sends, which ends when every publisher is dropped.
    pub(crate) fn new(client: Client, instance: String, clock: Clock) -> (Self, impl Future<Output = ()> + Send) {
        let (notes, mut waiting) = mpsc::channel::<Event>(WAITING);
        let sending = futures::stream::poll_fn(move |context| waiting.poll_recv(context))
            .map(move |event| send(client.clone(), event))
            .buffer_unordered(AT_ONCE)
            .for_each(|()| std::future::ready(()));
        (Self { notes, instance, clock }, sending)
    }

    /// Publishes a note about `regarding`; `occasion` tells apart the same note said on different occasions (attempts).
    pub(crate) fn publish(&self, regarding: &ObjectReference, occasion: &str, note: &EventNote) {
        let event = event(regarding, occasion, note, &self.instance, self.clock.now());
        if self.notes.try_send(event).is_err() {
            tracing::warn!(
                name = regarding.name,
                reason = note.reason,
                "too many Events wait to be sent: one dropped"
            );
        }
    }
}

fn event(regarding: &ObjectReference, occasion: &str, note: &EventNote, instance: &str, now: Timestamp) -> Event {
    let name = regarding.name.as_deref().unwrap_or_default();
    let uid = regarding.uid.as_deref().unwrap_or_default();
    let digest = &hex(format!("{uid}/{occasion}/{}/{}", note.reason, note.note).as_bytes())[..16];
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{digest}")),
            namespace: regarding.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: regarding.clone(),
        type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(note.reason.to_owned()),
        action: Some(note.action.to_owned()),
        message: Some(shortened(&note.note)),
        source: Some(EventSource {
            component: Some(COMPONENT.to_owned()),
            host: None,
        }),
        reporting_component: Some(COMPONENT.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        event_time: Some(MicroTime(now)),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    }
}

/// Kubernetes refuses messages of more than 1024 bytes.
fn shortened(message: &str) -> String {
    if message.len() <= 1024 {
        return message.to_owned();
    }
    let end = (0..=1020).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &message[..end])
}

async fn send(client: Client, event: Event) {
    let url = Event::url_path(&(), Some(event.metadata.namespace.as_deref().unwrap_or("default")));
    let body = match serde_json::to_vec(&event) {
        Ok(body) => body,
        Err(error) => return tracing::warn!(%error, "an Event cannot be written"),
    };
    let request = Request::new(url).create(&PostParams::default(), body);
    match super::send::<IgnoredAny>(&client, request).await {
        Ok(_) => {}
        // Said before.
        Err(error) if is_code(&error, 409) => {}
        Err(error) => tracing::warn!(%error, reason = event.reason, "an Event could not be published"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_note_has_the_same_name_and_fits() {
        let regarding = ObjectReference {
            name: Some("pi".into()),
            uid: Some("u".into()),
            ..ObjectReference::default()
        };
        let note = EventNote {
            warning: true,
            reason: "SparkDriverFailed",
            action: "Watch",
            note: "ä".repeat(900),
        };
        let first = event(&regarding, "1", &note, "me", Timestamp::UNIX_EPOCH);
        let again = event(&regarding, "1", &note, "me", Timestamp::MAX);
        assert_eq!(first.metadata.name, again.metadata.name);
        assert_ne!(
            first.metadata.name,
            event(&regarding, "2", &note, "me", Timestamp::UNIX_EPOCH).metadata.name
        );
        let message = first.message.unwrap();
        assert!(message.len() <= 1024 && message.ends_with("ä…"));
    }
}
