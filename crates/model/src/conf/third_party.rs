//! Configuration of products that are used beside Spark, by what they publish themselves: S3 through Hadoop, Iceberg, Delta Lake, Celeborn,
//! the RAPIDS Accelerator.
//!
//! `scripts/record-third-party-conf` makes `data/third-party-conf.tsv` of their own artifacts. A key that resembles one of theirs is a slip; one that
//! resembles none is reported with the versions that were asked, where the product does not hand keys on to classes of others ([`OPEN`]). A value is
//! judged where all versions that may be meant agree on its type: of Hadoop that of the job's Spark, of others all that are recorded.

use std::collections::HashMap;
use std::sync::LazyLock;

use stoke_diagnostics::Severity;

use super::lint::{Lint, On, Suggestion, has_reference};
use super::suggest;
use super::value::{Refusal, Rule, ValueType};
use crate::distribution;

/// Types of catalogs that Iceberg makes itself: `CatalogUtil.ICEBERG_CATALOG_TYPE_*` of 1.10.
pub const ICEBERG_TYPES: [&str; 7] = ["bigquery", "glue", "hadoop", "hive", "jdbc", "nessie", "rest"];

/// Beginnings of keys behind which anything may stand: names of expressions and operators, properties of tables.
const OPEN: [&str; 11] = [
    "spark.rapids.sql.command.",
    "spark.rapids.sql.exec.",
    "spark.rapids.sql.expression.",
    "spark.rapids.sql.input.",
    "spark.rapids.sql.output.",
    "spark.rapids.sql.partitioning.",
    "spark.rapids.sql.test.",
    "spark.rapids.test.",
    "spark.databricks.delta.properties.defaults.",
    // Of versions before those that are recorded; guides still name them.
    "spark.databricks.delta.preview.enabled",
    "spark.sql.iceberg.handle-timestamp-without-timezone",
];

/// One line of the table.
struct Row {
    product: &'static str,
    key: &'static str,
    versions: &'static str,
    value_type: &'static str,
    default: &'static str,
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let lines = include_str!("../../data/third-party-conf.tsv").lines();
    let rows = lines.filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next();
        Some(Row {
            product: next()?,
            key: next()?,
            versions: next()?,
            value_type: next()?,
            default: next().unwrap_or_default(),
        })
    });
    rows.collect()
});

/// A key as its product sees it.
struct ProductKey<'a> {
    product: &'static str,
    /// What Spark takes off before it hands the key on, and what names a bucket.
    before: String,
    key: &'a str,
}

/// Whether the class of a catalog is Iceberg's.
#[must_use]
pub fn is_iceberg(class: &str) -> bool {
    ["SparkCatalog", "SparkSessionCatalog"]
        .iter()
        .any(|name| class.strip_prefix("org.apache.iceberg.spark.") == Some(name))
}

/// The key for all buckets that one for a single bucket stands for: `fs.s3a.endpoint` of `fs.s3a.bucket.logs.endpoint`. Names of buckets may have dots; the
/// longest key that is known wins.
#[must_use]
pub fn without_bucket(key: &str) -> String {
    let Some(rest) = key.strip_prefix("fs.s3a.bucket.") else {
        return key.to_owned();
    };
    let ends = rest
        .match_indices('.')
        .map(|(dot, _)| format!("fs.s3a.{}", &rest[dot + 1..]));
    let mut candidates: Vec<String> = ends.collect();
    let known = |key: &String| ROWS.iter().any(|row| row.product == "hadoop-aws" && row.key == key);
    match candidates.iter().position(known) {
        Some(at) => candidates.swap_remove(at),
        None => candidates.into_iter().next().unwrap_or_else(|| key.to_owned()),
    }
}

/// What a key of another product is when it is not set, as that product writes it; none for a key that is not known or has none.
#[must_use]
pub fn default_of(key: &str) -> Option<&'static str> {
    let row = ROWS.iter().find(|row| row.key == key)?;
    Some(row.default).filter(|default| !default.is_empty())
}

