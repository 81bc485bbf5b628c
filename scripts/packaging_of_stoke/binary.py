"""The binary: built, stripped, and what it needs of a machine."""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys

# What ELF, Debian, Python's wheels and OCI call a machine.
MACHINES = {"X86-64": ("x86_64", "amd64"), "AArch64": ("aarch64", "arm64")}


@dataclasses.dataclass
class About:
    file: pathlib.Path
    version: str
    # As the kernel says it, and as Debian and Go say it.
    machine: str
    architecture: str
    # The C library it needs at least, `2.34`; none when it is static.
    glibc: str | None
    libraries: list[str]

    @property
    def needs(self):
        return f"glibc {self.glibc} or newer" if self.glibc else "static, any Linux"


def prepare(here, given, work):
    """A stripped copy of the binary."""
    file = given.resolve() if given else build(here)
    copy = work / "stoke"
    subprocess.run(["strip", "-o", copy, file], check=True)
    copy.chmod(0o755)
    return copy


def build(here):
    machine = os.uname().machine
    static = f"{machine}-unknown-linux-musl"
    there = subprocess.run(["rustup", "target", "list", "--installed"], capture_output=True, text=True, cwd=here)
    target = static if there.returncode == 0 and static in there.stdout.split() else f"{machine}-unknown-linux-gnu"
    if target != static:
        print(f"the target {static} is not installed: the binary needs a C library", file=sys.stderr)
    environment = dict(os.environ)
    # Paths of this machine are in no message of a panic.
    environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(
        [f"--remap-path-prefix={here}=/stoke", f"--remap-path-prefix={os.environ.get('CARGO_HOME', os.path.expanduser('~/.cargo'))}=/cargo"]
    )
    if target == static:
        environment[f"CC_{machine}_unknown_linux_musl"] = "musl-gcc"
    command = ["cargo", "build", "--profile", "dist", "--locked", "-p", "stoke", "--target", target]
    subprocess.run(command, check=True, cwd=here, env=environment)
    directory = environment.get("CARGO_TARGET_DIR", here / "target")
    return pathlib.Path(directory) / target / "dist" / "stoke"


def look(file, here):
    elf = lambda *options: subprocess.run(["readelf", "--wide", *options, file], check=True, capture_output=True, text=True).stdout
    machine = next((names for word, names in MACHINES.items() if word in elf("-h")), None)
    if machine is None:
        sys.exit(f"{file}: not for a machine that is known here ({', '.join(MACHINES)})")
    libraries = re.findall(r"\(NEEDED\).*\[(.+)\]", elf("-d"))
    versions = [tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([0-9.]+)", elf("-V"))]
    glibc = ".".join(map(str, max(versions))) if versions else None
    if libraries and not glibc:
        sys.exit(f"{file}: needs {', '.join(libraries)} and no version of glibc: not a binary that this packs")
    printed = subprocess.run([file, "--version"], check=True, capture_output=True, text=True).stdout.split()
    wanted = re.search(r'^version = "(.+)"', (here / "Cargo.toml").read_text(), re.M).group(1)
    if printed != ["stoke", wanted]:
        sys.exit(f"{file}: says `{' '.join(printed)}`, and Cargo.toml {wanted}: build it again")
    return About(file, wanted, *machine, glibc, libraries)
