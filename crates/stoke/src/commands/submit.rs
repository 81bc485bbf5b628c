//! `stoke submit`: spark-submit's own arguments, without a JVM.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stoke_laptop::apply;
use stoke_laptop::home::Home;
use stoke_laptop::images::ensure;
use stoke_laptop::interrupt::interrupted;
use stoke_laptop::machine::Machine;
use stoke_laptop::session::{self, Session};
use stoke_submit::argv::{self, spark_version_of_image};
use stoke_submit::{ExecutorPod, ExecutorRequest, Identity, SparkVersion, Submission, SubmitRequest, plan};

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// Arguments of `stoke submit`.
#[derive(clap::Args)]
#[command(
    disable_help_flag = true,
    override_usage = "stoke submit [--dry-run] [--executors] [--output json|yaml] [--context NAME] <spark-submit arguments>",
    after_help = "\
Every option of spark-submit is understood; `stoke submit --help` after these lists them. The Spark version whose rules apply is
STOKE_SPARK_VERSION, else the tag of spark.kubernetes.container.image, else the newest known. With no --master the embedded cluster
(`stoke up`) is used; with --master k8s://URL the current context of your kubeconfig gives the credentials, as for spark-submit."
)]
pub struct Arguments {
    /// spark-submit's arguments, and `--dry-run`, `--executors`, `--output`, `--context` before them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0.., value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// Our own options, taken from before the main resource.
#[derive(Debug, Default, PartialEq)]
struct Own {
    dry_run: bool,
    executors: bool,
    yaml: bool,
    json: bool,
    context: Option<String>,
    home: Option<PathBuf>,
    rest: Vec<String>,
}

/// Parts our options from spark-submit's; whatever follows the main resource belongs to the application.
fn own_options(arguments: Vec<String>) -> Outcome<Own> {
    let mut own = Own::default();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_string(), Some(value.to_string())),
            _ => (argument.clone(), None),
        };
        let mut value = |inline: Option<String>| {
            inline
                .or_else(|| arguments.next())
                .ok_or_else(|| Failure::input("stoke::submit::value", format!("{name} needs a value")))
        };
        match name.as_str() {
            "--dry-run" => own.dry_run = true,
            "--executors" => own.executors = true,
            "--context" => own.context = Some(value(inline)?),
            "--home" => own.home = Some(value(inline)?.into()),
            "--output" | "-o" => match value(inline)?.as_str() {
                "json" => own.json = true,
                "yaml" => own.yaml = true,
                "text" => {}
                other => {
                    return Err(
                        Failure::input("stoke::submit::output", format!("--output {other}: unknown form"))
                            .fix("json, yaml or text"),
                    );
                }
            },
            _ => {
                own.rest.push(argument.clone());
                let option = argv::options::find(&name);
                if option.is_some_and(|option| option.takes_value()) && inline.is_none() {
                    own.rest.extend(arguments.next());
                } else if !name.starts_with('-') && !name.ends_with("spark-submit") {
                    own.rest.extend(arguments.by_ref());
                }
            }
        }
    }
    Ok(own)
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let own = own_options(arguments.arguments)?;
    if let Some(home) = &own.home {
        context.home = Home::find(Some(home.clone()))?;
        context.home.create()?;
    }
    if own.json {
        context.terminal = Terminal::new(Format::Json);
    }
    let version = version(&own.rest)?;
    let line = argv::parse::parse(&own.rest, &version).map_err(argument_failure)?;
    match line.action {
        argv::Action::Submit => {}
        argv::Action::Help => {
            context.terminal.out(help(&version));
            return Ok(0);
        }
        other => return Err(argument_failure(argv::ArgvError::NotASubmission { action: other })),
    }
    let given_master = line.value("--master").map(str::to_string);
    let mut arguments = own.rest.clone();
    if own.dry_run {
        return dry_run(
            &own,
            &version,
            with_master(
                arguments,
                given_master.as_deref(),
                "k8s://https://kubernetes.default.svc",
            ),
            context,
        );
    }
    let target = Target {
        context: own.context.clone(),
        namespace: None,
    };
    let session = match &given_master {
        Some(master) if own.context.is_none() => by_master(master).await?,
        _ => session::open(&context.home, &target.cluster()).await?,
    };
    arguments = with_master(
        arguments,
        given_master.as_deref(),
        "k8s://https://kubernetes.default.svc",
    );
    let read = argv::read_arguments(&arguments, &Machine, &version, fresh_identity()).map_err(argument_failure)?;
    let mut request = read.request;
    let uploads = session.uploads(&context.home).filter(|_| given_master.is_none());
    if uploads.is_some() {
        let key = "spark.kubernetes.file.upload.path";
        request
            .conf
            .entry(key.into())
            .or_insert_with(|| "file:///var/lib/stoke/uploads".into());
        if let Some(image) = image(&request) {
            ensure(&context.home, &image, &mut context.terminal).await?;
        }
    }
    for warning in &read.warnings {
        context.terminal.note(format!("warning: {warning}"));
    }
    let submission = plan(&request).map_err(plan_failure)?;
    for warning in &submission.warnings {
        context.terminal.note(format!("warning: {warning}"));
    }
    upload(&submission, uploads.as_deref())?;
    let pod = create(&session.client, &submission).await?;
    let wait = request
        .conf
        .get("spark.kubernetes.submission.waitAppCompletion")
        .is_none_or(|value| value.trim() != "false");
    report(&submission, wait, &mut context.terminal);
    if wait {
        wait_for(&session.client, &pod, &mut context.terminal).await
    } else {
        Ok(0)
    }
}

