//! What an application cached.

use stoke_history::model::data::Rdd;

use super::{App, Missing, Visit, plain};
use crate::page::{Cell, Facts, Page, Row, Section, Table};

/// All cached RDDs.
pub fn list(app: &App, visit: &Visit) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "storage", "storage/", w.storage.to_owned(), None);
    page.rest = Some(app.place.rest("storage/rdd"));
    let all: Vec<&Rdd> = app.view.rdds().filter(|rdd| !rdd.blocks.is_empty()).collect();
    let (paging, range) = visit.page(all.len());
    let row = |rdd: &&Rdd| -> Row {
        vec![
            Cell::To(rdd.id.into(), app.place.rdd(rdd.id)),
            Cell::Link(rdd.name.clone(), app.place.rdd(rdd.id)),
            Cell::Text(rdd.level.description()),
            Cell::Count(i64::try_from(rdd.blocks.len()).unwrap_or(0)),
            Cell::Count(rdd.partitions.into()),
            Cell::some_bytes(rdd.memory_used),
            Cell::some_bytes(rdd.disk_used),
        ]
        .into()
    };
    page.sections.push(Section::Table(Table {
        id: "rdds",
        title: "",
        empty: w.nothing_cached,
        columns: plain(&[
            ("id", w.id, true),
            ("name", w.name, false),
            ("level", w.level, false),
            ("cached", w.cached, true),
            ("partitions", w.partitions, true),
            ("memory", w.in_memory, true),
            ("disk", w.on_disk, true),
        ]),
        rows: all[range].iter().map(row).collect(),
        paging: Some(paging),
    }));
    page
}

/// One of them.
///
/// # Errors
/// When it is not there.
pub fn one(app: &App, visit: &Visit) -> Result<Page, Missing> {
    let w = visit.w;
    let rdd = visit
        .number("id")
        .and_then(|id| app.view.rdd(id))
        .ok_or(Missing::NotFound)?;
    let mut page = app.page(
        visit,
        "rdd",
        "storage/",
        format!("RDD {}", rdd.id),
        Some((w.storage, "storage/")),
    );
    page.subtitle = rdd.name.clone();
    page.rest = Some(app.place.rest(&format!("storage/rdd/{}", rdd.id)));
    page.sections.push(Section::Facts(Facts {
        id: "rdd",
        title: "",
        items: vec![
            ("level", w.level, Cell::Text(rdd.level.description())),
            (
                "cached",
                w.cached,
                Cell::Count(i64::try_from(rdd.blocks.len()).unwrap_or(0)),
            ),
            ("partitions", w.partitions, Cell::Count(rdd.partitions.into())),
            ("memory", w.in_memory, Cell::Bytes(rdd.memory_used)),
            ("disk", w.on_disk, Cell::Bytes(rdd.disk_used)),
        ],
    }));
    let on = |one: &stoke_history::model::data::Distribution| -> Row {
        vec![
            Cell::Text(one.executor.clone()),
            Cell::text(one.address.clone().unwrap_or_default()),
            Cell::Bytes(one.memory_used),
            Cell::Bytes(one.disk_used),
        ]
        .into()
    };
    page.sections.push(Section::Table(Table {
        id: "executors",
        title: w.of_executors,
        empty: w.nothing_here,
        columns: plain(&[
            ("executor", w.executor, false),
            ("address", w.address, false),
            ("memory", w.in_memory, true),
            ("disk", w.on_disk, true),
        ]),
        rows: rdd.distributions.iter().map(on).collect(),
        paging: None,
    }));
    let (paging, range) = visit.page(rdd.blocks.len());
    let block = |block: &stoke_history::model::data::RddBlock| -> Row {
        vec![
            Cell::Text(block.name.clone()),
            Cell::Text(block.level.clone()),
            Cell::Bytes(block.memory_used),
            Cell::Bytes(block.disk_used),
            Cell::Text(block.executors.join(", ")),
        ]
        .into()
    };
    page.sections.push(Section::Table(Table {
        id: "blocks",
        title: w.partitions,
        empty: w.nothing_here,
        columns: plain(&[
            ("block", w.block, false),
            ("level", w.level, false),
            ("memory", w.in_memory, true),
            ("disk", w.on_disk, true),
            ("executors", w.executors, false),
        ]),
        rows: rdd.blocks[range].iter().map(block).collect(),
        paging: Some(paging),
    }));
    Ok(page)
}
