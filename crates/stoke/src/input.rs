//! A manifest as the user gave it: read, checked, adjusted by `--set` and `--conf`, its local files found.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::{self, Document};
use stoke_model::units::people::counted;
use stoke_submit::argv::contents::local_path;

use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// A checked manifest.
#[derive(Clone)]
pub struct Manifest {
    /// Its documents in order.
    pub documents: Vec<Document>,
    /// Directory that relative paths in it start from.
    directory: PathBuf,
}

/// Changes asked for on the command line.
pub struct Changes<'a> {
    /// `path=value`, the path dotted, a dot inside a key written `\.`.
    pub set: &'a [String],
    /// `key=value` for `spec.sparkConf`.
    pub conf: &'a [String],
    /// Another name for the application.
    pub name: Option<&'a str>,
}

/// Reads and checks a manifest; `-` is standard input. Complaints are printed, an error among them is a failure.
pub fn read(file: &str, changes: &Changes<'_>, terminal: &mut Terminal) -> Outcome<Manifest> {
    let (source, text, directory) = if file == "-" {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text)?;
        ("<stdin>".to_string(), text, std::env::current_dir()?)
    } else {
        let text = std::fs::read(file).map_err(|error| {
            Failure::input("stoke::manifest::unreadable", format!("{file}: {error}"))
                .fix("give the path of a manifest, or `-` for standard input")
        })?;
        let directory = Path::new(file)
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        (file.to_string(), text, std::path::absolute(directory)?)
    };
    let (mut documents, complaints) = manifest::check_bytes(&source, &text);
    report(&complaints, terminal)?;
    if documents.iter().all(|document| document.kind != "SparkApplication") {
        for told in documents.iter_mut().filter_map(run_of_schedule) {
            terminal.note(told);
        }
    }
    for document in documents
        .iter_mut()
        .filter(|document| document.kind == "SparkApplication")
    {
        change(document, changes)?;
    }
    let changed = !changes.set.is_empty() || !changes.conf.is_empty() || changes.name.is_some();
    if changed {
        for document in &documents {
            let (_, complaints) = manifest::check("--set", &document.value.to_string());
            let errors: Vec<Diagnostic> = complaints
                .into_iter()
                .filter(|c| c.severity == Severity::Error)
                .collect();
            report(&errors, terminal)?;
        }
    }
    Ok(Manifest { documents, directory })
}

/// Makes a schedule the application that one run of it is, and says so; none for what is not a schedule.
fn run_of_schedule(document: &mut Document) -> Option<String> {
    if document.kind != "ScheduledSparkApplication" {
        return None;
    }
    let value = &mut document.value;
    let schedule = value["spec"]["schedule"].as_str().unwrap_or_default().to_owned();
    value["kind"] = "SparkApplication".into();
    value["spec"] = value["spec"]["template"].take();
    if let Some(whole) = value.as_object_mut() {
        whole.remove("status");
    }
    document.kind = "SparkApplication".into();
    Some(format!(
        "{} is a schedule ({schedule}): its template runs once, now; the schedule itself is made with `kubectl apply -f`",
        document.name
    ))
}

/// Prints complaints; an error among them is a failure.
pub fn report(complaints: &[Diagnostic], terminal: &mut Terminal) -> Outcome<()> {
    let errors = complaints
        .iter()
        .filter(|complaint| complaint.severity == Severity::Error)
        .count();
    if terminal.format() == Format::Json && errors > 0 {
        let value = serde_json::to_value(complaints).unwrap_or_default();
        terminal.json(&serde_json::json!({ "complaints": value }));
    } else {
        for complaint in complaints {
            terminal.note(complaint.render());
        }
    }
    match errors {
        0 => Ok(()),
        _ => Err(Failure::input(
            "stoke::manifest::refused",
            format!("the manifest has {}; nothing was created", counted(errors, "error")),
        )),
    }
}

