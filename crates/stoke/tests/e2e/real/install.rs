//! From nothing to a completed application, an upgrade with one running, and nothing left: by each way to install.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::json;

use super::OPERATOR;
use super::rig::{IMAGE, NEXT_IMAGE, Rig};
use crate::behaviours::{WAIT, application_of};
use crate::common::{eventually, expect_code, expect_parts, repository};

type Way = fn(&Rig) -> Result<(), Failed>;

/// Each way to install.
pub const WAYS: [(&str, Way); 4] = [
    ("the chart, with helm", chart),
    ("stoke operator install", binary),
    ("kustomize, server-side", kustomize),
    ("stoke operator manifests, kubectl apply as ever", client_side),
];

/// Namespace and prefix of all that is installed by default.
const NAME: &str = "spark-operator";
/// Where applications are by default.
const JOBS: &str = "default";

fn chart(rig: &Rig) -> Result<(), Failed> {
    let helm = helm()?;
    let chart = repository().join("deploy/chart");
    let run = |verb: &[&str], image: Option<&str>| {
        let mut command = Command::new(&helm);
        command.args(verb).args(["--kube-context", &rig.given.context]);
        command.env("KUBECONFIG", rig.given.kubeconfig.as_deref().unwrap_or(Path::new("")));
        if let Some((repository, tag)) = image.and_then(|image| image.rsplit_once(':')) {
            command.arg(&chart).args([
                "--set",
                &format!("image.repository={repository},image.tag={tag}"),
                "--wait",
            ]);
        }
        expect_code(&command.output()?, 0)
    };
    run(&["install", NAME, "-n", NAME, "--create-namespace"], Some(IMAGE))?;
    works(rig, || {
        // helm never upgrades what is in the folder `crds`; the chart's Job does.
        let definition = "sparkapplications.sparkoperator.k8s.io";
        let field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/timeToLiveSeconds";
        let older = json!([{"op": "remove", "path": field}]).to_string();
        rig.kubectl(&["patch", "crd", definition, "--type=json", "-p", &older])?;
        run(
            &["upgrade", NAME, "-n", NAME, "--set", "hook.upgradeCrd=true"],
            Some(NEXT_IMAGE),
        )?;
        let path =
            "-o=jsonpath={.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.timeToLiveSeconds.type}";
        expect_parts(&rig.kubectl(&["get", "crd", definition, path])?, &["integer"])
    })?;
    run(&["uninstall", NAME, "-n", NAME, "--wait"], None)?;
    nothing_left(rig)?;
    rig.kubectl(&["delete", "namespace", NAME, "--timeout=60s"])?;
    // helm leaves what is in the chart's folder `crds`.
    rig.kubectl(&[
        "delete",
        "-k",
        &repository().join("deploy/crds").to_string_lossy(),
        "--ignore-not-found",
    ])
    .map(drop)
}

fn binary(rig: &Rig) -> Result<(), Failed> {
    let run = |arguments: &[&str]| expect_code(&rig.given.stoke(&[&["operator"], arguments].concat()).output()?, 0);
    run(&["install"])?;
    works(rig, || run(&["install", "--image", NEXT_IMAGE]))?;
    run(&["uninstall", "--delete-crds"])?;
    nothing_left(rig)?;
    namespace_gone(rig)
}

fn kustomize(rig: &Rig) -> Result<(), Failed> {
    let made = repository().join("deploy/kustomize");
    let made = made.to_string_lossy();
    rig.kubectl(&["apply", "--server-side", "-k", &made])?;
    works(rig, || {
        let patched = tempfile::tempdir_in(stoke_testkit::target_directory())?;
        let deploy = patched.path().join("deploy");
        expect_code(
            &Command::new("cp")
                .arg("-r")
                .arg(repository().join("deploy"))
                .arg(&deploy)
                .output()?,
            0,
        )?;
        let file = deploy.join("kustomize/kustomization.yaml");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, text.replace("newTag: 0.1.0", "newTag: next"))?;
        rig.kubectl(&[
            "apply",
            "--server-side",
            "-k",
            &deploy.join("kustomize").to_string_lossy(),
        ])
        .map(drop)
    })?;
    rig.kubectl(&["delete", "-k", &made, "--timeout=120s"])?;
    nothing_left(rig)?;
    namespace_gone(rig)
}

fn client_side(rig: &Rig) -> Result<(), Failed> {
    let manifests = |image: &str| -> Result<tempfile::NamedTempFile, Failed> {
        let made = Command::new(env!("CARGO_BIN_EXE_stoke"))
            .args(["operator", "manifests", "--image", image])
            .output()?;
        expect_code(&made, 0)?;
        let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        std::fs::write(file.path(), &made.stdout)?;
        Ok(file)
    };
    let apply = |image: &str| {
        let file = manifests(image)?;
        rig.kubectl(&["apply", "-f", &file.path().to_string_lossy()]).map(drop)
    };
    apply(IMAGE)?;
    works(rig, || apply(NEXT_IMAGE))?;
    let file = manifests(IMAGE)?;
    rig.kubectl(&["delete", "-f", &file.path().to_string_lossy(), "--timeout=120s"])?;
    nothing_left(rig)?;
    namespace_gone(rig)
}

