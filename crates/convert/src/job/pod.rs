//! The pod template of a Job: the container that submits, and what the pod around it is for.

use serde_json::{Map, Value, json};
use stoke_diagnostics::{Place, Source};
use stoke_model::manifest::{Node, join, join_index};
use stoke_submit::argv::contents::local_path;
use stoke_submit::argv::{MemoryFiles, parse::is_program};

use crate::Options;
use crate::command::{self, Submitted};
use crate::configuration::{self, Setting};
use crate::report::Report;
use crate::shell::{Variables, Word};
use crate::target::Target;

/// Fields of a container that make the Spark container of a driver what it is, so that Spark and the application's fields say them.
const OF_SPARK: [&str; 6] = ["name", "image", "command", "args", "resources", "imagePullPolicy"];

/// What the container was found to run.
enum Program {
    Words(Vec<Word>),
    Script(String),
}

/// Converts the pod's one submission.
pub(super) fn convert(template: &Node, path: &str, options: &Options, report: &mut Report) -> Vec<Target> {
    let containers_path = format!("{path}.spec.containers");
    let containers = template.lookup("spec.containers").map(Node::items).unwrap_or_default();
    let found = containers.iter().enumerate().find_map(|(index, container)| {
        let environment = environment(container, options);
        Some((index, container, program(container, &environment)?, environment))
    });
    let Some((index, container, program, environment)) = found else {
        report.lost(
            template.place,
            path,
            "no container calls spark-submit",
            "convert Jobs whose `command` or `args` is spark-submit, or a shell with it in `-c`",
        );
        return Vec::new();
    };
    let path_of_container = join_index(&containers_path, index);
    let options = Options {
        environment: environment.clone(),
        ..options.clone()
    };
    let files = MemoryFiles {
        env: environment,
        ..MemoryFiles::default()
    };
    let place = ["args", "command"]
        .iter()
        .find_map(|field| container.entry(field))
        .map_or(container.place, |entry| entry.key_place);
    // Places inside a text of the manifest are not places of the manifest.
    report.pin(place, &path_of_container);
    let mut submissions = match program {
        Program::Words(words) => command::submission(&words, &files, &options, report)
            .into_iter()
            .collect(),
        Program::Script(text) => command::submissions(&Source::new("", &text), &files, &options, report),
    };
    report.unpin();
    if submissions.len() > 1 {
        report.lost(
            place,
            &path_of_container,
            "it submits several applications one after the other",
            "write a Job for each",
        );
    }
    let Some(mut submitted) = (!submissions.is_empty()).then(|| submissions.remove(0)) else {
        return Vec::new();
    };
    submitted.target.place = place;
    let image = container.get("image").and_then(Node::as_str).unwrap_or_default();
    files_of_the_image(&mut submitted, container, image, place, &path_of_container, report);
    if submitted.client {
        driver(&mut submitted, template, path, index, report);
    } else {
        submitter(template, path, index, report);
    }
    report.pin(place, &path_of_container);
    let target = command::complete(submitted, report);
    report.unpin();
    vec![target]
}

