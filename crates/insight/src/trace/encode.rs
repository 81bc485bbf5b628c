//! Spans as OTLP requests, in the JSON of the OTLP specification (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids in
//! hexadecimal, 64-bit numbers as decimal texts, enumerations as numbers, keys in lower camel case.

use serde_json::{Value as Json, json};

use super::spans::{Attribute, Resource, Span, Status, Trace, Value};

/// The content type of a request.
pub const CONTENT_TYPE: &str = "application/json";
/// Bytes of a request, at most: a quarter of the 4 MiB that receivers built on gRPC take by default.
pub const MOST_BYTES: usize = 1 << 20;
/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;

/// The requests (`ExportTraceServiceRequest`) that carry a trace, each of at most `most` bytes. Spans keep their order: a parent is never in a later
/// request than its child. A span that is larger alone is a request of its own.
pub fn requests(trace: &Trace, most: usize) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    for resource in &trace.resources {
        let head = head(resource);
        let mut request = head.clone();
        for span in &resource.spans {
            let text = self::span(&trace.id, span).to_string();
            let filled = request.len() > head.len();
            if filled && request.len() + text.len() + 1 + TAIL.len() > most {
                requests.push(finish(std::mem::replace(&mut request, head.clone())));
            }
            if request.len() > head.len() {
                request.push(',');
            }
            request.push_str(&text);
        }
        if request.len() > head.len() {
            requests.push(finish(request));
        }
    }
    requests
}

const TAIL: &str = "]}]}]}";

fn head(resource: &Resource) -> String {
    let attributes = Json::Array(attributes(&resource.attributes));
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":{attributes}}},"scopeSpans":[{{"scope":{{"name":"stoke","version":"{version}"}},"spans":["#
    )
}

fn finish(mut request: String) -> Vec<u8> {
    request.push_str(TAIL);
    request.into_bytes()
}

fn span(trace: &str, span: &Span) -> Json {
    let mut json = json!({
        "traceId": trace,
        "spanId": span.id,
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": nanos(span.start),
        "endTimeUnixNano": nanos(span.end.max(span.start)),
        "attributes": attributes(&span.attributes),
        "status": status(&span.status),
        "flags": 1,
    });
    if let Some(parent) = &span.parent {
        json["parentSpanId"] = parent.as_str().into();
    }
    if !span.events.is_empty() {
        let events = span.events.iter().map(|event| {
            json!({"timeUnixNano": nanos(event.time), "name": event.name, "attributes": attributes(&event.attributes)})
        });
        json["events"] = events.collect();
    }
    if !span.links.is_empty() {
        let links = span
            .links
            .iter()
            .map(|link| json!({"traceId": trace, "spanId": link.span, "attributes": attributes(&link.attributes)}));
        json["links"] = links.collect();
    }
    json
}

fn nanos(milliseconds: i64) -> String {
    (i128::from(milliseconds.max(0)) * 1_000_000).to_string()
}

fn status(status: &Status) -> Json {
    match status {
        Status::Unset => json!({}),
        Status::Ok => json!({"code": 1}),
        Status::Error(message) => json!({"code": 2, "message": message}),
    }
}

fn attributes(attributes: &[Attribute]) -> Vec<Json> {
    let attribute = |(key, value): &Attribute| {
        let value = match value {
            Value::Text(text) => json!({"stringValue": text}),
            Value::Int(number) => json!({"intValue": number.to_string()}),
            Value::Bool(truth) => json!({"boolValue": truth}),
        };
        json!({"key": key, "value": value})
    };
    attributes.iter().map(attribute).collect()
}
