//! Secrets that are replaced.

use serde_json::{Value, json};
use stoke_model::names;
use stoke_model::units::people::counted;

use super::super::action::{Action, Change, Object, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::WITHIN;

const USERS: &[Read] = &[Read::Secret, Read::Applications, Read::Connects, Read::Schedules];

pub static BOOK: Runbook = Runbook {
    name: "rotate-secrets",
    title: "Replace keys of a Secret, and begin again what holds the old ones",
    when: "A credential is due, or known to others. The new values are written, what uses the Secret and runs is begun again with them, and the old values are kept in the cluster until they were withdrawn.",
    codes: &[
        "api-unauthorized",
        "kerberos-refused",
        "database-login-refused",
        "kafka-denied",
    ],
    parameters: &[
        Parameter {
            name: "secret",
            what: "The Secret",
            found: "`kubectl get secrets`; secretKeyRef and secrets of the manifest",
            form: Form::Name,
            need: Need::Always,
        },
        Parameter {
            name: "values",
            what: "A file with KEY=VALUE on each line; its values stand in no record",
            found: "Who issues the credential",
            form: Form::Secrets,
            need: Need::Always,
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "users",
            what: "Which keys are replaced, and what uses the Secret?",
            only: &[],
            reads: USERS,
            does: Does::Check(check),
        },
        Step {
            name: "keep",
            what: "Copy the old values to a Secret beside it.",
            only: &[],
            reads: &[Read::Secret],
            does: Does::Act {
                rights: &[("get", Kind::Secret), ("create", Kind::Secret), ("patch", Kind::Secret)],
                plan: plan_keep,
                undo: "The copy is deleted.",
            },
        },
        Step {
            name: "write",
            what: "Write the new values.",
            only: &[],
            reads: USERS,
            does: Does::Act {
                rights: &[("patch", Kind::Secret)],
                plan: plan_write,
                undo: "The old values are copied back, as long as the copy is there.",
            },
        },
        Step {
            name: "begin-again",
            what: "Running applications and Connect servers that use it begin again.",
            only: &[],
            reads: &[
                Read::Secret,
                Read::Applications,
                Read::Connects,
                Read::Schedules,
                Read::Pods,
            ],
            does: Does::Act {
                rights: &[("patch", Kind::SparkApplication), ("delete", Kind::Pod)],
                plan: plan_again,
                undo: "The mark that began them again is removed, which begins them again.",
            },
        },
        Step {
            name: "use-it",
            what: "What uses the Secret was begun after it was written, and runs.",
            only: &[],
            reads: &[
                Read::Secret,
                Read::Applications,
                Read::Connects,
                Read::Schedules,
                Read::Pods,
            ],
            does: Does::Verify {
                holds: use_it,
                within: 900,
            },
        },
        Step {
            name: "withdrawn",
            what: "Withdraw the old values where they were issued, then go on.",
            only: &[],
            reads: &[],
            does: Does::Pause,
        },
        Step {
            name: "forget",
            what: "Delete the copy of the old values.",
            only: &[],
            reads: &[Read::SecretCopy],
            does: Does::Act {
                rights: &[("delete", Kind::Secret)],
                plan: plan_forget,
                undo: "",
            },
        },
    ],
    limits: &["What reads the Secret by other ways than its manifest (a library, a mounted CSI volume) is not seen."],
};

/// The name of the copy: of this Secret and this run.
pub fn copy(secret: &str, record: &str) -> String {
    let end = record.rsplit('-').next().unwrap_or_default();
    names::short_name(secret, &format!("before-{end}"))
}

/// Whether a spec names a Secret where Secrets are named.
fn uses(value: &Value, secret: &str) -> bool {
    const NAMES: [&str; 6] = [
        "secretKeyRef",
        "secretRef",
        "secrets",
        "secret",
        "secretName",
        "imagePullSecrets",
    ];
    match value {
        Value::Object(map) => map.iter().any(|(key, inner)| {
            let named = match inner {
                Value::String(text) => text == secret,
                Value::Object(_) => inner["name"] == secret || inner["secretName"] == secret,
                Value::Array(list) => list.iter().any(|one| *one == secret || one["name"] == secret),
                _ => false,
            };
            let of_conf = key.contains(".secretKeyRef.") || key.contains(".secrets.");
            let starts = |inner: &Value| {
                inner
                    .as_str()
                    .is_some_and(|text| text == secret || text.split(':').next() == Some(secret))
            };
            (NAMES.contains(&key.as_str()) && named)
                || (of_conf && (starts(inner) || key.ends_with(&format!(".secrets.{secret}"))))
                || uses(inner, secret)
        }),
        Value::Array(list) => list.iter().any(|inner| uses(inner, secret)),
        _ => false,
    }
}

fn users<'a>(case: &Case<'a>, read: Read) -> Result<Vec<&'a Value>, Unknown> {
    let secret = case.input.text("secret");
    Ok(case
        .all(read)?
        .iter()
        .filter(|object| uses(&object["spec"], secret))
        .collect())
}

fn running<'a>(case: &Case<'a>) -> Result<Vec<&'a Value>, Unknown> {
    let all = users(case, Read::Applications)?;
    Ok(all
        .into_iter()
        .filter(|application| spark::is_in_progress(application))
        .collect())
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let secret = case.the(Read::Secret)?;
    if case.input.secrets.is_empty() {
        return Err("--values has no line KEY=VALUE".into());
    }
    let keys: Vec<&str> = secret["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .map(spark::text)
        .collect();
    let unknown: Vec<&str> = case
        .input
        .secrets
        .iter()
        .map(String::as_str)
        .filter(|key| !keys.contains(key))
        .collect();
    if !unknown.is_empty() {
        return Err(Unknown(format!(
            "the Secret has no key {}; it has {}",
            unknown.join(", "),
            keys.join(", ")
        )));
    }
    let says = format!(
        "{} of {}; {}, {} and {} use it",
        case.input.secrets.join(", "),
        spark::name(secret),
        counted(users(case, Read::Applications)?.len(), "application"),
        counted(users(case, Read::Schedules)?.len(), "schedule"),
        counted(users(case, Read::Connects)?.len(), "Connect server")
    );
    Ok(Seen::go(says))
}

