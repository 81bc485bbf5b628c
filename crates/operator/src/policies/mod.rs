//! Policies of the team over what is submitted: the same engine and the same words as `stoke check`.
//!
//! In: policy files that the operator was started with, and ConfigMaps of one namespace with the label [`LABEL`], as they change. Out: [`Ruling`]s, for
//! reviews before an object is stored and again before it is submitted, so that nothing depends on the webhook.
//! - `sources`: files and ConfigMaps to one set that is checked as a whole (pure)
//! - `judge`: one object and a set to a ruling, by `stoke_gate::policies` (pure)
//! - `following`: the watch of ConfigMaps; who is told when one of them cannot be used
//! - `namespaces`: the Namespace that policies see, read and kept for a moment
//!
//! A set is loaded once per change and asked many times. Policies that cannot be used never open the door: while there is an older set that could be used, it
//! stays in force; while there is none, nothing is admitted and nothing is submitted.

mod following;
mod judge;
mod namespaces;
mod sources;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use serde_json::Value;
use stoke_diagnostics::Diagnostic;
use stoke_policy::{PolicyFile, PolicySet, Problem};
use stoke_submit::application::Settings;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::metrics::Metrics;
pub(crate) use following::{Reporting, follow};
pub(crate) use judge::Ruling;
use judge::UNKNOWN;
use namespaces::Namespaces;

/// Label of ConfigMaps that hold policies, with the value `true`.
pub const LABEL: &str = "stoke.dev/policy";
/// How long all rules together may take for one object: less than an API server waits for a webhook.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long a submission or review waits for ConfigMaps that are being read.
const READING: Duration = Duration::from_secs(2);

/// The policies in force; every clone asks the same.
#[derive(Clone, Default)]
pub struct Policies(Option<Arc<Shared>>);

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Policies" } else { "no Policies" })
    }
}

struct Shared {
    /// Files that are always there.
    fixed: Vec<PolicyFile>,
    /// Namespace of the ConfigMaps.
    namespace: Option<String>,
    standing: watch::Sender<Standing>,
    /// Evaluating is work for a processor: as many at once as there are processors.
    turns: Arc<Semaphore>,
    namespaces: Namespaces,
}

/// What is in force.
#[derive(Clone)]
enum Standing {
    /// Nothing is asked.
    Nothing,
    /// The ConfigMaps of this namespace were not read yet.
    Unread(Arc<str>),
    /// There are policies, and none of them could be used yet.
    Unknown(Arc<str>),
    /// These.
    Set(Arc<PolicySet>),
}

/// On what occasion an object is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// It is about to be stored.
    Admission,
    /// Its pods are about to be made.
    Submission,
}

impl At {
    fn name(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Submission => "submission",
        }
    }
}

/// What is judged.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Its kind, one of ours.
    pub(crate) kind: String,
    pub(crate) namespace: String,
    /// As it is, or would be, stored.
    pub(crate) object: Value,
}

/// With whom it is judged.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    pub(crate) client: &'a Client,
    pub(crate) settings: &'a Settings,
    pub(crate) metrics: &'a Metrics,
}

impl Policies {
    /// Policies of these files, and of the labelled ConfigMaps of a namespace. Without either nothing is asked.
    ///
    /// # Errors
    /// Everything that is wrong with the files.
    pub fn new(files: Vec<PolicyFile>, namespace: Option<String>) -> Result<Self, Vec<Problem>> {
        if files.is_empty() && namespace.is_none() {
            return Ok(Self::default());
        }
        let set = match files.is_empty() {
            true => None,
            false => Some(PolicySet::load(&files)?.not_empty()?),
        };
        let standing = match (&namespace, set) {
            (Some(namespace), _) => Standing::Unread(namespace.as_str().into()),
            (None, Some(set)) => Standing::Set(Arc::new(set)),
            (None, None) => Standing::Nothing,
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Some(Arc::new(Shared {
            fixed: files,
            namespace,
            standing: watch::Sender::new(standing),
            turns: Arc::new(Semaphore::new(processors)),
            namespaces: Namespaces::default(),
        }))))
    }

    /// True when there is someone to ask.
    pub(crate) fn are_there(&self) -> bool {
        self.0.is_some()
    }

    /// Judges an object; none when there are no policies. It has no side effect, so a dry run is judged the same.
    pub(crate) async fn judge(&self, at: At, case: Case, with: With<'_>) -> Option<Ruling> {
        let shared = self.0.as_ref()?;
        let begun = Instant::now();
        let ruling = match shared.read().await {
            Standing::Nothing => return None,
            Standing::Unread(namespace) => {
                let why = format!("the ConfigMaps of {namespace} are not read yet");
                Ruling::missing(&why, "try again; the operator's log says what keeps it")
            }
            Standing::Unknown(why) => Ruling::missing(&why, "fix the ConfigMap that is named, or take its label away"),
            Standing::Set(set) => shared.ruling(set, case, with).await,
        };
        with.metrics.judged(at.name(), &ruling, begun.elapsed());
        Some(ruling)
    }
}

impl Shared {
    fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// What is in force, after a moment for ConfigMaps that are being read.
    async fn read(&self) -> Standing {
        let mut standing = self.standing.subscribe();
        let reading = standing.wait_for(|standing| !matches!(standing, Standing::Unread(_)));
        let _ = tokio::time::timeout(READING, reading).await;
        self.standing()
    }

