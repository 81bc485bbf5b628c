//! Watches, cache, work queue: when something happens to an application or its pods, [`reconcile`] runs for it, alone.

pub(crate) mod cache;
mod clock;
pub(crate) mod follow;
pub(crate) mod gathering;
mod judging;
pub(crate) mod queue;
pub(crate) mod reconcile;
pub(crate) mod schedules;
pub(crate) mod seen;
mod turn;
mod watches;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::core::{ApiResource, GroupVersionKind};
use stoke_submit::application::Settings;
use tokio::sync::{mpsc, watch};

use crate::act::events::Publisher;
use crate::application::Limits;
use crate::connect::Visits;
use crate::gate::Gate;
use crate::health::Health;
use crate::images::ImagePolicy;
use crate::logs::{KeepLogs, Keeper};
use crate::metrics::{self, Metrics};
use crate::plan::{NativePlanner, Planner};
use crate::policies::{self, Policies};
use crate::quality::Runner;
use crate::reach::Reach;
use cache::Cache;
pub use clock::Clock;
use gathering::Gathering;
use queue::Worked;

/// The API server as every pod sees it.
const IN_CLUSTER_MASTER: &str = "k8s://https://kubernetes.default.svc";

/// Names of the queues, in metrics and health.
const APPLICATIONS: &str = "SparkApplication";
const SCHEDULES: &str = "ScheduledSparkApplication";

/// Namespace and name of an application.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// How an operator behaves.
#[derive(Clone, Debug)]
pub struct OperatorConfig {
    /// Namespaces to watch; none means all.
    pub namespaces: Vec<String>,
    /// Who this is, in Events.
    pub identity: String,
    /// Applications worked on at the same time.
    pub workers: usize,
    /// How submissions are made.
    pub settings: Settings,
    /// How long an application's steps may take when its annotations say nothing else.
    pub limits: Limits,
    /// What time it is.
    pub clock: Clock,
    /// Which applications are ours; by default all.
    pub gate: Gate,
    /// Where things are counted.
    pub metrics: Metrics,
    /// Where it is told that the operator lives and is ready.
    pub health: Health,
    /// How Connect servers are visited.
    pub visits: Visits,
    /// How logs are kept; by default not at all.
    pub logs: Option<KeepLogs>,
    /// What is asked before pods are made; by default nothing.
    pub policies: Policies,
    /// Who verifies images before pods are made; by default no one.
    pub images: ImagePolicy,
    /// Where pods that check data get `stoke` from; without it no check can be made.
    pub quality: Option<Runner>,
    /// Where it is told whether the API server answers.
    pub reach: Reach,
}

impl Default for OperatorConfig {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            identity: crate::names::COMPONENT.to_owned(),
            workers: 64,
            settings: Settings::new(IN_CLUSTER_MASTER, Timestamp::UNIX_EPOCH),
            limits: Limits {
                // Waiting for a node may be someone's plan (queues, autoscalers); an image that cannot be pulled never is.
                start: Some(SignedDuration::from_mins(10)),
                ..Limits::default()
            },
            clock: Clock::default(),
            gate: Gate::open(),
            metrics: Metrics::default(),
            health: Health::default(),
            visits: Visits::default(),
            logs: None,
            policies: Policies::default(),
            images: ImagePolicy::default(),
            quality: None,
            reach: Reach::default(),
        }
    }
}

/// What every part of a running operator shares.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) cache: Cache,
    pub(crate) publisher: Publisher,
    pub(crate) planner: Arc<dyn Planner>,
    pub(crate) policies: Policies,
    pub(crate) images: ImagePolicy,
    pub(crate) quality: Option<Arc<Runner>>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) gathering: Gathering,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    /// Watched namespaces, or one empty name for all.
    pub(crate) scopes: Arc<Vec<String>>,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) reach: Reach,
    pub(crate) logs: Option<Keeper>,
}

impl Context {
    /// Works on a key of this queue while it is ours, counted and timed.
    async fn work<F>(self, queue: &'static str, key: Key, work: impl FnOnce(Self, Key) -> F) -> Worked
    where
        F: Future<Output = Worked>,
    {
        if key == Health::sentinel() {
            self.health.beat(queue);
            return Worked::Done(None);
        }
        let client = metrics::counted(&self.client, &self.metrics, Some(&key));
        let (gate, metrics) = (self.gate.clone(), self.metrics.clone());
        // The work's future is large; behind a pointer it is moved through the wrappers for nothing.
        let working = Box::pin(work(Self { client, ..self }, key.clone()));
        let timed = metrics.timed(queue, key.clone(), working);
        // What is not ours any more is taken up by whoever has it now.
        gate.while_ours(&key, timed).await.unwrap_or(Worked::Done(None))
    }
}

/// The controller of `SparkApplication` and `ScheduledSparkApplication` objects.
pub struct Operator {
    client: Client,
    config: OperatorConfig,
    planner: Arc<dyn Planner>,
}

impl Operator {
    /// An operator that submits as `spark-submit` would.
    pub fn new(client: Client, config: OperatorConfig) -> Self {
        let kept = config.logs.as_ref().map(|logs| logs.which);
        let planner = Arc::new(NativePlanner::new(config.settings.clone()).keeping(kept));
        Self::with_planner(client, config, planner)
    }

