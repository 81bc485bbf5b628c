//! Pods that do not start: no node takes them, their image or what they mount is not there.

use super::access;
use super::class::{Class, END, Found, NONE_COME, THROWN, class, words};
use super::context::{Context, Outcome};
use super::scheduling;
use crate::facts::cluster::{Pod, Role, State};
use crate::text::{after, between, short};
use stoke_diagnostics::{Evidence, Fix};

const IMAGES: &str = "https://kubernetes.io/docs/concepts/containers/images/";
const CONFIGURATION: &str = "https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/";
const FOLLOWS: &[&[&str]] = &[END, NONE_COME, THROWN, &["image-pull-failed"]];

static IMAGE_NOT_FOUND: Class = class(
    "image-not-found",
    880,
    "the registry has no image of this name and tag",
    IMAGES,
    FOLLOWS,
);
static IMAGE_DENIED: Class = class(
    "image-pull-denied",
    881,
    "the registry wants credentials, or denies these",
    "https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/",
    FOLLOWS,
);
static REGISTRY: Class = class(
    "registry-unreachable",
    882,
    "the node cannot reach the image's registry",
    IMAGES,
    FOLLOWS,
);
static ARCHITECTURE: Class = class(
    "image-architecture",
    879,
    "an image has programs for certain processors; 'exec format error' is another one's, or a script without its first line",
    "https://kubernetes.io/docs/concepts/containers/images/#multi-architecture-images-with-image-indexes",
    FOLLOWS,
);
static IMAGE_NAME: Class = class(
    "image-name-invalid",
    883,
    "an image's name is registry/path:tag or registry/path@sha256:digest",
    IMAGES,
    FOLLOWS,
);
static IMAGE_OTHER: Class = class(
    "image-pull-failed",
    800,
    "the node could not pull the image",
    IMAGES,
    &[END, NONE_COME, THROWN],
);
static CONFIG_MAP: Class = class(
    "config-map-missing",
    871,
    "a ConfigMap a pod mounts or reads must exist in its namespace",
    CONFIGURATION,
    FOLLOWS,
);
static SECRET: Class = class(
    "secret-missing",
    872,
    "a Secret a pod mounts or reads must exist in its namespace",
    "https://kubernetes.io/docs/concepts/configuration/secret/",
    FOLLOWS,
);
static KEY: Class = class(
    "config-key-missing",
    870,
    "a key of a ConfigMap or Secret a pod reads must exist",
    CONFIGURATION,
    FOLLOWS,
);
static MOUNT: Class = class(
    "volume-mount-failed",
    860,
    "all volumes of a pod must be mounted before its containers start",
    "https://kubernetes.io/docs/concepts/storage/volumes/",
    FOLLOWS,
);
static RUN_ERROR: Class = class(
    "container-cannot-start",
    858,
    "the runtime could not start the container's command",
    "https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/",
    FOLLOWS,
);

/// The classes of this family.
pub(super) static CLASSES: [&Class; 11] = [
    &IMAGE_NOT_FOUND,
    &IMAGE_DENIED,
    &REGISTRY,
    &ARCHITECTURE,
    &IMAGE_NAME,
    &IMAGE_OTHER,
    &CONFIG_MAP,
    &SECRET,
    &KEY,
    &MOUNT,
    &RUN_ERROR,
];

/// A pod of the application, as far as anything is known of it.
pub(super) struct Waiting<'a> {
    pub name: &'a str,
    pub pod: Option<&'a Pod>,
    /// Whether the run cannot go on without it.
    pub fatal: bool,
}

