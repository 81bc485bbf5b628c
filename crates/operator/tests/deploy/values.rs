//! Values files: what helm renders and what the binary installs are the same objects, and every value of the published chart has an
//! effect or is named.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};
use stoke_operator::install::{Options, objects};
use stoke_testkit::generated;

use super::{by_name, deploy, output, read, yaml};

/// Renders the chart with this values file.
pub fn template(helm: &Path, values: &Value) -> Result<String, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = directory.path().join("values.yaml");
    std::fs::write(&file, yaml(values)).map_err(|error| error.to_string())?;
    let mut command = Command::new(helm);
    command
        .args(["template", "spark-operator"])
        .arg(deploy().join("chart"))
        .args(["--namespace", "spark-operator", "--values"])
        .arg(file);
    output(&mut command)
}

/// What the binary makes of a values file.
pub fn options(values: &Value) -> Result<Options, String> {
    let mut options = Options::default();
    let text = yaml(values);
    options
        .values
        .lay("values.yaml", &text)
        .map_err(|complaints| format!("{complaints:?}"))?;
    Ok(options)
}

/// Both, compared object by object. Hooks are helm's own.
pub fn same(helm: &Path, values: &Value) -> Result<(), String> {
    let rendered = template(helm, values).map_err(|why| format!("{values}: {why}"))?;
    compare(read(&rendered), &options(values)?).map_err(|why| format!("{values}: {why}"))
}

/// Objects of another source against the binary's.
pub fn compare(rendered: Vec<Value>, options: &Options) -> Result<(), String> {
    let ours = rendered
        .into_iter()
        .filter(|object| object["metadata"]["annotations"].get("helm.sh/hook").is_none());
    let (rendered, installed) = (by_name(ours), by_name(objects(options)));
    if rendered.keys().ne(installed.keys()) {
        return Err(format!(
            "rendered {:#?}\ninstalled {:#?}",
            rendered.keys(),
            installed.keys()
        ));
    }
    for (name, object) in &installed {
        if rendered[name] != *object {
            return Err(format!(
                "{name} differs: rendered\n{}\ninstalled\n{}",
                yaml(&rendered[name]),
                yaml(object)
            ));
        }
    }
    Ok(())
}

