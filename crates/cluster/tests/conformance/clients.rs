//! Other people's clients, as they are: Go's typed clientset in protobuf, Python's client, helm.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::case::{Case, Client, Ground};
use crate::programs;

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            area: "Clients",
            behaviour: "a typed Go clientset that sends protobuf and accepts nothing else: objects, patches, scale, eviction, reviews, errors, and an informer's watch",
            client: Client::Go,
            run: typed_go,
        },
        Case {
            area: "Clients",
            behaviour: "Python's client: objects, watches, patches of each kind, scale, errors, the dynamic client and server-side apply",
            client: Client::Python,
            run: python,
        },
        Case {
            area: "Clients",
            behaviour: "`helm install --wait`, `list`, `upgrade`, `history`, `rollback`, `get` and `uninstall` of a chart with a Deployment, RBAC, a Service and data",
            client: Client::Helm,
            run: releases,
        },
    ]
}

/// helm, looked for once.
pub fn helm() -> &'static Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(stoke_testkit::helm)
}

fn said_ok(text: &str) -> Result<(), String> {
    if text.trim() == "ok" {
        Ok(())
    } else {
        Err(text.to_owned())
    }
}

fn typed_go(ground: &Ground) -> Result<(), String> {
    said_ok(&ground.go("typed", include_str!("clients/typed.go"), &[&ground.namespace()])?)
}

fn python(ground: &Ground) -> Result<(), String> {
    said_ok(&ground.python(include_str!("clients/client.py"), &[&ground.namespace()])?)
}

fn releases(ground: &Ground) -> Result<(), String> {
    let namespace = ground.namespace();
    let executable = helm().as_ref().map_err(Clone::clone)?;
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/clients/chart");
    let helm = |command: &str| {
        let mut run = Command::new(executable);
        run.arg("--kubeconfig")
            .arg(ground.kubeconfig())
            .args(["--namespace", &namespace]);
        // helm keeps its own files there.
        run.env("HOME", ground.directory());
        let words = command.split(' ');
        run.args(words.map(|word| {
            if word == "CHART" {
                chart.display().to_string()
            } else {
                word.to_owned()
            }
        }));
        programs::output(run).map_err(|error| format!("helm {command}: {error}"))
    };
    let said = |command: &str, part: &str| {
        let text = helm(command)?;
        if text.contains(part) {
            Ok(())
        } else {
            Err(format!("helm {command} does not print {part:?}: {text}"))
        }
    };
    let greeting = |expected: &str| {
        let map = ground.kubectl(
            &namespace,
            &["get", "configmap", "hi", "-o", "jsonpath={.data.greeting}"],
            "",
        );
        map.has(expected)
    };
    said("install hi CHART --wait --timeout 60s", "STATUS: deployed")?;
    greeting("hello")?;
    said("list -o json", "\"status\":\"deployed\"")?;
    said(
        "upgrade hi CHART --set greeting=bye --wait --timeout 60s",
        "REVISION: 2",
    )?;
    greeting("bye")?;
    said("get values hi", "greeting: bye")?;
    said("rollback hi 1 --wait --timeout 60s", "Rollback was a success")?;
    greeting("hello")?;
    said("history hi", "Rollback to 1")?;
    said("uninstall hi --wait --timeout 60s", "release \"hi\" uninstalled")?;
    let left = ground
        .kubectl(
            &namespace,
            &["get", "deployments,services,configmaps,secrets,roles", "-o", "name"],
            "",
        )
        .ok()?;
    if left.contains("/hi") { Err(left) } else { Ok(()) }
}
