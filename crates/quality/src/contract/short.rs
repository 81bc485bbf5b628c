//! The short YAML: columns and what holds of them.
//!
//! ```yaml
//! name: orders
//! rows: {min: 1}
//! extraColumns: false
//! columns:
//!   id: {type: bigint, required: true, unique: true}
//!   email: {format: email, mostly: 0.99}
//!   status: {in: [new, paid, shipped]}
//!   amount: {type: "decimal(10,2)", min: 0, max: 100000}
//!   created: {type: timestamp, maxAge: 24h, timezone: UTC}
//!   customer: {references: {data: ../customers, column: id}}
//! unique:
//!   - [tenant, number]
//! usual:
//!   - {metric: rows, season: weekday}
//! sql:
//!   - {name: paid, query: "SELECT COUNT(*) FROM ${object} WHERE amount < 0", mustBe: 0}
//! waivers:
//!   - {check: status.in, until: 2026-12-31, reason: old rows, by: data team}
//! ```
//!
//! A column that is named must exist. `mostly` is the least share of non-null values that must be as said; it does not soften `required`, `unique` and
//! `references`. Combinations under `unique` leave out rows with a null, as SQL does.

use stoke_diagnostics::Place;
use stoke_model::duration::parse_go;
use stoke_model::manifest::{Content, Node, join};

use super::values::{empty_range, known_zone, pattern, whole_limit};
use super::{
    Accept, At, Check, Contract, Format, Kind, LeaveOut, Limit, Literal, Metric, Range, Season, Severity, Strptime,
    TextFormat, TypeName, id_of, number, operators, text, waiver,
};
use crate::distribution::Method;
use stoke_model::manifest::Fields;

const COLUMN: &[&str] = &[
    "type",
    "required",
    "unique",
    "min",
    "max",
    "exclusiveMin",
    "exclusiveMax",
    "in",
    "notIn",
    "pattern",
    "format",
    "minLength",
    "maxLength",
    "maxAge",
    "timezone",
    "references",
    "mean",
    "stdev",
    "sum",
    "median",
    "distinct",
    "mostly",
    "severity",
];

const METRICS: &[(&str, Metric)] = &[
    ("rows", Metric::Rows),
    ("min", Metric::Min),
    ("max", Metric::Max),
    ("mean", Metric::Mean),
    ("stdev", Metric::Stdev),
    ("sum", Metric::Sum),
    ("median", Metric::Median),
    ("distinct", Metric::Distinct),
    ("distinctShare", Metric::DistinctShare),
    ("nonNullShare", Metric::NonNullShare),
];

/// Reads a short contract.
pub(super) fn read(node: &Node, fields: &mut Fields<'_>) -> Option<Contract> {
    let keys = [
        "name",
        "rows",
        "columns",
        "extraColumns",
        "columnOrder",
        "unique",
        "usual",
        "sql",
        "waivers",
    ];
    if !fields.keys(node, "", &keys) {
        return None;
    }
    let name = fields
        .text(node, "name", "")
        .map_or_else(|| fields.source.name().to_owned(), str::to_owned);
    let mut short = Short {
        fields,
        checks: Vec::new(),
        types: Vec::new(),
    };
    short.table(node);
    short.columns(node);
    short.combinations(node);
    short.usual(node);
    short.sql(node, &name);
    let Short { mut checks, types, .. } = short;
    if checks.is_empty() && node.entry("columns").is_none() {
        let fix = "write `columns` or `rows`, `kind: DataContract` of ODCS, or `expectations` of Great Expectations";
        fields.complain("no-checks", node.place, "", "nothing is checked by this".into(), fix);
    }
    number(&mut checks);
    let waivers = waiver::list(node, "", fields);
    Some(Contract {
        names: vec![name.clone()],
        name,
        format: Format::Short,
        checks,
        waivers,
        types: types.into_iter().collect(),
        optional: std::collections::BTreeSet::new(),
        nan_is_null: false,
    })
}

struct Short<'f, 'a> {
    fields: &'f mut Fields<'a>,
    checks: Vec<Check>,
    types: Vec<(String, TypeName)>,
}

impl Short<'_, '_> {
    fn add(&mut self, name: &str, columns: Vec<String>, kind: Kind, accept: Accept, severity: Severity, place: Place) {
        self.checks.push(Check {
            id: id_of(name, &columns),
            name: name.to_owned(),
            columns,
            kind,
            accept,
            leave_out: LeaveOut::AnyNull,
            condition: None,
            texts_are_dates: false,
            severity,
            at: At::new(self.fields.source, place),
        });
    }

