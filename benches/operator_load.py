#!/usr/bin/env python3
"""Many applications at once, one driver and five executors each, against the embedded API server on this machine.

    cargo build --release -p stoke -p stoke-operator --features examples --example operator_load && python3 benches/operator_load.py [--applications 1000 6000] [--a-minute 3000]

The operator is a process of its own and speaks to the API server over TLS; its processor time, memory and requests are its own. The API
server, the node (which only reports phases) and the user share another process on the same processors. `-p stoke` gives the operator the
features it has in the shipped program.
"""

import argparse
import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD = os.environ.get("OPERATOR_LOAD", os.path.join(HERE, "..", "target", "release", "examples", "operator_load"))

ROWS = [
    ("applications a minute, whole lives", lambda m: f"{m['applications_per_minute']:.0f}"),
    ("create to driver pod, p50 / p99 / most, ms", lambda m: spread(m["create_to_driver_pod_ms"])),
    ("status behind the node, p50 / p99 / most, ms", lambda m: spread(m["status_lag_ms"])),
    ("all created within, s", lambda m: f"{m['created_within_seconds']:.1f}"),
    ("all completed within, s", lambda m: f"{m['seconds']:.1f}"),
    ("operator's CPU per application, ms", lambda m: f"{m['operator_cpu_ms_per_application']:.2f}"),
    ("CPU of API server, node and user, the same, ms", lambda m: f"{m['api_server_node_and_user_cpu_ms_per_application']:.2f}"),
    ("operator's requests per application", lambda m: f"{m['operator_requests_per_application']:.1f}"),
    ("of these, Events", lambda m: f"{m['operator_requests_by_kind'].get('POST events', 0):.1f}"),
    ("operator's memory after the load, MiB", lambda m: f"{m['operator_bytes_resident']['after_the_load'] / 2**20:.0f}"),
    ("memory per idle application after a restart, bytes", lambda m: f"{m['bytes_per_idle_application']:.0f}"),
    ("restart to the next driver pod, ms", lambda m: f"{m['restart_to_first_driver_pod_ms']:.0f}"),
]


def spread(times):
    return f"{times['p50']:.0f} / {times['p99']:.0f} / {times['most']:.0f}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--applications", type=int, nargs="+", default=[1000, 6000])
    arguments.add_argument("--a-minute", type=int, help="create so many a minute, not all at once")
    arguments = arguments.parse_args()
    counts, pace = arguments.applications, [str(arguments.a_minute)] if arguments.a_minute else []
    measured = [json.loads(subprocess.run([LOAD, str(count), *pace], check=True, stdout=subprocess.PIPE).stdout) for count in counts]
    print(f"{'':52}" + "".join(f"{count:>20}" for count in counts))
    for label, show in ROWS:
        print(f"{label:52}" + "".join(f"{show(figures):>20}" for figures in measured))


if __name__ == "__main__":
    main()
