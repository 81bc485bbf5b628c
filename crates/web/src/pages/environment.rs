//! What an application ran with: what differs from the defaults first. Secrets are hidden as the status API hides them.

use stoke_history::model::data::{Environment, Pairs};
use stoke_history::rest::redacted;
use stoke_model::conf::{Catalogue, Default as Unset};

use super::{App, Visit, plain};
use crate::page::{Cell, Facts, Page, Row, Section, Table};

pub fn page(app: &App, visit: &Visit) -> Page {
    let w = visit.w;
    let mut page = app.page(visit, "environment", "environment/", w.environment.to_owned(), None);
    page.rest = Some(app.place.rest("environment"));
    let nothing = Environment::default();
    let known = app.view.environment().unwrap_or(&nothing);
    let text = |text: &Option<String>| Cell::text(text.as_deref().unwrap_or_default());
    page.sections.push(Section::Facts(Facts {
        id: "runtime",
        title: "",
        items: vec![
            ("spark", w.version, Cell::text(&app.attempt.spark_version)),
            ("java", w.java, text(&known.java_version)),
            ("scala", w.scala, text(&known.scala_version)),
            ("javaHome", w.runtime, text(&known.java_home)),
        ],
    }));
    page.sections
        .push(Section::Filter(visit.filter(w.search_properties, &[], &[])));
    let searched = visit.searched();
    let has = |name: &str, value: &str| {
        searched
            .as_deref()
            .is_none_or(|text| name.to_lowercase().contains(text) || value.to_lowercase().contains(text))
    };
    let catalogue = Catalogue::for_version(&app.attempt.spark_version);
    let changed = redacted(&known.spark, true)
        .filter(|(name, value)| has(name, value))
        .filter_map(|(name, value)| {
            let entry = catalogue.get(name)?;
            let default = match &entry.default {
                Unset::Text(text) if text == value => return None,
                Unset::Text(text) => Cell::text(text.as_ref()),
                Unset::Key(key) => Cell::Code((*key).to_owned()),
                Unset::Computed | Unset::Absent => Cell::Nothing,
            };
            Some(Row::from(vec![Cell::Code(name.to_owned()), Cell::text(value), default]))
        });
    page.sections.push(Section::Table(Table {
        id: "changed",
        title: w.changed,
        empty: w.nothing_here,
        columns: plain(&[
            ("name", w.property, false),
            ("value", w.value, false),
            ("default", w.default, false),
        ]),
        rows: changed.collect(),
        paging: None,
    }));
    let table = |id: &'static str, title: &'static str, second: &'static str, pairs: &Pairs, hide: bool| {
        let rows = redacted(pairs, hide).filter(|(name, value)| has(name, value));
        Section::Table(Table {
            id,
            title,
            empty: w.nothing_here,
            columns: plain(&[("name", w.property, false), ("value", second, false)]),
            rows: rows
                .map(|(name, value)| Row::from(vec![Cell::Code(name.to_owned()), Cell::text(value)]))
                .collect(),
            paging: None,
        })
    };
    page.sections
        .push(table("spark", w.spark_properties, w.value, &known.spark, true));
    let request = |amounts: Vec<(&String, f64)>| -> Cell {
        let shown: Vec<String> = amounts
            .into_iter()
            .map(|(name, amount)| format!("{name} {amount}"))
            .collect();
        Cell::text(shown.join(", "))
    };
    let profiles = app.view.profiles().map(|profile| {
        Row::from(vec![
            Cell::Number(profile.id.into()),
            request(
                profile
                    .executor
                    .iter()
                    .map(|(name, one)| (name, one.amount as f64))
                    .collect(),
            ),
            request(profile.task.iter().map(|(name, one)| (name, one.amount)).collect()),
        ])
    });
    page.sections.push(Section::Table(Table {
        id: "profiles",
        title: w.profiles,
        empty: w.nothing_here,
        columns: plain(&[
            ("id", w.id, true),
            ("executor", w.executor_resources, false),
            ("task", w.task_resources, false),
        ]),
        rows: profiles.collect(),
        paging: None,
    }));
    page.sections
        .push(table("hadoop", w.hadoop_properties, w.value, &known.hadoop, true));
    page.sections
        .push(table("system", w.system_properties, w.value, &known.system, true));
    page.sections
        .push(table("metrics", w.metrics_properties, w.value, &known.metrics, true));
    page.sections
        .push(table("classpath", w.classpath, w.source, &known.classpath, false));
    page
}
