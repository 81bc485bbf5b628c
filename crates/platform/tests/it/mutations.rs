//! No key without effect: each value of a file that has every key is changed, and the objects must change with it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stoke_model::manifest::{join, join_index};
use stoke_platform::component::CATALOGUE;
use stoke_platform::render::{objects, tree};
use stoke_platform::spec::{File, schema};

use crate::{FULL, environments, read, right};

fn rendered(file: &File) -> String {
    environments(file)
        .iter()
        .map(|resolved| tree::stream(&objects(&resolved.scope())).unwrap())
        .collect()
}

fn leaves(path: &str, value: &Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| leaves(&join(path, key), value, into)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| leaves(&join_index(path, index), item, into)),
        leaf => into.push((path.to_owned(), leaf.clone())),
    }
}

pub fn set(whole: &Value, path: &str, value: Value) -> Value {
    use stoke_model::manifest::{Step, parse_path};
    let mut whole = whole.clone();
    let mut at = &mut whole;
    for step in parse_path(path) {
        at = match step {
            Step::Key(key) => &mut at[key],
            Step::Index(index) => &mut at[index],
        };
    }
    *at = value;
    whole
}

/// Other values that may stand there.
fn others(path: &str, value: &Value) -> Vec<Value> {
    let text = match value {
        Value::Bool(flag) => return vec![json!(!flag)],
        Value::Number(number) => return vec![json!(number.as_i64().unwrap() + 1), json!(number.as_i64().unwrap() + 2)],
        other => other.as_str().unwrap().to_owned(),
    };
    let words: &[&str] = match path.rsplit(['.', '[']).next().unwrap() {
        "security" => &["openshift", "baseline"],
        "network" => &["open", "closed"],
        "scala" => &["2.13", "2.12"],
        "tables" => &["iceberg"],
        "nodes" => &["gpu", "big"],
        "spark" => &["plain", "both", "current", "legacy"],
        "example" => &["legacy"],
        "catalog" => &["metastore", "lake"],
        "store" => &["more", "cloud", "vault-token", "there", "gcs", "adls-key"],
        "component" => &["pg2", "pg"],
        "connect" => &["lab-legacy"],
        "digest" => &["sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"],
        "cpu" => &["700m"],
        "memory" => &["3Gi", "3g"],
        "cpuLimit" => &["3"],
        "size" => &["60Gi"],
        "pinned" => &["3g"],
        "vendor" => &["nvidia.org", "amd.com"],
        "region" => &["eu-west-2"],
        "idleTimeout" => &["40m"],
        "version" => &["4.0.0", "3.5.7", "3.5.5", "v1", "15.19", "4.1.1", "3.17.1", "3.3.1"],
        "from" => &["vault-token", "there"],
        "refresh" => &["40m"],
        "restart" => &["hand"],
        "type" => &["Secret", "ConfigMap"],
        "service" => &["SecretsManager", "ParameterStore"],
        "clientId" | "tenantId" => &["11111111-2222-3333-4444-777777777777"],
        "serviceAccount" => &["other@acme-data.iam.gserviceaccount.com"],
        _ if path.contains("Conf[") || path.contains("conf[") => &["false", "200"],
        _ => &[],
    };
    let mut all: Vec<Value> = words
        .iter()
        .filter(|word| **word != text)
        .map(|word| json!(word))
        .collect();
    if path.contains(".after[") {
        all.extend(
            [
                "stream",
                "pg",
                "schedules",
                "lab",
                "lab-legacy",
                "lab-more",
                "lab-cloud",
            ]
            .map(|name| json!(name)),
        );
    }
    if path.contains(".without[") {
        all.push(json!("lab-legacy"));
    }
    all.extend([
        json!(format!("{text}x")),
        json!(format!("x{text}")),
        json!(format!("{text}/x")),
    ]);
    all
}

/// Keys whose only other values are refused, each with the reason.
fn only_value(path: &str) -> Option<&'static str> {
    if path.ends_with(".kind") {
        return Some("another kind has other keys");
    }
    let one_version = CATALOGUE.iter().any(|about| about.versions.len() == 1);
    if path.starts_with("components.") && path.ends_with(".version") && one_version {
        return Some("one version was tried; the image shows it where none is named");
    }
    if path.ends_with(".authType") {
        return Some("each way in has keys of its own");
    }
    if path.contains("secrets.files[") {
        return Some("there is no other file");
    }
    match path {
        "components.pg.after[0]" => Some("others need it, and it needs nothing that is later"),
        "sparks.plain.scala" | "components.lab-cloud.spark" => Some("the accelerator has a part for one of them"),
        "components.lab-cloud.gpu.vendor" => Some("the accelerator is for one"),
        "components.lab-cloud.kafka" => Some("there is one such component"),
        "sparks.current.scala" => Some("Spark 4 is published for one Scala"),
        "components.schedules.fernetKey.key" | "components.schedules.signingKey.key" => {
            Some("the encrypted file has these keys")
        }
        "components.lab-adls.spark" => Some("an identity of Azure is known to the Hadoop of one of them"),
        "sparks.legacy.scala" => Some("Celeborn has a client for one"),
        "components.notebooks.tracking" => Some("there is one such component"),
        "components.lab.history" | "components.lab.kafka" | "components.lab-legacy.shuffle" => {
            Some("there is one such component")
        }
        _ => None,
    }
}

