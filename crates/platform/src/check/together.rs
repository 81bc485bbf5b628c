//! What names what, and what goes with what.

use std::collections::BTreeMap;

use stoke_model::manifest::{join, join_index};

use super::Issues;
use super::parts::or_nearest;
use crate::component::Gives;
use crate::environment::Resolved;
use crate::render;
use crate::spec::{Component, Platform, Security};
use crate::wire::{Clash, Wants, contradicted, wire};

pub(super) fn look(resolved: &Resolved, file: &Platform, environment: Option<&str>, issues: &mut Issues) {
    let before = issues.0.len();
    without(file, environment, issues);
    references(resolved, file, issues);
    placed(resolved, issues);
    cycles(resolved, issues);
    databases(resolved, issues);
    sparks(resolved, issues);
    // What follows is made of references; those that lead nowhere are told already.
    if issues.0.len() == before {
        wiring(resolved, issues);
        collisions(resolved, issues);
    }
}

/// Where components are placed, and where they are reached.
pub(super) fn placed(resolved: &Resolved, issues: &mut Issues) {
    nodes(resolved, issues);
    hosts(resolved, issues);
}

fn without(file: &Platform, environment: Option<&str>, issues: &mut Issues) {
    let Some((name, set)) = environment.and_then(|name| Some((name, file.environments.get(name)?))) else {
        return;
    };
    let path = join(&join("environments", name), "without");
    for (index, left_out) in set.without.iter().enumerate() {
        if !file.components.contains_key(left_out) {
            let fix = or_nearest(left_out, file.components.keys().map(String::as_str), "remove it");
            issues.error(
                "platform-reference",
                join_index(&path, index),
                format!("there is no component `{left_out}`"),
                fix,
            );
        } else if set.components.contains_key(left_out) {
            let path = join(&join(&join("environments", name), "components"), left_out);
            issues.error(
                "platform-contradiction",
                path,
                format!("`{left_out}` is left out here, so that what is set of it has no effect"),
                "remove it here, or under `without`",
            );
        }
    }
}

fn references(resolved: &Resolved, file: &Platform, issues: &mut Issues) {
    let platform = &resolved.platform;
    let mut refer = |path: String, name: &str, wants: Gives| {
        let fitting = platform
            .components
            .iter()
            .filter(|(_, other)| other.about().gives.contains(&wants))
            .map(|(name, _)| name.as_str());
        let none = format!("add a component that gives {}", wants.text());
        match platform.components.get(name) {
            Some(other) if other.about().gives.contains(&wants) => {}
            Some(other) => issues.error(
                "platform-reference",
                path,
                format!(
                    "`{name}` is {}, which does not give {}",
                    other.about().title,
                    wants.text()
                ),
                or_nearest(name, fitting, &none),
            ),
            None if file.components.contains_key(name) => issues.error(
                "platform-reference",
                path,
                format!("`{name}` is left out here, and this needs it"),
                format!("remove `{name}` from `without`, or leave this out too"),
            ),
            None => issues.error(
                "platform-reference",
                path,
                format!("there is no component `{name}`"),
                or_nearest(name, fitting, &none),
            ),
        }
    };
    for (name, component) in &platform.components {
        let path = join("components", name);
        for need in component.needs() {
            refer(format!("{path}.{}", need.key), need.component, need.wants);
        }
    }
    for (name, spark) in &platform.sparks {
        if let Some(catalog) = &spark.catalog {
            refer(join(&join("sparks", name), "catalog"), catalog, Gives::Catalog);
        }
    }
    for (name, component) in &platform.components {
        let path = join("components", name);
        for (index, other) in component.after().iter().enumerate() {
            let path = join_index(&join(&path, "after"), index);
            if !platform.components.contains_key(other) {
                let names = platform
                    .components
                    .keys()
                    .map(String::as_str)
                    .filter(|other| other != name);
                issues.error(
                    "platform-reference",
                    path,
                    format!("there is no component `{other}`"),
                    or_nearest(other, names, "remove it"),
                );
            }
        }
        let spark = match component {
            Component::SparkConnect(connect) => Some(("spark", &connect.spark)),
            Component::Airflow(airflow) => airflow.example.as_ref().map(|example| ("example", example)),
            _ => None,
        };
        if let Some((key, spark)) = spark.filter(|(_, spark)| !platform.sparks.contains_key(*spark)) {
            let fix = or_nearest(
                spark,
                platform.sparks.keys().map(String::as_str),
                "add it: `sparks: {current: {version: 4.1.4}}`",
            );
            issues.error(
                "platform-reference",
                join(&path, key),
                format!("there is no Spark `{spark}`"),
                fix,
            );
        }
    }
}

fn nodes(resolved: &Resolved, issues: &mut Issues) {
    let platform = &resolved.platform;
    for (name, component) in &platform.components {
        if let Some(nodes) = component.nodes().filter(|nodes| !platform.nodes.contains_key(*nodes)) {
            let fix = or_nearest(
                nodes,
                platform.nodes.keys().map(String::as_str),
                "add it below `nodes`, with the labels of these nodes",
            );
            issues.error(
                "platform-reference",
                join(&join("components", name), "nodes"),
                format!("there are no nodes `{nodes}`"),
                fix,
            );
        }
    }
}

