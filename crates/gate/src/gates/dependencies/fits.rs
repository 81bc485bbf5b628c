//! Whether versions go with the Spark of the job.
//!
//! Source: `requires_python` and the extras of each release's metadata in the Python package index, and the least versions that
//! `pyspark/sql/pandas/utils.py` of 3.5.9, 4.1.4 and 4.3.0 asks for. Of releases between these nothing is said.

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};
use stoke_advisories::Ecosystem;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::distribution::minor;

use super::Dependency;

/// What a minor version of Spark asks of Python.
struct Wants {
    minor: &'static str,
    /// Pythons it is made for.
    pythons: &'static [&'static str],
    /// Packages, the versions it works with, and who says so.
    packages: &'static [(&'static str, &'static str)],
}

const WANTS: [Wants; 3] = [
    Wants {
        minor: "3.5",
        pythons: &["3.8", "3.9", "3.10", "3.11"],
        packages: &[
            ("pandas", ">=1.0.5"),
            ("pyarrow", ">=4.0.0"),
            ("numpy", ">=1.15,<2"),
            ("py4j", ">=0.10.9.7,<0.10.9.10"),
        ],
    },
    Wants {
        minor: "4.1",
        pythons: &["3.10", "3.11", "3.12", "3.13", "3.14"],
        packages: &[
            ("pandas", ">=2.2.0"),
            ("pyarrow", ">=15.0.0"),
            ("numpy", ">=1.22"),
            ("py4j", ">=0.10.9.7,<0.10.9.10"),
        ],
    },
    Wants {
        minor: "4.3",
        pythons: &["3.11", "3.12", "3.13", "3.14"],
        packages: &[
            ("pandas", ">=2.2.0"),
            ("pyarrow", ">=18.0.0"),
            ("numpy", ">=1.23.2"),
            ("py4j", ">=0.10.9.7,<0.10.9.10"),
        ],
    },
];

fn wants(spark: &str) -> Option<&'static Wants> {
    WANTS.iter().find(|wants| wants.minor == minor(spark))
}

/// The Pythons that all of some Sparks are made for; every known one when no one knows.
pub(super) fn pythons(sparks: &[String]) -> Vec<&'static str> {
    const ALL: [&str; 7] = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14"];
    let known: Vec<&Wants> = sparks.iter().filter_map(|spark| wants(spark)).collect();
    let fit = |python: &&str| known.iter().all(|wants| wants.pythons.contains(python));
    ALL.into_iter().filter(fit).collect()
}

/// What is wrong with a Python package beside its Spark.
pub(super) fn judge(dependency: &Dependency) -> Option<Diagnostic> {
    let version = dependency.version.as_deref()?;
    if dependency.ecosystem != Ecosystem::PyPI {
        return None;
    }
    let name = dependency.name.as_str();
    if matches!(name, "pyspark" | "pyspark-client" | "pyspark-connect") {
        let spark = dependency.sparks.iter().find(|spark| minor(spark) != minor(version))?;
        let message = format!(
            "`{}` and the application's Spark {spark} are different versions: driver and image do not understand each other",
            dependency.shown()
        );
        let finding = dependency.say(Severity::Error, "dependency-other-spark", message);
        return Some(finding.with_fix(format!("write `{name}=={spark}`, or leave it out: the image has it")));
    }
    let parsed = Version::from_str(version).ok()?;
    let (spark, range) = dependency.sparks.iter().find_map(|spark| {
        let (_, range) = wants(spark)?.packages.iter().find(|(package, _)| *package == name)?;
        let range_parsed = VersionSpecifiers::from_str(range).ok()?;
        (!range_parsed.contains(&parsed)).then_some((spark, range))
    })?;
    let message = format!(
        "`{}` does not go with Spark {spark}, which wants `{name}{range}`: what needs it there fails when it is first used",
        dependency.shown()
    );
    let finding = dependency.say(Severity::Warning, "dependency-not-with-spark", message);
    Some(finding.with_fix(format!("take a version of `{name}{range}`")))
}

/// Says when a job wants a Python that its Spark is not made for. `wanted` are versions as PEP 440 writes them: `>=3.9`, `==3.8.*`.
pub(super) fn python(wanted: &str, sparks: &[String]) -> Option<(String, String)> {
    let specifiers = VersionSpecifiers::from_str(wanted).ok()?;
    let spark = sparks.iter().find(|spark| {
        wants(spark).is_some_and(|wants| {
            !wants.pythons.iter().any(|python| {
                ["0", "99"].iter().any(|patch| {
                    Version::from_str(&format!("{python}.{patch}")).is_ok_and(|version| specifiers.contains(&version))
                })
            })
        })
    })?;
    let pythons = wants(spark)?.pythons;
    let (first, last) = (pythons.first()?, pythons.last()?);
    Some((
        format!("Python `{wanted}` and Spark {spark} do not meet: it is made for {first} to {last}"),
        format!("take a Python from {first} to {last}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_are_those_of_the_sparks() {
        let of = |sparks: &[&str]| pythons(&sparks.iter().map(|&spark| spark.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["3.5.9"]), ["3.8", "3.9", "3.10", "3.11"]);
        assert_eq!(of(&["3.5.9", "4.3.0"]), ["3.11"]);
        assert_eq!(of(&["9.9"]).len(), 7);
        for (wanted, spark, fits) in [
            (">=3.9", "4.1.4", true),
            ("==3.9.*", "4.1.4", false),
            ("<3.10", "4.1.4", false),
            (">=3.10.5,<3.11", "4.1.4", true),
            (">=3.12", "3.5.9", false),
            (">=3.12", "9.9.9", true),
        ] {
            assert_eq!(python(wanted, &[spark.to_owned()]).is_none(), fits, "{wanted} {spark}");
        }
    }
}
