//! What a container of a program contains: the program's own files, its commands in the PATH, and what manifests count on of the image.

use std::path::{Path, PathBuf};

use super::catalogue::Program;
use super::launch;
use super::record::Record;
use crate::image::{Mount, PROGRAM};
use crate::java::Java;

/// A container image of a platform component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramImage {
    /// The name it was asked for by.
    pub name: String,
    /// What identifies its content, for a container status's `imageID`.
    pub id: String,
    /// Host files and directories it shows.
    pub mounts: Vec<Mount>,
    /// Directories its user may write to; each container has its own.
    pub writable: Vec<PathBuf>,
    pub environment: Vec<(String, String)>,
    pub entrypoint: Vec<String>,
    /// The arguments when a container names none.
    pub arguments: Vec<String>,
    pub working_directory: PathBuf,
    pub user: u32,
    pub group: u32,
}

/// The user of the image of this program.
const USER: u32 = 65532;

impl ProgramImage {
    /// The image that this program itself is shipped as.
    pub(super) fn own(name: &str, stoke: &Path) -> ProgramImage {
        ProgramImage {
            name: name.to_owned(),
            id: concat!("stoke-program://stoke-", env!("CARGO_PKG_VERSION")).to_owned(),
            mounts: vec![Mount {
                host: stoke.to_owned(),
                target: PROGRAM.into(),
                read_only: true,
            }],
            writable: Vec::new(),
            environment: vec![(
                "PATH".to_owned(),
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            )],
            entrypoint: vec![PROGRAM.to_owned()],
            arguments: ["operator", "run"].map(str::to_owned).to_vec(),
            working_directory: "/".into(),
            user: USER,
            group: USER,
        }
    }

    pub(super) fn new(
        name: &str,
        program: &Program,
        record: &Record,
        java: Option<&Java>,
        stoke: &Path,
    ) -> ProgramImage {
        let directory = &record.directory;
        let read_only = |host: &Path, target: &Path| Mount {
            host: host.to_owned(),
            target: target.to_owned(),
            read_only: true,
        };
        // Under the same path as on this machine: a Python environment knows its own.
        let mut mounts = vec![read_only(directory, directory), read_only(stoke, Path::new(PROGRAM))];
        let outside = |path: &&PathBuf| !path.starts_with("/usr");
        mounts.extend(
            java.map(|java| &java.home)
                .filter(outside)
                .map(|home| read_only(home, home)),
        );
        mounts.extend(
            record
                .python_base
                .as_ref()
                .filter(outside)
                .map(|base| read_only(base, base)),
        );
        let commands = directory.join("bin");
        for command in program
            .command_directory
            .iter()
            .flat_map(|place| program.commands.iter().map(move |name| (place, name)))
        {
            mounts.push(read_only(
                &commands.join(command.1),
                &Path::new(command.0).join(command.1),
            ));
        }
        let mut path = vec![commands.display().to_string()];
        path.extend(
            record
                .python_base
                .iter()
                .map(|_| directory.join("venv/bin").display().to_string()),
        );
        path.extend(java.map(|java| java.home.join("bin").display().to_string()));
        path.push("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
        let own = [
            ("PATH", path.join(":")),
            ("HOME", program.home.to_owned()),
            (launch::DIRECTORY, directory.display().to_string()),
        ];
        let mut environment: Vec<(String, String)> = own.map(|(name, value)| (name.to_owned(), value)).to_vec();
        environment.extend(java.map(|java| ("JAVA_HOME".to_owned(), java.home.display().to_string())));
        let of_image = program.environment.iter();
        environment.extend(of_image.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        ProgramImage {
            name: name.to_owned(),
            id: format!("stoke-program://{}-{}", program.name, program.version),
            mounts,
            writable: program.writable.iter().map(PathBuf::from).collect(),
            environment,
            entrypoint: vec![commands.join(launch::ENTRY).display().to_string()],
            arguments: program.arguments.iter().map(|word| (*word).to_owned()).collect(),
            working_directory: program.working_directory.into(),
            user: program.user.0,
            group: program.user.1,
        }
    }
}
