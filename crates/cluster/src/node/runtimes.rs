//! Images from the `runtime` room: a container image name leads to a local Spark, or to a program of a platform component.

use stoke_runtime::programs::ProgramImage;
use stoke_runtime::{ImageError, Program, ProgramError, Runtimes};
use stoke_sandbox::Mount;

use super::images::{Image, Images, PullSecret, Refused};

/// The user's runtimes as images.
#[derive(Debug, Clone)]
pub struct RuntimeImages {
    runtimes: Runtimes,
}

impl RuntimeImages {
    /// Images from these runtimes.
    pub fn new(runtimes: Runtimes) -> RuntimeImages {
        RuntimeImages { runtimes }
    }

    fn program(&self, image: &str) -> Result<Option<&'static Program>, String> {
        self.runtimes.program_of(image).map_err(|error| error.to_string())
    }
}

impl Images for RuntimeImages {
    fn present(&self, image: &str) -> Result<Option<Image>, Refused> {
        if let Some(own) = self.runtimes.own_image(image).map_err(|error| refused(&error))? {
            return Ok(Some(of_program(own)));
        }
        if let Some(program) = self.program(image)? {
            return match self.runtimes.programs().image(image, program) {
                Ok(image) => Ok(Some(of_program(image))),
                // Java is looked for first: there is no use in a download that cannot run.
                Err(ProgramError::NotInstalled { .. }) => {
                    let java = self.runtimes.programs().java(program);
                    java.map(|_| None).map_err(|error| Refused::Image(error.to_string()))
                }
                Err(error) => Err(Refused::Image(error.to_string())),
            };
        }
        match self.runtimes.resolve(image) {
            Ok(image) => Ok(Some(converted(image))),
            Err(ImageError::NotInstalled(_)) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }

    fn pull(&self, image: &str, _secrets: &[PullSecret]) -> Result<Image, Refused> {
        if let Some(program) = self.program(image)? {
            let programs = self.runtimes.programs();
            programs
                .install(program, false, &mut |_| {})
                .map_err(|error| error.to_string())?;
            let image = programs.image(image, program);
            return image.map(of_program).map_err(|error| Refused::Image(error.to_string()));
        }
        let version = self.runtimes.version_of(image).map_err(|error| refused(&error))?;
        self.runtimes
            .install(&version, false, &mut |_| {})
            .map_err(|error| error.to_string())?;
        self.runtimes
            .resolve(image)
            .map(converted)
            .map_err(|error| refused(&error))
    }

    fn to_download(&self, image: &str) -> Option<String> {
        let program = self.program(image).ok()??;
        let bytes = program.download()?;
        Some(format!(
            "{}, {} MB, from Maven Central and the Python package index, once",
            program.full_name(),
            bytes / 1_000_000
        ))
    }
}

fn refused(error: &ImageError) -> Refused {
    match error {
        ImageError::InvalidName(_) => Refused::Name(error.to_string()),
        _ => Refused::Image(error.to_string()),
    }
}

fn of_program(image: ProgramImage) -> Image {
    Image {
        id: image.id,
        environment: image.environment,
        entrypoint: image.entrypoint,
        arguments: image.arguments,
        working_directory: image.working_directory,
        user: image.user,
        group: image.group,
        mounts: image.mounts.into_iter().map(bound).collect(),
        writable: image.writable,
        ..Image::default()
    }
}

fn bound(mount: stoke_runtime::Mount) -> Mount {
    Mount::bind(mount.host, mount.target, mount.read_only)
}

fn converted(image: stoke_runtime::Image) -> Image {
    Image {
        id: image.id,
        environment: image.environment,
        entrypoint: image.entrypoint,
        arguments: Vec::new(),
        working_directory: image.working_directory,
        user: image.user,
        group: image.user,
        mounts: image.mounts.into_iter().map(bound).collect(),
        writable: image.scratch,
        ..Image::default()
    }
}
