//! Addresses of Services: 127.X.192.0/18 of the cluster's subnet 127.X.0.0/16, above the pods' (Y up to 191).
//!
//! In: a Service about to be stored. Out: the same with an address no one has, or the reason why it cannot have the one it asks for.
//! Who holds an address is remembered and checked against the store when the address is asked for, so that a deletion by whatever way
//! frees it. Giving an address costs no walk through all Services, except once after the start.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::apimachinery::status::{FieldError, Status};
use crate::registry::Registry;
use crate::store::Key;

/// The first third byte.
const FIRST: u8 = 192;
/// Addresses: 64 times 256, less the first and the last.
const COUNT: u16 = 64 * 256 - 2;
/// An address that was given belongs to its Service for this long, though the Service may not be stored yet. Of one that was stored the
/// store alone says whether it still has it.
const RESERVED: Duration = Duration::from_secs(30);

/// Who holds which address. One per server.
#[derive(Debug, Default)]
pub struct ServiceAddresses(Mutex<Option<State>>);

#[derive(Debug, Default)]
struct State {
    holders: HashMap<Ipv4Addr, Holder>,
    next: u16,
}

#[derive(Debug)]
struct Holder {
    namespace: String,
    name: String,
    since: Instant,
    stored: bool,
}

/// The range, as messages name it.
pub fn range(subnet: u8) -> String {
    format!("127.{subnet}.{FIRST}.0/18")
}

fn nth(subnet: u8, index: u16) -> Ipv4Addr {
    let [high, low] = (index + 1).to_be_bytes();
    Ipv4Addr::new(127, subnet, FIRST + high, low)
}

fn in_range(subnet: u8, address: Ipv4Addr) -> bool {
    let [first, second, third, last] = address.octets();
    let edge = (third == FIRST && last == 0) || (third == u8::MAX && last == 255);
    first == 127 && second == subnet && third >= FIRST && !edge
}

impl ServiceAddresses {
    /// Gives a new Service its address. `None` (headless) stays, one that is asked for must be free.
    ///
    /// # Errors
    /// The address asked for is taken or not of the range; no address is left.
    pub fn give(&self, registry: &Registry, service: &mut Value) -> Result<(), Status> {
        let name = |field: &str| service["metadata"][field].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (name("namespace"), name("name"));
        let asked = service["spec"]["clusterIP"].as_str().unwrap_or_default().to_owned();
        if service["spec"]["type"] == "ExternalName" || asked == "None" || asked == registry.address().to_string() {
            return Ok(());
        }
        // What is not an IPv4 address in its canonical form is refused when the Service is checked.
        let listed = service["spec"]["clusterIPs"]
            .as_array()
            .is_some_and(|list| !list.is_empty());
        if asked.is_empty() && listed || !asked.is_empty() && asked.parse::<Ipv4Addr>().is_err() {
            return Ok(());
        }
        let refuse = |why: &str| {
            let detail = format!("failed to allocate IP {asked}: {why}");
            let error = FieldError::invalid("spec.clusterIPs", &json!([asked]), &detail);
            Err(Status::invalid("", "Service", &name, &[error]))
        };
        let subnet = registry.settings.subnet();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state.get_or_insert_with(|| State::of(registry));
        let address = if asked.is_empty() {
            let mut indices = (0..COUNT).map(|step| (state.next + step) % COUNT);
            let free = indices.find(|index| state.is_free(registry, nth(subnet, *index), &namespace, &name));
            let Some(index) = free else {
                return Err(Status::internal("failed to allocate a serviceIP: range is full"));
            };
            state.next = (index + 1) % COUNT;
            nth(subnet, index)
        } else {
            let Some(address) = asked.parse().ok().filter(|address| in_range(subnet, *address)) else {
                let range = range(subnet);
                return refuse(&format!(
                    "the provided IP ({asked}) is not in the valid range. The range of valid IPs is {range}"
                ));
            };
            if !state.is_free(registry, address, &namespace, &name) {
                return refuse("provided IP is already allocated");
            }
            address
        };
        let since = Instant::now();
        let holder = Holder {
            namespace,
            name,
            since,
            stored: false,
        };
        state.holders.insert(address, holder);
        let address = address.to_string();
        service["spec"]["clusterIPs"] = json!([address]);
        service["spec"]["clusterIP"] = address.into();
        Ok(())
    }

