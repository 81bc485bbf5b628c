//! Declarative pipelines and what streams: materialized views, streaming tables, flows, watermarks; and views of metrics.

use super::{NOT_ALLOWED, Refusals, TWICE, begins, twice};
use crate::parsed::Node;

pub fn look(node: Node<'_>, found: &mut Refusals) {
    match node.rule() {
        "statement" if node.kid("createPipelineDatasetHeader").is_some() => dataset(node, found),
        "statement" if begins(node, &["CREATE"]) && node.kid("codeLiteral").is_some() => metrics(node, found),
        "autoCdcParameters" => changes(node, found),
        "identifiedByClause" => {
            let stream = node.above().any(|above| above.rule().starts_with("stream"));
            if !stream {
                found.add(node, NOT_ALLOWED, "IDENTIFIED BY goes with streams only");
            }
        }
        "jsonTableColumns" | "jsonTableRelation" | "jsonTable" => columns_twice(node, found),
        "watermarkClause" => {
            let aliases = { node.all("namedExpression") }.find_map(|expression| expression.kid("identifierList"));
            if let Some(aliases) = aliases {
                let condition = "CANNOT_USE_MULTI_ALIASES_IN_WATERMARK_CLAUSE";
                found.add(aliases, condition, "a watermark is of one expression");
            }
        }
        _ => {}
    }
}

/// The names of the columns of `JSON_TABLE`.
fn columns_twice(node: Node<'_>, found: &mut Refusals) {
    if node.above().any(|above| above.rule().starts_with("jsonTable")) {
        return;
    }
    let columns = node
        .below()
        .into_iter()
        .filter(|node| node.rule().starts_with("jsonTableColumn"));
    let names = columns.filter_map(|column| {
        let name = { column.kids() }
            .find(|kid| matches!(kid.rule(), "errorCapturingIdentifier" | "identifier" | "colType"))?;
        let name = name
            .kid("errorCapturingIdentifier")
            .filter(|_| name.is("colType"))
            .unwrap_or(name);
        Some(name.name().to_lowercase())
    });
    if let Some(name) = twice(names.collect()) {
        let condition = "INVALID_SQL_SYNTAX.DUPLICATE_JSON_TABLE_COLUMN";
        found.add(node, condition, format!("JSON_TABLE has the column `{name}` twice"));
    }
}

fn dataset(node: Node<'_>, found: &mut Refusals) {
    let Some(header) = node.kid("createPipelineDatasetHeader") else {
        return;
    };
    let materialized = header.kid("materializedView").is_some();
    let what = if materialized {
        "a materialized view"
    } else {
        "a streaming table"
    };
    if materialized && node.kid("query").is_none() {
        found.add(node, NOT_ALLOWED, "a materialized view has a query: AS SELECT …");
    }
    let constraint = node.kid("tableElementList").and_then(|list| {
        let below = list.below();
        { below.into_iter() }
            .find(|node| matches!(node.rule(), "columnConstraintDefinition" | "tableConstraintDefinition"))
    });
    if let Some(constraint) = constraint {
        found.add(constraint, NOT_ALLOWED, format!("{what} has no constraints"));
    }
    let Some(clauses) = node.kid("createTableClauses") else {
        return;
    };
    let refused = clauses.kids().find(|kid| {
        matches!(
            kid.rule(),
            "createFileFormat" | "rowFormat" | "locationSpec" | "bucketSpec"
        )
    });
    if let Some(refused) = refused {
        let message = format!("{what} takes no {}", refused.text());
        found.add(refused, NOT_ALLOWED, message);
    } else if clauses.has("OPTIONS") {
        found.add(clauses, NOT_ALLOWED, format!("{what} takes no OPTIONS"));
    }
}

/// `CREATE VIEW … WITH METRICS LANGUAGE YAML AS $$…$$`.
fn metrics(node: Node<'_>, found: &mut Refusals) {
    let condition = "MISSING_CLAUSES_FOR_OPERATION";
    if !node.has("METRICS") {
        found.add(node, condition, "a view of metrics is created WITH METRICS");
    }
    match node.kid("routineLanguage") {
        None => found.add(node, condition, "a view of metrics has a language: LANGUAGE YAML"),
        Some(language) if !language.text().to_ascii_uppercase().ends_with("YAML") => {
            found.add(language, NOT_ALLOWED, "a view of metrics is written in YAML");
        }
        Some(_) => {}
    }
}

/// `AUTO CDC INTO t FROM STREAM s KEYS (a) SEQUENCE BY b`.
fn changes(node: Node<'_>, found: &mut Refusals) {
    let clauses = [
        ("autoCdcSequenceByClause", "SEQUENCE BY"),
        ("autoCdcStoredAsClause", "STORED AS SCD TYPE"),
    ];
    for (rule, name) in clauses {
        if let Some(second) = node.all(rule).nth(1) {
            found.add(second, TWICE, format!("{name} stands here twice"));
        }
    }
    if node.kid("autoCdcSequenceByClause").is_none() {
        let condition = "MISSING_CLAUSES_FOR_OPERATION";
        found.add(node, condition, "AUTO CDC needs SEQUENCE BY");
    }
    if let Some(stored) = node.kid("autoCdcStoredAsClause") {
        let kind = stored.own().find(|word| word.kind() == "INTEGER_VALUE");
        if kind.is_some_and(|kind| !matches!(kind.text().as_str(), "1" | "2")) {
            found.add(stored, NOT_ALLOWED, "changes are stored as SCD TYPE 1 or 2");
        }
    }
    if let Some(source) = node.kid("relationPrimary")
        && !source.words().any(|word| word.kind() == "STREAM")
    {
        found.add(source, NOT_ALLOWED, "AUTO CDC reads a stream: `STREAM s`");
    }
}
