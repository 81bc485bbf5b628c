//! Who listens where: the kernel's tables of TCP sockets, and which of them belong to a container's processes.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

/// A TCP socket that accepts connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// The address it was bound to.
    pub address: SocketAddr,
    /// The kernel's number of the socket.
    pub inode: u64,
}

/// Every listening TCP socket of this process's network, IPv4 first. Reads two files of `/proc`: about a microsecond per socket.
pub fn listening() -> Vec<Listening> {
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|table| parse(&table))
        .collect()
}

/// Where the processes of this PID namespace, the caller not counted, listen on `port`.
pub(crate) fn own_listeners(port: u16, own_proc: bool) -> Vec<SocketAddr> {
    let mut sockets = listening();
    sockets.retain(|socket| socket.address.port() == port);
    if sockets.is_empty() {
        return Vec::new();
    }
    let held = held(&sockets.iter().map(|socket| socket.inode).collect(), own_proc);
    sockets.retain(|socket| held.contains(&socket.inode));
    sockets.into_iter().map(|socket| socket.address).collect()
}

/// Which of these sockets a process of the namespace has open.
fn held(inodes: &HashSet<u64>, own_proc: bool) -> HashSet<u64> {
    let mut found = HashSet::new();
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        if entry
            .file_name()
            .to_str()
            .is_none_or(|name| name.parse::<u32>().is_err())
        {
            continue;
        }
        let directory = entry.path();
        if !own_proc && std::fs::read_link(directory.join("ns/pid")).ok() != namespace {
            continue;
        }
        found.extend(sockets_of(&directory).filter(|inode| inodes.contains(inode)));
    }
    found
}

fn sockets_of(process: &Path) -> impl Iterator<Item = u64> {
    let files = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|file| {
        let link = std::fs::read_link(file.path()).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// The listening sockets of `/proc/net/tcp` or `tcp6`: `sl local_address rem_address st … inode`, addresses as the machine's words.
fn parse(table: &str) -> Vec<Listening> {
    const LISTEN: &str = "0A";
    let line = |line: &str| {
        // Most lines are of connections, perhaps of thousands: they are left after the fourth field.
        let mut fields = line.split_ascii_whitespace();
        let local = fields.nth(1)?;
        if fields.nth(1)? != LISTEN {
            return None;
        }
        let inode = fields.nth(5)?;
        let (address, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Listening {
            address: SocketAddr::new(address_of(address)?, port),
            inode: inode.parse().ok()?,
        })
    };
    table.lines().skip(1).filter_map(line).collect()
}

fn address_of(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for start in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    if let Ok(four) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(four).into());
    }
    // A server of Java that listens at an IPv4 address has it as `::ffff:127.70.1.9`: it is reached at the plain one.
    <[u8; 16]>::try_from(bytes.as_slice())
        .ok()
        .map(|six| IpAddr::from(Ipv6Addr::from(six)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn listening_sockets_are_read_from_both_tables() {
        let four = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100467F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 18742 1 0\n\
             1: 0100007F:A1B2 0100467F:192B 01 00000000:00000000 00:00000000 00000000  1000        0 99 1 0\nbroken\n";
        let six = "  sl  local_address                         remote_address                        st tx rx tr tm uid timeout inode\n\
             0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 7 1\n\
             1: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 8 1\n\
             2: 0000000000000000FFFF00000901467F:3A9A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 9 1\n";
        let found: Vec<(String, u64)> = parse(four)
            .into_iter()
            .chain(parse(six))
            .map(|socket| (socket.address.to_string(), socket.inode))
            .collect();
        let expected = [
            ("127.70.0.1:6443", 18742),
            ("[::]:8080", 7),
            ("[::1]:8081", 8),
            ("127.70.1.9:15002", 9),
        ];
        assert_eq!(found, expected.map(|(address, inode)| (address.to_owned(), inode)));
    }

    #[test]
    fn this_process_finds_its_own_socket() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(listening().iter().any(|found| found.address == address));
        assert_eq!(own_listeners(address.port(), false), [address]);
    }
}