/// Variables of a container whose value is written there; what the options give wins.
fn environment(container: &Node, options: &Options) -> Variables {
    let mut variables = Variables::new();
    for variable in container.get("env").map(Node::items).unwrap_or_default() {
        let text = |field: &str| variable.get(field).and_then(Node::as_str);
        if let (Some(name), Some(value)) = (text("name"), text("value")) {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }
    variables.extend(options.environment.clone());
    variables
}

fn program(container: &Node, environment: &Variables) -> Option<Program> {
    let words: Vec<String> = ["command", "args"]
        .iter()
        .filter_map(|field| container.get(field))
        .flat_map(Node::items)
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect();
    let first = words
        .iter()
        .position(|word| word != "/opt/entrypoint.sh" && !word.ends_with("tini") && word != "--")?;
    let words = &words[first..];
    let program = words.first()?;
    let name = program.rsplit('/').next().unwrap_or(program);
    if matches!(name, "sh" | "bash" | "dash" | "ash") {
        let flag = words
            .iter()
            .position(|word| word.starts_with('-') && word.ends_with('c'))?;
        let script = words.get(flag + 1)?;
        return script.contains("spark-submit").then(|| Program::Script(script.clone()));
    }
    let place = Place::default();
    let word = |text: &String| {
        let (text, unresolved) = substituted(text, environment);
        Word {
            text,
            place,
            unresolved,
        }
    };
    if is_program(program) {
        return Some(Program::Words(words.iter().map(word).collect()));
    }
    // The image's own entrypoint: `driver` calls spark-submit in client mode.
    (program == "driver").then(|| {
        let client = ["spark-submit", "--deploy-mode", "client"].map(str::to_owned);
        Program::Words(client.iter().chain(&words[1..]).map(word).collect())
    })
}

/// `$(NAME)` as Kubernetes fills it in; what has no value stays and is listed. `$$(NAME)` means `$(NAME)` itself.
fn substituted(text: &str, environment: &Variables) -> (String, Vec<String>) {
    let (mut out, mut unresolved) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(literal) = rest.strip_prefix("$$") {
            out.push('$');
            rest = literal;
            continue;
        }
        let name = rest.strip_prefix("$(").and_then(|inner| inner.split_once(')'));
        match name {
            Some((name, after)) => {
                match environment.get(name) {
                    Some(value) => out.push_str(value),
                    None => {
                        out.push_str(&format!("$({name})"));
                        unresolved.push(format!("$({name})"));
                    }
                }
                rest = after;
            }
            None => {
                out.push('$');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    (out, unresolved)
}

/// Plain paths are paths in the Job's image: `local:` ones, when the driver has that image.
fn files_of_the_image(
    submitted: &mut Submitted,
    container: &Node,
    image: &str,
    place: Place,
    path: &str,
    report: &mut Report,
) {
    let (client, key) = (submitted.client, "spark.kubernetes.container.image");
    let of_driver = submitted
        .settings
        .get("spark.kubernetes.driver.container.image")
        .or_else(|| submitted.settings.get(key))
        .map(|setting| setting.value.clone());
    if client {
        // The driver ran in this very image.
        match of_driver {
            Some(of_driver) if of_driver != image && !image.is_empty() => {
                report.changed(
                    place,
                    path,
                    format!("the driver ran in the Job's image, `{image}`, executors in `{of_driver}`; so do they now"),
                    "",
                );
                submitted.settings.remove("spark.kubernetes.driver.container.image");
                submitted.target.set("driver.image", image);
            }
            None if !image.is_empty() => {
                let setting = Setting {
                    value: image.to_owned(),
                    place,
                    path: path.to_owned(),
                };
                submitted.settings.insert(key.to_owned(), setting);
            }
            _ => {}
        }
    } else if of_driver.as_deref() != Some(image) {
        return;
    }
    let mounts = container.get("volumeMounts").map(Node::items).unwrap_or_default();
    let mounted: Vec<&str> = mounts
        .iter()
        .filter_map(|mount| mount.get("mountPath")?.as_str())
        .collect();
    let in_image = |uri: &str| -> Option<String> {
        let file = local_path(uri).filter(|file| file.starts_with('/'))?;
        let on_volume = mounted.iter().any(|directory| file.starts_with(directory));
        (client || !on_volume).then(|| format!("local://{file}"))
    };
    if let Some(local) = submitted
        .target
        .get("mainApplicationFile")
        .and_then(Value::as_str)
        .and_then(in_image)
    {
        submitted.target.set("mainApplicationFile", local);
    }
    for key in ["spark.jars", "spark.files", "spark.submit.pyFiles", "spark.archives"] {
        if let Some(setting) = submitted.settings.get_mut(key) {
            let items = setting.value.split(',').map(str::trim);
            let items: Vec<String> = items
                .map(|item| in_image(item).unwrap_or_else(|| item.to_owned()))
                .collect();
            setting.value = items.join(",");
        }
    }
}

/// Client mode: the pod was the driver, so its template is the driver's.
fn driver(submitted: &mut Submitted, template: &Node, path: &str, index: usize, report: &mut Report) {
    let mut pod = template.to_value();
    let target = &mut submitted.target;
    let spec_path = join(path, "spec");
    let place = |field: &str| template.place_of(&format!("spec.{field}"));
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    for account in ["serviceAccountName", "serviceAccount"] {
        if let Some(Value::String(account)) = spec.shift_remove(account) {
            target.set("driver.serviceAccount", account);
            submitted
                .settings
                .remove("spark.kubernetes.authenticate.driver.serviceAccountName");
        }
    }
    if let Some(Value::Array(secrets)) = spec.shift_remove("imagePullSecrets") {
        let names: Vec<Value> = secrets
            .iter()
            .filter_map(|secret| secret.get("name").cloned())
            .collect();
        target.set("imagePullSecrets", names);
    }
    // Retries are the application's.
    spec.shift_remove("restartPolicy");
    if spec.shift_remove("activeDeadlineSeconds").is_some() {
        report.lost(
            place("activeDeadlineSeconds"),
            &join(&spec_path, "activeDeadlineSeconds"),
            "a deadline of the pod ends the driver without a word about why",
            "write the annotation stoke.dev/active-deadline-seconds",
        );
    }
    if let Some(Value::Array(containers)) = spec.get_mut("containers") {
        let mut container = containers.remove(index);
        let container_path = join_index(&join(&spec_path, "containers"), index);
        if let Some(fields) = container.as_object_mut() {
            resources(
                fields,
                &container_path,
                place(&format!("containers[{index}].resources")),
                report,
            );
            if let Some(Value::String(policy)) = fields.get("imagePullPolicy") {
                target.set("imagePullPolicy", policy.as_str());
            }
            fields.retain(|field, _| !OF_SPARK.contains(&field.as_str()));
            if !fields.is_empty() {
                let mut named = Map::from_iter([("name".to_owned(), json!(stoke_model::names::DRIVER_CONTAINER))]);
                named.extend(std::mem::take(fields));
                containers.insert(0, Value::Object(named));
            }
        }
        if containers.is_empty() {
            spec.shift_remove("containers");
        }
    }
    if spec.is_empty()
        && let Some(pod) = pod.as_object_mut()
    {
        pod.shift_remove("spec");
    }
    if let Some(metadata) = pod.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()));
    }
    let bare = pod
        .as_object()
        .is_none_or(|pod| pod.values().all(|value| value.as_object().is_some_and(Map::is_empty)));
    if !bare {
        target.set("driver.template", configuration::template(&pod));
    }
}

