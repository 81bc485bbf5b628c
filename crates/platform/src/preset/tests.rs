//! Every key of every preset in every version of Spark; files of teams; manifests.

use super::effect::{effects, lint_all};
use super::*;

fn built_in() -> Library {
    Library::with(None).map(|(library, _)| library).unwrap()
}

fn team(text: &str) -> Result<(Library, Vec<Diagnostic>), Vec<Diagnostic>> {
    Library::with(Some(&Source::new("stoke-presets.yaml", text)))
}

fn resolved(library: &Library, name: &str, spark: &str) -> Resolved {
    let reference = Reference::parse(name).unwrap();
    let preset = library.find(&reference).unwrap();
    resolve(library, &reference, spark, &Parameters::examples(library, preset)).unwrap()
}

/// The counted proof: without a key, the objects of a run or Spark's effective configuration differ, and not only by a key that Spark does not know or
/// that is its default.
#[test]
fn every_key_of_every_preset_does_something() {
    let library = built_in();
    let (mut proved, mut idle) = (0, Vec::new());
    let mut named = std::collections::BTreeMap::<String, usize>::new();
    for minor in Catalogue::known_versions() {
        for preset in library.presets.iter().filter(|preset| !preset.part) {
            let resolved = resolved(&library, &preset.reference().to_string(), minor);
            assert!(resolved.keys.len() > 8, "{} {minor}", resolved.preset);
            assert!(resolved.asks.is_empty());
            for key in &resolved.keys {
                let effects = effects(&resolved, key)
                    .unwrap_or_else(|why| panic!("{} {minor} {}: {why}", resolved.preset, key.key));
                match effects.iter().find(|effect| effect.idle.is_none()) {
                    Some(effect) => {
                        proved += 1;
                        *named.entry(effect.object.clone()).or_default() += 1;
                    }
                    None => idle.push(format!("{} {minor} {}: {effects:?}", resolved.preset, key.key)),
                }
            }
        }
    }
    assert!(
        idle.is_empty(),
        "{} of {} do nothing: {idle:#?}",
        idle.len(),
        proved + idle.len()
    );
    println!("{proved} keys of presets proved: {named:?}");
    assert!(proved > 500, "{proved}");
}

#[test]
fn nothing_is_wrong_with_our_own_file() {
    let library = built_in();
    let source = Source::new("<built in>", BUILT_IN);
    assert_eq!(
        lint_all(&library, &source)
            .iter()
            .map(Diagnostic::render)
            .collect::<Vec<_>>(),
        [""; 0]
    );
    for preset in &library.presets {
        for key in &preset.keys {
            assert!(
                !key.why.is_empty() && !key.source.is_empty(),
                "{} {}",
                preset.name,
                key.key
            );
            assert!(!key.why.ends_with('.'), "{}", key.why);
        }
        assert!(preset.part || preset.claim.is_some(), "{} claims nothing", preset.name);
    }
}

