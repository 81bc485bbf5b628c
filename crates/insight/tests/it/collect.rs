//! Facts of runs' logs, event by event: every line here is as Spark 4.1 writes it, cut to the fields that matter.
#![allow(clippy::unwrap_used, clippy::panic)]

use stoke_eventlog::event::{Line, parse};
use stoke_eventlog::{Options, Report, Source};
use stoke_insight::facts::collect::{self, Collector};
use stoke_insight::facts::run::{FailureKind, Outcome, Run};

const LOG: &str = r#"
{"Event":"SparkListenerLogStart","Spark Version":"4.1.4"}
{"Event":"SparkListenerApplicationStart","App Name":"münchen","App ID":"spark-1","Timestamp":1000,"User":"me"}
{"Event":"SparkListenerEnvironmentUpdate","JVM Information":{"Java Version":"17"},"Spark Properties":{"spark.executor.cores":"2"},"Classpath Entries":{"/a.jar":"System Classpath"}}
{"Event":"SparkListenerBlockManagerAdded","Block Manager ID":{"Executor ID":"1","Host":"h","Port":1},"Maximum Memory":100,"Timestamp":1900}
{"Event":"SparkListenerExecutorAdded","Timestamp":2000,"Executor ID":"1","Executor Info":{"Host":"h","Total Cores":2,"Log Urls":{}}}
{"Event":"org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart","executionId":7,"description":"q","details":"","physicalPlanDescription":"p","sparkPlanInfo":{"nodeName":"Scan","simpleString":"Scan x","children":[],"metrics":[{"name":"rows","accumulatorId":5,"metricType":"sum"},{"name":"never","accumulatorId":6,"metricType":"sum"}]},"time":2500}
{"Event":"SparkListenerJobStart","Job ID":3,"Submission Time":3000,"Stage Infos":[{"Stage ID":4,"Stage Attempt ID":0,"Stage Name":"s","Number of Tasks":2,"RDD Info":[],"Parent IDs":[],"Details":""}],"Stage IDs":[4],"Properties":{"spark.sql.execution.id":"7","spark.job.description":"d"}}
{"Event":"SparkListenerTaskStart","Stage ID":4,"Stage Attempt ID":0,"Task Info":{"Task ID":1,"Index":0,"Attempt":0,"Launch Time":3100,"Executor ID":"1","Host":"h","Locality":"ANY"}}
{"Event":"SparkListenerTaskStart","Stage ID":4,"Stage Attempt ID":0,"Task Info":{"Task ID":2,"Index":1,"Attempt":0,"Launch Time":3100,"Executor ID":"1","Host":"h","Locality":"ANY"}}
{"Event":"SparkListenerTaskStart","Stage ID":4,"Stage Attempt ID":0,"Task Info":{"Task ID":3,"Index":1,"Attempt":1,"Launch Time":4100,"Executor ID":"1","Host":"h","Locality":"ANY"}}
{"Event":"SparkListenerTaskEnd","Stage ID":4,"Stage Attempt ID":0,"Task End Reason":{"Reason":"Success"},"Task Info":{"Task ID":1,"Index":0,"Attempt":0,"Launch Time":3100,"Executor ID":"1","Host":"h","Locality":"ANY","Finish Time":4000,"Accumulables":[{"ID":5,"Name":"rows","Update":"40","Value":"40","Internal":true,"Metadata":"sql"}]},"Task Executor Metrics":{"JVMHeapMemory":77},"Task Metrics":{"Executor Run Time":800,"Executor CPU Time":700000000,"JVM GC Time":10,"Shuffle Read Metrics":{"Remote Bytes Read":5,"Local Bytes Read":6,"Total Records Read":2},"Input Metrics":{"Bytes Read":9,"Records Read":1}}}
{"Event":"SparkListenerTaskEnd","Stage ID":4,"Stage Attempt ID":0,"Task End Reason":{"Reason":"ExceptionFailure","Class Name":"a.B","Description":"row 12 is bad","Stack Trace":[],"Full Stack Trace":"a.B: row 12 is bad\n at x"},"Task Info":{"Task ID":2,"Index":1,"Attempt":0,"Launch Time":3100,"Executor ID":"1","Host":"h","Locality":"ANY","Finish Time":4050,"Failed":true}}
{"Event":"SparkListenerTaskEnd","Stage ID":4,"Stage Attempt ID":0,"Task End Reason":{"Reason":"ExceptionFailure","Class Name":"a.B","Description":"row 345 is bad","Stack Trace":[],"Full Stack Trace":"a.B: row 345 is bad\n at x"},"Task Info":{"Task ID":3,"Index":1,"Attempt":1,"Launch Time":4100,"Executor ID":"1","Host":"h","Locality":"ANY","Finish Time":4200,"Failed":true}}
{"Event":"SparkListenerTaskStart","Stage ID":4,"Stage Attempt ID":0,"Task Info":{"Task ID":4,"Index":1,"Attempt":2,"Launch Time":4300,"Executor ID":"1","Host":"h","Locality":"ANY"}}
{"Event":"org.apache.spark.sql.execution.ui.SparkListenerDriverAccumUpdates","executionId":7,"accumUpdates":[[5,2]]}
{"Event":"SparkListenerJobEnd","Job ID":3,"Completion Time":4500,"Job Result":{"Result":"JobFailed","Exception":{"Message":"Job aborted","Stack Trace":[]}}}
{"Event":"SparkListenerExecutorRemoved","Timestamp":4600,"Executor ID":"1","Removed Reason":"lost"}
"#;

