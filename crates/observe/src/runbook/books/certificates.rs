//! Certificates that end.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::action::{Change, Plan};
use super::super::book::{Does, Form, Kind, Need, Parameter, Read, Runbook, Step};
use super::super::case::{Case, Held, Seen, Unknown};
use super::super::spark;
use super::shared::WITHIN;

pub static BOOK: Runbook = Runbook {
    name: "rotate-certificates",
    title: "Renew the certificate of the webhook",
    when: "The certificate of the operator's webhook is near its end, or its key may be known to others. The Secret is deleted, and the operator makes another and hands its authority to the webhook configurations.",
    codes: &["tls-refused"],
    parameters: &[
        Parameter {
            name: "secret",
            what: "The Secret with the certificate",
            found: "`kubectl get secrets`; the operator's flag --webhook-secret-name",
            form: Form::Name,
            need: Need::Always,
        },
        Parameter {
            name: "days",
            what: "Days that the certificate must still be valid to be left alone",
            found: "Your rule; 100000 renews it in any case",
            form: Form::Count,
            need: Need::Else("30"),
        },
        WITHIN,
    ],
    steps: &[
        Step {
            name: "end",
            what: "When does the certificate end, and who makes it?",
            only: &[],
            reads: &[Read::Secret, Read::Webhooks],
            does: Does::Check(check),
        },
        Step {
            name: "renew",
            what: "Delete the Secret; the operator makes another.",
            only: &[],
            reads: &[Read::Secret, Read::Webhooks],
            does: Does::Act {
                rights: &[("delete", Kind::Secret)],
                plan,
                undo: "",
            },
        },
        Step {
            name: "renewed",
            what: "There is another certificate, which ends later.",
            only: &[],
            reads: &[Read::Secret],
            does: Does::Verify {
                holds: renewed,
                within: 180,
            },
        },
        Step {
            name: "trusted",
            what: "The webhook configurations trust its authority.",
            only: &[],
            reads: &[Read::Secret, Read::Webhooks],
            does: Does::Verify {
                holds: trusted,
                within: 180,
            },
        },
    ],
    limits: &[
        "Between the deletion and the new certificate reviews may fail; objects are refused for these seconds where the policy is Fail.",
        "A certificate that cert-manager makes is renewed there: `kubectl cert-manager renew`.",
    ],
};

/// The annotation of Secrets that the operator keeps itself.
const OURS: &str = "stoke.dev/certificates-changed-at";

fn end(secret: &Value) -> Option<Timestamp> {
    spark::time(&secret["certificate"]["notAfter"])
}

/// Webhook configurations whose bundles hold an authority.
fn trusting<'a>(webhooks: &'a [Value], authority: &str) -> Vec<&'a Value> {
    let trusts = |one: &&Value| {
        let bundles = one["webhooks"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|hook| spark::text(&hook["clientConfig"]["caBundle"]));
        !authority.is_empty() && bundles.into_iter().any(|bundle| bundle == authority)
    };
    webhooks.iter().filter(trusts).collect()
}

fn check(case: &Case<'_>) -> Result<Seen, Unknown> {
    let secret = case.the(Read::Secret)?;
    let end = end(secret).ok_or("the Secret has no certificate in tls.crt that can be read")?;
    let days = end.duration_since(case.now).as_hours() / 24;
    if days >= case.input.count("days").unwrap_or(30) {
        return Ok(Seen::nothing(format!("it ends in {days} days, at {end}")));
    }
    if secret["metadata"]["annotations"][OURS].is_null() {
        let who = spark::text(&secret["metadata"]["annotations"]["cert-manager.io/certificate-name"]);
        return Err(match who {
            "" => Unknown(format!(
                "it ends in {days} days; the operator did not make it, so whoever did renews it"
            )),
            name => Unknown(format!(
                "it ends in {days} days; cert-manager makes it: renew Certificate {name} there"
            )),
        });
    }
    let webhooks = trusting(
        case.all(Read::Webhooks)?,
        spark::text(&secret["certificates"]["ca.crt"]),
    )
    .len();
    Ok(Seen::go(format!(
        "it ends in {days} days; {webhooks} webhook configurations trust its authority"
    ))
    .keep("uid", secret["metadata"]["uid"].clone())
    .keep("webhooks", webhooks))
}

fn plan(case: &Case<'_>) -> Result<Plan, Unknown> {
    let secret = case.the(Read::Secret)?;
    if secret["metadata"]["uid"] != case.kept.get("uid").cloned().unwrap_or_default() {
        return Ok(Plan::nothing("it was made again since"));
    }
    let webhooks = case.kept.get("webhooks").and_then(Value::as_u64).unwrap_or(0);
    Ok(Plan::new(
        format!(
            "Secret {}; {webhooks} webhook configurations get another authority; reviews may fail for some seconds",
            spark::name(secret)
        ),
        vec![Change::delete(Kind::Secret, secret)],
    ))
}

fn renewed(case: &Case<'_>) -> Result<Held, Unknown> {
    let Some(secret) = case.one(Read::Secret)? else {
        return Ok(Held::NotYet("there is no Secret".to_owned()));
    };
    let is_new = secret["metadata"]["uid"] != case.kept.get("uid").cloned().unwrap_or_default();
    let end = end(secret).filter(|end| end.duration_since(case.now) > SignedDuration::from_hours(1));
    Ok(match end {
        Some(end) if is_new => Held::Yes(format!("the new one ends at {end}")),
        _ => Held::NotYet("the new certificate is not there".to_owned()),
    })
}

fn trusted(case: &Case<'_>) -> Result<Held, Unknown> {
    let secret = case.the(Read::Secret)?;
    let now = trusting(
        case.all(Read::Webhooks)?,
        spark::text(&secret["certificates"]["ca.crt"]),
    )
    .len();
    let before = case.kept.get("webhooks").and_then(Value::as_u64).unwrap_or(0);
    let now = u64::try_from(now).unwrap_or(0);
    Ok(Held::when(
        now >= before,
        format!("{now} webhook configurations trust it"),
        format!("{now} of {before} webhook configurations trust it"),
    ))
}
