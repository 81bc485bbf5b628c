//! Keeps the leases: looks, decides, writes; and hands them back at the end.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::decide::{Move, Seen, Terms, decide};
use crate::gate::GateControl;
use crate::names::hex;

/// How the leases are kept.
#[derive(Clone, Debug)]
pub struct Election {
    /// Name of the lease; with more than one shard, of the leases `<name>-<shard>`.
    pub name: String,
    /// Namespace of the leases.
    pub namespace: String,
    /// Who this is: unique to this process, `<pod>_<id>`.
    pub identity: String,
    /// How many shards there are; the same for all operators of this name.
    pub shards: usize,
    /// With what new leases go.
    pub owner: Option<OwnerReference>,
    /// Times.
    pub terms: Terms,
}

impl Election {
    fn lease(&self, shard: usize) -> String {
        match self.shards {
            0 | 1 => self.name.clone(),
            _ => format!("{}-{shard}", self.name),
        }
    }

    fn members(&self) -> String {
        format!("{}-member-", self.name)
    }

    /// The lease that says that this operator is alive.
    fn member(&self) -> String {
        format!("{}{}", self.members(), &hex(self.identity.as_bytes())[..10])
    }
}

/// Keeps the leases until `stop` turns true, then hands them back. While a lease is held its shard of `gate` is open.
///
/// Costs per retry period: one LIST of the namespace's leases, one PUT per lease held; with more than one shard one more PUT.
pub async fn keep(client: Client, election: Election, gate: &GateControl, mut stop: watch::Receiver<bool>) {
    let mut keeper = Keeper {
        api: Api::namespaced(client, &election.namespace),
        started: Instant::now(),
        known: HashMap::new(),
        held: vec![None; election.shards],
        others: 0,
        election,
    };
    let mut ticks = tokio::time::interval(keeper.election.terms.retry);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = crate::controller::stopped(&mut stop) => break,
            _ = ticks.tick() => {}
        }
        // A request that hangs must not outlive the time for which it was decided.
        let patience = keeper.election.terms.renew_deadline;
        match tokio::time::timeout(patience, keeper.turn(gate)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the leases could not be kept; trying again"),
            Err(_) => tracing::warn!("the API server did not answer about the leases; trying again"),
        }
    }
    keeper.hand_back(gate).await;
}

struct Keeper {
    api: Api<Lease>,
    election: Election,
    started: Instant,
    /// By name: the lease, and when it was first seen as it is.
    known: HashMap<String, (Lease, Duration)>,
    held: Vec<Option<Duration>>,
    others: usize,
}

impl Keeper {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    async fn turn(&mut self, gate: &GateControl) -> Result<(), kube::Error> {
        let looked = self.look().await;
        let now = self.now();
        let shards: Vec<Seen> = (0..self.election.shards).map(|shard| self.seen(shard)).collect();
        let identity = self.election.identity.clone();
        let moves = decide(&identity, &shards, &self.held, self.others, now, &self.election.terms);
        for one in moves {
            match one {
                Move::GiveUp(shard) => {
                    tracing::warn!(shard, "the lease is lost: others work on its applications now");
                    self.held[shard] = None;
                    gate.lose(shard);
                }
                // Nothing is written by what was seen long ago.
                _ if looked.is_err() => {}
                Move::Take(shard) | Move::Renew(shard) => self.claim(shard, gate).await,
                Move::Release(shard) => self.release(shard, gate).await,
            }
        }
        looked
    }

    /// Reads all leases, and says that this operator is alive.
    async fn look(&mut self) -> Result<(), kube::Error> {
        if self.election.shards > 1 {
            let name = self.election.member();
            let member = self.next(&name);
            self.write(&name, member).await?;
        }
        let listed = self.api.list(&ListParams::default()).await?;
        let now = self.now();
        let mut known = HashMap::new();
        for lease in listed
            .items
            .into_iter()
            .filter(|lease| lease.name_any().starts_with(&self.election.name))
        {
            let name = lease.name_any();
            let since = match self.known.get(&name) {
                Some((before, since)) if before.resource_version() == lease.resource_version() => *since,
                _ => now,
            };
            known.insert(name, (lease, since));
        }
        self.known = known;
        let (members, own) = (self.election.members(), self.election.member());
        let others = self
            .known
            .iter()
            .filter(|(name, _)| name.starts_with(&members) && **name != own);
        self.others = others.filter(|(_, lease)| !seen(lease).is_free(now)).count();
        Ok(())
    }

