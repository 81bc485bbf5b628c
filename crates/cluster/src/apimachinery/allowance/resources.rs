//! Amounts of resources, in billionths of a unit, and what pods ask for.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::apimachinery::quantity;

/// Amounts by resource name, in billionths.
pub type Amounts = BTreeMap<String, i128>;

const UNIT: i128 = 1_000_000_000;

/// Reads a resource list.
pub fn read(list: &Value) -> Amounts {
    let fields = list.as_object().into_iter().flatten();
    let read = |quantity: &Value| match quantity {
        Value::String(text) => quantity::parse(text),
        number => quantity::parse(&number.to_string()),
    };
    fields
        .filter_map(|(name, quantity)| Some((name.clone(), read(quantity)?)))
        .collect()
}

/// Adds amounts.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        *sum.entry(name.clone()).or_default() += amount;
    }
}

/// An amount as the API server writes it: bytes in binary units where they come out even, everything else in decimal ones.
pub fn written(name: &str, nanos: i128) -> String {
    let bytes = name.contains("memory") || name.contains("storage") || name.contains("hugepages");
    let whole = nanos / UNIT;
    let text = if bytes && nanos % UNIT == 0 && whole % 1024 == 0 && whole > 0 {
        format!("{}Ki", whole / 1024)
    } else if nanos % UNIT == 0 {
        whole.to_string()
    } else {
        format!("{nanos}n")
    };
    quantity::canonical(&text).unwrap_or(text)
}

/// A whole number of things.
pub fn count(number: usize) -> i128 {
    i128::try_from(number).unwrap_or(0) * UNIT
}

/// What a pod's containers ask for together, of `requests` or `limits`: the sum of containers and sidecars, or what the greediest init
/// container needs beside the sidecars before it, whichever is more; plus overhead.
pub fn of_pod(spec: &Value, part: &str) -> Amounts {
    let list = |name: &str| spec[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut sum = Amounts::new();
    for container in list("containers") {
        add(&mut sum, &read(&container["resources"][part]));
    }
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in list("initContainers") {
        let own = read(&container["resources"][part]);
        let mut beside = sidecars.clone();
        add(&mut beside, &own);
        if container["restartPolicy"] == "Always" {
            add(&mut sidecars, &own);
        }
        for (name, amount) in beside {
            let entry = most.entry(name).or_default();
            *entry = (*entry).max(amount);
        }
    }
    add(&mut sum, &sidecars);
    for (name, amount) in most {
        let entry = sum.entry(name).or_default();
        *entry = (*entry).max(amount);
    }
    for (name, amount) in read(&spec["overhead"]) {
        if part == "requests" || sum.contains_key(&name) {
            *sum.entry(name).or_default() += amount;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_they_are_read() {
        for (name, text, expected) in [
            ("requests.cpu", "500m", "500m"),
            ("cpu", "1500m", "1500m"),
            ("memory", "1024Mi", "1Gi"),
            ("limits.memory", "1000", "1k"),
            ("pods", "3", "3"),
            ("requests.storage", "10Gi", "10Gi"),
        ] {
            assert_eq!(written(name, quantity::parse(text).unwrap()), expected);
        }
    }
}
