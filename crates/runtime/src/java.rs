//! Java installations of this machine: where they are looked for, what they say about themselves, which one runs a Spark.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::error::JavaError;
use crate::version::Version;

/// One Java installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Java {
    /// The directory with `bin/java`, links resolved.
    pub home: PathBuf,
    /// The version as Java says it: `17.0.15`, `1.8.0_412`.
    pub version: String,
    /// The build, for class-data archives, which only the very same build can use: `17.0.15+6-Debian-1deb12u1`.
    pub build: String,
    /// The feature release: 17, 8.
    pub major: u32,
    /// Names of its modules, when it tells; empty before Java 9.
    pub modules: Vec<String>,
}

impl Java {
    /// The feature release from which on Java has ahead-of-time caches that know which methods a run needed (JEP 515).
    pub const AHEAD_OF_TIME: u32 = 25;

    /// Reads what is installed in a directory; none when it has no `bin/java` or does not say its version.
    pub fn at(home: &Path) -> Option<Java> {
        let home = home.canonicalize().ok()?;
        if !home.join("bin/java").is_file() {
            return None;
        }
        let told = std::fs::read_to_string(home.join("release"))
            .ok()
            .and_then(|text| Java::from_release(&home, &text));
        told.or_else(|| Java::ask(&home))
    }

    /// Understands the `release` file that every JDK since 8 has in its home: lines of `KEY="value"`.
    fn from_release(home: &Path, text: &str) -> Option<Java> {
        let value = |key: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            Some(line.trim().trim_matches('"').to_owned())
        };
        let version = value("JAVA_VERSION")?;
        let build = value("JAVA_RUNTIME_VERSION").unwrap_or_else(|| version.clone());
        let modules = value("MODULES")
            .map(|list| list.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default();
        Some(Java {
            home: home.to_owned(),
            major: major(&version)?,
            version,
            build,
            modules,
        })
    }

    /// Asks the program itself: about 40 ms, for installations without a `release` file.
    fn ask(home: &Path) -> Option<Java> {
        let output = Command::new(home.join("bin/java"))
            .args(["-XshowSettings:properties", "-version"])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr);
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(" = "))
        };
        let version = value("java.version")?.to_owned();
        let build = value("java.runtime.version").unwrap_or(&version).to_owned();
        Some(Java {
            home: home.to_owned(),
            major: major(&version)?,
            version,
            build,
            modules: Vec::new(),
        })
    }
}