/// Whose rules apply: `STOKE_SPARK_VERSION`, else the image's tag, else the newest known.
fn version(arguments: &[String]) -> Outcome<SparkVersion> {
    if let Some(text) = std::env::var("STOKE_SPARK_VERSION")
        .ok()
        .filter(|text| !text.is_empty())
    {
        return text
            .parse()
            .map_err(|error| Failure::input("stoke::submit::version", format!("STOKE_SPARK_VERSION: {error}")));
    }
    let images = arguments
        .iter()
        .filter_map(|argument| argument.split_once(".container.image="))
        .map(|(_, image)| image);
    let tagged = images.filter_map(spark_version_of_image).next();
    Ok(tagged.unwrap_or_else(|| SparkVersion::new(4, 3, 0)))
}

/// spark-submit insists on a master; ours has a default.
fn with_master(mut arguments: Vec<String>, given: Option<&str>, default: &str) -> Vec<String> {
    if given.is_none() {
        let first = usize::from(arguments.first().is_some_and(|first| first.ends_with("spark-submit")));
        arguments.splice(first..first, ["--master".to_string(), default.to_string()]);
    }
    arguments
}

fn help(version: &SparkVersion) -> String {
    let known = argv::options::OPTIONS.iter().filter(|option| option.known_to(version));
    let lines = known.map(|option| format!("  {:<24} {}", option.name, option.key.unwrap_or_default()));
    let head = format!(
        "stoke submit [--dry-run] [--executors] [--output json|yaml] [--context NAME] <spark-submit arguments>\n\nOptions of spark-submit {version}, and the key each sets:\n"
    );
    head + &lines.collect::<Vec<_>>().join("\n")
}

fn dry_run(own: &Own, version: &SparkVersion, arguments: Vec<String>, context: &mut Context) -> Outcome<u8> {
    // Equal command lines give equal objects, so that two dry runs can be compared.
    let seed: String = Sha256::digest(arguments.join("\0"))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let read =
        argv::read_arguments(&arguments, &Machine, version, Identity::derive(&seed, 1)).map_err(argument_failure)?;
    let submission = plan(&read.request).map_err(plan_failure)?;
    let mut list = submission.to_list();
    if own.executors {
        let executor = executor(&read.request, &submission, version)?;
        if let Some(items) = list.get_mut("items").and_then(Value::as_array_mut) {
            items.extend(executor.claims);
            items.push(executor.pod);
        }
    }
    for warning in read.warnings.iter().chain(&submission.warnings) {
        context.terminal.note(format!("warning: {warning}"));
    }
    if own.yaml || !own.json {
        let text = serde_saphyr::to_string(&list).map_err(|error| Failure::environment("stoke::yaml", error))?;
        context.terminal.out(text.trim_end());
    } else {
        context.terminal.json(&list);
    }
    Ok(0)
}

