//! Networks, as OPA compares and merges them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use regorus::Value;

use super::{items, text, texts};

/// A network: its first address, counted from 0, and how many bits of it are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Network {
    is_v6: bool,
    first: u128,
    fixed: u32,
}

impl Network {
    fn new(address: IpAddr, fixed: u32) -> Option<Self> {
        let (is_v6, address) = match address {
            IpAddr::V4(address) => (false, u128::from(u32::from(address))),
            IpAddr::V6(address) => (true, u128::from(address)),
        };
        let network = Self {
            is_v6,
            first: address,
            fixed,
        };
        let mask = network.mask()?;
        Some(Self {
            first: address & !mask,
            ..network
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (address, fixed) = text.split_once('/')?;
        let digits = !fixed.is_empty() && fixed.bytes().all(|byte| byte.is_ascii_digit());
        Self::new(address.parse().ok()?, digits.then(|| fixed.parse().ok())??)
    }

    /// Bits that are not fixed.
    fn mask(self) -> Option<u128> {
        let free = if self.is_v6 { 128_u32 } else { 32 }.checked_sub(self.fixed)?;
        Some(1_u128.checked_shl(free).map_or(u128::MAX, |bit| bit - 1))
    }

    fn last(self) -> u128 {
        self.first | self.mask().unwrap_or_default()
    }

    fn intersects(self, other: Self) -> bool {
        self.is_v6 == other.is_v6 && self.first <= other.last() && other.first <= self.last()
    }

    fn contains(self, other: Self) -> bool {
        self.is_v6 == other.is_v6 && self.first <= other.first && other.last() <= self.last()
    }

    fn shown(self) -> String {
        let address = if self.is_v6 {
            IpAddr::from(std::net::Ipv6Addr::from(self.first))
        } else {
            IpAddr::from(std::net::Ipv4Addr::from(u32::try_from(self.first).unwrap_or_default()))
        };
        format!("{address}/{}", self.fixed)
    }
}

pub(super) fn cidr_is_valid(arguments: &[Value]) -> Option<Value> {
    let valid = text(arguments, 0).is_some_and(|text| Network::read(text).is_some());
    Some(Value::from(valid))
}

pub(super) fn cidr_intersects(arguments: &[Value]) -> Option<Value> {
    let [left, right] = texts(arguments)?;
    Some(Value::from(Network::read(left)?.intersects(Network::read(right)?)))
}

/// Networks with the keys they are known by: a text is its own key; of an array the first item counts.
fn keyed(value: &Value) -> Option<Vec<(Value, String)>> {
    let first = |value: &Value| match value {
        Value::Array(items) => items.iter().next()?.as_string().ok().map(|text| text.to_string()),
        other => other.as_string().ok().map(|text| text.to_string()),
    };
    match value {
        Value::String(text) => Some(vec![(value.clone(), text.to_string())]),
        Value::Array(items) => {
            let numbered = items.iter().zip(0_u64..);
            numbered
                .map(|(item, at)| Some((Value::from(at), first(item)?)))
                .collect()
        }
        Value::Set(items) => items.iter().map(|item| Some((item.clone(), first(item)?))).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, item)| Some((key.clone(), first(item)?)))
            .collect(),
        _ => None,
    }
}

pub(super) fn cidr_contains_matches(arguments: &[Value]) -> Option<Value> {
    let networks = keyed(arguments.first()?)?;
    let others = keyed(arguments.get(1)?)?;
    let mut found = BTreeSet::new();
    for (key, network) in &networks {
        let network = Network::read(network)?;
        for (other_key, other) in &others {
            let other = match other.parse::<IpAddr>() {
                Ok(address) => Network::new(address, if address.is_ipv6() { 128 } else { 32 })?,
                Err(_) => Network::read(other)?,
            };
            if network.contains(other) {
                found.insert(Value::from(vec![key.clone(), other_key.clone()]));
            }
        }
    }
    Some(Value::from(found))
}

/// The fewest networks that hold the same addresses. A bare address is the network of its class, as Go has it.
pub(super) fn cidr_merge(arguments: &[Value]) -> Option<Value> {
    let read = |value: &Value| {
        let text = value.as_string().ok()?;
        if text.contains('/') {
            return Network::read(text);
        }
        let address: std::net::Ipv4Addr = text.parse().ok()?;
        let fixed = match address.octets()[0] {
            0..=127 => 8,
            128..=191 => 16,
            192..=223 => 24,
            _ => return None,
        };
        Network::new(address.into(), fixed)
    };
    let mut networks = items(arguments.first()?)?
        .iter()
        .map(read)
        .collect::<Option<Vec<_>>>()?;
    networks.sort_unstable();
    let mut merged: Vec<Network> = Vec::new();
    for network in networks {
        if merged.last().is_some_and(|last| last.contains(network)) {
            continue;
        }
        merged.push(network);
        // Two halves of one network are that network.
        while let [.., left, right] = merged.as_slice() {
            let Some(fixed) = left.fixed.checked_sub(1) else { break };
            let whole = Network { fixed, ..*left };
            let halves = left.fixed == right.fixed && whole.mask().is_some_and(|mask| left.first & mask == 0);
            if !halves || whole.last() != right.last() || left.is_v6 != right.is_v6 {
                break;
            }
            merged.truncate(merged.len() - 2);
            merged.push(whole);
        }
    }
    let shown = merged.into_iter().map(|network| Value::from(network.shown()));
    Some(Value::from(shown.collect::<BTreeSet<_>>()))
}
