//! The lock of a program: every file it is made of, with size and SHA-256. Made by `scripts/record-programs`.

use std::fmt;

/// What a program is made of, on one kind of machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lock {
    /// Files of Maven.
    pub artifacts: Vec<Artifact>,
    /// The oldest Python for [`Lock::packages`].
    pub python: Option<(u32, u32)>,
    /// Packages of the Python package index.
    pub packages: Vec<Package>,
}

/// A file of Maven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Artifact {
    pub group: String,
    pub artifact: String,
    pub version: String,
    /// The file's type: `jar`, `tar.gz`.
    pub kind: String,
    pub classifier: Option<String>,
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// A package of the Python package index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Package {
    pub name: String,
    pub version: String,
    /// Bytes of its largest wheel.
    pub bytes: u64,
    /// SHA-256 of its wheels, in hexadecimal.
    pub sha256: Vec<String>,
    /// When it is needed, as pip writes it (`python_full_version < '3.11'`); empty for always.
    pub marker: String,
}

impl Artifact {
    /// Its file name: `kafka_2.13-4.1.2.jar`.
    pub fn file(&self) -> String {
        let classifier = self
            .classifier
            .as_ref()
            .map(|name| format!("-{name}"))
            .unwrap_or_default();
        format!("{}-{}{classifier}.{}", self.artifact, self.version, self.kind)
    }

    /// Its path in a repository of Maven's layout.
    pub fn path(&self) -> String {
        let group = self.group.replace('.', "/");
        format!("{group}/{}/{}/{}", self.artifact, self.version, self.file())
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.group, self.artifact, self.version)
    }
}

impl Lock {
    /// Reads a lock for a kind of machine (`x86_64`).
    ///
    /// Errors: a line that is none of a lock's, with its number; nothing for this machine.
    pub fn read(text: &str, machine: &str) -> Result<Lock, String> {
        let mut lock = Lock::default();
        let mut elsewhere = false;
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || format!("line {} of its lock cannot be read: {line}", number + 1);
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                ["maven", coordinates, on, bytes, sha256] => {
                    let artifact = artifact(coordinates, bytes, sha256).ok_or_else(wrong)?;
                    match on == "-" || on == machine {
                        true => lock.artifacts.push(artifact),
                        false => elsewhere = true,
                    }
                }
                ["python", oldest] => lock.python = Some(python(oldest).ok_or_else(wrong)?),
                ["pypi", name, version, bytes, sha256, marker] => lock.packages.push(Package {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    bytes: bytes.parse().map_err(|_| wrong())?,
                    sha256: sha256.split(',').map(str::to_owned).collect(),
                    marker: marker.to_owned(),
                }),
                _ => return Err(wrong()),
            }
        }
        if elsewhere && lock.artifacts.is_empty() {
            return Err(format!("there are no files of it for {machine}"));
        }
        Ok(lock)
    }

    /// Bytes to download, about: which wheel a Python takes is not known before.
    pub fn download(&self) -> u64 {
        let artifacts: u64 = self.artifacts.iter().map(|artifact| artifact.bytes).sum();
        artifacts + self.packages.iter().map(|package| package.bytes).sum::<u64>()
    }
}

fn artifact(coordinates: &str, bytes: &str, sha256: &str) -> Option<Artifact> {
    let mut words = coordinates.split(':').map(str::to_owned);
    let (group, artifact, version) = (words.next()?, words.next()?, words.next()?);
    let whole = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then_some(Artifact {
        group,
        artifact,
        version,
        kind: words.next().unwrap_or_else(|| "jar".into()),
        classifier: words.next(),
        bytes: bytes.parse().ok()?,
        sha256: sha256.to_owned(),
    })
}

fn python(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "bcbd5e18690cf79d438e97210ad06fb8d451a251bb77becc2b0418868d2acd73";

    #[test]
    fn a_lock_is_read_for_one_machine() {
        let text = format!(
            "# comment\nmaven\torg.acme:one:1\t-\t7\t{DIGEST}\nmaven\torg.acme:two:2:tar.gz:bin\taarch64\t9\t{DIGEST}\npython\t3.11\n\
             pypi\tmlflow\t3.0\t11\t{DIGEST},{DIGEST}\tpython_full_version < '3.12'\n"
        );
        let lock = Lock::read(&text, "aarch64").unwrap();
        let paths: Vec<String> = lock.artifacts.iter().map(Artifact::path).collect();
        assert_eq!(paths, ["org/acme/one/1/one-1.jar", "org/acme/two/2/two-2-bin.tar.gz"]);
        assert_eq!((lock.download(), lock.python), (27, Some((3, 11))));
        assert_eq!(
            (lock.packages[0].sha256.len(), lock.packages[0].marker.as_str()),
            (2, "python_full_version < '3.12'")
        );
        assert_eq!(Lock::read(&text, "x86_64").unwrap().artifacts.len(), 1);
    }

    #[test]
    fn what_is_no_lock_is_told_with_its_line() {
        let table = [
            ("maven\tone\t-\t7\tabc", "line 1"),
            ("\nmaven\ta:b:c\t-\t7\tabc", "line 2"),
            ("pypi\ta\t1\tmany\tabc\t", "line 1"),
            ("python\t3", "line 1"),
            ("npm\ta", "line 1"),
        ];
        for (text, expected) in table {
            let error = Lock::read(text, "x86_64").unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let elsewhere = format!("maven\ta:b:c\taarch64\t7\t{DIGEST}");
        assert!(
            Lock::read(&elsewhere, "x86_64")
                .unwrap_err()
                .contains("no files of it for x86_64")
        );
    }
}
