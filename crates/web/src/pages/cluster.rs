//! The cluster: nodes with what fills them, quotas, pods that cannot start and why.

use k8s_openapi::api::core::v1::{Event, Node, Pod, ResourceQuota};
use kube::ResourceExt;
use stoke_model::waiting;

use super::application::{Seen, waits};
use super::{Missing, Visit, plain};
use crate::address;
use crate::live::pods::{self, Size, thousandths};
use crate::page::{Cell, Note, Page, Part, Row, Section, Table};
use crate::words::Words;

/// How often the page is looked at again, in milliseconds.
const AGAIN: u32 = 5000;
/// Pods whose events are asked for.
pub const ASKED: usize = 8;
/// Pods that cannot start that are shown.
const SHOWN: usize = 200;

/// What is known of a cluster.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Seen<Node>,
    /// Pods that have not ended.
    pub pods: Seen<Pod>,
    pub quotas: Seen<ResourceQuota>,
    /// Events about some of the pods that wait.
    pub events: Vec<Event>,
    /// Now, in milliseconds since 1970.
    pub now: i64,
}

/// Pods that wait for something that only their events tell, a few of them.
pub fn to_ask(all: &[Pod]) -> Vec<&Pod> {
    let on_node = |pod: &&Pod| waiting::of_pod(pod, &[]).is_some_and(|waits| waits.reason == waiting::ON_NODE);
    all.iter().filter(on_node).take(ASKED).collect()
}

fn cores(w: &Words, size: i64) -> String {
    format!("{}.{} {}", size / 1000, size % 1000 / 100, w.cores.to_lowercase())
}

fn part(used: i64, total: i64, text: impl Fn(i64) -> String) -> Cell {
    Cell::Part(Part {
        used,
        total,
        text: format!("{} / {}", text(used), text(total)),
    })
}

fn on<'a>(all: &'a [Pod], node: &str) -> impl Iterator<Item = &'a Pod> {
    all.iter()
        .filter(move |pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(node))
}

fn filled<'a>(all: impl Iterator<Item = &'a Pod>) -> (Size, i64) {
    all.fold((Size::default(), 0), |(sum, count), pod| {
        let one = pods::requested(pod);
        let sum = Size {
            cores: sum.cores + one.cores,
            memory: sum.memory + one.memory,
        };
        (sum, count + 1)
    })
}

fn shown<'a, T>(w: &Words, id: &'static str, all: &'a Seen<T>, sections: &mut Vec<Section>) -> &'a [T] {
    match all {
        Ok(all) => all,
        Err(refusal) => {
            let text = format!("{} {refusal}", w.platform().may_not);
            sections.push(Section::Note(Note { id, text, bad: true }));
            &[]
        }
    }
}

pub fn page(visit: &Visit, cluster: &Cluster) -> Page {
    let (w, p) = (visit.w, visit.w.platform());
    let mut sections = Vec::new();
    let pods = shown(w, "podsRefused", &cluster.pods, &mut sections);
    sections.push(cannot_start(visit, cluster, pods));
    let nodes = shown(w, "nodesRefused", &cluster.nodes, &mut sections);
    let row = |node: &Node| -> Row {
        let (has, (asked, count)) = (pods::allocatable(node), filled(on(pods, &node.name_any())));
        let to = format!("{}/cluster/node/?id={}", visit.base, address::part(&node.name_any()));
        let state = match pods::ready(node) {
            Ok(()) => p.ready.to_owned(),
            Err(why) => format!("{}: {why}", p.not_ready),
        };
        vec![
            Cell::Link(node.name_any(), to),
            Cell::Text(state),
            part(asked.cores, has.cores, |size| cores(w, size)),
            part(asked.memory, has.memory, |size| w.bytes(&size)),
            Cell::Count(count),
        ]
        .into()
    };
    sections.push(Section::Table(Table {
        id: "nodes",
        title: p.nodes,
        empty: p.no_nodes,
        columns: plain(&[
            ("name", p.node, false),
            ("state", w.state, false),
            ("cores", p.cores_asked, false),
            ("memory", p.memory_asked, false),
            ("pods", p.pods, true),
        ]),
        rows: nodes.iter().map(row).collect(),
        paging: None,
    }));
    let quotas = shown(w, "quotasRefused", &cluster.quotas, &mut sections);
    sections.push(quota_table(visit, quotas));
    Page {
        kind: "cluster",
        title: p.cluster.to_owned(),
        sections,
        live: Some(AGAIN),
        ..Page::default()
    }
}

fn link_of(visit: &Visit, pod: &Pod) -> Cell {
    match pods::application(pod) {
        Some(name) => {
            let to = address::application(&visit.base, &pod.namespace().unwrap_or_default(), name, "");
            Cell::Link(name.clone(), to)
        }
        None => Cell::Nothing,
    }
}

