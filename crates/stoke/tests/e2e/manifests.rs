//! Wrong input: every complaint names file, line and fix, and nothing is created. No Spark needed.

use libtest_mimic::{Failed, Trial};

use crate::common::{Context, expect_code, expect_parts, repository, stoke, text};

pub fn trials(context: &Context) -> Vec<Trial> {
    let cases: [(&str, &str, &[&str]); 9] = [
        (
            "an unknown field",
            "  executor:
    memroy: 512m",
            &["bad.yaml:12", "memroy", "`memory`"],
        ),
        (
            "an unknown Spark key",
            "  sparkConf:\n    spark.executor.memry: 1g",
            &["bad.yaml:12", "spark.executor.memry", "spark.executor.memory"],
        ),
        (
            "a boolean in sparkConf",
            "  sparkConf:\n    spark.eventLog.enabled: true",
            &["bad.yaml:12", "quote"],
        ),
        (
            "a wrong memory string",
            "  executor:\n    memory: 1.5g",
            &["bad.yaml:12", "1.5g"],
        ),
        (
            "a refused key",
            "  sparkConf:\n    spark.master: local",
            &["bad.yaml:12", "is not allowed"],
        ),
        (
            "a wrong enum value",
            "  restartPolicy:\n    type: onfailure",
            &["bad.yaml:12", "OnFailure"],
        ),
        ("a doubled key", "  image: spark:3.5.9", &["bad.yaml:11", "image"]),
        ("a wrong indentation", "   x: 1", &["bad.yaml:11"]),
        ("a tab", "\tx: 1", &["bad.yaml:11"]),
    ];
    let mut trials: Vec<Trial> = cases
        .into_iter()
        .map(|(name, lines, parts)| context.trial(&format!("manifest: {name}"), &[], move |_| refused(lines, parts)))
        .collect();
    trials.push(context.trial("manifest: not there", &[], |_| {
        let home = tempfile::tempdir()?;
        let output = stoke(home.path(), ["run", "nowhere.yaml"]).output()?;
        expect_code(&output, 2)?;
        expect_parts(&text(&output), &["nowhere.yaml", "help:"])
    }));
    trials.push(context.trial("manifest: not text", &[], |_| {
        let home = tempfile::tempdir()?;
        let file = home.path().join("x.yaml");
        std::fs::write(&file, b"a: b\n\xff\xfe")?;
        let output = stoke(home.path(), ["run".as_ref(), file.as_os_str()]).output()?;
        expect_code(&output, 2)?;
        expect_parts(&text(&output), &["x.yaml:2", "UTF-8"])
    }));
    trials.push(context.trial("manifest: complaints as JSON", &[], |_| {
        let home = tempfile::tempdir()?;
        let file = home.path().join("bad.yaml");
        std::fs::write(&file, manifest("  memroy: 1g"))?;
        let output = stoke(
            home.path(),
            ["run".as_ref(), file.as_os_str(), "--output".as_ref(), "json".as_ref()],
        )
        .output()?;
        expect_code(&output, 2)?;
        let mut documents = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<serde_json::Value>();
        let first = documents.next().ok_or("no JSON")??;
        if first["complaints"][0]["line"] != 11 {
            return Err(format!("no line: {first}").into());
        }
        Ok(())
    }));
    trials.push(context.trial("every example is a clean manifest", &[], |_| {
        for entry in std::fs::read_dir(repository().join("examples"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let (_, complaints) =
                    stoke_model::manifest::check(&path.to_string_lossy(), &std::fs::read_to_string(&path)?);
                if let Some(complaint) = complaints.first() {
                    return Err(complaint.render().into());
                }
            }
        }
        Ok(())
    }));
    trials
}

/// A good manifest with lines added to its spec at line 11.
fn manifest(lines: &str) -> String {
    let head = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: bad\nspec:\n  type: Python\n  image: spark:4.1.4\n  \
                sparkVersion: 4.1.4\n  mainApplicationFile: local:///x.py\n  driver: {}\n";
    let tail = if lines.contains("executor:") {
        ""
    } else {
        "  executor: {}\n"
    };
    format!("{head}{lines}\n{tail}")
}

fn refused(lines: &str, parts: &[&str]) -> Result<(), Failed> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("bad.yaml");
    std::fs::write(&file, manifest(lines))?;
    let output = stoke(home.path(), ["run".as_ref(), file.as_os_str()]).output()?;
    expect_code(&output, 2)?;
    expect_parts(&text(&output), parts)?;
    let left: Vec<_> = std::fs::read_dir(home.path())?
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    if left.len() > 1 {
        Err(format!("something was created: {left:?}").into())
    } else {
        Ok(())
    }
}
