"""The operator's image: the files of the distroless base, and the binary as a layer that `stoke image build` makes."""

import json
import os
import re
import shutil
import subprocess


def write(about, here, out, work):
    base = work / "base.tar"
    subprocess.run([here / "scripts" / "operator-image", "--base", base], check=True, stdout=subprocess.DEVNULL)
    context = work / "image"
    context.mkdir()
    shutil.copy(about.file, context / "stoke")
    last = (here / "deploy" / "Containerfile").read_text().split("\nFROM ")[-1]
    word = lambda key: re.search(rf"^{key} (.+)$", last, re.M).group(1)
    # JSON is YAML.
    spec = {
        "base": f"archive:{base}",
        "files": [{"from": "stoke", "to": "/usr/local/bin/stoke"}],
        "user": word("USER"),
        "workdir": "/home/nonroot",
        "entrypoint": json.loads(word("ENTRYPOINT")),
        "cmd": json.loads(word("CMD")),
        "labels": {
            "org.opencontainers.image.title": "stoke",
            "org.opencontainers.image.version": about.version,
            "org.opencontainers.image.licenses": "Apache-2.0",
        },
    }
    (context / "stoke-image.yaml").write_text(json.dumps(spec))
    layout, archive = out / "image", out / f"stoke-{about.version}-image.tar"
    # Names of places are relative to `out`: they stand in what is written.
    run = lambda *arguments: subprocess.run(
        [about.file, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, cwd=out, env={**os.environ, "STOKE_HOME": str(work / "home")}
    )
    run("image", "build", context, "--to", f"oci:{layout}:{about.version}", "--to", f"archive:{archive}:{about.version}")
    listed = out / f"stoke-{about.version}-image.cdx.json"
    run("sbom", f"oci:{layout.name}:{about.version}", "--file", listed)
    return layout, archive, listed
