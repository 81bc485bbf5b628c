//! The Open Data Contract Standard, versions 3.0 and 3.1.
//!
//! Of a contract the schema and its quality rules are checked, and of the service levels `latency` and `freshness` with an `element`; what else a
//! contract says (servers, team, price, roles) is none of ours and only its keys are checked. Source: the standard's JSON schema v3.1.0 and its chapter
//! on data quality.
//!
//! Where the standard leaves a choice: percents of `nullValues` and `missingValues` are of all rows, of `invalidValues` and `duplicateValues` of the rows
//! that are not null; `duplicateValues` counts the rows beyond the first of each value; `invalidValues` leaves out nulls.

mod rules;

use stoke_diagnostics::Place;
use stoke_model::manifest::{Node, join, nearest};

use super::values::{empty_range, known_zone, pattern};
use super::{
    Accept, At, Check, Contract, Format, Kind, LeaveOut, Limit, Literal, Range, Severity, TextFormat, TypeName, id_of,
    number, text,
};
use stoke_model::manifest::Fields;

const TOP: &[&str] = &[
    "version",
    "kind",
    "apiVersion",
    "id",
    "name",
    "tenant",
    "tags",
    "status",
    "servers",
    "dataProduct",
    "description",
    "domain",
    "schema",
    "support",
    "price",
    "team",
    "roles",
    "slaDefaultElement",
    "slaProperties",
    "authoritativeDefinitions",
    "customProperties",
    "contractCreatedTs",
];

const OBJECT: &[&str] = &[
    "id",
    "name",
    "physicalType",
    "description",
    "businessName",
    "authoritativeDefinitions",
    "tags",
    "customProperties",
    "logicalType",
    "physicalName",
    "dataGranularityDescription",
    "properties",
    "relationships",
    "quality",
];

const PROPERTY: &[&str] = &[
    "id",
    "name",
    "physicalType",
    "description",
    "businessName",
    "authoritativeDefinitions",
    "tags",
    "customProperties",
    "primaryKey",
    "primaryKeyPosition",
    "logicalType",
    "logicalTypeOptions",
    "physicalName",
    "required",
    "unique",
    "partitioned",
    "partitionKeyPosition",
    "classification",
    "encryptedName",
    "transformSourceObjects",
    "transformLogic",
    "transformDescription",
    "examples",
    "criticalDataElement",
    "relationships",
    "quality",
    "properties",
    "items",
];

const VERSIONS: &[(&str, ())] = &[("v3.1.0", ()), ("v3.0.2", ()), ("v3.0.1", ()), ("v3.0.0", ())];

/// Reads a contract; of several objects the one that is named.
pub(super) fn read(node: &Node, object: Option<&str>, fields: &mut Fields<'_>) -> Option<Contract> {
    if !fields.keys(node, "", TOP) {
        return None;
    }
    fields.word(node, "kind", "", &[("DataContract", ())]);
    if node.get("apiVersion").is_none() {
        fields.missing(node, "apiVersion", "");
    }
    fields.word(node, "apiVersion", "", VERSIONS);
    for key in ["version", "id", "status"] {
        fields.needed_text(node, key, "");
    }
    let name = ["name", "id"].into_iter().find_map(|key| fields.text(node, key, ""));
    let mut name = name.unwrap_or_default().to_owned();
    let objects = fields.list(node, "schema", "");
    let (path, chosen) = choose(node, &objects, object, fields)?;
    if !fields.keys(chosen, path, OBJECT) {
        return None;
    }
    let object = fields.needed_text(chosen, "name", path)?;
    if objects.len() > 1 {
        name = format!("{name}.{object}");
    }
    let mut odcs = Odcs {
        fields,
        checks: Vec::new(),
        types: Vec::new(),
        zones: Vec::new(),
        keys: Vec::new(),
        optional: Vec::new(),
        object: object.to_owned(),
    };
    let mut names = vec![object.to_owned()];
    // Names of several parts are of a catalogue that is not here.
    let physical = odcs.fields.text(chosen, "physicalName", path);
    names.extend(
        physical
            .filter(|name| *name != object && !name.contains('.'))
            .map(str::to_owned),
    );
    odcs.object(chosen, path);
    odcs.service_levels(node, object);
    let Odcs {
        mut checks,
        types,
        optional,
        ..
    } = odcs;
    number(&mut checks);
    Some(Contract {
        name,
        names,
        format: Format::Odcs,
        checks,
        waivers: Vec::new(),
        types: types.into_iter().collect(),
        optional: optional.into_iter().collect(),
        nan_is_null: false,
    })
}