/// Pods that wait, or were gone before they started.
pub(super) fn look(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(cluster) = context.cluster().filter(|_| context.not_done()) else {
        return;
    };
    let runs = |pod: &Pod| pod.phase == "Running";
    let executors_run = cluster.executors().any(runs);
    for pod in cluster.pods.iter().filter(|pod| pod.phase == "Pending") {
        let fatal = pod.role == Role::Driver || !executors_run;
        let waiting = Waiting {
            name: &pod.name,
            pod: Some(pod),
            fatal,
        };
        of_waiting(context, &waiting, out);
    }
    // Pods that are gone, and never ran: only of a run that failed, for Spark lets pending executors go when it needs them no more.
    if context.outcome == Outcome::Failed {
        let mut names: Vec<&str> = cluster
            .events
            .iter()
            .filter(|event| event.kind == "Pod")
            .map(|event| event.name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names
            .into_iter()
            .filter(|name| cluster.pods.iter().all(|pod| pod.name != *name))
        {
            let started = cluster.events_of("Pod", name).any(|event| event.reason == "Started");
            if !started {
                let waiting = Waiting {
                    name,
                    pod: None,
                    fatal: false,
                };
                of_waiting(context, &waiting, out);
            }
        }
    }
    of_ended(context, out);
    of_application(context, out);
}

fn of_waiting(context: &Context<'_>, waiting: &Waiting<'_>, out: &mut Vec<Found>) {
    scheduling::look(context, waiting, out);
    let mut add = |(class, cause, fix): (&'static Class, String, Fix), evidence| {
        out.push(Found::new(class, waiting.fatal, cause, evidence, fix));
    };
    for container in waiting.pod.iter().flat_map(|pod| &pod.containers) {
        let State::Waiting { reason, message } = &container.state else {
            continue;
        };
        let evidence = Evidence::new(
            format!("pod {}", waiting.name),
            short(&format!("container {} waits: {reason}: {message}", container.name), 300),
        );
        // An image that is not pulled says why in the event before; its back-off says nothing.
        if let Some(said) = image(reason, message, &container.image) {
            let vague = said.0.id == IMAGE_OTHER.id;
            if !vague
                || context.cluster().is_none_or(|cluster| {
                    cluster
                        .events_of("Pod", waiting.name)
                        .all(|event| event.reason != "Failed")
                })
            {
                add(said, evidence);
            }
        } else if let Some(said) = configuration(message, context.namespace()) {
            add(said, evidence);
        } else if let Some(said) = cannot_start(reason, message) {
            add(said, evidence);
        }
    }
    let Some(cluster) = context.cluster() else { return };
    for event in cluster
        .events_of("Pod", waiting.name)
        .filter(|event| event.level == "Warning")
    {
        let evidence = Evidence::new(
            format!("event {}", event.reason),
            short(&format!("{}: {}", waiting.name, event.message), 300),
        );
        let pulled = || {
            let name = between(&event.message, "image \"", "\"").unwrap_or_default();
            event
                .message
                .contains("pull")
                .then(|| image("ErrImagePull", &event.message, name))
                .flatten()
        };
        match event.reason.as_str() {
            "Failed" | "InspectFailed" => {
                if let Some(said) = pulled().or_else(|| cannot_start(&event.reason, &event.message)) {
                    add(said, evidence);
                } else if let Some(said) = configuration(&event.message, context.namespace()) {
                    add(said, evidence);
                }
            }
            "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => {
                let said = configuration(&event.message, context.namespace()).unwrap_or_else(|| mount(&event.message));
                add(said, evidence);
            }
            _ => {}
        }
    }
}

/// What the operator says of a driver that never started, when its pod is gone.
fn of_application(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(cluster) = context.cluster() else { return };
    let matched = cluster.application["status"]["applicationState"]["errorMessage"]
        .as_str()
        .unwrap_or_default();
    let Some((_, why)) = matched
        .split_once("driver pod did not start within")
        .and_then(|(_, rest)| rest.split_once("): "))
    else {
        return;
    };
    let evidence = Evidence::new("status.applicationState.errorMessage", short(matched, 300));
    let (reason, message) = why.split_once(": ").unwrap_or((why, ""));
    let image_name = context
        .spec("/image")
        .and_then(|image| image.as_str())
        .unwrap_or_default();
    if let Some((class, cause, fix)) =
        image(reason, message, image_name).or_else(|| configuration(message, context.namespace()))
    {
        out.push(Found::new(class, true, cause, evidence, fix));
    } else if let Some((class, cause, fix)) = scheduling::explain(context, None, message) {
        out.push(Found::new(class, true, cause, evidence, fix));
    }
}

/// Containers that ended at once because nothing in their image can run here.
fn of_ended(context: &Context<'_>, out: &mut Vec<Found>) {
    let Some(cluster) = context.cluster() else { return };
    for pod in &cluster.pods {
        for container in &pod.containers {
            let (State::Terminated { reason, message, .. }, _) = (&container.state, ()) else {
                continue;
            };
            let evidence = Evidence::new(
                format!("pod {}", pod.name),
                short(
                    &format!("container {} terminated: {reason}: {message}", container.name),
                    300,
                ),
            );
            if let Some((class, cause, fix)) = cannot_start(reason, message) {
                out.push(Found::new(class, context.failed(), cause, evidence, fix));
            }
        }
    }
    for log in &context.facts.logs {
        if let Some(line) = log.find(&["exec format error"]) {
            let (class, cause, fix) = architecture(&line.text);
            let evidence = Evidence::new(format!("log {}:{}", log.source, line.number), short(&line.text, 300));
            out.push(Found::new(class, context.failed(), cause, evidence, fix));
        }
    }
}