    fn seen(&self, shard: usize) -> Seen {
        self.known
            .get(&self.election.lease(shard))
            .map(seen)
            .unwrap_or_default()
    }

    /// The lease of this name as it is to be written: ours from now on.
    fn next(&self, name: &str) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = self
            .known
            .get(name)
            .map(|(lease, _)| lease.clone())
            .unwrap_or_else(|| Lease {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    owner_references: self.election.owner.clone().map(|owner| vec![owner]),
                    ..ObjectMeta::default()
                },
                spec: None,
            });
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if spec.holder_identity.as_deref() != Some(&self.election.identity) {
            spec.acquire_time = Some(now.clone());
            // The first holder is not a transition.
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
            spec.holder_identity = Some(self.election.identity.clone());
        }
        spec.renew_time = Some(now);
        spec.lease_duration_seconds = i32::try_from(self.election.terms.duration.as_secs()).ok();
        lease
    }

    /// Writes over exactly the version that was seen, or creates what was not there.
    async fn write(&mut self, name: &str, lease: Lease) -> Result<(), kube::Error> {
        let parameters = PostParams::default();
        let stored = match lease.metadata.resource_version {
            Some(_) => self.api.replace(name, &parameters, &lease).await?,
            None => self.api.create(&parameters, &lease).await?,
        };
        let now = self.now();
        self.known.insert(name.to_owned(), (stored, now));
        Ok(())
    }

    async fn claim(&mut self, shard: usize, gate: &GateControl) {
        let name = self.election.lease(shard);
        let lease = self.next(&name);
        // The lease counts from before the request: others may count from any time after.
        let (begun, instant) = (self.now(), Instant::now());
        match self.write(&name, lease).await {
            Ok(()) => {
                if self.held[shard].is_none() {
                    tracing::info!(lease = name, identity = self.election.identity, "the lease is ours");
                }
                self.held[shard] = Some(begun);
                gate.hold(shard, instant + self.election.terms.renew_deadline);
            }
            // Someone was faster, or it cannot be determined; the next look tells.
            Err(error) => tracing::debug!(%error, lease = name, "the lease was not written"),
        }
    }

    /// Stops the work first; no one begins before the lease is given back.
    async fn release(&mut self, shard: usize, gate: &GateControl) {
        gate.lose(shard);
        self.held[shard] = None;
        // Tasks that are cut off end at their next await.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let name = self.election.lease(shard);
        let mut lease = self.next(&name);
        if let Some(spec) = lease.spec.as_mut() {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        match self.write(&name, lease).await {
            Ok(()) => tracing::info!(lease = name, "the lease is handed over"),
            Err(error) => tracing::warn!(%error, lease = name, "the lease could not be handed over; it runs out"),
        }
    }

    async fn hand_back(mut self, gate: &GateControl) {
        let releasing = async {
            for shard in 0..self.election.shards {
                if self.held[shard].is_some() {
                    self.release(shard, gate).await;
                }
            }
            if self.election.shards > 1 {
                let _ = self.api.delete(&self.election.member(), &DeleteParams::default()).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(5), releasing).await.is_err() {
            tracing::warn!("the API server did not take the leases back in time; they run out");
        }
    }
}

fn seen((lease, since): &(Lease, Duration)) -> Seen {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
    Seen {
        holder: spec
            .and_then(|spec| spec.holder_identity.clone())
            .filter(|holder| !holder.is_empty()),
        unchanged_since: *since,
        duration: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
    }
}
