//! How fast, and what is left.

use std::time::{Duration, Instant, SystemTime};

use futures::future::join_all;

use crate::bench::Bench;

/// Processes whose ancestor is `process`, as `pid command`.
pub fn processes_below(process: u32) -> Vec<String> {
    let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let parent = |pid: &str| Some(stat(pid)?.rsplit_once(") ")?.1.split(' ').nth(1)?.to_owned());
    let below = |pid: &str| {
        let mut current = pid.to_owned();
        for _ in 0..16 {
            match parent(&current) {
                Some(next) if next == process.to_string() => return true,
                Some(next) if next != "0" => current = next,
                _ => return false,
            }
        }
        false
    };
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    processes
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && below(name))
        .map(|pid| format!("{pid} {}", stat(&pid).unwrap_or_default()))
        .collect()
}

pub async fn fifty_pods_leave_nothing(bench: &Bench) {
    let mut times = Vec::new();
    for round in 0..10 {
        let name = format!("fast-{round}");
        let before = SystemTime::now();
        let pod = bench.script(&name, "date +%s%N").await;
        bench.until_phase(&name, "Succeeded").await;
        let nanoseconds: u64 = bench.log(&pod, "main").await.trim().parse().unwrap();
        let ran = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
        times.push(ran.duration_since(before).unwrap());
    }
    times.sort();
    println!(
        "  from POST of a pod to its process running (date included): median {:?}, worst {:?}",
        times[5], times[9]
    );

    let mounts = || std::fs::read_to_string("/proc/self/mounts").unwrap().lines().count();
    let mounts_before = mounts();
    let start = Instant::now();
    join_all((0..50).map(|index| async move {
        let name = format!("many-{index}");
        bench.script(&name, "exec sleep 0.05").await;
        bench.until_phase(&name, "Succeeded").await;
        bench.delete(&name, 30).await;
        bench.until_gone(&name).await;
    }))
    .await;
    println!("  50 pods at once, created, run and deleted: {:?}", start.elapsed());
    for pod in bench.pods().list(&kube::api::ListParams::default()).await.unwrap() {
        let name = pod.metadata.name.unwrap();
        let _ = bench
            .pods()
            .delete(
                &name,
                &kube::api::DeleteParams {
                    grace_period_seconds: Some(0),
                    ..Default::default()
                },
            )
            .await;
    }
    let start = Instant::now();
    loop {
        let directories = std::fs::read_dir(bench.directory.join("pods")).unwrap().count();
        let processes = processes_below(std::process::id());
        if (directories, processes.len(), mounts()) == (0, 0, mounts_before) {
            break;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "left: {directories} directories, {processes:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
