//! A bound on the requests to the API server, as clients of other operators have one: a bucket of tokens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::time::Instant;

use crate::client::through;

/// Most requests in a second over a long time, and how many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestLimit {
    /// Requests per second, more than 0.
    pub per_second: f64,
    /// Requests at once, at least 1.
    pub burst: u32,
}

impl RequestLimit {
    /// The limit of these flags: none without requests per second, and as many at once as in a second when that is not said.
    #[must_use]
    pub fn of(per_second: f64, burst: u32) -> Option<Self> {
        let usual = per_second.ceil().clamp(1.0, f64::from(u32::MAX));
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped and whole"
        )]
        let burst = if burst == 0 { usual as u32 } else { burst };
        (per_second > 0.0 && per_second.is_finite()).then_some(Self { per_second, burst })
    }
}

/// Tokens that are there; fewer than none when requests wait for theirs.
#[derive(Debug)]
struct Bucket {
    limit: RequestLimit,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(limit: RequestLimit, now: Instant) -> Self {
        Self {
            limit,
            tokens: f64::from(limit.burst),
            filled: now,
        }
    }

    /// Takes a token; gives how long to wait until it is there.
    fn take(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + passed * self.limit.per_second).min(f64::from(self.limit.burst)) - 1.0;
        let missing = (-self.tokens).max(0.0) / self.limit.per_second;
        Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX)
    }
}

/// The client whose requests wait for their token, in the order in which they came. A watch is one long answer and takes none.
pub(super) fn throttled(client: &Client, limit: RequestLimit) -> Client {
    let bucket = Arc::new(Mutex::new(Bucket::new(limit, Instant::now())));
    through(client, move |inner, request| {
        let bucket = bucket.clone();
        async move {
            let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            if !is_watch {
                let wait = bucket
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(Instant::now());
                tokio::time::sleep(wait).await;
            }
            inner.send(request).await.map_err(tower::BoxError::from)
        }
    })
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Api;
    use kube::api::{ListParams, WatchParams};
    use kube::client::Body;

    use super::*;

    #[test]
    fn flags_make_a_limit() {
        let of = |per_second, burst| RequestLimit::of(per_second, burst).map(|limit| (limit.per_second, limit.burst));
        let cases = [
            ((0.0, 30), None),
            ((-1.0, 0), None),
            ((f64::INFINITY, 0), None),
            ((20.0, 30), Some((20.0, 30))),
            ((2.5, 0), Some((2.5, 3))),
            ((0.1, 0), Some((0.1, 1))),
        ];
        for ((per_second, burst), expected) in cases {
            assert_eq!(of(per_second, burst), expected, "{per_second} {burst}");
        }
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate_and_fills_again() {
        let begun = Instant::now();
        let mut bucket = Bucket::new(
            RequestLimit {
                per_second: 2.0,
                burst: 3,
            },
            begun,
        );
        let mut take = |after: u64| bucket.take(begun + Duration::from_millis(after)).as_millis();
        assert_eq!([take(0), take(0), take(0), take(0), take(0)], [0, 0, 0, 500, 1000]);
        assert_eq!(take(1000), 500, "one of the two that wait has gone");
        assert_eq!(
            [take(60_000), take(60_000), take(60_000), take(60_000)],
            [0, 0, 0, 500],
            "never more than the burst"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_and_watches_do_not() {
        let answering = tower::service_fn(|_: Request<Body>| async {
            let list = r#"{"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {}, "items": []}"#;
            Ok::<_, tower::BoxError>(Response::new(Body::from(list.as_bytes().to_vec())))
        });
        let client = Client::new(answering, "default");
        let limited = throttled(
            &client,
            RequestLimit {
                per_second: 1.0,
                burst: 1,
            },
        );
        let api: Api<ConfigMap> = Api::namespaced(limited, "default");
        let begun = Instant::now();
        for _ in 0..4 {
            api.list(&ListParams::default()).await.unwrap();
        }
        assert_eq!(begun.elapsed().as_secs(), 3);
        for _ in 0..4 {
            drop(api.watch(&WatchParams::default(), "0").await.unwrap());
        }
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}
