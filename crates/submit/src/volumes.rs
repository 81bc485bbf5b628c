//! Volumes from configuration: `spark.kubernetes.{driver,executor}.volumes.TYPE.NAME.{mount,options,label,annotation}.…`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::conf::{Conf, invalid};
use crate::error::PlanError;
use crate::object::{Draft, Object, merge_into};

/// The claim name that asks for a claim made for this pod.
const ON_DEMAND: &str = "OnDemand";

/// Whose pod the volumes belong to.
pub(crate) struct Owner<'a> {
    /// `driver` or `executor`.
    pub(crate) role: &'a str,
    pub(crate) app_id: &'a str,
    /// Name of claims made for the pod, without their number: `PREFIX-driver-pvc`, `PREFIX-exec-1-pvc`.
    pub(crate) claim_prefix: String,
    /// Replaces `SPARK_EXECUTOR_ID` in claim names.
    pub(crate) executor_id: Option<&'a str>,
}

/// One configured volume.
struct Spec {
    name: String,
    mount_path: String,
    sub_path: String,
    sub_path_expr: String,
    read_only: bool,
    source: Source,
}

enum Source {
    HostPath {
        path: String,
        kind: String,
    },
    EmptyDir {
        medium: Option<String>,
        size: Option<String>,
    },
    Nfs {
        path: String,
        server: String,
    },
    Claim {
        name: String,
        class: Option<String>,
        size: Option<String>,
        labels: Vec<(String, String)>,
        annotations: Vec<(String, String)>,
    },
}

/// Checks the volumes of a role without adding them.
pub(crate) fn check(conf: &Conf, role: &str) -> Result<(), PlanError> {
    parse(conf, role).map(|_| ())
}

/// Adds the volumes of a role to its pod; claims to be made go to `resources`.
pub(crate) fn mount(
    draft: &mut Draft,
    conf: &Conf,
    owner: &Owner<'_>,
    resources: &mut Vec<Value>,
) -> Result<(), PlanError> {
    let specs = parse(conf, owner.role)?;
    refuse_shared_paths(owner.role, &specs)?;
    // Read-write-once-pod is the default since 4.0.
    let legacy = conf.bool(
        "spark.kubernetes.legacy.useReadWriteOnceAccessMode",
        !conf.version.since(4, 0),
    )?;
    let access_mode = if legacy { "ReadWriteOnce" } else { "ReadWriteOncePod" };
    for (index, spec) in specs.into_iter().enumerate() {
        draft.add_mount(mount_of(&spec, conf));
        let mut volume = Object::new();
        volume.insert("name".to_owned(), json!(spec.name));
        let (kind, source) = match spec.source {
            Source::HostPath { path, kind } => ("hostPath", json!({"path": path, "type": kind})),
            Source::EmptyDir { medium, size } => {
                let mut source = Object::new();
                source.insert("medium".to_owned(), json!(medium.unwrap_or_default()));
                if let Some(size) = size {
                    source.insert("sizeLimit".to_owned(), json!(size));
                }
                ("emptyDir", Value::Object(source))
            }
            Source::Nfs { path, server } => ("nfs", json!({"path": path, "server": server})),
            Source::Claim {
                name,
                class,
                size,
                labels,
                annotations,
            } => {
                let mut claim = name.replace(ON_DEMAND, &format!("{}-{index}", owner.claim_prefix));
                if let Some(executor_id) = owner.executor_id {
                    claim = claim.replace("SPARK_EXECUTOR_ID", executor_id);
                }
                if let (Some(class), Some(size)) = (class, size) {
                    resources.push(claim_object(
                        &claim,
                        &class,
                        &size,
                        access_mode,
                        owner.app_id,
                        labels,
                        annotations,
                    ));
                }
                (
                    "persistentVolumeClaim",
                    json!({"claimName": claim, "readOnly": spec.read_only}),
                )
            }
        };
        volume.insert(kind.to_owned(), source);
        draft.add_volume(Value::Object(volume));
    }
    Ok(())
}

fn mount_of(spec: &Spec, conf: &Conf) -> Value {
    let mut mount = Object::new();
    mount.insert("mountPath".to_owned(), json!(spec.mount_path));
    mount.insert("name".to_owned(), json!(spec.name));
    mount.insert("readOnly".to_owned(), json!(spec.read_only));
    mount.insert("subPath".to_owned(), json!(spec.sub_path));
    if conf.version.since(4, 0) {
        mount.insert("subPathExpr".to_owned(), json!(spec.sub_path_expr));
    }
    Value::Object(mount)
}

fn claim_object(
    name: &str,
    class: &str,
    size: &str,
    access_mode: &str,
    app_id: &str,
    mut labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
) -> Value {
    let mut metadata = Object::new();
    metadata.insert("name".to_owned(), json!(name));
    labels.push(("spark-app-selector".to_owned(), app_id.to_owned()));
    merge_into(&mut metadata, "labels", labels);
    merge_into(&mut metadata, "annotations", annotations);
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": {
            "accessModes": [access_mode],
            "resources": {"requests": {"storage": size}},
            "storageClassName": class,
        },
    })
}

