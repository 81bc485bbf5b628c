//! How lines of containers become records.

use serde_json::{Value, json};
use stoke_model::redaction;

/// What stands where a secret was.
const REDACTED: &str = "REDACTED";
/// Bytes of a record, at most. Loki takes 256 KiB by default.
const LARGEST: &str = "256KiB";
/// How long a record waits for more lines of its own.
const PATIENCE: &str = "1s";

/// A line that goes on with the record before it: it is indented or empty, or it is what Java's and Python's stack traces, and Spark's plans and
/// queries within a message, have at the beginning of a line.
const GOES_ON: &str = r"^(\s|$|Caused by: |Suppressed: |Traceback \(most recent call last\)|During handling of the above exception|The above exception was the direct cause|([\w$]+\.)+[\w$]*(Exception|Error|Throwable)\b|\w*(Error|Exception|Warning|Interrupt|Exit)(: |$)|[:+!]- |\)( |$)|== .* ==$|\^+$)";
/// The beginning of a line of Log4j in the pattern that Spark has unless told otherwise.
const HEAD: &str = r"^\d\d/\d\d/\d\d \d\d:\d\d:\d\d (TRACE|DEBUG|INFO|WARN|ERROR|FATAL) ";
const PARTS: &str = r"^\S+ \S+ (?P<level>\w+) (?P<logger>[^\s:]+): ";
/// The beginning of a line of Spark's structured logging (`spark.log.structuredLogging.enabled`, Spark 4.0 and newer).
const STRUCTURED: &str = r#"{\"ts\":"#;

/// What Spark's structured logging says of the place in a run (`org.apache.spark.internal.LogKeys`; some loggers write the key in capitals), and the
/// attribute it becomes. Other keys may hold anything, so they are left out.
const CONTEXT: [(&str, &str); 7] = [
    ("job_id", "spark.job.id"),
    ("stage_id", "spark.stage.id"),
    ("STAGE_ID", "spark.stage.id"),
    ("STAGE_ATTEMPT_ID", "spark.stage.attempt"),
    ("task_id", "spark.task.id"),
    ("task_name", "spark.task.name"),
    ("executor_id", "spark.executor.named"),
];

/// A text of a configuration, in which `$` begins a variable.
fn plain(text: &str) -> String {
    text.replace('$', "$$")
}

/// A text as a literal of OTTL.
fn literal(text: &str) -> String {
    format!("{}", json!(text))
}

/// Operators of the receiver: the container runtime's format, records of several lines, levels.
#[must_use]
pub fn operators() -> Vec<Value> {
    let mut operators = vec![
        json!({"type": "container", "id": "container"}),
        // Both streams of a container are in one file, and each has its own stack traces.
        json!({"type": "add", "field": "attributes.stream", "value": "EXPR(attributes[\"log.file.path\"] + \" \" + attributes[\"log.iostream\"])"}),
        json!({
            "type": "recombine", "combine_field": "body", "source_identifier": "attributes.stream", "overwrite_with": "oldest",
            "is_first_entry": format!("not (body matches `{GOES_ON}`)"), "max_log_size": LARGEST, "force_flush_period": PATIENCE,
        }),
        json!({"type": "remove", "field": "attributes.stream"}),
        json!({"type": "remove", "field": "attributes[\"log.file.path\"]"}),
        json!({"type": "remove", "field": "attributes[\"log.file.name\"]"}),
        json!({"type": "remove", "field": "attributes.logtag"}),
        json!({"type": "json_parser", "if": format!("body startsWith \"{STRUCTURED}\""), "parse_to": "attributes.spark", "on_error": "send_quiet"}),
        json!({"type": "regex_parser", "if": format!("body matches `{HEAD}`"), "regex": PARTS, "parse_to": "attributes.spark", "on_error": "send_quiet"}),
        json!({"type": "severity_parser", "if": "attributes.spark?.level != nil", "parse_from": "attributes.spark.level", "on_error": "send_quiet"}),
    ];
    for operator in &mut operators {
        for (_, value) in operator.as_object_mut().into_iter().flatten() {
            if let Some(text) = value.as_str() {
                *value = plain(text).into();
            }
        }
    }
    operators
}

/// Statements that make of what was parsed a message and attributes.
#[must_use]
pub fn parsed() -> Vec<String> {
    let of = r#"log.attributes["spark"]"#;
    let exception = format!(r#"{of}["exception"]"#);
    let stack = r#"log.cache["stack"]"#;
    let kept =
        |attribute: &str, value: String| format!("set(log.attributes[\"{attribute}\"], {value}) where {value} != nil");
    let mut statements = vec![
        kept("spark.logger", format!("{of}[\"logger\"]")),
        kept("exception.type", format!("{exception}[\"class\"]")),
    ];
    statements.extend(CONTEXT.map(|(key, attribute)| kept(attribute, format!("{of}[\"context\"][\"{key}\"]"))));
    // The line is a number in some releases of Spark and a text in others.
    let frame = r#"\{"class":"([^"]*)","file":"([^"]*)","line":"?([^",]*)"?,"method":"([^"]*)"\},?"#;
    let replaced = |pattern: &str, by: &str| {
        format!(
            "replace_pattern({stack}, {}, {})",
            literal(&plain(pattern)),
            literal(by)
        )
    };
    statements.extend([
        format!("set(log.body, {of}[\"msg\"]) where {of}[\"msg\"] != nil"),
        // Frames are read as JSON with its keys in order, and written as Java writes them.
        format!("set({stack}, String({exception}[\"stacktrace\"])) where {exception}[\"stacktrace\"] != nil"),
        replaced(frame, "\n\tat $${1}.$${4}($${2}:$${3})"),
        replaced(r"^\[|\]$", ""),
        replaced(r"\\u003c", "<"),
        replaced(r"\\u003e", ">"),
        format!("set(log.body, Concat([log.body, \"\\n\", {exception}[\"class\"], \": \", {exception}[\"msg\"], {stack}], \"\")) where {stack} != nil"),
        "delete_key(log.attributes, \"spark\")".to_owned(),
    ]);
    statements
}

/// Statements that take secrets out of a message: by the names that a value has, and by what it looks like.
#[must_use]
pub fn masked() -> Vec<String> {
    let key = redaction::expression();
    let mut rules: Vec<(String, String)> = redaction::ANYWHERE
        .iter()
        .map(|rule| {
            let end = if rule.ends_with('@') { "@" } else { "" };
            ((*rule).to_owned(), format!("$${{1}}{REDACTED}{end}"))
        })
        .collect();
    // "key": "value", also within a JSON text, where quotes are escaped; then key=value and key: value.
    rules.push((
        format!(r#"(?i)(\\*"[^"\\]*{key}[^"\\]*\\*"\s*:\s*\\*")(?:[^"\\]|\\[^"\\])+"#),
        format!("$${{1}}{REDACTED}"),
    ));
    rules.push((
        format!(r#"(?i)([\w.-]*{key}[\w.-]*\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&"')\]}}]+)"#),
        format!("$${{1}}{REDACTED}"),
    ));
    let statement = |(rule, by): (String, String)| {
        format!(
            "replace_pattern(log.body.string, {}, {})",
            literal(&plain(&rule)),
            literal(&by)
        )
    };
    rules.into_iter().map(statement).collect()
}
