//! The published defaults of an application, as a pure function.
//!
//! The published operator applies them only in its webhook; we apply them wherever a spec is read, so that an application means the
//! same with and without one. One deliberate difference: dynamic allocation set by `sparkConf` is recognised by its real key,
//! `spark.dynamicAllocation.enabled`.

use std::collections::BTreeMap;

use crate::crd::{
    ApplicationType, ConcurrencyPolicy, DeployMode, DriverSpec, DynamicAllocation, ExecutorSpec, RestartPolicy,
    RestartPolicyType, ScheduledSparkApplicationSpec, SparkApplicationSpec,
};

/// Seconds between tries when the restart policy names none.
pub const RETRY_INTERVAL_SECONDS: i64 = 5;
/// Cores of driver and executors when neither field nor configuration names any.
pub const CORES: i32 = 1;
/// Heap of driver and executors when neither field nor configuration names any.
pub const MEMORY: &str = "1g";
/// Executors when allocation is not dynamic and neither field nor configuration names any.
pub const INSTANCES: i32 = 1;
/// Finished runs of a schedule that are kept, successful and failed each.
pub const HISTORY_LIMIT: i32 = 1;
/// Time zone of a schedule that names none: that of the operator's process.
pub const TIME_ZONE: &str = "Local";

/// The spec with every published default filled in. Applying it twice changes nothing more.
///
/// ```
/// use stoke_model::{crd::SparkApplicationSpec, defaults};
/// let spec = defaults::application(SparkApplicationSpec::default());
/// assert_eq!(spec.executor.and_then(|executor| executor.instances), Some(1));
/// ```
pub fn application(mut spec: SparkApplicationSpec) -> SparkApplicationSpec {
    spec.type_.get_or_insert(ApplicationType::Scala);
    spec.mode.get_or_insert(DeployMode::Cluster);
    let legacy = (spec.failure_retries, spec.retry_interval);
    restart_policy(spec.restart_policy.get_or_insert_default(), legacy);
    let empty = BTreeMap::new();
    let conf = spec.spark_conf.as_ref().unwrap_or(&empty);
    driver(spec.driver.get_or_insert_default(), conf);
    executor(
        spec.executor.get_or_insert_default(),
        conf,
        spec.dynamic_allocation.as_mut(),
    );
    spec
}

/// The schedule with every published default filled in, its template's included.
pub fn scheduled(mut spec: ScheduledSparkApplicationSpec) -> ScheduledSparkApplicationSpec {
    spec.time_zone.get_or_insert_with(|| TIME_ZONE.to_owned());
    spec.suspend.get_or_insert(false);
    spec.concurrency_policy.get_or_insert(ConcurrencyPolicy::Allow);
    spec.successful_run_history_limit.get_or_insert(HISTORY_LIMIT);
    spec.failed_run_history_limit.get_or_insert(HISTORY_LIMIT);
    spec.template = application(spec.template);
    spec
}

/// Whether executors are allocated dynamically: the field decides when it is given, else `spark.dynamicAllocation.enabled`.
pub fn is_dynamic_allocation(conf: &BTreeMap<String, String>, field: Option<&DynamicAllocation>) -> bool {
    match field {
        Some(allocation) => allocation.enabled,
        None => conf
            .get("spark.dynamicAllocation.enabled")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
    }
}

/// `legacy`: `failureRetries` and `retryInterval` of v1beta1, which stand for what a policy that retries leaves unsaid.
fn restart_policy(policy: &mut RestartPolicy, (retries, interval): (Option<i32>, Option<i64>)) {
    if policy.type_ == Some(RestartPolicyType::OnFailure) && policy.on_failure_retries.is_none() {
        policy.on_failure_retries = retries;
    }
    if policy.type_.unwrap_or_default() != RestartPolicyType::Never && policy.on_failure_retry_interval.is_none() {
        policy.on_failure_retry_interval = interval;
    }
    if *policy.type_.get_or_insert(RestartPolicyType::Never) != RestartPolicyType::Never {
        policy.on_failure_retry_interval.get_or_insert(RETRY_INTERVAL_SECONDS);
        policy
            .on_submission_failure_retry_interval
            .get_or_insert(RETRY_INTERVAL_SECONDS);
    }
}

fn driver(driver: &mut DriverSpec, conf: &BTreeMap<String, String>) {
    if !conf.contains_key("spark.driver.cores") {
        driver.pod.cores.get_or_insert(CORES);
    }
    if !conf.contains_key("spark.driver.memory") {
        driver.pod.memory.get_or_insert_with(|| MEMORY.to_owned());
    }
}

