//! Charts of Helm: what their templates become is what is checked, where there is a `helm` to render them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use stoke_gate::Job;
use tokio::process::Command;

/// How long a chart may take to be rendered.
const LIMIT: Duration = Duration::from_secs(60);
/// Longest text of Helm's that is shown, in characters.
const SHOWN: usize = 400;

/// Puts what the job's charts become in place of their templates. Without a `helm` they stay templates, of which nothing can be told.
pub async fn render(job: &mut Job, values: &[PathBuf], helm: &OsStr) {
    for chart in job.charts() {
        match template(&chart, values, helm).await {
            Ok(Ok(text)) => job.rendered(&chart, Ok(&text)),
            Ok(Err(why)) => job.rendered(&chart, Err(&why)),
            // There is no helm.
            Err(_) => return,
        }
    }
}

/// What `helm template` prints, or why it does not. An error: it cannot be started.
async fn template(chart: &Path, values: &[PathBuf], helm: &OsStr) -> std::io::Result<Result<Vec<u8>, String>> {
    let mut command = Command::new(helm);
    command.arg("template").arg("check").arg(chart);
    for file in values {
        command.arg("--values").arg(file);
    }
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let Ok(output) = tokio::time::timeout(LIMIT, child.wait_with_output()).await else {
        return Ok(Err(format!("it did not end within {} s", LIMIT.as_secs())));
    };
    let output = output?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it says nothing");
    Ok(Err(line.trim().chars().take(SHOWN).collect()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use stoke_gate::{Settings, job, waivers::Waivers};

    #[tokio::test]
    async fn a_chart_is_what_helm_makes_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let chart = directory.path().join("chart");
        put("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n");
        put("chart/values.yaml", "kind: Pod\nname: a\n");
        put(
            "chart/charts/sub/Chart.yaml",
            "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
        );
        put(
            "chart/templates/a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Values.name }}}\n",
        );
        let helm = |name: &str, script: &str| {
            let path = put(name, &format!("#!/bin/sh\n{script}\n"));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path.into_os_string()
        };
        let right = helm(
            "right",
            "echo 'apiVersion: v1'; echo 'kind: ConfigMap'; echo 'metadata: {nam: x}'",
        );
        let wrong = helm("wrong", "echo 'Error: values: name is required' >&2; exit 1");
        let rows = [
            (right.as_os_str(), "unknown-field", "nam"),
            (wrong.as_os_str(), "manifest-template", "name is required"),
            (OsStr::new("/nowhere/helm"), "manifest-template", "this is a template"),
        ];
        for (helm, code, words) in rows {
            let mut job = job::read(&[chart.clone()]).unwrap();
            assert_eq!(job.charts(), [chart.clone()]);
            render(&mut job, &[], helm).await;
            let report = stoke_gate::check(&job, &Settings::default(), &Waivers::default());
            let failing: Vec<_> = report
                .findings()
                .filter(|(_, one)| one.fails())
                .map(|(_, one)| one)
                .collect();
            assert!(
                failing
                    .iter()
                    .any(|one| one.code == code && one.message.contains(words)),
                "{helm:?}: {failing:#?}"
            );
            assert!(
                failing
                    .iter()
                    .all(|one| !one.file.ends_with("Chart.yaml") && !one.file.ends_with("values.yaml"))
            );
        }
    }
}
