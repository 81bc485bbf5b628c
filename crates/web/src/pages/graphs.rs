//! How stages hang together: the stages of a job, and the RDDs of a stage.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use stoke_history::detail::{Detail, RddShape};
use stoke_history::model::data::{Job, Stage};

use super::{App, Visit, plain};
use crate::page::{Cell, Row, Section, Table};
use crate::picture::plan::{Drawn, Plan};

/// Boxes of a picture, at most.
const MOST: usize = 500;

/// The stages of a job, each below those it needs, with the slow path marked.
pub fn of_job(app: &App, visit: &Visit, job: &Job, detail: &Detail) -> Option<Section> {
    let w = visit.w;
    let ids: Vec<i32> = job
        .stage_ids
        .iter()
        .copied()
        .take(MOST)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let places: HashMap<i32, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let nodes = ids.iter().map(|id| {
        let stage = app.view.attempts(*id).last();
        let lasted =
            stage.and_then(|stage| Some((stage.completed.unwrap_or_else(|| app.until()) - stage.submitted?).max(0)));
        let mut lines = Vec::new();
        lines.extend(lasted.map(|millis| w.millis(&millis)));
        lines.extend(stage.map(|stage| format!("{}: {}", w.tasks, stage.tasks)));
        let name = stage.map(|stage| stage.name.clone()).unwrap_or_default();
        let mut node = Drawn::boxed(i64::from(*id), &format!("{} {id}", w.stage), name, lines);
        node.millis = lasted;
        node.to = stage.map(|stage| app.place.stage((stage.id, stage.attempt)));
        node
    });
    let mut nodes: Vec<Drawn> = nodes.collect();
    let edges: Vec<(usize, usize)> = ids
        .iter()
        .enumerate()
        .flat_map(|(place, id)| {
            let parents = detail.stages.get(id).map_or(&[][..], |shape| &shape.parents);
            parents.iter().map(move |parent| (*parent, place))
        })
        .filter_map(|(parent, place)| Some((*places.get(&parent)?, place)))
        .collect();
    if nodes.is_empty() || !ids.iter().any(|id| detail.stages.contains_key(id)) {
        return None;
    }
    // Without a row of its own below, a box leads nowhere.
    nodes
        .iter_mut()
        .for_each(|node| node.to = Some(node.to.take().unwrap_or_else(|| app.place.to("stages/"))));
    let mut plan = Plan::slow_and_laid_out(nodes, &edges);
    (plan.id, plan.title, plan.about) = ("stageGraph", w.stage_graph, w.stage_graph_about);
    Some(Section::Plan(plan))
}

/// The RDDs of a stage, each below those it is computed from, and the table of them.
pub fn of_stage(visit: &Visit, stage: &Stage, detail: &Detail) -> Option<[Section; 2]> {
    let w = visit.w;
    let shape = detail.stages.get(&stage.id).filter(|shape| !shape.rdds.is_empty())?;
    let rdds: Vec<&RddShape> = shape.rdds.iter().take(MOST).collect();
    let places: BTreeMap<i32, usize> = rdds.iter().enumerate().map(|(place, rdd)| (rdd.id, place)).collect();
    let nodes = rdds.iter().map(|rdd| {
        let operation = rdd.operation();
        let mut lines = vec![format!("{} [{}]", rdd.name, rdd.id)];
        if rdd.is_cached() {
            lines.push(w.cached.to_owned());
        }
        let name = operation.unwrap_or_else(|| rdd.name.to_string());
        Drawn::boxed(i64::from(rdd.id), &name, rdd.callsite.clone(), lines)
    });
    let edges: Vec<(usize, usize)> = rdds
        .iter()
        .enumerate()
        .flat_map(|(place, rdd)| {
            rdd.parents
                .iter()
                .filter_map(|parent| places.get(parent))
                .map(move |from| (*from, place))
        })
        .collect();
    let mut plan = Plan::laid_out(nodes.collect(), &edges);
    (plan.id, plan.title, plan.about) = ("rddGraph", w.rdd_graph, w.rdd_graph_about);
    let row = |rdd: &&RddShape| Row {
        anchor: Some(format!("node-{}", rdd.id)),
        cells: vec![
            Cell::Number(rdd.id.into()),
            Cell::text(rdd.name.as_str()),
            Cell::text(rdd.operation().unwrap_or_default()),
            Cell::Count(rdd.partitions.into()),
            Cell::text(rdd.parents.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")),
            Cell::text(if rdd.is_cached() { w.yes } else { "" }),
            Cell::text(&rdd.callsite),
        ],
    };
    let table = Table {
        id: "rdds",
        title: "RDD",
        empty: w.nothing_here,
        columns: plain(&[
            ("id", w.id, true),
            ("name", w.name, false),
            ("operation", w.operator, false),
            ("partitions", w.partitions, true),
            ("parents", w.computed_from, false),
            ("cached", w.cached, false),
            ("callsite", w.details, false),
        ]),
        rows: rdds.iter().map(row).collect(),
        paging: None,
    };
    Some([Section::Plan(plan), Section::Table(table)])
}

/// The accumulators of the user in a stage.
pub fn accumulators(visit: &Visit, stage: &Stage) -> Option<Section> {
    let w = visit.w;
    let named = stage.accumulators.iter().filter(|one| one.name.is_some());
    let rows: Vec<Row> = named
        .map(|one| {
            vec![
                Cell::Number(one.id),
                Cell::text(one.name.clone().unwrap_or_default()),
                Cell::text(one.value.clone().unwrap_or_default()),
            ]
            .into()
        })
        .collect();
    (!rows.is_empty()).then(|| {
        Section::Table(Table {
            id: "accumulators",
            title: w.accumulators,
            empty: w.nothing_here,
            columns: plain(&[("id", w.id, true), ("name", w.name, false), ("value", w.value, false)]),
            rows,
            paging: None,
        })
    })
}
