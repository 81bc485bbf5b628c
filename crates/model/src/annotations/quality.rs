//! `stoke.dev/quality`: data contracts that a run is held against, before it is submitted and after its driver has ended well.
//!
//! ```yaml
//! stoke.dev/quality: |
//!   before:
//!     - {contract: orders-contracts/raw.yaml, data: s3a://lake/raw/orders}
//!   after:
//!     - {contract: orders-contracts/clean.yaml, data: s3a://lake/clean/orders, onFail: warn}
//! ```

use jiff::SignedDuration;

use super::timeout;
use crate::manifest::{self, Content, Node, join, join_index, nearest};
use crate::quantity::Quantity;
use stoke_diagnostics::{Source, has_errors};

/// How long the checks of one phase may take together when nothing is said.
pub const TIMEOUT: SignedDuration = SignedDuration::from_hours(1);
/// Processors that a step asks for, and may not go beyond, when nothing is said.
pub const CPU: &str = "1";
/// Memory that a step asks for, and may not go beyond, when nothing is said.
pub const MEMORY: &str = "2Gi";
/// Steps of one phase; each is a container.
pub const MOST_STEPS: usize = 20;

/// What is checked of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Before it is submitted.
    pub before: Vec<Step>,
    /// After its driver has ended well.
    pub after: Vec<Step>,
    /// How long the checks of one phase may take together, from the moment their pod is made.
    pub timeout: SignedDuration,
    /// Processors of a step, a quantity.
    pub cpu: String,
    /// Memory of a step, a quantity.
    pub memory: String,
}

/// When steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before a run is submitted.
    Before,
    /// After its driver has ended well.
    After,
}

impl Phase {
    /// Both, in order.
    pub const ALL: [Phase; 2] = [Phase::Before, Phase::After];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// Data against a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub contract: FileOf,
    /// The data: a URL, or an absolute path in the driver's volumes.
    pub data: String,
    /// Which object of a contract that has several.
    pub object: Option<String>,
    /// What a contract that does not hold does.
    pub on_fail: OnFail,
    /// Directory that rows are set aside in, in the driver's volumes.
    pub quarantine: Option<String>,
    /// The place of earlier runs: a URL, or a directory in the driver's volumes.
    pub history: Option<String>,
    /// File of waivers.
    pub waivers: Option<FileOf>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOf {
    /// A key of a ConfigMap in the application's namespace, written `name/key`.
    ConfigMap {
        /// Name of the ConfigMap.
        name: String,
        key: String,
    },
    /// An absolute path in the driver's volumes.
    Path(String),
}

impl std::fmt::Display for FileOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConfigMap { name, key } => write!(f, "{name}/{key}"),
            Self::Path(path) => f.write_str(path),
        }
    }
}

/// What a contract that does not hold does to the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFail {
    /// Before: the run is not submitted. After: it has failed.
    #[default]
    Block,
    /// The run goes on, and it is told.
    Warn,
}

impl Steps {
    /// The steps of a phase.
    #[must_use]
    pub fn of(&self, phase: Phase) -> &[Step] {
        match phase {
            Phase::Before => &self.before,
            Phase::After => &self.after,
        }
    }
}

/// Reads the annotation's text, YAML or JSON.
///
/// # Errors
/// What is wrong, with its place in the text, and what to write instead.
pub fn read(text: &str) -> Result<Steps, String> {
    let source = Source::new("annotation", text);
    let (documents, complaints) = manifest::read(&source);
    if has_errors(&complaints) {
        let told = complaints.iter().find(|complaint| complaint.is_error());
        return Err(told.map_or_else(String::new, |complaint| complaint.message.clone()));
    }
    let [node] = documents.as_slice() else {
        return Err(format!("{}; it is {} documents", shape(), documents.len()));
    };
    keys(node, "", &["before", "after", "timeout", "cpu", "memory"])?;
    let list = |key: &str| -> Result<Vec<Step>, String> {
        let Some(value) = node.get(key) else {
            return Ok(Vec::new());
        };
        let Content::List(items) = &value.content else {
            return Err(format!(
                "{key}: {} is written where a list is wanted",
                value.type_name()
            ));
        };
        if items.len() > MOST_STEPS {
            return Err(format!(
                "{key}: {} steps; at most {MOST_STEPS} are allowed",
                items.len()
            ));
        }
        let numbered = items.iter().enumerate();
        numbered
            .map(|(index, item)| step(item, &join_index(key, index)))
            .collect()
    };
    let (before, after) = (list("before")?, list("after")?);
    if before.is_empty() && after.is_empty() {
        return Err(shape());
    }
    let quantity = |key: &str, default: &str| -> Result<String, String> {
        let Some(text) = scalar(node, key, "")? else {
            return Ok(default.to_owned());
        };
        let read: Quantity = text.parse().map_err(|error| format!("{key}: {error}"))?;
        match read.nanos() > 0 {
            true => Ok(text),
            false => Err(format!("{key}: {text} is nothing")),
        }
    };
    let limit = match scalar(node, "timeout", "")? {
        None => TIMEOUT,
        Some(text) => timeout(&text, 1)
            .ok()
            .flatten()
            .ok_or_else(|| format!("timeout: {text:?} is not allowed; write a duration of at least 1s such as 30m"))?,
    };
    Ok(Steps {
        before,
        after,
        timeout: limit,
        cpu: quantity("cpu", CPU)?,
        memory: quantity("memory", MEMORY)?,
    })
}

