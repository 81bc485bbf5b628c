//! The pre-stop hook of executors: asks the executor to hand its data to others, and waits for its end.
//!
//! What `/opt/decom.sh` does in the official images: signal `PWR` to the executor's JVM, then at most a minute of patience.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);

/// Signals the executor of this container and waits for its end.
pub(super) fn run() -> ExitCode {
    let Some(pid) = executor(Path::new("/proc")) else {
        super::complain("no executor to decommission");
        return ExitCode::SUCCESS;
    };
    if let Some(process) = Pid::from_raw(pid)
        && let Err(error) = kill_process(process, Signal::POWER)
    {
        super::complain(&format!("executor {pid} cannot be signalled: {error}"));
        return ExitCode::FAILURE;
    }
    let start = Instant::now();
    let process = Path::new("/proc").join(pid.to_string());
    while process.exists() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    ExitCode::SUCCESS
}

/// The process that runs an executor's class: the last argument-wise match in `/proc`.
fn executor(processes: &Path) -> Option<i32> {
    let entries = std::fs::read_dir(processes).ok()?.flatten();
    let is_executor = |pid: &i32| {
        let line = std::fs::read(processes.join(pid.to_string()).join("cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0)
            .any(|word| word.starts_with(b"org.apache.spark.") && word.ends_with(b"ExecutorBackend"))
    };
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_executor)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executor_is_found_by_its_class() {
        let root = tempfile::tempdir().unwrap();
        let lines = [
            (
                "7",
                "java\0-cp\0x\0org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend\0--cores\0",
            ),
            ("9", "python3\0-m\0pyspark.daemon\0"),
            ("self", "x"),
        ];
        for (pid, line) in lines {
            std::fs::create_dir(root.path().join(pid)).unwrap();
            std::fs::write(root.path().join(pid).join("cmdline"), line).unwrap();
        }
        assert_eq!(executor(root.path()), Some(7));
        std::fs::remove_dir_all(root.path().join("7")).unwrap();
        assert_eq!(executor(root.path()), None);
    }
}
