//! Lines of event logs.
#![allow(dead_code, clippy::unwrap_used)]

/// The first lines of an application's log.
pub fn start(id: &str) -> String {
    format!(
        "{{\"Event\":\"SparkListenerLogStart\",\"Spark Version\":\"4.1.4\"}}\n{{\"Event\":\"SparkListenerApplicationStart\",\"App Name\":\"größe {id}\",\"App ID\":\"{id}\",\"Timestamp\":1000,\"User\":\"u\"}}\n"
    )
}

/// The lines of a job with one task.
pub fn job(id: i32) -> String {
    let stage = format!(
        "{{\"Stage ID\":{id},\"Stage Attempt ID\":0,\"Stage Name\":\"count\",\"Number of Tasks\":1,\"RDD Info\":[],\"Parent IDs\":[],\"Details\":\"\",\"Accumulables\":[],\"Submission Time\":{id}}}"
    );
    let task = |finished: i32| {
        format!(
            "{{\"Task ID\":{id},\"Index\":0,\"Attempt\":0,\"Launch Time\":5,\"Executor ID\":\"1\",\"Host\":\"h\",\"Locality\":\"ANY\",\"Speculative\":false,\"Getting Result Time\":0,\"Finish Time\":{finished},\"Failed\":false,\"Killed\":false,\"Accumulables\":[]}}"
        )
    };
    [
        format!("{{\"Event\":\"SparkListenerJobStart\",\"Job ID\":{id},\"Submission Time\":7,\"Stage Infos\":[{stage}],\"Stage IDs\":[{id}],\"Properties\":{{}}}}"),
        format!("{{\"Event\":\"SparkListenerStageSubmitted\",\"Stage Info\":{stage},\"Properties\":{{}}}}"),
        format!("{{\"Event\":\"SparkListenerTaskStart\",\"Stage ID\":{id},\"Stage Attempt ID\":0,\"Task Info\":{}}}", task(0)),
        format!("{{\"Event\":\"SparkListenerTaskEnd\",\"Stage ID\":{id},\"Stage Attempt ID\":0,\"Task Type\":\"ResultTask\",\"Task End Reason\":{{\"Reason\":\"Success\"}},\"Task Info\":{},\"Task Metrics\":{{\"Executor Run Time\":3}}}}", task(9)),
        format!("{{\"Event\":\"SparkListenerStageCompleted\",\"Stage Info\":{stage}}}"),
        format!("{{\"Event\":\"SparkListenerJobEnd\",\"Job ID\":{id},\"Completion Time\":9,\"Job Result\":{{\"Result\":\"JobSucceeded\"}}}}"),
        String::new(),
    ]
    .join("\n")
}

/// The last line.
pub const END: &str = "{\"Event\":\"SparkListenerApplicationEnd\",\"Timestamp\":5000}\n";
