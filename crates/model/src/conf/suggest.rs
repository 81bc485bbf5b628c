//! What the author may have meant: near keys and corrected values.

use std::sync::LazyLock;

use super::catalogue::{Catalogue, recommendable};
use super::family::Family;
use super::lint::meant_bool;
use super::table::Kind;
use super::value::{Rule, Scalar, ValueType, java_trim};

/// Similarity below which a key is not offered.
const THRESHOLD: f64 = 0.8;

/// Names people use that resemble no key: what they mean.
const SYNONYMS: &[(&str, &str)] = &[
    ("spark.num.executors", "spark.executor.instances"),
    ("spark.numexecutors", "spark.executor.instances"),
    ("spark.executors", "spark.executor.instances"),
    ("spark.executor.count", "spark.executor.instances"),
    ("spark.executor.num", "spark.executor.instances"),
    ("spark.executor.number", "spark.executor.instances"),
    ("spark.executor.replicas", "spark.executor.instances"),
    ("spark.executor.cpu", "spark.executor.cores"),
    ("spark.executor.cpus", "spark.executor.cores"),
    ("spark.driver.cpu", "spark.driver.cores"),
    ("spark.driver.cpus", "spark.driver.cores"),
    ("spark.executor.env", "spark.executorEnv."),
    ("spark.kubernetes.image", "spark.kubernetes.container.image"),
    (
        "spark.kubernetes.serviceaccount",
        "spark.kubernetes.authenticate.driver.serviceAccountName",
    ),
    ("spark.sql.partitions", "spark.sql.shuffle.partitions"),
    ("spark.shuffle.partitions", "spark.sql.shuffle.partitions"),
    ("spark.parallelism", "spark.default.parallelism"),
    ("spark.broadcast.threshold", "spark.sql.autoBroadcastJoinThreshold"),
    ("spark.aqe.enabled", "spark.sql.adaptive.enabled"),
    ("spark.sql.aqe.enabled", "spark.sql.adaptive.enabled"),
];

/// Beginnings that resemble no family but mean one.
const FAMILY_SYNONYMS: &[(&str, &str)] = &[
    ("spark.kubernetes.executorEnv.", "spark.executorEnv."),
    ("spark.driverEnv.", "spark.kubernetes.driverEnv."),
    ("spark.executor.env.", "spark.executorEnv."),
    ("spark.driver.env.", "spark.kubernetes.driverEnv."),
    ("spark.kubernetes.nodeSelector.", "spark.kubernetes.node.selector."),
];

/// The keys nearest to one that is not known, best first; at most three.
pub(super) fn near_misses(catalogue: &Catalogue, key: &str) -> Vec<String> {
    let lower = key.to_ascii_lowercase();
    if let Some((_, meant)) = SYNONYMS
        .iter()
        .find(|(name, meant)| *name == lower && catalogue.get(meant).is_some())
    {
        return vec![(*meant).to_owned()];
    }
    for (wrong, right) in FAMILY_SYNONYMS {
        if let Some(rest) = key.strip_prefix(wrong).filter(|rest| !rest.is_empty()) {
            return vec![format!("{right}{rest}")];
        }
    }
    let wanted = Shape::of(key);
    let letters = Letters::of(key);
    let mut found: Vec<(f64, String)> = Vec::new();
    let all = Catalogue::table().entries.iter().zip(LETTERS.iter());
    for (entry, known) in all.filter(|(entry, _)| entry.versions & catalogue.bit() != 0 && recommendable(entry)) {
        if !letters.near(known) {
            continue;
        }
        let mut score = wanted.similarity(&Shape::of(entry.key), THRESHOLD);
        if score < THRESHOLD {
            continue;
        }
        // Between equals, the documented key with an entry of its own is the likelier one.
        score += if entry.public { 0.01 } else { 0.0 } + if entry.kind == Kind::Entry { 0.005 } else { 0.0 };
        found.push((score, entry.key.to_owned()));
    }
    found.extend(near_families(catalogue, key));
    found.sort_by(|a, b| {
        b.0.total_cmp(&a.0)
            .then_with(|| a.1.len().cmp(&b.1.len()))
            .then_with(|| a.1.cmp(&b.1))
    });
    found.dedup_by(|a, b| a.1 == b.1);
    found.into_iter().take(3).map(|(_, key)| key).collect()
}

/// A key that is a slip away from the form of a family.
fn near_families(catalogue: &Catalogue, key: &str) -> Vec<(f64, String)> {
    let own = catalogue
        .families()
        .filter(|family| !matches!(family.place, "third-party" | "connector"));
    own.filter_map(|family| {
        let (corrected, slips) = family.corrected(key)?;
        Some((1.0 - slips as f64 / family.prefix().len().max(1) as f64, corrected))
    })
    .collect()
}

