//! Which images the pods of an application may have: asked before pods are made, of whoever can verify them.
//!
//! In: an application, and what a [`Verifier`] found of each of its images. Out: the application with every image by its digest, or why there is none ([`decide`], pure). What
//! evidence is and how a registry is asked is the verifier's matter; the operator gets one from outside, as it gets its clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::future::{BoxFuture, join_all};
use serde_json::Value;
use stoke_model::crd::SparkApplication;

use crate::application::Outcome;

/// The code of an image that a policy does not let in.
pub const DENIED: &str = "image-denied";
/// The code of an image of which it is not known.
pub const UNKNOWN: &str = "image-unknown";

/// Keys of Spark's configuration that name images.
const CONF: [&str; 3] = [
    "spark.kubernetes.container.image",
    "spark.kubernetes.driver.container.image",
    "spark.kubernetes.executor.container.image",
];
/// Mappings of free words, in which `image` names no image.
const WORDS: [&str; 10] = [
    "labels",
    "annotations",
    "serviceLabels",
    "serviceAnnotations",
    "ingressAnnotations",
    "nodeSelector",
    "envVars",
    "hadoopConf",
    "sparkConf",
    "requests",
];

/// What was found of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It may run; this is how pods are to name it: by its digest, where the policy asks something of it.
    Admitted(String),
    /// It may not, and why.
    Refused(String),
    /// It could not be found out, and why: a registry that does not answer, a policy that cannot be read.
    Unknown(String),
}

/// Verifies images.
pub trait Verifier: fmt::Debug + Send + Sync + 'static {
    /// What is found of an image, named as an application names it.
    fn verify(&self, image: String) -> BoxFuture<'_, Verified>;
}

/// Who is asked about images; by default no one, and all may run.
#[derive(Clone, Debug, Default)]
pub struct ImagePolicy(Option<Arc<dyn Verifier>>);

impl ImagePolicy {
    /// Asks this one.
    #[must_use]
    pub fn of(verifier: Arc<dyn Verifier>) -> Self {
        Self(Some(verifier))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// The application as its pods are to be made, or what becomes of its submission.
    pub(crate) async fn admit(
        &self,
        app: &SparkApplication,
        default: Option<&str>,
    ) -> Result<SparkApplication, Outcome> {
        let Some(verifier) = &self.0 else {
            return Ok(app.clone());
        };
        let images = images(app, default).map_err(|why| denied(&why))?;
        let found = join_all(images.into_iter().map(|image| async {
            let verified = verifier.verify(image.clone()).await;
            (image, verified)
        }));
        let by_digest = decide(found.await)?;
        pinned(app, default, &by_digest).map_err(|why| denied(&why))
    }
}

fn denied(why: &str) -> Outcome {
    Outcome::Refused {
        code: "ImageDenied".to_owned(),
        message: format!("{DENIED}: {why}"),
        permanent: true,
    }
}

/// What becomes of a submission: refused for good where one image is, waiting where one is not known, else the images by their digests.
///
/// # Errors
/// The outcome of a submission that is not made.
pub fn decide(found: Vec<(String, Verified)>) -> Result<BTreeMap<String, String>, Outcome> {
    let mut by_digest = BTreeMap::new();
    let (mut refused, mut unknown) = (Vec::new(), Vec::new());
    for (image, verified) in found {
        match verified {
            Verified::Admitted(name) => drop(by_digest.insert(image, name)),
            Verified::Refused(why) => refused.push(format!("image {image} is refused by the image policy: {why}")),
            Verified::Unknown(why) => unknown.push(format!("image {image} cannot be verified: {why}")),
        }
    }
    if !refused.is_empty() {
        return Err(denied(&refused.join("; ")));
    }
    if !unknown.is_empty() {
        return Err(Outcome::Blocked {
            message: format!("{UNKNOWN}: {}; it is asked again", unknown.join("; ")),
        });
    }
    Ok(by_digest)
}

/// All images that an application names, each once.
///
/// # Errors
/// A place that may name images and cannot be looked into.
pub fn images(app: &SparkApplication, default: Option<&str>) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    each(app, default, &mut |image| all.push(image.clone()))?;
    all.sort();
    all.dedup();
    Ok(all)
}

/// The application with other names for its images.
fn pinned(
    app: &SparkApplication,
    default: Option<&str>,
    names: &BTreeMap<String, String>,
) -> Result<SparkApplication, String> {
    let spec = each(app, default, &mut |image| {
        if let Some(name) = names.get(image) {
            image.clone_from(name);
        }
    })?;
    Ok(SparkApplication {
        metadata: app.metadata.clone(),
        status: app.status.clone(),
        spec: serde_json::from_value(spec)
            .map_err(|error| format!("the application with its images by digest: {error}"))?,
    })
}