fn parse(conf: &Conf, role: &str) -> Result<Vec<Spec>, PlanError> {
    let prefix = format!("spark.kubernetes.{role}.volumes.");
    let properties = conf.with_prefix(&prefix);
    let mut volumes: Vec<(&str, &str)> = Vec::new();
    for (key, _) in &properties {
        let mut parts = key.split('.');
        if let (Some(kind), Some(name)) = (parts.next(), parts.next())
            && !volumes.contains(&(kind, name))
        {
            volumes.push((kind, name));
        }
    }
    let options: BTreeMap<&str, &str> = properties
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    volumes
        .iter()
        .map(|(kind, name)| {
            Volume {
                prefix: &prefix,
                kind,
                name,
                options: &options,
                conf,
            }
            .parse(&properties)
        })
        .collect()
}

/// The keys of one volume.
struct Volume<'a> {
    prefix: &'a str,
    kind: &'a str,
    name: &'a str,
    options: &'a BTreeMap<&'a str, &'a str>,
    conf: &'a Conf,
}

impl Volume<'_> {
    fn key(&self, option: &str) -> String {
        format!("{}.{}.{option}", self.kind, self.name)
    }

    fn option(&self, option: &str) -> Option<String> {
        self.options
            .get(self.key(option).as_str())
            .map(|value| (*value).to_owned())
    }

    fn required(&self, option: &str) -> Result<String, PlanError> {
        self.option(option).ok_or_else(|| PlanError::MissingKey {
            key: format!("{}{}", self.prefix, self.key(option)),
            reason: format!("the volume `{}` of type {} has no `{option}`", self.name, self.kind),
        })
    }

    /// The keys below `option`, which is `label` or `annotation`.
    fn map(&self, properties: &[(String, String)], option: &str) -> Vec<(String, String)> {
        if !self.conf.version.since(4, 0) {
            return Vec::new();
        }
        let start = format!("{}.", self.key(option));
        properties
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(&start)?.to_owned(), value.clone())))
            .collect()
    }

    /// A size without unit below 1024 is a forgotten unit.
    fn size(&self) -> Result<Option<String>, PlanError> {
        let size = self.option("options.sizeLimit");
        if let Some(text) = &size
            && self.conf.version.since(4, 0)
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && !text.parse::<u64>().is_ok_and(|bytes| bytes >= 1024)
        {
            let key = format!("{}{}", self.prefix, self.key("options.sizeLimit"));
            return Err(invalid(
                &key,
                text,
                "less than 1 KiB; a unit is missing, write for example 10Gi",
            ));
        }
        Ok(size)
    }

    fn parse(&self, properties: &[(String, String)]) -> Result<Spec, PlanError> {
        let mount_path = self.required("mount.path")?;
        let expression = self
            .option("mount.subPathExpr")
            .filter(|_| self.conf.version.since(4, 0));
        if let (Some(path), Some(expression)) = (self.option("mount.subPath"), &expression) {
            let key = format!("{}{}", self.prefix, self.key("mount.subPathExpr"));
            return Err(invalid(
                &key,
                expression,
                &format!("`mount.subPath` is set to `{path}`; keep one of the two"),
            ));
        }
        let read_only_key = format!("{}{}", self.prefix, self.key("mount.readOnly"));
        Ok(Spec {
            name: self.name.to_owned(),
            mount_path,
            sub_path: self.option("mount.subPath").unwrap_or_default(),
            sub_path_expr: expression.unwrap_or_default(),
            read_only: self.conf.bool(&read_only_key, false)?,
            source: self.source(properties)?,
        })
    }

    fn source(&self, properties: &[(String, String)]) -> Result<Source, PlanError> {
        Ok(match self.kind {
            "hostPath" => Source::HostPath {
                path: self.required("options.path")?,
                kind: self
                    .option("options.type")
                    .filter(|_| self.conf.version.since(4, 0))
                    .unwrap_or_default(),
            },
            "persistentVolumeClaim" => Source::Claim {
                name: self.required("options.claimName")?,
                class: self.option("options.storageClass"),
                size: self.size()?,
                labels: self.map(properties, "label"),
                annotations: self.map(properties, "annotation"),
            },
            "emptyDir" => Source::EmptyDir {
                medium: self.option("options.medium"),
                size: self.size()?,
            },
            "nfs" => Source::Nfs {
                path: self.required("options.path")?,
                server: self.required("options.server")?,
            },
            other => {
                let key = format!("{}{}", self.prefix, self.key("mount.path"));
                let reason = format!(
                    "volumes of type `{other}` are not supported; use hostPath, emptyDir, nfs or persistentVolumeClaim, or put the volume into a pod template"
                );
                return Err(invalid(&key, &self.option("mount.path").unwrap_or_default(), &reason));
            }
        })
    }
}

fn refuse_shared_paths(role: &str, specs: &[Spec]) -> Result<(), PlanError> {
    for (at, spec) in specs.iter().enumerate() {
        if let Some(other) = specs[..at].iter().find(|other| other.mount_path == spec.mount_path) {
            return Err(invalid(
                &format!("spark.kubernetes.{role}.volumes.*.{}.mount.path", spec.name),
                &spec.mount_path,
                &format!(
                    "the volume `{}` is mounted there too; give each volume its own path",
                    other.name
                ),
            ));
        }
    }
    Ok(())
}