fn cannot_start(visit: &Visit, cluster: &Cluster, all: &[Pod]) -> Section {
    let (w, p) = (visit.w, visit.w.platform());
    let row = |pod: &Pod| {
        let waits = waits(pod, &cluster.events, cluster.now)?;
        let since = waits.since.map(|since| since.as_millisecond());
        Some(Row::from(vec![
            Cell::Text(pod.name_any()),
            Cell::Text(pod.namespace().unwrap_or_default()),
            link_of(visit, pod),
            Cell::Code(waits.reason),
            Cell::text(waits.message),
            Cell::moment(since),
            Cell::text(waits.fix),
        ]))
    };
    Section::Table(Table {
        id: "cannotStart",
        title: p.cannot_start,
        empty: p.all_start,
        columns: plain(&[
            ("pod", p.pod, false),
            ("namespace", p.namespace, false),
            ("application", p.application, false),
            ("reason", w.reason, false),
            ("message", p.message, false),
            ("since", p.since, true),
            ("fix", p.what_to_do, false),
        ]),
        rows: all.iter().filter_map(row).take(SHOWN).collect(),
        paging: None,
    })
}

fn quota_table(visit: &Visit, quotas: &[ResourceQuota]) -> Section {
    let p = visit.w.platform();
    let mut rows: Vec<Row> = Vec::new();
    for quota in quotas {
        let status = quota.status.as_ref();
        let hard = status.and_then(|status| status.hard.as_ref());
        let used = status.and_then(|status| status.used.as_ref());
        for (resource, hard) in hard.into_iter().flatten() {
            let used = used.and_then(|used| used.get(resource));
            let text = used.map_or_else(|| "0".to_owned(), |used| used.0.clone());
            rows.push(
                vec![
                    Cell::Text(quota.namespace().unwrap_or_default()),
                    Cell::Text(quota.name_any()),
                    Cell::Code(resource.clone()),
                    Cell::Part(Part {
                        used: used.map_or(0, thousandths),
                        total: thousandths(hard),
                        text: format!("{text} / {}", hard.0),
                    }),
                ]
                .into(),
            );
        }
    }
    Section::Table(Table {
        id: "quotas",
        title: p.quotas,
        empty: p.no_quotas,
        columns: plain(&[
            ("namespace", p.namespace, false),
            ("name", p.quota, false),
            ("resource", p.resource, false),
            ("used", p.used, false),
        ]),
        rows,
        paging: None,
    })
}

/// One node and the pods on it, those that ask for the most first.
///
/// # Errors
/// When it is not there.
pub fn node(visit: &Visit, cluster: &Cluster) -> Result<Page, Missing> {
    let (w, p) = (visit.w, visit.w.platform());
    let name = visit.query.first("id").unwrap_or_default();
    let nodes = cluster.nodes.as_deref().unwrap_or_default();
    let node = nodes
        .iter()
        .find(|node| node.name_any() == name)
        .ok_or(Missing::NotFound)?;
    let mut sections = Vec::new();
    let all = shown(w, "podsRefused", &cluster.pods, &mut sections);
    let has = pods::allocatable(node);
    let mut on: Vec<&Pod> = on(all, name).collect();
    on.sort_by_key(|pod| {
        let size = pods::requested(pod);
        std::cmp::Reverse((size.memory, size.cores))
    });
    let (paging, range) = visit.page(on.len());
    let row = |pod: &&Pod| -> Row {
        let size = pods::requested(pod);
        vec![
            Cell::Text(pod.name_any()),
            Cell::Text(pod.namespace().unwrap_or_default()),
            link_of(visit, pod),
            Cell::text(pods::role(pod)),
            Cell::Code(pods::phase(pod)),
            part(size.cores, has.cores, |size| cores(w, size)),
            part(size.memory, has.memory, |size| w.bytes(&size)),
        ]
        .into()
    };
    sections.push(Section::Table(Table {
        id: "pods",
        title: p.fills,
        empty: p.no_pods,
        columns: plain(&[
            ("pod", p.pod, false),
            ("namespace", p.namespace, false),
            ("application", p.application, false),
            ("role", p.role, false),
            ("phase", w.state, false),
            ("cores", p.cores_asked, false),
            ("memory", p.memory_asked, false),
        ]),
        rows: on[range].iter().map(row).collect(),
        paging: Some(paging),
    }));
    Ok(Page {
        kind: "node",
        title: name.to_owned(),
        crumbs: vec![(p.cluster.to_owned(), format!("{}/cluster/", visit.base))],
        sections,
        live: Some(AGAIN),
        ..Page::default()
    })
}
