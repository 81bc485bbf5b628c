//! Every path in every version of Spark becomes a directory whose manifest is sound and is held by its preset.

use super::*;
use crate::preset::hold;

fn library() -> Library {
    Library::with(None).map(|(library, _)| library).unwrap()
}

#[test]
fn every_path_in_every_version_is_sound() {
    let library = library();
    let mut count = 0;
    for path in ALL {
        for spark in Catalogue::known_versions() {
            let files =
                make(path, "mine", spark, &library).unwrap_or_else(|found| panic!("{} {spark}: {found:#?}", path.name));
            let of = |name: &str| {
                files
                    .iter()
                    .find(|file| file.path == name)
                    .map(|file| file.text.as_str())
            };
            let (documents, complaints) = manifest::check("app.yaml", of("app.yaml").unwrap());
            assert_eq!(
                complaints.iter().map(Diagnostic::render).collect::<Vec<_>>(),
                [""; 0],
                "{} {spark}",
                path.name
            );
            let app = documents.iter().find(|document| document.is_ours()).unwrap();
            assert_eq!(hold::look(app, &[]), [], "{} {spark}", path.name);
            assert!(app.node.lookup("metadata.annotations[\"stoke.dev/preset\"]").is_some());
            for file in &files {
                assert!(!file.text.contains("{{"), "{} {}", path.name, file.path);
                assert!(file.text.ends_with('\n'), "{} {}", path.name, file.path);
            }
            let tests = files.iter().filter(|file| file.path.starts_with("tests/"));
            assert!(
                tests.map(|file| file.text.matches("def test_").count()).sum::<usize>() > 0,
                "{}",
                path.name
            );
            count += 1;
        }
    }
    assert_eq!(count, 32);
}

#[test]
fn names_and_versions_that_are_none() {
    let library = library();
    let etl = Path::named("etl").unwrap();
    for (name, spark, code) in [
        ("", "4.1", "path-name"),
        ("Orders", "4.1", "path-name"),
        ("1st", "4.1", "path-name"),
        ("a_b", "4.1", "path-name"),
        ("../x", "4.1", "path-name"),
        (&"a".repeat(60), "4.1", "path-name"),
        ("orders", "2.4", "preset-spark"),
        ("orders", "four", "preset-spark"),
    ] {
        let found = make(etl, name, spark, &library).unwrap_err();
        assert_eq!(
            (&*found[0].code, found[0].fix_text().is_empty()),
            (code, false),
            "{name} {spark}"
        );
    }
    assert!(
        make(etl, "orders", "4.1.2", &library)
            .unwrap()
            .iter()
            .any(|file| file.text.contains("apache/spark:4.1.2"))
    );
    assert!(Path::named("et").unwrap_err().contains("did you mean etl"));
    assert!(Path::named("cobol").unwrap_err().contains("streaming"));
}

#[test]
fn sizes_of_a_cluster_are_in_the_overlay() {
    let files = make(Path::named("etl").unwrap(), "orders", "4.1", &library()).unwrap();
    let text = &files.iter().find(|file| file.path == "environments.yaml").unwrap().text;
    for part in ["memory: 8g", "cores: 4", "spark.dynamicAllocation.maxExecutors: \"10\""] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
