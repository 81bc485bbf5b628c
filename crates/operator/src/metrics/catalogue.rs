//! Every metric there is.

/// What kind of number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Sum and count.
    Summary,
    /// Sum, count and buckets.
    Histogram,
}

impl Kind {
    /// As Prometheus writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name, without the prefix.
    pub name: &'static str,
    pub kind: Kind,
    /// Its labels. `…` stands for the labels of applications that `--metrics-labels` names.
    pub labels: &'static [&'static str],
    /// What it tells, a sentence.
    pub help: &'static str,
}

/// Labels of applications.
pub const OF_APPLICATIONS: &str = "…";

const APP: &[&str] = &[OF_APPLICATIONS];
const QUEUE: &[&str] = &["name"];
/// A job: the schedule that begins the runs, or the application that stands alone; and who looks after it.
const JOB: &[&str] = &["namespace", "app", "team"];

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind,
        labels,
        help,
    }
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $kind:ident, $labels:expr, $help:literal;)*) => {
        $(#[doc = $help] pub const $id: Metric = metric($name, Kind::$kind, $labels, $help);)*
        /// All of them, in the order of the output.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

catalogue! {
    COUNT = "spark_application_count", Counter, APP, "Applications seen for the first time.";
    SUBMIT_COUNT = "spark_application_submit_count", Counter, APP, "Submissions that succeeded.";
    FAILED_SUBMISSION_COUNT = "spark_application_failed_submission_count", Counter, APP, "Submissions that failed.";
    RUNNING_COUNT = "spark_application_running_count", Gauge, APP, "Applications whose driver runs.";
    SUCCESS_COUNT = "spark_application_success_count", Counter, APP, "Applications that completed.";
    FAILURE_COUNT = "spark_application_failure_count", Counter, APP, "Applications that failed for good.";
    SUCCESS_TIME = "spark_application_success_execution_time_seconds", Summary, APP, "Seconds from submission to completion of applications that completed.";
    FAILURE_TIME = "spark_application_failure_execution_time_seconds", Summary, APP, "Seconds from submission to the end of applications that failed.";
    SUBMIT_LATENCY = "spark_application_submit_latency_seconds", Summary, APP, "Seconds from creation to the first submission.";
    SUBMIT_LATENCY_HISTOGRAM = "spark_application_submit_latency_seconds_histogram", Histogram, APP, "Seconds from creation to the first submission, in buckets.";
    START_LATENCY = "spark_application_start_latency_seconds", Summary, APP, "Seconds from creation to the first running driver.";
    START_LATENCY_HISTOGRAM = "spark_application_start_latency_seconds_histogram", Histogram, APP, "Seconds from creation to the first running driver, in buckets.";
    EXECUTOR_RUNNING_COUNT = "spark_executor_running_count", Gauge, APP, "Executors that run.";
    EXECUTOR_SUCCESS_COUNT = "spark_executor_success_count", Counter, APP, "Executors that completed.";
    EXECUTOR_FAILURE_COUNT = "spark_executor_failure_count", Counter, APP, "Executors that failed.";
    APPLICATIONS = "stoke_applications", Gauge, &["state"], "Applications by state.";
    OLDEST = "stoke_applications_oldest_age_seconds", Gauge, &["state"], "Seconds that the application has been in its state that has been there longest.";
    STATE_AGE = "stoke_application_state_age_seconds", Histogram, &["state"], "Seconds that applications were in a state when they left it.";
    TRANSITIONS = "stoke_application_transitions_total", Counter, &["from", "to"], "Changes of state.";
    RETRIES = "stoke_application_retries_total", Counter, &["cause"], "Runs after the first: after a failed driver, a failed submission, or an end with restartPolicy Always.";
    API_REQUESTS = "stoke_application_api_requests", Histogram, &[], "Requests to the API server that an application took from its creation, or the operator's start, to its end.";
    LATENESS = "stoke_schedule_lateness_seconds", Histogram, &[], "Seconds from the time at which a run was due to its creation.";
    JOB_FAILED = "stoke_job_failed", Gauge, &["namespace", "app", "team", "class"], "1 while the newest ended run of a job failed for good, by class of failure; 0 after a success. A job is a schedule, or an application without one.";
    JOB_FAILURES = "stoke_job_failures_in_a_row", Gauge, JOB, "Runs of a job that failed for good since its last success.";
    JOB_LAST_SUCCESS = "stoke_job_last_success_timestamp_seconds", Gauge, JOB, "When the last run of a job that this operator knows completed, in seconds since 1970.";
    JOB_RUNNING = "stoke_job_running_seconds", Gauge, JOB, "Seconds since the submission of the run of a job that has run longest; no series while none runs.";
    JOB_USUAL = "stoke_job_usual_seconds", Gauge, JOB, "Seconds that the longest of the last 20 completed runs of a job took; no series before the first.";
    JOB_WAITING = "stoke_job_waiting_seconds", Gauge, &["namespace", "app", "team", "reason"], "Seconds that the run of a job has waited for its driver that has waited longest, and for what.";
    JOB_EXECUTORS_WAITING = "stoke_job_executors_waiting", Gauge, &["namespace", "app", "team", "reason"], "Executors of a job that do not start, and why.";
    JOB_CONTRACT_BROKEN = "stoke_job_contract_broken", Gauge, JOB, "1 while data of the newest run of a job did not hold their contract; 0 while they did.";
    RUN_ENDED = "stoke_run_ended_timestamp_seconds", Gauge, &["namespace", "app", "team", "application_id"], "When a run ended that writes an event log, in seconds since 1970; for a day.";
    EXECUTORS_LOST = "stoke_executors_lost_total", Counter, &["namespace", "app", "team", "reason"], "Executors that ended without having been asked to, by reason: OOMKilled, HeapOutOfMemory, Killed, Evicted, Drained, Preempted, NodeLost, Error.";
    SCHEDULE_MISSED = "stoke_schedule_missed_runs_total", Counter, JOB, "Runs of a schedule whose time went by.";
    SCHEDULE_SKIPPED = "stoke_schedule_skipped_runs_total", Counter, JOB, "Runs of a schedule that were left out because the one before had not ended.";
    SCHEDULE_NEXT = "stoke_schedule_next_run_timestamp_seconds", Gauge, JOB, "When the next run of a schedule is due, in seconds since 1970.";
    SCHEDULE_INTERVAL = "stoke_schedule_interval_seconds", Gauge, JOB, "Seconds between the last run of a schedule and its next.";
    SCHEDULE_INVALID = "stoke_schedule_invalid", Gauge, JOB, "1 while a schedule cannot be read, so that it begins nothing.";
    LEASES = "stoke_leases", Gauge, &[], "Parts into which applications are divided, with a lease each; 1 without leases.";
    LEASES_HELD = "stoke_leases_held", Gauge, &[], "Of those, how many this operator works on.";
    CONNECT_READY = "stoke_connect_server_ready", Gauge, &["namespace", "name"], "1 while a Connect server answers, 0 while it should; no series while it is stopped for lack of use.";
    CONNECT_SERVERS = "stoke_connect_servers", Gauge, &["state"], "SparkConnects by state; Idle: stopped for lack of use.";
    CONNECT_SESSIONS = "stoke_connect_sessions", Gauge, &["namespace", "name"], "Sessions that are open on a Connect server; no series where that is not known.";
    CONNECT_OPERATIONS = "stoke_connect_operations", Gauge, &["namespace", "name"], "Operations that run on a Connect server; no series where that is not known.";
    CONNECT_IDLE_STOPS = "stoke_connect_idle_stops_total", Counter, &[], "Connect servers stopped for lack of use.";
    KEPT_LOGS = "stoke_kept_logs_total", Counter, &["role", "result"], "Logs of containers by what came of keeping them: kept, cut, absent, failed.";
    KEPT_LOG_BYTES = "stoke_kept_log_bytes_total", Counter, &["role"], "Bytes of kept logs, compressed.";
    KEEP_LOG_TIME = "stoke_keep_log_seconds", Histogram, &[], "Seconds from the moment a log was to be kept until it was, or was given up.";
    KEEP_LOG_WAITING = "stoke_kept_logs_waiting", Gauge, &[], "Logs to be kept that are not yet.";
    REVIEWS = "stoke_admission_reviews_total", Counter, &["kind", "result"], "Objects reviewed before they are stored: allowed, warned, refused.";
    REFUSALS = "stoke_admission_refusals_total", Counter, &["code"], "Errors for which objects were refused, by code.";
    DEFAULTED = "stoke_admission_defaulted_total", Counter, &["kind", "result"], "Objects offered for defaults: changed, unchanged.";
    REVIEW_TIME = "stoke_admission_review_seconds", Histogram, &[], "Seconds that a review took.";
    POLICY_EVALUATIONS = "stoke_policy_evaluations_total", Counter, &["at", "result"], "Objects judged by policies, at admission or submission: allowed, warned, denied, unknown.";
    POLICY_DENIALS = "stoke_policy_denials_total", Counter, &["at", "rule"], "Denials by rule.";
    POLICY_TIME = "stoke_policy_evaluation_seconds", Histogram, &["at"], "Seconds that judging an object took.";
    POLICY_LOADS = "stoke_policy_loads_total", Counter, &["result"], "Policies read after a change: loaded, failed.";
    POLICY_RULES = "stoke_policy_rules", Gauge, &[], "Rules in force.";
    POLICY_BROKEN = "stoke_policy_broken", Gauge, &[], "1 while the newest policies cannot be used, and older ones or none are in force.";
    QUALITY_CHECKS = "stoke_quality_checks_total", Counter, &["phase", "result"], "Data of applications held against their contracts, before or after a run: passed, warned, failed.";
    CERTIFICATE_END = "stoke_webhook_certificate_end_timestamp_seconds", Gauge, &[], "When the certificate ends that the webhook serves, in seconds since 1970.";
    CERTIFICATE_STEPS = "stoke_webhook_certificate_steps_total", Counter, &["step"], "Steps taken with the webhook's certificates: create, trust, issue, forget.";
    QUEUE_DEPTH = "workqueue_depth", Gauge, QUEUE, "Objects that wait to be worked on.";
    QUEUE_ADDS = "workqueue_adds_total", Counter, QUEUE, "Objects put into the queue.";
    QUEUE_WAIT = "workqueue_queue_duration_seconds", Histogram, QUEUE, "Seconds that objects waited in the queue.";
    QUEUE_WORK = "workqueue_work_duration_seconds", Histogram, QUEUE, "Seconds that a piece of work took.";
    QUEUE_UNFINISHED = "workqueue_unfinished_work_seconds", Gauge, QUEUE, "Seconds that work under way has taken so far, all together.";
    QUEUE_LONGEST = "workqueue_longest_running_processor_seconds", Gauge, QUEUE, "Seconds that the longest piece of work under way has taken so far.";
    QUEUE_RETRIES = "workqueue_retries_total", Counter, QUEUE, "Pieces of work that failed and are tried again.";
    RECONCILES = "controller_runtime_reconcile_total", Counter, &["controller", "result"], "Pieces of work by result.";
    RECONCILE_ERRORS = "controller_runtime_reconcile_errors_total", Counter, &["controller"], "Pieces of work that failed.";
    RECONCILE_TIME = "controller_runtime_reconcile_time_seconds", Histogram, &["controller"], "Seconds that a piece of work took.";
    REQUESTS = "rest_client_requests_total", Counter, &["code", "method"], "Requests to the API server, by answer.";
    PROCESS_CPU = "process_cpu_seconds_total", Counter, &[], "Seconds of CPU the operator has taken, of the user and of the system.";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Gauge, &[], "Bytes of memory the operator has in RAM.";
    PROCESS_VIRTUAL = "process_virtual_memory_bytes", Gauge, &[], "Bytes of address space the operator has.";
    PROCESS_VIRTUAL_MAX = "process_virtual_memory_max_bytes", Gauge, &[], "Most bytes of address space it may have; 1.8e19 for no limit.";
    PROCESS_OPEN_FILES = "process_open_fds", Gauge, &[], "Files and connections the operator has open.";
    PROCESS_MAX_FILES = "process_max_fds", Gauge, &[], "Most files and connections it may have open.";
    PROCESS_START = "process_start_time_seconds", Gauge, &[], "When the operator began, in seconds since 1970.";
    PROCESS_RECEIVED = "process_network_receive_bytes_total", Counter, &[], "Bytes that the network interfaces of the operator's pod received.";
    PROCESS_SENT = "process_network_transmit_bytes_total", Counter, &[], "Bytes that the network interfaces of the operator's pod sent.";
}