/// Visits every image of an application; gives its spec as the visitor left it.
fn each(app: &SparkApplication, default: Option<&str>, visit: &mut dyn FnMut(&mut String)) -> Result<Value, String> {
    let mut spec = serde_json::to_value(&app.spec).map_err(|error| error.to_string())?;
    let conf = |key: &str| spec["sparkConf"].get(key).is_some();
    if let Some(key) = spec["sparkConf"].as_object().and_then(|conf| {
        conf.keys()
            .find(|key| key.to_ascii_lowercase().ends_with("podtemplatefile"))
    }) {
        return Err(format!(
            "{key} names a file whose images are not known before the pod is made; write the template into spec.driver.template and spec.executor.template"
        ));
    }
    if let Some(default) = default
        && spec["image"].as_str().is_none_or(str::is_empty)
        && !conf(CONF[0])
        && let Some(spec) = spec.as_object_mut()
    {
        spec.insert("image".to_owned(), default.into());
    }
    for key in CONF {
        if let Some(Value::String(image)) = spec.get_mut("sparkConf").and_then(|conf| conf.get_mut(key)) {
            visit(image);
        }
    }
    walk(&mut spec, visit);
    Ok(spec)
}

fn walk(value: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut().filter(|(key, _)| !WORDS.contains(&key.as_str())) {
                match value {
                    Value::String(image) if key == "image" && !image.is_empty() => visit(image),
                    // A volume made of an image.
                    Value::Object(image) if key == "image" => {
                        if let Some(Value::String(reference)) = image.get_mut("reference") {
                            visit(reference);
                        }
                    }
                    value => walk(value, visit),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app(spec: Value) -> SparkApplication {
        let mut whole = json!({"type": "Python", "sparkVersion": "4.1.4", "driver": {}, "executor": {}});
        if let (Value::Object(whole), Value::Object(spec)) = (&mut whole, spec) {
            whole.extend(spec);
        }
        serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": whole})).unwrap()
    }

    #[test]
    fn every_image_of_an_application_is_found() {
        let spec = json!({
            "image": "r/base:1",
            "sparkConf": {"spark.kubernetes.executor.container.image": "r/conf:1", "spark.x": "r/no:1"},
            "driver": {"image": "r/driver:1", "labels": {"image": "r/no:2"},
                "sidecars": [{"name": "s", "image": "r/side:1"}], "initContainers": [{"name": "i", "image": "r/init:1"}]},
            "executor": {"image": "r/base:1", "template": {"spec": {"containers": [{"name": "c", "image": "r/template:1"}]}}},
            "volumes": [{"name": "v", "image": {"reference": "r/volume:1"}}],
        });
        let found = images(&app(spec.clone()), Some("r/default:1")).unwrap();
        assert_eq!(
            found,
            [
                "r/base:1",
                "r/conf:1",
                "r/driver:1",
                "r/init:1",
                "r/side:1",
                "r/template:1",
                "r/volume:1"
            ]
        );
        assert_eq!(images(&app(json!({})), Some("r/default:1")).unwrap(), ["r/default:1"]);
        assert!(images(&app(json!({})), None).unwrap().is_empty());
        let hidden = json!({"sparkConf": {"spark.kubernetes.executor.podTemplateFile": "/t.yaml"}});
        assert!(
            images(&app(hidden), None)
                .unwrap_err()
                .contains("spec.executor.template")
        );

        let names = found
            .iter()
            .map(|name| (name.clone(), format!("{name}@sha256:0")))
            .collect();
        let pinned = pinned(&app(spec), None, &names).unwrap();
        let all = images(&pinned, None).unwrap();
        assert_eq!(all.len(), 7);
        assert!(all.iter().all(|name| name.ends_with("@sha256:0")), "{all:?}");
        let spec = serde_json::to_value(&pinned.spec).unwrap();
        assert_eq!(spec["driver"]["labels"]["image"], "r/no:2");
    }

    #[test]
    fn what_becomes_of_a_submission() {
        let admitted = |name: &str| (name.to_owned(), Verified::Admitted(format!("{name}@d")));
        let refused = |name: &str| (name.to_owned(), Verified::Refused("no signature".into()));
        let unknown = |name: &str| (name.to_owned(), Verified::Unknown("registry down".into()));
        let table = [
            (vec![], Ok(0)),
            (vec![admitted("a"), admitted("b")], Ok(2)),
            (
                vec![admitted("a"), refused("b")],
                Err((
                    "image-denied: image b is refused by the image policy: no signature",
                    Some(true),
                )),
            ),
            // What is refused is refused, whatever else is not known.
            (
                vec![unknown("a"), refused("b")],
                Err(("image-denied: image b", Some(true))),
            ),
            (
                vec![unknown("a"), admitted("b")],
                Err(("image-unknown: image a cannot be verified: registry down", None)),
            ),
        ];
        for (found, expected) in table {
            let decided = decide(found.clone());
            match (decided, expected) {
                (Ok(names), Ok(count)) => assert_eq!(names.len(), count),
                (Err(Outcome::Refused { message, permanent, .. }), Err((words, Some(wanted)))) => {
                    assert!(message.contains(words) && permanent == wanted, "{message}");
                }
                (Err(Outcome::Blocked { message }), Err((words, None))) => {
                    assert!(message.contains(words), "{message}")
                }
                (decided, expected) => panic!("{found:?}: {decided:?} instead of {expected:?}"),
            }
        }
    }
}
