//! The loop: watches touch keys, and one key is worked on by one task at a time, facts to rest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::SelectAll;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::Api;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde_json::Value;
use stoke_model::crd::{ConnectState, SparkConnect, SparkConnectStatus};
use stoke_model::names;
use stoke_submit::application::Settings;
use stoke_submit::connect::{Ui, ui};
use tokio::sync::{mpsc, watch as signal};
use tracing::Instrument;

use super::cache::{Cache, object_key, pod_key};
use super::decide::{Action, CONDITION, decide};
use super::facts::{Facts, Outcome, Server, ServerPod};
use super::server;
use super::usage::Usage;
use super::visit::{Place, Visits};
use crate::act::events::Publisher;
use crate::act::{is_code, status};
use crate::controller::follow::{self, Followed, follow};
use crate::controller::seen::{Seen, SeenPod};
use crate::controller::{Clock, Key};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::names::spec_digest;
use crate::policies::{At, Case, Policies, With};
use crate::reach::Reach;

/// API version of the resource.
const API_VERSION: &str = "sparkoperator.k8s.io/v1alpha1";
/// Decisions in one go; a server needs five to be greeted and looked at.
const ROUNDS: usize = 12;
/// An API server that does not answer for so long holds up this object only, and only until then.
const PATIENCE: Duration = Duration::from_secs(90);
/// Waits after failures: the first, doubled each time up to the last.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// How soon to look whether an object that another operator serves has become ours.
const NOT_OURS: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

/// What all parts share.
#[derive(Clone)]
pub(crate) struct Context {
    client: Client,
    publisher: Publisher,
    settings: Arc<Settings>,
    policies: Policies,
    /// Watched namespaces, or one empty name for all.
    scopes: Arc<Vec<String>>,
    gate: Gate,
    clock: Clock,
    metrics: Metrics,
    visits: Visits,
    reach: Reach,
    cache: Cache,
}

impl Context {
    /// With what the operator's other controllers use, too.
    pub(crate) fn new(operator: &crate::controller::Context, visits: Visits) -> Self {
        Self {
            client: operator.client.clone(),
            publisher: operator.publisher.clone(),
            settings: operator.settings.clone(),
            policies: operator.policies.clone(),
            scopes: operator.scopes.clone(),
            gate: operator.gate.clone(),
            clock: operator.clock.clone(),
            metrics: operator.metrics.clone(),
            visits,
            reach: operator.reach.clone(),
            cache: Cache::default(),
        }
    }
}

/// Serves `SparkConnect` objects until `stop` turns true.
pub(crate) async fn run(context: Context, mut stop: signal::Receiver<bool>) {
    let (touch, touched) = mpsc::unbounded_channel();
    tokio::select! {
        () = watch_all(context.clone(), touch) => {}
        () = work(context, touched) => {}
        () = crate::controller::stopped(&mut stop) => {}
    }
}

/// One task per object that something happened to; it ends when there is nothing to wait for. Servers are few: no pool.
async fn work(context: Context, mut touched: mpsc::UnboundedReceiver<Key>) {
    let mut tasks = tokio::task::JoinSet::new();
    let mut waking: HashMap<Key, mpsc::UnboundedSender<()>> = HashMap::new();
    loop {
        tokio::select! {
            key = touched.recv() => {
                let Some(key) = key else { return };
                if waking.get(&key).is_some_and(|wake| wake.send(()).is_ok()) {
                    continue;
                }
                let (wake, woken) = mpsc::unbounded_channel();
                let _ = wake.send(());
                waking.insert(key.clone(), wake);
                tasks.spawn(attend(context.clone(), key, woken));
            }
            Some(ended) = tasks.join_next() => {
                // The receiver is gone with the task, so the next touch starts another.
                if let Err(error) = ended
                    && error.is_panic()
                {
                    tracing::error!(%error, "a panic while working on a SparkConnect");
                }
                waking.retain(|_, wake| !wake.is_closed());
            }
        }
    }
}

