//! `runtime:4.1.4`: a base out of a local Spark, a Java and the programs of this machine, for work without a registry.
//!
//! Three layers: programs with the libraries they need, Java with Python, Spark. The same machine gives the same bits; another one has other programs, so what is to be
//! the same everywhere is built on a base from a registry. It has what Spark's own images have: user 185, `/opt/spark`, `/opt/entrypoint.sh` with `driver` and
//! `executor`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use stoke_runtime::{ImageError, Runtime, Runtimes, Version};

use super::build::remembered;
use super::error::BuildError;
use super::layer::{Item, Layer, OWNER, Source, Tree};
use super::sources::unreadable;
use crate::oci::copy::Watch;
use crate::oci::media::{self, Compression};
use crate::oci::{Cache, Config, Descriptor, Execution, History, Layout, Manifest, Platform, RootFs};

/// Programs that Spark's scripts, and people who look into a pod, call.
const PROGRAMS: [&str; 44] = [
    "bash", "sh", "env", "awk", "basename", "cat", "chmod", "chown", "cp", "cut", "date", "df", "dirname", "du",
    "expr", "find", "grep", "head", "hostname", "id", "ls", "mkdir", "mktemp", "mv", "nice", "ps", "pwd", "readlink",
    "realpath", "rm", "sed", "sleep", "sort", "stat", "tail", "tar", "tee", "test", "touch", "tr", "uname", "wc",
    "whoami", "xargs",
];

const JAVA: &str = "opt/java";
const PYTHON: &str = "opt/python";
const SPARK: &str = "opt/spark";

/// What containers of the image run first; the contract is that of Spark on Kubernetes (`docs/running-on-kubernetes.md`): `driver` and `executor`, anything else is
/// run as it is.
const ENTRYPOINT: &str = include_str!("runtime_entrypoint.sh");

/// Makes the base, or finds it made.
///
/// # Errors
/// A Spark that is not installed, no Java, a file of them that cannot be read.
pub fn make(version: &str, runtimes: &Runtimes, cache: &Cache, watch: &dyn Watch) -> Result<Layout, BuildError> {
    let parsed: Version = version.parse().map_err(|error| {
        BuildError::input(
            "stoke::build::base",
            format!("runtime:{version}: {error}"),
            "write it like runtime:4.1.4",
        )
    })?;
    let failed = |error: ImageError| {
        BuildError::environment(
            "stoke::build::base",
            error.to_string(),
            "install what the message names",
        )
    };
    let runtime = runtimes.find(&parsed).map_err(failed)?;
    let Some(runtime) = runtime else {
        let message = format!("runtime:{version}: this Spark is not installed here");
        return Err(BuildError::input(
            "stoke::build::base",
            message,
            format!("`stoke runtime install {version}` installs it"),
        ));
    };
    let java = runtimes.java(&parsed, None).map_err(failed)?;
    let python = runtime.python.as_ref().map(|python| python.base.clone());
    let found = fingerprint(
        &[&java.home.join("release"), &runtime.spark_home.join("RELEASE")],
        &java.build,
        python.as_deref(),
    );
    let made_of = |what: &str| format!("runtime {parsed} {what}\n{found}\n{}", stamp(&runtime));

    let programs = remembered(cache, &made_of("programs"), || {
        let tree = programs(&java.home, python.as_deref())?;
        write(&tree, cache, format!("programs of this machine, {} files", tree.len()))
    })?;
    watch.begins(&programs.descriptor);
    let languages = remembered(cache, &made_of("java and python"), || {
        let mut tree = Tree::owned_by(0);
        copy(&mut tree, &java.home, JAVA, &|_| true)?;
        if let Some(base) = &python {
            python_tree(&mut tree, base)?;
        }
        write(&tree, cache, format!("Java {}, {} files", java.version, tree.len()))
    })?;
    watch.begins(&languages.descriptor);
    let spark = remembered(cache, &made_of("spark"), || {
        let mut tree = Tree::default();
        copy(&mut tree, &runtime.spark_home, SPARK, &|path| !path.ends_with(".pyc"))?;
        for directory in ["opt/spark/work-dir", "home/spark"] {
            tree.put(directory, Item::Directory);
        }
        let script = |text: &str| Item::File {
            content: Source::Bytes(text.as_bytes().to_vec()),
            executable: true,
        };
        tree.put("opt/entrypoint.sh", script(ENTRYPOINT));
        write(&tree, cache, format!("Spark {parsed} of PyPI, {} files", tree.len()))
    })?;
    watch.begins(&spark.descriptor);
    layout(&parsed, &[programs, languages, spark], python.is_some(), cache)
}