/// Why an image is not there.
fn image(reason: &str, message: &str, image: &str) -> Option<(&'static Class, String, Fix)> {
    const REASONS: [&str; 7] = [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    ];
    if !REASONS.contains(&reason) {
        return None;
    }
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if reason == "InvalidImageName" || has(&["couldn't parse image", "invalid reference format"]) {
        let cause = format!("{image} is not the name of an image");
        return Some((
            &IMAGE_NAME,
            cause,
            words("write spec.image as registry/path:tag, in lower case"),
        ));
    }
    if has(&["no matching manifest", "no match for platform"]) {
        return Some(architecture(message));
    }
    if has(&[
        "no such host",
        "i/o timeout",
        "connection refused",
        "dial tcp",
        "TLS handshake timeout",
        "context deadline exceeded",
        "x509:",
        "server misbehaving",
    ]) {
        let registry = image
            .split('/')
            .next()
            .filter(|host| host.contains(['.', ':']))
            .unwrap_or("the registry");
        let why = [
            "no such host",
            "i/o timeout",
            "connection refused",
            "TLS handshake timeout",
            "x509:",
            "server misbehaving",
            "context deadline exceeded",
        ]
        .into_iter()
        .find(|word| message.contains(word))
        .unwrap_or("it does not answer");
        return Some((
            &REGISTRY,
            format!(
                "The node cannot reach {registry} for the image {image}: {}",
                why.trim_end_matches(':')
            ),
            words(
                "correct the registry's name in spec.image; see that nodes resolve and reach it (DNS, proxy, certificates)",
            ),
        ));
    }
    if has(&[
        "unauthorized",
        "authentication required",
        "401 Unauthorized",
        "403 Forbidden",
        "no basic auth credentials",
        "denied",
    ]) && !has(&["repository does not exist or may require"])
    {
        return Some((
            &IMAGE_DENIED,
            format!("The registry does not let the node pull {image}"),
            words(
                "name a Secret of type kubernetes.io/dockerconfigjson in spec.imagePullSecrets: kubectl create secret docker-registry NAME --docker-server=… --docker-username=… --docker-password=…",
            ),
        ));
    }
    if has(&["not found", "manifest unknown", "does not exist", "name unknown"]) || reason == "ErrImageNeverPull" {
        let hint = match message.contains("may require") {
            true => " (or the registry hides it without credentials)",
            false => "",
        };
        return Some((
            &IMAGE_NOT_FOUND,
            format!("There is no image {image}{hint}"),
            words("correct name and tag in spec.image (and spec.driver.image, spec.executor.image)"),
        ));
    }
    Some((
        &IMAGE_OTHER,
        format!("The image {image} cannot be pulled: {}", short(message, 200)),
        words("see the events of the pod for what the registry answered: kubectl describe pod"),
    ))
}

fn architecture(message: &str) -> (&'static Class, String, Fix) {
    (
        &ARCHITECTURE,
        format!(
            "The image has no programs for the node's processor: {}",
            short(message, 160)
        ),
        words(
            "build the image for it (docker buildx build --platform linux/amd64,linux/arm64), or keep to fitting nodes with nodeSelector kubernetes.io/arch",
        ),
    )
}

/// A container whose command cannot run.
fn cannot_start(reason: &str, message: &str) -> Option<(&'static Class, String, Fix)> {
    if message.contains("exec format error") {
        return Some(architecture(message));
    }
    let starts = [
        "RunContainerError",
        "CreateContainerError",
        "StartError",
        "ContainerCannotRun",
        "CrashLoopBackOff",
    ]
    .contains(&reason)
        || message.contains("failed to create containerd task")
        || message.contains("runAsNonRoot");
    if !starts || message.is_empty() || reason == "CrashLoopBackOff" {
        return None;
    }
    let fix = match message {
        text if text.contains("runAsNonRoot") => {
            "set runAsUser to a number other than 0 in the security context, or use an image that has one (USER 185)"
        }
        text if text.contains("no such file") || text.contains("not found") => {
            "the image has no such program: Spark's images start /opt/entrypoint.sh; use an image made for Spark, or correct its entry point"
        }
        _ => "correct what the message names in the image or in the pod's security context",
    };
    Some((
        &RUN_ERROR,
        format!("The container cannot be started: {}", short(message, 200)),
        words(fix),
    ))
}

