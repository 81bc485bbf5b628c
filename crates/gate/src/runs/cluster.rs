//! What an API server would say of a job's objects, and of the pods they become: a server-side dry run.

use k8s_openapi::api::core::v1::{Node, ResourceQuota};
use serde_json::Value;
use stoke_model::manifest::Document;

use crate::Settings;
use crate::configuration::sound;
use crate::derived;
use crate::job::Job;

/// What an object is to the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One of its documents.
    Object,
    /// The driver that one of them would get, or the server.
    Driver,
    /// An executor that one of them would get.
    Executor,
}

/// One object to ask about.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Name of the file.
    pub file: String,
    /// Which of its documents, from 0.
    pub document: usize,
    /// What the object is to the job.
    pub role: Role,
    /// Namespace it goes into, where its kind has one.
    pub namespace: String,
    pub object: Value,
}

/// What was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would be taken.
    Accepted {
        /// What its author is warned of.
        warnings: Vec<String>,
    },
    /// It would not.
    Refused {
        /// HTTP status.
        code: u16,
        /// Word for it: `Forbidden`, `Invalid`.
        reason: String,
        /// Why.
        message: String,
        /// Fields and what is wrong with each.
        causes: Vec<(String, String)>,
    },
    /// The server has no such kind.
    NoKind,
    /// There was no answer, and why.
    None(String),
}

/// A cluster that was asked.
#[derive(Clone, Debug)]
pub struct ClusterAnswers {
    /// Its name: a context, or the embedded one.
    pub cluster: String,
    /// The answers, or why no one could be asked and what to do about it.
    pub answers: Result<Vec<(Request, Answer)>, (String, String)>,
    /// Its quotas, as far as it lets you see them: their namespaces, and what is left of them stands in their status.
    pub quotas: Vec<(String, ResourceQuota)>,
    /// Its nodes, as far as it lets you see them.
    pub nodes: Vec<Node>,
}

/// What is to be asked: every document with a kind, and the pods of those that the other gates have nothing against.
#[must_use]
pub fn requests(job: &Job, settings: &Settings) -> Vec<Request> {
    let mut asked = Vec::new();
    for file in &job.files {
        let sound: Vec<&Document> = sound(file).collect();
        for (number, document) in file.documents().iter().enumerate() {
            if document.kind.is_empty() || document.api_version.is_empty() {
                continue;
            }
            let namespace = settings.namespace_of(document);
            let mut ask = |role, object| {
                asked.push(Request {
                    file: file.name.clone(),
                    document: number,
                    role,
                    namespace: namespace.to_owned(),
                    object,
                });
            };
            ask(Role::Object, document.value.clone());
            let is_sound = sound.iter().any(|known| std::ptr::eq(*known, document));
            let derived = is_sound.then(|| derived::derive(document, namespace, &settings.submission));
            if let Some(Some(Ok(derived))) = derived {
                ask(Role::Driver, pod(derived.driver, namespace));
                if let Some(executor) = derived.executor {
                    ask(Role::Executor, pod(executor, namespace));
                }
            }
        }
    }
    asked
}

/// A pod as it can be asked about: under a name no one has, without an owner that is not there.
fn pod(mut pod: Value, namespace: &str) -> Value {
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    let metadata = &mut pod["metadata"];
    metadata["namespace"] = namespace.into();
    let name = metadata["name"].as_str().unwrap_or("spark").to_owned();
    // A name made from this one is at most 63 bytes.
    let prefix: String = name.chars().take(48).collect();
    metadata["generateName"] = format!("{prefix}-dry-run-").into();
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove("name");
        fields.remove("ownerReferences");
    }
    pod
}