/// The first executor pod that the driver would create.
fn executor(request: &SubmitRequest, submission: &Submission, version: &SparkVersion) -> Outcome<ExecutorPod> {
    let executor = ExecutorRequest {
        executor_id: "1".into(),
        driver_pod: Some((submission.driver_pod_name.clone(), String::new())),
        driver_bind_address: None,
        user: request.user.clone(),
        prefix_uid: request.identity.resource_uid.clone(),
        config_map_uid: request.identity.config_map_uid.clone(),
        local_dir_uuid: request.identity.local_dir_uuid.clone(),
        template: request.files.executor_template.clone(),
        spark_conf_dir: request.files.spark_conf_dir.clone(),
        environment: BTreeMap::new(),
        auth_secret: None,
    };
    stoke_submit::executor_pod(version, &submission.properties, &executor).map_err(plan_failure)
}

fn fresh_identity() -> Identity {
    // A submission from the command line is new every time, as spark-submit's is.
    let now = jiff::Timestamp::now().as_nanosecond();
    Identity::derive(&format!("{now}/{}", std::process::id()), 1)
}

fn image(request: &SubmitRequest) -> Option<String> {
    let keys = [
        "spark.kubernetes.driver.container.image",
        "spark.kubernetes.container.image",
    ];
    keys.iter().find_map(|key| request.conf.get(*key)).cloned()
}

fn argument_failure(error: argv::ArgvError) -> Failure {
    Failure::input(error.code(), error)
}

fn plan_failure(error: stoke_submit::PlanError) -> Failure {
    Failure::input(error.code(), error)
}

/// The cluster at a master URL, with the credentials of the current context.
async fn by_master(master: &str) -> Outcome<Session> {
    let url = master.strip_prefix("k8s://").ok_or_else(|| {
        Failure::input(
            "stoke::submit::master",
            format!("--master {master}: not a Kubernetes master"),
        )
        .fix("write k8s://https://HOST:PORT, or leave --master out for the embedded cluster")
    })?;
    let url = if url.contains("://") {
        url.to_string()
    } else {
        format!("https://{url}")
    };
    let mut config = kube::Config::infer().await.map_err(|error| {
        Failure::environment(
            "stoke::submit::credentials",
            format!("no credentials for {url}: {error}"),
        )
        .fix("set KUBECONFIG, or name a context with --context")
    })?;
    config.cluster_url = url
        .parse()
        .map_err(|error| Failure::input("stoke::submit::master", format!("--master {master}: {error}")))?;
    let namespace = config.default_namespace.clone();
    Ok(Session {
        client: Client::try_from(config)?,
        namespace,
        place: session::Place::Context(url),
    })
}

fn upload(submission: &Submission, uploads: Option<&std::path::Path>) -> Outcome<()> {
    for file in &submission.uploads {
        let inside = file
            .to
            .strip_prefix("file:///var/lib/stoke/uploads/")
            .or_else(|| file.to.strip_prefix("file:/var/lib/stoke/uploads/"));
        let (Some(uploads), Some(inside)) = (uploads, inside) else {
            return Err(Failure::input(
                "stoke::submit::upload",
                format!(
                    "{} would have to be copied to {}, which needs Hadoop's file systems",
                    file.from, file.to
                ),
            )
            .fix("copy it there yourself and name the URI in its place"));
        };
        let target = uploads.join(inside);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::copy(&file.from, &target)
            .map_err(|error| Failure::input("stoke::submit::file", format!("{}: {error}", file.from)))?;
    }
    Ok(())
}

