//! The watch of ConfigMaps with policies: every change makes a new set, or tells why not.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, ObjectReference};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use stoke_model::units::people::counted;
use stoke_policy::PolicySet;

use super::sources::{self, Broken, ConfigMaps};
use super::{LABEL, Policies, Shared, Standing};
use crate::act::events::Publisher;
use crate::application::EventNote;
use crate::controller::follow;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::reach::Reach;

/// Whom a change is told.
pub(crate) struct Reporting {
    pub(crate) publisher: Publisher,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    pub(crate) reach: Reach,
}

/// Keeps the set up to date with the ConfigMaps. Never ends.
pub(crate) async fn follow(policies: Policies, client: Client, told: Reporting) {
    let Some(shared) = &policies.0 else {
        return std::future::pending().await;
    };
    if let Standing::Set(set) = shared.standing() {
        told.metrics.policies_loaded(Some(set.rules().len()));
    }
    let Some(namespace) = &shared.namespace else {
        return std::future::pending().await;
    };
    told.health.policies(Err(format!(
        "the policies in ConfigMaps of {namespace} are not read yet"
    )));
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    let labelled = watcher::Config::default().labels(&format!("{LABEL}=true"));
    let mut events = follow::follow(&told.reach, api, labelled, |event| event);
    let mut following = Following {
        shared,
        namespace,
        told,
        maps: ConfigMaps::new(),
        listed: None,
        loaded: None,
    };
    while let Some(event) = events.next().await {
        following.take(event).await;
    }
    std::future::pending().await
}

struct Following<'a> {
    shared: &'a Arc<Shared>,
    namespace: &'a str,
    told: Reporting,
    maps: ConfigMaps,
    /// Of a list that is not complete yet.
    listed: Option<ConfigMaps>,
    /// What was loaded last, whether it could be used or not.
    loaded: Option<ConfigMaps>,
}

impl Following<'_> {
    async fn take(&mut self, event: Event<ConfigMap>) {
        let mut changed = None;
        match event {
            Event::Init => {
                self.listed = Some(ConfigMaps::new());
                return;
            }
            Event::InitApply(map) => {
                self.listed.get_or_insert_default().insert(map.name_any(), map);
                return;
            }
            Event::InitDone => self.maps = self.listed.take().unwrap_or_default(),
            Event::Apply(map) => {
                changed = Some(map.name_any());
                self.maps.insert(map.name_any(), map);
            }
            Event::Delete(map) => drop(self.maps.remove(&map.name_any())),
        }
        let same = |known: &ConfigMaps| {
            known.len() == self.maps.len()
                && known.iter().zip(&self.maps).all(|((name, one), (other_name, other))| {
                    name == other_name && one.data == other.data && one.binary_data == other.binary_data
                })
        };
        if self.loaded.as_ref().is_some_and(same) {
            return;
        }
        self.load(changed.as_deref()).await;
    }

    /// Loads what is there now.
    async fn load(&mut self, changed: Option<&str>) {
        let (shared, namespace, maps) = (self.shared.clone(), self.namespace.to_owned(), self.maps.clone());
        let loading = tokio::task::spawn_blocking(move || sources::load(&shared.fixed, &namespace, &maps));
        match loading.await {
            Ok(Ok(set)) => self.put(set, changed),
            Ok(Err(broken)) => self.refuse(&broken),
            Err(error) => {
                tracing::error!(%error, "loading policies ended early");
                return;
            }
        }
        self.loaded = Some(self.maps.clone());
        self.told.health.policies(Ok(()));
    }

    fn put(&self, set: Option<PolicySet>, changed: Option<&str>) {
        let rules = set.as_ref().map_or(0, |set| set.rules().len());
        self.shared.set(match set {
            Some(set) => Standing::Set(Arc::new(set)),
            None => Standing::Nothing,
        });
        self.told.metrics.policies_loaded(Some(rules));
        tracing::info!(
            namespace = self.namespace,
            configmaps = self.maps.len(),
            rules,
            "policies are in force"
        );
        if let Some(name) = changed {
            let note = match rules {
                1 => "in force; there is 1 rule in all".to_owned(),
                rules => format!("in force; there are {} in all", counted(rules, "rule")),
            };
            self.publish(name, false, "PoliciesLoaded", note);
        }
    }

    /// Older policies that could be used stay in force; where there are none, nothing passes until this is fixed.
    fn refuse(&self, broken: &Broken) {
        self.told.metrics.policies_loaded(None);
        let why = broken.summary();
        let stays = match self.shared.standing() {
            Standing::Set(_) | Standing::Nothing if self.loaded.is_some() => "what was in force before stays in force",
            _ => {
                self.shared.set(Standing::Unknown(why.as_str().into()));
                "there are no older policies, so nothing is admitted or submitted until this is fixed"
            }
        };
        tracing::error!(namespace = self.namespace, why, "policies cannot be used: {stays}");
        for name in &broken.guilty {
            let note = format!("{stays}: {}", broken.of(self.namespace, name));
            self.publish(name, true, "PoliciesUnusable", note);
        }
    }

    fn publish(&self, name: &str, warning: bool, reason: &'static str, note: String) {
        let Some(map) = self.maps.get(name) else { return };
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("ConfigMap".to_owned()),
            name: Some(name.to_owned()),
            namespace: Some(self.namespace.to_owned()),
            uid: map.uid(),
            resource_version: map.resource_version(),
            field_path: None,
        };
        let occasion = map.resource_version().unwrap_or_default();
        let note = EventNote {
            warning,
            reason,
            action: "Load",
            note,
        };
        self.told.publisher.publish(&regarding, &occasion, &note);
    }
}
