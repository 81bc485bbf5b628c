//! Actions, each done once or found done.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use stoke_observe::incident::{Line, Severity};
use stoke_observe::runbook::action::{LABEL, stands};
use stoke_observe::runbook::{Action, Object};

use super::api::{self, Refused};
use super::files;
use super::outside::{Deed, Edge};
use crate::incident;

/// Does an action.
pub async fn act(edge: &Edge<'_>, action: &Action, record: &str, dry: bool) -> Result<Deed, String> {
    match action {
        Action::Patch { object, uid, patch } => {
            let now = there(edge, object).await?;
            if let Some(uid) = uid
                && now["metadata"]["uid"] != uid.as_str()
            {
                return Err(format!("{object} was replaced by another since"));
            }
            put(edge, object, &now, patch, dry).await
        }
        Action::PutBack { object, set, to } => {
            let Some(now) = api::get(&edge.session.client, &api::path(object)).await? else {
                return Ok(Deed::already("it is gone"));
            };
            if !stands(&now, set) {
                return Ok(Deed::already("someone changed it since: it stays as it is"));
            }
            put(edge, object, &now, to, dry).await
        }
        Action::Create { object, manifest } => match api::create(&edge.session.client, object, manifest, dry).await {
            Ok(_) => Ok(Deed::done(format!("{object} was created"))),
            Err(Refused::Conflict(_)) => adopted(edge, object, record).await,
            Err(other) => Err(other.says()),
        },
        Action::Delete { object, uid } => {
            if goes(edge, object, uid.as_deref()).await? {
                return Ok(Deed::already(format!("{object} goes")));
            }
            if uid.is_none() {
                match api::get(&edge.session.client, &api::path(object)).await? {
                    None => return Ok(Deed::already("it is gone")),
                    Some(now) if now["metadata"]["labels"][LABEL] != record => {
                        return Ok(Deed::already("another of its name is there: it stays"));
                    }
                    Some(_) => {}
                }
            }
            gone(
                api::delete(&edge.session.client, object, uid.as_deref(), dry).await,
                object,
            )
        }
        Action::Evict { object, uid } => evict(edge, object, uid, dry).await,
        Action::CopySecret { from, to, fresh } => copy_secret(edge, from, to, *fresh, record, dry).await,
        Action::SetSecret { object, keys } => {
            let now = there(edge, object).await?;
            let mut data = Map::new();
            for key in keys {
                let value = edge
                    .secrets
                    .0
                    .get(key)
                    .ok_or_else(|| format!("the value of {key} is not here: give --values again"))?;
                data.insert(key.clone(), STANDARD.encode(value).into());
            }
            // The values are in no text that is kept.
            let patch = json!({"data": data});
            if stands(&now, &patch) {
                return Ok(Deed::already("it has these values"));
            }
            api::patch(&edge.session.client, object, &patch, dry)
                .await
                .map_err(Refused::says)?;
            Ok(Deed::done(format!("{} written", keys.join(", "))))
        }
        Action::Probe { place, name } => files::probe(edge, place, name, dry).await,
        Action::Move { from, to, files } => files::shift(edge, from, to, files, dry).await,
        Action::OpenIncident { id, title } => {
            if dry {
                return Ok(Deed::done("would open an incident"));
            }
            let opening = Line::Opened {
                time: Timestamp::now(),
                incident: id.clone(),
                title: title.clone(),
                severity: Severity::default(),
                namespace: edge.session.namespace.clone(),
                cluster: "the cluster of its runbook".to_owned(),
                who: format!("record {record}"),
                began: None,
            };
            match incident::open(edge.home, opening).map_err(|error| error.to_string())? {
                true => Ok(Deed::done(format!("incident {id} is open"))),
                false => Ok(Deed::already(format!("incident {id} is open"))),
            }
        }
        Action::CloseIncident { id, says } => {
            if dry {
                return Ok(Deed::done("would close the incident"));
            }
            close_incident(edge, id, says, record).await
        }
    }
}