/// Creates the objects in spark-submit's order; when one is refused the driver pod is removed again.
async fn create(client: &Client, submission: &Submission) -> Outcome<Pod> {
    let namespace = &submission.namespace;
    for object in &submission.pre_resources {
        apply::apply(client, namespace, object).await?;
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    // The raw object is sent: `env` may hold a name twice, and empty fields count.
    let raw: DynamicObject = serde_json::from_value(submission.driver_pod.clone())
        .map_err(|error| Failure::environment("stoke::submit::pod", error))?;
    let dynamic: Api<DynamicObject> = Api::namespaced_with(
        client.clone(),
        namespace,
        &kube::discovery::ApiResource::erase::<Pod>(&()),
    );
    let created = dynamic.create(&PostParams::default(), &raw).await?;
    let uid = created.uid().unwrap_or_default();
    for object in submission.owned(&uid) {
        if let Err(failure) = apply::apply(client, namespace, &object).await {
            let _ = pods
                .delete(&submission.driver_pod_name, &kube::api::DeleteParams::default())
                .await;
            return Err(failure.into());
        }
    }
    Ok(pods.get(&submission.driver_pod_name).await?)
}

fn report(submission: &Submission, wait: bool, terminal: &mut Terminal) {
    let name = &submission.driver_pod_name;
    match terminal.format() {
        Format::Json => terminal.json(&json!({ "driverPod": name, "namespace": submission.namespace, "applicationId": submission.application_id })),
        Format::Text => {
            terminal.out(format!("pod/{name} created in {}, application id {}", submission.namespace, submission.application_id));
            if !wait {
                terminal.out(format!("follow it with `kubectl logs -f {name}`"));
            }
        }
    }
}

/// Waits for the driver's end, saying each phase; exit code of the driver.
async fn wait_for(client: &Client, pod: &Pod, terminal: &mut Terminal) -> Outcome<u8> {
    let name = pod.name_any();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let mut events = watcher(
        pods,
        watcher::Config::default().fields(&format!("metadata.name={name}")),
    )
    .boxed();
    let mut shown = String::new();
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            result = interrupted() => {
                result?;
                terminal.note(format!("stopped waiting; the application goes on: `kubectl logs -f {name}`"));
                return Ok(130);
            }
        };
        match event {
            Some(Ok(Event::Apply(pod) | Event::InitApply(pod))) => {
                let status = pod.status.clone().unwrap_or_default();
                let phase = status.phase.clone().unwrap_or_default();
                if phase != shown {
                    terminal.note(format!("{name}: {phase}"));
                    shown.clone_from(&phase);
                }
                match phase.as_str() {
                    "Succeeded" => return Ok(0),
                    "Failed" => {
                        let ended = status
                            .container_statuses
                            .iter()
                            .flatten()
                            .find_map(|c| c.state.as_ref()?.terminated.clone());
                        let code = ended.as_ref().map_or(1, |ended| ended.exit_code);
                        let reason = ended
                            .and_then(|ended| ended.reason)
                            .or(status.reason)
                            .unwrap_or_default();
                        terminal.note(format!(
                            "driver ended with exit code {code} {reason}; its log: `kubectl logs {name}`"
                        ));
                        return Ok(u8::try_from(code).unwrap_or(1).max(1));
                    }
                    _ => {}
                }
            }
            Some(Ok(Event::Delete(_))) => {
                return Err(Failure::environment(
                    "stoke::submit::deleted",
                    format!("driver pod {name} was deleted"),
                ));
            }
            Some(Ok(_)) => {}
            // The watcher tries again by itself.
            Some(Err(_)) => tokio::time::sleep(Duration::from_millis(200)).await,
            None => {
                return Err(Failure::environment(
                    "stoke::submit::watch",
                    "the API server ended the watch",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(line: &str) -> Own {
        own_options(line.split_whitespace().map(str::to_string).collect()).unwrap()
    }

    #[test]
    fn our_options_are_taken_and_the_applications_are_left() {
        let own = own("--dry-run --name x --output json --conf a=b local:///x.py --dry-run --output yaml");
        assert!(own.dry_run && own.json && !own.yaml);
        assert_eq!(
            own.rest.join(" "),
            "--name x --conf a=b local:///x.py --dry-run --output yaml"
        );
    }

    #[test]
    fn a_copied_command_line_keeps_its_program() {
        let own = own("/opt/spark/bin/spark-submit --deploy-mode cluster --dry-run app.jar 1");
        assert!(own.dry_run);
        assert_eq!(
            own.rest.join(" "),
            "/opt/spark/bin/spark-submit --deploy-mode cluster app.jar 1"
        );
    }
}