/// A known key that a key of an open family resembles so much that it is likely a slip.
pub(super) fn slip_within(catalogue: &Catalogue, family: &Family, key: &str) -> Option<String> {
    if !family.open() || family.place == "third-party" {
        return None;
    }
    let prefix = family.prefix();
    let wanted = Shape::of(key);
    let first = Catalogue::table().entries.partition_point(|entry| entry.key < prefix);
    let within = Catalogue::table().entries[first..]
        .iter()
        .take_while(|entry| entry.key.starts_with(prefix));
    let known = within.filter(|entry| catalogue.get(entry.key) == Some(entry) && recommendable(entry));
    let scored = known.map(|entry| (wanted.similarity(&Shape::of(entry.key), THRESHOLD), entry.key));
    let (score, best) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= 0.93).then(|| best.to_owned())
}

/// The one of some keys that a key is a slip away from: one letter, the case, a separator, or the order of its words. Keys that differ in more, as those
/// of a smallest and a largest do, may both be meant.
pub(super) fn slip_of(key: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let (wanted, letters) = (Shape::of(key), Letters::of(key));
    let mut near = known.filter(|known| letters.near(&Letters::of(known)));
    near.find(|known| {
        let other = Shape::of(known);
        let slip = wanted.lower.len() > 4 && strsim::osa_distance(&wanted.lower, &other.lower) <= 1;
        slip || wanted.similarity(&other, 1.0) >= 0.95
    })
}

/// The key with the prefix that Spark wants, when that makes sense of it.
pub(super) fn with_prefix(catalogue: &Catalogue, key: &str) -> Option<String> {
    let prefixed = format!("spark.{key}");
    if catalogue.get(&prefixed).is_some() || key.starts_with("hive.") {
        return Some(prefixed);
    }
    let hadoop = [
        "fs.",
        "dfs.",
        "hadoop.",
        "io.",
        "ipc.",
        "yarn.",
        "mapreduce.",
        "mapred.",
        "parquet.",
        "javax.",
        "datanucleus.",
    ];
    hadoop
        .iter()
        .any(|start| key.starts_with(start))
        .then(|| format!("spark.hadoop.{key}"))
}

/// The letters of every key of the table, in its order.
static LETTERS: LazyLock<Vec<Letters>> = LazyLock::new(|| {
    let keys = Catalogue::table().entries.iter();
    keys.map(|entry| Letters::of(entry.key)).collect()
});

/// How often each letter or digit occurs: a bound on the edit distance that is cheap to compute.
struct Letters {
    counts: [i16; 36],
    total: usize,
}

impl Letters {
    fn of(key: &str) -> Letters {
        let mut letters = Letters {
            counts: [0; 36],
            total: 0,
        };
        for byte in key.bytes() {
            let index = match byte.to_ascii_lowercase() {
                letter @ b'a'..=b'z' => letter - b'a',
                digit @ b'0'..=b'9' => digit - b'0' + 26,
                _ => continue,
            };
            letters.counts[usize::from(index)] += 1;
            letters.total += 1;
        }
        letters
    }

    /// Whether two keys can be similar at all.
    fn near(&self, other: &Letters) -> bool {
        let longest = self.total.max(other.total) as f64;
        let most = ((1.0 - THRESHOLD) * longest).max(3.0);
        if self.total.abs_diff(other.total) as f64 > most {
            return false;
        }
        let (mut more, mut less) = (0, 0);
        for (a, b) in self.counts.iter().zip(other.counts) {
            more += usize::try_from(a - b).unwrap_or_default();
            less += usize::try_from(b - a).unwrap_or_default();
        }
        more.max(less) as f64 <= most
    }
}

/// A key in the forms that comparison needs.
struct Shape {
    lower: String,
    compact: String,
    words: Vec<String>,
}

impl Shape {
    fn of(key: &str) -> Shape {
        let lower = key.to_ascii_lowercase();
        let compact = lower.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        Shape {
            words: words(key),
            lower,
            compact,
        }
    }

    /// From 0 (nothing in common) to 1 (equal but for case and separators).
    fn similarity(&self, other: &Shape, threshold: f64) -> f64 {
        if self.compact == other.compact {
            return 1.0;
        }
        let longest = self.lower.len().max(other.lower.len());
        let difference = self.lower.len().abs_diff(other.lower.len());
        let mut best: f64 = 0.0;
        if 1.0 - difference as f64 / longest as f64 >= threshold {
            // What both begin with says little: the distance is weighed against the rest.
            let distance = strsim::osa_distance(&self.lower, &other.lower) as f64;
            let rest = longest.saturating_sub("spark.".len()).max(1) as f64;
            best = 1.0 - distance / rest;
        }
        if self.words.len() > 2 && self.words.len() == other.words.len() && self.same_words(other) {
            best = best.max(0.95);
        }
        best
    }

