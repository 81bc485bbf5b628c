//! The chart of a platform on the embedded cluster: taken by its API server, installed, changed by a value and removed by helm.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::common::{Context, Need, expect_code, expect_parts, program, repository, stoke, text};
use crate::up::Up;

pub fn trials(context: &Context) -> Vec<Trial> {
    let kubectl = program("kubectl", "see the Kubernetes documentation, `Install kubectl`");
    let helm = Need::Found(stoke_testkit::helm().map(drop));
    vec![
        context.trial("platform: a chart is written, with what is stale named", &[], written),
        context.trial(
            "platform: its chart is admitted, installed, changed and removed by helm",
            &[kubectl, helm],
            installed,
        ),
    ]
}

const SMALL: &str = "\
name: small
namespace: small-chart
components:
  files: {kind: object-store, bucket: small-data, credentials: {secret: store-keys}}
  history: {kind: history-server, store: files, resources: {cpu: 100m, memory: 256Mi}}
environments:
  dev: {network: open}
  prod: {namespace: small-chart-prod}
";

fn written(context: &Context) -> Result<(), Failed> {
    let home = context.private_home();
    let work = tempfile::tempdir()?;
    let run = |arguments: &[&str]| stoke(home.path(), arguments).current_dir(work.path()).output();
    let with_more = SMALL.replace(
        "environments:",
        "  more: {kind: history-server, store: files, path: more}\nenvironments:",
    );
    std::fs::write(work.path().join("platform.yaml"), with_more)?;
    let render = ["platform", "render", "--as", "chart", "--to", "chart"];
    expect_code(&run(&render)?, 0)?;
    std::fs::write(work.path().join("platform.yaml"), SMALL)?;
    let again = run(&[&render[..], &["--chart-version", "1.2.3-rc.1+a"]].concat())?;
    expect_code(&again, 0)?;
    let stale = "templates/prod/component-more.yaml is of a component that is no longer named: remove it";
    expect_parts(&text(&again), &["chart/values.schema.json", stale])?;
    let about = std::fs::read_to_string(work.path().join("chart/Chart.yaml"))?;
    expect_parts(&about, &["name: small", "1.2.3-rc.1+a"])?;
    for wrong in ["1.2", "1.02.3", "v1.2.3", "1.2.3-", "1.2.3+a b"] {
        let refused = run(&[&render[..], &["--chart-version", wrong]].concat())?;
        expect_code(&refused, 2)?;
        expect_parts(&text(&refused), &["is not a version of a chart"])?;
    }
    let one = run(&["platform", "render", "--as", "chart", "--to", "one", "-e", "prod"])?;
    expect_code(&one, 0)?;
    let values = std::fs::read_to_string(work.path().join("one/values.yaml"))?;
    expect_parts(&values, &["\nenvironment: prod\n"])?;
    assert!(!work.path().join("one/templates/dev").exists(), "{values}");
    Ok(())
}

