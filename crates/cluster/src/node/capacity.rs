//! What this machine has, and what it is called.

use std::path::Path;

/// The size of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a CPU.
    pub millicores: u64,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of disk below the cluster's directory.
    pub disk: u64,
    /// Pods at a time.
    pub pods: u32,
}

impl Capacity {
    /// The machine's real cores and memory, and the disk that holds `directory`.
    pub fn of_machine(directory: &Path) -> Capacity {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let disk = rustix::fs::statvfs(directory).map_or(0, |space| space.f_blocks * space.f_frsize);
        Capacity {
            millicores: cores * 1000,
            memory: total_memory(&text).unwrap_or(1 << 30),
            disk,
            pods: 110,
        }
    }
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn total_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The node's name: `stoke-` and the machine's host name, made a valid object name.
pub fn node_name() -> String {
    name_from(&rustix::system::uname().nodename().to_string_lossy())
}

fn name_from(host: &str) -> String {
    let clean: String = host
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name: String = format!("stoke-{clean}").chars().take(63).collect();
    name.trim_end_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_object_names() {
        for (host, expected) in [
            ("laptop", "stoke-laptop"),
            ("My_Laptop.local", "stoke-my-laptop.local"),
            ("", "stoke"),
            ("ends-", "stoke-ends"),
        ] {
            assert_eq!(name_from(host), expected);
        }
        assert!(name_from(&"x".repeat(200)).len() <= 63);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(
            total_memory("MemTotal:       24684092 kB\nMemFree: 1 kB\n"),
            Some(24_684_092 * 1024)
        );
        assert_eq!(total_memory("nothing"), None);
    }
}