#[test]
fn every_key_has_an_effect() {
    let yaml: Value = {
        let source = stoke_diagnostics::Source::new("full.yaml", FULL);
        stoke_model::manifest::read(&source).0[0].to_value()
    };
    let before = rendered(&right(FULL));
    let mut all = Vec::new();
    leaves("", &yaml, &mut all);
    // Each takes a look at the whole platform, in all its environments.
    let every = if stoke_testkit::Tier::Full.need().is_ok() { 1 } else { 4 };
    let all: Vec<(String, Value)> = all.into_iter().step_by(every).collect();
    let (mut changed, mut removed, mut single) = (0, 0_usize, Vec::new());
    let (mut without_effect, mut unsaid) = (Vec::new(), Vec::new());
    for (path, value) in &all {
        // A version shows in the image of the project, where none is named.
        let (whole, before) = match path
            .strip_prefix("components.")
            .and_then(|path| path.strip_suffix(".version"))
        {
            Some(name) if yaml["components"][name]["image"].is_string() => {
                let mut whole = yaml.clone();
                let component = whole["components"][name].as_object_mut().unwrap();
                component.retain(|key, _| key != "image" && key != "digest");
                let before = rendered(&right(&whole.to_string()));
                (whole, before)
            }
            _ => (yaml.clone(), before.clone()),
        };
        // What is left out must show where the value cannot be another.
        let candidates = others(path, value).into_iter().map(|other| set(&whole, path, other));
        let mut valid = candidates.filter_map(|whole| read(&whole.to_string()).ok()).peekable();
        if valid.peek().is_none() {
            match only_value(path) {
                Some(_) => single.push(path.clone()),
                None => unsaid.push(path.clone()),
            }
            continue;
        }
        match valid.any(|file| rendered(&file) != before) {
            true => changed += 1,
            false => without_effect.push(path.clone()),
        }
    }
    // A component with all keys gone but those it must have is another one: each optional key by itself.
    for (path, _) in &all {
        let Some((above, key)) = path.rsplit_once('.') else {
            continue;
        };
        let mut whole = yaml.clone();
        let at = stoke_model::manifest::parse_path(above)
            .into_iter()
            .try_fold(&mut whole, |at, step| match step {
                stoke_model::manifest::Step::Key(key) => at.get_mut(key),
                stoke_model::manifest::Step::Index(_) => None,
            });
        let Some(Value::Object(map)) = at else { continue };
        map.shift_remove(key);
        let is_seen = read(&whole.to_string()).is_ok_and(|file| rendered(&file) != before);
        removed += usize::from(is_seen);
    }
    println!(
        "{} values: {changed} changed and seen, {} with one value only, {removed} seen when removed",
        all.len(),
        single.len()
    );
    assert!(
        unsaid.is_empty(),
        "no other value is taken, and it is not said why: {unsaid:#?}"
    );
    assert!(without_effect.is_empty(), "no effect: {without_effect:#?}");
    assert!(changed * every >= 260 && removed * every >= 130, "{changed} {removed}");
}

/// The file that is changed has every key there is: a new one without a value there fails here.
#[test]
fn the_file_of_the_test_has_every_key() {
    let source = stoke_diagnostics::Source::new("full.yaml", FULL);
    let yaml = stoke_model::manifest::read(&source).0[0].to_value();
    let mut missing = BTreeSet::new();
    // Of an environment only some are set; what a key of `secrets` does is the same there.
    fn walk(path: &str, schema: &Value, values: &[&Value], secrets: &Value, missing: &mut BTreeSet<String>) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let mut there: Vec<&Value> = values.iter().filter_map(|value| value.get(key)).collect();
            if path == "environments" && key == "secrets" {
                there.push(secrets);
            }
            if there.is_empty() {
                missing.insert(join(path, key));
            }
            walk(&join(path, key), property, &there, secrets, missing);
        }
        if schema["additionalProperties"].is_object() {
            let inner: Vec<&Value> = values
                .iter()
                .filter_map(|value| value.as_object())
                .flat_map(|map| map.values())
                .collect();
            walk(path, &schema["additionalProperties"], &inner, secrets, missing);
        }
    }
    walk("", schema::root(), &[&yaml], &yaml["secrets"], &mut missing);
    for about in &CATALOGUE {
        let of_kind: Vec<&Value> = yaml["components"]
            .as_object()
            .unwrap()
            .values()
            .filter(|component| component["kind"] == about.kind)
            .collect();
        let schema = schema::of_kind(about.kind).unwrap();
        walk(about.kind, schema, &of_kind, &Value::Null, &mut missing);
    }
    // Of files that only Flux decrypts: it is in the tree for that.
    for path in ["secrets.decryption", "environments.secrets.decryption"] {
        assert!(missing.remove(path));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
