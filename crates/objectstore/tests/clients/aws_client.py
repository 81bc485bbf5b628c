"""The `aws` command: high-level copies in parts, sync, and the low-level API."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

aws = pathlib.Path(sys.executable).with_name("aws")


def run(*words, expect=0):
    done = subprocess.run([sys.executable, str(aws), *words], capture_output=True, text=True)
    assert done.returncode == expect, f"aws {words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


with tempfile.TemporaryDirectory() as directory:
    here = pathlib.Path(directory)
    big = os.urandom(25 << 20)
    (here / "big").write_bytes(big)
    (here / "tree/deep").mkdir(parents=True)
    for n in range(12):
        (here / f"tree/deep/file {n}").write_text(str(n))
    run("s3", "mb", "s3://aws-client")
    run("s3", "cp", str(here / "big"), "s3://aws-client/big", "--only-show-errors")
    run("s3", "cp", "s3://aws-client/big", str(here / "back"), "--only-show-errors")
    assert (here / "back").read_bytes() == big
    run("s3", "cp", "s3://aws-client/big", "s3://aws-client/copied in parts", "--only-show-errors")
    assert json.loads(run("s3api", "head-object", "--bucket", "aws-client", "--key", "copied in parts"))["ContentLength"] == len(big)
    run("s3", "sync", str(here / "tree"), "s3://aws-client/tree", "--only-show-errors")
    assert run("s3", "sync", str(here / "tree"), "s3://aws-client/tree") == "", "a second sync finds nothing to do"
    assert len(run("s3", "ls", "s3://aws-client/tree/deep/").splitlines()) == 12
    run("s3", "mv", "s3://aws-client/tree/deep/file 3", "s3://aws-client/moved", "--only-show-errors")
    assert run("s3", "cp", "s3://aws-client/moved", "-") == "3"
    run("s3", "rb", "s3://aws-client", expect=1)
    run("s3", "rb", "s3://aws-client", "--force")
    assert "NoSuchBucket" in run("s3", "ls", "s3://aws-client", expect=255)
    print("aws done")
