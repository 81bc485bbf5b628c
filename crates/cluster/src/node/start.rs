//! Starting one container: image, environment, mounts, sandbox.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use sha2::{Digest, Sha256};
use stoke_model::quantity::Quantity;
use stoke_runtime::entrypoint::{CPU_LIMIT, MEMORY_LIMIT};
use stoke_sandbox::{Exit, Input, Mount, Sandbox, Spec, account_files};
use tokio_util::sync::CancellationToken;

use super::context::{Context, identity};
use super::environment::{command_line, environment};
use super::images::Image;
use super::volumes::{Prepared, container_mounts, disk};

/// A container that runs.
pub(crate) struct Started {
    pub sandbox: Arc<Sandbox>,
    pub id: String,
    pub image_id: String,
    pub at: Timestamp,
    pub environment: Vec<(String, String)>,
    pub working_directory: PathBuf,
}

/// Why a container does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotStarted {
    /// Waiting for this reason, with this message; it will be tried again.
    Waiting(&'static str, String),
    /// The command could not be executed: the container counts as having ended, with this message.
    Command(String),
    /// The pod is to end; there is no use in waiting for its image.
    Cancelled,
}

/// What to start.
#[derive(Clone)]
pub(crate) struct Order {
    pub pod: Arc<Pod>,
    pub container: Container,
    pub attempt: i32,
    pub address: Ipv4Addr,
    pub volumes: BTreeMap<String, Prepared>,
    pub hosts: PathBuf,
}

/// Starts a container. `on_exit` is called once with its end if this succeeds. Waiting for an image ends when `cancelled`.
pub(crate) async fn start(
    context: &Arc<Context>,
    order: Order,
    cancelled: CancellationToken,
    on_exit: impl FnOnce(Exit) + Send + 'static,
) -> Result<Started, NotStarted> {
    let image = tokio::select! {
        image = image(context, &order) => image?,
        () = cancelled.cancelled() => return Err(NotStarted::Cancelled),
    };
    let shared = Arc::clone(context);
    let joined = tokio::task::spawn_blocking(move || start_now(&shared, &order, &image, on_exit)).await;
    joined.unwrap_or_else(|error| Err(NotStarted::Waiting("RunContainerError", error.to_string())))
}

/// Finds or fetches the image, with the events of a kubelet.
async fn image(context: &Arc<Context>, order: &Order) -> Result<Image, NotStarted> {
    let name = order.container.image.clone().unwrap_or_default();
    let event = |warning: bool, reason: &str, message: String| {
        context
            .recorder
            .container(&order.pod, &order.container.name, warning, reason, message);
    };
    let failed = |message: String| {
        event(true, "Failed", format!("Failed to pull image \"{name}\": {message}"));
        event(true, "Failed", "Error: ErrImagePull".to_owned());
        NotStarted::Waiting("ErrImagePull", message)
    };
    let images = Arc::clone(&context.images);
    let asked = name.clone();
    let present = tokio::task::spawn_blocking(move || images.present(&asked)).await;
    match present.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(Some(image)) => {
            event(
                false,
                "Pulled",
                format!("Container image \"{name}\" already present on machine"),
            );
            Ok(image)
        }
        Err(message) => {
            event(false, "Pulling", format!("Pulling image \"{name}\""));
            Err(failed(message))
        }
        Ok(None) if order.container.image_pull_policy.as_deref() == Some("Never") => {
            let message = format!("Container image \"{name}\" is not present with pull policy of Never");
            event(true, "ErrImageNeverPull", message.clone());
            event(true, "Failed", "Error: ErrImageNeverPull".to_owned());
            Err(NotStarted::Waiting("ErrImageNeverPull", message))
        }
        Ok(None) => {
            let size = context.images.to_download(&name);
            let size = size.map(|size| format!(": {size}")).unwrap_or_default();
            event(false, "Pulling", format!("Pulling image \"{name}\"{size}"));
            let begun = Instant::now();
            let images = Arc::clone(&context.images);
            let asked = name.clone();
            let pulled = tokio::task::spawn_blocking(move || images.pull(&asked)).await;
            let image = pulled.unwrap_or_else(|error| Err(error.to_string())).map_err(failed)?;
            let time = begun.elapsed().as_millis();
            let time = if time < 1000 {
                format!("{time}ms")
            } else {
                format!("{}.{:03}s", time / 1000, time % 1000)
            };
            event(
                false,
                "Pulled",
                format!("Successfully pulled image \"{name}\" in {time} ({time} including waiting)"),
            );
            Ok(image)
        }
    }
}