fn executor(executor: &mut ExecutorSpec, conf: &BTreeMap<String, String>, allocation: Option<&mut DynamicAllocation>) {
    if !conf.contains_key("spark.executor.cores") {
        executor.pod.cores.get_or_insert(CORES);
    }
    if !conf.contains_key("spark.executor.memory") {
        executor.pod.memory.get_or_insert_with(|| MEMORY.to_owned());
    }
    let dynamic = is_dynamic_allocation(conf, allocation.as_deref());
    if !dynamic && conf.get("spark.executor.instances").is_none_or(String::is_empty) {
        executor.instances.get_or_insert(INSTANCES);
    }
    if let (true, Some(allocation)) = (dynamic, allocation) {
        allocation.shuffle_tracking_enabled.get_or_insert(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_conf(pairs: &[(&str, &str)]) -> SparkApplicationSpec {
        let conf = pairs
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        application(SparkApplicationSpec {
            spark_conf: Some(conf),
            ..SparkApplicationSpec::default()
        })
    }

    #[test]
    fn an_empty_spec_gets_the_published_defaults() {
        let spec = application(SparkApplicationSpec::default());
        assert_eq!(
            serde_json::to_value(&spec).unwrap(),
            serde_json::json!({
                "type": "Scala", "mode": "cluster", "restartPolicy": {"type": "Never"},
                "driver": {"cores": 1, "memory": "1g"}, "executor": {"cores": 1, "memory": "1g", "instances": 1},
            })
        );
        assert_eq!(application(spec.clone()), spec);
    }

    #[test]
    fn configuration_stands_in_for_fields() {
        let spec = with_conf(&[
            ("spark.driver.cores", "2"),
            ("spark.driver.memory", "2g"),
            ("spark.executor.cores", "3"),
            ("spark.executor.memory", "3g"),
            ("spark.executor.instances", "4"),
        ]);
        assert_eq!(spec.driver, Some(DriverSpec::default()));
        assert_eq!(spec.executor, Some(ExecutorSpec::default()));
    }

    #[test]
    fn dynamic_allocation_by_its_real_key_leaves_instances_alone() {
        assert_eq!(
            with_conf(&[("spark.dynamicAllocation.enabled", "true")])
                .executor
                .unwrap()
                .instances,
            None
        );
        assert_eq!(
            with_conf(&[("spark.dynamicallocation.enabled", "true")])
                .executor
                .unwrap()
                .instances,
            Some(1)
        );
        assert_eq!(
            with_conf(&[("spark.dynamicAllocation.enabled", "false")])
                .executor
                .unwrap()
                .instances,
            Some(1)
        );
    }

    #[test]
    fn dynamic_allocation_by_field_tracks_shuffles() {
        let allocation = |enabled| SparkApplicationSpec {
            dynamic_allocation: Some(DynamicAllocation {
                enabled,
                ..DynamicAllocation::default()
            }),
            ..SparkApplicationSpec::default()
        };
        let on = application(allocation(true));
        assert_eq!(
            (
                on.executor.unwrap().instances,
                on.dynamic_allocation.unwrap().shuffle_tracking_enabled
            ),
            (None, Some(true))
        );
        let off = application(allocation(false));
        assert_eq!(
            (
                off.executor.unwrap().instances,
                off.dynamic_allocation.unwrap().shuffle_tracking_enabled
            ),
            (Some(1), None)
        );
    }

    #[test]
    fn retries_get_intervals_only_when_they_happen() {
        for (type_, interval) in [
            (RestartPolicyType::Never, None),
            (RestartPolicyType::OnFailure, Some(5)),
            (RestartPolicyType::Always, Some(5)),
        ] {
            let policy = RestartPolicy {
                type_: Some(type_),
                ..RestartPolicy::default()
            };
            let spec = application(SparkApplicationSpec {
                restart_policy: Some(policy),
                ..SparkApplicationSpec::default()
            });
            let policy = spec.restart_policy.unwrap();
            assert_eq!(
                (
                    policy.on_failure_retry_interval,
                    policy.on_submission_failure_retry_interval
                ),
                (interval, interval)
            );
        }
    }

    #[test]
    fn legacy_retries_stand_for_what_a_retrying_policy_leaves_unsaid() {
        let defaulted = |type_, on_failure_retries| {
            let policy = RestartPolicy {
                type_: Some(type_),
                on_failure_retries,
                ..RestartPolicy::default()
            };
            let policy = application(SparkApplicationSpec {
                restart_policy: Some(policy),
                failure_retries: Some(3),
                retry_interval: Some(7),
                ..SparkApplicationSpec::default()
            })
            .restart_policy
            .unwrap();
            (policy.on_failure_retries, policy.on_failure_retry_interval)
        };
        assert_eq!(defaulted(RestartPolicyType::OnFailure, None), (Some(3), Some(7)));
        assert_eq!(defaulted(RestartPolicyType::OnFailure, Some(1)), (Some(1), Some(7)));
        assert_eq!(defaulted(RestartPolicyType::Always, None), (None, Some(7)));
        assert_eq!(defaulted(RestartPolicyType::Never, None), (None, None));
    }

    #[test]
    fn a_schedule_gets_its_own_and_its_templates() {
        let spec = scheduled(ScheduledSparkApplicationSpec {
            schedule: "@daily".to_owned(),
            ..Default::default()
        });
        assert_eq!(
            (spec.concurrency_policy, spec.successful_run_history_limit),
            (Some(ConcurrencyPolicy::Allow), Some(1))
        );
        assert_eq!(spec.time_zone.as_deref(), Some("Local"));
        assert_eq!(spec.template.mode, Some(DeployMode::Cluster));
    }
}
