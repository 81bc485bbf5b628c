//! Each key of Google's and Azure's connectors that wiring writes, held against what the jars know that it wires: `cloud-keys.tsv`, recorded by
//! `scripts/record-cloud-keys`.

use std::collections::BTreeSet;

use stoke_model::distribution;
use stoke_platform::wire::{Wants, Wired, wire};

use crate::right;
use crate::stores::{LOGINS, file};

const RECORD: &str = include_str!("cloud-keys.tsv");

/// What a jar knows of a kind: `key`, `prefix`, `ending`, `class`.
fn known(jar: &str, kind: &str) -> BTreeSet<&'static str> {
    let lines = RECORD.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        (columns.next() == Some(kind) && columns.next() == Some(jar)).then_some(columns.next()?)
    });
    lines.collect()
}

fn has_jar(jar: &str) -> bool {
    RECORD.lines().any(|line| line.starts_with(&format!("jar\t{jar}\t")))
}

/// Whether a jar reads a key; one of an account ends with its host.
fn reads(jar: &str, key: &str) -> bool {
    let plain = key.strip_suffix(".shopdata.dfs.core.windows.net").unwrap_or(key);
    let (prefixes, endings) = (known(jar, "prefix"), known(jar, "ending"));
    let made = prefixes.iter().any(|prefix| {
        plain
            .strip_prefix(prefix)
            .is_some_and(|ending| endings.contains(ending))
    });
    known(jar, "key").contains(plain) || made
}

fn wired(store: &str, version: &str) -> Result<Wired, String> {
    let file = right(&file(store, "", version));
    let wants = Wants {
        store: Some("files".to_owned()),
        ..Wants::default()
    };
    let resolved = file.in_environment(None).unwrap();
    let spark = &file.platform.sparks["current"];
    wire(&resolved.scope(), spark, &wants).map_err(|clashes| clashes[0].message.clone())
}

/// The connector's jar.
fn jar_of(wired: &Wired) -> String {
    let of_package = wired.packages.iter().find_map(|package| {
        let version = package.strip_prefix("org.apache.hadoop:hadoop-azure:")?;
        Some(format!("hadoop-azure-{version}.jar"))
    });
    let of_jar = || Some(wired.jars.first()?.rsplit('/').next()?.to_owned());
    of_package.or_else(of_jar).unwrap()
}

#[test]
fn every_key_and_class_that_is_wired_is_one_of_the_jar() {
    let (mut keys, mut classes) = (0, 0);
    for (login, store) in LOGINS
        .iter()
        .filter(|(login, _)| login.starts_with("google") || login.starts_with("azure"))
    {
        for version in distribution::ALL.map(|spark| format!("{}.0", spark.minor)) {
            let hadoop = distribution::nearest(&version).hadoop;
            let wired = match wired(store, &version) {
                Ok(wired) => wired,
                Err(why) => {
                    // What is refused is what the jar does not have.
                    let has = known(&format!("hadoop-azure-{hadoop}.jar"), "class")
                        .iter()
                        .any(|class| class.ends_with(".WorkloadIdentityTokenProvider"));
                    assert!(*login == "azure" && !has, "{login} {version}: {why}");
                    continue;
                }
            };
            let jar = jar_of(&wired);
            assert!(has_jar(&jar), "{jar} is not recorded: run scripts/record-cloud-keys");
            for (key, value) in &wired.conf {
                let key = key.strip_prefix("spark.hadoop.").unwrap();
                // Hadoop's own, for every scheme.
                let of_hadoop = ["fs.gs.impl", "fs.AbstractFileSystem.gs.impl"].contains(&key);
                assert!(
                    of_hadoop || reads(&jar, key),
                    "{login} {version}: {jar} does not know {key}"
                );
                keys += 1;
                if value.starts_with("com.google.") || value.starts_with("org.apache.") {
                    assert!(known(&jar, "class").contains(value.as_str()), "{jar} has no {value}");
                    classes += 1;
                }
            }
        }
    }
    println!("{keys} keys, {classes} classes");
    assert!(keys > 50 && classes > 20, "{keys} {classes}");
}

/// Bytes of a size as Hadoop writes it: `64m`.
fn bytes(size: &str) -> Option<u64> {
    let shift = match size.chars().last()? {
        'k' => 10,
        'm' => 20,
        'g' => 30,
        _ => return None,
    };
    Some(size[..size.len() - 1].parse::<u64>().ok()? << shift)
}

#[test]
fn sizes_of_hadoops_own_connector_are_written_as_googles_reads_them() {
    let mut written = 0;
    for version in distribution::ALL.map(|spark| format!("{}.0", spark.minor)) {
        let common = format!(
            "default\thadoop-common-{}.jar\t",
            distribution::nearest(&version).hadoop
        );
        let wired = wired(LOGINS.iter().find(|(login, _)| *login == "google").unwrap().1, &version).unwrap();
        for line in RECORD.lines().filter_map(|line| line.strip_prefix(&common)) {
            let (key, value) = line.split_once('\t').unwrap();
            let (true, Some(size)) = (reads(&jar_of(&wired), key), bytes(value)) else {
                continue;
            };
            assert_eq!(
                wired.conf.get(&format!("spark.hadoop.{key}")),
                Some(&size.to_string()),
                "{version}: {key} is {value}"
            );
            written += 1;
        }
    }
    assert!(written > 3, "{written}");
}

#[test]
fn what_is_written_wrong_is_not_known() {
    let azure = "hadoop-azure-3.4.2.jar";
    let google = "gcs-connector-hadoop3-2.2.22-shaded.jar";
    for (jar, key, knows) in [
        (azure, "fs.azure.account.key.shopdata.dfs.core.windows.net", true),
        (azure, "fs.azure.account.kye.shopdata.dfs.core.windows.net", false),
        (azure, "fs.azure.account.key.other.dfs.core.windows.net", false),
        (google, "fs.gs.auth.service.account.json.keyfile", true),
        (google, "google.cloud.auth.service.account.enable", true),
        // Keys of the connector's third version.
        (google, "fs.gs.auth.type", false),
    ] {
        assert_eq!(reads(jar, key), knows, "{jar} {key}");
    }
}