fn resources(container: &Map<String, Value>, path: &str, place: Place, report: &mut Report) {
    if container.contains_key("resources") {
        report.changed(
            place,
            &join(path, "resources"),
            "CPUs and memory of a driver are those of spark.driver.cores, spark.driver.memory and its overhead",
            "set driver.cores, driver.memory, driver.coreRequest and driver.coreLimit",
        );
    }
}

/// Cluster mode: the pod only submitted. What made it is not needed, and what of it the driver may want is said.
fn submitter(template: &Node, path: &str, index: usize, report: &mut Report) {
    let spec = template.get("spec").map(Node::entries).unwrap_or_default();
    for entry in template
        .entries()
        .iter()
        .filter(|entry| entry.key != "spec" && !Report::is_empty(&entry.value))
    {
        idle(&join(path, &entry.key), entry.key_place, &entry.key, "", report);
    }
    let spec_path = join(path, "spec");
    for entry in spec.iter().filter(|entry| !Report::is_empty(&entry.value)) {
        let inner = join(&spec_path, &entry.key);
        match entry.key.as_str() {
            "restartPolicy" => {}
            "containers" => {
                for (position, container) in entry.value.items().iter().enumerate() {
                    let inner = join_index(&inner, position);
                    if position == index {
                        of_container(container, &inner, report);
                    } else {
                        report.lost(
                            container.place,
                            &inner,
                            "a container beside the one that submits",
                            "make it one of driver.sidecars",
                        );
                    }
                }
            }
            "initContainers" => report.lost(
                entry.key_place,
                &inner,
                "what ran before the submission runs before nothing now",
                "make them driver.initContainers",
            ),
            "serviceAccountName" | "serviceAccount" => {
                idle(
                    &inner,
                    entry.key_place,
                    &entry.key,
                    "the driver's is driver.serviceAccount",
                    report,
                );
            }
            "volumes" => idle(
                &inner,
                entry.key_place,
                &entry.key,
                "the driver's are spec.volumes and driver.volumeMounts",
                report,
            ),
            "nodeSelector" | "tolerations" | "affinity" | "priorityClassName" | "securityContext"
            | "imagePullSecrets" => {
                idle(
                    &inner,
                    entry.key_place,
                    &entry.key,
                    "the driver and the executors have fields of their own for it",
                    report,
                );
            }
            _ => idle(&inner, entry.key_place, &entry.key, "", report),
        }
    }
}

fn of_container(container: &Node, path: &str, report: &mut Report) {
    for entry in container
        .entries()
        .iter()
        .filter(|entry| !Report::is_empty(&entry.value))
    {
        let inner = join(path, &entry.key);
        match entry.key.as_str() {
            "name" | "command" | "args" => {}
            "env" | "envFrom" => idle(
                &inner,
                entry.key_place,
                &entry.key,
                "spark-submit passes no variables on; if the application needs them, write driver.env and executor.env",
                report,
            ),
            "image" => idle(
                &inner,
                entry.key_place,
                &entry.key,
                "the application's is spark.kubernetes.container.image",
                report,
            ),
            _ => idle(&inner, entry.key_place, &entry.key, "", report),
        }
    }
}

fn idle(path: &str, place: Place, what: &str, fix: &str, report: &mut Report) {
    let message = format!("`{what}` was for the pod that submitted, and there is none any more");
    report.idle(place, path, message, fix);
}
