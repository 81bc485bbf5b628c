//! Pod addresses: 127.X.Y.Z with Y from 1 to 191, unique among the pods that live.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

/// Hands out the addresses of one cluster's subnet 127.X.0.0/16.
#[derive(Debug)]
pub(crate) struct Addresses {
    subnet: u8,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u16,
    used: BTreeSet<u16>,
}

/// Addresses per subnet: Y in 1..=191, below those of Services, and Z in 1..=250.
const COUNT: u16 = 191 * 250;

impl Addresses {
    /// Addresses 127.`subnet`.Y.Z.
    pub(crate) fn new(subnet: u8) -> Addresses {
        Addresses {
            subnet,
            state: Mutex::default(),
        }
    }

    /// An address no one has; addresses are reused as late as possible. None when all are taken.
    pub(crate) fn take(&self) -> Option<Ipv4Addr> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let start = state.next;
        let free = (0..COUNT)
            .map(|step| (start + step) % COUNT)
            .find(|index| !state.used.contains(index))?;
        state.used.insert(free);
        state.next = (free + 1) % COUNT;
        Some(self.address(free))
    }

    /// Frees an address.
    pub(crate) fn give_back(&self, address: Ipv4Addr) {
        let [_, _, y, z] = address.octets();
        let index = (u16::from(y).saturating_sub(1)) * 250 + u16::from(z).saturating_sub(1);
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .used
            .remove(&index);
    }

    fn address(&self, index: u16) -> Ipv4Addr {
        let (y, z) = (index / 250 + 1, index % 250 + 1);
        // By construction they are at most 191 and 250.
        Ipv4Addr::new(
            127,
            self.subnet,
            u8::try_from(y).unwrap_or(191),
            u8::try_from(z).unwrap_or(250),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unique_and_reused_late() {
        let addresses = Addresses::new(77);
        let first = addresses.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(127, 77, 1, 1));
        let second = addresses.take().unwrap();
        assert_eq!(second, Ipv4Addr::new(127, 77, 1, 2));
        addresses.give_back(first);
        assert_eq!(addresses.take().unwrap(), Ipv4Addr::new(127, 77, 1, 3));
        for _ in 0..COUNT - 3 {
            addresses.take().unwrap();
        }
        assert_eq!(addresses.take().unwrap(), first);
        assert_eq!(addresses.take(), None);
        addresses.give_back(Ipv4Addr::new(127, 77, 191, 250));
        assert_eq!(addresses.take(), Some(Ipv4Addr::new(127, 77, 191, 250)));
    }
}