/// What to write in general.
pub(super) fn shape() -> String {
    "write lists `before` and `after` of steps such as {contract: CONFIGMAP/KEY, data: s3a://bucket/path}".to_owned()
}

fn step(node: &Node, path: &str) -> Result<Step, String> {
    let known = [
        "contract",
        "data",
        "object",
        "onFail",
        "quarantine",
        "history",
        "waivers",
    ];
    keys(node, path, &known)?;
    let needed = |key: &str| scalar(node, key, path)?.ok_or_else(|| format!("{path}: there is no `{key}`"));
    let data = needed("data")?;
    if !data.contains("://") && !data.starts_with('/') {
        return Err(format!(
            "{path}.data: {data:?} is neither a URL such as s3a://bucket/path nor an absolute path in the driver's volumes"
        ));
    }
    let directory = |key: &str| match scalar(node, key, path)? {
        Some(text) if !text.starts_with('/') => Err(format!(
            "{path}.{key}: {text:?} is not an absolute path in the driver's volumes"
        )),
        text => Ok(text),
    };
    Ok(Step {
        contract: file(&needed("contract")?, &join(path, "contract"))?,
        data,
        object: scalar(node, "object", path)?,
        on_fail: match scalar(node, "onFail", path)?.as_deref() {
            None | Some("block") => OnFail::Block,
            Some("warn") => OnFail::Warn,
            Some(other) => return Err(format!("{path}.onFail: {other:?} is not allowed; write block or warn")),
        },
        quarantine: directory("quarantine")?,
        history: match scalar(node, "history", path)? {
            Some(url) if url.contains("://") => Some(url),
            _ => directory("history")?,
        },
        waivers: scalar(node, "waivers", path)?
            .map(|text| file(&text, &join(path, "waivers")))
            .transpose()?,
    })
}

fn file(text: &str, path: &str) -> Result<FileOf, String> {
    if text.starts_with('/') {
        return Ok(FileOf::Path(text.to_owned()));
    }
    match text.split_once('/') {
        Some((name, key)) if is_name(name) && is_key(key) => Ok(FileOf::ConfigMap {
            name: name.to_owned(),
            key: key.to_owned(),
        }),
        _ => Err(format!(
            "{path}: {text:?} is neither CONFIGMAP/KEY nor an absolute path in the driver's volumes"
        )),
    }
}

/// Whether a ConfigMap may have this name.
fn is_name(text: &str) -> bool {
    crate::names::check_subdomain(text).is_ok()
}

/// Whether a ConfigMap may have this key, by the API's rule.
fn is_key(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.len() <= 253 && text.chars().all(allowed) && !text.starts_with("..") && text != "."
}

fn keys(node: &Node, path: &str, known: &[&str]) -> Result<(), String> {
    let at = if path.is_empty() {
        String::new()
    } else {
        format!("{path}: ")
    };
    if !matches!(node.content, Content::Map(_)) {
        return Err(match path.is_empty() {
            true => shape(),
            false => format!("{at}{} is written where a step is wanted", node.type_name()),
        });
    }
    match node.entries().iter().find(|entry| !known.contains(&entry.key.as_str())) {
        None => Ok(()),
        Some(entry) => Err(match nearest(&entry.key, known.iter().copied()) {
            Some(near) => format!("{at}there is no key `{}`; did you mean `{near}`?", entry.key),
            None => format!("{at}there is no key `{}`; there are {}", entry.key, known.join(", ")),
        }),
    }
}

