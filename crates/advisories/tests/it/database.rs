//! Advisories of the schema through the file they are kept in.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::path::Path;

use stoke_advisories::database::{self, FILE};
use stoke_advisories::{Database, DatabaseError, Ecosystem, GatherError, Gathered, Level};

const NOW: &str = "2026-02-01T00:00:00Z";

fn advisory(id: &str, ecosystem: &str, name: &str, fixed: &str, modified: &str) -> String {
    format!(
        r#"{{"schema_version": "1.6.0", "id": "{id}", "modified": "{modified}", "summary": "It breaks.",
            "severity": [{{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}}],
            "affected": [{{"package": {{"ecosystem": "{ecosystem}", "name": "{name}"}}, "ranges": [{{"type": "ECOSYSTEM", "events": [{{"introduced": "0"}}, {{"fixed": "{fixed}"}}]}}]}}]}}"#
    )
}

fn zipped(path: &Path, files: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, text) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap();
}

fn gather(sources: &[&Path]) -> Result<Gathered, GatherError> {
    let mut gathered = Gathered::default();
    for source in sources {
        gathered.add(&source.display().to_string(), source, &mut |_| {})?;
    }
    Ok(gathered)
}

#[test]
fn what_is_gathered_is_found_again() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("ghsa/2026");
    std::fs::create_dir_all(&directory).unwrap();
    let log4j = advisory("GHSA-1", "Maven", "org.example:lib", "2.15.0", "2026-01-03T00:00:00Z");
    std::fs::write(directory.join("GHSA-1.json"), &log4j).unwrap();
    // The later one of two counts.
    let older = advisory("PYSEC-1", "PyPI", "Some_Lib", "3.0", "2025-01-01T00:00:00Z");
    let newer = advisory("PYSEC-1", "PyPI", "some-lib", "2.0", "2026-01-01T00:00:00Z");
    std::fs::create_dir(root.path().join("PyPI")).unwrap();
    let archive = root.path().join("PyPI/all.zip");
    let foreign = advisory("GHSA-2", "Maven", "org.example:other", "2.0", "2026-01-02T00:00:00Z");
    zipped(&archive, &[("a.json", &newer), ("b.json", &foreign), ("README", "x")]);
    let single = root.path().join("older.json");
    std::fs::write(&single, &older).unwrap();

    let gathered = gather(&[&single, &archive, &root.path().join("ghsa")]).unwrap();
    let home = root.path().join("home");
    let about = database::write(&home, &gathered, NOW.parse().unwrap()).unwrap();
    let pypi = about.ecosystems["PyPI"];
    assert_eq!(
        (pypi.advisories, pypi.packages, pypi.newest.to_string().as_str()),
        (1, 1, "2026-01-01T00:00:00Z")
    );
    let database = Database::open(&home).unwrap();
    assert_eq!(database.about(), &about);
    let known =
        |ecosystem, name: &str, version: &str| database.look_up(ecosystem, name, version).unwrap().unwrap().known;
    let found = known(Ecosystem::PyPI, "some.LIB", "1.9");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (
            found[0].ids.as_slice(),
            found[0].fixed.as_deref(),
            found[0].severity.level
        ),
        (&["PYSEC-1".to_owned()][..], Some("2.0"), Level::High)
    );
    assert_eq!(known(Ecosystem::PyPI, "some-lib", "2.5"), []);
    assert_eq!(known(Ecosystem::Maven, "org.example:lib", "2.14.1").len(), 1);
    // An archive of one ecosystem is not a database of another.
    assert_eq!(known(Ecosystem::Maven, "org.example:other", "1.0"), []);
    assert!(
        database
            .look_up(Ecosystem::PyPI, "some-lib", "no version")
            .unwrap()
            .is_err()
    );
}

#[test]
fn an_ecosystem_nobody_gathered_is_not_covered() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.json");
    std::fs::write(&file, advisory("A", "PyPI", "a", "1", NOW)).unwrap();
    database::write(root.path(), &gather(&[&file]).unwrap(), NOW.parse().unwrap()).unwrap();
    let database = Database::open(root.path()).unwrap();
    assert!(database.covers(Ecosystem::PyPI) && !database.covers(Ecosystem::Maven));
}

#[test]
fn a_source_with_anything_in_it_that_is_no_advisory_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = root.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    assert!(matches!(
        gather(&[&root.path().join("nowhere")]),
        Err(GatherError::Unreadable { .. })
    ));
    assert!(matches!(
        gather(&[&file("a.txt", b"text")]),
        Err(GatherError::Unknown { .. })
    ));
    assert!(matches!(
        gather(&[&file("a.json", b"{}")]),
        Err(GatherError::NoAdvisory { .. })
    ));
    let npm = advisory("A", "npm", "a", "1", NOW);
    assert!(matches!(
        gather(&[&file("n.json", npm.as_bytes())]),
        Err(GatherError::Nothing { .. })
    ));
    let good = advisory("A", "PyPI", "a", "1", NOW);
    let archive = root.path().join("all.zip");
    zipped(&archive, &[("good.json", &good), ("bad.json", "{")]);
    let error = gather(&[&archive]).unwrap_err().to_string();
    assert!(error.contains("all.zip: bad.json"), "{error}");
    let mut cut = std::fs::read(&archive).unwrap();
    cut.truncate(cut.len() - 30);
    let error = gather(&[&file("cut.zip", &cut)]).unwrap_err();
    assert!(matches!(error, GatherError::NoAdvisory { .. }), "{error}");
}

#[test]
fn a_file_that_is_not_as_it_was_written_is_refused() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(
        Database::open(root.path()),
        Err(DatabaseError::Missing { .. })
    ));
    let source = root.path().join("a.json");
    std::fs::write(&source, advisory("A", "PyPI", "a", "1", NOW)).unwrap();
    let gathered = gather(&[&source]).unwrap();
    database::write(root.path(), &gathered, NOW.parse().unwrap()).unwrap();
    let file = root.path().join(FILE);
    let whole = std::fs::read(&file).unwrap();
    // Cut off anywhere, and every byte changed by itself.
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(Database::open(root.path()).is_err(), "{length} bytes");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        let answer = Database::open(root.path()).and_then(|database| database.look_up(Ecosystem::PyPI, "a", "0.5"));
        assert!(answer.is_err(), "byte {at}");
    }
    // What an interrupted update left does not matter, and goes with the next.
    std::fs::write(root.path().join(format!("{FILE}.part")), b"half").unwrap();
    std::fs::write(&file, &whole).unwrap();
    assert!(Database::open(root.path()).is_ok());
    database::write(root.path(), &gathered, NOW.parse().unwrap()).unwrap();
    assert!(!root.path().join(format!("{FILE}.part")).exists());
}
