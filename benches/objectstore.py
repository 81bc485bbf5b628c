#!/usr/bin/env python3
"""The object store measured: small objects one after the other and 16 at once, 64 MiB, a listing of 100,000 keys, memory.

    python3 benches/objectstore.py                     # builds the store, with and without fsync
    python3 benches/objectstore.py --beside http://127.0.0.1:9100 --keys ACCESS:SECRET   # and another store, by the same client

boto3 is installed into a virtual environment in the target directory. Its own time per request is in every figure.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def in_environment():
    """Starts this script again in an environment that has boto3."""
    try:
        import boto3  # noqa: F401
        return
    except ImportError:
        pass
    directory = TARGET / "bench-objectstore"
    python = directory / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "boto3"], check=True)
    os.execv(python, [str(python), *sys.argv])


def client(endpoint, key, secret):
    import boto3
    from botocore.config import Config
    config = Config(max_pool_connections=32, retries={"max_attempts": 0})
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret, config=config)


def rate(count, work, ways):
    begun = time.perf_counter()
    if ways == 1:
        for n in range(count):
            work(n)
    else:
        with concurrent.futures.ThreadPoolExecutor(ways) as pool:
            list(pool.map(work, range(count)))
    return round(count / (time.perf_counter() - begun))


def resident(pid):
    if not pid:
        return None
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return round(int(line.split()[1]) / 1024)


def measure(name, s3, pid, keys):
    bucket = f"bench-{int(time.time() * 1000)}"
    s3.create_bucket(Bucket=bucket)
    small, large = os.urandom(4096), os.urandom(64 << 20)
    figures = {"store": name, "idle_mib": resident(pid)}
    count = 1000
    figures["put_4k_per_s"] = rate(count, lambda n: s3.put_object(Bucket=bucket, Key=f"one/{n}", Body=small), 1)
    figures["get_4k_per_s"] = rate(count, lambda n: s3.get_object(Bucket=bucket, Key=f"one/{n}")["Body"].read(), 1)
    figures["put_4k_16_ways_per_s"] = rate(count * 2, lambda n: s3.put_object(Bucket=bucket, Key=f"many/{n}", Body=small), 16)
    figures["get_4k_16_ways_per_s"] = rate(count * 2, lambda n: s3.get_object(Bucket=bucket, Key=f"many/{n}")["Body"].read(), 16)
    times = {"put": [], "get": []}
    for n in range(5):
        begun = time.perf_counter()
        s3.put_object(Bucket=bucket, Key=f"large/{n}", Body=large)
        times["put"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        assert len(s3.get_object(Bucket=bucket, Key=f"large/{n}")["Body"].read()) == len(large)
        times["get"].append(time.perf_counter() - begun)
    for what, seconds in times.items():
        figures[f"{what}_64m_mib_per_s"] = round(64 / statistics.median(seconds))
    figures["after_large_mib"] = resident(pid)
    rate(keys, lambda n: s3.put_object(Bucket=bucket, Key=f"list/{n % 100:02}/{n:06}", Body=b"."), 16)
    begun = time.perf_counter()
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="list/"))
    figures[f"list_{keys}_keys_s"] = round(time.perf_counter() - begun, 2)
    found = [o["Key"] for page in pages for o in page["Contents"]]
    assert len(found) == keys and found == sorted(found), len(found)
    begun = time.perf_counter()
    prefixes = s3.list_objects_v2(Bucket=bucket, Prefix="list/", Delimiter="/")["CommonPrefixes"]
    figures["list_100_prefixes_ms"] = round((time.perf_counter() - begun) * 1000, 1)
    assert len(prefixes) == min(100, keys)
    figures["after_all_mib"] = resident(pid)
    print(json.dumps(figures), flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--beside", help="endpoint of another store")
    arguments.add_argument("--keys", default="minioadmin:minioadmin", help="its keys, ACCESS:SECRET")
    arguments.add_argument("--pid", type=int, help="its process, for its memory")
    arguments.add_argument("--list", type=int, default=100_000, help="keys to list")
    arguments.add_argument("--no-build", action="store_true", help="take the store that is built")
    arguments = arguments.parse_args()
    in_environment()
    if not arguments.no_build:
        subprocess.run(["cargo", "build", "-q", "--release", "-p", "stoke-objectstore", "--example", "serve"], cwd=ROOT, check=True)
    for name, flags in [("stoke", []), ("stoke without fsync", ["--no-sync"])]:
        with tempfile.TemporaryDirectory(dir=TARGET) as directory:
            command = [TARGET / "release/examples/serve", directory, "0", *flags]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as store:
                told = dict(store.stdout.readline().strip().split("=", 1) for _ in range(4))
                s3 = client(told["AWS_ENDPOINT_URL"], told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"])
                measure(name, s3, store.pid, arguments.list)
                store.terminate()
    if arguments.beside:
        measure("beside", client(arguments.beside, *arguments.keys.split(":")), arguments.pid, arguments.list)


if __name__ == "__main__":
    main()
