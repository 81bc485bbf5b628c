//! One component, one Spark or one name by itself.

use std::collections::BTreeMap;

use serde_json::json;
use stoke_model::conf::Catalogue;
use stoke_model::distribution;
use stoke_model::duration::parse_go;
use stoke_model::manifest::{join, join_index};
use stoke_model::memory::{ByteUnit, Memory};
use stoke_model::names::{check_dns_1123, check_subdomain, suggest_dns_1035};
use stoke_model::redaction::is_secret;

use super::parts::{
    config, database, folder, host, image, key, label_key, login, memory, name, odd, or_nearest, run, secret_name,
    storage,
};
use super::{Issues, store};
use crate::environment::Resolved;
use crate::spec::components::{Executors, HiveMetastore, ObjectStore, SparkConnect};
use crate::spec::{Component, Run, Spark};
use crate::store::Cloud;

pub(super) fn look(resolved: &Resolved, environment: Option<&str>, issues: &mut Issues) {
    let platform = &resolved.platform;
    name("name", &platform.name, "a platform", issues);
    if let Err(error) = check_dns_1123(&platform.namespace) {
        let message = format!("`{}` is not the name of a namespace: {error}", platform.namespace);
        match suggest_dns_1035(&platform.namespace, 63) {
            Some(near) => {
                let fix = format!("write `{near}`");
                issues.instead("platform-name", "namespace", message, fix, json!(near));
            }
            None => issues.error(
                "platform-name",
                "namespace",
                message,
                "use lower-case letters, digits and `-`",
            ),
        }
    }
    for reserved in ["kube-system", "kube-public", "kube-node-lease"] {
        if platform.namespace == reserved {
            issues.error(
                "platform-name",
                "namespace",
                format!("`{reserved}` is Kubernetes' own namespace"),
                "name one of your own",
            );
        }
    }
    if environment.is_none() {
        for environment in platform.environments.keys() {
            name(
                &join("environments", environment),
                environment,
                "an environment",
                issues,
            );
        }
    }
    if let Some(secret) = platform
        .ingress
        .as_ref()
        .and_then(|ingress| ingress.tls_secret.as_ref())
    {
        secret_name("ingress.tlsSecret", secret, issues);
    }
    if let Some(class) = platform.ingress.as_ref().and_then(|ingress| ingress.class.as_ref())
        && let Err(error) = check_subdomain(class)
    {
        issues.error(
            "platform-name",
            "ingress.class",
            format!("`{class}` is not the name of an IngressClass: {error}"),
            "write the name that `kubectl get ingressclass` shows",
        );
    }
    for (kind, nodes) in &platform.nodes {
        let path = join("nodes", kind);
        name(&path, kind, "a kind of nodes", issues);
        if nodes.labels.is_empty() {
            issues.error(
                "platform-nodes",
                join(&path, "labels"),
                format!("`{kind}` names no label, so it means every node"),
                "write the labels that these nodes have, or remove it",
            );
        }
        for label in nodes.labels.keys() {
            label_key(&join(&join(&path, "labels"), label), label, issues);
        }
        for (index, taint) in nodes.taints.iter().enumerate() {
            let key = taint.split('=').next().unwrap_or_default();
            let path = join_index(&join(&path, "taints"), index);
            if taint.contains(':') {
                issues.error(
                    "platform-nodes",
                    path,
                    format!("`{taint}` names an effect; every effect of the taint is tolerated"),
                    format!("write `{}`", taint.split(':').next().unwrap_or_default()),
                );
            } else {
                label_key(&path, key, issues);
            }
        }
    }
    for (key, spark) in &platform.sparks {
        let path = join("sparks", key);
        name(&path, key, "a Spark", issues);
        self::spark(&path, spark, issues);
    }
    for (key, component) in &platform.components {
        let path = join("components", key);
        name(&path, key, "a component", issues);
        one(&path, component, resolved, issues);
    }
}

/// One of them.
pub(super) fn look_at(resolved: &Resolved, key: &str, issues: &mut Issues) {
    if let Some(component) = resolved.platform.components.get(key) {
        one(&join("components", key), component, resolved, issues);
    }
}