/// Components that wait for each other wait for ever.
fn cycles(resolved: &Resolved, issues: &mut Issues) {
    let platform = &resolved.platform;
    let next = |name: &str| -> Vec<String> {
        let Some(component) = platform.components.get(name) else {
            return Vec::new();
        };
        let needs = component.needs().into_iter().map(|need| need.component.to_owned());
        needs.chain(component.after().iter().cloned()).collect()
    };
    for (name, component) in &platform.components {
        for (index, other) in component.after().iter().enumerate() {
            let mut way = vec![other.clone()];
            let mut at = 0;
            while at < way.len() {
                for further in next(&way[at]) {
                    if !way.contains(&further) {
                        way.push(further);
                    }
                }
                at += 1;
            }
            if other == name || way.contains(name) {
                let path = join_index(&join(&join("components", name), "after"), index);
                issues.error(
                    "platform-circle",
                    path,
                    format!("`{name}` waits for `{other}`, which waits for `{name}`"),
                    "remove it from one of the two",
                );
            }
        }
    }
}

fn hosts(resolved: &Resolved, issues: &mut Issues) {
    let platform = &resolved.platform;
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, component) in &platform.components {
        let Some(host) = component.host() else { continue };
        let path = join(&join("components", name), "host");
        if let Some(other) = seen.insert(host, name) {
            issues.error(
                "platform-address",
                &path,
                format!("`{other}` has the host `{host}` too"),
                "give each a host of its own",
            );
        }
        if platform.ingress.is_none() && platform.security != Security::Openshift {
            issues.error(
                "platform-contradiction",
                path,
                "a `host` needs an `ingress`: how it is reached is not said",
                "add `ingress: {tlsSecret: NAME}` at the top, or `ingress: {}` for the cluster's default without TLS",
            );
        }
    }
}

/// Two components in one database would have their tables in each other's way.
fn databases(resolved: &Resolved, issues: &mut Issues) {
    let mut seen: BTreeMap<(String, String), &str> = BTreeMap::new();
    for (name, component) in &resolved.platform.components {
        let database = match component {
            Component::HiveMetastore(it) => Some(&it.database),
            Component::Nessie(it) => it.database.as_ref(),
            Component::Mlflow(it) => Some(&it.database),
            Component::Airflow(it) => Some(&it.database),
            _ => None,
        };
        let Some(database) = database else { continue };
        let database_name = database.name.clone().unwrap_or_else(|| name.replace('-', "_"));
        if let Some(other) = seen.insert((database.component.clone(), database_name.clone()), name) {
            let path = format!("components.{name}.database.component");
            issues.error(
                "platform-contradiction",
                path,
                format!("`{other}` uses the database `{database_name}` too"),
                "give one of them another `name` below `database`",
            );
        }
    }
}

/// An application says a version: which Spark is meant must be plain.
fn sparks(resolved: &Resolved, issues: &mut Issues) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, spark) in &resolved.platform.sparks {
        if let Some(other) = seen.insert(&spark.version, name) {
            let path = join(&join("sparks", name), "version");
            let message = format!(
                "`{other}` is Spark {} too, and an application says the version alone",
                spark.version
            );
            issues.error(
                "platform-contradiction",
                path,
                message,
                "keep one of the two, or write another version",
            );
        }
    }
}

fn wiring(resolved: &Resolved, issues: &mut Issues) {
    let scope = resolved.scope();
    let platform = &resolved.platform;
    for (name, spark) in &platform.sparks {
        let path = join("sparks", name);
        let wants = Wants {
            catalog: spark.catalog.clone(),
            ..Wants::default()
        };
        match wire(&scope, spark, &wants) {
            Ok(wired) => {
                for (key, by_hand, ours) in contradicted(&spark.conf, &wired) {
                    contradiction(&join(&join(&path, "conf"), key), key, by_hand, ours, issues);
                }
            }
            Err(clashes) => clashes.into_iter().for_each(|clash| told(&path, clash, issues)),
        }
    }
    for (name, component) in &platform.components {
        let Component::SparkConnect(connect) = component else {
            continue;
        };
        let path = join("components", name);
        let Some(spark) = platform.sparks.get(&connect.spark) else {
            continue;
        };
        let of_spark = connect.catalog.is_none();
        match wire(&scope, spark, &Wants::of(connect, spark)) {
            Ok(wired) => {
                for (key, by_hand, ours) in contradicted(&connect.spark_conf, &wired) {
                    contradiction(&join(&join(&path, "sparkConf"), key), key, by_hand, ours, issues);
                }
                for (key, by_hand, ours) in contradicted(&spark.conf, &wired) {
                    contradiction(
                        &join(&join(&join("sparks", &connect.spark), "conf"), key),
                        key,
                        by_hand,
                        ours,
                        issues,
                    );
                }
            }
            // The catalog of its Spark is told of there.
            Err(clashes) => clashes
                .into_iter()
                .filter(|clash| clash.key != "catalog" || !of_spark)
                .for_each(|clash| told(&path, clash, issues)),
        }
    }
}

fn told(path: &str, clash: Clash, issues: &mut Issues) {
    issues.error(clash.code, join(path, clash.key), clash.message, clash.fix);
}

fn contradiction(path: &str, key: &str, by_hand: &str, ours: &str, issues: &mut Issues) {
    issues.error(
        "platform-wiring",
        path,
        format!("`{key}` is `{by_hand}` here, and `{ours}` by what is named"),
        "remove it here: what is named sets it",
    );
}

/// Objects of the same kind and name would take each other's place.
fn collisions(resolved: &Resolved, issues: &mut Issues) {
    let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
    for object in render::objects(&resolved.scope()) {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let component = text("/metadata/labels/app.kubernetes.io~1instance");
        let key = (text("/kind"), text("/metadata/name"));
        let said = format!("{} {}", key.0, key.1);
        if let Some(other) = seen.insert(key, component.clone()) {
            let by = if other.is_empty() {
                "the account of Spark's drivers".to_owned()
            } else {
                format!("`{other}`")
            };
            issues.error(
                "platform-collision",
                join("components", &component),
                format!("{said} is an object of {by} too"),
                "rename the component",
            );
        }
    }
}