    /// An operator with a planner of its own.
    pub fn with_planner(client: Client, config: OperatorConfig, planner: Arc<dyn Planner>) -> Self {
        Self {
            client,
            config,
            planner,
        }
    }

    /// Works until `stop` turns true or its sender is dropped. What is under way is cut off; whoever starts next takes it up.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let told = self.config.reach.over(&self.client);
        self.run_with(told, stop).await;
    }

    async fn run_with(self, client: Client, stop: watch::Receiver<bool>) {
        let (publisher, publishing) =
            Publisher::new(client.clone(), self.config.identity.clone(), self.config.clock.clone());
        let scopes = match self.config.namespaces.is_empty() {
            true => vec![String::new()],
            false => self.config.namespaces.clone(),
        };
        let OperatorConfig {
            gate,
            metrics,
            health,
            logs,
            policies,
            images,
            quality,
            reach,
            ..
        } = self.config;
        let (applications, touched) = mpsc::unbounded_channel();
        let keeping = logs.map(|logs| {
            let (client, publisher) = (client.clone(), publisher.clone());
            Keeper::new(logs, client, publisher, metrics.clone(), applications.clone())
        });
        let (keeper, keeping) = keeping.unzip();
        let context = Context {
            client: metrics::counted(&client, &metrics, None),
            cache: Cache::default(),
            publisher,
            planner: self.planner,
            policies: policies.clone(),
            images,
            quality: quality.map(Arc::new),
            settings: Arc::new(self.config.settings),
            gathering: Gathering::default(),
            limits: self.config.limits,
            clock: self.config.clock,
            scopes: Arc::new(scopes),
            gate,
            metrics,
            health,
            reach,
            logs: keeper,
        };
        context.metrics.attach(&context.cache, &context.gate);
        if context.settings.event_log.is_some() {
            context.metrics.event_logs_by_default();
        }
        context.health.expect(context.scopes.len());
        let (schedules, schedules_touched) = mpsc::unbounded_channel();
        tracing::info!(namespaces = ?context.scopes, "operator: watching");
        let regaining = watches::touch_gained(context.clone(), applications.clone(), schedules.clone());
        let beating = {
            let (health, applications, schedules) = (context.health.clone(), applications.clone(), schedules.clone());
            async move {
                tokio::join!(
                    health.watch(APPLICATIONS, applications),
                    health.watch(SCHEDULES, schedules)
                )
            }
        };
        let watching = watches::run(
            context.clone(),
            watches::Touch {
                applications,
                schedules,
                health: context.health.clone(),
            },
        );
        let counting = |queue| queue::Counting {
            queue,
            metrics: context.metrics.clone(),
            returns: context.reach.returns(),
        };
        let working = queue::run(touched, stop.clone(), self.config.workers, counting(APPLICATIONS), {
            let context = context.clone();
            move |key| context.clone().work(APPLICATIONS, key, reconcile::reconcile)
        });
        let scheduling = queue::run(
            schedules_touched,
            stop.clone(),
            self.config.workers,
            counting(SCHEDULES),
            {
                let context = context.clone();
                move |key| context.clone().work(SCHEDULES, key, schedules::reconcile)
            },
        );
        let servers = crate::connect::Context::new(&context, self.config.visits);
        let connecting = crate::connect::run(servers, stop.clone());
        let told = policies::Reporting {
            publisher: context.publisher.clone(),
            metrics: context.metrics.clone(),
            health: context.health.clone(),
            reach: context.reach.clone(),
        };
        let ruling = policies::follow(policies, context.client.clone(), told);
        let keeping = async {
            match keeping {
                Some(keeping) => keeping.await,
                None => std::future::pending().await,
            }
        };
        let mut stop = stop;
        tokio::select! {
            () = keeping => {}
            () = ruling => {}
            () = connecting => {}
            () = working => {}
            () = scheduling => {}
            () = watching => {}
            () = regaining => {}
            _ = beating => {}
            () = publishing => {}
            () = stopped(&mut stop) => {}
        }
        tracing::info!("operator: stopped");
    }
}

/// Returns when `stop` is true or can never become true any more.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The resource `SparkApplication`.
pub(crate) fn applications() -> ApiResource {
    resource("SparkApplication", "sparkapplications")
}

pub(crate) fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(stoke_model::names::GROUP, "v1beta2", kind),
        plural,
    )
}