/// What changes when Java or Python do.
fn fingerprint(files: &[&Path], build: &str, python: Option<&Path>) -> String {
    let mut text = format!("{build}\n{python:?}\n");
    for file in files {
        text.push_str(&std::fs::read_to_string(file).unwrap_or_default());
    }
    text
}

/// What changes when the Spark is installed again.
fn stamp(runtime: &Runtime) -> String {
    format!("{} {}", runtime.spark_home.display(), OWNER)
}

fn write(tree: &Tree, cache: &Cache, what: String) -> Result<Layer, BuildError> {
    Ok(tree.write(Compression::Gzip, 0, cache, format!("stoke image build: {what}"))?)
}

/// Copies a directory; links that stay in it stay links, others become what they lead to.
fn copy(tree: &mut Tree, from: &Path, to: &str, wanted: &dyn Fn(&str) -> bool) -> Result<(), BuildError> {
    let root = from.canonicalize().map_err(|error| unreadable(from, &error))?;
    let mut open = vec![(root.clone(), to.to_owned(), 0)];
    tree.put(to, Item::Directory);
    while let Some((here, target, depth)) = open.pop() {
        let entries = std::fs::read_dir(&here).map_err(|error| unreadable(&here, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| unreadable(&here, &error))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let target = format!("{target}/{name}");
            if name == "__pycache__" || !wanted(&target) {
                continue;
            }
            if let Ok(link) = std::fs::read_link(&path) {
                let inside = path.canonicalize().is_ok_and(|leads| leads.starts_with(&root));
                if inside && link.is_relative() {
                    tree.put(target, Item::Link(link.to_string_lossy().into_owned()));
                    continue;
                }
            }
            // A link to nothing is left out: what it led to is not on this machine either.
            let Ok(meta) = path.metadata() else { continue };
            if meta.is_dir() {
                if depth > 64 {
                    return Err(BuildError::environment(
                        "stoke::build::file",
                        format!("{} is nested too deeply", path.display()),
                        "look for links that lead in circles",
                    ));
                }
                tree.put(target.clone(), Item::Directory);
                open.push((path, target, depth + 1));
            } else if meta.is_file() {
                put_file(tree, &path, target);
            }
        }
    }
    Ok(())
}

fn put_file(tree: &mut Tree, path: &Path, target: String) {
    use std::os::unix::fs::PermissionsExt;
    let executable = path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0);
    tree.put(
        target,
        Item::File {
            content: Source::Path(path.to_owned()),
            executable,
        },
    );
}

