//! The record, compressed: a line of JSON for a case, with what the real server answered.
//!
//! `case` is its name, `hash` tells what was sent, `code` the answer's. Of a refusal: `reason`, `message`, `causes` (reason, field, message). Of what
//! was accepted: `added`, the leaves of the answer that were not sent so (or `<absent>`). For creations `added` is told as the difference from
//! that of the kind's `create base`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::send::{Answer, leaves};

/// Longest text that is kept of a message.
const LONGEST: usize = 400;
const ABSENT: &str = "<absent>";
const AS_SENT: &str = "<as sent>";

/// What a server made of a case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub case: String,
    pub hash: String,
    pub code: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<[String; 3]>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub added: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The part of an answer that is compared.
pub fn outcome(answer: &Answer) -> Outcome {
    let mut outcome = Outcome {
        case: answer.name.clone(),
        hash: format!("{:08x}", answer.hash & 0xffff_ffff),
        code: answer.code,
        warnings: answer.warnings.iter().map(|text| cut(text)).collect(),
        ..Outcome::default()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !(200..300).contains(&answer.code) {
        let (body, details) = (&answer.body, &answer.body["details"]);
        outcome.reason = text(&body["reason"]);
        let causes: Vec<[String; 3]> = details["causes"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|cause| [text(&cause["reason"]), text(&cause["field"]), text(&cause["message"])])
            .collect();
        outcome.message = cut(&without_causes(&text(&body["message"]), &causes));
        outcome.causes = causes
            .into_iter()
            .map(|[reason, field, message]| [reason, field, cut(&message)])
            .collect();
        outcome.causes.sort();
        // The real server says some things once for every time it looks.
        outcome.causes.dedup();
        return outcome;
    }
    let received = leaves(&answer.body);
    for (path, value) in &received {
        if answer.sent.get(path) != Some(value) {
            outcome.added.insert(path.clone(), value.clone());
        }
    }
    let kept = |path: &str| received.contains_key(path);
    for (path, _) in answer
        .sent
        .iter()
        .filter(|(path, _)| !kept(path) && !path.starts_with("metadata.uid") && !path.starts_with("metadata.creation"))
    {
        outcome.added.insert(path.clone(), json!(ABSENT));
    }
    outcome
}

/// A message says again what its causes say; then its beginning is enough.
fn without_causes(message: &str, causes: &[[String; 3]]) -> String {
    let Some((head, rest)) = message.split_once(" is invalid: ") else {
        return message.to_owned();
    };
    let mut told: Vec<String> = causes
        .iter()
        .map(|[_, field, message]| format!("{field}: {message}"))
        .collect();
    told.sort();
    told.dedup();
    let length: usize = told.iter().map(String::len).sum::<usize>() + if told.len() > 1 { 2 * told.len() } else { 0 };
    if !told.is_empty() && rest.len() == length && told.iter().all(|text| rest.contains(text.as_str())) {
        return head.to_owned();
    }
    message.to_owned()
}

/// Only the first line, and not too much of it: what follows are dumps of whole objects.
fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.trim_end().to_owned(),
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts/recorded.jsonl.zst")
}

/// What `create base` of a kind had added; a case's kind is its first word.
fn kind_of(case: &str) -> Option<&str> {
    let mut words = case.split(' ');
    let kind = words.next()?;
    (words.next()? == "create").then_some(kind)
}

type Bases = BTreeMap<String, BTreeMap<String, Value>>;

/// The record as it is in the repository.
pub fn read() -> BTreeMap<String, Outcome> {
    let mut bases = Bases::new();
    let Ok(bytes) = std::fs::read(path()) else {
        return BTreeMap::new();
    };
    let text = zstd::decode_all(&bytes[..]).expect("the record is compressed");
    let text = String::from_utf8(text).expect("the record is text");
    let lines = text.lines().map(|line| {
        let mut outcome: Outcome = serde_json::from_str(line).expect("a line of the record");
        if let (Some(kind), 200..300) = (kind_of(&outcome.case), outcome.code) {
            if let Some(base) = bases.get(kind) {
                let mut whole = base.clone();
                whole.append(&mut outcome.added);
                whole.retain(|_, value| *value != AS_SENT);
                outcome.added = whole;
            } else {
                bases.insert(kind.to_owned(), outcome.added.clone());
            }
        }
        (outcome.case.clone(), outcome)
    });
    lines.collect()
}

/// Writes the record again.
pub fn write(answers: &[Answer]) {
    let mut bases = Bases::new();
    let mut text = String::new();
    for answer in answers {
        let mut outcome = outcome(answer);
        if let (Some(kind), 200..300) = (kind_of(&outcome.case), outcome.code) {
            if let Some(base) = bases.get(kind) {
                for path in base.keys() {
                    outcome.added.entry(path.clone()).or_insert_with(|| json!(AS_SENT));
                }
                outcome.added.retain(|path, value| base.get(path) != Some(value));
            } else {
                bases.insert(kind.to_owned(), outcome.added.clone());
            }
        }
        text.push_str(&serde_json::to_string(&outcome).expect("an outcome"));
        text.push('\n');
    }
    let bytes = zstd::encode_all(text.as_bytes(), 19).expect("the record compresses");
    std::fs::write(path(), bytes).expect("the record is written");
}