fn choose<'n>(
    node: &Node,
    objects: &'n [(String, &'n Node)],
    wanted: Option<&str>,
    fields: &mut Fields<'_>,
) -> Option<(&'n str, &'n Node)> {
    let name = |object: &Node| object.get("name").and_then(Node::as_str).unwrap_or_default().to_owned();
    let names: Vec<String> = objects.iter().map(|(_, object)| name(object)).collect();
    let found = match (wanted, objects) {
        (None, [only]) => Some(only),
        (None, []) => {
            fields.missing(node, "schema", "");
            return None;
        }
        (None, _) => None,
        (Some(wanted), _) => objects.iter().find(|(_, object)| {
            name(object) == wanted || object.get("physicalName").and_then(Node::as_str) == Some(wanted)
        }),
    };
    if found.is_none() {
        let place = node.place_of("schema");
        let (message, fix) = match wanted {
            Some(wanted) => {
                let near = nearest(wanted, names.iter().map(String::as_str));
                let fix = near.map_or_else(
                    || format!("there are {}", names.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                (format!("the contract has no object `{wanted}`"), fix)
            }
            None => (
                format!("the contract describes {} objects: {}", names.len(), names.join(", ")),
                "say which one the data are".to_owned(),
            ),
        };
        fields.complain("which-object", place, "schema", message, &fix);
    }
    found.map(|(path, object)| (path.as_str(), *object))
}

struct Odcs<'f, 'a> {
    fields: &'f mut Fields<'a>,
    checks: Vec<Check>,
    types: Vec<(String, TypeName)>,
    /// Default zones of timestamps, by the column.
    zones: Vec<(String, String)>,
    /// Columns of the primary key: position, column, place.
    keys: Vec<(i64, String, Place)>,
    /// Columns that are not required.
    optional: Vec<String>,
    /// Name of the object.
    object: String,
}

impl Odcs<'_, '_> {
    fn add(&mut self, name: &str, columns: Vec<String>, kind: Kind, accept: Accept, place: Place) {
        self.checks.push(Check {
            id: id_of(name, &columns),
            name: name.to_owned(),
            columns,
            kind,
            accept,
            leave_out: LeaveOut::AnyNull,
            condition: None,
            texts_are_dates: false,
            severity: Severity::Error,
            at: At::new(self.fields.source, place),
        });
    }

    fn object(&mut self, node: &Node, path: &str) {
        for (path, property) in self.fields.list(node, "properties", path) {
            self.property(property, &path);
        }
        let mut keys = std::mem::take(&mut self.keys);
        keys.sort_by_key(|(position, ..)| *position);
        if let Some((_, _, place)) = keys.first() {
            let place = *place;
            let columns: Vec<String> = keys.into_iter().map(|(_, column, _)| column).collect();
            self.add("primaryKey", columns, Kind::Unique, Accept::ALL, place);
        }
        for (path, rule) in self.fields.list(node, "quality", path) {
            self.rule(rule, &path, None);
        }
        for (path, relation) in self.fields.list(node, "relationships", path) {
            if self
                .fields
                .keys(relation, &path, &["type", "from", "to", "customProperties"])
            {
                let from = self.fields.text_or_texts(relation, "from", &path).unwrap_or_default();
                self.relation(relation, from, &path);
            }
        }
    }

    fn property(&mut self, node: &Node, path: &str) {
        if !self.fields.keys(node, path, PROPERTY) {
            return;
        }
        let Some(name) = self.fields.needed_text(node, "name", path) else {
            return;
        };
        let column = self.fields.text(node, "physicalName", path).unwrap_or(name).to_owned();
        let one = || vec![column.clone()];
        self.add(
            "exists",
            one(),
            Kind::ColumnExists(None),
            Accept::ALL,
            node.place_of("name"),
        );
        self.types_of(node, path, &column);
        let is_key = self.fields.flag(node, "primaryKey", path) == Some(true);
        if !is_key && self.fields.flag(node, "required", path) != Some(true) {
            self.optional.push(column.clone());
        }
        if self.fields.flag(node, "required", path) == Some(true) {
            self.add("required", one(), Kind::NotNull, Accept::ALL, node.place_of("required"));
        }
        if self.fields.flag(node, "unique", path) == Some(true) {
            self.add("unique", one(), Kind::Unique, Accept::ALL, node.place_of("unique"));
        }
        if self.fields.flag(node, "primaryKey", path) == Some(true) {
            let place = node.place_of("primaryKey");
            let position = self.fields.whole(node, "primaryKeyPosition", path).unwrap_or(i64::MAX);
            self.keys.push((position, column.clone(), place));
            if self.fields.flag(node, "required", path) != Some(true) {
                self.add("primaryKey.required", one(), Kind::NotNull, Accept::ALL, place);
            }
        }
        for key in ["properties", "items"] {
            if node.get(key).is_some() {
                let reason = format!("`{key}` are of nested values, which are not looked into");
                self.add(key, one(), Kind::Refused(reason), Accept::ALL, node.place_of(key));
                // What is only described must not fail the data.
                if let Some(check) = self.checks.last_mut() {
                    check.severity = Severity::Warning;
                }
            }
        }
        self.options(node, path, &column);
        for (path, rule) in self.fields.list(node, "quality", path) {
            self.rule(rule, &path, Some(&column));
        }
        for (path, relation) in self.fields.list(node, "relationships", path) {
            if self.fields.keys(relation, &path, &["type", "to", "customProperties"]) {
                self.relation(relation, one(), &path);
            }
        }
    }

    /// The logical type is checked; the physical one where it is a name that is known here, since it may be of any database.
    fn types_of(&mut self, node: &Node, path: &str, column: &str) {
        let words = [
            "string",
            "date",
            "timestamp",
            "time",
            "number",
            "integer",
            "object",
            "array",
            "boolean",
        ];
        let words: Vec<(&str, &str)> = words.iter().map(|word| (*word, *word)).collect();
        let logical = self.fields.word(node, "logicalType", path, &words);
        let logical = logical.and_then(|name| TypeName::parse(name).ok());
        let physical = self
            .fields
            .text(node, "physicalType", path)
            .and_then(|name| TypeName::parse(name).ok());
        for (key, name) in [("logicalType", &logical), ("physicalType", &physical)] {
            if let Some(name) = name {
                // A document in a column of JSON is a text in most files.
                let in_text = physical
                    .as_ref()
                    .filter(|physical| physical.is_json() && name.documents().is_some());
                let kind = Kind::ColumnType(std::iter::once(name).chain(in_text).cloned().collect());
                self.add(key, vec![column.to_owned()], kind, Accept::ALL, node.place_of(key));
            }
        }
        if let Some(name) = physical.or(logical) {
            self.types.push((column.to_owned(), name));
        }
    }

    fn options(&mut self, node: &Node, path: &str, column: &str) {
        let Some(options) = node.get("logicalTypeOptions") else {
            return;
        };
        let path = join(path, "logicalTypeOptions");
        let range: &[&str] = &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];
        let logical = node.get("logicalType").and_then(Node::as_str).unwrap_or_default();
        let own: &[&str] = match logical {
            "string" => &["minLength", "maxLength", "pattern", "format"],
            "date" => &["format"],
            "timestamp" | "time" => &["format", "timezone", "defaultTimezone"],
            "integer" | "number" => &["format", "multipleOf"],
            "object" => &["maxProperties", "minProperties", "required"],
            "array" => &["maxItems", "minItems", "uniqueItems"],
            _ => &[],
        };
        let ranged = matches!(logical, "date" | "timestamp" | "time" | "integer" | "number");
        let allowed: Vec<&str> = own.iter().chain(if ranged { range } else { &[] }).copied().collect();
        if !self.fields.keys(options, &path, &allowed) {
            return;
        }
        let one = || vec![column.to_owned()];
        match logical {
            "string" => self.text_options(options, &path, column),
            "object" | "array" => {
                for entry in options.entries() {
                    let kind = Kind::Refused(format!(
                        "`{}` is of nested values, which are not looked into",
                        entry.key
                    ));
                    self.add(&entry.key, one(), kind, Accept::ALL, entry.key_place);
                }
            }
            _ => {
                self.value_range(options, &path, column);
                if let Some(factor) = self.fields.literal(options, "multipleOf", &path) {
                    let place = options.place_of("multipleOf");
                    self.add("multipleOf", one(), Kind::MultipleOf(factor), Accept::ALL, place);
                }
                if let Some(zone) = self.fields.text(options, "defaultTimezone", &path) {
                    known_zone(zone, options.place_of("defaultTimezone"), &path, self.fields);
                    self.zones.push((column.to_owned(), zone.to_owned()));
                }
                if let Some(zoned) = self.fields.flag(options, "timezone", &path) {
                    let name = if zoned { "timestamp_ltz" } else { "timestamp_ntz" };
                    let kind = TypeName::parse(name).map(|name| Kind::ColumnType(vec![name]));
                    if let (Ok(kind), "timestamp") = (kind, logical) {
                        self.add("timezone", one(), kind, Accept::ALL, options.place_of("timezone"));
                    }
                }
            }
        }
    }

    fn text_options(&mut self, options: &Node, path: &str, column: &str) {
        let one = || vec![column.to_owned()];
        for key in ["minLength", "maxLength"] {
            if let Some(length) = self.fields.whole(options, key, path) {
                let length = length as f64;
                let limit = if key == "minLength" {
                    Limit::at_least(length)
                } else {
                    Limit::at_most(length)
                };
                self.add(key, one(), Kind::Length(limit), Accept::ALL, options.place_of(key));
            }
        }
        if let Some(written) = self.fields.text(options, "pattern", path) {
            let kind = pattern(written);
            self.add("pattern", one(), kind, Accept::ALL, options.place_of("pattern"));
        }
        if let Some(format) = self.fields.text(options, "format", path) {
            let place = options.place_of("format");
            let kind = match (TextFormat::named(format), format) {
                (Some(format), _) => Kind::Format(format),
                // These say how a text is meant, not how it is written.
                (None, "password" | "byte" | "binary") => return,
                (None, other) => Kind::Refused(format!(
                    "the format {other:?} is not known here; known are {}",
                    text::NAMES.join(", ")
                )),
            };
            self.add("format", one(), kind, Accept::ALL, place);
        }
    }

    fn value_range(&mut self, options: &Node, path: &str, column: &str) {
        let ends = [
            ("minimum", true, false),
            ("maximum", false, false),
            ("exclusiveMinimum", true, true),
            ("exclusiveMaximum", false, true),
        ];
        let mut lowest: Option<Literal> = None;
        for (key, lower, strict) in ends {
            let Some(end) = self.fields.literal(options, key, path) else {
                continue;
            };
            let place = options.place_of(key);
            let mut range = Range::default();
            if lower {
                lowest = Some(end.clone());
                (range.min, range.strict_min) = (Some(end), strict);
            } else {
                (range.max, range.strict_max) = (Some(end), strict);
                let whole = Range {
                    min: lowest.clone(),
                    ..range.clone()
                };
                empty_range(&whole, place, path, self.fields);
            }
            self.add(key, vec![column.to_owned()], Kind::Between(range), Accept::ALL, place);
        }
    }
}