fn plan_keep(case: &Case<'_>) -> Result<Plan, Unknown> {
    let from = Object::of(Kind::Secret, case.the(Read::Secret)?);
    let to = Object::new(Kind::Secret, &from.namespace, &copy(&from.name, case.record));
    let undo = Action::Delete {
        object: to.clone(),
        uid: None,
    };
    let blast = format!("Secret {} is made", to.name);
    let action = Action::CopySecret { from, to, fresh: true };
    Ok(Plan::new(
        blast,
        vec![Change {
            action,
            undo: Some(undo),
        }],
    ))
}

fn plan_write(case: &Case<'_>) -> Result<Plan, Unknown> {
    let object = Object::of(Kind::Secret, case.the(Read::Secret)?);
    let undo = Action::CopySecret {
        from: Object::new(Kind::Secret, &object.namespace, &copy(&object.name, case.record)),
        to: object.clone(),
        fresh: false,
    };
    let blast = format!(
        "{} of Secret {}; what runs keeps the old values until it begins again",
        counted(case.input.secrets.len(), "key"),
        object.name
    );
    let action = Action::SetSecret {
        object,
        keys: case.input.secrets.clone(),
    };
    Ok(Plan::new(
        blast,
        vec![Change {
            action,
            undo: Some(undo),
        }],
    ))
}

/// Pods of the Connect servers that use it.
fn servers<'a>(case: &Case<'a>) -> Result<Vec<&'a Value>, Unknown> {
    let connects = users(case, Read::Connects)?;
    let names: Vec<String> = connects
        .iter()
        .map(|connect| names::connect_server(spark::name(connect)))
        .collect();
    let pods = case.all(Read::Pods)?.iter();
    Ok(pods
        .filter(|pod| spark::is_live(pod) && names.iter().any(|name| name == spark::name(pod)))
        .collect())
}

fn plan_again(case: &Case<'_>) -> Result<Plan, Unknown> {
    let (running, servers) = (running(case)?, servers(case)?);
    let applications = running.iter().map(|application| {
        let patch = json!({"spec": {"driver": {"annotations": {"runbook.stoke.dev/rerun": case.record}}}});
        Change::patch(Kind::SparkApplication, application, patch)
    });
    let servers_again = servers.iter().map(|pod| Change::delete(Kind::Pod, pod));
    let changes: Vec<Change> = applications.chain(servers_again).collect();
    if changes.is_empty() {
        return Ok(Plan::nothing("nothing that uses it runs"));
    }
    Ok(Plan::new(
        format!(
            "{} and {} begin again; what they computed is computed again",
            counted(running.len(), "application"),
            counted(servers.len(), "Connect server")
        ),
        changes,
    ))
}

fn use_it(case: &Case<'_>) -> Result<Held, Unknown> {
    let late = |application: &&&Value| {
        let asked = application["metadata"]["annotations"]["stoke.dev/on-edit"].as_str();
        let is_left = matches!(asked, Some("NextRun" | "Reject"));
        let is_new = spark::submitted(application).is_some_and(|since| since.as_second() >= case.opened.as_second());
        let works = is_new && spark::state(application) == "RUNNING";
        !is_left && !works
    };
    let running = running(case)?;
    let old: Vec<&str> = running
        .iter()
        .filter(late)
        .map(|application| spark::name(application))
        .collect();
    let born = |pod: &&&Value| {
        spark::time(&pod["metadata"]["creationTimestamp"]).is_some_and(|at| at.as_second() < case.opened.as_second())
    };
    let old_servers = servers(case)?.iter().filter(born).count();
    Ok(Held::when(
        old.is_empty() && old_servers == 0,
        format!(
            "{} run with the new values; others read them when they begin",
            counted(running.len(), "application")
        ),
        format!(
            "{} and {} do not run with the new values",
            old.join(", "),
            counted(old_servers, "Connect server")
        ),
    ))
}

fn plan_forget(case: &Case<'_>) -> Result<Plan, Unknown> {
    let Some(copy) = case.one(Read::SecretCopy)? else {
        return Ok(Plan::nothing("it is gone"));
    };
    Ok(Plan::new(
        format!("Secret {}; the old values are gone", spark::name(copy)),
        vec![Change::delete(Kind::Secret, copy)],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_secret_are_seen_wherever_it_is_named() {
        for spec in [
            json!({"driver": {"secrets": [{"name": "s3", "path": "/etc/s3", "secretType": "Generic"}]}}),
            json!({"executor": {"env": [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "k"}}}]}}),
            json!({"driver": {"envFrom": [{"secretRef": {"name": "s3"}}]}}),
            json!({"volumes": [{"name": "v", "secret": {"secretName": "s3"}}]}),
            json!({"imagePullSecrets": ["s3"]}),
            json!({"sparkConf": {"spark.kubernetes.driver.secretKeyRef.KEY": "s3:key"}}),
            json!({"sparkConf": {"spark.kubernetes.executor.secrets.s3": "/etc/s3"}}),
        ] {
            assert!(uses(&spec, "s3"), "{spec}");
            assert!(!uses(&spec, "s4"), "{spec}");
        }
        assert!(!uses(&json!({"driver": {"labels": {"team": "s3"}}}), "s3"));
    }
}
