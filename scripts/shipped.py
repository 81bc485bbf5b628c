#!/usr/bin/env python3
"""Records what releases of Spark ship: `scripts/shipped.py 3.5.9=DIR 4.1.4=DIR … > crates/gate/src/gates/dependencies/shipped.txt`

DIR is a directory of jars of that release. Group and artifact are those of the jar's own pom.properties; where a jar has none, of the table below.
"""

import pathlib
import re
import sys
import zipfile

# Jars without a pom.properties of their own.
GROUPS = {
    "scala-library": "org.scala-lang",
    "scala-reflect": "org.scala-lang",
    "scala-compiler": "org.scala-lang",
    "scala-xml": "org.scala-lang.modules",
    "scala-parser-combinators": "org.scala-lang.modules",
    "scala-parallel-collections": "org.scala-lang.modules",
    "scala-collection-compat": "org.scala-lang.modules",
    "json4s-ast": "org.json4s",
    "json4s-core": "org.json4s",
    "json4s-jackson": "org.json4s",
    "json4s-jackson-core": "org.json4s",
    "json4s-scalap": "org.json4s",
    "jackson-module-scala": "com.fasterxml.jackson.module",
    "kryo-shaded": "com.esotericsoftware",
    "minlog": "com.esotericsoftware",
    "snappy-java": "org.xerial.snappy",
    "zstd-jni": "com.github.luben",
    "lz4-java": "org.lz4",
    "commons-logging": "commons-logging",
    "log4j-1.2-api": "org.apache.logging.log4j",
    "hadoop-client-runtime": "org.apache.hadoop",
    "RoaringBitmap": "org.roaringbitmap",
    "gson": "com.google.code.gson",
    "jsr305": "com.google.code.findbugs",
    "rocksdbjni": "org.rocksdb",
    "xz": "org.tukaani",
    "ivy": "org.apache.ivy",
    "libthrift": "org.apache.thrift",
    "libfb303": "org.apache.thrift",
    "derby": "org.apache.derby",
    "objenesis": "org.objenesis",
    "tink": "com.google.crypto.tink",
    "jackson-core-asl": "org.codehaus.jackson",
    "jackson-mapper-asl": "org.codehaus.jackson",
    "okhttp": "com.squareup.okhttp3",
    "okio": "com.squareup.okio",
    "breeze": "org.scalanlp",
    "breeze-macros": "org.scalanlp",
    "cats-kernel": "org.typelevel",
    "spire": "org.typelevel",
    "chill": "com.twitter",
    "chill-java": "com.twitter",
}


def coordinates(jar):
    stem = jar.name.removesuffix(".jar")
    found = []
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"META-INF/maven/[^/]+/[^/]+/pom.properties", name):
                text = archive.read(name).decode("utf-8", "replace")
                found.append(dict(line.strip().split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")))
    for properties in found:
        artifact, version = properties.get("artifactId", ""), properties.get("version", "")
        if stem == f"{artifact}-{version}" or stem.startswith(f"{artifact}-{version}-"):
            return properties["groupId"], artifact, version
    matched = re.match(r"(.+?)-(\d.*)$", stem)
    if not matched:
        return None
    artifact, version = matched.groups()
    group = GROUPS.get(re.sub(r"_2\.1\d$", "", artifact))
    return (group, artifact, version) if group else None


def main():
    releases, table, left = [], {}, set()
    for argument in sys.argv[1:]:
        release, directory = argument.split("=")
        releases.append(release)
        for jar in sorted(pathlib.Path(directory).glob("*.jar")):
            found = coordinates(jar)
            if found is None:
                left.add(jar.name)
                continue
            group, artifact, version = found
            # Parts of Spark have their own rule.
            if group != "org.apache.spark":
                table.setdefault((group, re.sub(r"_2\.1\d$", "", artifact)), {})[release] = version
    print("# group:artifact (without its Scala) and the version each release ships. Made by scripts/shipped.py")
    print("release " + " ".join(releases))
    for (group, artifact), versions in sorted(table.items()):
        print(f"{group}:{artifact} " + " ".join(versions.get(release, "-") for release in releases))
    print("without coordinates: " + " ".join(sorted(left)), file=sys.stderr)


main()
