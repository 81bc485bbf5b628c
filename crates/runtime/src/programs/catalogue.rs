//! The catalogue: which images mean which program, and what such an image has that manifests count on.

use super::ProgramError;
use super::lock::Lock;
use crate::error::InstallError;
use crate::reference::Reference;

/// A program that stands for an image.
#[derive(Debug)]
pub struct Program {
    /// Its name in commands, paths and locks.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    pub version: &'static str,
    /// The oldest and the newest Java it runs on; none for one that needs none.
    pub java: Option<(u32, u32)>,
    /// Repositories of its images, without the registry, the best known first.
    repositories: &'static [&'static str],
    /// Whether every tag means it. Else the tag names the version, or begins it (`15` of 15.19), and may go on after a dash.
    any_tag: bool,
    /// An image that means it, as people write it.
    image: &'static str,
    /// What it is made of.
    lock: &'static str,
    /// The image's programs, found in the PATH; and the directory in which the image has them, where manifests name it.
    pub(super) commands: &'static [&'static str],
    pub(super) command_directory: Option<&'static str>,
    /// The image's arguments when a container names none.
    pub(super) arguments: &'static [&'static str],
    /// The image's user and group.
    pub(super) user: (u32, u32),
    /// The home of that user.
    pub(super) home: &'static str,
    pub(super) working_directory: &'static str,
    /// Where the image lets its user write.
    pub(super) writable: &'static [&'static str],
    /// The image's environment.
    pub(super) environment: &'static [(&'static str, &'static str)],
}

const POSTGRESQL: Program = Program {
    name: "postgresql",
    title: "PostgreSQL",
    version: "15.19",
    java: None,
    repositories: &["library/postgres", "postgres"],
    any_tag: false,
    image: "postgres:15",
    lock: include_str!("../../data/programs/postgresql.lock"),
    commands: &[
        "postgres",
        "initdb",
        "psql",
        "pg_isready",
        "pg_dump",
        "pg_dumpall",
        "pg_restore",
        "createdb",
        "dropdb",
    ],
    command_directory: None,
    arguments: &["postgres"],
    user: (999, 999),
    home: "/var/lib/postgresql",
    working_directory: "/",
    writable: &["/var/lib/postgresql", "/var/lib/postgresql/data", "/var/run/postgresql"],
    environment: &[("PGDATA", "/var/lib/postgresql/data"), ("LANG", "C.UTF-8")],
};

const HIVE_METASTORE: Program = Program {
    name: "hive-metastore",
    title: "Hive Metastore",
    version: "3.1.3",
    // Its Hadoop fails on Java 24 and newer (JEP 486).
    java: Some((17, 23)),
    repositories: &["apache/hive"],
    any_tag: false,
    image: "apache/hive:3.1.3",
    lock: include_str!("../../data/programs/hive-metastore.lock"),
    commands: &["schematool", "hive"],
    command_directory: Some("/opt/hive/bin"),
    arguments: &[],
    user: (1000, 1000),
    home: "/home/hive",
    working_directory: "/opt/hive",
    writable: &["/opt/hive/data/warehouse", "/home/hive"],
    environment: &[("HIVE_HOME", "/opt/hive"), ("HIVE_VER", "3.1.3"), ("LANG", "C.UTF-8")],
};

const JUPYTERLAB: Program = Program {
    name: "jupyterlab",
    title: "JupyterLab",
    version: "4.6.6",
    java: None,
    repositories: &[
        "jupyter/pyspark-notebook",
        "jupyter/base-notebook",
        "jupyter/minimal-notebook",
        "jupyter/scipy-notebook",
        "jupyter/datascience-notebook",
        "jupyter/all-spark-notebook",
    ],
    // Their tags name days, Pythons and Sparks, never the version of JupyterLab.
    any_tag: true,
    image: "quay.io/jupyter/pyspark-notebook:latest",
    lock: include_str!("../../data/programs/jupyterlab.lock"),
    commands: &[
        "start-notebook.py",
        "start-notebook.sh",
        "start-singleuser.py",
        "start.sh",
        "jupyter",
        "jupyter-lab",
    ],
    command_directory: None,
    arguments: &["start-notebook.py"],
    user: (1000, 100),
    home: "/home/jovyan",
    working_directory: "/home/jovyan",
    writable: &["/home/jovyan"],
    environment: &[("NB_USER", "jovyan"), ("JUPYTER_PORT", "8888"), ("LANG", "C.UTF-8")],
};

const MLFLOW: Program = Program {
    name: "mlflow",
    title: "MLflow",
    version: "3.17.2",
    java: None,
    repositories: &["mlflow/mlflow"],
    any_tag: false,
    image: "ghcr.io/mlflow/mlflow:v3.17.2",
    lock: include_str!("../../data/programs/mlflow.lock"),
    commands: &["mlflow"],
    command_directory: None,
    arguments: &["python3"],
    user: (0, 0),
    home: "/root",
    working_directory: "/",
    writable: &["/root", "/mlflow"],
    environment: &[("LANG", "C.UTF-8")],
};

