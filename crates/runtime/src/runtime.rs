//! The catalogue of local Sparks: what is installed under the home, and what else this machine has.

use std::path::{Path, PathBuf};

use crate::error::{Corruption, ImageError, InstallError};
use crate::image::{EVENT_LOGS, Image, Mount, PACKAGES, Preparation, QUALITY, Recording};
use crate::install::{self, Progress, record::Record};
use crate::java::{self, Java, Places};
use crate::known;
use crate::launch::Launch;
use crate::mapping::{Mapping, Rule};
use crate::programs::{Program, ProgramImage, Programs};
use crate::reference::{Meaning, Reference};
use crate::version::Version;

/// A local Spark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    pub version: Version,
    /// Its `SPARK_HOME`: the directory with `jars` and `bin`.
    pub spark_home: PathBuf,
    /// The Python environment it is installed in, if it is; else PySpark uses the machine's `python3`.
    pub python: Option<Python>,
    /// Where it comes from.
    pub origin: Origin,
}

/// A Python virtual environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Python {
    /// The environment's directory, with `bin/python3`.
    pub environment: PathBuf,
    /// The directory of the Python it was made from, which it needs to run.
    pub base: PathBuf,
    /// The directory of its packages, below `environment`.
    pub packages: PathBuf,
}

impl Python {
    /// The virtual environment that a `SPARK_HOME` is a package of: `<environment>/lib/python3.x/site-packages/pyspark`.
    fn around(spark_home: &Path) -> Option<Python> {
        let packages = spark_home.parent()?;
        let environment = packages.parent()?.parent()?.parent()?;
        let settings = std::fs::read_to_string(environment.join("pyvenv.cfg")).ok()?;
        // `home` is the directory of the programs of the Python it was made from.
        let home = settings
            .lines()
            .find_map(|line| line.split_once('=').filter(|(key, _)| key.trim() == "home"))?
            .1
            .trim();
        let base = Path::new(home).canonicalize().ok()?.parent()?.to_owned();
        Some(Python {
            environment: environment.to_owned(),
            base,
            packages: packages.to_owned(),
        })
    }
}

/// Where a runtime comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Installed by Stoke under its home.
    Installed,
    /// The user's own, named by `STOKE_SPARK_HOME` or `SPARK_HOME`.
    Environment,
    /// The user's own, named by a rule of the mapping file.
    Mapped,
}

/// All runtimes of one Stoke home.
#[derive(Debug, Clone)]
pub struct Runtimes {
    home: PathBuf,
    program: Option<PathBuf>,
    own_sparks: Vec<PathBuf>,
    packages: Option<PathBuf>,
    event_logs: Option<PathBuf>,
    quality: Option<PathBuf>,
    records: bool,
}

impl Runtimes {
    /// The runtimes below `home` (the Stoke home). Nothing is created or read yet.
    ///
    /// An existing Spark named by `STOKE_SPARK_HOME` or `SPARK_HOME` counts as a runtime of its version.
    pub fn new(home: impl Into<PathBuf>) -> Runtimes {
        let named = ["STOKE_SPARK_HOME", "SPARK_HOME"]
            .into_iter()
            .filter_map(std::env::var_os);
        let own_sparks = named.filter(|value| !value.is_empty()).map(PathBuf::from).collect();
        Runtimes {
            home: home.into(),
            program: None,
            own_sparks,
            packages: None,
            event_logs: None,
            quality: None,
            records: false,
        }
    }

    /// Has every driver and executor record its run for the ahead-of-time caches of its image ([`Recording`]), on the Java that they are for.
    pub fn recording(self) -> Runtimes {
        Runtimes { records: true, ..self }
    }

    /// Uses another program than the running one as the containers' entrypoint (tests, where the running program is the test).
    pub fn with_program(self, program: impl Into<PathBuf>) -> Runtimes {
        Runtimes {
            program: Some(program.into()),
            ..self
        }
    }

    /// Gives every container this directory, writable, at [`crate::PACKAGES`]: what `spark.jars.packages` brought once is there the next
    /// time. The directory must exist when a container starts.
    pub fn with_packages(self, directory: impl Into<PathBuf>) -> Runtimes {
        Runtimes {
            packages: Some(directory.into()),
            ..self
        }
    }

    /// Gives every container this directory, writable, at [`crate::EVENT_LOGS`]: event logs that outlive their pods. It must exist when a
    /// container starts.
    pub fn with_event_logs(self, directory: impl Into<PathBuf>) -> Runtimes {
        Runtimes {
            event_logs: Some(directory.into()),
            ..self
        }
    }

    /// Gives every container this directory, writable, at [`crate::QUALITY`]: what steps found of data outlives their pods. It must exist when
    /// a container starts.
    pub fn with_quality(self, directory: impl Into<PathBuf>) -> Runtimes {
        Runtimes {
            quality: Some(directory.into()),
            ..self
        }
    }

