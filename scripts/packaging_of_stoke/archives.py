"""An archive, a wheel and a Debian package of the binary, without tools of others."""

import base64
import gzip
import hashlib
import io
import os
import sys
import tarfile
import time
import zipfile

SUMMARY = "Apache Spark on Kubernetes in one binary: check, run, release, observe"
# The name is taken on the index of Python packages by something else.
WHEEL = "stoke_spark"
# Packages of Debian by the libraries that a binary names.
DEBIAN = {"libc.so.6": "libc6", "libm.so.6": "libc6", "ld-linux-x86-64.so.2": "libc6", "ld-linux-aarch64.so.1": "libc6", "libgcc_s.so.1": "libgcc-s1"}


def write(about, here, out):
    return [tarball(about, here, out), wheel(about, here, out), debian(about, here, out)]


def date():
    return int(os.environ["SOURCE_DATE_EPOCH"])


def tar(entries, level=6):
    """A `.tar.gz` of (name, mode, bytes), directories first, of root and of one time."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=level, mtime=0, filename="") as zipped:
        with tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, mode, data in entries:
                info = tarfile.TarInfo(name)
                info.mode, info.mtime, info.uname, info.gname = mode, date(), "root", "root"
                if data is None:
                    info.type = tarfile.DIRTYPE
                    archive.addfile(info)
                else:
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def tarball(about, here, out):
    root = f"stoke-{about.version}-{about.machine}-{about.system}"
    files = [(f"{root}/", 0o755, None), (f"{root}/stoke", 0o755, about.file.read_bytes())]
    files += [(f"{root}/{name}", 0o644, (here / name).read_bytes()) for name in ("LICENSE", "README.md", "CHANGELOG.md")]
    path = out / f"{root}.tar.gz"
    path.write_bytes(tar(files))
    return path


def tag(about):
    """Platforms of a wheel (PEP 600, 656): a static binary runs with every C library."""
    if about.glibc is None:
        return f"manylinux_2_17_{about.machine}.musllinux_1_1_{about.machine}"
    return f"manylinux_{about.glibc.replace('.', '_')}_{about.machine}"


def wheel(about, here, out):
    platform = tag(about)
    info, data = f"{WHEEL}-{about.version}.dist-info", f"{WHEEL}-{about.version}.data"
    tags = "".join(f"Tag: py3-none-{one}\n" for one in platform.split("."))
    metadata = (
        f"Metadata-Version: 2.4\nName: {WHEEL.replace('_', '-')}\nVersion: {about.version}\nSummary: {SUMMARY}\n"
        f"License-Expression: Apache-2.0\nLicense-File: LICENSE\nRequires-Python: >=3.8\nClassifier: Operating System :: POSIX :: Linux\n"
        f"Description-Content-Type: text/markdown\n\n{(here / 'README.md').read_text()}"
    )
    files = [
        (f"{data}/scripts/stoke", 0o755, about.file.read_bytes()),
        (f"{info}/METADATA", 0o644, metadata.encode()),
        (f"{info}/WHEEL", 0o644, f"Wheel-Version: 1.0\nGenerator: stoke-package\nRoot-Is-Purelib: false\n{tags}".encode()),
        (f"{info}/licenses/LICENSE", 0o644, (here / "LICENSE").read_bytes()),
    ]
    record = "".join(f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(bytes_).digest()).rstrip(b'=').decode()},{len(bytes_)}\n" for name, _, bytes_ in files)
    files.append((f"{info}/RECORD", 0o644, (record + f"{info}/RECORD,,\n").encode()))
    path = out / f"{WHEEL}-{about.version}-py3-none-{platform}.whl"
    when = time.gmtime(max(date(), 315532800))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, mode, data in files:
            entry = zipfile.ZipInfo(name, when)
            entry.external_attr, entry.create_system, entry.compress_type = (0o100000 | mode) << 16, 3, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return path


def debian(about, here, out):
    unknown = [library for library in about.libraries if library not in DEBIAN]
    if unknown:
        sys.exit(f"{about.file}: needs {', '.join(unknown)}, and which package of Debian has it is not known")
    needed = sorted({DEBIAN[library] for library in about.libraries})
    depends = ", ".join(f"libc6 (>= {about.glibc})" if package == "libc6" else package for package in needed)
    when = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(date()))
    revision = f"{about.version}-1"
    copyright_ = (
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: stoke\n\n"
        "Files: *\nCopyright: The authors of Stoke\nLicense: Apache-2.0\n On Debian systems, the full text of the license is in /usr/share/common-licenses/Apache-2.0.\n"
    )
    changes = f"stoke ({revision}) unstable; urgency=medium\n\n  * Release {about.version}; see CHANGELOG.md.\n\n -- The authors of Stoke <stoke@localhost>  {when}\n"
    small = lambda text: gzip.compress(text.encode(), 9, mtime=0)
    files = {
        "usr/bin/stoke": (0o755, about.file.read_bytes()),
        "usr/share/doc/stoke/changelog.Debian.gz": (0o644, small(changes)),
        "usr/share/doc/stoke/changelog.gz": (0o644, small((here / "CHANGELOG.md").read_text())),
        "usr/share/doc/stoke/copyright": (0o644, copyright_.encode()),
    }
    directories = sorted({f"./{'/'.join(parts[:end])}" for parts in (name.split("/") for name in files) for end in range(len(parts))})
    tree = [(name.rstrip("/") + "/", 0o755, None) for name in directories] + [(f"./{name}", mode, data) for name, (mode, data) in sorted(files.items())]
    control = (
        f"Package: stoke\nVersion: {revision}\nSection: devel\nPriority: optional\nArchitecture: {about.architecture}\n"
        + (f"Depends: {depends}\n" if depends else "")
        + "Recommends: default-jre-headless, python3, python3-venv\n"
        f"Installed-Size: {sum((len(data) + 1023) // 1024 for _, data in files.values())}\n"
        f"Maintainer: The authors of Stoke <stoke@localhost>\nDescription: {SUMMARY}\n"
        " Takes SparkApplication manifests, checks them, and runs them: on one machine with\n real Spark in an embedded Kubernetes, in production through a cluster.\n"
    )
    sums = "".join(f"{hashlib.md5(data).hexdigest()}  {name}\n" for name, (_, data) in sorted(files.items()))
    control = [("./", 0o755, None), ("./control", 0o644, control.encode()), ("./md5sums", 0o644, sums.encode())]
    path = out / f"stoke_{revision}_{about.architecture}.deb"
    with open(path, "wb") as file:
        file.write(b"!<arch>\n")
        for name, data in [("debian-binary", b"2.0\n"), ("control.tar.gz", tar(control, 9)), ("data.tar.gz", tar(tree))]:
            file.write(f"{name:<16}{date():<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2))
    return path