/// The text of a key; a number is a text too.
fn scalar(node: &Node, key: &str, path: &str) -> Result<Option<String>, String> {
    match node.get(key).map(|value| (&value.content, value)) {
        None => Ok(None),
        Some((Content::String(text), _)) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some((Content::Number(number), _)) => Ok(Some(number.to_string())),
        Some((Content::String(_), _)) => Err(format!("{}: it is empty", join(path, key))),
        Some((_, value)) => Err(format!(
            "{}: {} is written where a text is wanted",
            join(path, key),
            value.type_name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_with_what_is_not_said() {
        let text = "before:\n  - {contract: orders/raw.yaml, data: 's3a://lake/raw'}\nafter:\n  - contract: /contracts/clean.yaml\n    data: /data/clean\n    \
                    object: orders\n    onFail: warn\n    quarantine: /data/bad\n    history: /data/history\n    waivers: orders/waivers.yaml\n\
                    timeout: 10m\ncpu: 2\nmemory: 512Mi\n";
        let steps = read(text).unwrap();
        let orders = |key: &str| FileOf::ConfigMap {
            name: "orders".into(),
            key: key.into(),
        };
        let raw = &steps.of(Phase::Before)[0];
        assert_eq!(
            (&raw.contract, raw.data.as_str()),
            (&orders("raw.yaml"), "s3a://lake/raw")
        );
        assert_eq!((raw.on_fail, &raw.waivers, &raw.object), (OnFail::Block, &None, &None));
        let clean = &steps.of(Phase::After)[0];
        assert_eq!(clean.contract, FileOf::Path("/contracts/clean.yaml".into()));
        assert_eq!(
            (clean.on_fail, &clean.waivers),
            (OnFail::Warn, &Some(orders("waivers.yaml")))
        );
        assert_eq!(
            (clean.quarantine.as_deref(), clean.history.as_deref()),
            (Some("/data/bad"), Some("/data/history"))
        );
        assert_eq!(
            (steps.timeout.as_secs(), steps.cpu.as_str(), steps.memory.as_str()),
            (600, "2", "512Mi")
        );
        let least = read(r#"{"after": [{"contract": "c/k", "data": "/d"}]}"#).unwrap();
        assert_eq!(
            (least.timeout, least.cpu.as_str(), least.memory.as_str()),
            (TIMEOUT, CPU, MEMORY)
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, told) in [
            ("", "write lists `before` and `after`"),
            ("orders", "write lists `before` and `after`"),
            ("before: []", "write lists `before` and `after`"),
            ("after: {}", "after: a mapping is written where a list is wanted"),
            ("after: [x]", "after[0]: a string is written where a step is wanted"),
            ("after: [{contract: c/k, data: /d}, {}]", "after[1]: there is no `data`"),
            ("after: [{data: /d}]", "after[0]: there is no `contract`"),
            (
                "after: [{contrat: c/k, data: /d}]",
                "after[0]: there is no key `contrat`; did you mean `contract`?",
            ),
            (
                "aftr: [{contract: c/k, data: /d}]",
                "there is no key `aftr`; did you mean `after`?",
            ),
            (
                "after: [{contract: c, data: /d}]",
                "after[0].contract: \"c\" is neither CONFIGMAP/KEY nor",
            ),
            (
                "after: [{contract: C_/k, data: /d}]",
                "after[0].contract: \"C_/k\" is neither",
            ),
            (
                "after: [{contract: c/k/l, data: /d}]",
                "after[0].contract: \"c/k/l\" is neither",
            ),
            (
                "after: [{contract: c/k, data: d}]",
                "after[0].data: \"d\" is neither a URL",
            ),
            (
                "after: [{contract: c/k, data: /d, onFail: stop}]",
                "after[0].onFail: \"stop\" is not allowed; write block or warn",
            ),
            (
                "after: [{contract: c/k, data: /d, quarantine: bad}]",
                "after[0].quarantine: \"bad\" is not an absolute path",
            ),
            (
                "after: [{contract: c/k, data: /d, object: [a]}]",
                "after[0].object: a list is written where a text is wanted",
            ),
            ("after: [{contract: c/k, data: ' '}]", "after[0].data: it is empty"),
            (
                "{after: [{contract: c/k, data: /d}], timeout: none}",
                "timeout: \"none\" is not allowed",
            ),
            ("{after: [{contract: c/k, data: /d}], memory: 1Gib}", "memory: "),
            (
                "{after: [{contract: c/k, data: /d}], memory: 0}",
                "memory: 0 is nothing",
            ),
            ("after: [", ""),
            ("a: 1\n---\nb: 1\n", "it is 2 documents"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{text:?}: {error}");
        }
        let many = format!("after: [{}]", "{contract: c/k, data: /d},".repeat(21));
        assert!(read(&many).unwrap_err().contains("at most 20"));
    }
}