    fn table(&mut self, node: &Node) {
        if let Some(rows) = node.get("rows")
            && let Some(limit) = self.limit(rows, "rows")
        {
            self.add(
                "rows",
                Vec::new(),
                Kind::RowCount(limit),
                Accept::ALL,
                Severity::Error,
                rows.place,
            );
        }
        let names: Vec<String> = node.get("columns").map_or_else(Vec::new, |columns| {
            columns.entries().iter().map(|entry| self.fields.key(entry)).collect()
        });
        if self.fields.flag(node, "columnOrder", "") == Some(true) {
            let place = node.place_of("columnOrder");
            let kind = Kind::ColumnOrder(names.clone());
            self.add("columnOrder", Vec::new(), kind, Accept::ALL, Severity::Error, place);
        }
        if self.fields.flag(node, "extraColumns", "") == Some(false) {
            let place = node.place_of("extraColumns");
            let kind = Kind::ColumnSet { names, exact: true };
            self.add("extraColumns", Vec::new(), kind, Accept::ALL, Severity::Error, place);
        }
    }

    fn columns(&mut self, node: &Node) {
        let Some(columns) = node.get("columns") else {
            return;
        };
        if !self.fields.mapping(columns, "columns") {
            return;
        }
        for entry in columns.entries() {
            let path = join("columns", &entry.key);
            let name = self.fields.key(entry);
            let column = vec![name.clone()];
            let kind = Kind::ColumnExists(None);
            self.add("exists", column, kind, Accept::ALL, Severity::Error, entry.key_place);
            let described = entry.value.content != Content::Null;
            if described && self.fields.keys(&entry.value, &path, COLUMN) {
                self.column(&name, &entry.value, &path);
            }
        }
    }

