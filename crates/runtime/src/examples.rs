//! The examples jar that the official images have and PyPI's Spark has not: classes of our own under the well-known names.
//!
//! Sources and the program that compiles them are in `examples` of this room. One jar serves every Spark: it is compiled against the oldest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::image::{Mount, SPARK_HOME};

const JAR: &[u8] = include_bytes!("../examples/spark-examples.jar");

/// Puts the jar into a directory, under a name that changes with its content; finds it done when it is.
pub(crate) fn place(directory: &Path) -> std::io::Result<PathBuf> {
    let digest: String = Sha256::digest(JAR)
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("spark-examples-{digest}.jar");
    let path = directory.join(&name);
    let is_there = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() == JAR.len() as u64);
    if !is_there {
        crate::launch::write(directory, &name, JAR, 0o644)?;
    }
    Ok(path)
}

/// `/opt/spark/examples` of a Spark: what its home has, and the examples jar under both of its names. A jar of its own comes first.
pub(crate) fn mounts(home: &Path, jar: &Path) -> Vec<Mount> {
    let examples = home.join("examples");
    let target = Path::new(SPARK_HOME).join("examples");
    let read_only = |host: PathBuf, target: PathBuf| Mount {
        host: host.canonicalize().unwrap_or(host),
        target,
        read_only: true,
    };
    let jars = names(&examples.join("jars"));
    let own = jars
        .iter()
        .find(|name| name.starts_with("spark-examples") && name.ends_with(".jar"));
    let source = own.map_or_else(|| jar.to_owned(), |name| examples.join("jars").join(name));
    let wanted = std::iter::once("spark-examples.jar".to_owned()).chain(versioned(home));
    let missing: Vec<String> = wanted.filter(|name| !jars.contains(name)).collect();
    if missing.is_empty() {
        return vec![read_only(examples, target)];
    }
    // What is mounted is not written to: a directory that gets one more entry is mounted entry by entry.
    let others = names(&examples).into_iter().filter(|name| name != "jars");
    let others = others.map(|name| read_only(examples.join(&name), target.join(&name)));
    let theirs = jars
        .iter()
        .map(|name| read_only(examples.join("jars").join(name), target.join("jars").join(name)));
    let added = missing
        .iter()
        .map(|name| read_only(source.clone(), target.join("jars").join(name)));
    others.chain(theirs).chain(added).collect()
}

/// The name with the versions of Scala and Spark, read off the name of `spark-core`.
fn versioned(home: &Path) -> Option<String> {
    let jars = names(&home.join("jars"));
    let rest = jars.iter().find_map(|name| name.strip_prefix("spark-core_"))?;
    Some(format!("spark-examples_{rest}"))
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        root
    }

    /// The files of a home; what is below `/opt/spark/examples`, and the file each comes from.
    type Case = (&'static [&'static str], &'static [(&'static str, &'static str)]);

    #[test]
    fn the_jar_is_at_both_names_and_one_of_their_own_comes_first() {
        const CORE: &str = "jars/spark-core_2.13-4.1.4.jar";
        const PY: &str = "examples/src/main/python/pi.py";
        const LONG: &str = "jars/spark-examples_2.13-4.1.4.jar";
        const SHORT: &str = "jars/spark-examples.jar";
        let cases: [Case; 5] = [
            (&[CORE, PY], &[("src", "src"), (SHORT, "ours"), (LONG, "ours")]),
            (&[CORE], &[(SHORT, "ours"), (LONG, "ours")]),
            (
                &[
                    CORE,
                    PY,
                    "examples/jars/spark-examples_2.13-4.1.4.jar",
                    "examples/jars/scopt.jar",
                ],
                &[
                    ("src", "src"),
                    ("jars/scopt.jar", "scopt.jar"),
                    (LONG, "spark-examples_2.13-4.1.4.jar"),
                    (SHORT, "spark-examples_2.13-4.1.4.jar"),
                ],
            ),
            (
                &[
                    CORE,
                    "examples/jars/spark-examples_2.13-4.1.4.jar",
                    "examples/jars/spark-examples.jar",
                ],
                &[("", "examples")],
            ),
            (&[PY], &[("src", "src"), (SHORT, "ours")]),
        ];
        for (files, expected) in cases {
            let root = home(files);
            let found = mounts(root.path(), Path::new("/launch/ours"));
            let told: Vec<(String, String)> = found
                .iter()
                .map(|mount| {
                    let target = mount.target.strip_prefix("/opt/spark/examples").unwrap();
                    let host = mount.host.file_name().unwrap();
                    (
                        target.to_string_lossy().into_owned(),
                        host.to_string_lossy().into_owned(),
                    )
                })
                .collect();
            let expected: Vec<(String, String)> = expected
                .iter()
                .map(|(target, host)| ((*target).to_owned(), (*host).to_owned()))
                .collect();
            assert_eq!(told, expected, "{files:?}");
        }
    }

    #[test]
    fn the_jar_is_written_once_and_mended() {
        let root = tempfile::tempdir().unwrap();
        let path = place(root.path()).unwrap();
        std::fs::write(&path, "cut").unwrap();
        assert_eq!(place(root.path()).unwrap(), path);
        assert_eq!(std::fs::read(&path).unwrap(), JAR);
        assert!(crate::jar::root_names(&path).unwrap().contains("org"));
    }

    fn sources(directory: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => sources(&path, out),
                path => out.push(path),
            }
        }
    }

    #[test]
    fn the_jar_is_made_of_the_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut files = Vec::new();
        sources(&root.join("org"), &mut files);
        files.sort_by_key(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
        let mut digest = Sha256::new();
        for file in files {
            digest.update(file.strip_prefix(&root).unwrap().to_string_lossy().as_bytes());
            digest.update([0]);
            digest.update(std::fs::read(&file).unwrap());
        }
        let digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("Sources-SHA-256: {}", &digest[..40]);
        let is_in = JAR.windows(line.len()).any(|window| window == line.as_bytes());
        assert!(is_in, "run crates/runtime/examples/build.py to rebuild the jar");
    }
}
