//! Every Spark configuration key per version, its lint, and the properties format it travels in.
//!
//! In: a Spark version and pairs of key and value. Out: facts about a key ([`Catalogue::get`], [`Catalogue::explain`]) and complaints
//! ([`Catalogue::lint`]), each with a code, a severity, the side it is about (key or value) and, where there is one, the correction.
//!
//! The facts are not ours: `scripts/extract-conf-catalogue` reads them out of real Spark installations (the registry of `ConfigEntry`,
//! the tables of deprecated and removed keys, the keys that Java modules ask for, and the constants of the class files), and
//! `data/spark-conf.tsv` is its output. Values are judged as Spark's own converters judge them ([`value`]); a table of real verdicts in
//! `data/conf-verdicts.tsv` holds us to it. A rule that the script could not establish is absent, so that a value is never refused on a guess.
//!
//! [`third_party`] knows keys of products that are used beside Spark, by their own artifacts.
//!
//! [`properties`] reads and writes `java.util.Properties`, the form of `spark-defaults.conf`.
//! This module never reads files, never guesses defaults, and does not know what a manifest is.

mod catalogue;
mod explain;
mod family;
mod lint;
pub mod properties;
mod suggest;
mod table;
pub mod third_party;
pub mod value;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, Known};
pub use explain::{Explanation, InVersion};
pub use family::Family;
pub use lint::{Lint, MOST_PAIRS, On, Suggestion};
pub use table::{Default, Entry, Kind};
