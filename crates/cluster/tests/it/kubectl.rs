//! The API server as real `kubectl` sees it, with default flags. Skipped, and said so, where there is no kubectl.

// A test may end in a panic; helpers outside of test functions too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout
)]

use std::io::Write;
use std::process::{Command, Stdio};

use stoke_cluster::{ApiConfig, ApiServer};

/// Runs kubectl with a kubeconfig and an input; returns what it printed and whether it succeeded.
fn kubectl(kubeconfig: &std::path::Path, arguments: &[&str], input: &str) -> (String, bool) {
    let mut child = Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["--cache-dir", &kubeconfig.with_extension("cache").display().to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.success())
}

const POD: &str = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "x"}},
    "spec": {"containers": [{"name": "main", "image": "spark:4.1.4"}]}}"#;
const WRONG: &str = r#"{"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "metadata": {"name": "w"},
    "spec": {"sparkVersio": "4.1.4"}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_works_with_default_flags() {
    if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
        println!("skipped: there is no kubectl here");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let server = ApiServer::start(&ApiConfig {
        home: home.path().join("c"),
        in_memory: true,
    })
    .await
    .unwrap();
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, server.kubeconfig()).unwrap();
    let table: &[(&[&str], &str, bool, &str)] = &[
        (&["apply", "-f", "-"], POD, true, "pod/p created"),
        (&["apply", "-f", "-"], POD, true, "pod/p unchanged"),
        (&["get", "pods"], "", true, "p      0/1     Pending"),
        (&["get", "pods", "-o", "wide"], "", true, "NOMINATED NODE"),
        (
            &["get", "pod", "p", "-o", "jsonpath={.status.qosClass}"],
            "",
            true,
            "BestEffort",
        ),
        (&["label", "pod", "p", "tier=1"], "", true, "pod/p labeled"),
        (
            &["get", "pods", "-l", "tier=1,app in (x)", "-o", "name"],
            "",
            true,
            "pod/p",
        ),
        (
            &[
                "patch",
                "pod",
                "p",
                "--type=json",
                "-p",
                r#"[{"op":"remove","path":"/metadata/labels/tier"}]"#,
            ],
            "",
            true,
            "patched",
        ),
        (&["apply", "--server-side", "-f", "-"], POD, true, "serverside-applied"),
        (
            &[
                "wait",
                "--for=jsonpath={.status.phase}=Pending",
                "pod/p",
                "--timeout=10s",
            ],
            "",
            true,
            "condition met",
        ),
        (&["describe", "pod", "p"], "", true, "kube-api-access-"),
        (
            &["explain", "sparkapplication.spec.driver"],
            "",
            true,
            "SparkApplication",
        ),
        (
            &["create", "-f", "-"],
            WRONG,
            false,
            "strict decoding error: unknown field \"spec.sparkVersio\"",
        ),
        (
            &["get", "pods", "nope"],
            "",
            false,
            "Error from server (NotFound): pods \"nope\" not found",
        ),
        (&["delete", "pod", "p"], "", true, "pod \"p\" deleted"),
        (
            &["delete", "namespace", "default"],
            "",
            false,
            "this namespace may not be deleted",
        ),
    ];
    let table = table.to_vec();
    tokio::task::spawn_blocking(move || {
        for (arguments, input, succeeds, expected) in table {
            let (text, success) = kubectl(&kubeconfig, arguments, input);
            assert!(
                text.contains(expected) && success == succeeds,
                "kubectl {arguments:?} printed:\n{text}"
            );
        }
    })
    .await
    .unwrap();
    server.stop().await;
}
