//! A page as JSON: the same numbers as on it, and what commands say of the same as they say it.

use std::collections::HashMap;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::live::logs::Line;
use crate::page::{Note, Page, Row, Section, Table};

impl Page {
    /// The page as JSON: an object with a field for each part. Times are milliseconds since 1970, durations milliseconds, sizes bytes.
    ///
    /// # Errors
    /// Never for what pages are made of.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut wholes = HashMap::new();
        let mut fields = Map::new();
        fields.insert("page".to_owned(), json!(self.kind));
        fields.insert("title".to_owned(), json!(self.title));
        if let Some(state) = self.state {
            fields.insert("state".to_owned(), json!(state.name()));
        }
        for section in &self.sections {
            if let Some((name, value)) = section.value() {
                fields.insert(name.to_owned(), value);
            } else if let Section::Whole(name, text) = section {
                fields.insert((*name).to_owned(), Value::Null);
                wholes.insert(*name, text.as_ref());
            }
        }
        serde_json::to_string_pretty(&Twin { fields, wholes })
    }
}

/// The fields of a page, some of which are written already.
struct Twin<'a> {
    fields: Map<String, Value>,
    wholes: HashMap<&'static str, &'a RawValue>,
}

impl Serialize for Twin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            match self.wholes.get(name.as_str()) {
                Some(text) => map.serialize_entry(name, text)?,
                None => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

impl Section {
    /// What a command says of the same.
    pub fn whole(name: &'static str, what: &impl Serialize) -> Section {
        match to_raw_value(what) {
            Ok(text) => Section::Whole(name, text),
            Err(error) => Section::Note(Note {
                id: name,
                text: error.to_string(),
                bad: true,
            }),
        }
    }

    fn value(&self) -> Option<(&'static str, Value)> {
        Some(match self {
            Section::Facts(facts) => {
                let items = facts.items.iter().map(|(id, _, cell)| ((*id).to_owned(), cell.value()));
                (facts.id, Value::Object(items.collect()))
            }
            Section::Table(table) => (table.id, table.value()),
            Section::Shares(shares) => {
                let parts = shares
                    .parts
                    .iter()
                    .map(|(id, _, cell, ..)| ((*id).to_owned(), cell.value()));
                (shares.id, Value::Object(parts.collect()))
            }
            Section::Histogram(histogram) => ("distribution", histogram.value()),
            Section::Plan(plan) => (plan.id, plan.value()),
            Section::Findings(findings) => ("findings", json!(findings)),
            Section::Text(text) => (text.id, json!(text.text)),
            Section::Note(note) => (note.id, json!(note.text)),
            Section::Source(listing) => (
                "manifest",
                json!({"lines": listing.lines, "findings": listing.findings}),
            ),
            Section::Log(log) => {
                let line = |line: &Line| json!({"level": line.level.name(), "text": line.text, "cut": line.cut});
                ("log", log.lines.iter().map(line).collect())
            }
            Section::Answer(answer) => ("answer", answer.value()),
            // Pictures of what the tables say, ways to other pages, and what is written already.
            Section::Timeline(_)
            | Section::Whole(..)
            | Section::Chart(_)
            | Section::Treemap(_)
            | Section::Waterfall(_)
            | Section::Form(_)
            | Section::Sheet(_)
            | Section::Actions(_)
            | Section::Entrance(..)
            | Section::Filter(_) => return None,
        })
    }
}

impl Table {
    fn value(&self) -> Value {
        let row = |row: &Row| -> Value {
            let cells = self.columns.iter().zip(&row.cells);
            Value::Object(
                cells
                    .map(|(column, cell)| (column.id.to_owned(), cell.value()))
                    .collect(),
            )
        };
        let rows: Vec<Value> = self.rows.iter().map(row).collect();
        let total = self.paging.as_ref().map_or(rows.len(), |paging| paging.total);
        json!({"total": total, "rows": rows})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_say_keeps_its_numbers_however_large() {
        #[derive(serde::Serialize)]
        struct Bill {
            bytes: i128,
        }
        let bytes = 74_284_873_883_320_320_000;
        let page = Page {
            kind: "cost",
            sections: vec![Section::whole("bill", &Bill { bytes })],
            ..Page::default()
        };
        let text = page.to_json().unwrap();
        assert!(text.contains("74284873883320320000"), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert!(read["page"] == "cost" && read["bill"]["bytes"].is_number(), "{text}");
    }
}
