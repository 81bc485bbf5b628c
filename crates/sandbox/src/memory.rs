//! Memory of a container: how much its processes use, and when to look again.

use std::path::Path;
use std::time::Duration;

use crate::spec::Usage;

/// How memory is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// From `/proc/N/status`: microseconds per process, counts pages shared after a fork once per process.
    Quick,
    /// From `/proc/N/smaps_rollup`: exact, but walks the page tables.
    Exact,
}

/// The memory of all processes seen in `/proc`, the caller (process 1) not counted, and of files in `memory_directories`.
pub(crate) fn measure(detail: Detail, own_namespace: bool, memory_directories: &[std::path::PathBuf]) -> Usage {
    let mut usage = Usage::default();
    let mut shared = 0;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        if own_namespace && process == std::process::id() {
            continue;
        }
        let directory = entry.path();
        if !own_namespace && std::fs::read_link(directory.join("ns/pid")).ok() != namespace {
            continue;
        }
        if let Some((anonymous, shmem)) = of_process(&directory, detail) {
            usage.anonymous += anonymous;
            shared += shmem;
            usage.processes += 1;
        }
    }
    let files: u64 = memory_directories
        .iter()
        .filter_map(|path| rustix::fs::statvfs(path).ok())
        .map(|space| (space.f_blocks - space.f_bfree) * space.f_frsize)
        .sum();
    // A memory-backed file that is mapped appears in both figures; a cgroup would count it once.
    usage.shared = shared.max(files);
    usage
}

fn of_process(directory: &Path, detail: Detail) -> Option<(u64, u64)> {
    match detail {
        Detail::Quick => fields(
            &std::fs::read_to_string(directory.join("status")).ok()?,
            "RssAnon:",
            "RssShmem:",
        ),
        Detail::Exact => fields(
            &std::fs::read_to_string(directory.join("smaps_rollup")).ok()?,
            "Pss_Anon:",
            "Pss_Shmem:",
        ),
    }
}

/// Two `Name:   123 kB` fields of a `/proc` file, in bytes. A kernel thread or a dying process has none.
fn fields(text: &str, first: &str, second: &str) -> Option<(u64, u64)> {
    let value = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some((value(first)?, value(second).unwrap_or(0)))
}

/// When to measure again: soon enough that a process filling memory at 2 GB/s is met near the limit.
pub(crate) fn next_look(used: u64, limit: Option<u64>) -> Duration {
    const SHORTEST: u64 = 20;
    const LONGEST: u64 = 250;
    const BYTES_PER_MILLISECOND: u64 = 2 << 20;
    match limit {
        None => Duration::from_secs(1),
        Some(limit) => {
            Duration::from_millis((limit.saturating_sub(used) / BYTES_PER_MILLISECOND).clamp(SHORTEST, LONGEST))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_scaled() {
        let status = "Name:\tjava\nVmRSS:\t  300 kB\nRssAnon:\t     200 kB\nRssFile:\t 90 kB\nRssShmem:\t      10 kB\n";
        assert_eq!(fields(status, "RssAnon:", "RssShmem:"), Some((200 << 10, 10 << 10)));
        assert_eq!(fields("Name:\tkthreadd\n", "RssAnon:", "RssShmem:"), None);
        assert_eq!(
            fields("Pss_Anon:  8 kB\n", "Pss_Anon:", "Pss_Shmem:"),
            Some((8 << 10, 0))
        );
    }

    #[test]
    fn the_nearer_the_limit_the_sooner_the_next_look() {
        let gib = 1 << 30;
        let table = [
            (0, None, 1000),
            (0, Some(8 * gib), 250),
            (gib - (100 << 20), Some(gib), 50),
            (gib - 1, Some(gib), 20),
            (2 * gib, Some(gib), 20),
        ];
        for (used, limit, expected) in table {
            assert_eq!(
                next_look(used, limit),
                Duration::from_millis(expected),
                "{used} of {limit:?}"
            );
        }
    }
}
