"""Writes an image of two layers as `docker save` would: busybox, accounts, files of several owners. OUT BUSYBOX [ARCHITECTURE [USER]]"""
import hashlib, io, json, sys, tarfile


def tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, mode, owner, data in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid = mode, owner, owner
            if kind == "link":
                info.type, info.linkname, data = tarfile.SYMTYPE, data, b""
            elif kind == "dir":
                info.type, data = tarfile.DIRTYPE, b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data) if info.size else None)
    return out.getvalue()


out, busybox = sys.argv[1:3]
architecture = sys.argv[3] if len(sys.argv) > 3 else {"x86_64": "amd64", "aarch64": "arm64"}[__import__("platform").machine()]
user = sys.argv[4] if len(sys.argv) > 4 else "app"
programs = "sh cat id ls touch env sleep pwd rm mkdir".split()
first = tar(
    [("bin/", "dir", 0o755, 0, b""), ("bin/busybox", "file", 0o755, 0, open(busybox, "rb").read())]
    + [("bin/" + program, "link", 0o777, 0, "busybox") for program in programs]
    + [
        ("etc/passwd", "file", 0o644, 0, b"root:x:0:0::/root:\napp:x:1234:1234::/home/app:\nother:x:77:78::/home/other:\n"),
        ("etc/secret", "file", 0o600, 0, b"of root\n"),
        ("tmp/", "dir", 0o1777, 0, b""),
        ("home/app/", "dir", 0o755, 1234, b""),
        ("old/file", "file", 0o644, 0, b"old\n"),
        ("run/", "dir", 0o755, 0, b""),
        ("var/run", "link", 0o777, 0, "/run"),
    ]
)
second = tar([(".wh.old", "file", 0o644, 0, b""), ("new", "file", 0o644, 0, b"new\n")])
config = json.dumps(
    {
        "architecture": architecture,
        "os": "linux",
        "config": {
            "Entrypoint": ["/bin/sh", "-c"],
            "Cmd": ["id -u; id -g; pwd; echo $GREETING $HOME"],
            "Env": ["PATH=/bin", "GREETING=hello"],
            "User": user,
            "WorkingDir": "/home/app",
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in (first, second)]},
    }
).encode()
manifest = json.dumps([{"Config": "config.json", "RepoTags": ["base:1"], "Layers": ["0/layer.tar", "1/layer.tar"]}]).encode()
files = [("config.json", config), ("0/layer.tar", first), ("1/layer.tar", second), ("manifest.json", manifest)]
with open(out, "wb") as file:
    file.write(tar([(name, "file", 0o644, 0, data) for name, data in files]))
