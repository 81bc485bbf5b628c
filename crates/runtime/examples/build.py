#!/usr/bin/env python3
"""Compiles the examples into spark-examples.jar, the same bytes for the same sources and compiler.

    build.py SPARK_HOME

SPARK_HOME is that of the oldest Spark to be served (3.5): what is compiled against its API runs on the later ones too. Needs a JDK of
17. The jar carries the SHA-256 of its sources, which a test compares.
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
BEGINNING = (1980, 1, 1, 0, 0, 0)


def sources():
    return sorted(HERE.glob("org/**/*.java"), key=lambda path: path.relative_to(HERE).as_posix())


def digest():
    whole = hashlib.sha256()
    for path in sources():
        whole.update(path.relative_to(HERE).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def main():
    spark = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as directory:
        command = ["javac", "--release", "8", "-Xlint:-options", "-encoding", "UTF-8", "-g:source,lines"]
        command += ["-cp", f"{spark}/jars/*", "-d", directory, *map(str, sources())]
        subprocess.run(command, check=True)
        classes = pathlib.Path(directory)
        manifest = f"Manifest-Version: 1.0\r\nSources-SHA-256: {digest()[:40]}\r\n\r\n"
        with zipfile.ZipFile(HERE / "spark-examples.jar", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as jar:
            # Stored, so that it can be read without a decompressor.
            jar.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF", BEGINNING), manifest, zipfile.ZIP_STORED)
            for path in sorted(classes.glob("**/*.class")):
                name = zipfile.ZipInfo(path.relative_to(classes).as_posix(), BEGINNING)
                name.compress_type = zipfile.ZIP_DEFLATED
                jar.writestr(name, path.read_bytes())


if __name__ == "__main__":
    main()