fn version(path: &str, component: &Component, issues: &mut Issues) {
    let Some(version) = component.version() else { return };
    let known = component.about().versions;
    if !known.contains(&version) {
        let fix = format!(
            "write {}",
            known
                .iter()
                .map(|version| format!("`{version}`"))
                .collect::<Vec<_>>()
                .join(" or ")
        );
        let message = format!("version `{version}` of {} was not tried", component.about().title);
        match known {
            [only] => issues.instead("platform-version", join(path, "version"), message, fix, json!(only)),
            _ => issues.error("platform-version", join(path, "version"), message, fix),
        }
    }
}

fn one(path: &str, component: &Component, resolved: &Resolved, issues: &mut Issues) {
    if let Some(given) = component.run() {
        run(path, given, component.about().usual.0, issues);
    }
    version(path, component, issues);
    if let Some(name) = component.host() {
        host(path, name, issues);
    }
    match component {
        Component::ObjectStore(store) => store::look(path, store, issues),
        Component::Postgresql(it) => {
            login(&join(path, "login"), &it.login, issues);
            storage(&join(path, "storage"), it.storage.as_ref(), issues);
            if let Some(outside) = &it.outside {
                if check_subdomain(&outside.host).is_err() {
                    issues.error(
                        "platform-address",
                        join(&join(path, "outside"), "host"),
                        format!("`{}` is not a host name or address", outside.host),
                        "write the name alone, without scheme and port",
                    );
                }
                let here = [
                    ("storage", it.storage.is_some()),
                    ("nodes", it.run.nodes.is_some()),
                    ("resources", it.run.resources.is_some()),
                ];
                for (key, _) in here.iter().filter(|(_, is)| *is) {
                    issues.error(
                        "platform-contradiction",
                        join(path, key),
                        format!("`{key}` of a server that is outside has no effect"),
                        format!("remove `{key}`, or `outside`"),
                    );
                }
            }
        }
        Component::HiveMetastore(it) => {
            database(path, &it.database, issues);
            folder(path, &it.path, issues);
            config(path, &it.config, issues);
            metastore_store(path, it, resolved, issues);
        }
        Component::Nessie(it) => {
            folder(path, &it.path, issues);
            config(path, &it.config, issues);
            match &it.database {
                Some(of) => database(path, of, issues),
                None if it.replicas > 1 => issues.error(
                    "platform-contradiction",
                    join(path, "replicas"),
                    "each pod would have a catalog of its own: without `database` it is kept in memory",
                    "add `database: {component: …}`, or write `replicas: 1`",
                ),
                None => issues.warning(
                    "platform-in-memory",
                    path,
                    "the catalog is kept in memory: its tables are forgotten when the pod ends",
                    "add `database: {component: …}`",
                ),
            }
        }
        Component::HistoryServer(it) => folder(path, &it.path, issues),
        Component::SparkConnect(it) => connect(path, it, resolved, issues),
        Component::Jupyterlab(it) => {
            key(&join(path, "token"), &it.token, issues);
            storage(&join(path, "storage"), it.storage.as_ref(), issues);
        }
        Component::Mlflow(it) => {
            database(path, &it.database, issues);
            folder(path, &it.path, issues);
            let what = match resolved.scope().store(&it.store).map(ObjectStore::cloud) {
                None | Some(Cloud::S3) => "psycopg2 and boto3",
                Some(Cloud::Google(_)) => "psycopg2 and google-cloud-storage",
                Some(Cloud::Azure(_)) => "psycopg2, azure-storage-blob and azure-identity",
            };
            lacks(path, &it.run, resolved, what, issues);
        }
        Component::Kafka(it) => {
            odd(path, "replicas", it.replicas, issues);
            storage(&join(path, "storage"), it.storage.as_ref(), issues);
            config(path, &it.config, issues);
        }
        Component::Airflow(it) => {
            database(path, &it.database, issues);
            key(&join(path, "fernetKey"), &it.fernet_key, issues);
            key(&join(path, "signingKey"), &it.signing_key, issues);
            if let Some(claim) = &it.dags_claim
                && check_subdomain(claim).is_err()
            {
                issues.error(
                    "platform-name",
                    join(path, "dagsClaim"),
                    format!("`{claim}` is not the name of a PersistentVolumeClaim"),
                    "write the name that `kubectl get pvc` shows",
                );
            }
        }
        Component::Celeborn(it) => {
            odd(path, "masters", it.masters, issues);
            storage(&join(path, "storage"), it.storage.as_ref(), issues);
            config(path, &it.config, issues);
            for key in it.config.keys().filter(|key| !key.starts_with("celeborn.")) {
                issues.error(
                    "platform-conf",
                    join(&join(path, "config"), key),
                    format!("`{key}` is not a key of Celeborn"),
                    "its keys begin with `celeborn.`",
                );
            }
        }
    }
}