    fn set(&self, standing: Standing) {
        self.standing.send_replace(standing);
    }

    async fn ruling(&self, set: Arc<PolicySet>, case: Case, with: With<'_>) -> Ruling {
        let own = match self.namespaces.of(with.client, &case.namespace).await {
            Ok(own) => own,
            Err(why) => {
                let message = format!("the Namespace {} cannot be read: {why}", case.namespace);
                return Ruling::missing(&message, "grant the operator the right to get namespaces");
            }
        };
        let (turns, settings) = (self.turns.clone(), with.settings.clone());
        let judging = async {
            let turn = turns.acquire_owned().await;
            // What is not waited for any more still has its turn until it ends.
            let judging = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                judge::judge(&set, &case, &settings, own.as_deref())
            });
            judging.await
        };
        let message = match tokio::time::timeout(PATIENCE, judging).await {
            Ok(Ok(ruling)) => return ruling,
            Ok(Err(error)) => format!("judging ended early: {error}"),
            Err(_) => format!("they did not come to an end within {} s", PATIENCE.as_secs()),
        };
        Ruling {
            failed: vec![
                Diagnostic::cannot_tell(UNKNOWN, "", format!("policies cannot decide: {message}"))
                    .with_fix("make the rules cheaper, or fewer"),
            ],
            ..Ruling::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response, StatusCode};
    use jiff::Timestamp;
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    const RULE: &str = "package team\ndeny contains \"x\" if data.stoke.namespace.metadata.labels.tier == \"prod\"\n";

    /// An API server that knows one Namespace, or forbids to read it.
    fn client(status: StatusCode) -> Client {
        let answering = tower::service_fn(move |_: Request<Body>| async move {
            let body = match status {
                StatusCode::OK => {
                    json!({"kind": "Namespace", "metadata": {"name": "jobs", "labels": {"tier": "prod"}, "managedFields": []}})
                }
                status => {
                    json!({"kind": "Status", "status": "Failure", "code": status.as_u16(), "message": "by the test",
                    "reason": if status == StatusCode::NOT_FOUND { "NotFound" } else { "Forbidden" }})
                }
            };
            let answer = Response::builder().status(status);
            let answer = answer.header("content-type", "application/json");
            Ok::<_, tower::BoxError>(answer.body(Body::from(body.to_string().into_bytes()))?)
        });
        Client::new(answering, "default")
    }

    async fn ruling(policies: &Policies, status: StatusCode) -> Option<Ruling> {
        let case = Case {
            kind: "SparkApplication".into(),
            namespace: "jobs".into(),
            object: json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "pi"}, "spec": {}}),
        };
        let settings = Settings::new("k8s://https://kubernetes.default.svc", Timestamp::UNIX_EPOCH);
        let with = With {
            client: &client(status),
            settings: &settings,
            metrics: &Metrics::default(),
        };
        policies.judge(At::Admission, case, with).await
    }

    #[tokio::test]
    async fn nothing_is_asked_where_there_is_nothing_and_wrong_files_are_refused_at_once() {
        assert_eq!(ruling(&Policies::default(), StatusCode::OK).await, None);
        let none = Policies::new(Vec::new(), None).unwrap();
        assert_eq!(ruling(&none, StatusCode::OK).await, None);
        let file = |text: &str| vec![PolicyFile::new("a.rego", text)];
        assert!(Policies::new(file("package a\ndeny contains {\n"), None).is_err());
        let empty = Policies::new(file("package a\nx := 1\n"), Some("ops".into())).unwrap_err();
        assert_eq!(empty[0].code, "policy-empty");
    }

    #[tokio::test]
    async fn the_namespace_is_seen_and_one_that_cannot_be_read_lets_nothing_pass() {
        let policies = || Policies::new(vec![PolicyFile::new("a.rego", RULE)], None).unwrap();
        let seen = ruling(&policies(), StatusCode::OK).await.unwrap();
        assert_eq!((seen.denied.len(), seen.result()), (1, "denied"));
        let forbidden = ruling(&policies(), StatusCode::FORBIDDEN).await.unwrap();
        let missing = forbidden.missing.as_ref().unwrap().line();
        assert!(
            missing.starts_with("policies cannot be asked: the Namespace jobs cannot be read: ")
                && missing.ends_with("; grant the operator the right to get namespaces [policy-unknown]"),
            "{missing}"
        );
        assert_eq!((forbidden.passes(), forbidden.result()), (false, "unknown"));
        // One that is not there has no labels.
        assert!(ruling(&policies(), StatusCode::NOT_FOUND).await.unwrap().passes());
    }

    #[tokio::test(start_paused = true)]
    async fn configmaps_that_are_not_read_are_waited_for_and_then_nothing_passes() {
        let policies = Policies::new(Vec::new(), Some("ops".into())).unwrap();
        let begun = Instant::now();
        let unread = ruling(&policies, StatusCode::OK).await.unwrap();
        assert!(
            unread
                .missing
                .unwrap()
                .message
                .contains("the ConfigMaps of ops are not read yet")
        );
        assert_eq!(begun.elapsed(), READING);
        let reading = async {
            tokio::time::sleep(READING / 2).await;
            policies.0.as_ref().unwrap().set(Standing::Nothing);
        };
        let (ruling, ()) = tokio::join!(ruling(&policies, StatusCode::OK), reading);
        assert_eq!(ruling, None);
    }
}