/// The feature release of a Java version text: 8 of `1.8.0_412`, 17 of `17.0.15`, 25 of `25-ea`.
fn major(version: &str) -> Option<u32> {
    let version = version.strip_prefix("1.").unwrap_or(version);
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

/// Where Java is looked for; pure facts, so that tests can give their own.
#[derive(Debug, Clone, Default)]
pub struct Places {
    pub java_home: Option<PathBuf>,
    /// The directories of `PATH`.
    pub path: Vec<PathBuf>,
    /// Directories that contain Java homes.
    pub parents: Vec<PathBuf>,
    /// Java homes Stoke has installed itself.
    pub own: Vec<PathBuf>,
}

impl Places {
    /// The places of this machine: `JAVA_HOME`, `PATH`, `/usr/lib/jvm` and its kin, macOS's Java folders, SDKMAN, `~/.jdks`,
    /// and those installed into `own_directory`.
    pub fn of_this_machine(own_directory: &Path) -> Places {
        let mut parents: Vec<PathBuf> = [
            "/usr/lib/jvm",
            "/usr/lib64/jvm",
            "/usr/java",
            "/opt/java",
            "/opt/jdk",
            "/Library/Java/JavaVirtualMachines",
            "/opt/homebrew/opt",
            "/usr/local/opt",
        ]
        .map(PathBuf::from)
        .to_vec();
        if let Some(home) = std::env::home_dir() {
            let below = [
                ".sdkman/candidates/java",
                ".jdks",
                ".asdf/installs/java",
                "Library/Java/JavaVirtualMachines",
            ];
            parents.extend(below.iter().map(|name| home.join(name)));
        }
        Places {
            java_home: std::env::var_os("JAVA_HOME")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            path: std::env::var_os("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            parents,
            own: own_java_homes(own_directory),
        }
    }

    /// Only what Stoke has installed below its own directory.
    pub fn of_stoke(own_directory: &Path) -> Places {
        Places {
            own: own_java_homes(own_directory),
            ..Places::default()
        }
    }

    /// All Java installations found, in order of preference, each once.
    pub fn find(&self) -> Vec<Java> {
        let mut seen = BTreeSet::new();
        self.candidates()
            .into_iter()
            .filter_map(|home| home.canonicalize().ok())
            .filter(|home| seen.insert(home.clone()))
            .filter_map(|home| Java::at(&home))
            .collect()
    }

    fn candidates(&self) -> Vec<PathBuf> {
        let mut homes: Vec<PathBuf> = self.java_home.iter().cloned().collect();
        let on_path = self
            .path
            .iter()
            .filter_map(|directory| directory.join("java").canonicalize().ok());
        homes.extend(on_path.filter_map(|java| java.parent()?.parent().map(Path::to_owned)));
        homes.extend(self.own.iter().cloned());
        for parent in &self.parents {
            let mut entries: Vec<PathBuf> = std::fs::read_dir(parent)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            entries.sort();
            // macOS bundles and Homebrew keep the home below the entry.
            homes.extend(entries.into_iter().rev().flat_map(|entry| {
                let bundle = entry.join("Contents/Home");
                let homebrew = entry.join("libexec/openjdk.jdk/Contents/Home");
                [entry, bundle, homebrew]
            }));
        }
        homes
    }
}

/// The Java homes below Stoke's own directory, `<runtimes>/java/<version>/…/java-runtime`.
fn own_java_homes(directory: &Path) -> Vec<PathBuf> {
    let versions = std::fs::read_dir(directory).into_iter().flatten().flatten();
    versions
        .filter_map(|entry| {
            std::fs::read_to_string(entry.path().join(OWN_MARKER))
                .ok()
                .map(|home| entry.path().join(home.trim()))
        })
        .collect()
}

/// File in the directory of a Java that Stoke installed: names its home, relative to the file's directory. Written last.
pub(crate) const OWN_MARKER: &str = "java-home";

/// Chooses the Java for a Spark: `preferred` (what an image's tag asks for) if there, else the first found that is neither too old
/// nor newer than that Spark knows, else the first that is not too old. One on which that Spark is known to fail is never chosen.
pub fn choose(found: &[Java], version: &Version, preferred: Option<u32>) -> Result<Java, JavaError> {
    let minimum = version.minimum_java();
    let fails = |java: &Java| version.failing_java().is_some_and(|first| java.major >= first);
    let enough = || {
        let new = found.iter().filter(|java| java.major >= minimum);
        new.filter(|java| !fails(java))
    };
    let chosen = enough()
        .find(|java| Some(java.major) == preferred)
        .or_else(|| enough().find(|java| java.major <= version.maximum_java()))
        .or_else(|| enough().next());
    match chosen {
        Some(java) => Ok(java.clone()),
        None if found.is_empty() => Err(JavaError::Missing {
            version: version.clone(),
            minimum,
        }),
        None => {
            let names: Vec<String> = found
                .iter()
                .map(|java| format!("Java {} ({})", java.version, java.home.display()))
                .collect();
            let (version, names) = (version.clone(), names.join(", "));
            Err(match found.iter().any(fails) {
                true => JavaError::TooNew {
                    minimum,
                    maximum: version.maximum_java(),
                    version,
                    found: names,
                },
                false => JavaError::TooOld {
                    version,
                    minimum,
                    found: names,
                },
            })
        }
    }
}

/// The Java, of those that Stoke installed, with which this Spark starts fastest: one with ahead-of-time caches that this Spark is known to run on.
pub fn fastest(own: &[Java], version: &Version) -> Option<Java> {
    own.iter()
        .find(|java| (Java::AHEAD_OF_TIME..=version.maximum_java()).contains(&java.major))
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, name: &str, release: &str) -> PathBuf {
        let home = root.join(name);
        std::fs::create_dir_all(home.join("bin")).unwrap();
        std::fs::write(home.join("bin/java"), "").unwrap();
        std::fs::write(home.join("release"), release).unwrap();
        home
    }

    #[test]
    fn versions_are_understood() {
        let cases = [
            ("1.8.0_412", Some(8)),
            ("17.0.15", Some(17)),
            ("25-ea", Some(25)),
            ("21", Some(21)),
            ("x", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(major(text), expected, "{text}");
        }
    }

    #[test]
    fn installations_are_found_once_and_in_order() {
        let root = tempfile::tempdir().unwrap();
        let jvm = root.path().join("jvm");
        let old = install(&jvm, "java-8", "JAVA_VERSION=\"1.8.0_412\"\n");
        let new = install(
            &jvm,
            "java-17",
            "JAVA_VERSION=\"17.0.15\"\nJAVA_RUNTIME_VERSION=\"17.0.15+6\"\nMODULES=\"java.base java.se\"\n",
        );
        install(&jvm, "bundle/Contents/Home", "JAVA_VERSION=\"21.0.8\"\n");
        std::fs::create_dir_all(jvm.join("empty")).unwrap();
        let bin = root.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(new.join("bin/java"), bin.join("java")).unwrap();
        let places = Places {
            java_home: Some(old),
            path: vec![bin],
            parents: vec![jvm],
            own: Vec::new(),
        };
        let found = places.find();
        assert_eq!(found.iter().map(|java| java.major).collect::<Vec<_>>(), [8, 17, 21]);
        assert_eq!(found[1].build, "17.0.15+6");
        assert_eq!(found[1].modules, ["java.base", "java.se"]);
    }

    fn java(major: u32) -> Java {
        Java {
            home: format!("/jvm/{major}").into(),
            version: major.to_string(),
            build: String::new(),
            major,
            modules: vec![],
        }
    }

    #[test]
    fn only_a_spark_that_runs_on_it_gets_the_fastest() {
        let fastest = |own: &[u32], spark: &str| {
            let own: Vec<Java> = own.iter().copied().map(java).collect();
            fastest(&own, &spark.parse().unwrap()).map(|java| java.major)
        };
        let cases: [(&[u32], &str, Option<u32>); 7] = [
            (&[21, 25], "4.2.1", Some(25)),
            (&[25], "4.3.0", Some(25)),
            (&[25], "4.1.4", None),
            (&[25], "3.5.9", None),
            (&[21], "4.3.0", None),
            (&[26], "4.3.0", None),
            (&[], "4.3.0", None),
        ];
        for (own, spark, expected) in cases {
            assert_eq!(fastest(own, spark), expected, "{own:?} {spark}");
        }
    }

    #[test]
    fn the_right_one_is_chosen() {
        let choose = |have: &[u32], spark: &str, preferred| {
            let found: Vec<Java> = have.iter().copied().map(java).collect();
            choose(&found, &spark.parse().unwrap(), preferred)
                .map(|java| java.major)
                .map_err(|error| error.code())
        };
        assert_eq!(choose(&[8, 17, 21], "3.5.9", None), Ok(8));
        assert_eq!(choose(&[8, 17, 21], "4.1.4", None), Ok(17));
        assert_eq!(choose(&[8, 17, 21], "4.1.4", Some(21)), Ok(21));
        assert_eq!(choose(&[17], "4.1.4", Some(21)), Ok(17));
        assert_eq!(choose(&[25, 17], "4.1.4", None), Ok(17));
        assert_eq!(choose(&[25, 17], "4.1.4", Some(25)), Ok(17));
        for spark in ["3.5.9", "4.0.2", "4.1.4"] {
            assert_eq!(choose(&[25], spark, Some(25)), Err("stoke::java::too-new"), "{spark}");
        }
        assert_eq!(choose(&[8, 25], "4.1.4", None), Err("stoke::java::too-new"));
        assert_eq!(choose(&[25], "4.2.0", None), Ok(25));
        assert_eq!(choose(&[26], "4.3.0", None), Ok(26));
        let lone = super::choose(&[java(25)], &"4.1.4".parse().unwrap(), None);
        let message = lone.unwrap_err().to_string();
        assert!(
            message.starts_with("Spark 4.1.4 runs on Java 17 to 21; found only Java 25 (/jvm/25)"),
            "{message}"
        );
        assert!(message.contains("stoke runtime install-java"), "{message}");
        assert_eq!(choose(&[8, 11], "4.1.4", None), Err("stoke::java::too-old"));
        assert_eq!(choose(&[], "4.1.4", None), Err("stoke::java::missing"));
    }
}