fn start_now(
    context: &Context,
    order: &Order,
    image: &Image,
    on_exit: impl FnOnce(Exit) + Send + 'static,
) -> Result<Started, NotStarted> {
    let (container, pod) = (&order.container, &*order.pod);
    let event = |warning: bool, reason: &str, message: String| {
        context
            .recorder
            .container(pod, &container.name, warning, reason, message);
    };
    let config_error = |message: String| {
        event(true, "Failed", format!("Error: {message}"));
        NotStarted::Waiting("CreateContainerConfigError", message)
    };
    let create_error = |message: String| {
        event(true, "Failed", format!("Error: {message}"));
        NotStarted::Waiting("CreateContainerError", message)
    };
    let (user, group) = identity_of(pod, container, image).map_err(config_error)?;
    let environment = environment_of(context, order, image).map_err(config_error)?;
    let command = command_line(container, &image.entrypoint, &image.arguments, &environment);
    let working_directory = match container.working_dir.as_deref() {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ if image.working_directory.as_os_str().is_empty() => PathBuf::from("/"),
        _ => image.working_directory.clone(),
    };
    let (namespace, name, uid) = identity(pod);
    let own_directory = context
        .pod_directory(uid)
        .join("containers")
        .join(&container.name)
        .join(order.attempt.to_string());
    let read_only_root = container
        .security_context
        .as_ref()
        .and_then(|security| security.read_only_root_filesystem)
        == Some(true);
    let home = environment
        .iter()
        .rev()
        .find(|(key, _)| key == "HOME")
        .map_or("/", |(_, value)| value.as_str());

    let mut mounts = context.system.clone();
    mounts.extend(account_files(user, group, home));
    mounts.push(Mount::file("/etc/hostname", format!("{}\n", hostname(pod))));
    mounts.push(Mount::bind(&order.hosts, "/etc/hosts", true));
    mounts.extend(image.mounts.iter().cloned());
    if let Some(uploads) = &context.uploads {
        mounts.push(Mount::bind(uploads, "/var/lib/stoke/uploads", true));
    }
    if !read_only_root {
        let scratch = own_directory.join("scratch");
        mounts.extend(scratch_mounts(&scratch, image).map_err(|error| create_error(disk(&scratch, &error)))?);
    }
    let termination = termination_file(&own_directory);
    std::fs::create_dir_all(&own_directory)
        .and_then(|()| std::fs::write(&termination, ""))
        .map_err(|error| create_error(disk(&termination, &error)))?;
    let termination_path = container
        .termination_message_path
        .as_deref()
        .unwrap_or("/dev/termination-log");
    mounts.push(Mount::bind(&termination, termination_path, false));
    mounts.extend(container_mounts(container, &order.volumes, &environment).map_err(config_error)?);

    let logs = context.log_directory(namespace, name, uid).join(&container.name);
    let spec = Spec {
        hostname: hostname(pod).chars().take(63).collect(),
        user,
        group,
        command,
        environment: with_limits(environment.clone(), container),
        working_directory: working_directory.clone(),
        mounts,
        read_only_root,
        root_size: 1 << 30,
        memory_limit: memory_limit(container),
        input: input_of(container),
        log: logs.join(format!("{}.log", order.attempt)),
    };
    event(false, "Created", format!("Created container: {}", container.name));
    match context.launcher.start(&spec, on_exit) {
        Ok(sandbox) => {
            event(false, "Started", format!("Started container {}", container.name));
            let at = crate::clock::now();
            let id = container_id(uid, &container.name, order.attempt, at);
            let sandbox = Arc::new(sandbox);
            Ok(Started {
                sandbox,
                id,
                image_id: image.id.clone(),
                at,
                environment,
                working_directory,
            })
        }
        Err(error @ stoke_sandbox::Error::Command { .. }) => {
            let message = format!(
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
                 failed: unable to start container process: error during container init: {error}"
            );
            event(true, "Failed", format!("Error: {message}"));
            Err(NotStarted::Command(message))
        }
        Err(error) => Err(create_error(error.to_string())),
    }
}

/// What the container reads from.
fn input_of(container: &Container) -> Input {
    match (container.tty, container.stdin) {
        (Some(true), _) => Input::Terminal,
        (_, Some(true)) => Input::Pipe,
        _ => Input::Closed,
    }
}

/// The file in which a container leaves its termination message.
pub(crate) fn termination_file(own_directory: &Path) -> PathBuf {
    own_directory.join("termination-log")
}

/// The name the pod's processes see as the machine's.
fn hostname(pod: &Pod) -> String {
    let own = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.hostname.clone())
        .filter(|name| !name.is_empty());
    let name = own.or_else(|| pod.metadata.name.clone()).unwrap_or_default();
    let cut: String = name.chars().take(63).collect();
    cut.trim_end_matches(['-', '.']).to_owned()
}