/// Complaints about keys and values of other products in a whole configuration, in its order. `spark` is the version of Spark, which decides that of Hadoop;
/// without it, types that differ among versions of Hadoop are not judged.
///
/// ```
/// use stoke_model::conf::third_party::lint;
/// let found = lint(Some("4.1.4"), &[("spark.hadoop.fs.s3a.path.style.acess", "true")]);
/// assert_eq!(found[0].suggestion.as_ref().unwrap().to_string(), "write spark.hadoop.fs.s3a.path.style.access");
/// ```
#[must_use]
pub fn lint(spark: Option<&str>, conf: &[(&str, &str)]) -> Vec<Lint> {
    let hadoop = spark.and_then(distribution::of).map(|spark| spark.hadoop);
    let all: HashMap<&str, &str> = conf.iter().copied().collect();
    let found = conf
        .iter()
        .filter_map(|(key, value)| judge(&product_key(key, &all)?, hadoop, key, value));
    found.collect()
}

/// Whose key it is.
fn product_key<'a>(key: &'a str, conf: &HashMap<&str, &str>) -> Option<ProductKey<'a>> {
    let of = |product, before: &str, key| {
        Some(ProductKey {
            product,
            before: before.to_owned(),
            key,
        })
    };
    if let Some(plain) = key
        .strip_prefix("spark.hadoop.")
        .filter(|key| key.starts_with("fs.s3a."))
    {
        let whole = without_bucket(plain);
        // The end of the key that is the same with and without a bucket.
        let end = &plain[plain.len() - whole.len().saturating_sub("fs.s3a.".len()).min(plain.len())..];
        return of("hadoop-aws", &key[..key.len() - end.len()], end);
    }
    if key.starts_with("spark.sql.iceberg.") {
        return of("iceberg", "", key);
    }
    if key.starts_with("spark.databricks.delta.") {
        return of("delta", "", key);
    }
    if key.starts_with("spark.rapids.") {
        return of("rapids", "", key);
    }
    if let Some(plain) = key.strip_prefix("spark.").filter(|key| key.starts_with("celeborn.")) {
        return of("celeborn", "spark.", plain);
    }
    let (name, option) = key.strip_prefix("spark.sql.catalog.")?.split_once('.')?;
    let class = format!("spark.sql.catalog.{name}");
    let class = conf.get(class.as_str())?;
    let before = &key[..key.len() - option.len()];
    is_iceberg(class.trim()).then(|| of("iceberg-catalog", before, option))?
}

fn judge(asked: &ProductKey<'_>, hadoop: Option<&str>, written: &str, value: &str) -> Option<Lint> {
    let of_hadoop = asked.product == "hadoop-aws";
    let key = if of_hadoop {
        format!("fs.s3a.{}", asked.key)
    } else {
        asked.key.to_owned()
    };
    let of_product = || ROWS.iter().filter(|row| row.product == asked.product);
    let rows: Vec<&Row> = of_product().filter(|row| matches(row.key, &key)).collect();
    if rows.is_empty() {
        let known = of_product().filter(|row| !row.key.contains('<')).map(|row| row.key);
        let Some(meant) = suggest::slip_of(&key, known) else {
            return unknown_key(asked.product, &key, written);
        };
        let meant = if of_hadoop {
            meant.strip_prefix("fs.s3a.")?
        } else {
            meant
        };
        return Some(Lint {
            code: "conf-unknown-key",
            severity: Severity::Warning,
            key: written.to_owned(),
            on: On::Key,
            message: format!("{} does not know this key", name(asked.product)),
            suggestion: Some(Suggestion::ReplaceKey(format!("{}{meant}", asked.before))),
        });
    }
    let judged = rows
        .iter()
        .filter(|row| !of_hadoop || hadoop.is_none_or(|version| row.versions.split(',').any(|known| known == version)));
    let mut types: Vec<&str> = judged.map(|row| row.value_type).collect();
    types.dedup();
    let [value_type] = types[..] else { return None };
    let expected = refused(value_type, value)?;
    Some(Lint {
        code: "conf-wrong-type",
        severity: Severity::Error,
        key: written.to_owned(),
        on: On::Value,
        message: format!("{value:?} is not {expected}, as {} wants it", name(asked.product)),
        suggestion: (value_type == "bool")
            .then(|| super::lint::meant_bool(value))
            .flatten()
            .map(|meant| Suggestion::ReplaceValue(meant.to_string())),
    })
}

