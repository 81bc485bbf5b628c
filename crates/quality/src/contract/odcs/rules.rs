//! Quality rules of ODCS: library metrics, rules of other engines, references, service levels.

use stoke_diagnostics::Source;
use stoke_model::manifest::{Content, Node, join, read as read_nodes};

use super::super::values::pattern;
use super::super::{Accept, At, Check, Kind, Severity, gx, operators};
use super::Odcs;
use stoke_model::manifest::Fields;

/// Keys of a rule, besides its operator.
const QUALITY: &[&str] = &[
    "id",
    "authoritativeDefinitions",
    "businessImpact",
    "customProperties",
    "description",
    "dimension",
    "method",
    "name",
    "schedule",
    "scheduler",
    "severity",
    "tags",
    "type",
    "unit",
    "metric",
    "rule",
    "arguments",
    "query",
    "engine",
    "implementation",
];

const METRICS: &[(&str, &str)] = &[
    ("nullValues", "nullValues"),
    ("missingValues", "missingValues"),
    ("invalidValues", "invalidValues"),
    ("duplicateValues", "duplicateValues"),
    ("rowCount", "rowCount"),
];

impl Odcs<'_, '_> {
    pub(super) fn rule(&mut self, node: &Node, path: &str, column: Option<&str>) {
        let keys: Vec<&str> = QUALITY.iter().copied().chain(operators::OPERATORS).collect();
        if !self.fields.keys(node, path, &keys) {
            return;
        }
        let types = [("library", 0), ("text", 1), ("sql", 2), ("custom", 3)];
        let columns: Vec<String> = column.iter().map(|column| (*column).to_owned()).collect();
        let before = self.checks.len();
        match self.fields.word(node, "type", path, &types).unwrap_or(0) {
            1 => return,
            2 => {
                let holes = [
                    ("object", Some(self.object.as_str())),
                    ("table", Some(&self.object)),
                    ("property", column),
                    ("column", column),
                ];
                let query = operators::query(node, path, &holes, self.fields);
                let limit = operators::limit(node, path, self.fields);
                if let (Some(query), Some(limit)) = (query, limit) {
                    self.add("sql", columns, Kind::Sql { query, limit }, Accept::ALL, node.place);
                }
            }
            3 => self.custom(node, path, column),
            _ => self.library(node, path, column),
        }
        let severity = self.fields.text(node, "severity", path);
        let name = ["id", "name"]
            .into_iter()
            .find_map(|key| self.fields.text(node, key, path));
        for check in &mut self.checks[before..] {
            if matches!(severity, Some("info" | "warning")) {
                check.severity = Severity::Warning;
            }
            if let Some(name) = name {
                check.id = name.to_owned();
            }
        }
    }

