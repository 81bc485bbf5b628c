"""The binary: built, stripped, and what it needs of a machine."""

import dataclasses
import os
import pathlib
import re
import shutil
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
    def system(self):
        """In names of files."""
        return "linux-gnu" if self.glibc else "linux"

    @property
    def needs(self):
        return f"glibc {self.glibc} or newer" if self.glibc else "static, any Linux"


def prepare(here, given, work, libc):
    """A stripped copy of the binary."""
    file = given.resolve() if given else build(here, work, libc)
    copy = work / "stoke"
    subprocess.run(["strip", "-o", copy, file], check=True)
    copy.chmod(0o755)
    return copy


def build(here, work, libc):
    machine = os.uname().machine
    target, compiler = choose(machine, here, work, libc)
    environment = dict(os.environ)
    # Paths of this machine are in no message of a panic.
    environment["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(
        [f"--remap-path-prefix={here}=/stoke", f"--remap-path-prefix={os.environ.get('CARGO_HOME', os.path.expanduser('~/.cargo'))}=/cargo"]
    )
    if compiler:
        environment[f"CC_{target.replace('-', '_')}"] = compiler
    profile = os.environ.get("STOKE_PACKAGE_PROFILE", "dist")
    command = ["cargo", "build", "--profile", profile, "--locked", "-p", "stoke", "--target", target]
    subprocess.run(command, check=True, cwd=here, env=environment)
    directory = environment.get("CARGO_TARGET_DIR", here / "target")
    return pathlib.Path(directory) / target / {"dev": "debug"}.get(profile, profile) / "stoke"


def choose(machine, here, work, libc):
    """The target, and the C compiler for it where it is another than this machine's. A static one is made when it is asked for: only `stoke run` was tried with it."""
    musl, gnu = f"{machine}-unknown-linux-musl", f"{machine}-unknown-linux-gnu"
    if libc != "musl":
        return gnu, None
    installed = subprocess.run(["rustup", "target", "list", "--installed"], capture_output=True, text=True, cwd=here)
    if installed.returncode != 0 or musl not in installed.stdout.split():
        missing = f"the target {musl} is not installed: `rustup target add {musl}`"
    elif compiler := musl_gcc(machine, musl, work):
        return musl, compiler
    else:
        missing = (
            "there is no C compiler for musl: `apt-get install musl-tools`; or, with nothing installed, `apt-get download musl-dev musl-tools`, "
            "`dpkg -x FILE DIR` for both, and STOKE_MUSL=DIR"
        )
    sys.exit(f"no static binary: {missing}")


def musl_gcc(machine, target, work):
    """What compiles C for musl: what is named as for every build by Cargo, that of an unpacked package, or that of the machine."""
    named = os.environ.get(f"CC_{target.replace('-', '_')}")
    if named:
        return named
    unpacked = os.environ.get("STOKE_MUSL")
    if not unpacked:
        return shutil.which("musl-gcc")
    root = pathlib.Path(unpacked).resolve()
    headers, libraries = (root / "usr" / directory / f"{machine}-linux-musl" for directory in ("include", "lib"))
    specs = libraries / "musl-gcc.specs"
    if not (headers / "stdio.h").is_file() or not specs.is_file():
        sys.exit(f"STOKE_MUSL={unpacked}: it does not hold the unpacked packages musl-dev and musl-tools")
    # What the package installs has absolute paths.
    text = specs.read_text().replace(f"/usr/include/{machine}-linux-musl", str(headers)).replace(f"/usr/lib/{machine}-linux-musl", str(libraries))
    (work / "musl-gcc.specs").write_text(text)
    wrapper = work / "musl-gcc"
    wrapper.write_text(f'#!/bin/sh\nexec "${{REALGCC:-gcc}}" "$@" -specs "{work}/musl-gcc.specs"\n')
    wrapper.chmod(0o755)
    return str(wrapper)


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
