"""Reads OTLP requests with OpenTelemetry's own messages, which refuse unknown fields and wrong types, and checks the tree of spans."""

import base64
import json
import os
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

trace, jobs, tasks = open(sys.argv[2]).read().split()
spans, resources = {}, {}


def to_base64(value):
    """OTLP writes ids in hexadecimal where the JSON of protobuf has base64."""
    if isinstance(value, dict):
        ids = ("traceId", "spanId", "parentSpanId")
        return {key: base64.b64encode(bytes.fromhex(it)).decode() if key in ids else to_base64(it) for key, it in value.items()}
    return [to_base64(it) for it in value] if isinstance(value, list) else value


files = sorted(file for file in os.listdir(sys.argv[1]) if file.endswith(".json"))
assert len(files) > 2
for file in files:
    text = open(os.path.join(sys.argv[1], file), "rb").read()
    assert len(text) <= 20_000 or text.count(b'"spanId"') == 1, (file, len(text))
    request = json_format.ParseDict(to_base64(json.loads(text)), ExportTraceServiceRequest())
    # And as binary protobuf, which the same receiver may be given.
    request = ExportTraceServiceRequest.FromString(request.SerializeToString())
    for resource in request.resource_spans:
        attributes = {it.key: it.value.string_value or it.value.int_value for it in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert span.trace_id.hex() == trace and len(span.span_id) == 8 and any(span.span_id)
                assert span.span_id not in spans
                assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
                spans[span.span_id] = span
                resources[span.span_id] = attributes

kinds = {}
for id, span in spans.items():
    kinds.setdefault(span.name.split()[0], []).append(span)
    attributes = resources[id]
    assert attributes["service.name"] and attributes["service.instance.id"]
    if span.parent_span_id:
        parent = spans[span.parent_span_id]
        expected = {"job": "application", "stage": "job", "task": "stage"}[span.name.split()[0]]
        assert parent.name.split()[0] == expected, (span.name, parent.name)
        assert parent.start_time_unix_nano <= span.start_time_unix_nano, (parent.name, span.name)
    for link in span.links:
        assert spans[link.span_id].name.startswith("stage")
assert len(kinds["application"]) == 1 and len(kinds["job"]) == int(jobs) and len(kinds["task"]) == int(tasks)
assert any(span.links for span in kinds["stage"])
failed = [span for span in kinds["task"] if span.status.code == 2]
assert failed and all("injected" in span.status.message or "failed" in span.status.message for span in failed), failed
assert any(event.name == "exception" for span in kinds["stage"] for event in span.events)