    /// A Service is stored: from now on its address is free as soon as it is gone.
    pub fn stored(&self, namespace: &str, name: &str, address: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = state.as_mut() else { return };
        let address = address.parse().ok();
        if let Some(holder) = address.and_then(|address: Ipv4Addr| state.holders.get_mut(&address)) {
            holder.stored |= holder.namespace == namespace && holder.name == name;
        }
    }

    /// Completes a changed Service: what it does not say of its address stays as it was, and a change of type gives or takes it.
    ///
    /// # Errors
    /// As for [`ServiceAddresses::give`].
    pub fn keep(&self, registry: &Registry, old: &Value, new: &mut Value) -> Result<(), Status> {
        let none = |spec: &Value| spec["clusterIP"].as_str().is_none_or(str::is_empty);
        if new["spec"]["type"] == "ExternalName" {
            if new["spec"]["clusterIP"] == old["spec"]["clusterIP"]
                && let Some(spec) = new["spec"].as_object_mut()
            {
                spec.shift_remove("clusterIP");
                spec.shift_remove("clusterIPs");
            }
            Ok(())
        } else if !none(&old["spec"]) && none(&new["spec"]) {
            for field in ["clusterIP", "clusterIPs"] {
                new["spec"][field] = old["spec"][field].clone();
            }
            Ok(())
        } else if none(&old["spec"]) {
            self.give(registry, new)
        } else {
            Ok(())
        }
    }
}

impl State {
    fn of(registry: &Registry) -> State {
        let mut state = State::default();
        let long_ago = Instant::now().checked_sub(RESERVED).unwrap_or_else(Instant::now);
        for service in registry
            .store
            .list(&"services".into(), None, None, usize::MAX, |_| true)
            .items
        {
            let value = service.value();
            if let Some(address) = value["spec"]["clusterIP"].as_str().and_then(|text| text.parse().ok()) {
                let holder = Holder {
                    namespace: service.key.namespace.to_string(),
                    name: service.key.name.to_string(),
                    since: long_ago,
                    stored: true,
                };
                state.holders.insert(address, holder);
            }
        }
        state
    }

    /// Whether a Service of this name may have the address.
    fn is_free(&self, registry: &Registry, address: Ipv4Addr, namespace: &str, name: &str) -> bool {
        let Some(holder) = self.holders.get(&address) else {
            return true;
        };
        if holder.namespace == namespace && holder.name == name {
            return true;
        }
        if !holder.stored && holder.since.elapsed() < RESERVED {
            return false;
        }
        let key = Key::new(&"services".into(), &holder.namespace, &holder.name);
        let there = registry.store.get(&key);
        there.is_none_or(|service| service.value()["spec"]["clusterIP"] != *address.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_apart_from_the_pods_and_whole() {
        assert_eq!(nth(70, 0), Ipv4Addr::new(127, 70, 192, 1));
        assert_eq!(nth(70, 255), Ipv4Addr::new(127, 70, 193, 0));
        assert_eq!(nth(70, COUNT - 1), Ipv4Addr::new(127, 70, 255, 254));
        assert!((0..COUNT).all(|index| in_range(70, nth(70, index))));
        for outside in [
            [127, 70, 192, 0],
            [127, 70, 255, 255],
            [127, 70, 191, 9],
            [127, 71, 192, 1],
            [10, 0, 0, 1],
        ] {
            assert!(!in_range(70, outside.into()), "{outside:?}");
        }
    }
}
