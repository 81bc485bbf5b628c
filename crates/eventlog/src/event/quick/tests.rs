//! What a quick reader reads is what the general one reads, on lines as Spark writes them and on damaged ones.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::de::DeserializeOwned;

use super::*;
use crate::event::{deep, read};

/// Texts as JSON writes them: words, escapes, characters of several bytes.
fn text() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "collect at q.py:7",
        "\n",
        "\"",
        "\\",
        "\t",
        "größe",
        "/",
        "#12L",
        "MapPartitionsRDD",
        "{",
        "]",
        ",\"Details\":\"",
        "",
    ]);
    prop::collection::vec(piece, 0..4).prop_map(|pieces| json(&pieces.concat()))
}

/// The same with what only the general reader takes.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![9 => text(), 1 => Just("\"\\u00e9\\ud83d\\ude00\"".to_owned()), 1 => Just("\"\u{1}\"".to_owned())]
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

fn long() -> impl Strategy<Value = i64> {
    prop_oneof![0..100i64, Just(-1i64), Just(1_795_304_733_665i64), any::<i64>()]
}

fn ints() -> impl Strategy<Value = String> {
    prop::collection::vec(0..90i32, 0..3).prop_map(|all| serde_json::to_string(&all).unwrap())
}

prop_compose! {
    fn rdd()(id in 0..99i32, name in text(), scope in prop::option::of(text()), site in prop::option::of(text()), parents in ints(),
             flags in any::<[bool; 5]>(), levels in prop::option::of(select(vec!["DETERMINATE", "UNORDERED"])), size in long()) -> String {
        let scope = scope.map_or(String::new(), |scope| format!(r#","Scope":{scope}"#));
        let site = site.map_or(String::new(), |site| format!(r#","Callsite":{site}"#));
        let [disk, memory, off_heap, deserialized, barrier] = flags;
        let off_heap = if barrier { format!(r#","Use Off Heap":{off_heap}"#) } else { String::new() };
        let barrier = if disk { format!(r#","Barrier":{barrier}"#) } else { String::new() };
        let level = levels.map_or(String::new(), |level| format!(r#","DeterministicLevel":"{level}""#));
        format!(
            r#"{{"RDD ID":{id},"Name":{name}{scope}{site},"Parent IDs":{parents},"Storage Level":{{"Use Disk":{disk},"Use Memory":{memory}{off_heap},"Deserialized":{deserialized},"Replication":1}}{barrier}{level},"Number of Partitions":{id},"Number of Cached Partitions":0,"Memory Size":{size},"Disk Size":0}}"#
        )
    }
}

fn accumulable() -> impl Strategy<Value = String> {
    let sql = (long(), long()).prop_map(|(id, value)| {
        format!(
            r#"{{"ID":{id},"Name":"data size","Value":"{value}","Internal":true,"Count Failed Values":true,"Metadata":"sql"}}"#
        )
    });
    let internal = (long(), long()).prop_map(|(id, value)| {
        format!(r#"{{"ID":{id},"Name":"internal.metrics.resultSize","Value":{value},"Internal":true,"Count Failed Values":true}}"#)
    });
    let blocks = Just(r#"{"ID":7,"Name":"internal.metrics.updatedBlockStatuses","Value":[{"Block ID":"rdd_0_0"}],"Internal":true,"Count Failed Values":true}"#.to_owned());
    let own = (long(), text()).prop_map(|(id, value)| {
        format!(r#"{{"ID":{id},"Name":{value},"Value":{value},"Internal":false,"Count Failed Values":false}}"#)
    });
    prop_oneof![6 => sql, 6 => internal, 1 => blocks, 1 => own]
}

prop_compose! {
    fn stage()(id in 0..3i32, attempt in 0..2i32, name in any_text(), rdds in prop::collection::vec(rdd(), 0..3), parents in ints(),
               details in text(), times in prop::option::of(long()), failure in prop::option::of(text()),
               accumulables in prop::collection::vec(accumulable(), 0..4), new in any::<bool>()) -> String {
        let times = times.map_or(String::new(), |time| format!(r#","Submission Time":{time},"Completion Time":{time}"#));
        let failure = failure.map_or(String::new(), |failure| format!(r#","Failure Reason":{failure}"#));
        let tail = if new { r#","Resource Profile Id":3,"Shuffle Push Enabled":true,"Shuffle Push Mergers Count":2"# } else { "" };
        format!(
            r#"{{"Stage ID":{id},"Stage Attempt ID":{attempt},"Stage Name":{name},"Number of Tasks":{id},"RDD Info":{},"Parent IDs":{parents},"Details":{details}{times}{failure},"Accumulables":{}{tail}}}"#,
            list(&rdds),
            list(&accumulables)
        )
    }
}

fn properties() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        4 => select(vec!["spark.job.description", "spark.sql.execution.id", "spark.scheduler.pool", "spark.job.tags"]).prop_map(json),
        4 => text(),
    ];
    let pairs = prop::collection::vec(
        (key, any_text()).prop_map(|(key, value)| format!("{key}:{value}")),
        0..5,
    );
    pairs.prop_map(|pairs| format!("{{{}}}", pairs.join(",")))
}

prop_compose! {
    fn starting_job()(id in 0..9i32, time in long(), stages in prop::collection::vec(stage(), 0..3), ids in ints(), properties in properties())
                   -> String {
        format!(
            r#"{{"Event":"SparkListenerJobStart","Job ID":{id},"Submission Time":{time},"Stage Infos":{},"Stage IDs":{ids},"Properties":{properties}}}"#,
            list(&stages)
        )
    }
}

fn plan_metrics() -> impl Strategy<Value = String> {
    let names = select(vec![
        "data size",
        "remote merged reqs duration",
        "a metric of a plugin's own, with a long name",
    ]);
    let metric = (names, long())
        .prop_map(|(name, id)| format!(r#"{{"name":"{name}","accumulatorId":{id},"metricType":"size"}}"#));
    prop::collection::vec(metric, 0..3).prop_map(|all| list(&all))
}

fn plan_node() -> impl Strategy<Value = String> {
    let metadata = select(vec!["{}", r#"{"Location":"[\"a\"]","Batched":"true"}"#, r#"{"x":1}"#]);
    let node = move |children: BoxedStrategy<String>| {
        (any_text(), text(), children, metadata.clone(), plan_metrics()).prop_map(|(name, text, children, metadata, metrics)| {
            format!(
                r#"{{"nodeName":{name},"simpleString":{text},"children":{children},"metadata":{metadata},"metrics":{metrics}}}"#
            )
        })
    };
    let leaf = node(Just("[]".to_owned()).boxed());
    leaf.prop_recursive(4, 8, 2, move |inner| {
        node(prop::collection::vec(inner, 1..3).prop_map(|all| list(&all)).boxed())
    })
}

prop_compose! {
    fn starting_execution()(id in long(), root in prop::option::of(long()), texts in (text(), any_text(), text()), plan in plan_node(),
                         tail in select(vec![
                             r#","time":7,"modifiedConfigs":{"spark.a":"b"},"jobTags":["x"],"jobGroupId":null"#,
                             r#","time":7"#,
                             r#","time":7,"modifiedConfigs":{},"queryId":"q","other":[{"x":null}]"#,
                             r#","time":7,"modifiedConfigs":{},"jobTags":[],"queryId":"q""#,
                             r#","time":7,"executionId":3"#,
                             r#","time":null"#,
                             "",
                         ])) -> String {
        let root = root.map_or(String::new(), |root| format!(r#","rootExecutionId":{root}"#));
        let (description, details, plan_text) = texts;
        format!(
            r#"{{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart","executionId":{id}{root},"description":{description},"details":{details},"physicalPlanDescription":{plan_text},"sparkPlanInfo":{plan}{tail}}}"#
        )
    }
}

/// A line with one place changed.
fn damaged(line: &str, at: Index, put: &str, take: usize) -> String {
    let places: Vec<usize> = line.char_indices().map(|(place, _)| place).collect();
    let begin = at.index(places.len());
    let end = places.get(begin + take).copied().unwrap_or(line.len());
    format!("{}{put}{}", &line[..places[begin]], &line[end..])
}

const PUT: [&str; 20] = [
    "",
    "7",
    "-",
    "0",
    "\"",
    "\\",
    "\\n",
    "\\x",
    "\\u12",
    "}",
    "{",
    ",",
    ":",
    " ",
    "]",
    "[",
    "null",
    "1.0",
    "\t",
    "77777777777777777777",
];

/// Whether the quick reader took the line; that it reads it as the general one does is seen to.
fn alike<T: DeserializeOwned + Send + PartialEq + Debug>(line: &str, quick: fn(&str) -> Option<T>) -> bool {
    let Some(read_quickly) = quick(line) else {
        return false;
    };
    let general = deep::<T>(line).or_else(|_| read::<T>(line));
    assert_eq!(Some(read_quickly), general.ok(), "{line}");
    true
}

fn alike_when_damaged<T: DeserializeOwned + Send + PartialEq + Debug>(
    line: &str,
    quick: fn(&str) -> Option<T>,
    at: Index,
    put: &str,
    take: usize,
) {
    alike(line, quick);
    alike(&damaged(line, at, put, take), quick);
    // What was remembered of the damaged line does no harm.
    alike(line, quick);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn jobs_are_read_alike(line in starting_job(), at: Index, put in select(PUT.to_vec()), take in 0..3usize) {
        alike_when_damaged(&line, job_start, at, put, take);
    }

    #[test]
    fn stages_are_read_alike(stage in stage(), properties in properties(), at: Index, put in select(PUT.to_vec()), take in 0..3usize) {
        let begun = format!(r#"{{"Event":"SparkListenerStageSubmitted","Stage Info":{stage},"Properties":{properties}}}"#);
        alike_when_damaged(&begun, stage_submitted, at, put, take);
        let ended = format!(r#"{{"Event":"SparkListenerStageCompleted","Stage Info":{stage}}}"#);
        alike_when_damaged(&ended, stage_completed, at, put, take);
    }

    #[test]
    fn executions_are_read_alike(line in starting_execution(), at: Index, put in select(PUT.to_vec()), take in 0..3usize) {
        alike_when_damaged(&line, sql_start, at, put, take);
    }

    #[test]
    fn changed_plans_are_read_alike(plan in plan_node(), text in text(), at: Index, put in select(PUT.to_vec()), take in 0..3usize) {
        let line = format!(
            r#"{{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLAdaptiveExecutionUpdate","executionId":3,"physicalPlanDescription":{text},"sparkPlanInfo":{plan}}}"#
        );
        alike_when_damaged(&line, adaptive_plan, at, put, take);
    }

    #[test]
    fn peaks_are_read_alike(metrics in prop::collection::vec((select(vec!["JVMHeapMemory", "TotalGCTime", "Other"]), long()), 0..4),
                            at: Index, put in select(PUT.to_vec()), take in 0..3usize) {
        let metrics: Vec<String> = metrics.iter().map(|(name, number)| format!("\"{name}\":{number}")).collect();
        let line = format!(
            r#"{{"Event":"SparkListenerStageExecutorMetrics","Executor ID":"1","Stage ID":3,"Stage Attempt ID":0,"Executor Metrics":{{{}}}}}"#,
            metrics.join(",")
        );
        alike_when_damaged(&line, stage_metrics, at, put, take);
    }
}

/// Lines as Spark 4.1 writes them are taken by the quick readers, not left to the general one.
#[test]
fn lines_of_spark_are_taken() {
    let rdd = r#"{"RDD ID":6,"Name":"MapPartitionsRDD","Scope":"{\"id\":\"3\",\"name\":\"Exchange\"}","Callsite":"collect at q.py:16","Parent IDs":[4],"Storage Level":{"Use Disk":false,"Use Memory":false,"Use Off Heap":false,"Deserialized":false,"Replication":1},"Barrier":false,"DeterministicLevel":"DETERMINATE","Number of Partitions":2,"Number of Cached Partitions":0,"Memory Size":0,"Disk Size":0}"#;
    let stage = format!(
        r#"{{"Stage ID":0,"Stage Attempt ID":0,"Stage Name":"collect at q.py:16","Number of Tasks":2,"RDD Info":[{rdd},{rdd}],"Parent IDs":[],"Details":"org.apache.Spark\njava.lang.Thread.run(Thread.java:840)","Submission Time":1795462093774,"Accumulables":[{{"ID":151,"Name":"number of output rows","Value":"170","Internal":true,"Count Failed Values":true,"Metadata":"sql"}},{{"ID":266,"Name":"internal.metrics.executorRunTime","Value":121,"Internal":true,"Count Failed Values":true}}],"Resource Profile Id":0,"Shuffle Push Enabled":false,"Shuffle Push Mergers Count":0}}"#
    );
    let properties =
        r#"{"spark.rdd.scope":"{\"id\":\"3\"}","spark.sql.execution.id":"7","spark.job.description":"a \"b\""}"#;
    let plan = r#"{"nodeName":"AdaptiveSparkPlan","simpleString":"AdaptiveSparkPlan isFinalPlan=false","children":[],"metadata":{},"metrics":[{"name":"time in aggregation build","accumulatorId":47,"metricType":"timing"}]}"#;
    for _ in 0..2 {
        assert!(alike(
            &format!(
                r#"{{"Event":"SparkListenerJobStart","Job ID":0,"Submission Time":1795462093737,"Stage Infos":[{stage}],"Stage IDs":[0],"Properties":{properties}}}"#
            ),
            job_start
        ));
        assert!(alike(
            &format!(r#"{{"Event":"SparkListenerStageSubmitted","Stage Info":{stage},"Properties":{properties}}}"#),
            stage_submitted
        ));
        assert!(alike(
            &format!(r#"{{"Event":"SparkListenerStageCompleted","Stage Info":{stage}}}"#),
            stage_completed
        ));
    }
    assert!(alike(
        &format!(
            r#"{{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart","executionId":0,"rootExecutionId":0,"description":"collect","details":"a\nb","physicalPlanDescription":"== Physical Plan ==\n","sparkPlanInfo":{plan},"time":1795462091376,"modifiedConfigs":{{}},"jobTags":["spark-session"],"jobGroupId":null}}"#
        ),
        sql_start
    ));
    assert!(alike(
        &format!(
            r#"{{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLAdaptiveExecutionUpdate","executionId":0,"physicalPlanDescription":"== Physical Plan ==\n","sparkPlanInfo":{plan}}}"#
        ),
        adaptive_plan
    ));
    assert!(alike(
        r#"{"Event":"SparkListenerStageExecutorMetrics","Executor ID":"driver","Stage ID":0,"Stage Attempt ID":0,"Executor Metrics":{"JVMHeapMemory":0,"TotalGCTime":5}}"#,
        stage_metrics
    ));
}

/// Every line of the logs in a directory that is named is read alike.
#[test]
fn lines_of_logs_are_read_alike() {
    let Some(directory) = std::env::var_os("STOKE_EVENT_LOGS") else {
        return;
    };
    for entry in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut left = std::collections::BTreeMap::<&str, usize>::new();
        for line in text.lines() {
            let taken = match crate::event::name_of(line).unwrap() {
                "SparkListenerJobStart" => alike(line, job_start),
                "SparkListenerStageSubmitted" => alike(line, stage_submitted),
                "SparkListenerStageCompleted" => alike(line, stage_completed),
                "SparkListenerStageExecutorMetrics" => alike(line, stage_metrics),
                "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart" => alike(line, sql_start),
                "org.apache.spark.sql.execution.ui.SparkListenerSQLAdaptiveExecutionUpdate" => {
                    alike(line, adaptive_plan)
                }
                _ => true,
            };
            if !taken {
                *left.entry(crate::event::name_of(line).unwrap()).or_default() += 1;
            }
        }
        assert!(left.is_empty(), "{left:?}");
    }
}
