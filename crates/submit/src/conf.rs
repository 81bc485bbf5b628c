//! Reading Spark configuration: typed values with Spark's own defaults, spellings and refusals.

use std::collections::BTreeMap;

use stoke_model::duration::{TimeUnit, parse_spark};
use stoke_model::memory::{ByteUnit, Memory};

use crate::error::PlanError;
use crate::java_order::{sort_as_conf_entries, sort_as_scala_map};
use crate::version::SparkVersion;

/// Keys that are also read under an older name: `(key, older name)`.
const ALTERNATIVES: &[(&str, &str)] = &[
    ("spark.driver.memoryOverhead", "spark.yarn.driver.memoryOverhead"),
    ("spark.executor.memoryOverhead", "spark.yarn.executor.memoryOverhead"),
    ("spark.kerberos.keytab", "spark.yarn.keytab"),
    ("spark.kerberos.principal", "spark.yarn.principal"),
];

/// A Spark configuration under the rules of one version.
#[derive(Debug, Clone)]
pub(crate) struct Conf {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) version: SparkVersion,
}

impl Conf {
    /// The value as written, without substitution.
    pub(crate) fn raw(&self, key: &str) -> Option<&str> {
        if let Some(value) = self.values.get(key) {
            return Some(value);
        }
        let older = ALTERNATIVES.iter().find(|(new, _)| *new == key)?.1;
        self.values.get(older).map(String::as_str)
    }

    /// The value with `${spark.other.key}` replaced by that key's value, as Spark does for keys it knows.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.raw(key).map(|value| self.substitute(value, 0))
    }

    fn substitute(&self, value: &str, depth: usize) -> String {
        let mut result = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else { break };
            let reference = &rest[start + 2..start + length];
            result.push_str(&rest[..start]);
            match self.raw(reference) {
                Some(found) if depth < 16 && reference.starts_with("spark.") => {
                    result.push_str(&self.substitute(found, depth + 1));
                }
                _ => result.push_str(&rest[start..=start + length]),
            }
            rest = &rest[start + length + 1..];
        }
        result.push_str(rest);
        result
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.values.insert(key.to_owned(), value.into());
    }

    pub(crate) fn bool(&self, key: &str, default: bool) -> Result<bool, PlanError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        match value.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(invalid(key, &value, "write `true` or `false`")),
        }
    }

    /// A whole number of 32 bits.
    pub(crate) fn int(&self, key: &str, default: i32) -> Result<i32, PlanError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value
            .trim()
            .parse()
            .map_err(|_| invalid(key, &value, "write a whole number"))
    }

    pub(crate) fn double(&self, key: &str) -> Result<Option<f64>, PlanError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(invalid(key, &value, "write a number, for example 0.1")),
        }
    }

    /// An amount of memory in MiB; plain numbers are MiB.
    pub(crate) fn mib(&self, key: &str) -> Result<Option<i64>, PlanError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let memory = Memory::parse(&value, ByteUnit::Mib).map_err(|error| invalid(key, &value, &error.to_string()))?;
        Ok(Some(i64::try_from(memory.mib()).unwrap_or(i64::MAX)))
    }

    /// A duration in seconds; plain numbers are seconds.
    pub(crate) fn seconds(&self, key: &str, default: i64) -> Result<i64, PlanError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let duration =
            parse_spark(&value, TimeUnit::Second).map_err(|error| invalid(key, &value, &error.to_string()))?;
        Ok(duration.as_secs())
    }

    /// One of a few words.
    pub(crate) fn choice(&self, key: &str, allowed: &[&str], default: &str) -> Result<String, PlanError> {
        let Some(value) = self.get(key) else {
            return Ok(default.to_owned());
        };
        if allowed.contains(&value.as_str()) {
            return Ok(value);
        }
        Err(invalid(key, &value, &format!("write one of {}", allowed.join(" | "))))
    }

    /// A comma-separated list; blanks around elements and empty elements are dropped.
    pub(crate) fn list(&self, key: &str) -> Vec<String> {
        self.get(key).map(|value| split_list(&value)).unwrap_or_default()
    }

    /// Every key below `prefix` (the rest of its name, its value), in the order of the map Spark makes of them.
    pub(crate) fn with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        let mut found = self.listed(prefix);
        sort_as_scala_map(&mut found, self.scala_2_12(), |entry| &entry.0);
        found
    }

    /// Every key below `prefix` in the order `SparkConf.getAll` lists them.
    pub(crate) fn listed(&self, prefix: &str) -> Vec<(String, String)> {
        let below = || {
            self.values
                .range(prefix.to_owned()..)
                .take_while(|(key, _)| key.starts_with(prefix))
        };
        let rest = |(key, value): (&String, &String)| (key[prefix.len()..].to_owned(), value.clone());
        if below().nth(1).is_none() {
            return below().map(rest).collect();
        }
        let mut all: Vec<(&str, &str)> = self
            .values
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        sort_as_conf_entries(&mut all, self.scala_2_12());
        let own = all
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
        own.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// Spark 3 is compiled for Scala 2.12, whose collections iterate in another order.
    pub(crate) fn scala_2_12(&self) -> bool {
        !self.version.since(4, 0)
    }
}

/// The elements of a comma-separated list, trimmed, without empty ones.
pub(crate) fn split_list(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// An [`PlanError::InvalidValue`].
pub(crate) fn invalid(key: &str, value: &str, reason: &str) -> PlanError {
    PlanError::InvalidValue {
        key: key.to_owned(),
        value: value.to_owned(),
        reason: reason.to_owned(),
    }
}
