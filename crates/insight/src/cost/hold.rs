//! Who held what from when to when.
//!
//! A pod holds what it requests from when it was put on a node (the event `Scheduled`; else from when its first container started) until its
//! last container ended. Without the cluster's word an executor holds what its configuration asks for, from when the driver knew it until it
//! was removed, and the driver from the start of Spark to its end.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stoke_model::quantity::Quantity;
use stoke_submit::SparkVersion;

use super::attribute::{Busy, Use};
use super::{Capacity, CostError};
use crate::facts::cluster::{Cluster, Pod, Role, State};
use crate::facts::run::{DRIVER, Executor, Outcome, Run, Stage};

/// A driver or an executor and what it held. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Spark's id, `driver` for the driver.
    pub id: String,
    /// The pod, where it is known.
    pub pod: Option<String>,
    /// From when.
    pub from: i64,
    /// Until when, exclusive.
    pub until: i64,
    /// Thousandths of a CPU.
    pub millicores: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of disk.
    pub storage: i64,
    pub gpus: i64,
    /// The node's shape.
    pub shape: Option<String>,
    /// How the node is bought.
    pub capacity: Option<Capacity>,
    /// Cores it offered to tasks; 0 for a driver that runs none.
    pub slots: u32,
    /// The task attempts it ran.
    pub busy: Vec<Busy>,
}

/// Labels by which nodes tell their shape.
const SHAPE: [&str; 2] = ["node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"];

