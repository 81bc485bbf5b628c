use stoke_diagnostics::Severity;

use crate::conf::{Catalogue, Default, Kind, Known};

fn versions() -> impl Iterator<Item = Catalogue> {
    Catalogue::known_versions().map(Catalogue::for_version)
}

#[test]
fn every_line_of_the_table_is_understood() {
    let lines = include_str!("../../../data/spark-conf.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count();
    assert_eq!(Catalogue::table().entries.len(), lines);
    let families = include_str!("../../../data/spark-conf-families.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .count();
    assert_eq!(Catalogue::table().families.len(), families);
}

#[test]
fn keys_are_sorted_and_versions_of_a_key_do_not_overlap() {
    let entries = &Catalogue::table().entries;
    for pair in entries.windows(2) {
        assert!(
            pair[0].key < pair[1].key || (pair[0].key == pair[1].key && pair[0].versions & pair[1].versions == 0),
            "{}",
            pair[1].key
        );
    }
}

#[test]
fn the_four_versions_are_there_with_all_their_keys() {
    assert_eq!(
        Catalogue::known_versions().collect::<Vec<_>>(),
        ["3.5", "4.0", "4.1", "4.3"]
    );
    for catalogue in versions() {
        let entries = catalogue.entries().filter(|entry| entry.kind == Kind::Entry).count();
        assert!(entries > 1100, "{}: {entries}", catalogue.minor());
    }
}

#[test]
fn no_key_with_its_own_default_is_complained_about() {
    for catalogue in versions() {
        for entry in catalogue
            .entries()
            .filter(|entry| matches!(entry.kind, Kind::Entry | Kind::Plain))
        {
            let value = match &entry.default {
                Default::Text(text) => text.to_string(),
                _ => continue,
            };
            let findings = catalogue.lint([(entry.key, value.as_str())]);
            let findings: Vec<_> = findings
                .iter()
                .filter(|finding| finding.code != "conf-deprecated")
                .collect();
            assert_eq!(
                findings,
                Vec::<&crate::conf::Lint>::new(),
                "Spark {}",
                catalogue.minor()
            );
            assert_eq!(
                entry.deprecation.is_none(),
                catalogue.lint([(entry.key, value.as_str())]).is_empty(),
                "{}",
                entry.key
            );
        }
    }
}

#[test]
fn nearest_version_is_chosen_and_said() {
    for (asked, minor, exact) in [
        ("4.1.4", "4.1", true),
        ("4.1", "4.1", true),
        ("3.5.0", "3.5", true),
        ("3.3.2", "3.5", false),
        ("4.2.1", "4.1", false),
        ("4.9", "4.3", false),
        ("v4.0.0-preview2", "4.0", true),
        ("latest", "4.3", false),
        ("", "4.3", false),
    ] {
        let catalogue = Catalogue::for_version(asked);
        assert_eq!((catalogue.minor(), catalogue.exact()), (minor, exact), "{asked}");
    }
}

#[test]
fn well_known_facts() {
    let catalogue = Catalogue::for_version("4.1");
    let ansi = catalogue.get("spark.sql.ansi.enabled").unwrap();
    assert_eq!((ansi.session, ansi.public, ansi.place), (true, true, "sql"));
    assert_eq!(ansi.default, Default::Text("true".into()));
    assert_eq!(
        Catalogue::for_version("3.5")
            .get("spark.sql.ansi.enabled")
            .unwrap()
            .default,
        Default::Text("false".into())
    );
    let image = catalogue.get("spark.kubernetes.driver.container.image").unwrap();
    assert_eq!(image.default, Default::Key("spark.kubernetes.container.image"));
    assert!(!catalogue.get("spark.sql.warehouse.dir").unwrap().session);
    assert!(matches!(
        catalogue.find("spark.kubernetes.driver.label.team"),
        Known::Family(_)
    ));
    assert!(matches!(catalogue.find("spark.mesos.role"), Known::Gone(_)));
    assert_eq!(catalogue.get("spark.app.name").unwrap().kind, Kind::Plain);
    assert_eq!(Severity::Warning.max(Severity::Error), Severity::Error);
}

#[test]
fn explanations() {
    let mut text = String::new();
    for (version, key) in [
        ("4.1", "spark.executor.memory"),
        ("4.1", "spark.sql.ansi.enabled"),
        ("4.1", "spark.sql.parquet.compression.codec"),
        ("4.1", "spark.kubernetes.driver.label.team"),
        ("3.5", "spark.api.mode"),
        ("4.0", "spark.mesos.role"),
        ("4.1", "spark.yarn.keytab"),
        ("4.1", "spark.sql.hive.verifyPartitionPath"),
        ("4.1", "spark.kubernetes.driver.container.image"),
        ("4.1", "spark.excutor.memory"),
        ("4.1", "spark.shuffle.io.retryWait"),
        ("4.1", "spark.sql.files.maxPartitionBytes"),
        ("4.1", "spark.sql.autoBroadcastJoinThreshold"),
        ("4.1", "spark.dynamicAllocation.executorIdleTimeout"),
        ("4.1", "spark.driver.maxResultSize"),
        ("4.1", "nonsense"),
    ] {
        text.push_str(&format!(
            "$ {version} {}\n",
            Catalogue::for_version(version).explain(key)
        ));
    }
    insta::assert_snapshot!(text);
}