/// The interpreter and its library, without tests and tools of its own.
fn python_tree(tree: &mut Tree, base: &Path) -> Result<(), BuildError> {
    let Some(version) = python_version(base) else {
        return Ok(());
    };
    let library = base.join("lib").join(&version);
    const LEFT_OUT: [&str; 7] = [
        "site-packages",
        "dist-packages",
        "test",
        "idlelib",
        "tkinter",
        "ensurepip",
        "turtledemo",
    ];
    let prefix = format!("{PYTHON}/lib/{version}/");
    let wanted = |path: &str| {
        let first = path
            .strip_prefix(&prefix)
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        !LEFT_OUT.contains(&first) && !first.starts_with("config-") && !path.ends_with(".pyc")
    };
    tree.put(PYTHON, Item::Directory);
    for directory in ["bin", "lib"] {
        tree.put(format!("{PYTHON}/{directory}"), Item::Directory);
    }
    copy(tree, &library, &format!("{PYTHON}/lib/{version}"), &wanted)?;
    tree.put(format!("{PYTHON}/lib/{version}/site-packages"), Item::Directory);
    put_file(
        tree,
        &base.join("bin").join(&version),
        format!("{PYTHON}/bin/{version}"),
    );
    for name in ["python3", "python"] {
        tree.put(format!("{PYTHON}/bin/{name}"), Item::Link(version.clone()));
    }
    Ok(())
}

/// `python3.11`, of an installation.
fn python_version(base: &Path) -> Option<String> {
    let entries = std::fs::read_dir(base.join("bin")).ok()?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let fitting = names.filter(|name| {
        name.strip_prefix("python3.")
            .is_some_and(|minor| minor.bytes().all(|byte| byte.is_ascii_digit()))
            && base.join("lib").join(name).join("os.py").is_file()
    });
    fitting.max_by_key(|name| name["python3.".len()..].parse::<u32>().unwrap_or(0))
}

/// Programs, and the libraries that they, Java and Python load.
fn programs(java: &Path, python: Option<&Path>) -> Result<Tree, BuildError> {
    let mut tree = Tree::owned_by(0);
    let mut loading: Vec<PathBuf> = Vec::new();
    for directory in [
        "usr",
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "etc",
        "tmp",
        "var",
        "var/tmp",
        "proc",
        "sys",
        "dev",
        "root",
    ] {
        tree.put(
            directory,
            if directory.ends_with("tmp") {
                Item::Shared
            } else {
                Item::Directory
            },
        );
    }
    for (link, target) in [
        ("bin", "usr/bin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
        ("sbin", "usr/bin"),
    ] {
        tree.put(link, Item::Link(target.to_owned()));
    }
    for name in PROGRAMS {
        let Some(path) = ["/usr/bin", "/bin"]
            .iter()
            .map(|folder| Path::new(folder).join(name))
            .find(|path| path.is_file())
        else {
            continue;
        };
        let real = path.canonicalize().map_err(|error| unreadable(&path, &error))?;
        put_file(&mut tree, &real, format!("usr/bin/{name}"));
        loading.push(real);
    }
    for directory in std::iter::once(java.to_owned())
        .chain(python.and_then(|base| Some(base.join("lib").join(python_version(base)?))))
    {
        objects(&directory, &mut loading);
    }
    if let Some(python) = python.and_then(|base| Some(base.join("bin").join(python_version(base)?))) {
        loading.push(python);
    }
    for (name, path) in libraries(&loading, java)? {
        put_file(&mut tree, &path, name);
    }
    for (path, text) in [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nspark:x:185:185:spark:/home/spark:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n",
        ),
        ("etc/group", "root:x:0:\nspark:x:185:\nnogroup:x:65534:\n"),
        ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ] {
        tree.put(
            path,
            Item::File {
                content: Source::Bytes(text.as_bytes().to_vec()),
                executable: false,
            },
        );
    }
    let authorities = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if authorities.is_file() {
        for directory in ["etc/ssl", "etc/ssl/certs"] {
            tree.put(directory, Item::Directory);
        }
        put_file(&mut tree, authorities, "etc/ssl/certs/ca-certificates.crt".to_owned());
    }
    Ok(tree)
}

/// Programs and libraries below a directory.
fn objects(directory: &Path, into: &mut Vec<PathBuf>) {
    let mut open = vec![directory.to_owned()];
    while let Some(here) = open.pop() {
        for entry in std::fs::read_dir(here).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file()
                && (path.to_string_lossy().contains(".so")
                    || path.parent().is_some_and(|parent| parent.ends_with("bin")))
            {
                into.push(path);
            }
        }
    }
    into.sort();
}

