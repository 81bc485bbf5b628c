//! The way of a request from the socket to its handler.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::Method;
use http::request::Parts;
use http_body_util::BodyExt;

use super::call::Call;
pub use super::call::Server;
use super::{handlers, media, streaming};
use crate::apimachinery::request::{Form, Query, Target};
use crate::apimachinery::status::Status;
use crate::registry::Request;

/// Largest request body, in bytes, as the real API server has it.
const MOST_BODY_BYTES: usize = 3 << 20;
/// Time a client has to send a body.
const BODY_TAKES: Duration = Duration::from_secs(60);

impl Server {
    /// The HTTP service.
    pub fn router(self: &Arc<Server>) -> Router {
        Router::new().fallback(entry).with_state(self.clone())
    }
}

async fn entry(State(server): State<Arc<Server>>, request: http::Request<Body>) -> Response {
    let (mut parts, body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &server).await.ok();
    let wanted = media::Wanted::of(&parts.headers).map_or(media::Media::Json, |wanted| wanted.media);
    match answer(server, parts, body, upgrade).await {
        Ok(response) => media::write(response, wanted).await,
        // A request for what we cannot give is answered as everyone can read it.
        Err(error) if error.code == 406 => error.into_response(),
        Err(error) => media::write(error.into_response(), wanted).await,
    }
}

async fn answer(
    server: Arc<Server>,
    mut parts: Parts,
    body: Body,
    upgrade: Option<WebSocketUpgrade>,
) -> Result<Response, Status> {
    let path = parts.uri.path().to_owned();
    if matches!(path.as_str(), "/healthz" | "/livez" | "/readyz" | "/ping") {
        return Ok("ok".into_response());
    }
    if path.trim_end_matches('/') == "/version" {
        return Ok(handlers::bodies::json_response(&handlers::version()));
    }
    let identity = server.identify(&mut parts)?;
    let identity = server.impersonate(identity, &parts.headers)?;
    let query = Query(
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|cause| Status::bad_request(format!("cannot read the query: {cause}")))?
            .0,
    );
    if let Some(response) = handlers::discovery(&server, &identity, &path, &query, &parts.headers)? {
        return Ok(response);
    }
    let resources = server.registry.resources();
    let target = Target::parse(&path, &resources)?;
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let content_type = header("content-type")
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_lowercase();
    let user_agent = header("user-agent").to_owned();
    let form = if upgrade.is_some() || target.subresource.as_deref() == Some("log") || streaming::is_stream(&target) {
        Form::Object
    } else {
        let wanted = media::Wanted::of(&parts.headers)?;
        media::check(wanted.media, &target.resource.api_version(), &target.resource.kind)?;
        wanted.form
    };
    let call = Call {
        server: server.clone(),
        request: Request {
            dry_run: query.dry_run(),
            identity,
            target,
        },
        query,
        form,
        content_type,
        user_agent,
        body: Bytes::new(),
        warnings: Vec::new(),
    };
    let streams = streaming::is_stream(&call.request.target);
    // Running a command is not reading, whichever method the client's protocol begins with.
    let verb = match streams {
        true if matches!(parts.method, Method::GET | Method::POST) => "create",
        true => return Err(Status::method_not_allowed()),
        false => handlers::verb(&parts.method, &call)?,
    };
    server.authorize(&call, verb)?;
    if streams {
        return streaming::serve(call, streaming::Upgrade::of(upgrade, &mut parts)?).await;
    }
    let body = if parts.method == Method::GET {
        Bytes::new()
    } else {
        read_body(body).await?
    };
    let (content_type, body) = media::read(&call.content_type, body)?;
    let call = Call {
        body,
        content_type,
        ..call
    };
    handlers::dispatch(verb, call, upgrade).await
}

async fn read_body(body: Body) -> Result<Bytes, Status> {
    let limited = http_body_util::Limited::new(body, MOST_BODY_BYTES);
    let collected = tokio::time::timeout(BODY_TAKES, limited.collect()).await.map_err(|_| {
        let message = format!("the body was not sent within {} seconds", BODY_TAKES.as_secs());
        Status::new(408, "Timeout", message)
    })?;
    let collected = collected.map_err(|_| {
        let message = format!("Request entity too large: limit is {MOST_BODY_BYTES}");
        Status::new(413, "RequestEntityTooLarge", message)
    })?;
    Ok(collected.to_bytes())
}