    fn library(&mut self, node: &Node, path: &str, column: Option<&str>) {
        let key = if node.get("metric").is_some() || node.get("rule").is_none() {
            "metric"
        } else {
            "rule"
        };
        if node.get(key).is_none() {
            self.fields.missing(node, key, path);
        }
        let Some(metric) = self.fields.word(node, key, path, METRICS) else {
            return;
        };
        let Some(limit) = operators::limit(node, path, self.fields) else {
            return;
        };
        let units = [("rows", false), ("percent", true)];
        let percent = self.fields.word(node, "unit", path, &units).unwrap_or(false);
        let accept = if percent {
            Accept::Percent(limit.clone())
        } else {
            Accept::Rows(limit.clone())
        };
        let place = node.place_of(key);
        let empty = Node {
            place: node.place,
            content: Content::Map(Vec::new()),
        };
        let arguments = node.get("arguments").unwrap_or(&empty);
        let arguments_path = join(path, "arguments");
        let allowed: &[&str] = match (metric, column) {
            ("missingValues", _) => &["missingValues"],
            ("invalidValues", _) => &["validValues", "pattern"],
            ("duplicateValues", None) => &["properties"],
            _ => &[],
        };
        if !self.fields.keys(arguments, &arguments_path, allowed) {
            return;
        }
        let mut columns: Vec<String> = column.iter().map(|column| (*column).to_owned()).collect();
        let of_property = matches!(metric, "nullValues" | "missingValues" | "invalidValues");
        if of_property == column.is_none() && metric != "duplicateValues" {
            let (level, other) = if of_property {
                ("property", "object")
            } else {
                ("object", "property")
            };
            let message = format!("`{metric}` is of a {level}, not of an {other}");
            self.fields.complain("wrong-level", place, path, message, "");
            return;
        }
        let kind = match metric {
            "rowCount" if percent => {
                self.fields.complain(
                    "wrong-unit",
                    node.place_of("unit"),
                    path,
                    "rows are not counted in percent".into(),
                    "",
                );
                return;
            }
            "rowCount" => Kind::RowCount(limit),
            "nullValues" => Kind::NotNull,
            "missingValues" => match self.fields.literals(arguments, "missingValues", &arguments_path) {
                Some(missing) => Kind::NotMissing(missing),
                None => {
                    self.fields.missing(arguments, "missingValues", &arguments_path);
                    return;
                }
            },
            "duplicateValues" => {
                if column.is_none() {
                    columns = self
                        .fields
                        .texts(arguments, "properties", &arguments_path)
                        .unwrap_or_default();
                    if columns.is_empty() {
                        self.fields.missing(arguments, "properties", &arguments_path);
                        return;
                    }
                }
                Kind::Unique
            }
            _ => {
                let values = self.fields.literals(arguments, "validValues", &arguments_path);
                let written = self.fields.text(arguments, "pattern", &arguments_path);
                match (values, written) {
                    (Some(values), None) => Kind::InSet(values),
                    (None, Some(written)) => pattern(written),
                    (None, None) => {
                        self.fields.missing(arguments, "validValues", &arguments_path);
                        return;
                    }
                    (Some(_), Some(_)) => {
                        let message = "both `validValues` and `pattern` are given".to_owned();
                        self.fields.complain(
                            "rule-twice",
                            arguments.place,
                            &arguments_path,
                            message,
                            "make two rules of it",
                        );
                        return;
                    }
                }
            }
        };
        self.add(metric, columns, kind, accept, place);
    }

    /// Rules of Great Expectations are checked, those of other engines cannot be determined.
    fn custom(&mut self, node: &Node, path: &str, column: Option<&str>) {
        let Some(engine) = self.fields.needed_text(node, "engine", path) else {
            return;
        };
        let Some(implementation) = node.get("implementation") else {
            self.fields.missing(node, "implementation", path);
            return;
        };
        let columns: Vec<String> = column.iter().map(|column| (*column).to_owned()).collect();
        let plain: String = engine.chars().filter(char::is_ascii_alphabetic).collect();
        if !plain.eq_ignore_ascii_case("greatexpectations") {
            let kind = Kind::Refused(format!("the rule is one of the engine {engine:?}, which is not here"));
            self.add("custom", columns, kind, Accept::ALL, node.place);
            return;
        }
        let path = join(path, "implementation");
        let Some(text) = implementation.as_str() else {
            self.checks
                .extend(gx::expectation(implementation, &path, column, self.fields));
            return;
        };
        // A text of its own; its places are told in it.
        let name = format!(
            "{} (implementation at line {})",
            self.fields.source.name(),
            implementation.place.line
        );
        let source = Source::new(&name, text);
        let (documents, complaints) = read_nodes(&source);
        let mut inner = Fields::new(&source);
        for document in &documents {
            let check = gx::expectation(document, "", column, &mut inner);
            self.checks.extend(check.map(|check| Check {
                at: At::new(self.fields.source, implementation.place),
                ..check
            }));
        }
        for complaint in complaints.into_iter().chain(inner.into_complaints()) {
            let message = format!("{} (line {} of the text)", complaint.message, complaint.line);
            let fix = complaint.fix_text().to_owned();
            self.fields
                .complain(complaint.code, implementation.place, &path, message, &fix);
        }
    }