/// Parts of a value, too: without one of the four kinds of spot nodes, the pods differ.
#[test]
fn every_part_of_a_list_does_something() {
    fn parts(value: &Value, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    if items.len() > 1 {
                        all.push(path.clone());
                    }
                    parts(item, path, all);
                    path.pop();
                }
            }
            Value::Object(map) => {
                for (key, value) in map {
                    path.push(key.clone());
                    parts(value, path, all);
                    path.pop();
                }
            }
            _ => {}
        }
    }
    let library = built_in();
    let mut count = 0;
    for preset in library.presets.iter().filter(|preset| !preset.part) {
        let whole = resolved(&library, &preset.reference().to_string(), "4.1");
        for (index, key) in whole.keys.iter().enumerate() {
            let mut all = Vec::new();
            parts(&key.value, &mut Vec::new(), &mut all);
            for part in all {
                let mut less = whole.clone();
                let at = part[..part.len() - 1]
                    .iter()
                    .fold(&mut less.keys[index].value, |value, step| match step.parse::<usize>() {
                        Ok(index) => &mut value[index],
                        Err(_) => &mut value[step.as_str()],
                    });
                at.as_array_mut().unwrap().remove(part.last().unwrap().parse().unwrap());
                assert!(effect::differ(&whole, &less).unwrap(), "{} {part:?}", key.key);
                count += 1;
            }
        }
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_key_that_does_nothing_is_found() {
    for (key, value, why) in [
        ("spark.sql.adaptive.enabled", "\"true\"", "true is Spark's default"),
        ("spark.network.timeout", "120000ms", "120000ms is Spark's default"),
        (
            "spark.sql.autoBroadcastJoinThreshold",
            "10485760",
            "10485760 is Spark's default",
        ),
        ("spark.sql.adaptive.enabledd", "\"true\"", "Spark does not know the key"),
        ("spark.rapids.sql.enabled", "\"true\"", "true is the default"),
        (
            "executor.instances",
            "1",
            "the objects of a run are the same without it",
        ),
        ("driver.memory", "1g", "the objects of a run are the same without it"),
        (
            "metadata.annotations[\"example.com/team\"]",
            "a",
            "nothing reads this annotation",
        ),
    ] {
        let text = format!(
            "presets:\n  - name: mine\n    about: x\n    keys:\n      - {{key: '{key}', value: {value}, why: because}}\n"
        );
        let found = match team(&text) {
            Ok((_, found)) | Err(found) => found,
        };
        let at = found.iter().find(|one| one.code == "preset-no-effect");
        let at = at.unwrap_or_else(|| panic!("{key}: {found:?}"));
        assert!(at.message.contains(why), "{key}: {}", at.message);
        assert_eq!((at.line, at.column), (5, 15), "{key}");
    }
}

const TEAM: &str = "presets:\n  - name: finance\n    about: Batch jobs of finance\n    extends: etl@1\n    parameters:\n      - {name: eventLog, about: ours, default: 's3a://finance-logs/'}\n    keys:\n      - {key: executor.memory, value: 12g, why: wide rows, locked: true}\n      - {key: spark.sql.session.timeZone, value: UTC, why: books are kept in UTC, locked: true}\n  - name: finance\n    version: 2\n    about: Batch jobs of finance\n    extends: finance@1\n    keys:\n      - {key: driver.memory, value: 6g, why: many files}\n  - name: old\n    about: x\n    extends: etl\n    deprecated: {use: finance@2, because: it has no time zone}\n    without: [executor.memoryOverhead]\n";

#[test]
fn presets_of_a_team_inherit() {
    let (library, warnings) = team(TEAM).unwrap();
    assert_eq!(warnings, []);
    let spark = "4.1.4";
    let at = |name: &str, key: &str| {
        let resolved = resolve(
            &library,
            &Reference::parse(name).unwrap(),
            spark,
            &Parameters::default(),
        )
        .unwrap();
        resolved
            .keys
            .iter()
            .find(|one| one.key == key)
            .map(|key| (shown(&key.value), key.from.clone(), key.locked))
    };
    let is = |value: &str, from: &str, locked| Some((value.to_owned(), from.to_owned(), locked));
    assert_eq!(at("finance", "executor.memory"), is("12g", "finance@1", true));
    assert_eq!(at("finance@1", "driver.memory"), is("4g", "etl@1", false));
    assert_eq!(at("finance", "driver.memory"), is("6g", "finance@2", false));
    assert_eq!(
        at("finance", "spark.eventLog.dir"),
        is("s3a://finance-logs/", "base@1", false)
    );
    assert_eq!(at("etl", "spark.eventLog.dir"), None);
    assert_eq!(at("old", "executor.memoryOverhead"), None);
    let resolved = resolved(&library, "finance@2", "3.5");
    assert_eq!(
        resolved.lineage,
        ["base@1", "elastic@1", "etl@1", "finance@1", "finance@2"]
    );
    let memory = resolved.keys.iter().find(|key| key.key == "driver.memory").unwrap();
    assert_eq!(memory.replaces, Some(("etl@1".to_owned(), "4g".into())));
}

#[test]
fn what_is_wrong_with_a_file_is_told_at_its_place() {
    let one = |keys: &str| {
        format!("presets:\n  - name: mine\n    about: x\n    extends: cost-optimized@1\n    keys:\n      - {keys}\n")
    };
    let rows: &[(String, &str, (usize, usize))] = &[
        (String::new(), "preset-file", (0, 0)),
        ("presets: {}\n".to_owned(), "wrong-type", (1, 10)),
        ("preset: []\n".to_owned(), "unknown-field", (1, 1)),
        ("presets:\n  - {about: x}\n".to_owned(), "missing-field", (2, 5)),
        (
            "presets:\n  - {name: Mine, about: x}\n".to_owned(),
            "preset-file",
            (2, 12),
        ),
        (
            "presets:\n  - {name: mine@2, about: x}\n".to_owned(),
            "preset-file",
            (2, 12),
        ),
        (
            "presets:\n  - {name: etl, version: 2, about: x}\n".to_owned(),
            "preset-file",
            (2, 12),
        ),
        (
            "presets:\n  - {name: mine, version: 0, about: x}\n".to_owned(),
            "preset-file",
            (2, 27),
        ),
        (
            "presets:\n  - {name: mine, about: x, extends: etll}\n".to_owned(),
            "preset-unknown",
            (2, 37),
        ),
        (
            "presets:\n  - {name: mine, about: x, extends: mine}\n".to_owned(),
            "preset-loop",
            (2, 37),
        ),
        (
            "presets:\n  - {name: a, about: x, extends: b}\n  - {name: b, about: x, extends: a}\n".to_owned(),
            "preset-loop",
            (3, 34),
        ),
        (
            "presets:\n  - {name: mine, about: x, kind: Job}\n".to_owned(),
            "unknown-value",
            (2, 34),
        ),
        (
            "presets:\n  - {name: mine, about: x, without: [driver.cores]}\n".to_owned(),
            "preset-key",
            (2, 38),
        ),
        (
            "presets:\n  - {name: mine, about: x, extends: cost-optimized, without: [driver.affinity]}\n".to_owned(),
            "preset-locked",
            (2, 63),
        ),
        (
            "presets:\n  - {name: mine, about: x, deprecated: {use: gone, because: z}}\n".to_owned(),
            "preset-unknown",
            (2, 12),
        ),
        (
            one("{key: driver.affinity, value: {}, why: z}"),
            "preset-locked",
            (6, 15),
        ),
        (one("{key: image, value: spark, why: z}"), "preset-key", (6, 15)),
        (
            one("{key: spark.kubernetes.container.image, value: spark, why: z}"),
            "preset-key",
            (6, 15),
        ),
        (one("{key: metadata.name, value: a, why: z}"), "preset-key", (6, 15)),
        (one("{key: driver.memori, value: 2g, why: z}"), "unknown-field", (6, 15)),
        (one("{key: driver.memory, value: 2gg, why: z}"), "bad-memory", (6, 15)),
        (
            one("{key: spark.speculation, value: maybe, why: z}"),
            "conf-wrong-type",
            (6, 15),
        ),
        (
            one("{key: spark.speculation, value: [true], why: z}"),
            "preset-file",
            (6, 15),
        ),
        (one("{key: spark.speculation, why: z}"), "missing-field", (6, 9)),
        (one("{key: spark.speculation, value: 'true'}"), "missing-field", (6, 9)),
        (
            one("{key: spark.speculation, value: 'true', why: z, spark: '4'}"),
            "preset-file",
            (6, 64),
        ),
        (
            one("{key: spark.app.id, value: '${bucket}', why: z, needs: bucket}"),
            "preset-key",
            (6, 15),
        ),
        (
            one("{key: spark.sql.warehouse.dir, value: '${bucket}', why: z, needs: bucket}"),
            "preset-parameter",
            (6, 15),
        ),
        (
            one(
                "{key: spark.speculation, value: 'false', why: z}\n      - {key: spark.speculation, value: 'true', why: z}",
            ),
            "preset-file",
            (7, 15),
        ),
        (
            one("{key: spark.dynamicAllocation.minExecutors, value: '99', why: z}"),
            "preset-ok",
            (0, 0),
        ),
        (
            "presets:\n  - {name: mine, about: x, relies: [{key: spark.speculation, value: 'true', why: z}]}\n"
                .to_owned(),
            "preset-relied",
            (2, 43),
        ),
    ];
    let mut wrong = Vec::new();
    for (text, code, (line, column)) in rows {
        let found = match team(text) {
            Ok((_, found)) | Err(found) => found,
        };
        if *code == "preset-ok" {
            continue;
        }
        if !found.iter().any(|one| {
            one.code == *code
                && (one.line, one.column) == (*line, *column)
                && !one.fix_text().is_empty() | (one.code != "preset-file")
        }) {
            wrong.push(format!("{text}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const APP: &str = "# Orders.\napiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: orders # ours\nspec:\n  type: Python\n  mode: cluster\n  image: apache/spark:4.1.4\n  sparkVersion: 4.1.4\n  mainApplicationFile: local:///opt/app/main.py\n  driver: {cores: 1, serviceAccount: spark}\n  executor:\n    memory: 2g # small\n";

fn hold(text: &str, library: &Library) -> Vec<(String, usize)> {
    let (documents, _) = stoke_model::manifest::check("app.yaml", text);
    let document = &documents[0];
    let named = document
        .node
        .lookup("metadata.annotations[\"stoke.dev/preset\"]")
        .unwrap();
    let found = hold::against(document, named, library);
    found.iter().map(|one| (one.code.to_string(), one.line)).collect()
}

#[test]
fn a_preset_is_written_into_a_manifest_and_nothing_else_changes() {
    let library = built_in();
    let whole = resolved(&library, "etl", "4.1");
    let source = Source::new("app.yaml", APP);
    let applied = apply::apply(&source, &whole, None).unwrap();
    assert_eq!(
        applied.kept.iter().map(|kept| kept.key.as_str()).collect::<Vec<_>>(),
        ["driver.cores", "executor.memory"]
    );
    assert_eq!(applied.added.len() + applied.kept.len(), whole.keys.len());
    for line in APP.lines().filter(|line| !line.starts_with("  driver:")) {
        assert!(applied.text.contains(line), "{line}\n{}", applied.text);
    }
    // Again, nothing is left to do, and what is written passes.
    let again = apply::apply(&Source::new("app.yaml", &applied.text), &whole, None).unwrap();
    assert_eq!((again.added.len(), &again.text), (0, &applied.text));
    let (documents, complaints) = stoke_model::manifest::check("app.yaml", &applied.text);
    assert_eq!(complaints.iter().map(Diagnostic::render).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(hold(&applied.text, &library), []);
    let differing = diff::manifest(&whole, &documents[0]);
    assert_eq!(
        differing.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(),
        ["driver.cores", "executor.memory"]
    );
}

#[test]
fn manifests_in_any_form_are_added_to_or_refused() {
    let library = built_in();
    let whole = resolved(&library, "etl", "4.1");
    let conf = format!("{APP}  sparkConf:\n    spark.speculation: \"true\"\n");
    let two = format!("{APP}---\n{}", APP.replace("name: orders", "name: other"));
    let schedule = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: ScheduledSparkApplication\nmetadata: {name: daily, annotations: {team: a}}\nspec:\n  schedule: '@daily'\n  template:\n    type: Python\n    sparkVersion: 4.1.4\n    driver: {}\n    executor: {}\n";
    let json = "{\"apiVersion\": \"sparkoperator.k8s.io/v1beta2\", \"kind\": \"SparkApplication\", \"metadata\": {\"name\": \"a\"}, \"spec\": {\"sparkVersion\": \"4.1.4\"}}";
    for text in [&conf, schedule, json] {
        let applied = apply::apply(&Source::new("app.yaml", text), &whole, None)
            .unwrap_or_else(|found| panic!("{text}: {found:#?}"));
        assert!(applied.added.len() > 15, "{text}");
    }
    let codes = |text: &str, which| match apply::apply(&Source::new("app.yaml", text), &whole, which) {
        Ok(applied) => vec![format!("ok {}", applied.application)],
        Err(found) => found.iter().map(|one| format!("{} {}", one.code, one.line)).collect(),
    };
    assert_eq!(codes(&two, None), ["preset-kind 0"]);
    assert_eq!(codes(&two, Some("other")), ["ok other"]);
    assert_eq!(codes(&two, Some("none")), ["preset-kind 0"]);
    assert_eq!(codes("kind: Job\n", None), ["preset-kind 0"]);
    assert_eq!(codes("a: [", None), ["yaml-syntax 1"]);
    assert_eq!(
        codes(
            &APP.replace("  executor:\n    memory: 2g # small\n", "  executor:\n"),
            None
        ),
        ["preset-form 13"]
    );
    let anchors = "x: &driver {cores: 1}\napiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a}\nspec:\n  sparkVersion: 4.1.4\n  driver: *driver\n  executor: *driver\n";
    assert_eq!(codes(anchors, None), ["preset-form 5"]);
}

#[test]
fn an_application_is_held_against_its_preset() {
    let (library, _) = team(TEAM).unwrap();
    let with = |name: &str, more: &str| {
        APP.replace(
            "  name: orders # ours\n",
            &format!("  name: orders\n  annotations:\n    stoke.dev/preset: {name}\n"),
        )
        .replace("    memory: 2g # small\n", more)
    };
    let zone = "    memory: 12g\n  sparkConf:\n    spark.sql.session.timeZone: UTC\n";
    for (text, wanted) in [
        (with("finance@1", zone), &[][..]),
        (with("finance@1", &zone.replace("12g", "8g")), &[("preset-locked", 16)]),
        (with("finance@1", "    memory: 12g\n"), &[("preset-locked", 7)]),
        (with("finance@1", &zone.replace("UTC", "CET")), &[("preset-locked", 18)]),
        (with("finance@3", zone), &[("preset-unknown", 7)]),
        (with("financ", zone), &[("preset-unknown", 7)]),
        (with("\"not one\"", zone), &[("preset-unknown", 7)]),
        (with("old@1", "    memory: 2g\n"), &[("preset-deprecated", 7)]),
        (
            with(
                "etl",
                "    memory: 2g\n  sparkConf:\n    spark.sql.adaptive.enabled: \"false\"\n",
            ),
            &[("preset-relied", 18)],
        ),
        (
            with("etl", "    memory: 2g\n").replace("sparkVersion: 4.1.4", "sparkVersion: 2.4.8"),
            &[("preset-spark", 7)],
        ),
        (with("interactive", "    memory: 2g\n"), &[("preset-kind", 7)]),
        (with("cost-optimized", "    memory: 2g\n"), &[("preset-locked", 7)]),
    ] {
        let wanted: Vec<(String, usize)> = wanted.iter().map(|(code, line)| ((*code).to_owned(), *line)).collect();
        assert_eq!(hold(&text, &library), wanted, "{text}");
    }
    // A field that wins over the key that is locked.
    let (library, _) = team("presets:\n  - name: fixed\n    about: x\n    keys:\n      - {key: spark.dynamicAllocation.enabled, value: 'true', why: z, locked: true}\n").unwrap();
    let text = with(
        "fixed",
        "    memory: 2g\n  sparkConf:\n    spark.dynamicAllocation.enabled: \"true\"\n",
    );
    assert_eq!(hold(&text, &library), []);
    let field = text.replace(
        "    spark.dynamicAllocation.enabled: \"true\"\n",
        "    spark.dynamicAllocation.enabled: \"true\"\n    spark.executor.cores: \"2\"\n",
    );
    assert_eq!(hold(&field, &library), []);
}

#[test]
fn what_differs_between_versions_and_presets() {
    let library = built_in();
    let keys = |left: (&str, &str), right: (&str, &str)| -> Vec<String> {
        let found = diff::presets(
            &resolved(&library, left.0, left.1),
            &resolved(&library, right.0, right.1),
        );
        found.into_iter().map(|one| one.key).collect()
    };
    assert_eq!(keys(("etl", "4.1"), ("etl", "4.1")), [""; 0]);
    assert_eq!(
        keys(("etl", "3.5"), ("etl", "4.1")),
        [
            "executor.terminationGracePeriodSeconds",
            "spark.eventLog.compress",
            "spark.eventLog.rolling.enabled",
            "spark.ui.prometheus.enabled"
        ]
    );
    assert!(keys(("etl", "4.1"), ("ml", "4.1")).contains(&"spark.dynamicAllocation.enabled".to_owned()));
}

#[test]
fn parameters_that_are_not_given_are_asked_for() {
    let library = built_in();
    let reference = Reference::parse("streaming").unwrap();
    let resolved = |given: &[(&str, &str)]| {
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        resolve(&library, &reference, "4.0", &Parameters(given))
    };
    let asks: Vec<String> = resolved(&[])
        .unwrap()
        .asks
        .into_iter()
        .map(|asked| asked.name)
        .collect();
    assert_eq!(asks, ["eventLog", "checkpoints"]);
    let whole = resolved(&[("checkpoints", "s3a://c/"), ("eventLog", "s3a://l/")]).unwrap();
    assert!(whole.asks.is_empty());
    let refused = resolved(&[("checkpoint", "s3a://c/")]).unwrap_err();
    assert_eq!(
        (&*refused[0].code, refused[0].fix_text()),
        ("preset-parameter", "did you mean `checkpoints`?")
    );
    assert_eq!(
        resolve(&library, &reference, "2.4", &Parameters::default()).unwrap_err()[0].code,
        "preset-spark"
    );
}

/// Files that were cut off or have a character changed are read or refused, never more.
#[test]
fn damaged_files_are_errors_at_most() {
    let library = built_in();
    let whole = resolved(&library, "etl", "4.1");
    let damaged = |text: &str, at: usize| {
        let cut = text.get(..at).unwrap_or_default().to_owned();
        let changed = format!(
            "{cut}{}{}",
            [":", "{", "- ", "\t", "&a ", "'"][at % 6],
            text.get(at + 1..).unwrap_or_default()
        );
        [cut, changed]
    };
    let mut refused = 0;
    for at in (0..TEAM.len()).step_by(11) {
        for text in damaged(TEAM, at) {
            refused += usize::from(read(&Source::new("stoke-presets.yaml", &text), &library).is_err());
        }
    }
    for at in (0..APP.len()).step_by(5) {
        for text in damaged(APP, at) {
            if let Ok(applied) = apply::apply(&Source::new("app.yaml", &text), &whole, None) {
                assert!(applied.text.len() >= text.len());
            }
        }
    }
    assert!(refused > 50, "{refused}");
}
