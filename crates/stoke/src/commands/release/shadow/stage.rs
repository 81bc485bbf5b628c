//! Where releases run in the shadow: an embedded cluster of their own, the pinned inputs, and nothing that stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use stoke_laptop::embedded::{Embedded, Size};
use stoke_laptop::interrupt::listen;
use stoke_laptop::session::{Place, Session};
use stoke_model::units::people;
use stoke_objectstore::shadow::{self, Change, Pins, Shadow, Spot};
use stoke_release::oci::Digest;
use stoke_release::shadow::{Compared, Inputs, Output, Written};

use super::super::{Store, kept};
use super::NAMESPACE;
use super::asked::{Plan, places};
use super::job::Job;
use super::outputs;
use super::side::{self, Making, Ran};
use super::world::World;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Terminal;

/// Bytes of an access log that are kept with the record.
const MOST_LOG: u64 = 64 << 20;

/// A running cluster for one command.
pub struct Stage {
    session: Session,
    world: World,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::environment("stoke::object-store::read", error)
}

impl Stage {
    pub async fn begin(context: &mut Context) -> Outcome<Self> {
        listen()?;
        let embedded = Embedded::start_without_keys(&context.home, &Size::default()).await?;
        let world = World::begin(&context.home, embedded.objects().store(), &mut context.terminal).await;
        match world {
            Ok(world) => Ok(Self {
                session: Session {
                    client: embedded.client(),
                    namespace: NAMESPACE.to_owned(),
                    place: Place::Private(Box::new(embedded)),
                },
                world,
            }),
            Err(failure) => {
                embedded.stop(false).await;
                Err(failure)
            }
        }
    }

    fn embedded(&self) -> Outcome<&Embedded> {
        match &self.session.place {
            Place::Private(embedded) => Ok(embedded),
            Place::Up | Place::Context(_) => Err(Failure::environment(
                "stoke::cluster::start",
                "the cluster is not there",
            )),
        }
    }

    /// Records the objects that the runs will read, before any runs.
    pub async fn pin(&self, plan: &Plan, store: &Store, terminal: &mut Terminal) -> Outcome<(Arc<Pins>, Inputs)> {
        let pins = Pins::take(self.embedded()?.objects().store(), &plan.spots).await;
        let pins = Arc::new(pins.map_err(broken)?);
        for spot in &plan.spots.reads {
            if !pins.iter().any(|(bucket, key, _)| spot.holds(bucket, key)) {
                return Err(places(format!("{spot} holds no objects, so there is nothing to pin"))
                    .fix("name a place with the inputs; `aws s3 ls` with `stoke env` lists what is there"));
            }
        }
        let list = serde_json::to_vec(&*pins).map_err(std::io::Error::from)?;
        let digest = Digest::of(&list);
        store.releases.put_evidence(&digest, &list).await.map_err(kept)?;
        let (mut objects, mut bytes) = (0, 0);
        for (_, _, pin) in pins.iter() {
            objects += 1;
            bytes += pin.size;
        }
        terminal.note(format!(
            "pinned {} with {}, list {}",
            people::counted(objects, "object"),
            people::bytes(bytes),
            digest.short()
        ));
        let inputs = Inputs {
            places: plan.spots.reads.iter().map(Spot::to_string).collect(),
            objects,
            bytes,
            list: digest,
        };
        Ok((pins, inputs))
    }

    /// Runs a job of the plan once, under a name that no other run of this stage has.
    pub async fn run(
        &self,
        name: &str,
        job: &Job,
        plan: &Plan,
        pins: &Arc<Pins>,
        store: &Store,
        context: &mut Context,
    ) -> Outcome<(Ran, Arc<Shadow>)> {
        let objects = self.embedded()?.objects();
        let log = self.world.log(name);
        let shadow = Shadow::new(&self.world.name(name), plan.spots.clone(), pins.clone(), &log)?;
        let shadow = Arc::new(shadow);
        objects.shadows().add(shadow.clone());
        let making = Making {
            session: &self.session,
            endpoint: objects.endpoint(),
            prices: plan.prices.as_ref(),
            timeout: plan.timeout,
        };
        let mut ran = side::run(&making, job, &shadow, context).await?;
        ran.side.log = keep_log(store, &log).await?;
        Ok((ran, shadow))
    }

    /// Compares what the old run and the new one wrote at each output.
    pub async fn compare(
        &self,
        plan: &Plan,
        shadows: &[Arc<Shadow>],
        both_ended: bool,
        terminal: &mut Terminal,
    ) -> Outcome<Vec<Output>> {
        let objects = self.embedded()?.objects();
        let mut written: Vec<BTreeMap<Spot, shadow::Written>> = Vec::new();
        for shadow in shadows {
            written.push(shadow.written(objects.store()).await.map_err(broken)?);
        }
        let mut outputs = Vec::new();
        for spot in &plan.spots.writes {
            let of = |side: usize| {
                let found = written
                    .get(side)
                    .and_then(|all| all.get(spot))
                    .copied()
                    .unwrap_or_default();
                Written {
                    objects: found.objects,
                    bytes: found.bytes,
                    deleted: found.deleted,
                }
            };
            let (ours, theirs) = (of(0), of(1));
            let wrote = ours.objects > 0 && theirs.objects > 0;
            let compared = match plan.options.get(spot) {
                Some(options) if both_ended && wrote => {
                    outputs::compare(spot, shadows, &objects.endpoint(), options, terminal).await?
                }
                _ if both_ended => Compared::Unread {
                    why: "one of them holds no objects".to_owned(),
                },
                _ => Compared::NotCompared,
            };
            outputs.push(Output {
                place: spot.to_string(),
                old: ours,
                new: theirs,
                compared,
            });
        }
        Ok(outputs)
    }

    /// Inputs that are not what they were when they were pinned.
    pub async fn changed(&self, plan: &Plan, pins: &Pins) -> Outcome<Vec<String>> {
        let store = self.embedded()?.objects().store();
        let now = Pins::take(store, &plan.spots).await.map_err(broken)?;
        let changed = pins.changes(&now).into_iter().map(|changed| {
            let what = match changed.what {
                Change::Replaced => "replaced",
                Change::Deleted => "deleted",
                Change::Added => "added",
            };
            format!("{} ({what})", changed.object)
        });
        Ok(changed.collect())
    }

    /// Removes what these runs wrote.
    pub async fn forget(&self, shadows: &[Arc<Shadow>]) -> Outcome<()> {
        let objects = self.embedded()?.objects();
        for one in shadows {
            objects.shadows().remove(one);
            let cleaned = shadow::clean(objects.store(), &format!("{}/", one.name())).await;
            cleaned.map_err(super::world::failed)?;
        }
        Ok(())
    }

    /// Stops the cluster. Nothing that the runs wrote stays, unless it is to.
    pub async fn end(self, keep: bool, terminal: &mut Terminal) -> Outcome<()> {
        let Place::Private(embedded) = self.session.place else {
            return Ok(());
        };
        // No request of them comes any more.
        embedded.objects().shadows().clear();
        let ended = self.world.end(embedded.objects().store(), keep, terminal).await;
        embedded.stop(false).await;
        ended
    }
}

/// Keeps an access log with the releases; gives its digest.
async fn keep_log(store: &Store, path: &std::path::Path) -> Outcome<String> {
    if std::fs::metadata(path)?.len() > MOST_LOG {
        return Ok(String::new());
    }
    let bytes = std::fs::read(path)?;
    let digest = Digest::of(&bytes);
    store.releases.put_evidence(&digest, &bytes).await.map_err(kept)?;
    Ok(digest.to_string())
}