/// Values of ours, and of both charts together.
pub fn charts(helm: &Path) -> Result<(), String> {
    let cases = [
        json!({}),
        json!({"spark": {"jobNamespaces": ["a", "b"]}}),
        json!({"spark": {"jobNamespaces": [""]}}),
        json!({"spark": {"jobNamespaces": ["", "a"], "jobNamespaceSelector": "spark=yes"}}),
        json!({"spark": {"jobNamespaces": []}}),
        json!({"spark": {"jobNamespaceSelector": "spark=yes"}}),
        json!({"spark": {"jobNamespaces": [], "jobNamespaceSelector": "a==b, c!=d,e in (x, y),f notin (z),g,!h"}}),
        json!({"spark": {"jobNamespaces": ["a"], "jobNamespaceSelector": {"matchLabels": {"z": "1", "b": "2"}, "matchExpressions": [
            {"key": "k", "operator": "In", "values": ["x", "y"]}, {"key": "l", "operator": "NotIn", "values": ["x"]},
            {"key": "m", "operator": "Exists"}, {"key": "n", "operator": "DoesNotExist"}]}}}),
        json!({"policies": {"configMaps": false}}),
        json!({"console": {"enable": true}}),
        json!({"console": {"enable": true, "hosts": ["spark.example.com", "s"], "basePath": "/spark", "history": "s3://logs/spark", "idle": "30m", "port": 80,
            "serviceAccountName": "reader", "envFrom": [{"secretRef": {"name": "keys"}}], "env": [{"name": "A", "value": "b"}],
            "resources": null, "nodeSelector": {"a": "b"}}, "commonLabels": {"team": "x"}}),
        json!({"console": {"enable": true, "oidc": {"issuer": "https://login.example.com/realms/spark", "clientId": "spark"}}}),
        json!({"console": {"enable": true, "oidc": {"clientSecret": {"name": "unused"}}}}),
        json!({"console": {"enable": true, "oidc": {"issuer": "https://login.example.com", "clientId": "spark", "scopes": ["groups", "offline_access"],
            "clientSecret": {"name": "spark-oidc"}, "authority": {"name": "ca", "key": "root.pem"}}}}),
        json!({"policies": {"packs": ["registries", "limits"], "directories": ["/policies"]}}),
        json!({"webhook": {"enable": false}, "certManager": {"enable": true}}),
        json!({"webhook": {"port": 9444, "failurePolicy": "Fail", "timeoutSeconds": 3, "replicas": 3}}),
        json!({"controller": {"replicas": 2, "shards": 4}, "image": {"registry": "r.example.com/x/", "repository": "s", "tag": "1"}}),
        json!({"controller": {"keepLogs": {"url": "s3://logs/spark", "of": "all"}, "driverPodDisruptionBudget": {"enable": true}}}),
        json!({"controller": {"kubeAPIQPS": 20.5, "kubeAPIBurst": 30, "defaultTimeToLiveSeconds": 86_400}}),
        json!({"controller": {"labels": {"app.kubernetes.io/name": "x"}, "annotations": {"prometheus.io/scrape": "false"}}, "commonLabels": {"app.kubernetes.io/component": "y"}}),
        json!({"controller": {"podSecurityContext": null, "securityContext": {"runAsUser": null}, "resources": {"limits": null}}}),
        json!({"controller": {"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}]}}),
    ];
    cases.iter().try_for_each(|values| same(helm, values))
}

pub fn refusals(helm: &Path) -> Result<(), String> {
    let cases = [
        (json!({"webhook": {"failurePolicy": "Maybe"}}), "failurePolicy"),
        (json!({"webhook": {"timeoutSeconds": 31}}), "timeoutSeconds"),
        (json!({"certManager": {"enabled": true}}), "enabled"),
        (
            json!({"certManager": {"enable": true, "issuerRef": {"nam": "x"}}}),
            "nam",
        ),
        (json!({"controller": {"replicas": "two"}}), "replicas"),
        (json!({"controller": {"worker": 3}}), "worker"),
        (json!({"image": {"pullPolicy": "Sometimes"}}), "pullPolicy"),
        (json!({"replicas": 3}), "replicas"),
        (json!({"console": {"enabled": true}}), "enabled"),
        (json!({"console": {"basePath": "spark"}}), "basePath"),
        (
            json!({"console": {"oidc": {"issuer": "http://login.example.com"}}}),
            "issuer",
        ),
        (
            json!({"spark": {"jobNamespaceSelector": {"matchLabel": {"a": "b"}}}}),
            "matchLabel",
        ),
        (
            json!({"controller": {"leaderElection": {"leaseDuration": "soon"}}}),
            "leaseDuration",
        ),
    ];
    for (values, key) in cases {
        let said = template(helm, &values).err().ok_or(format!("helm takes {values}"))?;
        if !said.contains(key) {
            return Err(format!("{values}: {key} is not named: {said}"));
        }
        let said = options(&values).err().ok_or(format!("the binary takes {values}"))?;
        if !said.contains(key) {
            return Err(format!("{values}: {key} is not named: {said}"));
        }
    }
    let cases = [
        (
            json!({"controller": {"leaderElection": {"enable": false}, "replicas": 2}}),
            "controller.leaderElection.enable",
        ),
        (
            json!({"controller": {"leaderElection": {"enable": false}}, "webhook": {"replicas": 2}}),
            "webhook.replicas",
        ),
        (
            json!({"controller": {"uiIngress": {"enable": true}}}),
            "controller.uiIngress.urlFormat",
        ),
    ];
    for (values, key) in cases {
        let said = template(helm, &values).err().ok_or(format!("helm renders {values}"))?;
        let options = options(&values)?;
        let refused = options.values.refusals(options.replicas());
        if !said.contains(key) || !refused.iter().any(|(message, _)| message.contains(key)) {
            return Err(format!("{values}: {key} is not named: {said} {refused:?}"));
        }
    }
    Ok(())
}

/// The published keys with their defaults and other values.
fn published() -> Vec<Value> {
    let text = include_str!("published.yaml");
    serde_saphyr::from_str(text).unwrap()
}

fn nested(key: &str, value: &Value) -> Value {
    key.rsplit('.').fold(value.clone(), |inner, key| {
        Value::Object(Map::from_iter([(key.to_owned(), inner)]))
    })
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// The values file of the published chart, as it comes.
fn published_file() -> Value {
    let mut file = json!({});
    for entry in published() {
        merge(&mut file, &nested(entry["key"].as_str().unwrap(), &entry["default"]));
    }
    file
}

/// The whole published values file: taken, with nothing named but the image.
pub fn published_defaults(helm: &Path) -> Result<(), String> {
    let file = published_file();
    same(helm, &file)?;
    let options = options(&file)?;
    let named: Vec<String> = options
        .values
        .without_effect()
        .into_iter()
        .map(|named| named.path)
        .collect();
    if named != ["image.repository"] || !options.image().starts_with("stoke:") {
        return Err(format!("{named:?} {}", options.image()));
    }
    let mut strict = file;
    strict["strict"] = true.into();
    same(helm, &strict)
}

/// Every published key with another value than its default: the objects change, or it is named; with `strict` what is named is refused.
pub fn every_published_value(helm: &Path) -> Result<(), String> {
    let mut unserved = Vec::new();
    for entry in published() {
        let key = entry["key"].as_str().unwrap();
        let mut before = entry.get("with").cloned().unwrap_or_else(|| json!({}));
        let mut after = before.clone();
        merge(&mut after, &nested(key, &entry["other"]));
        if key == "image.registry" {
            merge(&mut before, &json!({"image": {"registry": "ghcr.io"}}));
        }
        same(helm, &after)?;
        let (then, now) = (options(&before)?, options(&after)?);
        let named = now.values.without_effect().iter().any(|named| named.path == key);
        let changed = match entry["helm"] == true {
            true => template(helm, &before)? != template(helm, &after)?,
            false => objects(&then) != objects(&now),
        };
        if entry.get("always").is_some() {
            if changed || named {
                return Err(format!("{key} is not always so"));
            }
            continue;
        }
        if changed == named {
            return Err(format!(
                "{key}: changes objects: {changed}; named as without effect: {named}"
            ));
        }
        if named {
            unserved.push(key.to_owned());
            after["strict"] = true.into();
            let refused = template(helm, &after).err().ok_or(format!("strict takes {key}"))?;
            if !refused.contains(&format!("{key}: ")) {
                return Err(format!("{key} is not named: {refused}"));
            }
        }
    }
    let table: Vec<String> = stoke_operator::install::published::table()
        .map(|(key, _)| key.to_owned())
        .collect();
    let missing: Vec<&String> = table.iter().filter(|key| !unserved.contains(key)).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "named in files/published.yaml, but not published or not idle: {missing:?}"
        )),
    }
}

/// The table in the documentation is the table of the chart.
pub fn documented() -> Result<(), String> {
    let mut table = String::from("| value of the published chart | why it has no effect here |\n|---|---|\n");
    for (key, why) in stoke_operator::install::published::table() {
        table += &format!("| `{key}` | {why} |\n");
    }
    let (begin, end) = (
        "<!-- values without effect: made from deploy/chart/files/published.yaml -->\n",
        "<!-- end of values without effect -->",
    );
    generated::part("docs/how-to/operator.md", begin, end, &table)
}
