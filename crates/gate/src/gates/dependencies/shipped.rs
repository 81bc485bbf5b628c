//! Libraries that Spark brings itself: asked for a second time they are not loaded, since Spark's own come first.
//!
//! Source: the jars of the Spark of the job's version, where it is at hand; else `shipped.txt`, which `scripts/record-shipped` makes of real
//! releases. Of minor versions without a recorded release nothing is said.

use std::path::Path;
use std::sync::LazyLock;

use stoke_advisories::Ecosystem;
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::distribution::minor;

use super::{Dependency, packages};
use crate::Settings;

/// Releases and, for each `group:artifact`, the versions they ship.
struct Table {
    releases: Vec<&'static str>,
    rows: Vec<(&'static str, Vec<&'static str>)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table {
        releases: Vec::new(),
        rows: Vec::new(),
    };
    let lines = include_str!("shipped.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let mut columns = line.split(' ');
        match columns.next() {
            Some("release") => table.releases = columns.collect(),
            Some(name) => table.rows.push((name, columns.collect())),
            None => {}
        }
    }
    table
});

/// What a Spark ships of a library: the release that was looked at, and the library's version in it.
fn shipped(
    group: &str,
    artifact: &str,
    spark: &str,
    runtimes: &[(String, std::path::PathBuf)],
) -> Option<(String, String)> {
    let name = packages::without_scala(artifact).0;
    // Hadoop's client is there in two jars under other names.
    let name = match (group, name) {
        ("org.apache.hadoop", "hadoop-client" | "hadoop-common" | "hadoop-hdfs-client" | "hadoop-auth") => {
            "hadoop-client-api"
        }
        _ => name,
    };
    let key = format!("{group}:{name}");
    let row = TABLE.rows.iter().find(|(known, _)| *known == key);
    // Names of jars have no group; only of those that some release ships is it known whose they are.
    if row.is_some()
        && let Some((_, home)) = runtimes.iter().find(|(version, _)| version == spark)
        && let Some(jars) = jars(home)
    {
        let version = jars.iter().find_map(|jar| {
            let stem = jar.strip_suffix(".jar")?.strip_prefix(name)?;
            let stem = stem
                .strip_prefix("_2.12")
                .or_else(|| stem.strip_prefix("_2.13"))
                .unwrap_or(stem);
            let version = stem.strip_prefix('-')?;
            version
                .starts_with(|first: char| first.is_ascii_digit())
                .then(|| version.to_owned())
        });
        return version.map(|version| (spark.to_owned(), version));
    }
    let at = TABLE
        .releases
        .iter()
        .position(|release| minor(release) == minor(spark))?;
    let version = row?.1.get(at).filter(|version| **version != "-")?;
    Some((TABLE.releases[at].to_owned(), (*version).to_owned()))
}

/// The names of a Spark's jars; `None` when it has none, as what is not a Spark.
fn jars(home: &Path) -> Option<Vec<String>> {
    let entries = std::fs::read_dir(home.join("jars")).ok()?;
    let names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".jar"))
        .collect();
    (!names.is_empty()).then_some(names)
}

/// Says what of a job's dependencies its Spark ships.
pub(super) fn judge(dependency: &Dependency, settings: &Settings) -> Option<Diagnostic> {
    let version = dependency.version.as_deref()?;
    let (group, artifact) = dependency.name.split_once(':')?;
    if dependency.ecosystem != Ecosystem::Maven {
        return None;
    }
    let found = dependency
        .sparks
        .iter()
        .find_map(|spark| Some((spark, shipped(group, artifact, spark, &settings.runtimes)?)));
    let (spark, (release, ships)) = found?;
    // Another Hadoop has a finding of its own.
    if group == "org.apache.hadoop" && ships != version {
        return None;
    }
    let of = match release == *spark {
        true => format!("Spark {spark} ships it in version {ships}"),
        false => format!("Spark {spark} ships it (in {release}: version {ships})"),
    };
    let message = match ships == version {
        true => format!("`{}`: {of}; a second copy is for nothing", dependency.shown()),
        false => format!(
            "`{}`: {of} and loads its own first, unless `spark.driver.userClassPathFirst` is set",
            dependency.shown()
        ),
    };
    let finding = dependency.say(Severity::Warning, "dependency-shipped-by-spark", message);
    Some(
        finding.with_fix(
            "remove it, and test with the version Spark has; if it must be another, shade it into the job's jar",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert_eq!(TABLE.releases, ["3.5.9", "4.1.4", "4.3.0"]);
        assert!(TABLE.rows.len() > 200);
        assert!(
            TABLE
                .rows
                .iter()
                .all(|(name, versions)| name.contains(':') && versions.len() == 3)
        );
    }

    #[test]
    fn what_a_spark_ships_is_known_by_its_coordinates() {
        let found = |group, artifact, spark| shipped(group, artifact, spark, &[]).map(|(_, version)| version);
        let cases = [
            ("com.google.guava", "guava", "3.5.1", Some("14.0.1")),
            ("com.google.guava", "guava", "4.1.4", Some("33.4.8-jre")),
            ("com.google.guava", "guava", "4.0.0", None),
            ("org.json4s", "json4s-core_2.13", "4.1.4", Some("4.0.7")),
            ("org.apache.hadoop", "hadoop-common", "3.5.9", Some("3.3.4")),
            ("org.postgresql", "postgresql", "4.1.4", None),
            ("another", "guava", "4.1.4", None),
        ];
        for (group, artifact, spark, expected) in cases {
            assert_eq!(
                found(group, artifact, spark).as_deref(),
                expected,
                "{group}:{artifact} {spark}"
            );
        }
    }

    #[test]
    fn a_spark_at_hand_is_asked_itself() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("jars")).unwrap();
        for jar in ["guava-99.1-jre.jar", "json4s-core_2.13-5.0.jar"] {
            std::fs::write(home.path().join("jars").join(jar), "").unwrap();
        }
        let runtimes = [("4.1.4".to_owned(), home.path().to_owned())];
        let found = |group, artifact, spark| shipped(group, artifact, spark, &runtimes).map(|(_, version)| version);
        assert_eq!(found("com.google.guava", "guava", "4.1.4").as_deref(), Some("99.1-jre"));
        assert_eq!(found("org.json4s", "json4s-core_2.13", "4.1.4").as_deref(), Some("5.0"));
        assert_eq!(found("commons-io", "commons-io", "4.1.4"), None);
        assert_eq!(
            found("com.google.guava", "guava", "4.1.3").as_deref(),
            Some("33.4.8-jre")
        );
    }
}
