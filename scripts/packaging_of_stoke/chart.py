"""The chart: the archive that `helm package` would make, and the artifact that `helm push` would."""

import hashlib
import json
import sys
import time

from . import archives

NAME = "spark-operator"


def write(here, out, version, date):
    root = here / "deploy" / "chart"
    about = read(root / "Chart.yaml")
    for key in ("version", "appVersion"):
        if about[key] != version:
            sys.exit(f"{root / 'Chart.yaml'}: {key} is {about[key]}, and the binary says {version}")
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    # As helm has it: what the chart is stands first.
    names.sort(key=lambda name: name != "Chart.yaml")
    data = archives.tar([(f"{NAME}/{name}", 0o644, (root / name).read_bytes()) for name in names])
    file = out / f"{NAME}-{version}.tgz"
    file.write_bytes(data)
    layout = out / "chart"
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def keep(media, content):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": keep("application/vnd.cncf.helm.config.v1+json", json.dumps(about).encode()),
        "layers": [keep("application/vnd.cncf.helm.chart.content.v1.tar+gzip", data)],
        "annotations": {
            "org.opencontainers.image.created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(date)),
            "org.opencontainers.image.description": about["description"],
            "org.opencontainers.image.title": NAME,
            "org.opencontainers.image.version": version,
        },
    }
    named = {**keep(f"{kind}.manifest.v1+json", json.dumps(manifest).encode()), "annotations": {"org.opencontainers.image.ref.name": version}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": f"{kind}.index.v1+json", "manifests": [named]}))
    (layout / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return file, layout


def read(path):
    """`key: value` on each line is all that this chart says of itself; helm wants it as JSON."""
    about = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        key, colon, value = line.partition(": ")
        if not colon or not key.isalnum() or not value or value[0] in "[{&*!|>'\"%@`":
            sys.exit(f"{path}:{number}: `{line}` is not a plain `key: value`; say in scripts/packaging_of_stoke/chart.py what it means")
        about[key] = value.strip()
    return about