/// An image of a project that lacks what this needs. On a laptop nothing is pulled: what is missing comes with the program.
fn lacks(path: &str, run: &Run, resolved: &Resolved, what: &str, issues: &mut Issues) {
    if run.image.is_none() && resolved.environment != "local" {
        issues.warning(
            "platform-image-lacks",
            path,
            format!("the project's image does not have {what}"),
            "build one that has it (`stoke image build`), and name it as `image`",
        );
    }
}

/// What a metastore needs for its store, and what it cannot do with one.
fn metastore_store(path: &str, it: &HiveMetastore, resolved: &Resolved, issues: &mut Issues) {
    let scope = resolved.scope();
    let cloud = scope.store(&it.store).map(ObjectStore::cloud);
    if let Some(Cloud::Azure(azure)) = cloud
        && azure.identity.is_some()
    {
        issues.error(
            "platform-store",
            join(path, "store"),
            format!(
                "the Hadoop in the images of Hive {} knows no identities of Azure: they came with Hadoop 3.4.1",
                it.version
            ),
            format!(
                "write `key` instead of `identity` in `components.{}.azure`, or use a catalog of kind `nessie`",
                it.store
            ),
        );
    }
    let what = match cloud {
        None | Some(Cloud::S3) => "the driver of PostgreSQL (org.postgresql:postgresql) and hadoop-aws",
        Some(Cloud::Google(_)) => {
            "the driver of PostgreSQL (org.postgresql:postgresql) and Google's connector (gcs-connector, its shaded jar)"
        }
        Some(Cloud::Azure(_)) => "the driver of PostgreSQL (org.postgresql:postgresql) and hadoop-azure",
    };
    lacks(path, &it.run, resolved, what, issues);
}

fn spark(path: &str, spark: &Spark, issues: &mut Issues) {
    let parts: Vec<&str> = spark.version.split('.').collect();
    let is_version = parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok());
    let known = distribution::of(&spark.version);
    if !is_version {
        issues.error(
            "platform-version",
            join(path, "version"),
            format!("`{}` is not a version of Spark", spark.version),
            "write all three numbers, for example `4.1.4`",
        );
    } else if known.is_none() {
        let all: Vec<&str> = distribution::ALL.iter().map(|known| known.minor).collect();
        issues.error(
            "platform-version",
            join(path, "version"),
            format!("Spark {} is not known", spark.version),
            format!("use a version of {}", all.join(", ")),
        );
    }
    if let (Some(scala), Some(known)) = (&spark.scala, known)
        && !known.scalas.contains(&scala.as_str())
    {
        let message = format!("Spark {} is not published for Scala {scala}", spark.version);
        issues.instead(
            "platform-versions",
            join(path, "scala"),
            message,
            format!("write \"{}\", or remove it", known.scalas.join("\" or \"")),
            json!(known.scalas[0]),
        );
    }
    if let Some(text) = &spark.image {
        image(&join(path, "image"), text, issues);
    }
    spark_conf(&join(path, "conf"), &spark.conf, &spark.version, issues);
}

