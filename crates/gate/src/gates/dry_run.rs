//! What an API server would say: a server-side dry run of every object, and of the pods that applications would get, so that quotas, service accounts,
//! Pod Security and the webhooks of that very cluster are asked.

use k8s_openapi::api::core::v1::{Node, ResourceQuota};
use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::Document;
use stoke_model::quantity::Quantity;

use super::{Looked, pods, unsound};
use crate::Gate;
use crate::Settings;
use crate::configuration::sound;
use crate::derived;
use crate::job::Job;
use crate::nodes;
use crate::runs::cluster::{Answer, ClusterAnswers, Request, Role};
use crate::sizing::{self, Allowed};

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let Some(ClusterAnswers {
        cluster,
        answers,
        quotas,
        nodes,
    }) = &settings.runs.cluster
    else {
        return match job.documents().next() {
            Some(_) => Looked::not_requested(Gate::DryRun),
            None => Looked::default(),
        };
    };
    let answers = match answers {
        Ok(answers) => answers,
        Err((why, fix)) => {
            let message = format!("{cluster} could not be asked: {why}");
            let finding = Diagnostic::cannot_tell("dry-run-not-asked", "", message).with_fix(fix.clone());
            return Looked::at(1, "object", vec![finding]);
        }
    };
    let mut findings = unsound(job, settings);
    for document in job.files.iter().flat_map(sound) {
        findings.extend(together(document, quotas, nodes, cluster, settings));
    }
    let said = answers.iter().flat_map(|(request, answer)| {
        let document = document(job, request);
        document
            .map(|document| judge(job, cluster, document, request, answer))
            .unwrap_or_default()
    });
    findings.extend(said);
    let mut looked = Looked::at(answers.len(), "object", findings);
    looked.what = format!("{} and pods, by {cluster}", looked.what);
    looked
}

/// Whether the pods of an application fit into the quotas of their namespace together, and on any node; the server is asked about one pod at a time, and
/// not about nodes.
fn together(
    document: &Document,
    quotas: &[(String, ResourceQuota)],
    nodes: &[Node],
    cluster: &str,
    settings: &Settings,
) -> Vec<Diagnostic> {
    let namespace = settings.namespace_of(document);
    let own: Vec<ResourceQuota> = quotas
        .iter()
        .filter(|(of, _)| of == namespace)
        .map(|(_, quota)| quota.clone())
        .collect();
    let Some(Ok(derived)) = derived::derive(document, namespace, &settings.submission) else {
        return Vec::new();
    };
    let misfits = |quotas: Vec<ResourceQuota>| {
        let allowed = Allowed {
            quotas,
            ..Allowed::default()
        };
        sizing::misfits(&derived.pods(), &allowed)
    };
    let left = misfits(own.iter().map(left_of).collect());
    let never = misfits(own);
    // What does not fit only because of others fits when they have ended.
    let now = left
        .into_iter()
        .filter(|remark| !never.iter().any(|known| known.path == remark.path));
    let now = now.map(|mut remark| {
        remark.severity = Severity::Warning;
        remark = remark.with_code("dry-run-quota");
        remark.message = format!("{cluster}, with what others use now: {}", remark.message);
        remark.fix = Some("wait until others have ended, or have the quota raised".into());
        remark
    });
    // Nodes come and go; that none fits now is no reason never to run.
    let nodes = nodes::misfits(&derived.pods(), nodes).into_iter().map(|mut remark| {
        remark.severity = Severity::Warning;
        remark = remark.with_code("dry-run-no-node");
        remark.message = format!("{cluster}, with the nodes it has now: {}", remark.message);
        remark
    });
    let now: Vec<_> = now.chain(nodes).collect();
    never
        .into_iter()
        .chain(now)
        .map(|remark| pods::placed(document, remark))
        .collect()
}

