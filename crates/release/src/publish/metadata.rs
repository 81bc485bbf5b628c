//! The metadata of an Iceberg table, as far as publishing needs it: what its branches are, whether one is ahead of another, and a change of them as updates of
//! Iceberg's REST, which are done here, too, for tables without a catalogue.
//!
//! Source: the Iceberg table specification, versions 1 to 3, and the REST catalogue's OpenAPI.

use serde_json::{Value, json};

/// What readers read.
pub const MAIN: &str = "main";
/// Most of the former metadata files that a table names, unless its properties say otherwise.
const PREVIOUS: u64 = 100;

/// The metadata of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata(Value);

/// How a snapshot stands to what readers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It follows; these snapshots lie between, with itself.
    Ahead(Vec<i64>),
    Same,
    /// What readers see follows it.
    Behind,
    /// They have an ancestor in common at most: both went on from there.
    Apart,
    /// A snapshot in between is not in the metadata any more.
    NotKnown(i64),
}

impl Metadata {
    /// # Errors
    /// It is not the metadata of a table in a version that is known.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        use std::io::Read;
        let mut plain = Vec::new();
        let text = match bytes.starts_with(&[0x1F, 0x8B]) {
            true => {
                let mut decoder = flate2::read::GzDecoder::new(bytes);
                decoder.read_to_end(&mut plain).map_err(|error| error.to_string())?;
                &plain
            }
            false => bytes,
        };
        Self::of(serde_json::from_slice(text).map_err(|error| error.to_string())?)
    }

    /// # Errors
    /// As [`Metadata::read`].
    pub fn of(value: Value) -> Result<Self, String> {
        match value["format-version"].as_i64() {
            Some(1..=3) if value["location"].is_string() => Ok(Self(value)),
            Some(version @ 1..=3) => Err(format!("metadata of format version {version} without a location")),
            Some(version) => Err(format!("the table is of format version {version}; 1 to 3 are known")),
            None => Err("it has no format version".to_owned()),
        }
    }

    #[must_use]
    pub fn location(&self) -> &str {
        self.0["location"].as_str().unwrap_or_default()
    }

    #[must_use]
    pub fn uuid(&self) -> Option<&str> {
        self.0["table-uuid"].as_str()
    }

    /// Whether Spark writes to the branch of `spark.wap.branch`.
    #[must_use]
    pub fn writes_apart(&self) -> bool {
        self.0["properties"]["write.wap.enabled"]
            .as_str()
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The snapshot of a branch or tag.
    #[must_use]
    pub fn reference(&self, name: &str) -> Option<i64> {
        let of = self.0["refs"][name]["snapshot-id"].as_i64();
        match name {
            MAIN => of.or_else(|| self.0["current-snapshot-id"].as_i64().filter(|id| *id >= 0)),
            _ => of,
        }
    }

    #[must_use]
    pub fn references(&self) -> Vec<&str> {
        let refs = self.0["refs"].as_object();
        refs.into_iter().flatten().map(|(name, _)| name.as_str()).collect()
    }

    fn snapshot(&self, id: i64) -> Option<&Value> {
        let mut all = self.0["snapshots"].as_array()?.iter();
        all.find(|snapshot| snapshot["snapshot-id"].as_i64() == Some(id))
    }

    #[must_use]
    pub fn has(&self, snapshot: i64) -> bool {
        self.snapshot(snapshot).is_some()
    }

    /// A key of what wrote a snapshot.
    #[must_use]
    pub fn summary(&self, snapshot: i64, key: &str) -> Option<&str> {
        self.snapshot(snapshot)?["summary"][key].as_str()
    }

    /// How a snapshot stands to another one; none is the empty table.
    #[must_use]
    pub fn standing(&self, one: i64, to: Option<i64>) -> Standing {
        if Some(one) == to {
            return Standing::Same;
        }
        let (chain, end) = self.ancestors(one);
        match (to, end) {
            (Some(to), _) if chain.contains(&to) => {
                Standing::Ahead(chain.into_iter().take_while(|id| *id != to).collect())
            }
            (None, None) => Standing::Ahead(chain),
            (Some(to), end) => match (self.ancestors(to), end) {
                ((others, _), _) if others.contains(&one) => Standing::Behind,
                (_, Some(missing)) | ((_, Some(missing)), _) => Standing::NotKnown(missing),
                _ => Standing::Apart,
            },
            (None, Some(missing)) => Standing::NotKnown(missing),
        }
    }

    /// A snapshot and those before it, and the first one that is missing.
    fn ancestors(&self, of: i64) -> (Vec<i64>, Option<i64>) {
        let mut chain: Vec<i64> = Vec::new();
        let mut next = Some(of);
        while let Some(id) = next.filter(|id| !chain.contains(id)) {
            let Some(snapshot) = self.snapshot(id) else {
                return (chain, Some(id));
            };
            chain.push(id);
            next = snapshot["parent-snapshot-id"].as_i64();
        }
        (chain, None)
    }

    /// What lets `main` go from one snapshot to another: what must hold, and the updates. What readers saw before keeps a tag, so that it does not expire; a
    /// branch that is built on what is taken back goes, so that the next run begins with what readers see.
    #[must_use]
    pub fn change(&self, branch: &str, from: Option<i64>, to: i64, back: bool) -> Update {
        let mut requirements = Vec::new();
        if let Some(uuid) = self.uuid() {
            requirements.push(json!({"type": "assert-table-uuid", "uuid": uuid}));
        }
        let at = |name: &str, snapshot: Option<i64>| json!({"type": "assert-ref-snapshot-id", "ref": name, "snapshot-id": snapshot});
        requirements.push(at(MAIN, from));
        let mut main = match &self.0["refs"][MAIN] {
            Value::Object(kept) => Value::Object(kept.clone()),
            _ => json!({}),
        };
        main["action"] = json!("set-snapshot-ref");
        main["ref-name"] = json!(MAIN);
        main["type"] = json!("branch");
        main["snapshot-id"] = json!(to);
        let mut updates = vec![main];
        if let Some(from) = from {
            let tag = before(branch);
            // It changes with each step, so that a writer of before an earlier step and its undoing is refused.
            requirements.push(at(&tag, self.reference(&tag)));
            updates.push(json!({"action": "set-snapshot-ref", "ref-name": tag, "type": "tag", "snapshot-id": from}));
            let head = self.reference(branch).filter(|_| back);
            if let Some(head) = head.filter(|head| self.ancestors(*head).0.contains(&from)) {
                requirements.push(at(branch, Some(head)));
                updates.push(json!({"action": "remove-snapshot-ref", "ref-name": branch}));
            }
        }
        Update { requirements, updates }
    }

    /// The metadata after a change, as the next file of a table without a catalogue. `file` is where the metadata are now.
    #[must_use]
    pub fn after(&self, update: &Update, file: &str, now: i64) -> Vec<u8> {
        let mut next = self.0.clone();
        let before = next["last-updated-ms"].as_i64().unwrap_or(0);
        let now = now.max(before);
        if !next["refs"].is_object() {
            next["refs"] = json!({});
        }
        for one in &update.updates {
            let name = one["ref-name"].as_str().unwrap_or_default().to_owned();
            if one["action"] == "remove-snapshot-ref" {
                next["refs"].as_object_mut().map(|refs| refs.remove(&name));
                continue;
            }
            let mut kept = one.clone();
            if let Some(kept) = kept.as_object_mut() {
                kept.remove("action");
                kept.remove("ref-name");
            }
            if name == MAIN {
                next["current-snapshot-id"] = kept["snapshot-id"].clone();
                push(
                    &mut next["snapshot-log"],
                    json!({"timestamp-ms": now, "snapshot-id": kept["snapshot-id"]}),
                );
            }
            next["refs"][&name] = kept;
        }
        let most = next["properties"]["write.metadata.previous-versions-max"].as_str();
        let most = most.and_then(|text| text.parse().ok()).unwrap_or(PREVIOUS).max(1);
        push(
            &mut next["metadata-log"],
            json!({"timestamp-ms": before, "metadata-file": file}),
        );
        if let Some(log) = next["metadata-log"].as_array_mut() {
            let over = log.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
            log.drain(..over);
        }
        next["last-updated-ms"] = json!(now);
        next.to_string().into_bytes()
    }
}

/// The tag of what readers saw before the last change.
#[must_use]
pub fn before(branch: &str) -> String {
    format!("{branch}-before")
}

fn push(list: &mut Value, entry: Value) {
    match list.as_array_mut() {
        Some(list) => list.push(entry),
        None => *list = json!([entry]),
    }
}

/// A change of a table, as Iceberg's REST has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub requirements: Vec<Value>,
    pub updates: Vec<Value>,
}
