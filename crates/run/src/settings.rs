//! What a run was configured with, where both readers need the same of it.

use stoke_eventlog::event::ResourceProfile;

/// The property that says how many CPUs a task takes, unless its resource profile does.
pub const TASK_CPUS: &str = "spark.task.cpus";

/// The value of [`TASK_CPUS`].
pub fn cpus(value: &str) -> Option<f64> {
    value.trim().parse().ok()
}

/// CPUs a task takes: as its stage's resource profile says, else as is configured, else 1.
pub fn task_cpus(profile: Option<&ResourceProfile>, configured: Option<f64>) -> f64 {
    let asked = profile.and_then(|profile| profile.task.get("cpus"));
    asked.map(|cpus| cpus.amount).or(configured).unwrap_or(1.0)
}