fn change(document: &mut Document, changes: &Changes<'_>) -> Outcome<()> {
    for assignment in changes.conf {
        let (key, value) = split(assignment, "--conf")?;
        set(
            &mut document.value,
            &["spec".into(), "sparkConf".into(), key.to_string()],
            Value::String(value.to_string()),
            assignment,
        )?;
    }
    for assignment in changes.set {
        let (path, value) = split(assignment, "--set")?;
        let path = keys(path);
        let in_conf = path
            .iter()
            .any(|key| key == "sparkConf" || key == "hadoopConf" || key == "labels" || key == "annotations");
        // Maps of strings keep text as text; elsewhere a value is read as YAML would read it.
        let value = if in_conf {
            Value::String(value.to_string())
        } else {
            serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_string()))
        };
        set(&mut document.value, &path, value, assignment)?;
    }
    if let Some(name) = changes.name {
        set(
            &mut document.value,
            &["metadata".into(), "name".into()],
            Value::String(name.to_string()),
            name,
        )?;
        document.name = name.to_string();
    }
    Ok(())
}

fn split<'a>(assignment: &'a str, option: &str) -> Outcome<(&'a str, &'a str)> {
    assignment
        .split_once('=')
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| {
            Failure::input("stoke::cli::assignment", format!("{option} {assignment}: no `=`")).fix(format!(
                "write {option} PATH=VALUE, for example --set spec.executor.instances=2"
            ))
        })
}

/// Keys of a dotted path; `\.` is a dot inside a key.
fn keys(path: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        let last = keys.len() - 1;
        match character {
            '.' => keys.push(String::new()),
            '\\' => keys[last].extend(characters.next()),
            other => keys[last].push(other),
        }
    }
    keys
}

fn set(target: &mut Value, path: &[String], value: Value, assignment: &str) -> Outcome<()> {
    let wrong = |what: String| Failure::input("stoke::cli::path", format!("{assignment}: {what}"));
    let Some((key, rest)) = path.split_first() else {
        *target = value;
        return Ok(());
    };
    if target.is_null() {
        *target = Value::Object(serde_json::Map::new());
    }
    match target {
        Value::Object(map) => set(map.entry(key.clone()).or_insert(Value::Null), rest, value, assignment),
        Value::Array(list) => {
            let length = list.len();
            let index: usize = key
                .parse()
                .map_err(|_| wrong(format!("`{key}` is not an index of a list")))?;
            let item = list
                .get_mut(index)
                .ok_or_else(|| wrong(format!("the list has {length} items, no item {index}")))?;
            set(item, rest, value, assignment)
        }
        _ => Err(wrong(format!("`{key}` lies below a value that has no fields"))),
    }
}

/// Where an embedded cluster's pods see uploaded files.
const UPLOADS_IN_POD: &str = "/var/lib/stoke/uploads";

impl Manifest {
    pub fn applications(&self) -> impl Iterator<Item = &Document> {
        self.documents
            .iter()
            .filter(|document| document.kind == "SparkApplication")
    }

    /// Images of its applications, each once.
    pub fn images(&self) -> Vec<String> {
        let mut images = Vec::new();
        for application in self.applications() {
            for path in ["/spec/image", "/spec/driver/image", "/spec/executor/image"] {
                let image = application.value.pointer(path).and_then(Value::as_str);
                images.extend(
                    image
                        .filter(|image| !images.iter().any(|known| known == image))
                        .map(str::to_string),
                );
            }
        }
        images
    }

    /// Whether an application says that its image is not to be fetched.
    pub fn never_pulls(&self) -> bool {
        let mut policies = self
            .applications()
            .map(|application| application.value.pointer("/spec/imagePullPolicy"));
        policies.any(|policy| policy.and_then(Value::as_str) == Some("Never"))
    }

    /// Copies local files that applications name into `uploads` (addressed by content) and names them as pods see them. With no
    /// `uploads` (another cluster) a local file is an error.
    pub fn upload(&mut self, uploads: Option<&Path>) -> Outcome<()> {
        let directory = self.directory.clone();
        for document in self
            .documents
            .iter_mut()
            .filter(|document| document.kind == "SparkApplication")
        {
            for file in local_files(&mut document.value) {
                let Some(path) = file.as_str().and_then(local_path) else {
                    continue;
                };
                let path = directory.join(path);
                if !path.is_file() {
                    return Err(Failure::input("stoke::manifest::file-missing", format!("{}: the manifest names this file and it is not there", path.display()))
                        .fix("paths without a scheme start from the manifest's directory; a file inside the image is named `local:///path`"));
                }
                let Some(uploads) = uploads else {
                    return Err(Failure::input(
                        "stoke::manifest::file-local",
                        format!("{} lies on this machine and the cluster cannot read it", path.display()),
                    )
                    .fix(
                        "put it where the cluster's pods can read it (an image, s3a://, https://) and name it there",
                    ));
                };
                *file = Value::String(store(&path, uploads)?);
            }
        }
        Ok(())
    }
}