    /// Whether the keys have the same words in another order (each with at most one slip).
    fn same_words(&self, other: &Shape) -> bool {
        let mut left: Vec<&String> = other.words.iter().collect();
        self.words.iter().all(|word| {
            let slips = usize::from(word.len() > 4);
            let place = left
                .iter()
                .position(|candidate| strsim::osa_distance(word, candidate) <= slips);
            place.map(|place| left.swap_remove(place)).is_some()
        })
    }
}

/// The words of a key, split at separators and humps.
fn words(key: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut before_lower = false;
    for c in key.chars() {
        if !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && before_lower) {
            out.push(String::new());
        }
        before_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        if c.is_ascii_alphanumeric()
            && let Some(word) = out.last_mut()
        {
            word.push(c.to_ascii_lowercase());
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

/// A value that Spark accepts and that says what the given one seems to mean.
pub(super) fn value(value_type: &ValueType, rule: &Rule, text: &str) -> Option<String> {
    let candidate = match value_type.scalar {
        _ if value_type.list => return None,
        Scalar::Bool => meant_bool(text)?.to_string(),
        Scalar::Text | Scalar::Enum => {
            let wanted = java_trim(text).to_ascii_lowercase();
            let distance = |value: &&str| strsim::osa_distance(&value.to_ascii_lowercase(), &wanted);
            let nearest = rule.values().min_by_key(distance)?;
            (distance(&nearest) <= 1 + nearest.len() / 4).then(|| nearest.to_owned())?
        }
        Scalar::Bytes { .. } => size(text)?,
        Scalar::Time(_) => duration(text)?,
        Scalar::Int | Scalar::Long => number(text)?,
        Scalar::Double | Scalar::Decimal => percentage(text)?,
        Scalar::Regex => return None,
    };
    value_type.check(rule, &candidate).is_ok().then_some(candidate)
}

/// `1.5g`, `4Gi`, `512 MiB`: a whole number with Spark's unit.
fn size(text: &str) -> Option<String> {
    let (number, unit) = number_and_unit(text)?;
    let letter = match unit.as_str() {
        "b" | "byte" | "bytes" => "b",
        "k" | "kb" | "ki" | "kib" => "k",
        "m" | "mb" | "mi" | "mib" => "m",
        "g" | "gb" | "gi" | "gib" => "g",
        "t" | "tb" | "ti" | "tib" => "t",
        "p" | "pb" | "pi" | "pib" => "p",
        _ => return None,
    };
    in_smaller_unit(
        number,
        letter,
        &[
            ("p", 1024.0),
            ("t", 1024.0),
            ("g", 1024.0),
            ("m", 1024.0),
            ("k", 1024.0),
            ("b", 1.0),
        ],
    )
}

/// `1.5h`, `10 seconds`, `2 minutes`: a whole number with Spark's unit.
fn duration(text: &str) -> Option<String> {
    let (number, unit) = number_and_unit(text)?;
    let unit = match unit.as_str() {
        "us" | "µs" | "microsecond" | "microseconds" => "us",
        "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "min",
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    in_smaller_unit(
        number,
        unit,
        &[
            ("d", 24.0),
            ("h", 60.0),
            ("min", 60.0),
            ("s", 1000.0),
            ("ms", 1000.0),
            ("us", 1.0),
        ],
    )
}

/// Steps down the units until the number is whole.
fn in_smaller_unit(mut number: f64, unit: &str, units: &[(&str, f64)]) -> Option<String> {
    for (name, next) in units.iter().skip_while(|(name, _)| *name != unit) {
        if number.fract() == 0.0 && number < 1e15 {
            return Some(format!("{number:.0}{name}"));
        }
        number *= next;
    }
    None
}

fn number_and_unit(text: &str) -> Option<(f64, String)> {
    let text = java_trim(text).trim_matches(['"', '\'']).replace(['_', ','], "");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim().to_lowercase()))
}

/// `1,000`, `1_000`, `"8"`, `4.0`: the whole number.
fn number(text: &str) -> Option<String> {
    let plain = java_trim(text).trim_matches(['"', '\'']).replace(['_', ','], "");
    let whole = plain.split_once('.').map_or(plain.as_str(), |(whole, zeros)| {
        if zeros.bytes().all(|b| b == b'0') { whole } else { "" }
    });
    whole.parse::<i64>().ok().map(|number| number.to_string())
}

/// `80%` and `0,8`: the fraction.
fn percentage(text: &str) -> Option<String> {
    let text = java_trim(text).trim_matches(['"', '\'']);
    match text.strip_suffix('%') {
        Some(hundredths) => hundredths
            .trim()
            .parse::<f64>()
            .ok()
            .map(|number| (number / 100.0).to_string()),
        None => text
            .replacen(',', ".", 1)
            .parse::<f64>()
            .ok()
            .map(|number| number.to_string()),
    }
}
