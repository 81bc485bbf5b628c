//! Getting the image of a container: its policy, its Secrets, the Events of a kubelet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::core::v1::{Pod, Secret};

use super::context::{Context, identity};
use super::environment::Configs;
use super::images::{Image, Images, PullSecret, Refused};
use super::start::{NotStarted, Order};

/// What to do about an image, given its policy and whether it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// It is there.
    Use(Box<Image>),
    /// Ask for it.
    Pull,
    /// It is not there, and not to be asked for.
    Never,
}

fn step(policy: Option<&str>, present: Option<Image>) -> Step {
    match (policy, present) {
        // What stands for a program of this machine is what it is here.
        (Some("Always"), Some(image)) if image.has_tree => Step::Pull,
        (_, Some(image)) => Step::Use(Box::new(image)),
        (Some("Never"), None) => Step::Never,
        (_, None) => Step::Pull,
    }
}

/// Finds or fetches the image of a container.
pub(super) async fn image(context: &Arc<Context>, order: &Order) -> Result<Image, NotStarted> {
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
    let misnamed = |why: String| {
        let message =
            format!("Failed to apply default image tag \"{name}\": couldn't parse image name \"{name}\": {why}");
        event(true, "InspectFailed", message.clone());
        event(true, "Failed", "Error: InvalidImageName".to_owned());
        NotStarted::Waiting("InvalidImageName", message)
    };
    let refused = |refused: Refused| match refused {
        Refused::Name(why) => misnamed(why),
        Refused::Image(why) => failed(why),
    };
    let asked = name.clone();
    let present = ask(context, move |images| images.present(&asked)).await;
    let present = present.map_err(|why| {
        if matches!(why, Refused::Image(_)) {
            event(false, "Pulling", format!("Pulling image \"{name}\""));
        }
        refused(why)
    })?;
    match step(order.container.image_pull_policy.as_deref(), present) {
        Step::Use(image) => {
            event(
                false,
                "Pulled",
                format!("Container image \"{name}\" already present on machine"),
            );
            Ok(*image)
        }
        Step::Never => {
            let message = format!("Container image \"{name}\" is not present with pull policy of Never");
            event(true, "ErrImageNeverPull", message.clone());
            event(true, "Failed", "Error: ErrImageNeverPull".to_owned());
            Err(NotStarted::Waiting("ErrImageNeverPull", message))
        }
        Step::Pull => {
            let size = context.images.to_download(&name);
            let size = size.map(|size| format!(": {size}")).unwrap_or_default();
            event(false, "Pulling", format!("Pulling image \"{name}\"{size}"));
            let begun = Instant::now();
            let secrets = secrets_told(context, &order.pod).map_err(failed)?;
            let asked = name.clone();
            let image = ask(context, move |images| images.pull(&asked, &secrets))
                .await
                .map_err(refused)?;
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

/// Asks where images come from, which may take long.
async fn ask<T: Send + 'static>(
    context: &Arc<Context>,
    question: impl FnOnce(&dyn Images) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let images = Arc::clone(&context.images);
    let asked = tokio::task::spawn_blocking(move || question(&*images)).await;
    asked.unwrap_or_else(|error| Err(Refused::Image(error.to_string())))
}

/// The Secrets a pod pulls with; those that are missing are told.
fn secrets_told(context: &Context, pod: &Pod) -> Result<Vec<PullSecret>, String> {
    let (found, missing) = secrets(pod, &context.configs)?;
    if !missing.is_empty() {
        let message = format!(
            "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
            missing.join(", ")
        );
        context
            .recorder
            .pod(pod, true, "FailedToRetrieveImagePullSecret", message);
    }
    Ok(found)
}

/// The Secrets a pod pulls with, and the names of those that are not there.
///
/// # Errors
/// One that has no credentials in it.
pub(super) fn secrets(pod: &Pod, configs: &dyn Configs) -> Result<(Vec<PullSecret>, Vec<String>), String> {
    let (namespace, _, _) = identity(pod);
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let references = pod
        .spec
        .iter()
        .flat_map(|spec| spec.image_pull_secrets.iter().flatten());
    for reference in references.filter(|reference| !reference.name.is_empty()) {
        match configs.secret(namespace, &reference.name) {
            Some(secret) => found.push(PullSecret {
                place: format!("the Secret {namespace}/{}", reference.name),
                text: credentials(&secret).ok_or_else(|| {
                    format!(
                        "the Secret {namespace}/{} has neither .dockerconfigjson nor .dockercfg as its type says; make it with \
                         `kubectl create secret docker-registry`",
                        reference.name
                    )
                })?,
            }),
            None => missing.push(reference.name.clone()),
        }
    }
    Ok((found, missing))
}

/// As Docker's `config.json` has them: `.dockercfg`, the older form, is what stands under its `auths`.
fn credentials(secret: &Secret) -> Option<String> {
    let empty = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&empty);
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => text(".dockerconfigjson"),
        Some("kubernetes.io/dockercfg") => Some(format!("{{\"auths\":{}}}", text(".dockercfg")?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    #[test]
    fn when_a_registry_is_asked() {
        let image = |has_tree| {
            Some(Image {
                has_tree,
                ..Image::default()
            })
        };
        for (policy, present, expected) in [
            ("Always", image(true), Step::Pull),
            ("Always", image(false), Step::Use(Box::default())),
            ("Always", None, Step::Pull),
            ("IfNotPresent", image(true), Step::Use(Box::new(image(true).unwrap()))),
            ("IfNotPresent", None, Step::Pull),
            ("Never", image(true), Step::Use(Box::new(image(true).unwrap()))),
            ("Never", None, Step::Never),
        ] {
            assert_eq!(step(Some(policy), present), expected, "{policy}");
        }
    }

    struct One(Secret);

    impl Configs for One {
        fn config_map(&self, _: &str, _: &str) -> Option<ConfigMap> {
            None
        }

        fn secret(&self, _: &str, name: &str) -> Option<Secret> {
            (name == "there").then(|| self.0.clone())
        }
    }

    #[test]
    fn secrets_of_both_forms_are_read() {
        let pod: Pod = serde_json::from_value(
            json!({"metadata": {"namespace": "team"}, "spec": {"containers": [], "imagePullSecrets": [{"name": "there"}, {"name": "gone"}]}}),
        )
        .unwrap();
        for (kind, key, text, expected) in [
            (
                "kubernetes.io/dockerconfigjson",
                ".dockerconfigjson",
                "{\"auths\":{}}",
                Some("{\"auths\":{}}"),
            ),
            (
                "kubernetes.io/dockercfg",
                ".dockercfg",
                "{\"r.io\":{}}",
                Some("{\"auths\":{\"r.io\":{}}}"),
            ),
            ("Opaque", ".dockerconfigjson", "{}", None),
            ("kubernetes.io/dockerconfigjson", ".dockercfg", "{}", None),
        ] {
            let secret: Secret = serde_json::from_value(json!({
                "type": kind,
                "data": {key: k8s_openapi::ByteString(text.as_bytes().to_vec())},
            }))
            .unwrap();
            let found = secrets(&pod, &One(secret));
            match (found, expected) {
                (Ok((found, missing)), Some(expected)) => {
                    assert_eq!((found[0].text.as_str(), missing), (expected, vec!["gone".to_owned()]));
                    assert!(!format!("{found:?}").contains("auths"));
                }
                (Err(why), None) => assert!(why.contains("team/there") && why.contains("docker-registry"), "{why}"),
                (found, _) => panic!("{kind}: {found:?}"),
            }
        }
    }
}