/// The example of the README completes, and an application that runs does not notice an upgrade.
fn works(rig: &Rig, upgrade: impl FnOnce() -> Result<(), Failed>) -> Result<(), Failed> {
    let rolled_out = || {
        rig.kubectl(&[
            "rollout",
            "status",
            "deployment",
            "spark-operator-controller",
            "-n",
            NAME,
            "--timeout=120s",
        ])
        .map(drop)
    };
    let state = |name: &str| {
        let path = "-o=jsonpath={.status.applicationState.state}";
        rig.kubectl(&["get", "sparkapplication", name, "-n", JOBS, path])
            .unwrap_or_default()
    };
    let uid = || rig.kubectl(&["get", "pod", "long-driver", "-n", JOBS, "-o=jsonpath={.metadata.uid}"]);
    rolled_out()?;
    rig.kubectl(&[
        "apply",
        "-n",
        JOBS,
        "-f",
        &repository().join("examples/pi.yaml").to_string_lossy(),
    ])?;
    let patience = Duration::from_secs(240);
    eventually("pi has ended", patience, || {
        matches!(state("pi").as_str(), "COMPLETED" | "FAILED")
    })?;
    if state("pi") != "COMPLETED" {
        return Err(rig.kubectl(&["describe", "sparkapplication", "pi", "-n", JOBS])?.into());
    }
    let code =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"main.py": WAIT}});
    let long = application_of(
        "long",
        json!({"arguments": ["45"], "driver": {"serviceAccount": "spark-operator-spark"}}),
    );
    for object in [code, long] {
        let file = tempfile::Builder::new().suffix(".json").tempfile()?;
        std::fs::write(file.path(), object.to_string())?;
        rig.kubectl(&["apply", "-n", JOBS, "-f", &file.path().to_string_lossy()])?;
    }
    eventually("it runs", patience, || state("long") == "RUNNING")?;
    let before = uid()?;
    upgrade()?;
    rolled_out()?;
    let image = "-o=jsonpath={.spec.template.spec.containers[0].image}";
    let image = rig.kubectl(&["get", "deployment", "spark-operator-controller", "-n", NAME, image])?;
    if !image.ends_with(":next") {
        return Err(format!("not upgraded: {image}").into());
    }
    eventually("it completed", patience, || state("long") == "COMPLETED")?;
    if uid()? != before {
        return Err("the upgrade replaced a running driver".into());
    }
    rig.kubectl(&["delete", "sparkapplication", "pi", "long", "-n", JOBS])?;
    rig.kubectl(&["delete", "configmap", "code", "-n", JOBS])?;
    eventually("what applications made is gone", patience, || {
        rig.kubectl(&["get", "pods", "-n", JOBS, "-o", "name"])
            .is_ok_and(|pods| pods.is_empty())
    })
}

/// Nothing with our name in the whole cluster.
fn nothing_left(rig: &Rig) -> Result<(), Failed> {
    let kinds = "clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,secrets,configmaps,services,deployments,replicasets,pods,leases,\
                 mutatingwebhookconfigurations,validatingwebhookconfigurations,jobs,poddisruptionbudgets";
    let mut left = String::new();
    let gone = eventually("nothing is left", Duration::from_secs(60), || {
        let columns = "-o=custom-columns=K:.kind,NS:.metadata.namespace,N:.metadata.name";
        let all = rig
            .kubectl(&["get", kinds, "-A", "--no-headers", columns])
            .unwrap_or_else(|_| "? ? spark-operator".into());
        // The operator of the behaviours has a lease of the same name.
        let ours = |line: &&str| {
            let mut columns = line.split_whitespace().skip(1);
            columns.next() != Some(OPERATOR) && columns.next().is_some_and(|name| name.starts_with(NAME))
        };
        left = all.lines().filter(ours).collect::<Vec<_>>().join("\n");
        left.is_empty()
    });
    gone.map_err(|_| format!("left behind:\n{left}").into())
}

fn namespace_gone(rig: &Rig) -> Result<(), Failed> {
    eventually("its namespace is gone", Duration::from_secs(60), || {
        rig.kubectl(&["get", "namespace", NAME, "--ignore-not-found", "-o", "name"])
            .is_ok_and(|found| found.is_empty())
    })
}

/// helm of the PATH, else built once.
fn helm() -> Result<PathBuf, Failed> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path)
        .map(|folder| folder.join("helm"))
        .find(|file| file.is_file())
    {
        return Ok(found);
    }
    let folder = stoke_testkit::target_directory().join("helm");
    let helm = folder.join("helm");
    if !helm.exists() {
        let mut build = Command::new("go");
        build
            .args(["install", "helm.sh/helm/v3/cmd/helm@v3.19.5"])
            .env("GOBIN", &folder);
        expect_code(&build.output()?, 0)?;
    }
    Ok(helm)
}