/// Keys of Spark, against what this Spark knows.
fn spark_conf(path: &str, conf: &BTreeMap<String, String>, version: &str, issues: &mut Issues) {
    for (key, value) in conf {
        if is_secret(key) && !value.starts_with("${") {
            issues.error("platform-secret", join(path, key), format!("`{key}` would hold a secret in the file"), "name a Secret with `credentials` of the object store, and change it: whoever could read this file knows it");
        }
    }
    let pairs = conf
        .iter()
        .filter(|(key, _)| !is_secret(key))
        .map(|(key, value)| (key.as_str(), value.as_str()));
    for found in Catalogue::for_version(version).lint(pairs) {
        let fix = found
            .suggestion
            .as_ref()
            .map_or_else(|| "remove it, or write another value".to_owned(), ToString::to_string);
        let message = format!("`{}`: {}", found.key, found.message);
        issues.push(found.severity, found.code, join(path, &found.key), message, fix, None);
    }
}

fn connect(path: &str, it: &SparkConnect, resolved: &Resolved, issues: &mut Issues) {
    memory(&join(&join(path, "server"), "memory"), &it.server.memory, issues);
    let executors: &Executors = &it.executors;
    let below = join(path, "executors");
    memory(&join(&below, "memory"), &executors.memory, issues);
    if executors.min > executors.max {
        issues.error(
            "platform-contradiction",
            join(&below, "min"),
            format!("at least {} executors and at most {}", executors.min, executors.max),
            format!("write {} or less", executors.max),
        );
    }
    if let Some(gpu) = &it.gpu {
        let below = join(path, "gpu");
        if check_subdomain(&gpu.vendor).is_err() || !gpu.vendor.contains('.') {
            issues.error(
                "platform-gpu",
                join(&below, "vendor"),
                format!("`{}` is not who makes GPUs, as a device plugin names it", gpu.vendor),
                "write `nvidia.com` or `amd.com`",
            );
        } else if gpu.rapids && gpu.vendor != "nvidia.com" {
            issues.error(
                "platform-gpu",
                join(&below, "rapids"),
                format!("the accelerator is for GPUs of NVIDIA, and these are of {}", gpu.vendor),
                "write `rapids: false`",
            );
        }
        if gpu.rapids && Memory::parse(&gpu.pinned, ByteUnit::Mib).is_err() {
            issues.error(
                "platform-size",
                join(&below, "pinned"),
                format!("`{}` is not a size of memory as Spark writes it", gpu.pinned),
                "write a size such as `2g`",
            );
        }
        if let Some(nodes) = gpu
            .nodes
            .as_ref()
            .filter(|nodes| !resolved.platform.nodes.contains_key(*nodes))
        {
            let all = resolved.platform.nodes.keys().map(String::as_str);
            issues.error(
                "platform-reference",
                join(&below, "nodes"),
                format!("there are no nodes `{nodes}`"),
                or_nearest(nodes, all, "add it below `nodes`, with the labels of these nodes"),
            );
        }
    }
    if let Some(timeout) = &it.idle_timeout
        && timeout != "none"
        && parse_go(timeout).is_err()
    {
        issues.error(
            "platform-size",
            join(path, "idleTimeout"),
            format!("`{timeout}` is not a time"),
            "write a time with a unit, for example `30m`, or `none`",
        );
    }
    if let Some(spark) = resolved.platform.sparks.get(&it.spark) {
        if distribution::minor(&spark.version) == "3.4" || distribution::minor(&spark.version) == "3.3" {
            issues.warning(
                "platform-versions",
                join(path, "spark"),
                format!("Spark Connect of {} lacks much of what clients use", spark.version),
                "use a Spark of 3.5 or later",
            );
        }
        spark_conf(&join(path, "sparkConf"), &it.spark_conf, &spark.version, issues);
    }
    for key in it.spark_conf.keys().filter(|key| {
        [
            "spark.executor.instances",
            "spark.dynamicAllocation.maxExecutors",
            "spark.dynamicAllocation.minExecutors",
            "spark.executor.memory",
            "spark.executor.cores",
            "spark.driver.memory",
            "spark.driver.cores",
        ]
        .contains(&key.as_str())
    }) {
        let path = join(&join(path, "sparkConf"), key);
        issues.error(
            "platform-contradiction",
            path,
            format!("`{key}` is said by `server` and `executors`"),
            "remove it here",
        );
    }
}
