//! OpenLineage: a run's results as a run event with data-quality facets of its input.
//!
//! Source: OpenLineage 2-0-2 and its facets DataQualityAssertionsDatasetFacet 1-0-1 and DataQualityMetricsInputDatasetFacet 1-0-2.

use serde_json::{Map, Value, json};

use crate::report::{CheckResult, Report, Verdict};

const PRODUCER: &str = "https://stoke.dev";
const EVENT: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const ASSERTIONS: &str = "https://openlineage.io/spec/facets/1-0-1/DataQualityAssertionsDatasetFacet.json";
const METRICS: &str = "https://openlineage.io/spec/facets/1-0-2/DataQualityMetricsInputDatasetFacet.json";

/// Names that a report does not know.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    /// Id of the run, a UUID.
    pub run: &'a str,
    pub job_namespace: &'a str,
    /// Name of the job.
    pub job: &'a str,
    /// Namespace of the data, for example `file` or `s3://bucket`.
    pub namespace: &'a str,
    /// Name of the data in it, a path.
    pub name: &'a str,
}

/// The event of a run that came to its end, whatever it found.
pub fn event(report: &Report, names: &Names<'_>) -> Value {
    let assertions: Vec<Value> = report.checks.iter().flat_map(assertions).collect();
    let facet = |schema: &str, content: Value| {
        let mut facet = Map::new();
        facet.insert("_producer".into(), PRODUCER.into());
        facet.insert("_schemaURL".into(), schema.into());
        if let Value::Object(content) = content {
            facet.extend(content);
        }
        Value::Object(facet)
    };
    json!({
        "eventType": "COMPLETE",
        "eventTime": report.at.to_string(),
        "producer": PRODUCER,
        "schemaURL": EVENT,
        "run": { "runId": names.run },
        "job": { "namespace": names.job_namespace, "name": names.job },
        "inputs": [{
            "namespace": names.namespace,
            "name": names.name,
            "inputFacets": {
                "dataQualityAssertions": facet(ASSERTIONS, json!({ "assertions": assertions })),
                "dataQualityMetrics": facet(METRICS, metrics(report)),
            },
        }],
        "outputs": [],
    })
}

/// One for each column, since an assertion has one at most. A check that still learns asserts nothing.
fn assertions(check: &CheckResult) -> Vec<Value> {
    if check.verdict == Verdict::Learning {
        return Vec::new();
    }
    // A waiver accepts a failure, it does not undo it.
    let success = check.verdict == Verdict::Pass;
    let one = |column: Option<&String>| {
        let mut assertion = json!({ "assertion": check.name, "success": success });
        if let Some(column) = column {
            assertion["column"] = column.as_str().into();
        }
        assertion
    };
    if check.columns.is_empty() {
        return vec![one(None)];
    }
    check.columns.iter().map(|column| one(Some(column))).collect()
}

/// What checks came to know of single columns.
fn metrics(report: &Report) -> Value {
    let mut columns: Map<String, Value> = Map::new();
    for check in &report.checks {
        let [column] = check.columns.as_slice() else { continue };
        let mut found = Map::new();
        match check.expected.as_str() {
            "not null" => {
                if let Some(nulls) = check.unexpected {
                    found.insert("nullCount".into(), nulls.into());
                }
            }
            "unique" => {
                if let Some(distinct) = check.observed.as_ref().and_then(|observed| observed.get("distinct")) {
                    found.insert("distinctCount".into(), distinct.clone());
                }
            }
            other => {
                let metric = ["min", "max", "sum"]
                    .into_iter()
                    .find(|metric| other.starts_with(&format!("{metric} ")));
                let number = check.observed.as_ref().filter(|observed| observed.is_number());
                if let (Some(metric), Some(number)) = (metric, number) {
                    found.insert(metric.into(), number.clone());
                }
            }
        }
        if !found.is_empty() {
            let of = columns.entry(column.clone()).or_insert_with(|| json!({}));
            if let Value::Object(of) = of {
                of.extend(found);
            }
        }
    }
    let mut facet = Map::new();
    if let Some(rows) = report.data.rows {
        facet.insert("rowCount".into(), rows.into());
    }
    facet.insert("bytes".into(), report.data.bytes.into());
    facet.insert("fileCount".into(), report.data.files.into());
    facet.insert("columnMetrics".into(), Value::Object(columns));
    Value::Object(facet)
}
