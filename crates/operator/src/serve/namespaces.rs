//! The namespaces that are named or that a label selector selects, kept up to date by one watch.

use std::collections::BTreeSet;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};

use crate::controller::follow::follow;
use crate::controller::stopped;
use crate::gate::GateControl;
use crate::reach::Reach;

/// Opens `gate` for the named and the selected namespaces only, until `stop` turns true. A namespace labelled later is taken up with what is in it.
pub(super) async fn select(
    client: Client,
    reach: &Reach,
    selector: &str,
    named: &BTreeSet<String>,
    gate: &GateControl,
    mut stop: tokio::sync::watch::Receiver<bool>,
) {
    gate.select(Some(named.clone()));
    let config = watcher::Config::default().labels(selector);
    let mut told = follow(reach, Api::<Namespace>::all(client), config, |event| event);
    let mut selected = BTreeSet::new();
    let mut listed = None;
    loop {
        let event = tokio::select! {
            () = stopped(&mut stop) => return,
            event = told.next() => event,
        };
        let Some(event) = event else { return };
        let before = selected.clone();
        apply(event, &mut selected, &mut listed);
        if selected != before {
            tracing::info!(namespaces = ?selected, "namespaces selected");
            gate.select(Some(selected.union(named).cloned().collect()));
        }
    }
}

fn apply(event: Event<Namespace>, selected: &mut BTreeSet<String>, listed: &mut Option<BTreeSet<String>>) {
    match event {
        Event::Init => *listed = Some(BTreeSet::new()),
        Event::InitApply(namespace) => {
            listed.get_or_insert_default().insert(namespace.name_any());
        }
        Event::InitDone => *selected = listed.take().unwrap_or_default(),
        Event::Apply(namespace) => {
            selected.insert(namespace.name_any());
        }
        Event::Delete(namespace) => {
            selected.remove(&namespace.name_any());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_list_replaces_what_was_selected_and_events_change_it() {
        let namespace = |name: &str| {
            let mut namespace = Namespace::default();
            namespace.metadata.name = Some(name.to_owned());
            namespace
        };
        let (mut selected, mut listed) = (BTreeSet::new(), None);
        let mut told = |events: Vec<Event<Namespace>>| {
            events
                .into_iter()
                .for_each(|event| apply(event, &mut selected, &mut listed));
            selected.iter().cloned().collect::<Vec<_>>().join(",")
        };
        let list = |names: &[&str]| {
            let applied = names.iter().map(|name| Event::InitApply(namespace(name)));
            std::iter::once(Event::Init).chain(applied).collect::<Vec<_>>()
        };
        assert_eq!(told(list(&["a", "b"])), "", "not before the list is whole");
        assert_eq!(told(vec![Event::InitDone]), "a,b");
        assert_eq!(
            told(vec![Event::Apply(namespace("c")), Event::Delete(namespace("a"))]),
            "b,c"
        );
        assert_eq!(told(list(&["d"])), "b,c");
        assert_eq!(told(vec![Event::InitDone]), "d");
    }
}