/// What the loader of this machine would load for them: the path in the image, and the file.
fn libraries(programs: &[PathBuf], java: &Path) -> Result<BTreeMap<String, PathBuf>, BuildError> {
    let output = Command::new("ldd")
        .args(programs)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let output = output.map_err(|error| {
        BuildError::environment(
            "stoke::build::base",
            format!("ldd: {error}"),
            "install it: it is part of libc-bin, or name a base from a registry",
        )
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for line in text.lines() {
        let path = match line.split_once("=>") {
            Some((_, path)) => path.trim(),
            None => line.trim(),
        };
        let path = path.split(" (").next().unwrap_or_default();
        // A library of its own is copied with Java.
        if line.contains(" (0x") && path.starts_with('/') && !path.starts_with(&*java.to_string_lossy()) {
            names.insert(path);
        }
    }
    let mut found = BTreeMap::new();
    for name in names {
        let path = Path::new(name);
        let real = path.canonicalize().map_err(|error| unreadable(path, &error))?;
        let inside = name.trim_start_matches('/');
        let usr = inside.starts_with("lib/") || inside.starts_with("lib64/");
        found.insert(
            if usr {
                format!("usr/{inside}")
            } else {
                inside.to_owned()
            },
            real,
        );
    }
    Ok(found)
}

/// The image of the layers, in a layout beside the cache.
fn layout(version: &Version, layers: &[Layer], python: bool, cache: &Cache) -> Result<Layout, BuildError> {
    let mut run = Execution {
        user: OWNER.to_string(),
        entrypoint: vec!["/opt/entrypoint.sh".to_owned()],
        working_dir: "/opt/spark/work-dir".to_owned(),
        ..Execution::default()
    };
    for (name, value) in [
        (
            "PATH",
            format!(
                "/{PYTHON}/bin:/{JAVA}/bin:/{SPARK}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            ),
        ),
        ("SPARK_HOME", format!("/{SPARK}")),
        ("JAVA_HOME", format!("/{JAVA}")),
        ("LANG", "C.UTF-8".to_owned()),
    ] {
        run.set_variable(name, &value);
    }
    if python {
        run.set_variable("PYSPARK_PYTHON", &format!("/{PYTHON}/bin/python3"));
    }
    let mut platform = Platform::here();
    let created = "1970-01-01T00:00:00Z";
    platform.other.insert("created".to_owned(), created.into());
    let history = |layer: &Layer| History {
        created: Some(created.to_owned()),
        created_by: Some(layer.made_by.clone()),
        ..History::default()
    };
    let config = Config {
        platform,
        config: run,
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.diff_id.clone()).collect(),
        },
        history: layers.iter().map(history).collect(),
    };
    let directory = cache.directory().join("bases").join(format!("runtime-{version}"));
    let layout = Layout::create(&directory)?;
    for layer in layers {
        // The cache has it: one file, two names, where the file system allows.
        let (from, to) = (
            cache.path(&layer.descriptor.digest),
            layout.blob_path(&layer.descriptor.digest),
        );
        if !to.exists() && std::fs::hard_link(&from, &to).is_err() {
            let file = std::fs::File::open(&from).map_err(|error| unreadable(&from, &error))?;
            layout.put_blob(&layer.descriptor, file)?;
        }
    }
    let bytes = crate::oci::text(&config)?;
    let descriptor = Descriptor::of(media::CONFIG, &bytes);
    layout.put_blob(&descriptor, &bytes[..])?;
    let manifest = Manifest::image(
        descriptor,
        layers.iter().map(|layer| layer.descriptor.clone()).collect(),
    );
    let bytes = crate::oci::text(&manifest)?;
    layout.put_manifest(
        Descriptor::of(media::MANIFEST, &bytes),
        &bytes,
        Some(&version.to_string()),
    )?;
    // What an earlier one named is not needed any more.
    Ok(layout)
}