/// Works on one object whenever it is woken or due, until it is gone.
async fn attend(context: Context, key: Key, mut woken: mpsc::UnboundedReceiver<()>) {
    let mut due: Option<Duration> = None;
    let mut failures = 0_u32;
    let mut returns = context.reach.returns();
    loop {
        let wait = async {
            match due {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            told = woken.recv() => {
                if told.is_none() {
                    return;
                }
                // All that happened so far is in the cache.
                while woken.try_recv().is_ok() {}
            }
            () = wait => {}
        }
        let span = tracing::info_span!("connect", namespace = %key.namespace, name = %key.name);
        let turn = tokio::time::timeout(PATIENCE, turn(&context, &key))
            .instrument(span)
            .await;
        match turn {
            Ok(Ok(Some(again))) => {
                failures = 0;
                due = again.map(|at| {
                    let wait = Duration::try_from(at.duration_since(context.clock.now())).unwrap_or_default();
                    wait + Duration::from_millis(1)
                });
            }
            // The object is gone.
            Ok(Ok(None)) => return,
            failed => {
                if let Ok(Err(error)) = failed {
                    tracing::warn!(%error, "the API server did not do what was asked; trying again");
                }
                if returns.has_changed().unwrap_or_default() {
                    returns.mark_unchanged();
                    failures = 0;
                }
                let wait = BACK_OFF.0.saturating_mul(1 << failures.min(10)).min(BACK_OFF.1);
                failures = failures.saturating_add(1);
                // What wakes it meanwhile would meet the same trouble, unless it is that the server is back.
                let _ = tokio::time::timeout(wait, returns.changed()).await;
                due = Some(Duration::ZERO);
            }
        }
    }
}

/// One object, once: facts, decision, status, action, until there is nothing to do now. None when the object is gone.
async fn turn(context: &Context, key: &Key) -> Result<Option<Option<Timestamp>>, kube::Error> {
    let Some((mut stored, mut facts)) = context.cache.facts(key) else {
        context.metrics.forget_server(key);
        return Ok(None);
    };
    if !context.gate.is_ours(key) {
        context.metrics.forget_server(key);
        // Another operator has the lease; it costs nothing but a look into memory to see whether it still has.
        return Ok(Some(Some(context.clock.now() + NOT_OURS)));
    }
    if let Err(reason) = read(&stored, &mut facts) {
        // The schema of the definition lets this through only when the definition is another's.
        tracing::warn!(reason, "this SparkConnect cannot be read");
        return Ok(Some(None));
    }
    for _ in 0..ROUNDS {
        let decision = decide(&facts, context.clock.now());
        if !write(context, key, &mut stored, &facts, &decision.status).await? {
            return Ok(Some(Some(context.clock.now())));
        }
        facts.connect.status = Some(decision.status);
        report(context, key, &facts.connect);
        for note in &decision.events {
            // A server may be stopped and started again without an edit.
            let attempts = facts.connect.status.as_ref().map_or(0, |status| status.attempts);
            let generation = facts.connect.metadata.generation.unwrap_or_default();
            let occasion = format!("{generation}-{attempts}");
            context.publisher.publish(&regarding(&stored), &occasion, note);
        }
        facts.outcome = None;
        let Some(action) = decision.action else {
            return Ok(Some(decision.requeue_at));
        };
        act(context, key, &stored, &mut facts, &action).await?;
    }
    Ok(Some(Some(context.clock.now() + jiff::SignedDuration::from_secs(5))))
}

async fn act(
    context: &Context,
    key: &Key,
    stored: &DynamicObject,
    facts: &mut Facts,
    action: &Action,
) -> Result<(), kube::Error> {
    let client = &context.client;
    match action {
        Action::Look => facts.server = server::look(client, &facts.connect).await?,
        Action::Create(attempt) => {
            if let Some(refused) = judged(context, key, stored).await {
                // What a turn that was cut off had begun is gone on with.
                facts.server = server::look(client, &facts.connect).await?;
                if !matches!(facts.server, Server::Present(_)) {
                    facts.outcome = Some(refused);
                    return Ok(());
                }
            }
            let (connect, digest) = (&facts.connect, facts.spec_digest.as_str());
            let (outcome, server) = server::create(client, connect, digest, *attempt, &context.settings).await?;
            facts.outcome = Some(outcome);
            if let Some(server) = server {
                facts.server = server;
            }
        }
        Action::Delete(uid) => facts.server = server::delete(client, &facts.connect, uid).await?,
        Action::Greet => {
            let Server::Present(pod) = &facts.server else {
                return Ok(());
            };
            let place = place(&facts.connect, pod, port(&facts.connect));
            facts.outcome = Some(context.visits.0.greet(client, &place).await);
        }
        Action::Count => {
            let Server::Present(pod) = &facts.server else {
                return Ok(());
            };
            let usage = match ui(&facts.connect, &context.settings) {
                Ok(Ui::At(port)) => {
                    let place = place(&facts.connect, pod, port);
                    context.visits.0.count(client, &place).await
                }
                Ok(Ui::Off(why)) => Usage::off(why),
                Err(error) => Usage::unreadable(error),
            };
            let at = context.clock.now();
            context.cache.counted(key, at, &usage);
            (facts.counted_at, facts.outcome) = (Some(at), Some(Outcome::Counted(usage)));
        }
    }
    Ok(())
}

/// Why policies do not let a server be made. What they deny, an edit can change; what they cannot tell is asked again.
async fn judged(context: &Context, key: &Key, stored: &DynamicObject) -> Option<Outcome> {
    let mut object = serde_json::to_value(stored).ok()?;
    object["apiVersion"] = API_VERSION.into();
    object["kind"] = "SparkConnect".into();
    let case = Case {
        kind: "SparkConnect".to_owned(),
        namespace: key.namespace.clone(),
        object,
    };
    let with = With {
        client: &context.client,
        settings: &context.settings,
        metrics: &context.metrics,
    };
    let ruling = context.policies.judge(At::Submission, case, with).await?;
    (!ruling.passes()).then(|| Outcome::Refused {
        message: ruling.summary(),
        permanent: !ruling.denied.is_empty(),
    })
}

fn place(connect: &SparkConnect, pod: &ServerPod, port: u16) -> Place {
    Place {
        namespace: connect.namespace().unwrap_or_default(),
        pod: names::connect_server(&connect.name_any()),
        ip: pod.ip.clone(),
        port,
    }
}

/// The server in numbers.
fn report(context: &Context, key: &Key, connect: &SparkConnect) {
    let Some(status) = &connect.status else { return };
    let is_idle = |condition: &Condition| condition.type_ == CONDITION && condition.reason == names::REASON_IDLE;
    let state = match status.state {
        _ if status.conditions.iter().any(is_idle) => "Idle",
        ConnectState::New => "New",
        ConnectState::Provisioning => "Provisioning",
        ConnectState::Ready => "Ready",
        ConnectState::NotReady => "NotReady",
        ConnectState::Failed => "Failed",
    };
    let counts = match context.cache.last_counted(key) {
        Some(Usage::Known(counts)) if state == "Ready" => Some((counts.sessions, counts.operations)),
        _ => None,
    };
    context.metrics.server(key, state, counts);
}

/// The port in the address clients are given, which the plan of the server said.
fn port(connect: &SparkConnect) -> u16 {
    let url = connect.status.as_ref().and_then(|status| status.server.url.as_deref());
    let port = url
        .and_then(|url| url.rsplit_once(':'))
        .and_then(|(_, port)| port.parse().ok());
    port.unwrap_or(names::CONNECT_PORT)
}

/// Writes the status if it changed; false when the object changed meanwhile.
async fn write(
    context: &Context,
    key: &Key,
    stored: &mut DynamicObject,
    facts: &Facts,
    new: &SparkConnectStatus,
) -> Result<bool, kube::Error> {
    let old = match &facts.connect.status {
        Some(old) if old == new => return Ok(true),
        Some(old) => serde_json::to_value(old).map_err(kube::Error::SerdeError)?,
        None => Value::Null,
    };
    let new = serde_json::to_value(new).map_err(kube::Error::SerdeError)?;
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &key.namespace, &resource());
    let version = stored.resource_version().unwrap_or_default();
    match status::write(&api, &key.name, &version, &old, &new).await {
        Ok(written) => {
            if let Some(written) = written {
                context.cache.object_answered(&written);
                *stored = written;
            }
            Ok(true)
        }
        Err(error) if is_code(&error, 409) => {
            if let Some(current) = api.get_opt(&key.name).await? {
                context.cache.object_answered(&current);
            }
            Ok(false)
        }
        // Its end will be told.
        Err(error) if is_code(&error, 404) => {
            context.cache.object_gone(stored);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Reads the stored object into the facts.
fn read(stored: &DynamicObject, facts: &mut Facts) -> Result<(), String> {
    let part = |name: &str| stored.data.get(name).cloned().unwrap_or_default();
    let spec = part("spec");
    facts.spec_digest = spec_digest(&spec);
    let spec = serde_json::from_value(spec).map_err(|error| format!("spec cannot be read: {error}"))?;
    let status = part("status");
    let status = (!status.is_null()).then(|| serde_json::from_value(status));
    facts.connect = SparkConnect {
        metadata: stored.metadata.clone(),
        spec,
        status: status
            .transpose()
            .map_err(|error| format!("status cannot be read: {error}"))?,
    };
    Ok(())
}

fn regarding(stored: &DynamicObject) -> ObjectReference {
    ObjectReference {
        api_version: Some(API_VERSION.to_owned()),
        kind: Some("SparkConnect".to_owned()),
        name: stored.metadata.name.clone(),
        namespace: stored.metadata.namespace.clone(),
        uid: stored.metadata.uid.clone(),
        resource_version: stored.metadata.resource_version.clone(),
        field_path: None,
    }
}

/// The resource `SparkConnect`.
fn resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(names::GROUP, "v1alpha1", "SparkConnect"),
        "sparkconnects",
    )
}

enum Change {
    Object(String, Box<Event<Seen>>),
    Pod(String, Box<Event<SeenPod>>),
}

/// Keeps the cache up to date and touches keys: two watches per scope.
async fn watch_all(context: Context, touch: mpsc::UnboundedSender<Key>) {
    let mut told: SelectAll<Followed<Change>> = SelectAll::new();
    let servers = watcher::Config::default().labels(names::LABEL_CONNECT_NAME);
    for scope in context.scopes.iter() {
        let (of_objects, of_pods) = (scope.clone(), scope.clone());
        let objects = follow::objects(&context.client, scope, &resource());
        told.push(follow(
            &context.reach,
            objects,
            watcher::Config::default(),
            move |event| Change::Object(of_objects.clone(), Box::new(event)),
        ));
        told.push(follow(
            &context.reach,
            follow::pods(&context.client, scope),
            servers.clone(),
            move |event| Change::Pod(of_pods.clone(), Box::new(event)),
        ));
    }
    let mut listing = Listing::default();
    while let Some(told) = told.next().await {
        let keys = match told {
            Change::Object(scope, event) => listing.object(&context.cache, &scope, *event),
            Change::Pod(scope, event) => listing.pod(&context.cache, &scope, *event),
        };
        if keys.into_iter().any(|key| touch.send(key).is_err()) {
            return;
        }
    }
}

/// Names told by a list that is not complete yet, per scope.
#[derive(Default)]
struct Listing {
    objects: HashMap<String, HashSet<Key>>,
    pods: HashMap<String, HashSet<(Key, String)>>,
}

impl Listing {
    fn object(&mut self, cache: &Cache, scope: &str, event: Event<Seen>) -> Vec<Key> {
        match event {
            Event::Init => {
                self.objects.insert(scope.to_owned(), HashSet::new());
                Vec::new()
            }
            Event::InitApply(object) => {
                let listed = self.objects.entry(scope.to_owned()).or_default();
                listed.extend(object_key(&object));
                cache.object_seen(&object).into_iter().collect()
            }
            Event::InitDone => {
                cache.objects_listed(scope, &self.objects.remove(scope).unwrap_or_default());
                Vec::new()
            }
            Event::Apply(object) => cache.object_seen(&object).into_iter().collect(),
            Event::Delete(object) => {
                cache.object_gone(&object);
                object_key(&object).into_iter().collect()
            }
        }
    }

    fn pod(&mut self, cache: &Cache, scope: &str, event: Event<SeenPod>) -> Vec<Key> {
        match event {
            Event::Init => {
                self.pods.insert(scope.to_owned(), HashSet::new());
                Vec::new()
            }
            Event::InitApply(pod) => {
                let Some(pod) = pod.well_formed() else {
                    return Vec::new();
                };
                let listed = self.pods.entry(scope.to_owned()).or_default();
                listed.extend(pod_key(&pod).map(|key| (key, pod.name_any())));
                cache.pod_seen(&pod).into_iter().collect()
            }
            Event::InitDone => cache.pods_listed(scope, &self.pods.remove(scope).unwrap_or_default()),
            Event::Apply(pod) => pod
                .well_formed()
                .and_then(|pod| cache.pod_seen(&pod))
                .into_iter()
                .collect(),
            Event::Delete(pod) => pod
                .well_formed()
                .and_then(|pod| cache.pod_gone(&pod))
                .into_iter()
                .collect(),
        }
    }
}