/// A quota that allows what is left of it.
fn left_of(quota: &ResourceQuota) -> ResourceQuota {
    let mut left = quota.clone();
    let used = quota.status.as_ref().and_then(|status| status.used.as_ref());
    let hard = left.spec.as_mut().and_then(|spec| spec.hard.as_mut());
    for (key, amount) in hard.into_iter().flatten() {
        let read = |text: &str| text.parse::<Quantity>().ok();
        let used = used.and_then(|used| read(&used.get(key)?.0));
        if let (Some(all), Some(used)) = (read(&amount.0), used) {
            amount.0 = if used < all { all - used } else { Quantity::default() }.to_string();
        }
    }
    left
}

fn document<'a>(job: &'a Job, request: &Request) -> Option<&'a Document> {
    let file = job.files.iter().find(|file| file.name == request.file)?;
    file.documents().get(request.document)
}

fn judge(job: &Job, cluster: &str, document: &Document, request: &Request, answer: &Answer) -> Vec<Diagnostic> {
    let who = match request.role {
        Role::Object => format!("{} `{}`", document.kind, document.name),
        Role::Driver => "the driver pod".to_owned(),
        Role::Executor => "an executor pod".to_owned(),
    };
    let says = |severity, code: &'static str, field: &str, message: String| {
        // A field of a derived pod is none of the manifest's.
        let of_pod = request.role != Role::Object;
        let path = match request.role {
            Role::Object => field.to_owned(),
            Role::Driver => format!("{}.driver", document.spec_path()),
            Role::Executor => format!("{}.executor", document.spec_path()),
        };
        let known = !path.is_empty() && document.node.lookup(&path).is_some();
        let path = if known { path } else { "metadata.name".to_owned() };
        let place = document.node.place_of(&path);
        let shown = if known && !of_pod { path.as_str() } else { "" };
        Diagnostic::at(severity, code, &document.source, place, shown, message)
    };
    let unknown = |code, message: String| {
        let mut finding = says(Severity::Error, code, "", message);
        finding.cannot_tell = true;
        finding
    };
    let brings = |kind: &str, name: &str| job.documents().any(|other| other.kind == kind && other.name == name);
    match answer {
        Answer::Accepted { warnings } => {
            let warned = warnings.iter();
            warned
                .map(|text| {
                    says(
                        Severity::Warning,
                        "dry-run-warning",
                        "",
                        format!("{cluster} warns of {who}: {text}"),
                    )
                })
                .collect()
        }
        Answer::NoKind => {
            let brought = job.documents().any(|other| {
                other.kind == "CustomResourceDefinition"
                    && other.value["spec"]["names"]["kind"] == document.kind.as_str()
            });
            let finding = if brought {
                let message = format!("{cluster} does not have the kind of {who} yet; the job brings its definition");
                unknown("dry-run-depends", message).with_fix("apply the definition first, then check again")
            } else {
                let message = format!("{cluster} has no {} of {}", document.kind, document.api_version);
                let fix = match document.is_ours() {
                    true => "install the operator: `stoke operator install`",
                    false => "install what brings this kind, or choose another cluster",
                };
                says(Severity::Error, "dry-run-no-kind", "kind", message).with_fix(fix)
            };
            vec![finding]
        }
        Answer::None(why) => {
            let message = format!("{cluster} did not answer for {who}: {why}");
            vec![unknown("dry-run-not-asked", message).with_fix("ask again when the cluster answers")]
        }
        Answer::Refused {
            reason,
            message,
            causes,
            ..
        } => {
            let namespace = &request.namespace;
            let lacks = |what: &str, name: &str| {
                message.contains(what) && message.contains(&format!("\"{name}\"")) && message.contains("not found")
            };
            let account = request.object["spec"]["serviceAccountName"]
                .as_str()
                .unwrap_or("default");
            if lacks("namespaces", namespace) {
                return vec![if brings("Namespace", namespace) {
                    let message = format!(
                        "{who} goes into namespace `{namespace}`, which the job brings and {cluster} does not have yet"
                    );
                    unknown("dry-run-depends", message).with_fix("apply the namespace first, then check again")
                } else {
                    let message = format!("{who} goes into namespace `{namespace}`, which {cluster} does not have");
                    says(Severity::Error, "dry-run-no-namespace", "metadata.namespace", message)
                        .with_fix(format!("`kubectl create namespace {namespace}`, or name another one"))
                }];
            }
            if lacks("serviceaccount", account) && brings("ServiceAccount", account) {
                let message = format!(
                    "{who} runs as service account `{account}`, which the job brings and {cluster} does not have yet"
                );
                return vec![
                    unknown("dry-run-depends", message).with_fix("apply the service account first, then check again"),
                ];
            }
            if message.contains(" cannot create resource ") || message.contains(" cannot patch resource ") {
                let message = format!("{cluster} does not let you ask about {who}: {message}");
                return vec![
                    unknown("dry-run-forbidden", message)
                        .with_fix("ask as a user who may create it; a dry run wants the same rights"),
                ];
            }
            let said = |message: &str| format!("{cluster} would refuse {who}: {message} ({reason})");
            let mut found: Vec<Diagnostic> = Vec::new();
            for (field, cause) in causes
                .iter()
                .filter(|(field, _)| request.role == Role::Object && document.node.lookup(field).is_some())
            {
                found.push(says(
                    Severity::Error,
                    "dry-run-refused",
                    field,
                    said(&format!("{field}: {cause}")),
                ));
            }
            if found.is_empty() {
                found.push(says(Severity::Error, "dry-run-refused", "", said(message)));
            }
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::of_bytes;
    use crate::runs::Runs;
    use crate::runs::cluster::requests;

    const JOB: &str = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: spark, namespace: sales}\n---\napiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a, namespace: sales}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: spark:4.1.4\n  mainApplicationFile: local:///a.py\n  driver: {cores: 1, memory: 1g, serviceAccount: spark}\n  executor: {cores: 1, instances: 1, memory: 1g}\n";

    fn job(text: &str) -> Job {
        Job {
            files: vec![of_bytes("a.yaml", text.as_bytes())],
            ..Job::default()
        }
    }

    /// What is found when one of the requests is answered so and the others are accepted.
    fn said(role: Role, answer: &Answer) -> Vec<(String, usize, bool)> {
        let job = job(JOB);
        let asked = requests(&job, &Settings::default()).into_iter().map(|request| {
            let this = request.role == role && request.object["kind"] != "ServiceAccount";
            let accepted = Answer::Accepted { warnings: Vec::new() };
            let answer = if this { answer.clone() } else { accepted };
            (request, answer)
        });
        let settings = Settings {
            runs: Runs {
                cluster: Some(ClusterAnswers {
                    cluster: "the embedded cluster".to_owned(),
                    answers: Ok(asked.collect()),
                    quotas: Vec::new(),
                    nodes: Vec::new(),
                }),
                ..Runs::default()
            },
            ..Settings::default()
        };
        let findings = look(&job, &settings).findings.into_iter();
        findings
            .map(|finding| (finding.code.to_string(), finding.line, finding.cannot_tell))
            .collect()
    }

    fn refused(message: &str, causes: &[(&str, &str)]) -> Answer {
        Answer::Refused {
            code: 403,
            reason: "Forbidden".to_owned(),
            message: message.to_owned(),
            causes: causes
                .iter()
                .map(|(field, cause)| ((*field).to_owned(), (*cause).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn every_object_and_pod_is_asked_about() {
        let asked = requests(&job(JOB), &Settings::default());
        let roles: Vec<Role> = asked.iter().map(|request| request.role).collect();
        assert_eq!(roles, [Role::Object, Role::Object, Role::Driver, Role::Executor]);
        assert!(asked.iter().all(|request| request.namespace == "sales"));
        let driver = &asked[2].object;
        assert!(
            driver["metadata"]["name"].is_null() && driver["metadata"]["generateName"] == "a-driver-dry-run-",
            "{driver}"
        );
    }

    #[test]
    fn what_the_server_says_stands_at_its_place() {
        let quota = "pods \"a\" is forbidden: exceeded quota: team, requested: cpu=1, used: cpu=3, limited: cpu=3";
        let rows = [
            (Role::Driver, refused(quota, &[]), "dry-run-refused", 14, false),
            (Role::Executor, refused(quota, &[]), "dry-run-refused", 15, false),
            (
                Role::Object,
                refused("no", &[("spec.image", "bad")]),
                "dry-run-refused",
                12,
                false,
            ),
            (
                Role::Object,
                refused("no", &[("spec.nowhere", "bad")]),
                "dry-run-refused",
                7,
                false,
            ),
            (
                Role::Object,
                refused("namespaces \"sales\" not found", &[]),
                "dry-run-no-namespace",
                7,
                false,
            ),
            (
                Role::Driver,
                refused(
                    "pods is forbidden: error looking up service account sales/spark: serviceaccount \"spark\" not found",
                    &[],
                ),
                "dry-run-depends",
                14,
                true,
            ),
            (
                Role::Driver,
                refused(
                    "pods is forbidden: User \"ci\" cannot create resource \"pods\" in API group \"\"",
                    &[],
                ),
                "dry-run-forbidden",
                14,
                true,
            ),
            (Role::Object, Answer::NoKind, "dry-run-no-kind", 6, false),
            (
                Role::Object,
                Answer::None("timeout".to_owned()),
                "dry-run-not-asked",
                7,
                true,
            ),
            (
                Role::Object,
                Answer::Accepted {
                    warnings: vec!["old".to_owned()],
                },
                "dry-run-warning",
                7,
                false,
            ),
        ];
        for (role, answer, code, line, cannot_tell) in rows {
            assert_eq!(
                said(role, &answer),
                [(code.to_owned(), line, cannot_tell)],
                "{answer:?}"
            );
        }
    }

    #[test]
    fn pods_are_held_together_against_what_a_quota_leaves() {
        let quota = |hard: &str, used: &str| -> Vec<(String, ResourceQuota)> {
            let quota = serde_json::json!({"metadata": {"name": "team"}, "spec": {"hard": {"requests.cpu": hard}}, "status": {"used": {"requests.cpu": used}}});
            vec![("sales".to_owned(), serde_json::from_value(quota).unwrap())]
        };
        let job = job(JOB);
        let said = |quotas: Vec<(String, ResourceQuota)>| -> Vec<(String, usize)> {
            let runs = Runs {
                cluster: Some(ClusterAnswers {
                    cluster: "it".to_owned(),
                    answers: Ok(Vec::new()),
                    quotas,
                    nodes: Vec::new(),
                }),
                ..Runs::default()
            };
            let findings = look(
                &job,
                &Settings {
                    runs,
                    ..Settings::default()
                },
            )
            .findings
            .into_iter();
            findings
                .map(|finding| (finding.code.to_string(), finding.line))
                .collect()
        };
        assert_eq!(said(quota("2", "0")), []);
        assert_eq!(said(quota("1", "0")), [("above-quota".to_owned(), 15)]);
        assert_eq!(said(quota("4", "3")), [("dry-run-quota".to_owned(), 15)]);
        assert_eq!(said(quota("4", "9")), [("dry-run-quota".to_owned(), 14)]);
    }

    #[test]
    fn nobody_asked_is_no_verdict_and_nobody_there_is_none_either() {
        let looked = look(&job(JOB), &Settings::default());
        assert!(looked.not_requested && looked.findings.is_empty());
        let settings = Settings {
            runs: Runs {
                cluster: Some(ClusterAnswers {
                    cluster: "context x".to_owned(),
                    answers: Err(("no route".to_owned(), "start it".to_owned())),
                    quotas: Vec::new(),
                    nodes: Vec::new(),
                }),
                ..Runs::default()
            },
            ..Settings::default()
        };
        let findings = look(&job(JOB), &settings).findings;
        assert!(
            findings[0].cannot_tell && findings[0].code == "dry-run-not-asked",
            "{findings:?}"
        );
    }
}
