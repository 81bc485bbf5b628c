//! The wire: an `AdmissionReview` of `admission.k8s.io/v1` in, one out.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stoke_diagnostics::Diagnostic;
use stoke_gate::sizing::Allowed;
use tokio::time::Instant;

use super::check::{self, Subject, Verdict, changes_what_runs};
use super::{CHECKING_PATH, DEFAULTING_PATH, Reviewer, defaulting};
use crate::policies::{At, Case, With};

/// A review holds an object twice, each at most 3 MiB.
const MOST_BYTES: usize = 8 << 20;

type Answer = Result<Json<Value>, (StatusCode, String)>;

pub(super) fn router(reviewer: Reviewer) -> Router {
    Router::new()
        .route(DEFAULTING_PATH, post(default))
        .route(CHECKING_PATH, post(examine))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(reviewer)
}

/// The request of a review.
struct Request(Value);

impl Request {
    fn read(body: &[u8]) -> Result<Self, (StatusCode, String)> {
        let wrong = |why: String| (StatusCode::BAD_REQUEST, why);
        let mut review: Value =
            serde_json::from_slice(body).map_err(|error| wrong(format!("the review is not JSON: {error}\n")))?;
        if review["kind"] != "AdmissionReview" || review["apiVersion"] != "admission.k8s.io/v1" {
            return Err(wrong(
                "only an AdmissionReview of admission.k8s.io/v1 is answered\n".to_owned(),
            ));
        }
        let request = review["request"].take();
        if request["uid"].as_str().is_none_or(str::is_empty) {
            return Err(wrong("the review has no request with a uid\n".to_owned()));
        }
        Ok(Self(request))
    }

    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    fn kind(&self) -> &str {
        self.0["kind"]["kind"].as_str().unwrap_or_default()
    }

    fn old(&self) -> Option<&Value> {
        Some(&self.0["oldObject"]).filter(|old| old.is_object())
    }

    /// Whether anything is to be said: about new objects of ours, and about edits that change what runs.
    fn concerns(&self) -> bool {
        let object = &self.0["object"];
        let group = self.0["kind"]["group"].as_str().unwrap_or_default();
        let written = matches!(self.text("operation"), "CREATE" | "UPDATE") && self.text("subResource").is_empty();
        written
            && check::is_ours(group, self.kind())
            && object.is_object()
            && object["metadata"]["deletionTimestamp"].is_null()
            && self.old().is_none_or(|old| changes_what_runs(object, old))
    }

    fn answer(&self, mut response: Value) -> Answer {
        response["uid"] = self.0["uid"].clone();
        Ok(Json(
            json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response}),
        ))
    }
}

async fn default(State(reviewer): State<Reviewer>, body: Bytes) -> Answer {
    let request = Request::read(&body)?;
    let mut response = json!({"allowed": true});
    if request.concerns() {
        let patch = defaulting::patch(request.kind(), &request.0["object"]["spec"]);
        if !patch.is_empty() {
            response["patchType"] = "JSONPatch".into();
            response["patch"] = STANDARD.encode(Value::from(patch).to_string()).into();
        }
        reviewer.metrics.defaulted(request.kind(), !response["patch"].is_null());
    }
    request.answer(response)
}

async fn examine(State(reviewer): State<Reviewer>, body: Bytes) -> Answer {
    let begun = Instant::now();
    let request = Request::read(&body)?;
    if !request.concerns() {
        return request.answer(json!({"allowed": true}));
    }
    let namespace = request.text("namespace");
    let (allowed, unknown) = match reviewer.allowances.of(namespace).await {
        Ok(allowed) => (allowed, None),
        Err(why) => {
            tracing::warn!(namespace, why, "sizes are not compared with limit ranges and quotas");
            let unknown = format!(
                "sizes are not compared with the limit ranges and quotas of {namespace}: {why} [quota-unknown]"
            );
            (std::sync::Arc::new(Allowed::default()), Some(unknown))
        }
    };
    let subject = Subject {
        kind: request.kind(),
        namespace,
        object: &request.0["object"],
        old: request.old(),
    };
    let mut verdict = check::check(&subject, &reviewer.settings, &allowed);
    judged(&reviewer, &request, &mut verdict).await;
    let mut warnings: Vec<String> = verdict.warnings.iter().map(Diagnostic::line).collect();
    warnings.extend(unknown);
    let codes: Vec<&str> = verdict.errors.iter().map(|said| said.code.as_ref()).collect();
    let took = begun.elapsed();
    reviewer
        .metrics
        .reviewed(request.kind(), &codes, !warnings.is_empty(), took);
    let mut response = json!({"allowed": verdict.errors.is_empty()});
    if !warnings.is_empty() {
        response["warnings"] = warnings.into();
    }
    if !verdict.errors.is_empty() {
        let name = request.text("name");
        tracing::info!(
            namespace,
            name,
            kind = request.kind(),
            refusal = verdict.refusal(),
            "refused"
        );
        response["status"] = status(&request, &verdict);
    }
    request.answer(response)
}

/// Adds what policies say. What would run after an edit is a new run: it is judged whole, whatever was there before.
async fn judged(reviewer: &Reviewer, request: &Request, verdict: &mut Verdict) {
    let case = Case {
        kind: request.kind().to_owned(),
        namespace: request.text("namespace").to_owned(),
        object: request.0["object"].clone(),
    };
    let with = With {
        client: &reviewer.client,
        settings: &reviewer.settings,
        metrics: &reviewer.metrics,
    };
    if let Some(ruling) = reviewer.policies.judge(At::Admission, case, with).await {
        verdict.errors.extend(ruling.refusals().cloned());
        verdict.warnings.extend(ruling.warned);
    }
}

/// The refusal as clients get it: the text whole, and the causes one by one.
fn status(request: &Request, verdict: &Verdict) -> Value {
    let cause = |said: &Diagnostic| {
        let text = match &said.fix {
            Some(fix) => format!("{}; {}", said.message, fix.text),
            None => said.message.clone(),
        };
        json!({"reason": said.code, "field": said.path, "message": text})
    };
    let causes: Vec<Value> = verdict.errors.iter().map(cause).collect();
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403, "message": verdict.refusal(),
        "details": {"name": request.text("name"), "group": request.0["kind"]["group"], "kind": request.kind(), "causes": causes},
    })
}