const NESSIE: Program = Program {
    name: "nessie",
    title: "Nessie",
    version: "0.99.0",
    java: Some((21, 25)),
    repositories: &["projectnessie/nessie"],
    any_tag: false,
    image: "ghcr.io/projectnessie/nessie:0.99.0",
    lock: include_str!("../../data/programs/nessie.lock"),
    commands: &[],
    command_directory: None,
    arguments: &[],
    user: (10_000, 10_001),
    home: "/home/default",
    working_directory: "/deployments",
    writable: &["/home/default"],
    environment: &[("LANG", "C.UTF-8")],
};

const KAFKA: Program = Program {
    name: "kafka",
    title: "Apache Kafka",
    version: "4.1.2",
    java: Some((17, 25)),
    repositories: &["apache/kafka"],
    any_tag: false,
    image: "apache/kafka:4.1.2",
    lock: include_str!("../../data/programs/kafka.lock"),
    commands: &[
        "kafka-topics.sh",
        "kafka-console-producer.sh",
        "kafka-console-consumer.sh",
        "kafka-consumer-groups.sh",
        "kafka-configs.sh",
        "kafka-storage.sh",
        "kafka-metadata-quorum.sh",
        "kafka-broker-api-versions.sh",
        "kafka-server-start.sh",
    ],
    command_directory: Some("/opt/kafka/bin"),
    arguments: &["/etc/kafka/docker/run"],
    user: (1000, 1000),
    home: "/home/appuser",
    working_directory: "/",
    writable: &[
        "/var/lib/kafka/data",
        "/opt/kafka/config",
        "/opt/kafka/logs",
        "/home/appuser",
    ],
    environment: &[("LANG", "C.UTF-8")],
};

const AIRFLOW: Program = Program {
    name: "airflow",
    title: "Apache Airflow",
    version: "3.3.2",
    java: None,
    repositories: &["apache/airflow"],
    any_tag: false,
    image: "apache/airflow:3.3.2",
    lock: include_str!("../../data/programs/airflow.lock"),
    commands: &["airflow"],
    command_directory: None,
    arguments: &[],
    user: (50_000, 0),
    home: "/home/airflow",
    working_directory: "/opt/airflow",
    writable: &["/opt/airflow", "/home/airflow"],
    environment: &[("AIRFLOW_HOME", "/opt/airflow"), ("LANG", "C.UTF-8")],
};

/// Every program, in the order in which a platform is usually put up; the version that is used unless another is named comes before the earlier one, from which an upgrade starts
/// and to which a rollback goes back. Of Nessie there is one: Maven Central has the whole program of no other version.
pub static PROGRAMS: [Program; 12] = [
    POSTGRESQL,
    Program {
        version: "15.15",
        image: "postgres:15.15",
        lock: include_str!("../../data/programs/postgresql-15.15.0.lock"),
        ..POSTGRESQL
    },
    HIVE_METASTORE,
    Program {
        version: "3.1.2",
        image: "apache/hive:3.1.2",
        lock: include_str!("../../data/programs/hive-metastore-3.1.2.lock"),
        environment: &[("HIVE_HOME", "/opt/hive"), ("HIVE_VER", "3.1.2"), ("LANG", "C.UTF-8")],
        ..HIVE_METASTORE
    },
    JUPYTERLAB,
    MLFLOW,
    Program {
        version: "3.17.1",
        image: "ghcr.io/mlflow/mlflow:v3.17.1",
        lock: include_str!("../../data/programs/mlflow-3.17.1.lock"),
        ..MLFLOW
    },
    NESSIE,
    KAFKA,
    Program {
        version: "4.1.1",
        image: "apache/kafka:4.1.1",
        lock: include_str!("../../data/programs/kafka-4.1.1.lock"),
        ..KAFKA
    },
    AIRFLOW,
    Program {
        version: "3.3.1",
        image: "apache/airflow:3.3.1",
        lock: include_str!("../../data/programs/airflow-3.3.1.lock"),
        ..AIRFLOW
    },
];

