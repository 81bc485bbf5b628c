//! The process itself in numbers, as other operators tell them: out of `/proc`, read at a scrape.

use super::Metrics;
use super::catalogue::{self, Metric};
use super::registry::whole;

/// Ticks in a second of the times in `/proc`: the same on every Linux.
const TICKS: f64 = 100.0;

/// The texts of `/proc` that are needed.
struct Texts {
    stat: String,
    status: String,
    limits: String,
    boot: String,
    network: String,
    open: u64,
}

impl Texts {
    fn read() -> Option<Self> {
        let read = |path: &str| std::fs::read_to_string(format!("/proc/{path}")).ok();
        let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
        Some(Self {
            stat: read("self/stat")?,
            status: read("self/status")?,
            limits: read("self/limits")?,
            boot: read("stat")?,
            network: read("self/net/dev").unwrap_or_default(),
            // The listing itself is open while it is read.
            open: u64::try_from(open.saturating_sub(1)).ok()?,
        })
    }
}

impl Metrics {
    /// Where there is no `/proc`, there are no series.
    pub(super) fn observe_process(&self) {
        let Some(texts) = Texts::read() else { return };
        self.with(|registry| {
            for (metric, value) in numbers(&texts) {
                registry.set(metric, &[], value);
            }
        });
    }
}

/// Numbers out of texts; what a text does not say is left out.
fn numbers(texts: &Texts) -> Vec<(&'static Metric, f64)> {
    // The name of the program may hold blanks and brackets: fields are counted after it, so that the first is the third.
    let fields: Vec<&str> = texts
        .stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let field = |number: usize| {
        fields
            .get(number - 3)
            .and_then(|text| text.parse::<u64>().ok())
            .map(whole)
    };
    let booted = texts.boot.lines().find_map(|line| line.strip_prefix("btime "));
    let booted = booted.and_then(|text| text.trim().parse::<u64>().ok()).map(whole);
    let kilobytes = |key: &str| {
        let line = texts.status.lines().find_map(|line| line.strip_prefix(key))?;
        let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(whole(number * 1024))
    };
    let limit = |name: &str| {
        let line = texts.limits.lines().find_map(|line| line.strip_prefix(name))?;
        let soft = line.split_whitespace().next()?;
        if soft == "unlimited" {
            Some(whole(u64::MAX))
        } else {
            soft.parse::<u64>().ok().map(whole)
        }
    };
    let network = traffic(&texts.network);
    let found = [
        (
            &catalogue::PROCESS_CPU,
            field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS),
        ),
        (&catalogue::PROCESS_RESIDENT, kilobytes("VmRSS:")),
        (&catalogue::PROCESS_VIRTUAL, field(23)),
        (&catalogue::PROCESS_VIRTUAL_MAX, limit("Max address space")),
        (&catalogue::PROCESS_OPEN_FILES, Some(whole(texts.open))),
        (&catalogue::PROCESS_MAX_FILES, limit("Max open files")),
        (
            &catalogue::PROCESS_START,
            booted.zip(field(22)).map(|(booted, ticks)| booted + ticks / TICKS),
        ),
        (&catalogue::PROCESS_RECEIVED, network.map(|(received, _)| received)),
        (&catalogue::PROCESS_SENT, network.map(|(_, sent)| sent)),
    ];
    found
        .into_iter()
        .filter_map(|(metric, value)| Some((metric, value?)))
        .collect()
}

/// Bytes received and sent by all interfaces.
fn traffic(text: &str) -> Option<(f64, f64)> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let counts = lines.filter_map(|(_, counts)| {
        let counts: Vec<u64> = counts
            .split_whitespace()
            .map_while(|count| count.parse().ok())
            .collect();
        Some((*counts.first()?, *counts.get(8)?))
    });
    let sums = counts.reduce(|(received, sent), (more, also)| (received + more, sent + also))?;
    Some((whole(sums.0), whole(sums.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_proc_are_read() {
        let texts = Texts {
            stat: "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 4 0 12345 8192000 500 18446744073709551615".into(),
            status: "Name:\tstoke\nVmPeak:\t  9000 kB\nVmRSS:\t    2000 kB\n".into(),
            limits: "Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 4096                 files\nMax address space         unlimited            unlimited            bytes\n".into(),
            boot: "cpu 1 2\nbtime 1700000000\n".into(),
            network: "Inter-|   Receive  |  Transmit\n face |bytes\n    lo: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n  eth0: 11 1 0 0 0 0 0 0 22 1 0 0 0 0 0 0\n".into(),
            open: 12,
        };
        let found: Vec<(&str, f64)> = numbers(&texts)
            .into_iter()
            .map(|(metric, value)| (metric.name, value))
            .collect();
        let expected = [
            ("process_cpu_seconds_total", 2.0),
            ("process_resident_memory_bytes", 2_048_000.0),
            ("process_virtual_memory_bytes", 8_192_000.0),
            ("process_virtual_memory_max_bytes", whole(u64::MAX)),
            ("process_open_fds", 12.0),
            ("process_max_fds", 1024.0),
            ("process_start_time_seconds", 1_700_000_123.45),
            ("process_network_receive_bytes_total", 111.0),
            ("process_network_transmit_bytes_total", 222.0),
        ];
        assert_eq!(found, expected);
        let nothing = Texts {
            stat: String::new(),
            status: String::new(),
            limits: String::new(),
            boot: String::new(),
            network: String::new(),
            open: 0,
        };
        assert_eq!(numbers(&nothing).len(), 1, "only what is told");
    }

    #[test]
    fn this_process_has_all_of_them() {
        let text = Metrics::default().text();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_max_fds",
            "process_start_time_seconds",
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            assert!(value.is_some_and(|value| value >= 0.0), "{name}: {value:?}");
        }
    }
}
