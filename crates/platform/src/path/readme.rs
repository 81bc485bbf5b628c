//! The README of a job directory.

use std::fmt::Write;

use super::Path;
use crate::preset::{Resolved, shown};

/// What someone who opens the directory reads first.
pub(super) fn text(path: Path, name: &str, preset: &Resolved) -> String {
    let mut text = format!(
        "# {name}\n\nThis job {}. It began as the golden path `{}` of Stoke.\n\n",
        path.about, path.name
    );
    text.push_str("```sh\nstoke check . --strict     # every reason it would fail, before it runs\nstoke check . --tests      # its tests, with its own Spark\n");
    if path.is_server() {
        let _ = write!(
            text,
            "stoke up --detach\nkubectl --kubeconfig \"$(stoke kubeconfig --path)\" apply -f app.yaml\nstoke sql --server {name} \"SELECT 1\"\nstoke connect {name} -- python explore.py\n```\n\nIt is a server, so that `stoke run` does not run it.\n"
        );
    } else {
        text.push_str("stoke run app.yaml         # on a cluster inside this process, with real Spark\n```\n");
    }
    if path.name == "gpu" {
        text.push_str(
            "\n## Without a GPU\n\nThe check and the tests need none. `stoke run` starts the driver; executors ask for `nvidia.com/gpu`, which no node of the embedded cluster offers, so that they stay \
             pending and the run says so until it is ended (`--timeout 2m` ends it). On a cluster with GPUs: `stoke run app.yaml --context NAME`.\n",
        );
        if !preset.keys.iter().any(|key| key.key == "spark.plugins") {
            let _ = writeln!(
                text,
                "\nSQL does not run on the GPU here: which build of the RAPIDS Accelerator fits Spark {} is not known to Stoke. The preset for Spark 3.5 has it.",
                preset.spark
            );
        }
    }
    text.push_str("\n## Files\n\n| file | what it is |\n|---|---|\n");
    let mut rows = vec![(
        "app.yaml",
        "the application with every key that is in force; sizes of a laptop",
    )];
    match path.name {
        "interactive" => rows.push(("explore.py", "what a notebook begins with")),
        "sql" => rows.extend([("report.sql", "the statements"), ("job.py", "what runs them")]),
        _ => rows.push(("job.py", "the code: functions from frames to frames, and `main`")),
    }
    rows.extend([
        ("tests/", "tests of the functions; `pytest` runs them as well"),
        ("requirements.txt", "the Spark of the tests"),
    ]);
    if !path.is_server() {
        rows.push(("environments.yaml", "where releases go, with the sizes of a cluster"));
    }
    for (file, what) in rows {
        let _ = writeln!(text, "| `{file}` | {what} |");
    }
    if !matches!(path.name, "gpu" | "interactive") {
        let _ = write!(
            text,
            "\nThe ConfigMap `{name}-contracts` in `app.yaml` is the contract of what is written. The run is held against it when its driver has ended; a contract that does not hold fails the run.\n"
        );
    }
    let _ = write!(
        text,
        "\n## Preset\n\n`app.yaml` was written with `{}` for Spark {}. Nothing is looked up when it runs; `stoke.dev/preset` says what `stoke check` holds it against.\n\n```sh\nstoke preset explain {}      # why each key is there, and what it changes\nstoke preset diff {} -f app.yaml\n```\n",
        preset.preset, preset.spark, preset.preset, preset.preset
    );
    if let Some(claim) = &preset.claim {
        let _ = write!(text, "\n{claim}.\n");
    }
    if !preset.asks.is_empty() {
        text.push_str("\nLeft out until you say what they are:\n\n");
        for asked in &preset.asks {
            let _ = writeln!(
                text,
                "- `stoke preset apply {} -f app.yaml --write --with {}=…`: {}",
                preset.preset, asked.name, asked.about
            );
        }
    }
    let sizes = ["driver.memory", "executor.memory", "server.memory"];
    let told: Vec<String> = preset
        .keys
        .iter()
        .filter(|key| sizes.contains(&key.key.as_str()))
        .map(|key| format!("`{}` {}", key.key, shown(&key.value)))
        .collect();
    if !told.is_empty() {
        let _ = write!(
            text,
            "\nOn a cluster: {}. `stoke size` measures what the job needs once it has run.\n",
            told.join(", ")
        );
    }
    text
}