    fn column(&mut self, column: &str, node: &Node, path: &str) {
        let severity = self.severity(node, path);
        let mostly = match self.fields.number(node, "mostly", path) {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                let place = node.place_of("mostly");
                let message = format!("{share} is not a share");
                self.fields.complain(
                    "bad-share",
                    place,
                    &join(path, "mostly"),
                    message,
                    "write a number from 0 to 1",
                );
                1.0
            }
            share => share.unwrap_or(1.0),
        };
        let mut kinds: Vec<(&str, Kind, Accept)> = Vec::new();
        if let Some(name) = self.type_name(node, path) {
            self.types.push((column.to_owned(), name.clone()));
            kinds.push(("type", Kind::ColumnType(vec![name]), Accept::ALL));
        }
        if self.fields.flag(node, "required", path) == Some(true) {
            kinds.push(("required", Kind::NotNull, Accept::ALL));
        }
        if self.fields.flag(node, "unique", path) == Some(true) {
            kinds.push(("unique", Kind::Unique, Accept::ALL));
        }
        if let Some((key, range)) = self.range(node, path) {
            kinds.push((key, Kind::Between(range), Accept::Mostly(mostly)));
        }
        if let Some(values) = self.fields.literals(node, "in", path) {
            kinds.push(("in", Kind::InSet(values), Accept::Mostly(mostly)));
        }
        if let Some(values) = self.fields.literals(node, "notIn", path) {
            kinds.push(("notIn", Kind::NotInSet(values), Accept::Mostly(mostly)));
        }
        if let Some(written) = self.fields.text(node, "pattern", path) {
            let kind = pattern(written);
            kinds.push(("pattern", kind, Accept::Mostly(mostly)));
        }
        if let Some(format) = self.format(node, path) {
            kinds.push(("format", Kind::Format(format), Accept::Mostly(mostly)));
        }
        if let Some((key, limit)) = self.length(node, path) {
            kinds.push((key, Kind::Length(limit), Accept::Mostly(mostly)));
        }
        if let Some(kind) = self.freshness(node, path) {
            kinds.push(("maxAge", kind, Accept::ALL));
        }
        if let Some(kind) = self.reference(node, path) {
            kinds.push(("references", kind, Accept::ALL));
        }
        for (key, metric) in METRICS {
            let stands = matches!(
                metric,
                Metric::Mean | Metric::Stdev | Metric::Sum | Metric::Median | Metric::Distinct
            );
            let Some(value) = node.get(key).filter(|_| stands) else {
                continue;
            };
            let path = join(path, key);
            if self.fields.keys(value, &path, &["min", "max"]) {
                let range = Range {
                    min: self.fields.number(value, "min", &path).map(Literal::Float),
                    max: self.fields.number(value, "max", &path).map(Literal::Float),
                    ..Range::default()
                };
                let metric = *metric;
                kinds.push((key, Kind::Aggregate { metric, range }, Accept::ALL));
            }
        }
        for (name, kind, accept) in kinds {
            let place = node.place_of(name);
            self.add(name, vec![column.to_owned()], kind, accept, severity, place);
        }
    }

    fn type_name(&mut self, node: &Node, path: &str) -> Option<TypeName> {
        let written = self.fields.text(node, "type", path)?;
        match TypeName::parse(written) {
            Ok(name) => Some(name),
            Err(near) => {
                let fix = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                let place = node.get("type").map_or(node.place, |value| value.place);
                let message = format!("there is no type `{written}`");
                self.fields
                    .complain("unknown-type", place, &join(path, "type"), message, &fix);
                None
            }
        }
    }

    /// The range of `min`, `max` and their exclusive forms, and the key it is known by.
    fn range(&mut self, node: &Node, path: &str) -> Option<(&'static str, Range)> {
        let min = self.fields.literal(node, "min", path);
        let max = self.fields.literal(node, "max", path);
        let above = self.fields.literal(node, "exclusiveMin", path);
        let below = self.fields.literal(node, "exclusiveMax", path);
        for (one, other) in [("min", "exclusiveMin"), ("max", "exclusiveMax")] {
            if node.get(one).is_some() && node.get(other).is_some() {
                let message = format!("both `{one}` and `{other}` are given");
                self.fields.complain(
                    "limit-twice",
                    node.place_of(other),
                    path,
                    message,
                    "keep one of the two",
                );
            }
        }
        let keys = ["min", "max", "exclusiveMin", "exclusiveMax"];
        let first = keys.into_iter().find(|key| node.get(key).is_some())?;
        let range = Range {
            strict_min: above.is_some(),
            strict_max: below.is_some(),
            min: min.or(above),
            max: max.or(below),
        };
        empty_range(&range, node.place_of(first), path, self.fields);
        Some((first, range))
    }

    fn length(&mut self, node: &Node, path: &str) -> Option<(&'static str, Limit)> {
        let min = self.fields.whole(node, "minLength", path);
        let max = self.fields.whole(node, "maxLength", path);
        let key = if min.is_some() { "minLength" } else { "maxLength" };
        (min.is_some() || max.is_some()).then(|| (key, whole_limit(min, max)))
    }

    fn format(&mut self, node: &Node, path: &str) -> Option<TextFormat> {
        let name = self.fields.text(node, "format", path)?;
        let known: Vec<(&str, &str)> = text::NAMES.iter().map(|name| (*name, *name)).collect();
        if name.contains('%') {
            return match Strptime::new(name) {
                Ok(format) => Some(TextFormat::Strptime(format)),
                Err(reason) => {
                    let message = format!("{name:?} is not a format of `strptime`: {reason}");
                    let fix = "write for example \"%Y-%m-%d\"";
                    let path = join(path, "format");
                    self.fields
                        .complain("bad-format", node.place_of("format"), &path, message, fix);
                    None
                }
            };
        }
        self.fields
            .word(node, "format", path, &known)
            .and_then(TextFormat::named)
    }

    fn freshness(&mut self, node: &Node, path: &str) -> Option<Kind> {
        let zone = self.fields.text(node, "timezone", path).map(str::to_owned);
        if let Some(zone) = &zone {
            known_zone(zone, node.place_of("timezone"), path, self.fields);
        }
        let written = self.fields.text(node, "maxAge", path)?;
        let Some(max_age) = age(written) else {
            let message = format!("{written:?} is not a duration");
            let place = node.place_of("maxAge");
            self.fields.complain(
                "bad-duration",
                place,
                &join(path, "maxAge"),
                message,
                "write it as 24h, 90m or 7d",
            );
            return None;
        };
        Some(Kind::Freshness { max_age, zone })
    }

    fn reference(&mut self, node: &Node, path: &str) -> Option<Kind> {
        let value = node.get("references")?;
        let path = join(path, "references");
        if !self.fields.keys(value, &path, &["data", "column"]) {
            return None;
        }
        let data = self.fields.needed_text(value, "data", &path)?.to_owned();
        let column = self.fields.needed_text(value, "column", &path)?.to_owned();
        Some(Kind::Reference {
            data,
            columns: vec![column],
        })
    }

    fn combinations(&mut self, node: &Node) {
        for (path, item) in self.fields.list(node, "unique", "") {
            let columns: Vec<String> = item
                .items()
                .iter()
                .filter_map(Node::as_str)
                .map(str::to_owned)
                .collect();
            if columns.is_empty() || columns.len() != item.items().len() {
                let message = "a combination is a list of columns".to_owned();
                self.fields.complain(
                    "wrong-type",
                    item.place,
                    &path,
                    message,
                    "for example `- [tenant, number]`",
                );
                continue;
            }
            self.add(
                "unique",
                columns,
                Kind::Unique,
                Accept::ALL,
                Severity::Error,
                item.place,
            );
        }
    }

    fn usual(&mut self, node: &Node) {
        for (path, item) in self.fields.list(node, "usual", "") {
            let keys = [
                "metric",
                "column",
                "method",
                "season",
                "threshold",
                "atLeast",
                "severity",
            ];
            if !self.fields.keys(item, &path, &keys) {
                continue;
            }
            let seasons = [
                ("none", Season::None),
                ("hour", Season::Hour),
                ("weekday", Season::Weekday),
            ];
            let severity = self.severity(item, &path);
            let season = self
                .fields
                .word(item, "season", &path, &seasons)
                .unwrap_or(Season::None);
            let threshold = self.fields.number(item, "threshold", &path);
            let at_least = self.fields.whole(item, "atLeast", &path).unwrap_or(5);
            let at_least = usize::try_from(at_least).unwrap_or(1).max(1);
            let methods = [("psi", Method::Psi), ("ks", Method::Ks)];
            let method = self.fields.word(item, "method", &path, &methods);
            let column = self.fields.text(item, "column", &path).map(str::to_owned);
            if item.get("metric").is_none() {
                self.fields.missing(item, "metric", &path);
            }
            let metrics: Vec<(&str, Option<Metric>)> = METRICS
                .iter()
                .map(|(name, metric)| (*name, Some(*metric)))
                .chain([("distribution", None)])
                .collect();
            let Some(metric) = self.fields.word(item, "metric", &path, &metrics) else {
                continue;
            };
            if let (Some(_), Some(node)) = (metric, item.get("method")) {
                let message = "`method` is for the metric `distribution`".to_owned();
                self.fields.complain(
                    "unknown-field",
                    node.place,
                    &join(&path, "method"),
                    message,
                    "remove it",
                );
            }
            if column.is_none() && metric != Some(Metric::Rows) {
                self.fields.missing(item, "column", &path);
            }
            let (kind, name) = match metric {
                Some(metric) => {
                    let threshold = threshold.unwrap_or(3.5);
                    let kind = Kind::Usual {
                        metric,
                        season,
                        threshold,
                        at_least,
                    };
                    (kind, format!("usual-{}", metric.name()))
                }
                None => {
                    let method = method.unwrap_or(Method::Psi);
                    let kind = Kind::Distribution {
                        method,
                        season,
                        threshold: threshold.unwrap_or(method.usual_threshold()),
                        at_least,
                    };
                    (kind, "usual-distribution".to_owned())
                }
            };
            self.add(
                &name,
                column.into_iter().collect(),
                kind,
                Accept::ALL,
                severity,
                item.place,
            );
        }
    }

    fn sql(&mut self, node: &Node, object: &str) {
        for (path, item) in self.fields.list(node, "sql", "") {
            let own = ["name", "query", "column", "severity"];
            let keys: Vec<&str> = own.into_iter().chain(operators::OPERATORS).collect();
            if !self.fields.keys(item, &path, &keys) {
                continue;
            }
            let severity = self.severity(item, &path);
            let name = self.fields.text(item, "name", &path);
            let column = self.fields.text(item, "column", &path);
            let holes = [("object", Some(object)), ("column", column)];
            let query = operators::query(item, &path, &holes, self.fields);
            let limit = operators::limit(item, &path, self.fields);
            let (Some(query), Some(limit)) = (query, limit) else {
                continue;
            };
            let columns = column.iter().map(|column| (*column).to_owned()).collect();
            self.add(
                "sql",
                columns,
                Kind::Sql { query, limit },
                Accept::ALL,
                severity,
                item.place,
            );
            if let (Some(check), Some(name)) = (self.checks.last_mut(), name) {
                check.id = name.to_owned();
            }
        }
    }

    fn severity(&mut self, node: &Node, path: &str) -> Severity {
        let words = [("error", Severity::Error), ("warning", Severity::Warning)];
        let found = self.fields.word(node, "severity", path, &words);
        found.unwrap_or(Severity::Error)
    }

    fn limit(&mut self, node: &Node, path: &str) -> Option<Limit> {
        if !self.fields.keys(node, path, &["min", "max"]) {
            return None;
        }
        let min = self.fields.whole(node, "min", path);
        let max = self.fields.whole(node, "max", path);
        if min.is_none() && max.is_none() {
            self.fields.missing(node, "min", path);
            return None;
        }
        Some(whole_limit(min, max))
    }
}

/// Seconds of a duration as Go writes it, or of whole days such as `7d`.
fn age(written: &str) -> Option<i64> {
    if let Some(days) = written.strip_suffix('d').and_then(|days| days.parse::<i64>().ok()) {
        return days.checked_mul(86_400).filter(|seconds| *seconds >= 0);
    }
    parse_go(written)
        .ok()
        .map(|duration| duration.as_secs())
        .filter(|seconds| *seconds >= 0)
}