fn environment_of(context: &Context, order: &Order, image: &Image) -> Result<Vec<(String, String)>, String> {
    let (namespace, _, _) = identity(&order.pod);
    let links = order.pod.spec.as_ref().and_then(|spec| spec.enable_service_links) != Some(false);
    let mut base = image.environment.clone();
    base.push(("HOSTNAME".to_owned(), hostname(&order.pod)));
    base.extend(context.around.variables(namespace, links));
    environment(
        &order.pod,
        &order.container,
        &context.placement(order.address),
        base,
        &context.configs,
    )
}

/// The user and group a container runs as.
fn identity_of(pod: &Pod, container: &Container, image: &Image) -> Result<(u32, u32), String> {
    let whole = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let own = container.security_context.as_ref();
    let (namespace, name, uid) = identity(pod);
    if own.and_then(|own| own.privileged) == Some(true) {
        return Err(
            "privileged containers are not supported by Stoke's embedded node, which itself has no privileges: \
                    remove securityContext.privileged, or run on a real cluster"
                .to_owned(),
        );
    }
    let asked = own
        .and_then(|own| own.run_as_user)
        .or_else(|| whole.and_then(|whole| whole.run_as_user));
    let user = match asked {
        Some(user) => u32::try_from(user).map_err(|_| format!("invalid runAsUser {user}"))?,
        None => image.user,
    };
    let not_root = own
        .and_then(|own| own.run_as_non_root)
        .or_else(|| whole.and_then(|whole| whole.run_as_non_root));
    if not_root == Some(true) && user == 0 {
        let place = format!("(pod: \"{name}_{namespace}({uid})\", container: {})", container.name);
        return Err(if asked.is_some() {
            format!("container's runAsUser breaks non-root policy {place}")
        } else {
            format!("container has runAsNonRoot and image will run as root {place}")
        });
    }
    let asked = own
        .and_then(|own| own.run_as_group)
        .or_else(|| whole.and_then(|whole| whole.run_as_group));
    let group = match asked {
        Some(group) => u32::try_from(group).map_err(|_| format!("invalid runAsGroup {group}"))?,
        None if user == image.user => image.group,
        None => 0,
    };
    Ok((user, group))
}

/// `/tmp` and what the image lets its user write to, on disk and gone with the container.
fn scratch_mounts(scratch: &Path, image: &Image) -> std::io::Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    let targets = [PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    for (index, target) in targets.iter().chain(&image.writable).enumerate() {
        let path = scratch.join(index.to_string());
        std::fs::create_dir_all(&path)?;
        mounts.push(Mount::bind(path, target, false));
    }
    Ok(mounts)
}

fn memory_limit(container: &Container) -> Option<u64> {
    limit(container, "memory")
        .map(|limit| limit.bytes())
        .filter(|limit| *limit > 0)
}

fn limit(container: &Container, resource: &str) -> Option<Quantity> {
    let limit = container.resources.as_ref()?.limits.as_ref()?.get(resource)?;
    limit.0.parse().ok()
}

/// The environment with the container's limits, where the image's entrypoint looks for what a JVM would read from its control group.
fn with_limits(mut environment: Vec<(String, String)>, container: &Container) -> Vec<(String, String)> {
    let cpu = limit(container, "cpu").map(|limit| (CPU_LIMIT.to_owned(), limit.millicores().to_string()));
    let memory = memory_limit(container).map(|limit| (MEMORY_LIMIT.to_owned(), limit.to_string()));
    environment.extend(cpu.into_iter().chain(memory));
    environment
}

fn container_id(uid: &str, container: &str, attempt: i32, at: Timestamp) -> String {
    let digest = Sha256::digest(format!("{uid}/{container}/{attempt}/{at}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("stoke://{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn users_and_groups_as_the_security_contexts_say() {
        let image = Image {
            user: 185,
            group: 185,
            ..Image::default()
        };
        let table = [
            (json!({}), json!({}), Ok((185, 185))),
            (json!({"runAsUser": 1000}), json!({}), Ok((1000, 0))),
            (
                json!({"runAsUser": 1000, "runAsGroup": 7}),
                json!({"runAsUser": 185}),
                Ok((185, 7)),
            ),
            (json!({"runAsNonRoot": true}), json!({}), Ok((185, 185))),
            (
                json!({"runAsNonRoot": true}),
                json!({"runAsUser": 0}),
                Err("breaks non-root policy"),
            ),
            (
                json!({}),
                json!({"privileged": true}),
                Err("privileged containers are not supported"),
            ),
        ];
        for (whole, own, expected) in table {
            let pod: Pod =
                serde_json::from_value(json!({"spec": {"containers": [], "securityContext": whole}})).unwrap();
            let container: Container = serde_json::from_value(json!({"name": "c", "securityContext": own})).unwrap();
            match (identity_of(&pod, &container, &image), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        }
    }
}
