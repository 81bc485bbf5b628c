//! Which media type a client sends and wants, at the edge: inside, bodies and answers are JSON.
//!
//! Bodies in protobuf become JSON before anything looks at them. Answers become YAML or protobuf only for clients whose `Accept` does not
//! allow JSON before it: JSON is what the store holds, and every client that accepts protobuf by default accepts JSON too.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::apimachinery::protobuf;
use crate::apimachinery::request::Form;
use crate::apimachinery::status::Status;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// As it is.
    Json,
    /// YAML, for people.
    Yaml,
    /// Kubernetes' protobuf envelope.
    Protobuf,
}

/// What a client wants an answer to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Objects, a table, or metadata.
    pub form: Form,
    /// How it is written.
    pub media: Media,
}

impl Wanted {
    /// The first of the accepted ranges that we can give; protobuf after all others.
    pub fn of(headers: &HeaderMap) -> Result<Wanted, Status> {
        let accept = headers
            .get("accept")
            .and_then(|value| value.to_str().ok())
            .filter(|accept| !accept.trim().is_empty())
            .unwrap_or("*/*");
        let mut protobuf = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = match parts.next().unwrap_or_default() {
                "application/json" | "application/*" | "*/*" => Media::Json,
                "application/yaml" => Media::Yaml,
                protobuf::MEDIA => Media::Protobuf,
                _ => continue,
            };
            let form = match parts.find_map(|part| part.strip_prefix("as=")) {
                // A table has no protobuf form.
                Some("Table") if media != Media::Protobuf => Form::Table,
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Form::Metadata,
                Some("APIGroupDiscoveryList") | None => Form::Object,
                Some(_) => continue,
            };
            let wanted = Wanted { form, media };
            if media == Media::Protobuf {
                protobuf.get_or_insert(wanted);
            } else {
                return Ok(wanted);
            }
        }
        protobuf.ok_or_else(not_acceptable)
    }
}

/// 406.
pub fn not_acceptable() -> Status {
    let message = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    Status::new(406, "NotAcceptable", message)
}

/// Refuses protobuf for kinds that have no such form, before anything is done.
pub fn check(wanted: Media, api_version: &str, kind: &str) -> Result<(), Status> {
    if wanted != Media::Protobuf || protobuf::knows(api_version, kind) {
        return Ok(());
    }
    let message = "only the following media types are accepted: application/json, application/yaml";
    Err(Status::new(406, "NotAcceptable", message))
}

/// A body in the form the handlers read: JSON instead of protobuf, others as they are. Returns its content type too.
pub fn read(content_type: &str, body: Bytes) -> Result<(String, Bytes), Status> {
    if content_type != protobuf::MEDIA || body.is_empty() {
        return Ok((content_type.to_owned(), body));
    }
    let value = protobuf::decode(&body)
        .map_err(|error| Status::bad_request(format!("the protobuf body of the request cannot be read: {error}")))?;
    Ok(("application/json".to_owned(), value.to_string().into()))
}

/// Writes a JSON answer as the client wants it. Other answers (logs, upgrades) stay as they are.
pub async fn write(response: Response, wanted: Media) -> Response {
    let json = response
        .headers()
        .get("content-type")
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !json || wanted == Media::Json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove("content-length");
    // Only watches are streams of unknown length.
    if http_body::Body::size_hint(&body).exact().is_none() {
        if wanted == Media::Yaml {
            return Response::from_parts(parts, body);
        }
        let value = HeaderValue::from_static("application/vnd.kubernetes.protobuf;stream=watch");
        parts.headers.insert("content-type", value);
        return Response::from_parts(parts, watch_frames(body));
    }
    let Ok(collected) = body.collect().await else {
        return Status::internal("the answer could not be read").into_response();
    };
    let value: Value = match serde_json::from_slice(&collected.to_bytes()) {
        Ok(value) => value,
        Err(cause) => return Status::internal(format!("the answer is not JSON: {cause}")).into_response(),
    };
    let (written, media) = match wanted {
        Media::Protobuf => (
            protobuf::encode(&value).map_err(|error| error.to_string()),
            protobuf::MEDIA,
        ),
        _ => (
            serde_saphyr::to_string(&value)
                .map(String::into_bytes)
                .map_err(|error| error.to_string()),
            "application/yaml",
        ),
    };
    match written {
        Ok(bytes) => {
            parts.headers.insert("content-type", HeaderValue::from_static(media));
            Response::from_parts(parts, Body::from(bytes))
        }
        Err(cause) => Status::internal(format!("the answer cannot be written as {media}: {cause}")).into_response(),
    }
}

/// Lines of JSON into frames of protobuf. A line is one chunk of the stream; an event that has no protobuf form ends it.
fn watch_frames(body: Body) -> Body {
    let frames = body.into_data_stream().map(|line| {
        let line = line.map_err(std::io::Error::other)?;
        let event: Value = serde_json::from_slice(&line)?;
        protobuf::encode_watch_event(&event)
            .map(Bytes::from)
            .map_err(std::io::Error::other)
    });
    Body::from_stream(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_preferred_to_protobuf_and_protobuf_given_to_those_who_want_nothing_else() {
        let wanted = |accept: &'static str| {
            Wanted::of(&HeaderMap::from_iter([(
                http::header::ACCEPT,
                HeaderValue::from_static(accept),
            )]))
            .map(|wanted| (wanted.form, wanted.media))
            .map_err(|error| error.code)
        };
        for (accept, expected) in [
            ("", Ok((Form::Object, Media::Json))),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                Ok((Form::Table, Media::Json)),
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Ok((Form::Object, Media::Json)),
            ),
            (
                "application/vnd.kubernetes.protobuf, */*",
                Ok((Form::Object, Media::Json)),
            ),
            (
                "application/vnd.kubernetes.protobuf",
                Ok((Form::Object, Media::Protobuf)),
            ),
            ("application/yaml", Ok((Form::Object, Media::Yaml))),
            (
                "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1",
                Err(406),
            ),
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                Ok((Form::Metadata, Media::Protobuf)),
            ),
            ("text/html", Err(406)),
        ] {
            assert_eq!(wanted(accept), expected, "{accept}");
        }
    }
}