/// Labels by which nodes tell that they are spot capacity: of Karpenter, EKS, GKE (two) and AKS, from their documentation.
const SPOT: [(&str, &str); 5] = [
    ("karpenter.sh/capacity-type", "spot"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("cloud.google.com/gke-spot", "true"),
    ("cloud.google.com/gke-preemptible", "true"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
];

/// Labels that say so of nodes that are not spot.
const SAYS: [&str; 3] = [
    "karpenter.sh/capacity-type",
    "eks.amazonaws.com/capacityType",
    "kubernetes.azure.com/scalesetpriority",
];

/// Everybody who held something for a run, the driver first, and what a reader must know of how that was found.
///
/// # Errors
/// [`CostError::Setting`] when a property from which a reservation follows does not parse.
pub fn holders(run: &Run, cluster: Option<&Cluster>) -> Result<(Vec<Holder>, Vec<String>), CostError> {
    let mut hold = Hold {
        run,
        cluster,
        tasks: tasks(run),
    };
    let mut notes = Vec::new();
    let mut holders = vec![hold.driver()?];
    let mut seen = BTreeSet::new();
    for (place, executor) in run.workers().filter(|(_, executor)| executor.id != DRIVER) {
        seen.insert(executor.id.as_str());
        holders.push(hold.executor(place, executor)?);
    }
    if let Some(cluster) = cluster {
        let strangers = cluster
            .executors()
            .filter(|pod| matches!(&pod.role, Role::Executor(id) if !seen.contains(id.as_str())));
        holders.extend(strangers.filter_map(|pod| hold.stranger(pod)));
    }
    if run.workers().all(|(_, executor)| executor.id == DRIVER) && run.workers().count() > 0 {
        notes
            .push("local mode: the driver runs the tasks, and is counted as what it would reserve as a pod".to_owned());
    }
    if holders.iter().any(|holder| holder.pod.is_none()) {
        notes.push(
            "executors and driver without a known pod are counted from when Spark reports them; their pods began some seconds earlier"
                .to_owned(),
        );
    }
    if run.ended.is_none() {
        notes.push("the event log has no end: what was still there is counted up to its last event".to_owned());
    }
    Ok((holders, notes))
}

struct Hold<'a> {
    run: &'a Run,
    cluster: Option<&'a Cluster>,
    /// By place of the executor.
    tasks: BTreeMap<u32, Vec<Busy>>,
}

/// What a pod or a configuration asks for.
#[derive(Default)]
struct Requests {
    millicores: i64,
    memory: i64,
    storage: i64,
    gpus: i64,
}

impl Hold<'_> {
    /// Of the executor at this place, who is asked for once: a run of a million tasks is not kept twice.
    fn take_tasks(&mut self, place: usize) -> Vec<Busy> {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        self.tasks.remove(&place).unwrap_or_default()
    }

    fn driver(&mut self) -> Result<Holder, CostError> {
        let pod = self.cluster.and_then(Cluster::driver);
        let local = self.run.workers().find(|(_, executor)| executor.id == DRIVER);
        let properties = &self.run.spark;
        let memory = stoke_submit::driver_reservation(&self.version(), properties).map_err(setting)?;
        let cores = local.map_or_else(
            || self.number("spark.driver.cores", 1),
            |(_, executor)| Ok(i64::from(executor.cores)),
        )?;
        let asked = Requests {
            millicores: self.cpu("driver", cores)?,
            memory: memory.memory_mib << 20,
            storage: self.storage("driver")?,
            gpus: self.number("spark.driver.resource.gpu.amount", 0)?,
        };
        let busy = local.map(|(place, _)| self.take_tasks(place)).unwrap_or_default();
        let slots = local.map_or(0, |(_, executor)| executor.cores);
        Ok(self.holder(DRIVER, pod, (self.run.started, self.run.end()), asked, slots, busy))
    }

    fn executor(&mut self, place: usize, executor: &Executor) -> Result<Holder, CostError> {
        let pod = self.cluster.and_then(|cluster| {
            let mut executors = cluster.executors();
            executors.find(|pod| matches!(&pod.role, Role::Executor(id) if *id == executor.id))
        });
        let until = executor.removed.unwrap_or(self.run.end());
        let asked = Requests {
            millicores: self.cpu("executor", i64::from(executor.cores))?,
            memory: self.memory(executor.profile)?,
            storage: self.storage("executor")?,
            gpus: self.gpus(executor.profile)?,
        };
        let busy = self.take_tasks(place);
        Ok(self.holder(&executor.id, pod, (executor.added, until), asked, executor.cores, busy))
    }

    /// An executor's pod that had a node but never came to the driver.
    fn stranger(&self, pod: &Pod) -> Option<Holder> {
        let Role::Executor(id) = &pod.role else { return None };
        let (from, until) = self.life(pod)?;
        let until = until.unwrap_or(self.run.end());
        let asked = self.requests(pod);
        let slots = u32::try_from((asked.millicores / 1000).max(1)).unwrap_or(1);
        Some(self.holder(id, Some(pod), (from, until), asked, slots, Vec::new()))
    }

    fn holder(
        &self,
        id: &str,
        pod: Option<&Pod>,
        told: (i64, i64),
        asked: Requests,
        slots: u32,
        busy: Vec<Busy>,
    ) -> Holder {
        let life = pod.and_then(|pod| self.life(pod));
        let (from, until) = life.map_or(told, |(from, until)| (from, until.unwrap_or(told.1.max(from))));
        let asked = match pod.map(|pod| self.requests(pod)) {
            Some(requests) if requests.millicores > 0 || requests.memory > 0 => requests,
            _ => asked,
        };
        let (shape, capacity) = self.node(pod, if id == DRIVER { "driver" } else { "executor" });
        Holder {
            id: id.to_owned(),
            pod: pod.map(|pod| pod.name.clone()),
            from,
            until: until.max(from),
            millicores: asked.millicores,
            memory: asked.memory,
            storage: asked.storage,
            gpus: asked.gpus,
            shape,
            capacity,
            slots,
            busy,
        }
    }

    /// From when and until when a pod held a node's resources; none for one that never had a node.
    fn life(&self, pod: &Pod) -> Option<(i64, Option<i64>)> {
        let states = || {
            pod.containers
                .iter()
                .flat_map(|container| [&container.state, &container.last])
        };
        let started = states().filter_map(|state| match state {
            State::Running { since } => *since,
            State::Terminated { started, .. } => *started,
            _ => None,
        });
        let mut scheduled = self
            .cluster?
            .events_of("Pod", &pod.name)
            .filter(|event| event.reason == "Scheduled");
        let from = scheduled
            .find_map(|event| event.first.or(event.last))
            .or(started.min())?;
        let running = pod
            .containers
            .iter()
            .any(|container| matches!(container.state, State::Running { .. } | State::Waiting { .. }));
        let ended = states().filter_map(|state| match state {
            State::Terminated { finished, .. } => *finished,
            _ => None,
        });
        Some((
            from,
            if running {
                pod.deleted
            } else {
                ended.max().or(pod.deleted)
            },
        ))
    }

    /// The effective requests of a pod: of its containers together, or of one init container where that asks for more.
    fn requests(&self, pod: &Pod) -> Requests {
        let of = |name: &str| {
            let amount = |container: &crate::facts::cluster::Container| {
                let text = container.requests.get(name).or_else(|| container.limits.get(name));
                text.and_then(|text| text.parse::<Quantity>().ok()).unwrap_or_default()
            };
            let together: Quantity = pod
                .containers
                .iter()
                .filter(|container| !container.init)
                .map(amount)
                .sum();
            let init = pod
                .containers
                .iter()
                .filter(|container| container.init)
                .map(amount)
                .max();
            together.max(init.unwrap_or_default())
        };
        let gpus = pod
            .containers
            .iter()
            .flat_map(|container| container.limits.keys())
            .find(|name| name.ends_with("/gpu"));
        Requests {
            millicores: of("cpu").millis().max(0),
            memory: of("memory").units().max(0),
            storage: of("ephemeral-storage").units().max(0).saturating_add(self.claims(pod)),
            gpus: gpus.map_or(0, |name| of(name).units().max(0)),
        }
    }

    /// Bytes of the claims made for this pod alone: those it, or the driver for it, owns.
    fn claims(&self, pod: &Pod) -> i64 {
        let volumes = pod.spec["volumes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names = volumes
            .iter()
            .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
        let sizes = names.filter_map(|name| {
            let claims = &self.cluster?.claims;
            let claim = claims.iter().find(|claim| claim["metadata"]["name"] == name)?;
            let owned = claim["metadata"]["ownerReferences"]
                .as_array()
                .is_some_and(|owners| !owners.is_empty());
            let size = claim["spec"]["resources"]["requests"]["storage"].as_str()?;
            owned.then(|| size.parse::<Quantity>().ok()).flatten()
        });
        sizes.sum::<Quantity>().units().max(0)
    }

    /// Shape and capacity of the node: by its labels, else by the selectors of the configuration.
    fn node(&self, pod: Option<&Pod>, role: &str) -> (Option<String>, Option<Capacity>) {
        let mut labels = BTreeMap::new();
        for prefix in [
            "spark.kubernetes.node.selector.".to_owned(),
            format!("spark.kubernetes.{role}.node.selector."),
        ] {
            let under = self
                .run
                .spark
                .range(prefix.clone()..)
                .take_while(|(key, _)| key.starts_with(&prefix));
            labels.extend(under.map(|(key, value)| (key[prefix.len()..].to_owned(), value.clone())));
        }
        if let Some(Value::Object(selector)) = pod.map(|pod| &pod.spec["nodeSelector"]) {
            let texts = selector
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            labels.extend(texts);
        }
        let name = pod.and_then(|pod| pod.node.as_deref());
        if let (Some(cluster), Some(name)) = (self.cluster, name)
            && let Some(node) = cluster.nodes.iter().find(|node| node.name == name)
        {
            labels = node.labels.clone();
        }
        let is = |(label, value): &(&str, &str)| labels.get(*label).is_some_and(|given| given == value);
        let shape = SHAPE.iter().find_map(|label| labels.get(*label)).cloned();
        let capacity = match SPOT.iter().any(is) {
            true => Some(Capacity::Spot),
            false => SAYS
                .iter()
                .any(|label| labels.contains_key(*label))
                .then_some(Capacity::OnDemand),
        };
        (shape, capacity)
    }

    fn version(&self) -> SparkVersion {
        self.run
            .spark_version
            .parse()
            .unwrap_or_else(|_| SparkVersion::new(4, 0, 0))
    }

    fn number(&self, key: &str, default: i64) -> Result<i64, CostError> {
        match self.run.property(key) {
            None => Ok(default),
            Some(text) => text
                .trim()
                .parse()
                .map_err(|_| CostError::Setting(format!("`{key}` = `{text}` is not a whole number"))),
        }
    }

    fn cpu(&self, role: &str, cores: i64) -> Result<i64, CostError> {
        let key = format!("spark.kubernetes.{role}.request.cores");
        match self.run.property(&key) {
            None => Ok(cores.saturating_mul(1000)),
            Some(text) => match text.trim().parse::<Quantity>() {
                Ok(cpu) => Ok(cpu.millis().max(0)),
                Err(error) => Err(CostError::Setting(format!("`{key}`: {error}"))),
            },
        }
    }

    /// Bytes an executor of a profile asks for. What another profile than the default does not name is as in the default, as Spark has it.
    fn memory(&self, profile: i32) -> Result<i64, CostError> {
        let mut properties = self.run.spark.clone();
        let requests = self
            .run
            .profiles
            .get(&profile)
            .filter(|_| profile != 0)
            .map(|profile| &profile.executor);
        for (name, key) in [
            ("memory", "spark.executor.memory"),
            ("memoryOverhead", "spark.executor.memoryOverhead"),
            ("pyspark.memory", "spark.executor.pyspark.memory"),
        ] {
            if let Some(request) = requests.and_then(|requests| requests.get(name)) {
                properties.insert(key.to_owned(), format!("{}m", request.amount));
            }
        }
        if let Some(request) = requests
            .and_then(|requests| requests.get("offHeap"))
            .filter(|request| request.amount > 0)
        {
            properties.insert("spark.memory.offHeap.enabled".to_owned(), "true".to_owned());
            properties.insert("spark.memory.offHeap.size".to_owned(), format!("{}m", request.amount));
        }
        let reserved = stoke_submit::executor_reservation(&self.version(), &properties).map_err(setting)?;
        Ok(reserved.memory_mib << 20)
    }

    fn gpus(&self, profile: i32) -> Result<i64, CostError> {
        match self
            .run
            .profiles
            .get(&profile)
            .filter(|_| profile != 0)
            .and_then(|profile| profile.executor.get("gpu"))
        {
            Some(request) => Ok(request.amount.max(0)),
            None => self.number("spark.executor.resource.gpu.amount", 0),
        }
    }

    /// Bytes of the claims that Spark makes for each pod of a role (`claimName=OnDemand`).
    fn storage(&self, role: &str) -> Result<i64, CostError> {
        let prefix = format!("spark.kubernetes.{role}.volumes.persistentVolumeClaim.");
        let under = self
            .run
            .spark
            .range(prefix.clone()..)
            .take_while(|(key, _)| key.starts_with(&prefix));
        let mut bytes: i64 = 0;
        for (key, name) in under {
            let Some(volume) = key.strip_suffix(".options.claimName") else {
                continue;
            };
            let size = self.run.property(&format!("{volume}.options.sizeLimit"));
            let (Some(size), true) = (size, name.eq_ignore_ascii_case("OnDemand")) else {
                continue;
            };
            let size: Quantity = size
                .parse()
                .map_err(|error| CostError::Setting(format!("`{volume}.options.sizeLimit`: {error}")))?;
            bytes = bytes.saturating_add(size.units().max(0));
        }
        Ok(bytes)
    }
}

fn setting(error: stoke_submit::PlanError) -> CostError {
    CostError::Setting(error.to_string())
}

/// The task attempts of a run by executor.
fn tasks(run: &Run) -> BTreeMap<u32, Vec<Busy>> {
    let mut tasks: BTreeMap<u32, Vec<Busy>> = BTreeMap::new();
    for (place, stage) in run.stages.values().enumerate() {
        let cores = task_cores(run, stage);
        let outcomes = races(stage);
        for task in &stage.tasks {
            let place = place as u32;
            let race = outcomes.get(&task.index).copied().unwrap_or_default();
            let what = match task.outcome {
                Outcome::Succeeded => Use::Work(place),
                Outcome::Failed => Use::Failed(place),
                Outcome::Killed if race.won && race.speculative => Use::Speculation(place),
                Outcome::Killed => Use::Killed(place),
                Outcome::Running | Outcome::GetResult => Use::Unfinished(place),
            };
            let from = run.started.saturating_add(milliseconds(task.launched));
            let until = match task.outcome {
                Outcome::Running | Outcome::GetResult => run.end().max(from),
                _ => run.started.saturating_add(milliseconds(task.ended())),
            };
            tasks.entry(task.executor).or_default().push(Busy {
                what,
                from,
                until,
                cores,
            });
        }
    }
    tasks
}

/// Of the attempts of a task: whether one won, and whether one was speculative.
#[derive(Clone, Copy, Default)]
struct Race {
    won: bool,
    speculative: bool,
}

fn races(stage: &Stage) -> BTreeMap<u32, Race> {
    let mut races: BTreeMap<u32, Race> = BTreeMap::new();
    if stage.totals.killed == 0 && stage.tasks.iter().all(|task| task.outcome != Outcome::Killed) {
        return races;
    }
    for task in &stage.tasks {
        let race = races.entry(task.index).or_default();
        race.won |= task.outcome == Outcome::Succeeded;
        race.speculative |= task.speculative;
    }
    races
}

/// Cores a task of a stage takes: its profile's, else `spark.task.cpus`.
pub(crate) fn task_cores(run: &Run, stage: &Stage) -> u32 {
    let profile = run
        .profiles
        .get(&stage.profile)
        .and_then(|profile| profile.task.get("cpus"));
    let told = profile.map(|request| request.amount.max(1.0) as u32);
    let property = || {
        run.property("spark.task.cpus")
            .and_then(|cpus| cpus.trim().parse().ok())
    };
    told.or_else(property).unwrap_or(1)
}

fn milliseconds(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
