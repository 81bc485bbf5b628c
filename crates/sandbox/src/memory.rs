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

/// Bytes of memory that the machine can still give, as `/proc/meminfo` says.
pub(crate) fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// A look may take one part in so many of a core's time.
const SHARE: u32 = 50;
/// As [`SHARE`], where memory grows towards the limit.
const SHARE_NEAR: u32 = 10;

/// When to measure again: soon enough that a process filling memory at 2 GB/s is met near the limit, but the rarer the longer the last look took.
pub(crate) fn next_look(used: u64, limit: Option<u64>, took: Duration) -> Duration {
    const SHORTEST: u64 = 20;
    const LONGEST: u64 = 250;
    const BYTES_PER_MILLISECOND: u64 = 2 << 20;
    const RAREST: Duration = Duration::from_secs(1);
    match limit {
        None => RAREST,
        Some(limit) => {
            let near = (limit.saturating_sub(used) / BYTES_PER_MILLISECOND).clamp(SHORTEST, LONGEST);
            Duration::from_millis(near).max((took * SHARE).min(RAREST))
        }
    }
}

/// What costs little to know: the quick figure, which is too high where processes share memory, and what the machine has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signs {
    pub quick: u64,
    pub available: Option<u64>,
}

/// An exact look, and what was known beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exact {
    pub used: u64,
    pub signs: Signs,
    /// How long it took.
    pub took: Duration,
}

impl Exact {
    /// How much more may be used by now: the quick figure grew, or the machine has less, as it has when processes write to memory that they shared.
    fn growth(&self, now: Signs) -> u64 {
        let less = match (self.signs.available, now.available) {
            (Some(before), Some(after)) => before.saturating_sub(after),
            _ => 0,
        };
        now.quick.saturating_sub(self.signs.quick).max(less)
    }

    /// What is used by now, at most and as far as the signs show.
    pub(crate) fn estimate(&self, now: Signs) -> u64 {
        self.used.saturating_add(self.growth(now)).min(now.quick)
    }
}

/// Whether to look closely, which walks the page tables of all processes: only where the quick figure is above the limit, and seldom, unless signs say that
/// memory grew beyond it. `since` is the time since the last exact look.
pub(crate) fn wants_exact(now: Signs, limit: u64, last: Option<(&Exact, Duration)>) -> bool {
    let Some((last, since)) = last.filter(|_| now.quick > limit) else {
        return now.quick > limit;
    };
    let over = last.estimate(now).saturating_sub(limit);
    match over {
        0 => since >= last.took * SHARE,
        // It grew by so much more that it is not worth waiting.
        over if over > (limit / 8).max(64 << 20) => true,
        _ => since >= last.took * SHARE_NEAR,
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
            (0, None, 0, 1000),
            (0, Some(8 * gib), 0, 250),
            (gib - (100 << 20), Some(gib), 0, 50),
            (gib - 1, Some(gib), 0, 20),
            (2 * gib, Some(gib), 0, 20),
            // Processes are many: a look takes its time.
            (gib - 1, Some(gib), 2, 100),
            (0, Some(8 * gib), 2, 250),
            (gib - 1, Some(gib), 90, 1000),
        ];
        for (used, limit, took, expected) in table {
            assert_eq!(
                next_look(used, limit, Duration::from_millis(took)),
                Duration::from_millis(expected),
                "{used} of {limit:?}, {took} ms"
            );
        }
    }

    #[test]
    fn a_close_look_is_seldom_unless_memory_grows() {
        let mib = |count: u64| count << 20;
        // 40 processes that share 200 MiB: 8 GiB by the quick figure, 300 MiB of 1 GiB in truth. A close look takes 80 ms.
        let limit = mib(1024);
        let signs = |quick, available| Signs {
            quick: mib(quick),
            available: Some(mib(available)),
        };
        let exact = |used| Exact {
            used: mib(used),
            signs: signs(8192, 16000),
            took: Duration::from_millis(80),
        };
        for (now, used, since, wanted) in [
            // Seldom: one part in fifty of the time.
            (signs(8192, 16000), 300, 100, false),
            (signs(8192, 16000), 300, 3999, false),
            (signs(8192, 16000), 300, 4000, true),
            // It grows, and is not there yet.
            (signs(8592, 15600), 300, 100, false),
            // It may be there by now, by what is counted or by what the machine has left.
            (signs(8930, 16000), 300, 100, false),
            (signs(8930, 16000), 300, 800, true),
            (signs(8192, 15260), 300, 800, true),
            (signs(8192, 15260), 300, 799, false),
            // It is far beyond: at once.
            (signs(9192, 16000), 300, 20, true),
            (signs(8192, 15000), 300, 20, true),
            // It was near already.
            (signs(8192, 16000), 1020, 100, false),
            (signs(8200, 16000), 1020, 100, false),
            (signs(8200, 16000), 1020, 800, true),
            (signs(8400, 16000), 1020, 20, true),
            // Processes have ended.
            (signs(900, 17000), 300, 5000, false),
        ] {
            let last = exact(used);
            let found = wants_exact(now, limit, Some((&last, Duration::from_millis(since))));
            assert_eq!(found, wanted, "{now:?}, {used} MiB, after {since} ms");
        }
        assert!(wants_exact(signs(1025, 100), limit, None) && !wants_exact(signs(1024, 100), limit, None));
        assert!(available().is_some_and(|bytes| bytes > 0));
        assert_eq!(exact(300).estimate(signs(8292, 16000)), mib(400));
        assert_eq!(exact(300).estimate(signs(200, 16000)), mib(200));
    }
}