fn collected() -> Run {
    collect_lines(LOG)
}

fn collect_lines(log: &str) -> Run {
    let mut collector = Collector::default();
    for line in log.lines().filter(|line| !line.is_empty()) {
        if let Line::Event(event) = parse(line).unwrap() {
            collector.apply(event);
        }
    }
    collector.finish(&Report::default())
}

#[test]
fn a_run_is_told_by_its_events() {
    let run = collected();
    assert_eq!((run.name.as_str(), run.id.as_str()), ("münchen", "spark-1"));
    assert_eq!((run.started, run.ended, run.end()), (1000, None, 4600));
    assert_eq!(run.property("spark.executor.cores"), Some("2"));
    assert_eq!(run.classpath, ["/a.jar"]);
    let executor = &run.executors[0];
    assert_eq!(
        (executor.cores, executor.max_memory, executor.removed),
        (2, 100, Some(4600))
    );
    assert_eq!(executor.peaks.highest("JVMHeapMemory"), 77);
    let job = &run.jobs[&3];
    assert_eq!(
        (job.succeeded, job.failure.as_deref()),
        (Some(false), Some("Job aborted"))
    );
    assert_eq!((job.query, job.description.as_str()), (Some(7), "d"));
    assert_eq!(run.queries[&7].jobs, [3]);
}

#[test]
fn tasks_are_rows_and_sums() {
    let run = collected();
    let stage = &run.stages[&(4, 0)];
    assert_eq!((stage.job, stage.query, stage.task_count), (Some(3), Some(7), 2));
    let outcomes: Vec<Outcome> = stage.tasks.iter().map(|task| task.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::Succeeded, Outcome::Failed, Outcome::Failed, Outcome::Running]
    );
    let task = &stage.tasks[0];
    assert_eq!((task.launched, task.duration, task.ended()), (2100, 900, 3000));
    assert_eq!((task.run_time, task.cpu_time, task.gc_time), (800, 700, 10));
    assert_eq!((task.shuffle_read, task.input, task.records), (11, 9, 3));
    assert_eq!((stage.totals.succeeded, stage.totals.failed), (1, 2));
    assert_eq!(
        (stage.totals.duration, stage.totals.input_records),
        (900 + 950 + 100, 1)
    );
}

#[test]
fn failures_that_differ_in_numbers_only_are_one() {
    let run = collected();
    let [failure] = run.stages[&(4, 0)].failures.as_slice() else {
        panic!("one kind of failure");
    };
    assert_eq!(
        failure.kind,
        FailureKind::Exception {
            class: "a.B".to_owned()
        }
    );
    assert_eq!((failure.count, failure.first), (2, (1, 0)));
    assert_eq!(failure.message, "row 12 is bad");
    assert!(failure.stack.ends_with(" at x"));
}

#[test]
fn metrics_of_plans_are_summed_over_tasks_and_driver() {
    let run = collected();
    let plan = &run.queries[&7].plan;
    assert_eq!(plan.metric("rows"), Some(42));
    assert_eq!(plan.metric("never"), None);
}

#[test]
fn a_log_is_read_from_its_place_and_its_faults_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{LOG}this is not an event\n{{\"Event\":\"SparkListenerJobSta");
    std::fs::write(directory.path().join("spark-1.inprogress"), text).unwrap();
    let source = Source::directory(directory.path());
    let log = source.logs().unwrap().remove(0);
    let run = collect::run(&source, &log, Options { threads: 2 }).unwrap();
    assert_eq!(run.name, "münchen");
    assert!(run.reading.truncated);
    assert_eq!(run.reading.bad_lines, 1, "{:?}", run.reading.faults);
    assert!(run.reading.faults[0].starts_with("spark-1.inprogress: at byte "));
}

/// As Spark's `TaskSetManager.executorLost` says it: the task that succeeded ends once more, without metrics, and runs again as another attempt.
#[test]
fn a_task_that_is_resubmitted_did_its_work_once() {
    let end = LOG.lines().find(|line| line.contains(r#""Reason":"Success""#)).unwrap();
    let resubmitted = r#"{"Event":"SparkListenerTaskEnd","Stage ID":4,"Stage Attempt ID":0,"Task End Reason":{"Reason":"Resubmitted"},"Task Info":{"Task ID":1,"Index":0,"Attempt":0,"Launch Time":3100,"Executor ID":"1","Host":"h","Locality":"ANY","Finish Time":4000}}"#;
    let (before, after) = (
        collected(),
        collect_lines(&LOG.replace(end, &format!("{end}\n{resubmitted}"))),
    );
    let (before, after) = (
        before.stages.values().next().unwrap(),
        after.stages.values().next().unwrap(),
    );
    assert_eq!(before.totals.succeeded, 1);
    assert_eq!(after.totals, before.totals);
    assert_eq!(after.tasks.len(), before.tasks.len());
}