/// Every value that names a file an application needs.
fn local_files(application: &mut Value) -> Vec<&mut Value> {
    let Some(spec) = application.get_mut("spec").and_then(Value::as_object_mut) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for (key, value) in spec.iter_mut() {
        match (key.as_str(), value) {
            ("mainApplicationFile", value) => files.push(value),
            ("deps", Value::Object(deps)) => {
                let lists = deps
                    .iter_mut()
                    .filter(|(key, _)| matches!(key.as_str(), "jars" | "files" | "pyFiles" | "archives"));
                files.extend(lists.filter_map(|(_, list)| list.as_array_mut()).flatten());
            }
            _ => {}
        }
    }
    files
}

fn store(path: &Path, uploads: &Path) -> Outcome<String> {
    let mut file = std::fs::File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
    }
    let digest: String = digest
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let directory = uploads.join(&digest);
    let target = directory.join(&name);
    if !target.exists() {
        std::fs::create_dir_all(&directory)?;
        let partial = directory.join(format!(".{name}.{}", std::process::id()));
        std::fs::copy(path, &partial)?;
        std::fs::rename(&partial, &target)?;
    }
    Ok(format!("local://{UPLOADS_IN_POD}/{digest}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_reach_into_maps_and_lists() {
        let mut value = json!({"spec": {"arguments": ["1"], "sparkConf": {}}});
        set(&mut value, &keys("spec.arguments.0"), json!("2"), "").unwrap();
        set(
            &mut value,
            &keys(r"spec.sparkConf.spark\.executor\.cores"),
            json!("3"),
            "",
        )
        .unwrap();
        set(&mut value, &keys("spec.executor.instances"), json!(4), "").unwrap();
        assert_eq!(
            value,
            json!({"spec": {"arguments": ["2"], "sparkConf": {"spark.executor.cores": "3"}, "executor": {"instances": 4}}})
        );
        assert!(
            set(&mut value, &keys("spec.arguments.7"), json!(1), "x")
                .unwrap_err()
                .diagnostic
                .message
                .contains("no item 7")
        );
        assert!(set(&mut value, &keys("spec.arguments.0.x"), json!(1), "x").is_err());
    }

    #[test]
    fn a_schedule_is_run_as_its_template() {
        let text = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: ScheduledSparkApplication\nmetadata: {name: nightly, namespace: jobs}\nspec:\n  \
            schedule: '0 2 * * *'\n  template: {type: Python, mainApplicationFile: 'local:///a.py'}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
        let (mut documents, _) = manifest::check("a.yaml", text);
        let told = run_of_schedule(&mut documents[0]).unwrap();
        assert!(
            told.contains("nightly is a schedule (0 2 * * *): its template runs once, now"),
            "{told}"
        );
        assert_eq!(run_of_schedule(&mut documents[1]), None);
        assert_eq!(
            documents[0].value,
            json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication",
                "metadata": {"name": "nightly", "namespace": "jobs"}, "spec": {"type": "Python", "mainApplicationFile": "local:///a.py"}})
        );
        assert_eq!(
            (documents[0].kind.as_str(), documents[0].name.as_str()),
            ("SparkApplication", "nightly")
        );
    }

    #[test]
    fn only_files_of_this_machine_are_local() {
        let cases = [
            ("job.py", Some("job.py")),
            ("dir/job.py", Some("dir/job.py")),
            ("file:///x/job.py", Some("/x/job.py")),
            ("file:/x/job.py", Some("/x/job.py")),
            ("local:///x/job.py", None),
            ("s3a://bucket/job.py", None),
            ("https://host/job.py", None),
            ("", None),
        ];
        for (uri, path) in cases {
            assert_eq!(local_path(uri), path, "{uri}");
        }
    }
}
