//! SQL executions.

use crate::json::{Date, Json};
use crate::model::View;
use crate::model::data::{JobStatus, Sql};
use crate::model::graph::{Graph, Node};
use crate::version::Version;

/// What of an execution is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) details: bool,
    pub(super) plan: bool,
    /// Milliseconds since 1970: how long a running execution has run.
    pub(super) now: i64,
}

pub(super) fn execution(json: &mut Json<'_>, view: &View, sql: &Sql, wanted: Wanted) {
    let more = Version::of(view.spark_version()).tells_more_of_sql();
    let keyed = sql.jobs.iter().map(|job| (job.0, job)).collect();
    let jobs = view.scala().immutable_order(keyed);
    let of = |wanted: JobStatus| {
        jobs.iter()
            .filter(move |(_, status)| *status == wanted)
            .map(|(id, _)| *id)
    };
    let empty = Graph::default();
    let graph = sql.graph.as_ref().filter(|_| wanted.details).unwrap_or(&empty);
    json.object(|o| {
        o.put("id", sql.id);
        o.put("status", sql.status());
        o.put("description", &sql.description);
        o.put("planDescription", if wanted.plan { sql.plan_text.as_str() } else { "" });
        o.put("submissionTime", Date(sql.submitted));
        o.put(
            "duration",
            sql.completed.unwrap_or(wanted.now).wrapping_sub(sql.submitted),
        );
        o.scalars("runningJobIds", of(JobStatus::Running));
        o.scalars("successJobIds", of(JobStatus::Succeeded));
        o.scalars("failedJobIds", of(JobStatus::Failed));
        let mut nodes: Vec<&Node> = graph.nodes.iter().collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.id));
        o.list("nodes", nodes, |json, node| {
            json.object(|o| {
                o.put("nodeId", node.id);
                o.put("nodeName", node.name.trim());
                o.maybe("wholeStageCodegenId", node.codegen);
                let measured = node
                    .metrics
                    .iter()
                    .filter_map(|metric| Some((metric.name.trim(), sql.metric_values.get(&metric.accumulator)?)));
                o.list("metrics", measured, |json, (name, value)| {
                    json.object(|o| {
                        o.put("name", name);
                        o.put("value", value.strip_prefix('\n').unwrap_or(value));
                    });
                });
                if more {
                    o.put("desc", node.text.as_str());
                }
            });
        });
        o.list("edges", &graph.edges, |json, (from, to)| {
            json.object(|o| {
                o.put("fromId", *from);
                o.put("toId", *to);
            });
        });
        if more {
            o.maybe("queryId", sql.query_id.as_ref());
            o.maybe("errorMessage", sql.error.as_ref());
            o.put("rootExecutionId", sql.root);
            o.map(
                "modifiedConfigs",
                sql.modified_configs.iter().map(|(name, value)| (name.as_str(), value)),
            );
        }
    });
}
