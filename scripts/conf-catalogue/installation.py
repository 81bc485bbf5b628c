"""Running a Java program against the jars of a Spark installation, and getting such an installation from PyPI."""
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MACHINE = "this-machine"
DATA = HERE.parent.parent / "crates" / "model" / "data"


def version_of(home):
    """The Spark version of an installation, from the name of its core jar."""
    jars = pathlib.Path(home) / "jars"
    cores = sorted(jars.glob("spark-core_*.jar"))
    if len(cores) != 1:
        sys.exit(f"error: {jars} holds {len(cores)} spark-core jars; expected one\n  fix: pass a SPARK_HOME (the directory above jars/)")
    return re.search(r"-(\d+\.\d+\.\d+)\.jar\Z", cores[0].name).group(1)


def run_java(home, main, arguments, scratch):
    """Compile the Java sources of this directory against an installation and run one of them; its output lines."""
    version = version_of(home)
    classes = pathlib.Path(scratch) / f"classes-{version}"
    path = f"{pathlib.Path(home).resolve() / 'jars'}/*"
    if not classes.exists():
        classes.mkdir()
        sources = [str(source) for source in sorted(HERE.glob("*.java"))]
        subprocess.run(["javac", "-nowarn", "-d", str(classes), "-cp", path, *sources], check=True)
    opens = "--add-opens=java.base/java.lang=ALL-UNNAMED"
    command = ["java", opens, "-cp", f"{classes}:{path}", main, str(pathlib.Path(home).resolve() / "jars"), *arguments]
    # A directory and a host name that are recognised in the output, so that facts about this machine do not pass for facts about Spark.
    place = pathlib.Path(scratch) / MACHINE
    place.mkdir(exist_ok=True)
    environment = {**os.environ, "SPARK_LOCAL_HOSTNAME": MACHINE}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", cwd=place, env=environment)
    if done.returncode != 0:
        sys.exit(f"error: {main} failed on {home}\n{done.stderr[-4000:]}")
    for line in done.stderr.splitlines():
        if line.startswith("not initialised"):
            print(f"warning: {version}: {line}", file=sys.stderr)
    return done.stdout.splitlines()


def install(version, scratch):
    """Install PyPI's pyspark of a version; its SPARK_HOME."""
    target = pathlib.Path(scratch) / f"pip-{version}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), f"pyspark=={version}"], check=True)
    return target / "pyspark"


def add_arguments(parser):
    """The arguments that say which installations to use and where to write."""
    parser.add_argument("homes", nargs="*", metavar="SPARK_HOME")
    parser.add_argument("--pip", action="append", default=[], metavar="VERSION", help="install this pyspark from PyPI and use it")
    parser.add_argument("--out", default=DATA, type=pathlib.Path, help="directory to write to")


def homes(options, parser, scratch):
    """The installations asked for."""
    if not options.homes and not options.pip:
        parser.error("give at least one SPARK_HOME or --pip VERSION")
    return [pathlib.Path(home) for home in options.homes] + [install(version, scratch) for version in options.pip]


def newest_first(versions):
    return sorted(versions, key=lambda version: [int(part) for part in version.split(".")], reverse=True)