fn installed(context: &Context) -> Result<(), Failed> {
    let up = Up::start(context)?;
    let crds = repository().join("deploy/crds");
    expect_code(&up.kubectl(&["apply", "-k", &crds.display().to_string()]).output()?, 0)?;
    let work = tempfile::tempdir()?;
    let program = stoke_testkit::helm()?;
    let kubeconfig = up.kubeconfig();
    let helm = |arguments: &[&str], chart: &Path| -> Result<Output, Failed> {
        let mut command = Command::new(&program);
        command.args(arguments).arg(chart).env("KUBECONFIG", &kubeconfig);
        Ok(command.env("HOME", work.path()).output()?)
    };
    let chart = |file: &Path, name: &str| -> Result<std::path::PathBuf, Failed> {
        let to = work.path().join(name);
        let mut command = up.stoke(&["platform", "render", "--as", "chart", "-f"]);
        command.arg(file).arg("--to").arg(&to);
        expect_code(&command.output()?, 0)?;
        Ok(to)
    };

    // What the API server says of every object of a whole platform.
    let lakehouse = chart(&repository().join("examples/platform/lakehouse.yaml"), "lakehouse")?;
    expect_code(&up.kubectl(&["create", "namespace", "lakehouse-staging"]).output()?, 0)?;
    let set = "environment=staging,components.lake.replicas=3,components.database.storage.class=fast";
    let rendered = helm(&["template", "lakehouse", "--set", set], &lakehouse)?;
    expect_code(&rendered, 0)?;
    let mut apply = up.kubectl(&[
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--force-conflicts",
        "-f",
        "-",
    ]);
    let mut child = apply
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    std::io::Write::write_all(&mut input, &rendered.stdout)?;
    drop(input);
    let taken = child.wait_with_output()?;
    expect_code(&taken, 0)?;
    let said = text(&taken);
    let count = said.matches("serverside-applied (server dry run)").count();
    assert!(
        count > 30 && said.contains("sparkconnect.sparkoperator.k8s.io/lab "),
        "{count}: {said}"
    );
    let dry = helm(
        &[
            "install",
            "lakehouse",
            "-n",
            "default",
            "--dry-run=server",
            "--set",
            "environment=local",
        ],
        &lakehouse,
    )?;
    expect_code(&dry, 0)?;

    // A release: its objects go into the namespace of the environment, wherever the release is kept.
    let file = work.path().join("small.yaml");
    std::fs::write(&file, SMALL)?;
    let small = chart(&file, "small")?;
    let memory = || -> Result<Value, Failed> {
        let found = up
            .kubectl(&["get", "deployment", "history", "-n", "small-chart", "-o", "json"])
            .output()?;
        expect_code(&found, 0)?;
        let object: Value = serde_json::from_slice(&found.stdout)?;
        Ok(object["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"].clone())
    };
    expect_code(
        &helm(
            &["install", "small", "-n", "default", "--set", "environment=dev"],
            &small,
        )?,
        0,
    )?;
    assert_eq!(memory()?, "256Mi");
    let set = "environment=dev,components.history.resources.memory=2048Mi";
    expect_code(&helm(&["upgrade", "small", "-n", "default", "--set", set], &small)?, 0)?;
    assert_eq!(memory()?, "2Gi");
    let refused = helm(
        &[
            "upgrade",
            "small",
            "-n",
            "default",
            "--set",
            "environment=dev,components.history.image=x",
        ],
        &small,
    )?;
    assert!(
        !refused.status.success() && text(&refused).contains("image"),
        "{}",
        text(&refused)
    );
    let mut gone = Command::new(&program);
    gone.args(["uninstall", "small", "-n", "default", "--wait"])
        .env("KUBECONFIG", &kubeconfig);
    expect_code(&gone.output()?, 0)?;
    let left = up
        .kubectl(&[
            "get",
            "deployments,services,serviceaccounts",
            "-A",
            "-l",
            "platform.stoke.dev/name=small",
            "-o",
            "name",
        ])
        .output()?;
    assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "");

    // Into a namespace that helm makes.
    let set = "environment=dev,createNamespace=false";
    let made = helm(
        &[
            "install",
            "small",
            "-n",
            "small-chart-own",
            "--create-namespace",
            "--set",
            set,
        ],
        &small,
    )?;
    // The objects are of the environment's namespace, which went with the release.
    assert!(
        !made.status.success() && text(&made).contains("small-chart"),
        "{}",
        text(&made)
    );
    expect_code(&up.kubectl(&["create", "namespace", "small-chart"]).output()?, 0)?;
    let set = "environment=dev,createNamespace=false";
    expect_code(
        &helm(
            &["upgrade", "--install", "small", "-n", "small-chart", "--set", set],
            &small,
        )?,
        0,
    )?;
    assert_eq!(memory()?, "256Mi");
    Ok(())
}