async fn close_incident(edge: &Edge<'_>, id: &str, says: &str, record: &str) -> Result<Deed, String> {
    let says_error = |error: crate::LaptopError| error.diagnostic.message.clone();
    let open = incident::read(edge.home, id).map_err(says_error)?;
    if open.closing().is_some() {
        return Ok(Deed::already(format!("incident {id} is closed")));
    }
    let (items, _) = incident::items(Some(edge.session), edge.home, &open, Vec::new())
        .await
        .map_err(says_error)?;
    let time = Timestamp::now();
    let lines = [
        Line::Collected { time, items },
        Line::Closed {
            time,
            who: format!("record {record}"),
            says: says.to_owned(),
        },
    ];
    for line in lines {
        incident::add(edge.home, id, &line).map_err(says_error)?;
    }
    Ok(Deed::done(format!(
        "incident {id} is closed; `stoke incident review {id}` drafts its review"
    )))
}

async fn evict(edge: &Edge<'_>, object: &Object, uid: &str, dry: bool) -> Result<Deed, String> {
    if goes(edge, object, Some(uid)).await? {
        return Ok(Deed::already(format!("{object} goes")));
    }
    match api::evict(&edge.session.client, object, uid, dry).await {
        Err(Refused::TooMany(says)) => Err(format!("a disruption budget keeps {object}: {says}")),
        answer => gone(answer, object),
    }
}

/// Whether an object was asked to go already, and is still ending.
async fn goes(edge: &Edge<'_>, object: &Object, uid: Option<&str>) -> Result<bool, String> {
    let now = api::get(&edge.session.client, &api::path(object)).await?;
    let is_it = |now: &Value| uid.is_some_and(|uid| now["metadata"]["uid"] == uid);
    Ok(now.is_some_and(|now| is_it(&now) && now["metadata"]["deletionTimestamp"].is_string()))
}

async fn there(edge: &Edge<'_>, object: &Object) -> Result<Value, String> {
    let found = api::get(&edge.session.client, &api::path(object)).await?;
    found.ok_or_else(|| format!("{object} is gone"))
}

async fn put(edge: &Edge<'_>, object: &Object, now: &Value, patch: &Value, dry: bool) -> Result<Deed, String> {
    if stands(now, patch) {
        return Ok(Deed::already("it is so already"));
    }
    api::patch(&edge.session.client, object, patch, dry)
        .await
        .map_err(Refused::says)?;
    let would = if dry { "the API server would take it" } else { "patched" };
    Ok(Deed::done(format!("{object}: {would}")))
}

async fn adopted(edge: &Edge<'_>, object: &Object, record: &str) -> Result<Deed, String> {
    let now = there(edge, object).await?;
    match now["metadata"]["labels"][LABEL] == record {
        true => Ok(Deed::already(format!("{object} is there"))),
        false => Err(format!("{object} is there, and someone else made it")),
    }
}

/// What is gone, or was replaced by another of its name, needs no deletion.
fn gone(answer: Result<Value, Refused>, object: &Object) -> Result<Deed, String> {
    match answer {
        Ok(_) => Ok(Deed::done(format!("{object} goes"))),
        Err(Refused::NotFound) => Ok(Deed::already("it is gone")),
        Err(Refused::Conflict(_)) => Ok(Deed::already("another of its name is in its place")),
        Err(other) => Err(other.says()),
    }
}

async fn copy_secret(
    edge: &Edge<'_>,
    from: &Object,
    to: &Object,
    fresh: bool,
    record: &str,
    dry: bool,
) -> Result<Deed, String> {
    let Some(source) = api::get(&edge.session.client, &api::path(from)).await? else {
        return Err(format!("{from} is gone"));
    };
    if fresh {
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "type": source["type"], "data": source["data"],
            "metadata": {"name": to.name, "namespace": to.namespace, "labels": {LABEL: record}},
        });
        return match api::create(&edge.session.client, to, &manifest, dry).await {
            Ok(_) => Ok(Deed::done(format!("{to} holds the old values"))),
            Err(Refused::Conflict(_)) => adopted(edge, to, record).await,
            Err(other) => Err(other.says()),
        };
    }
    let now = there(edge, to).await?;
    put(edge, to, &now, &json!({"data": source["data"]}), dry).await
}
