//! Where an API server listens: a loopback address and a port of its own, the same after every restart while no one else has them.
//!
//! A program that listens on all addresses has its port on every loopback address, too, and cannot start while someone has the port on one
//! of them. So the ports are ones that no usual program has; 6443 is every other Kubernetes'.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use tokio::net::TcpListener;

use crate::error::{ClusterError, PORTS};

/// Subnets tried: 127.64.0.0/16 to 127.250.0.0/16.
const SUBNETS: std::ops::RangeInclusive<u8> = 64..=250;
/// File of the cluster's directory that says where it was last.
pub(crate) const FILE: &str = "address";

/// The first place that is free: where the cluster was last, else one that depends on its home. Noted for the next time.
pub(crate) async fn claim(home: &Path) -> Result<(TcpListener, SocketAddrV4), ClusterError> {
    let file = home.join(FILE);
    let last = std::fs::read_to_string(&file).ok().and_then(|text| read(&text));
    let mut refused = None;
    for place in candidates(home, last) {
        match TcpListener::bind(place).await {
            Ok(listener) => {
                if last != Some(place) {
                    std::fs::write(&file, format!("{place}\n")).map_err(|cause| ClusterError::Home {
                        path: file.display().to_string(),
                        cause,
                    })?;
                }
                return Ok((listener, place));
            }
            Err(error) => refused = Some(error),
        }
    }
    let refused = refused.unwrap_or_else(|| io::ErrorKind::AddrInUse.into());
    Err(ClusterError::NoAddress(refused))
}

/// A place as it was noted, if it can be a cluster's.
fn read(text: &str) -> Option<SocketAddrV4> {
    let place: SocketAddrV4 = text.trim().parse().ok()?;
    let ours = matches!(place.ip().octets(), [127, subnet, 0, 1] if SUBNETS.contains(&subnet));
    (ours && place.port() >= 1024).then_some(place)
}

fn candidates(home: &Path, last: Option<SocketAddrV4>) -> impl Iterator<Item = SocketAddrV4> {
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    let count = u64::from(SUBNETS.end() - SUBNETS.start()) + 1;
    let start = hasher.finish() % count;
    let places = PORTS.into_iter().flat_map(move |port| {
        (0..count).map(move |step| {
            let offset = u8::try_from((start + step) % count).unwrap_or_default();
            SocketAddrV4::new(Ipv4Addr::new(127, SUBNETS.start() + offset, 0, 1), port)
        })
    });
    last.into_iter().chain(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_comes_first_then_every_subnet_at_each_port() {
        let last = read("127.70.0.1:1234\n");
        let all: Vec<SocketAddrV4> = candidates(Path::new("/a"), last).collect();
        assert_eq!(Some(all[0]), last);
        assert_eq!(all.len(), 1 + 187 * PORTS.len());
        assert!(all[1..188].iter().all(|place| place.port() == PORTS[0]));
        assert_eq!((all[188].port(), all[188].ip()), (PORTS[1], all[1].ip()));
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_ne!(
            candidates(Path::new("/b"), None).next(),
            candidates(Path::new("/a"), None).next()
        );
    }

    #[test]
    fn only_a_place_of_a_cluster_is_read() {
        let wrong = [
            "",
            "127.70.0.1",
            "127.0.0.1:26473",
            "127.70.0.2:26473",
            "10.70.0.1:26473",
            "127.70.0.1:80",
            "[::1]:26473",
        ];
        assert!(wrong.into_iter().all(|text| read(text).is_none()));
        assert_eq!(read(" 127.250.0.1:29473 ").unwrap().port(), 29473);
    }
}