/// A ConfigMap, a Secret or a key of one that is not there.
fn configuration(message: &str, namespace: &str) -> Option<(&'static Class, String, Fix)> {
    let named = |kind: &str| between(message, &format!("{kind} \""), "\"");
    if let Some(rest) = after(message, "couldn't find key ") {
        let key = rest.split(' ').next().unwrap_or(rest);
        let owner = after(rest, " in ").unwrap_or("its object").trim_end_matches('.');
        return Some((
            &KEY,
            format!("There is no key {key} in {owner}"),
            words("correct the key in the manifest, or add it to the object"),
        ));
    }
    if let Some(key) = after(message, "references non-existent config key: ")
        .or_else(|| after(message, "references non-existent secret key: "))
    {
        return Some((
            &KEY,
            format!("A volume reads the key {key}, which its ConfigMap or Secret has not"),
            words("correct the key in the manifest, or add it to the object"),
        ));
    }
    if !message.contains("not found") {
        return None;
    }
    let (class, kind, name): (&'static Class, &str, &str) = match (named("configmap"), named("secret")) {
        (Some(name), _) => (&CONFIG_MAP, "configmap", name),
        (None, Some(name)) => (&SECRET, "secret", name),
        (None, None) => {
            return message.contains("serviceaccount").then(|| {
                let (cause, fix) = access::service_account(message, namespace);
                let class: &'static Class = &access::SERVICE_ACCOUNT_MISSING;
                (class, cause, fix)
            });
        }
    };
    let called = match kind {
        "secret" => "Secret",
        _ => "ConfigMap",
    };
    Some((
        class,
        format!("The {called} {name} does not exist in the namespace {namespace}"),
        words(format!(
            "make it (kubectl -n {namespace} create {kind} …), or correct its name in the manifest; what is there: kubectl -n {namespace} get {kind}s"
        )),
    ))
}

fn mount(message: &str) -> (&'static Class, String, Fix) {
    let volume = between(message, "volume \"", "\"").unwrap_or("?");
    (
        &MOUNT,
        format!("The volume {volume} cannot be mounted: {}", short(message, 200)),
        words(
            "see the events of the pod and of its claim; a volume that only one node may have (ReadWriteOnce) must be free on it",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_by_what_the_registry_answered() {
        for (reason, message, id) in [
            (
                "ErrImagePull",
                "rpc error: code = NotFound desc = failed to pull and unpack image \"docker.io/library/spark:9\": docker.io/library/spark:9: not found",
                "image-not-found",
            ),
            ("ErrImagePull", "manifest unknown: manifest unknown", "image-not-found"),
            (
                "ErrImagePull",
                "pull access denied for team/etl, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                "image-not-found",
            ),
            (
                "ErrImagePull",
                "failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized",
                "image-pull-denied",
            ),
            (
                "ErrImagePull",
                "failed to do request: Head \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid: no such host",
                "registry-unreachable",
            ),
            (
                "ErrImagePull",
                "no matching manifest for linux/arm64/v8 in the manifest list entries",
                "image-architecture",
            ),
            (
                "InvalidImageName",
                "Failed to apply default image tag \"Spark:x y\": couldn't parse image name",
                "image-name-invalid",
            ),
            (
                "ImagePullBackOff",
                "Back-off pulling image \"spark:9\"",
                "image-pull-failed",
            ),
        ] {
            assert_eq!(image(reason, message, "spark:9").unwrap().0.id, id, "{message}");
        }
        assert!(image("ContainerCreating", "", "spark:9").is_none());
    }

    #[test]
    fn objects_that_are_missing_are_named() {
        for (message, id, name) in [
            ("configmap \"etl-conf\" not found", "config-map-missing", "etl-conf"),
            (
                "MountVolume.SetUp failed for volume \"keys\" : secret \"s3-keys\" not found",
                "secret-missing",
                "s3-keys",
            ),
            (
                "couldn't find key password in Secret etl/db",
                "config-key-missing",
                "password",
            ),
            (
                "MountVolume.SetUp failed for volume \"conf\" : references non-existent config key: log4j2.properties",
                "config-key-missing",
                "log4j2.properties",
            ),
        ] {
            let (class, cause, _) = configuration(message, "etl").unwrap();
            assert_eq!(class.id, id);
            assert!(cause.contains(name), "{cause}");
        }
        assert!(configuration("mount failed: exit status 32", "etl").is_none());
    }
}
