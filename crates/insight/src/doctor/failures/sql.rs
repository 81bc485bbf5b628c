//! SQL that cannot be analysed, and SQL that fails on its data.

use super::class::{Class, END, THROWN, class, words};
use super::code;
use super::texts::{Match, TextRule, ends};
use crate::text::{after, between, short};
use stoke_diagnostics::Fix;

const ERRORS: &str = "https://spark.apache.org/docs/latest/sql-error-conditions.html";

static ANALYSIS: Class = class(
    "sql-analysis-error",
    460,
    "a query's tables, columns, functions and types are checked before it runs; the error's class says what is wrong",
    ERRORS,
    &[END, THROWN],
);
static RUNTIME: Class = class(
    "sql-runtime-error",
    240,
    "with ANSI mode (on since Spark 4) arithmetic, casts and look-ups fail on values they are not defined for",
    "https://spark.apache.org/docs/latest/sql-ref-ansi-compliance.html",
    &[END, &["python-exception", "jvm-exception"]],
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 2] = [&ANALYSIS, &RUNTIME];

/// Its rules over texts.
pub(super) const RULES: &[TextRule] = &[
    ends(
        &ANALYSIS,
        &[
            &["AnalysisException:"],
            &["ParseException:"],
            &["NoSuchTableException:"],
        ],
        analysis,
    ),
    ends(
        &RUNTIME,
        &[
            &["DIVIDE_BY_ZERO"],
            &["ArithmeticException: "],
            &["CAST_INVALID_INPUT"],
            &["CAST_OVERFLOW"],
            &["ARITHMETIC_OVERFLOW"],
            &["NUMERIC_VALUE_OUT_OF_RANGE"],
            &["INVALID_ARRAY_INDEX"],
            &["SparkNumberFormatException: "],
            &["SparkDateTimeException: "],
            &["CANNOT_PARSE_TIMESTAMP"],
            &["MALFORMED_RECORD"],
            &["SparkRuntimeException: ["],
            &["SparkUpgradeException: "],
        ],
        runtime,
    ),
];

fn analysis(matched: &Match<'_>) -> Option<(String, Fix)> {
    let text = after(matched.line, "AnalysisException:")
        .or_else(|| after(matched.line, "ParseException:"))
        .or_else(|| after(matched.line, "NoSuchTableException:"))?;
    // The parser's message has its class on the next line.
    let text = match text.trim() {
        "" => matched
            .block
            .text
            .lines()
            .find(|line| line.trim_start().starts_with('['))?,
        text => text,
    };
    let (class, said) = error_class(text);
    let position = position(matched);
    let line = code::python(&matched.block.text)
        .map(|thrown| thrown.at())
        .filter(|at| !at.is_empty());
    let line = line
        .or_else(|| code::jvm(&matched.block.text).map(|thrown| thrown.at()))
        .unwrap_or_default();
    let suggestion = between(&matched.block.text, "Did you mean one of the following? [", "]");
    let fix = match (class.as_deref(), suggestion) {
        (_, Some(suggestion)) if !suggestion.is_empty() => format!("Spark knows these names instead: {}", short(suggestion, 200)),
        (Some(class), _) if class.starts_with("TABLE_OR_VIEW_NOT_FOUND") => {
            "correct the name (catalog.schema.table), make the view before, or see that the session uses the catalog that has it (spark.sql.catalog.…, Hive support)".into()
        }
        (Some(class), _) if class.starts_with("PARSE_") => "correct the statement at the position named".into(),
        (Some(class), _) => format!("see {class} in the list of error conditions"),
        (None, _) => "correct the query".into(),
    };
    Some((
        format!("Spark cannot run the query: {}{position}{line}", short(&said, 220)),
        words(fix),
    ))
}

fn runtime(matched: &Match<'_>) -> Option<(String, Fix)> {
    let at = matched
        .line
        .find('[')
        .or_else(|| matched.line.find("Exception: ").map(|at| at + "Exception: ".len()))
        .unwrap_or(0);
    let (_, said) = error_class(&matched.line[at..]);
    let said = said
        .split(" If necessary set")
        .next()
        .unwrap_or(&said)
        .split(" Use `try_")
        .next()
        .unwrap_or(&said)
        .to_owned();
    let position = position(matched);
    // Spark's own name of the error, where it has one, is reported by the conditions: this is for older messages.
    let fix = words("clean the values before, or guard the expression with its try_ variant");
    Some((format!("A value broke the query: {}{position}", short(&said, 220)), fix))
}

/// `[CLASS.SUB] message` in its two parts; the whole as the message.
fn error_class(text: &str) -> (Option<String>, String) {
    let text = text.trim();
    let class = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map(|(class, _)| class);
    let named = class.filter(|class| {
        class
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '_' | '.'))
    });
    let said = text.split(" SQLSTATE:").next().unwrap_or(text).trim_end_matches(';');
    (named.map(str::to_owned), said.to_owned())
}

/// `== SQL (line 1, position 12) ==` and the text marked by carets; `(line 1, pos 14)`; `; line 2 pos 5`.
pub(super) fn position(matched: &Match<'_>) -> String {
    let text = &matched.block.text;
    let mut found = between(text, "== SQL (", ") ==").map(|at| at.replace("position", "pos"));
    found = found.or_else(|| {
        between(text, "(line ", ")")
            .filter(|at| at.contains("pos"))
            .map(|at| format!("line {at}"))
    });
    found = found.or_else(|| {
        let line = text
            .lines()
            .find(|line| line.contains("; line ") && line.contains(" pos "))?;
        after(line, "; line ").map(|at| format!("line {}", at.trim_end_matches(';')))
    });
    let Some(at) = found else { return String::new() };
    // The carets stand under what is meant, in the line above them.
    let marks = text.find("== SQL").map_or("", |at| &text[at..]);
    let lines: Vec<&str> = marks.lines().collect();
    let marked = lines
        .iter()
        .position(|line| line.trim_start().starts_with('^') && line.trim().chars().all(|c| c == '^' || c == '-'));
    let marked = marked.filter(|place| *place > 0).and_then(|place| {
        let (above, carets) = (lines[place - 1], lines[place]);
        let start = carets.find('^')?;
        let width = carets.trim().chars().take_while(|c| *c == '^').count();
        let fragment: String = above.chars().skip(start).take(width).collect();
        (!fragment.trim().is_empty() && width > 2).then_some(fragment)
    });
    match marked {
        Some(fragment) => format!(" ({at}: {})", short(&fragment, 80)),
        None => format!(" ({at})"),
    }
}