    /// `to` names an object and a property; where its data are this room cannot know from the contract, so it is looked for beside the data.
    pub(super) fn relation(&mut self, node: &Node, from: Vec<String>, path: &str) {
        let Some(to) = self.fields.text_or_texts(node, "to", path) else {
            self.fields.missing(node, "to", path);
            return;
        };
        let place = node.place_of("to");
        let parts: Vec<(&str, &str)> = to.iter().filter_map(|to| to.rsplit_once('.')).collect();
        let object = parts.first().map(|(object, _)| *object).unwrap_or_default();
        if parts.len() != to.len() || to.len() != from.len() || parts.iter().any(|(other, _)| *other != object) {
            let message = "`to` names as many properties of one object as `from`, each as object.property".to_owned();
            self.fields
                .complain("bad-reference", place, path, message, "for example `to: customers.id`");
            return;
        }
        let columns = parts.iter().map(|(_, column)| (*column).to_owned()).collect();
        // `from` may name the object, too.
        let from = from
            .iter()
            .map(|from| {
                from.rsplit_once('.')
                    .map_or(from.as_str(), |(_, column)| column)
                    .to_owned()
            })
            .collect();
        let kind = Kind::Reference {
            data: format!("../{object}"),
            columns,
        };
        self.add("relationship", from, kind, Accept::ALL, place);
    }

    pub(super) fn service_levels(&mut self, node: &Node, object: &str) {
        let keys = [
            "id",
            "property",
            "value",
            "valueExt",
            "unit",
            "element",
            "driver",
            "description",
            "scheduler",
            "schedule",
        ];
        for (path, level) in self.fields.list(node, "slaProperties", "") {
            if !self.fields.keys(level, &path, &keys) {
                continue;
            }
            let property = self.fields.needed_text(level, "property", &path);
            if !matches!(property, Some("latency" | "freshness")) {
                continue;
            }
            let Some(element) = self.fields.text(level, "element", &path) else {
                let message = "without an `element` the age of the data is not known".to_owned();
                self.fields.warn(
                    "no-element",
                    level.place,
                    &path,
                    message,
                    "name the column of the timestamp",
                );
                continue;
            };
            let (of, column) = element.split_once('.').unwrap_or((object, element));
            if of != object {
                continue;
            }
            let units: [(&str, f64); 16] = [
                ("d", 86_400.0),
                ("day", 86_400.0),
                ("days", 86_400.0),
                ("h", 3_600.0),
                ("hr", 3_600.0),
                ("hour", 3_600.0),
                ("hours", 3_600.0),
                ("m", 60.0),
                ("min", 60.0),
                ("minute", 60.0),
                ("minutes", 60.0),
                ("s", 1.0),
                ("sec", 1.0),
                ("second", 1.0),
                ("seconds", 1.0),
                ("w", 604_800.0),
            ];
            let unit = self.fields.word(level, "unit", &path, &units);
            let value = self.fields.number(level, "value", &path);
            let (Some(unit), Some(value)) = (unit, value) else {
                self.fields.complain(
                    "no-unit",
                    level.place,
                    &path,
                    "`value` and `unit` say how old data may be".into(),
                    "",
                );
                continue;
            };
            // The standard: a timestamp without a zone is UTC unless the property says another.
            let zone = self
                .zones
                .iter()
                .find(|(of, _)| of == column)
                .map_or("UTC", |(_, zone)| zone)
                .to_owned();
            let kind = Kind::Freshness {
                max_age: (unit * value) as i64,
                zone: Some(zone),
            };
            self.add("freshness", vec![column.to_owned()], kind, Accept::ALL, level.place);
        }
    }
}
