"""The bill of materials of the binary: the crates that are linked into it, as CycloneDX 1.6."""

import hashlib
import json
import os
import re
import subprocess
import time
import uuid


def write(about, here, out, date):
    libc = "gnu" if about.glibc else "musl"
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", f"{about.machine}-unknown-linux-{libc}"]
    metadata = json.loads(subprocess.run(command, cwd=here, check=True, capture_output=True, text=True, env={**os.environ, "CARGO_TERM_COLOR": "never"}).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    edges = {
        # Build scripts and tests are not in the binary.
        node["id"]: [one["pkg"] for one in node["deps"] if any(kind["kind"] is None for kind in one["dep_kinds"])]
        for node in metadata["resolve"]["nodes"]
    }
    root = next(package["id"] for package in metadata["packages"] if package["name"] == "stoke")
    reached, waiting = set(), [root]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += edges[one]
    # Macros run in the compiler.
    macros = {one for one in reached if any("proc-macro" in target["kind"] for target in packages[one]["targets"])}
    reached = linked(root, edges, macros)
    sums = checksums((here / "Cargo.lock").read_text())
    order = sorted(reached - {root}, key=lambda one: (packages[one]["name"], packages[one]["version"], one))
    name = lambda one: f"pkg:cargo/{packages[one]['name']}@{packages[one]['version']}"
    with open(about.file, "rb") as file:
        whole = hashlib.file_digest(file, "sha256").hexdigest()
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(date)),
            "component": {
                "type": "application",
                "bom-ref": name(root),
                "name": "stoke",
                "version": about.version,
                "purl": name(root),
                "licenses": licences(packages[root]),
                "hashes": [{"alg": "SHA-256", "content": whole}],
            },
        },
        "components": [component(packages[one], name(one), sums) for one in order],
        "dependencies": [
            {"ref": name(one), "dependsOn": sorted({name(to) for to in edges[one] if to in reached})} for one in [root, *order]
        ],
    }
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    path = out / f"stoke-{about.version}-{about.machine}-{about.system}.cdx.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def linked(root, edges, macros):
    reached, waiting = set(), [root]
    while waiting:
        one = waiting.pop()
        if one not in reached and one not in macros:
            reached.add(one)
            waiting += edges[one]
    return reached


def checksums(lock):
    found = re.findall(r'name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"', lock)
    return {(name, version): sum_ for name, version, sum_ in found}


def licences(package):
    if not package["license"]:
        return [{"license": {"name": f"see {package['license_file'] or 'the source'}"}}]
    # The older way to write OR.
    return [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}]


def component(package, name, sums):
    made = {"type": "library", "bom-ref": name, "name": package["name"], "version": package["version"], "purl": name, "licenses": licences(package)}
    sum_ = sums.get((package["name"], package["version"]))
    if sum_:
        made["hashes"] = [{"alg": "SHA-256", "content": sum_}]
    return made
