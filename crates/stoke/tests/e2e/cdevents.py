"""Holds events, JSON lines of CloudEvents on standard input, against the schemas of CDEvents 0.5 in the source of its Go SDK (the argument)."""

import json
import re
import sys

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

source = open(sys.argv[1], encoding="utf-8").read()
pairs = re.findall(r'"(https://cdevents\.dev/[^"]+)": `(.*?)`', source, re.S)
by_type = {}
resources = []
for identity, text in pairs:
    schema = json.loads(text)
    resources.append((schema.get("$id", identity), Resource.from_contents(schema, default_specification=DRAFT202012)))
    if "context" not in schema.get("properties", {}):
        continue  # One of links, which those of events refer to.
    kind = schema["properties"]["context"]["properties"]["type"]
    for name in kind.get("enum", []):
        # The same version of an event stands in one version of the specification with its form of the context.
        by_type.setdefault(name, []).append(schema)
registry = Registry().with_resources(resources)
custom = [json.loads(text) for identity, text in pairs if "/0.5" in identity and "custom" in identity]

count = 0
for line in sys.stdin:
    cloud = json.loads(line)
    assert cloud["specversion"] == "1.0" and cloud["id"] and cloud["source"] and cloud["type"], cloud
    event = cloud["data"]
    kind = event["context"]["type"]
    schemas = custom if kind.startswith("dev.cdeventsx.") else by_type.get(kind, [])
    assert schemas, f"no schema for {kind}"
    errors = [
        [error.message for error in jsonschema.Draft202012Validator(schema, registry=registry, format_checker=jsonschema.FormatChecker()).iter_errors(event)]
        for schema in schemas
    ]
    assert any(not found for found in errors), (kind, errors)
    # A schema that takes everything shows nothing.
    event["subject"].pop("content", None)
    event["subject"]["surprise"] = 1
    if not kind.startswith("dev.cdeventsx."):
        assert all(list(jsonschema.Draft202012Validator(schema, registry=registry).iter_errors(event)) for schema in schemas), kind
    count += 1
print(count, "events are valid")