/// A key that no recorded version of its product has.
fn unknown_key(product: &'static str, key: &str, written: &str) -> Option<Lint> {
    // Options of a catalog and of S3A go to classes that may be anybody's.
    if matches!(product, "iceberg-catalog" | "hadoop-aws") || OPEN.iter().any(|open| key.starts_with(open)) {
        return None;
    }
    let mut versions: Vec<&str> = ROWS
        .iter()
        .filter(|row| row.product == product)
        .flat_map(|row| row.versions.split(','))
        .collect();
    versions.sort_unstable();
    versions.dedup();
    let asked = format!("{} {}", name(product), versions.join(", "));
    Some(Lint {
        code: "conf-unknown-key",
        severity: Severity::Warning,
        key: written.to_owned(),
        on: On::Key,
        message: format!("{asked} does not know this key, nor one like it: it has no effect there"),
        suggestion: Some(Suggestion::Text(
            "remove it, or keep it if the documentation of your version has it".to_owned(),
        )),
    })
}

fn name(product: &str) -> &'static str {
    match product {
        "hadoop-aws" => "S3A",
        "delta" => "Delta Lake",
        "celeborn" => "Celeborn",
        "rapids" => "the RAPIDS Accelerator",
        _ => "Iceberg",
    }
}

/// Whether a key has the form of a pattern: `<name>` stands for one part.
fn matches(pattern: &str, key: &str) -> bool {
    if !pattern.contains('<') {
        return pattern == key;
    }
    let (mut parts, mut segments) = (pattern.split('.'), key.split('.'));
    loop {
        match (parts.next(), segments.next()) {
            (None, None) => return true,
            (Some(part), Some(segment)) if part == segment || (part.starts_with('<') && !segment.is_empty()) => {}
            _ => return false,
        }
    }
}

/// What the value should be, if its product does not take it.
fn refused(value_type: &str, value: &str) -> Option<String> {
    let text = value.trim();
    if text.is_empty() || has_reference(value) || text.contains("${") {
        return None;
    }
    let hadoop = |units: &str, form: &str| {
        let lower = text.to_ascii_lowercase();
        let digits = lower.trim_start_matches(['-', '+']);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (number, unit) = digits.split_at(end);
        let fits = !number.is_empty() && (unit.is_empty() || units.split(' ').any(|known| known == unit));
        (!fits).then(|| form.to_owned())
    };
    match value_type {
        // Configuration.getInt takes hexadecimal numbers as well.
        "hadoop-int" | "hadoop-long" if text.starts_with("0x") || text.starts_with("0X") => None,
        "hadoop-int" | "hadoop-long" => hadoop("-", "a whole number"),
        "hadoop-bytes" => hadoop("k m g t p e", "a whole number with one of k, m, g, t, such as 64M"),
        "hadoop-time" => hadoop(
            "ns us ms s m h d",
            "a whole number with a unit ns, us, ms, s, m, h or d, such as 30s",
        ),
        "string" | "other" => None,
        _ => {
            let value_type = ValueType::parse(value_type)?;
            match value_type.check(&Rule::Any, text) {
                Err(Refusal::Form(form)) => Some(form),
                _ => None,
            }
        }
    }
}
