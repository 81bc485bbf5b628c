//! Events are news: they go an hour after they were last seen.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::note;
use crate::registry::Registry;
use crate::store::{ResourceKey, Write, WriteKind};

/// How long an event is kept after it was last seen.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// Time between two looks.
const EVERY: Duration = Duration::from_secs(60);

pub(super) async fn run(registry: Arc<Registry>) {
    let key: ResourceKey = "events".into();
    let mut jumps = registry.jumps.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            Ok(()) = jumps.changed() => {}
            () = registry.stopping.cancelled() => return,
        }
        let now = crate::clock::now();
        for event in registry.store.list(&key, None, None, usize::MAX, |_| true).items {
            let mut value = event.value();
            if !is_old(&value, now) {
                continue;
            }
            let kind = WriteKind::Delete {
                expected: event.revision,
            };
            let done = registry
                .store
                .write(Write::new(event.key.clone(), kind, &mut value))
                .await;
            // One that was seen again meanwhile stays.
            if !matches!(done, Err(crate::store::WriteError::Conflict)) {
                note("expiry", &event, done.map(drop));
            }
        }
    }
}

fn is_old(event: &Value, now: Timestamp) -> bool {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    let last = times
        .iter()
        .filter_map(|time| time.as_str()?.parse::<Timestamp>().ok())
        .max();
    last.is_some_and(|last| now.duration_since(last) > KEPT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_old_an_hour_after_it_was_last_seen() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        assert!(is_old(&json!({"lastTimestamp": "2026-01-01T10:59:00Z"}), now));
        assert!(!is_old(
            &json!({"firstTimestamp": "2026-01-01T01:00:00Z", "lastTimestamp": "2026-01-01T11:30:00Z"}),
            now
        ));
        assert!(!is_old(&json!({}), now));
    }
}
