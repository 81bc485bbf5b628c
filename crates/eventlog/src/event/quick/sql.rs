//! SQL executions that began, and plans that changed.

use compact_str::CompactString;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::application::Pairs;
use super::super::sql::{AdaptivePlan, PlanInfo, PlanMetric, SqlExecutionStart};
use super::cursor::Cursor;

/// What follows the plan in a line of `SparkListenerSQLExecutionStart`, by every name a version of Spark writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    #[serde(default)]
    time: i64,
    #[serde(rename = "modifiedConfigs", default)]
    modified_configs: Pairs,
    #[serde(rename = "queryId", default)]
    query_id: Option<String>,
    #[serde(rename = "jobTags", default)]
    _tags: Option<IgnoredAny>,
    #[serde(rename = "jobGroupId", default)]
    _group: Option<IgnoredAny>,
}

/// A line of `SparkListenerSQLExecutionStart`.
pub(in crate::event) fn sql_start(line: &str) -> Option<SqlExecutionStart> {
    let mut from = Cursor::clean(line)?;
    from.expect(r#"{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart","executionId":"#)?;
    let id = from.long()?;
    let root = match from.found(r#","rootExecutionId":"#) {
        true => Some(from.long()?),
        false => None,
    };
    from.expect(r#","description":""#)?;
    let description = from.owned()?;
    from.expect(r#","details":""#)?;
    let details = from.owned()?;
    from.expect(r#","physicalPlanDescription":""#)?;
    let plan_text = from.owned()?;
    from.expect(r#","sparkPlanInfo":"#)?;
    let plan = plan(&mut from, 0)?;
    from.expect(",")?;
    let tail: Tail = serde_json::from_str(&format!("{{{}", from.left())).ok()?;
    Some(SqlExecutionStart {
        id,
        root,
        description,
        details,
        plan_text,
        plan,
        time: tail.time,
        modified_configs: tail.modified_configs,
        query_id: tail.query_id,
    })
}

/// A line of `SparkListenerSQLAdaptiveExecutionUpdate`.
pub(in crate::event) fn adaptive_plan(line: &str) -> Option<AdaptivePlan> {
    let mut from = Cursor::clean(line)?;
    from.expect(
        r#"{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLAdaptiveExecutionUpdate","executionId":"#,
    )?;
    let id = from.long()?;
    from.expect(r#","physicalPlanDescription":""#)?;
    let plan_text = from.owned()?;
    from.expect(r#","sparkPlanInfo":"#)?;
    let plan = plan(&mut from, 0)?;
    from.expect("}")?;
    from.is_at_end().then_some(AdaptivePlan { id, plan_text, plan })
}

/// Plans that nest deeper are left to the general reader, which looks after the stack.
const DEEPEST: usize = 50;

fn plan(from: &mut Cursor<'_>, depth: usize) -> Option<PlanInfo> {
    if depth > DEEPEST {
        return None;
    }
    from.expect(r#"{"nodeName":""#)?;
    let name = CompactString::new(from.text()?);
    from.expect(r#","simpleString":""#)?;
    let text = from.owned()?;
    from.expect(r#","children":["#)?;
    let mut children = Vec::new();
    if !from.found("]") {
        loop {
            children.push(plan(from, depth + 1)?);
            if !from.found(",") {
                from.expect("]")?;
                break;
            }
        }
    }
    from.expect(r#","metadata":{"#)?;
    skip_texts(from)?;
    from.expect(r#","metrics":["#)?;
    let metrics = metrics(from)?;
    from.expect("}")?;
    Some(PlanInfo {
        name,
        text,
        children,
        metrics,
    })
}

/// Names and texts up to the end of their object.
fn skip_texts(from: &mut Cursor<'_>) -> Option<()> {
    if from.found("}") {
        return Some(());
    }
    loop {
        from.expect("\"")?;
        from.skip_text()?;
        from.expect(":\"")?;
        from.skip_text()?;
        if !from.found(",") {
            return from.expect("}");
        }
    }
}

/// Bytes of a metric, about.
const ONE: usize = 60;

fn metrics(from: &mut Cursor<'_>) -> Option<Vec<PlanMetric>> {
    let mut all = Vec::with_capacity(from.length_to(b']') / ONE);
    if from.found("]") {
        return Some(all);
    }
    loop {
        from.expect(r#"{"name":""#)?;
        let name = metric_name(from.text()?);
        from.expect(r#","accumulatorId":"#)?;
        let accumulator = from.long()?;
        from.expect(r#","metricType":""#)?;
        let kind = CompactString::new(from.text()?);
        from.expect("}")?;
        all.push(PlanMetric {
            name,
            accumulator,
            kind,
        });
        if !from.found(",") {
            from.expect("]")?;
            return Some(all);
        }
    }
}

/// Names of Spark's metrics that are too long to be kept in place.
const LONG: [&str; 13] = [
    "corrupt merged block chunks",
    "local merged blocks fetched",
    "local merged chunks fetched",
    "merged fetch fallback count",
    "number of coalesced partitions",
    "number of empty partitions",
    "number of sort fallback tasks",
    "remote bytes read to disk",
    "remote merged blocks fetched",
    "remote merged bytes read",
    "remote merged chunks fetched",
    "remote merged reqs duration",
    "time in aggregation build",
];

fn metric_name(name: &str) -> CompactString {
    let long = LONG.into_iter().find(|long| *long == name);
    long.map_or_else(|| CompactString::new(name), CompactString::const_new)
}
