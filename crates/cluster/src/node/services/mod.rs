//! Services at their addresses: connections to a Service's address and port are passed on to a ready endpoint.
//!
//! In: Services and EndpointSlices, through watches. Out: for every TCP port with ready endpoints a listener at the Service's address, and
//! the names of all Services for the pods' `/etc/hosts`. What is listened for is [`plan`], pure; one [`front`] serves one port.
//! A port without endpoints is not listened on: connecting to it is refused, as a cluster does.
//!
//! The machine's ports are shared by all pods. A pod that listens on all addresses takes its port at every address, that of the
//! Service too; so a front listens only once an endpoint does, and stays away from a port that such a pod has.

mod front;
mod plan;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::runtime::watcher::{self, Event};

use super::context::Context;
use crate::watched::watched;
use front::Front;
use plan::{Name, Port, name_of, plan, service_of};

/// News of either kind.
enum News {
    Service(Box<Event<Service>>),
    Slice(Box<Event<EndpointSlice>>),
}

/// What is known, and the ports served.
struct Services {
    context: Arc<Context>,
    services: HashMap<Name, Service>,
    slices: HashMap<Name, HashMap<String, EndpointSlice>>,
    fronts: HashMap<Name, HashMap<SocketAddr, Front>>,
    /// Names seen in the list being read; what is not among them at its end is gone.
    listed: HashSet<Name>,
    listed_slices: HashSet<(Name, String)>,
}

/// Follows Services and their endpoints for as long as the node runs.
pub(crate) async fn follow(context: Arc<Context>) {
    let client = context.client.clone();
    let services = watched(Api::<Service>::all(client.clone()), watcher::Config::default());
    let slices = watched(Api::<EndpointSlice>::all(client), watcher::Config::default());
    let news = futures::stream::select(
        services.map(|event| event.map(|event| News::Service(Box::new(event)))),
        slices.map(|event| event.map(|event| News::Slice(Box::new(event)))),
    );
    futures::pin_mut!(news);
    let mut known = Services {
        context,
        services: HashMap::new(),
        slices: HashMap::new(),
        fronts: HashMap::new(),
        listed: HashSet::new(),
        listed_slices: HashSet::new(),
    };
    while let Some(first) = news.next().await {
        let mut changed = HashSet::new();
        let mut renamed = false;
        let mut next = Some(first);
        // What has come together is settled together: the pods' hosts files are written once.
        while let Some(event) = next {
            match event {
                Ok(News::Service(event)) => renamed |= known.take_service(*event, &mut changed),
                Ok(News::Slice(event)) => known.take_slice(*event, &mut changed),
                Err(error) => {
                    tracing::debug!(%error, "the node's watch of services was interrupted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            next = news.next().now_or_never().flatten();
        }
        for name in changed {
            known.settle(&name);
        }
        if renamed {
            known
                .context
                .around
                .set_services(known.services.values().cloned().collect());
        }
    }
}

impl Services {
    /// Takes news of a Service; true when the pods' hosts files may change.
    fn take_service(&mut self, event: Event<Service>, changed: &mut HashSet<Name>) -> bool {
        match event {
            Event::Init => {
                self.listed.clear();
                return false;
            }
            Event::InitApply(service) | Event::Apply(service) => {
                let name = name_of(&service.metadata);
                self.listed.insert(name.clone());
                changed.insert(name.clone());
                self.services.insert(name, service);
            }
            Event::InitDone => {
                let gone: Vec<Name> = self
                    .services
                    .keys()
                    .filter(|name| !self.listed.contains(*name))
                    .cloned()
                    .collect();
                for name in gone {
                    self.services.remove(&name);
                    changed.insert(name);
                }
            }
            Event::Delete(service) => {
                let name = name_of(&service.metadata);
                self.services.remove(&name);
                changed.insert(name);
            }
        }
        true
    }

    fn take_slice(&mut self, event: Event<EndpointSlice>, changed: &mut HashSet<Name>) {
        match event {
            Event::Init => self.listed_slices.clear(),
            Event::InitApply(slice) | Event::Apply(slice) => {
                if let Some(service) = service_of(&slice) {
                    let own = slice.metadata.name.clone().unwrap_or_default();
                    self.listed_slices.insert((service.clone(), own.clone()));
                    self.slices.entry(service.clone()).or_default().insert(own, slice);
                    changed.insert(service);
                }
            }
            Event::InitDone => {
                for (service, slices) in &mut self.slices {
                    let before = slices.len();
                    slices.retain(|own, _| self.listed_slices.contains(&(service.clone(), own.clone())));
                    if slices.len() < before {
                        changed.insert(service.clone());
                    }
                }
            }
            Event::Delete(slice) => {
                if let Some(service) = service_of(&slice)
                    && let Some(slices) = self.slices.get_mut(&service)
                {
                    slices.remove(slice.metadata.name.as_deref().unwrap_or_default());
                    if slices.is_empty() {
                        self.slices.remove(&service);
                    }
                    changed.insert(service);
                }
            }
        }
    }

    /// Brings the fronts of a Service in line with it.
    fn settle(&mut self, name: &Name) {
        let own = SocketAddr::new(self.context.host_address.into(), self.context.around.api_port());
        let planned: HashMap<SocketAddr, Port> = match self.services.get(name) {
            Some(service) => {
                let slices = self.slices.get(name).into_iter().flat_map(HashMap::values);
                plan(service, slices, own)
            }
            None => HashMap::new(),
        };
        let fronts = self.fronts.entry(name.clone()).or_default();
        fronts.retain(|address, _| planned.contains_key(address));
        for (address, port) in planned {
            match fronts.get(&address) {
                Some(front) => front.update(port),
                None => {
                    let service = self.services.get(name).cloned().unwrap_or_default();
                    fronts.insert(
                        address,
                        Front::open(address, port, service, self.context.recorder.clone()),
                    );
                }
            }
        }
        if fronts.is_empty() {
            self.fronts.remove(name);
        }
    }
}