impl Program {
    /// An image that means it: `apache/kafka:4.1.2`.
    pub fn image(&self) -> &'static str {
        self.image
    }

    /// What it is made of, on this kind of machine.
    ///
    /// # Errors
    /// When there is nothing for this kind of machine.
    pub(super) fn lock(&self) -> Result<Lock, InstallError> {
        Lock::read(self.lock, std::env::consts::ARCH).map_err(|reason| InstallError::NotForThisMachine {
            what: self.full_name(),
            reason,
        })
    }

    /// The text of its lock, which identifies what is installed.
    pub(super) fn lock_text(&self) -> &'static str {
        self.lock
    }

    /// Bytes to download before its first use, about; none where it does not run on this kind of machine.
    pub fn download(&self) -> Option<u64> {
        self.lock().ok().map(|lock| lock.download())
    }

    /// `Apache Kafka 4.1.2`.
    pub fn full_name(&self) -> String {
        format!("{} {}", self.title, self.version)
    }

    /// Its directory among programs, `kafka-4.1.2`: a name of this version alone.
    pub(super) fn directory_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// As commands take it: its name, with the version where that is not the usual one.
    pub fn call_name(&self) -> String {
        let usual = PROGRAMS.iter().find(|program| program.name == self.name);
        match usual.is_some_and(|usual| usual.version == self.version) {
            true => self.name.to_owned(),
            false => self.directory_name(),
        }
    }

    fn is_tagged(&self, tag: &str) -> bool {
        let first = tag.split('-').next().unwrap_or(tag);
        let version = first.strip_prefix('v').unwrap_or(first);
        let rest = self.version.strip_prefix(version);
        !version.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// The program that an image means, if it is a component's.
pub(super) fn of(image: &str, reference: &Reference) -> Result<Option<&'static Program>, ProgramError> {
    let (_, path) = reference.address();
    let mut known = PROGRAMS
        .iter()
        .filter(|program| program.repositories.contains(&path.as_str()))
        .peekable();
    let Some(program) = known.peek().copied() else {
        return Ok(None);
    };
    let mut there = Vec::new();
    for program in known {
        let tagged = reference.tag.as_deref().is_some_and(|tag| program.is_tagged(tag));
        if program.any_tag || tagged {
            return Ok(Some(program));
        }
        there.push(program.version);
    }
    Err(ProgramError::Version {
        image: image.to_owned(),
        title: program.title,
        there: there.join(" and "),
        instead: program.image,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_mean_programs_by_repository_and_version() {
        let table = [
            ("postgres:15", Some("postgresql")),
            ("postgres:15.15", Some("postgresql")),
            ("postgres:15.19-trixie", Some("postgresql")),
            ("postgres:15-alpine", Some("postgresql")),
            ("docker.io/library/postgres:15.15-bookworm", Some("postgresql")),
            ("mirror.example.com/library/postgres:15", Some("postgresql")),
            ("apache/hive:3.1.3", Some("hive-metastore")),
            ("quay.io/jupyter/pyspark-notebook:spark-4.1.3", Some("jupyterlab")),
            ("jupyter/base-notebook", Some("jupyterlab")),
            ("ghcr.io/mlflow/mlflow:v3.17.2", Some("mlflow")),
            ("ghcr.io/projectnessie/nessie:0.99.0", Some("nessie")),
            ("apache/kafka:4.1.2", Some("kafka")),
            ("apache/airflow:3.3.2-python3.12", Some("airflow")),
            // Not a component's: the next who is asked may know it.
            ("acme/postgres:15", None),
            ("apache/spark:4.1.4", None),
            ("apache/hive-metastore:3.1.3", None),
        ];
        for (image, expected) in table {
            let reference = Reference::parse(image).unwrap();
            let name = of(image, &reference).unwrap().map(|program| program.name);
            assert_eq!(name, expected, "{image}");
        }
    }

    #[test]
    fn another_version_is_an_error_that_names_the_one_there_is() {
        let table = [
            ("postgres:16", "postgres:15"),
            ("postgres:1", "postgres:15"),
            ("postgres:15.1", "postgres:15"),
            ("postgres", "postgres:15"),
            ("postgres:latest", "postgres:15"),
            ("apache/hive:4.0.1", "apache/hive:3.1.3"),
            ("apache/kafka:4.1.20", "apache/kafka:4.1.2"),
            ("ghcr.io/mlflow/mlflow:v3.18.0", "ghcr.io/mlflow/mlflow:v3.17.2"),
        ];
        for (image, instead) in table {
            let error = of(image, &Reference::parse(image).unwrap()).unwrap_err();
            assert_eq!(error.code(), "stoke::image::program-version");
            assert!(error.to_string().contains(&format!("`{instead}`")), "{error}");
        }
    }

    #[test]
    fn an_earlier_version_is_called_by_its_own_name() {
        let table = [("kafka", "4.1.2"), ("kafka-4.1.2", "4.1.2"), ("kafka-4.1.1", "4.1.1")];
        for (name, version) in table {
            assert_eq!(super::super::Programs::named(name).unwrap().version, version, "{name}");
        }
        assert!(super::super::Programs::named("kafka-4.0.0").is_none());
        let names: Vec<String> = PROGRAMS.iter().map(Program::call_name).collect();
        assert!(
            names.contains(&"kafka".to_owned()) && names.contains(&"kafka-4.1.1".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn every_program_is_whole() {
        for program in &PROGRAMS {
            let reference = Reference::parse(program.image).unwrap();
            let found = of(program.image, &reference).unwrap().unwrap();
            assert_eq!((found.name, found.version), (program.name, program.version));
            for machine in ["x86_64", "aarch64"] {
                let lock = Lock::read(program.lock, machine).unwrap();
                assert!(lock.download() > 10_000_000, "{} on {machine}", program.name);
            }
            assert!(program.home.starts_with('/') && program.working_directory.starts_with('/'));
        }
    }
}
