//! Images from the `runtime` room: a container image name leads to a local Spark.

use stoke_runtime::{ImageError, Runtimes};
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
}

impl Images for RuntimeImages {
    fn present(&self, image: &str) -> Result<Option<Image>, Refused> {
        match self.runtimes.resolve(image) {
            Ok(image) => Ok(Some(converted(image))),
            Err(ImageError::NotInstalled(_)) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }

    fn pull(&self, image: &str, _secrets: &[PullSecret]) -> Result<Image, Refused> {
        let version = self.runtimes.version_of(image).map_err(|error| refused(&error))?;
        self.runtimes
            .install(&version, false, &mut |_| {})
            .map_err(|error| error.to_string())?;
        self.runtimes
            .resolve(image)
            .map(converted)
            .map_err(|error| refused(&error))
    }
}

fn refused(error: &ImageError) -> Refused {
    match error {
        ImageError::InvalidName(_) => Refused::Name(error.to_string()),
        _ => Refused::Image(error.to_string()),
    }
}

fn converted(image: stoke_runtime::Image) -> Image {
    let mount = |mount: stoke_runtime::Mount| Mount::bind(mount.host, mount.target, mount.read_only);
    Image {
        id: image.id,
        environment: image.environment,
        entrypoint: image.entrypoint,
        arguments: Vec::new(),
        working_directory: image.working_directory,
        user: image.user,
        group: image.user,
        mounts: image.mounts.into_iter().map(mount).collect(),
        writable: image.scratch,
        ..Image::default()
    }
}