    /// Uses these existing Sparks instead of those the environment names.
    pub fn with_own_sparks(self, homes: Vec<PathBuf>) -> Runtimes {
        Runtimes {
            own_sparks: homes,
            ..self
        }
    }

    /// The user's mapping file.
    pub fn mapping_file(&self) -> PathBuf {
        self.home.join("images.yaml")
    }

    /// The directory of everything this room keeps.
    pub fn directory(&self) -> PathBuf {
        self.home.join("runtimes")
    }

    /// The programs that images of platform components mean.
    pub fn programs(&self) -> Programs {
        Programs::new(self.directory(), self.program.clone())
    }

    /// The program that an image means; none for an image of Spark, for one of neither, and where the user's file says what it means.
    ///
    /// # Errors
    /// A wrong mapping file, and a component of which the catalogue has another version.
    pub fn program_of(&self, image: &str) -> Result<Option<&'static Program>, ImageError> {
        match Mapping::load(&self.mapping_file())?.find(image) {
            Some(_) => Ok(None),
            None => Ok(Programs::of(image)?),
        }
    }

    /// The image of this very program, `stoke:VERSION`; none for another name or version, and where the user's file says what it means.
    ///
    /// # Errors
    /// A wrong mapping file, and when this program's own file cannot be found.
    pub fn own_image(&self, image: &str) -> Result<Option<ProgramImage>, ImageError> {
        match Mapping::load(&self.mapping_file())?.find(image) {
            Some(_) => Ok(None),
            None => Ok(self.programs().own(image)?),
        }
    }

    /// What an image name means on this machine: the Spark version, or a rule of the user's.
    ///
    /// Errors: not an image name, a wrong mapping file, a name that maps to nothing (the message says how to map it).
    pub fn version_of(&self, image: &str) -> Result<Version, ImageError> {
        match self.target(image)?.0 {
            Target::Version(version) => Ok(version),
            Target::Home(home) => spark_version(&home),
        }
    }

    /// Turns an image name into a container image that can be run now.
    ///
    /// Takes a few milliseconds, except the first time a Spark meets a Java: then that Spark's launcher is asked once (0.3 s).
    /// Errors: [`ImageError::NotInstalled`] when [`Runtimes::install`] is all that is missing; a damaged runtime; no Java; and
    /// those of [`Runtimes::version_of`].
    pub fn resolve(&self, image: &str) -> Result<Image, ImageError> {
        let (target, reference, rule) = self.target(image)?;
        let runtime = match target {
            Target::Home(home) => own(&home, Origin::Mapped)?,
            Target::Version(version) => self.find(&version)?.ok_or(ImageError::NotInstalled(version))?,
        };
        let preferred = rule.as_ref().and_then(|rule| rule.java).or(reference.java());
        let (java, launch) = self.launch(&runtime, preferred)?;
        let mut image = Image::new(image, runtime, java, &launch, rule.as_ref());
        if self.records {
            image.record(&launch);
        }
        let shared = [
            (&self.packages, PACKAGES),
            (&self.event_logs, EVENT_LOGS),
            (&self.quality, QUALITY),
        ];
        image
            .mounts
            .extend(shared.into_iter().filter_map(|(directory, target)| {
                directory.as_ref().map(|directory| Mount {
                    host: directory.clone(),
                    target: target.into(),
                    read_only: false,
                })
            }));
        Ok(image)
    }

    /// The Java for a runtime, and how it is launched there: the fastest one once its ahead-of-time caches are there, unless another is preferred.
    fn launch(&self, runtime: &Runtime, preferred: Option<u32>) -> Result<(Java, Launch), ImageError> {
        let open = |java: Java| {
            let launch = Launch::open(&self.directory(), runtime, &java, self.program.as_deref())?;
            Ok((java, launch))
        };
        if let Some(java) = self.fastest(&runtime.version, preferred) {
            let (java, launch) = open(java)?;
            if self.records || launch.is_ready() {
                return Ok((java, launch));
            }
        }
        open(self.java(&runtime.version, preferred)?)
    }

    /// The Java of Stoke's own that starts this Spark fastest, unless the image is to have another.
    fn fastest(&self, version: &Version, preferred: Option<u32>) -> Option<Java> {
        let own = Places::of_stoke(&self.directory().join("java")).find();
        java::fastest(&own, version).filter(|java| preferred.is_none_or(|preferred| preferred == java.major))
    }

    /// What is to be recorded before ahead-of-time caches for this image can be made, if anything. See [`Recording`].
    ///
    /// Errors: those of [`Runtimes::resolve`].
    pub fn recording_of(&self, image: &str) -> Result<Option<Recording>, ImageError> {
        let recorder = self.clone().recording();
        let recorded = recorder.resolve(image)?;
        Ok(recorded.recording())
    }

    /// The Java that runs a Spark of this version; `preferred` is the feature release an image's tag asks for.
    pub fn java(&self, version: &Version, preferred: Option<u32>) -> Result<Java, ImageError> {
        let found = Places::of_this_machine(&self.directory().join("java")).find();
        Ok(java::choose(&found, version, preferred)?)
    }

    /// The runtime of a version, if this machine has one: the user's own Spark of exactly that version first, then the installed one.
    ///
    /// Errors: the installed one is damaged.
    pub fn find(&self, version: &Version) -> Result<Option<Runtime>, ImageError> {
        if let Some(own) = self.own().into_iter().find(|runtime| runtime.version == *version) {
            return Ok(Some(own));
        }
        let Some(record) = Record::read(&self.directory().join(version.to_string())) else {
            return Ok(None);
        };
        record.verify_sizes()?;
        Ok(Some(record.runtime()))
    }

    /// All runtimes of this machine, by version. A damaged one is in the list: ask [`Runtimes::verify`].
    pub fn list(&self) -> Vec<Runtime> {
        let entries = std::fs::read_dir(self.directory()).into_iter().flatten().flatten();
        let installed = entries
            .filter_map(|entry| Record::read(&entry.path()))
            .map(|record| record.runtime());
        let mut all: Vec<Runtime> = installed.chain(self.own()).collect();
        all.sort_by(|a, b| a.version.cmp(&b.version));
        all
    }

    /// Checks an installed runtime against what was installed: file sizes (milliseconds), or with `deep` every SHA-256 (a second).
    pub fn verify(&self, version: &Version, deep: bool) -> Result<(), Corruption> {
        match Record::read(&self.directory().join(version.to_string())) {
            Some(record) if deep => record.verify_digests(),
            Some(record) => record.verify_sizes(),
            None => Ok(()),
        }
    }

    /// Installs Spark of a version from the Python package index into the home; finds it done when it is.
    ///
    /// `force` installs again even if it is there. See [`install::spark`] for what is guaranteed.
    pub fn install(
        &self,
        version: &Version,
        force: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Runtime, InstallError> {
        install::spark(&self.directory(), version, force, progress).map(|record| record.runtime())
    }

    /// Installs a private Java of a feature release ([`install::JAVAS`]) from the Python package index into the home; finds it done when it is.
    /// About 35 MB.
    pub fn install_java(
        &self,
        java: &install::PrivateJava,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, InstallError> {
        install::java(&self.directory(), java, progress)
    }

    /// The Java that containers with a runtime get when their image asks for none, and whether everything is there that makes it start fast.
    pub fn java_of(&self, runtime: &Runtime) -> Result<(Java, bool), ImageError> {
        let (java, launch) = self.launch(runtime, None)?;
        let ready = launch.is_ready();
        Ok((java, ready))
    }

    /// Removes an installed runtime and what was prepared for it. True when there was something to remove.
    pub fn remove(&self, version: &Version) -> Result<bool, InstallError> {
        install::remove(&self.directory(), version)
    }

    /// What is still to be done so that containers of this image start fast, if anything: run it in a sandbox, at low priority, at any
    /// time after [`Runtimes::resolve`]; containers started meanwhile just start slower.
    ///
    /// Ahead-of-time caches need a recorded run first ([`Runtimes::recording_of`]); the image is then the one that recorded.
    pub fn prepare(&self, image: &Image) -> Option<Preparation> {
        Preparation::of(image)
    }

    fn own(&self) -> Vec<Runtime> {
        self.own_sparks
            .iter()
            .filter_map(|home| own(home, Origin::Environment).ok())
            .collect()
    }

    fn target(&self, image: &str) -> Result<(Target, Reference, Option<Rule>), ImageError> {
        let mapping = Mapping::load(&self.mapping_file())?;
        let reference = Reference::parse(image)?;
        if let Some(rule) = mapping.find(image) {
            let by_home = rule.home.clone().map(Target::Home);
            if let Some(target) = by_home.or_else(|| rule.spark.clone().map(Target::Version)) {
                return Ok((target, reference, Some(rule.clone())));
            }
        }
        let unmapped = |reason| ImageError::Unmapped {
            image: image.to_owned(),
            reason,
            mapping: self.mapping_file(),
        };
        match reference.meaning(&known::versions()) {
            Meaning::Version(version) => Ok((Target::Version(version), reference, None)),
            Meaning::DigestOnly => Err(unmapped("a digest alone does not say which version of Spark is inside")),
            Meaning::Unknown => Err(unmapped(
                "only images named spark, spark-py, pyspark or spark-r with a Spark version as tag are understood without a mapping",
            )),
        }
    }
}

enum Target {
    Version(Version),
    Home(PathBuf),
}

/// The user's own Spark in a directory.
fn own(home: &Path, origin: Origin) -> Result<Runtime, ImageError> {
    let not_there = |error: std::io::Error| ImageError::NotASpark {
        home: home.to_owned(),
        reason: error.to_string(),
    };
    let spark_home = home.canonicalize().map_err(not_there)?;
    Ok(Runtime {
        version: spark_version(&spark_home)?,
        python: Python::around(&spark_home),
        spark_home,
        origin,
    })
}

/// The version of the Spark in a directory: that of its `spark-core` jar.
pub fn spark_version(home: &Path) -> Result<Version, ImageError> {
    let not_a_spark = |reason: String| ImageError::NotASpark {
        home: home.to_owned(),
        reason,
    };
    let jars =
        std::fs::read_dir(home.join("jars")).map_err(|error| not_a_spark(format!("its directory jars: {error}")))?;
    let version = |name: &str| {
        name.strip_prefix("spark-core_")?
            .strip_suffix(".jar")?
            .split_once('-')?
            .1
            .parse::<Version>()
            .ok()
    };
    jars.flatten()
        .find_map(|entry| version(&entry.file_name().to_string_lossy()))
        .ok_or_else(|| not_a_spark("jars/spark-core_<scala>-<version>.jar is missing".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hand-made Spark, installed as a package of a virtual environment.
    fn spark(root: &Path, version: &str) -> PathBuf {
        let home = root.join("venv/lib/python3.11/site-packages/pyspark");
        std::fs::create_dir_all(home.join("jars")).unwrap();
        std::fs::write(home.join(format!("jars/spark-core_2.13-{version}.jar")), "").unwrap();
        std::fs::create_dir_all(root.join("base/bin")).unwrap();
        std::fs::write(
            root.join("venv/pyvenv.cfg"),
            format!(
                "home = {}\ninclude-system-site-packages = false\n",
                root.join("base/bin").display()
            ),
        )
        .unwrap();
        home
    }

    fn code<T>(result: Result<T, ImageError>) -> &'static str {
        result.err().map_or("none", |error| error.code())
    }

    #[test]
    fn the_users_own_spark_serves_exactly_its_version() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let home = spark(&root, "4.1.4");
        let runtimes = Runtimes::new(root.join("home")).with_own_sparks(vec![home.clone(), root.join("nothing")]);
        let found = runtimes.find(&"4.1.4".parse().unwrap()).unwrap().unwrap();
        assert_eq!((found.spark_home.clone(), found.origin), (home, Origin::Environment));
        assert_eq!(found.python.as_ref().unwrap().base, root.join("base"));
        assert_eq!(runtimes.list(), [found]);
        assert_eq!(code(runtimes.resolve("spark:4.1.3")), "stoke::runtime::not-installed");
        assert!(
            matches!(runtimes.resolve("spark:4.1.3"), Err(ImageError::NotInstalled(version)) if version.to_string() == "4.1.3")
        );
    }

    #[test]
    fn names_are_mapped_by_the_users_file_first() {
        let root = tempfile::tempdir().unwrap();
        let runtimes = Runtimes::new(root.path()).with_own_sparks(vec![]);
        let version = |image: &str| runtimes.version_of(image).map(|version| version.to_string());
        assert_eq!(version("apache/spark:4.1.4").unwrap(), "4.1.4");
        let error = version("acme/etl:7").unwrap_err();
        assert_eq!(error.code(), "stoke::image::unmapped");
        let advice = format!(
            "add to {}:\n  images:\n    - image: \"acme/etl:7\"\n",
            root.path().join("images.yaml").display()
        );
        assert!(error.to_string().contains(&advice), "{error}");

        let home = spark(root.path(), "3.5.9");
        let rules = format!(
            "images:\n  - {{ image: \"acme/*\", spark: \"4.0.5\" }}\n  - {{ image: \"apache/spark:4.1.4\", home: {} }}\n",
            home.display()
        );
        std::fs::write(runtimes.mapping_file(), rules).unwrap();
        assert_eq!(version("acme/etl:7").unwrap(), "4.0.5");
        assert_eq!(version("apache/spark:4.1.4").unwrap(), "3.5.9");
        std::fs::write(runtimes.mapping_file(), "images: 7\n").unwrap();
        assert_eq!(code(runtimes.resolve("apache/spark:4.1.4")), "stoke::image::mapping");
    }

    #[test]
    fn a_directory_that_is_no_spark_is_named() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(code(spark_version(root.path())), "stoke::runtime::not-a-spark");
        std::fs::create_dir(root.path().join("jars")).unwrap();
        let error = spark_version(root.path()).unwrap_err().to_string();
        assert!(
            error.contains("jars/spark-core_<scala>-<version>.jar is missing"),
            "{error}"
        );
    }
}
