//! Starting one container: image, environment, mounts, sandbox.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use sha2::{Digest, Sha256};
use stoke_model::quantity::Quantity;
use stoke_runtime::entrypoint::{CPU_LIMIT, MEMORY_LIMIT};
use stoke_sandbox::{Error, Exit, Input, Mount, Root, Sandbox, Spec, account_files, machine_mounts};
use tokio_util::sync::CancellationToken;

use super::context::{Context, identity};
use super::environment::{command_line, environment};
use super::images::{Image, Refused, Tree, Viewer};
use super::volumes::{Prepared, container_mounts, disk};
use super::{pull, root};

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
        image = pull::image(context, &order) => image?,
        () = cancelled.cancelled() => return Err(NotStarted::Cancelled),
    };
    let shared = Arc::clone(context);
    let joined = tokio::task::spawn_blocking(move || start_now(&shared, &order, &image, on_exit)).await;
    joined.unwrap_or_else(|error| Err(NotStarted::Waiting("RunContainerError", error.to_string())))
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
    let environment = environment_of(context, order, image, user).map_err(config_error)?;
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

    let tree = match image.has_tree {
        true => Some(tree_of(context, order, image, user, group).map_err(create_error)?),
        false => None,
    };
    let mut mounts = match &tree {
        Some(_) => machine_mounts(),
        None => context.system.clone(),
    };
    if tree.is_none() {
        mounts.extend(account_files(user, group, home));
    }
    mounts.push(Mount::file("/etc/hostname", format!("{}\n", hostname(pod))));
    mounts.push(Mount::bind(&order.hosts, "/etc/hosts", true));
    mounts.extend(image.mounts.iter().cloned());
    if let Some(uploads) = &context.uploads {
        mounts.push(Mount::bind(uploads, "/var/lib/stoke/uploads", true));
    }
    if !read_only_root && tree.is_none() {
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
    // A tree of its own is an image of Kubernetes', whose entrypoint looks for no limits.
    let own_environment = match tree.is_some() {
        true => environment.clone(),
        false => with_limits(environment.clone(), container),
    };
    let mut spec = Spec {
        hostname: hostname(pod).chars().take(63).collect(),
        user,
        group,
        command,
        environment: own_environment,
        working_directory: working_directory.clone(),
        root: Root::Memory { size: root::IN_MEMORY },
        mounts,
        read_only_root,
        memory_limit: memory_limit(container),
        input: input_of(container),
        log: logs.join(format!("{}.log", order.attempt)),
    };
    let copies = context
        .pod_directory(uid)
        .join("copies")
        .join(&container.name)
        .join(order.attempt.to_string());
    let mut way = context.layering.way();
    if let Some(tree) = &tree {
        spec.root = root::make(&tree.path, way, &own_directory, &copies)
            .map_err(|error| create_error(disk(&own_directory, &error)))?;
    }
    event(false, "Created", format!("Created container: {}", container.name));
    // Whichever start succeeds calls it, once.
    let on_exit = Arc::new(Mutex::new(Some(on_exit)));
    let started = loop {
        let (on_exit, held, copy) = (Arc::clone(&on_exit), tree.clone(), copies.clone());
        let ended = move |exit| {
            let on_exit = on_exit.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(on_exit) = on_exit {
                on_exit(exit);
            }
            // The image may go now, and a copy of it is of no use to others.
            if held.is_some() {
                let _ = stoke_sandbox::remove_tree(&copy);
            }
        };
        match (context.launcher.start(&spec, ended), &tree) {
            (Err(error @ Error::Overlay { .. }), Some(tree)) => {
                let Some((next, is_news)) = context.layering.after(way) else {
                    break Err(error);
                };
                if is_news {
                    context.recorder.pod(pod, true, "NotProvided", root::told(next, &error));
                }
                way = next;
                spec.root = root::make(&tree.path, way, &own_directory, &copies)
                    .map_err(|error| create_error(disk(&copies, &error)))?;
            }
            (started, _) => break started,
        }
    };
    match started {
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

/// The tree of the image for the user of the container.
fn tree_of(context: &Context, order: &Order, image: &Image, user: u32, group: u32) -> Result<Tree, String> {
    let whole = order.pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let groups = whole
        .and_then(|whole| whole.supplemental_groups.as_ref())
        .into_iter()
        .flatten();
    let viewer = Viewer {
        user,
        group,
        groups: groups.filter_map(|group| u32::try_from(*group).ok()).collect(),
    };
    let (secrets, _) = pull::secrets(&order.pod, &context.configs)?;
    let name = order.container.image.as_deref().unwrap_or_default();
    let found = context.images.tree(name, image, &viewer, &secrets);
    found.map_err(Refused::into_message)
}

/// What an image with a tree of its own has in its environment when it says nothing else, as container runtimes have it.
fn usual(image: &Image, user: u32) -> Vec<(String, String)> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    if !image.has_tree {
        return Vec::new();
    }
    let account = image.accounts.iter().find(|account| account.user == user);
    let home = account
        .map(|account| account.home.as_str())
        .filter(|home| !home.is_empty());
    [("PATH", PATH), ("HOME", home.unwrap_or("/"))]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

fn environment_of(context: &Context, order: &Order, image: &Image, user: u32) -> Result<Vec<(String, String)>, String> {
    let (namespace, _, _) = identity(&order.pod);
    let links = order.pod.spec.as_ref().and_then(|spec| spec.enable_service_links) != Some(false);
    let mut base = usual(image, user);
    base.extend(image.environment.iter().cloned());
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
    let place = || format!("(pod: \"{name}_{namespace}({uid})\", container: {})", container.name);
    if not_root == Some(true) {
        match (asked, &image.user_name) {
            (Some(_), _) if user == 0 => {
                return Err(format!("container's runAsUser breaks non-root policy {}", place()));
            }
            (None, Some(user)) => {
                return Err(format!(
                    "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root {}",
                    place()
                ));
            }
            (None, None) if user == 0 => {
                return Err(format!(
                    "container has runAsNonRoot and image will run as root {}",
                    place()
                ));
            }
            _ => {}
        }
    }
    let asked = own
        .and_then(|own| own.run_as_group)
        .or_else(|| whole.and_then(|whole| whole.run_as_group));
    let group = match asked {
        Some(group) => u32::try_from(group).map_err(|_| format!("invalid runAsGroup {group}"))?,
        None if user == image.user => image.group,
        None => {
            let account = image.accounts.iter().find(|account| account.user == user);
            account.map_or(0, |account| account.group)
        }
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
    use super::super::images::Account;
    use super::*;
    use serde_json::json;

    #[test]
    fn users_and_groups_as_the_security_contexts_say() {
        let image = Image {
            user: 185,
            group: 185,
            accounts: vec![Account {
                user: 7,
                group: 70,
                home: "/seven".into(),
            }],
            has_tree: true,
            ..Image::default()
        };
        let shown = |user| {
            usual(&image, user)
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
        };
        assert_eq!((shown(7)[1].as_str(), shown(8)[1].as_str()), ("HOME=/seven", "HOME=/"));
        let named = Image {
            user_name: Some("spark".into()),
            ..image.clone()
        };
        let pod: Pod =
            serde_json::from_value(json!({"spec": {"containers": [], "securityContext": {"runAsNonRoot": true}}}))
                .unwrap();
        let refused = identity_of(&pod, &Container::default(), &named).unwrap_err();
        assert!(
            refused.contains("image has non-numeric user (spark), cannot verify user is non-root"),
            "{refused}"
        );
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
            (json!({"runAsUser": 7}), json!({}), Ok((7, 70))),
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
