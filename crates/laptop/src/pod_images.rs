//! Images of pods of the embedded cluster: names that map to a local Spark or to a program of a component, and all others as images that are unpacked here.
//!
//! In: a name as a pod has it, credentials. Out: what the node needs of it. A name that the user's `images.yaml` or Spark's own names cover is a local Spark, as
//! [`RuntimeImages`] has it; any other is asked of the [`Machine`]: Stoke's own store, a layout, an archive, a registry.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stoke_cluster::node::{Account, Image, Images, PullSecret, Refused, RuntimeImages, Tree, Viewer};
use stoke_model::quantity::Quantity;
use stoke_model::units::people;
use stoke_release::here::{Machine, Ready};
use stoke_release::oci::copy::{Quiet, Watch};
use stoke_release::oci::{Descriptor, Kind, OciError, Settings};
use stoke_runtime::{EVENT_LOGS, ImageError, PACKAGES, PROGRAM, QUALITY, Runtimes};
use stoke_sandbox::Mount;
use tokio::runtime::Handle;

use crate::error::{LaptopError, Outcome};
use crate::home::Home;
use crate::report::Reporter;

/// What blobs and trees may take each when nothing else is said, in bytes.
const LIMIT: u64 = 20 << 30;
/// The variable that says something else.
const LIMIT_VARIABLE: &str = "STOKE_IMAGE_CACHE";
/// How often it is told how far a download is.
const TOLD: Duration = Duration::from_millis(200);

/// How much blobs that were fetched may take, and unpacked trees.
///
/// # Errors
/// A variable that is no size.
pub fn limit() -> Outcome<u64> {
    match std::env::var(LIMIT_VARIABLE) {
        Ok(text) if !text.is_empty() => {
            let quantity: Result<Quantity, _> = text.parse();
            quantity
                .map(|quantity| quantity.bytes())
                .map_err(|error| LaptopError::input("stoke::cli::memory", format!("{LIMIT_VARIABLE} {text}: {error}")))
        }
        _ => Ok(LIMIT),
    }
}

/// The images of a home, with settings of this machine's registries.
///
/// # Errors
/// A directory that cannot be made, a limit that cannot be read.
pub fn machine(home: &Home) -> Outcome<Machine> {
    open(home, Settings::of_this_machine())
}

/// The images of a home as the node asks for them: it says soon why one cannot be had, and asks again by its own back-off.
///
/// # Errors
/// As [`machine`].
pub(crate) fn of_node(home: &Home) -> Outcome<Machine> {
    let settings = Settings::of_this_machine();
    open(home, Settings { tries: 2, ..settings })
}

fn open(home: &Home, settings: Settings) -> Outcome<Machine> {
    Machine::open(&home.root().join("images"), limit()?, settings).map_err(failure)
}

/// A failure with an image.
pub fn failure(error: OciError) -> LaptopError {
    let made = match error.is_input() {
        true => LaptopError::input(error.code(), error.message()),
        false => LaptopError::environment(error.code(), error.message()),
    };
    made.fix(error.fix())
}

/// Whether a name stands for a local Spark, or would if its mapping could be read.
pub fn is_local_spark(runtimes: &Runtimes, image: &str) -> bool {
    !matches!(
        runtimes.version_of(image),
        Err(ImageError::Unmapped { .. } | ImageError::InvalidName(_))
    )
}

/// Whether a name stands for a program of this machine: this one, a local Spark, or one of a component.
fn is_local(runtimes: &Runtimes, image: &str) -> bool {
    !matches!(runtimes.own_image(image), Ok(None))
        || !matches!(runtimes.program_of(image), Ok(None))
        || is_local_spark(runtimes, image)
}

/// What to do besides what an error says.
fn or_map(runtimes: &Runtimes) -> String {
    format!(
        "or have it stand for a Spark of this machine in {}: `images: [{{image: NAME, spark: VERSION}}]`",
        runtimes.mapping_file().display()
    )
}

/// Sees to it that an image that is no local Spark can run here: fetches it with this machine's credentials when it is not there. One that a registry keeps from those is
/// left to the Secrets of its pods.
///
/// # Errors
/// Why it cannot be had.
pub(crate) async fn ensure(home: &Home, runtimes: &Runtimes, image: &str, reporter: &mut dyn Reporter) -> Outcome<()> {
    let machine = machine(home)?;
    let progress = Progress::default();
    let work = async {
        match machine.present(image, &progress).await? {
            Some(_) => Ok(()),
            None => machine.pull(image, &[], &progress).await.map(drop),
        }
    };
    tokio::pin!(work);
    reporter.begins(&format!("{image}: getting the image"));
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            () = tokio::time::sleep(TOLD) => reporter.status(&format!("{image}: {}", progress.line())),
        }
    };
    reporter.ends();
    match done {
        Err(error) if matches!(error.kind(), Kind::Unauthorized | Kind::Denied) => {
            reporter.warns(&format!(
                "{image}: {error}; its pods try with their imagePullSecrets, if they have some"
            ));
            Ok(())
        }
        Err(error) if matches!(error.kind(), Kind::NotFound | Kind::Unavailable) => {
            let fix = format!("{}; {}", error.fix(), or_map(runtimes));
            Err(failure(error).fix(fix))
        }
        done => done.map_err(failure),
    }
}

/// How far a download is.
#[derive(Default)]
struct Progress {
    moved: AtomicU64,
    blob: Mutex<(u64, String)>,
}

impl Progress {
    fn line(&self) -> String {
        let blob = self.blob.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, name) = &*blob;
        let moved = people::bytes(self.moved.load(Ordering::Relaxed));
        match name.is_empty() {
            true => "asking".to_owned(),
            false => format!("{name}: {moved} of {}", people::bytes(*size)),
        }
    }
}

impl Watch for Progress {
    fn moved(&self, bytes: u64) {
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    fn begins(&self, descriptor: &Descriptor) {
        let mut blob = self.blob.lock().unwrap_or_else(PoisonError::into_inner);
        *blob = (descriptor.size, descriptor.digest.short().to_owned());
        self.moved.store(0, Ordering::Relaxed);
    }
}

/// What every pod shares with this machine, whatever its image.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// This program, which steps of the operator's run.
    pub program: PathBuf,
    pub packages: PathBuf,
    pub event_logs: PathBuf,
    pub quality: PathBuf,
}

impl Shared {
    fn mounts(&self) -> Vec<Mount> {
        vec![
            Mount::bind(&self.program, PROGRAM, true),
            Mount::bind(&self.packages, PACKAGES, false),
            Mount::bind(&self.event_logs, EVENT_LOGS, false),
            Mount::bind(&self.quality, QUALITY, false),
        ]
    }
}

/// Both kinds of images.
pub(crate) struct PodImages {
    runtimes: Runtimes,
    local: RuntimeImages,
    machine: Machine,
    shared: Vec<Mount>,
}

impl PodImages {
    pub(crate) fn new(runtimes: Runtimes, machine: Machine, shared: &Shared) -> PodImages {
        PodImages {
            local: RuntimeImages::new(runtimes.clone()),
            runtimes,
            machine,
            shared: shared.mounts(),
        }
    }

    fn image(&self, ready: Ready) -> Image {
        let Ready {
            id,
            execution,
            accounts,
            user,
            ..
        } = ready;
        let variables = execution.env.iter().filter_map(|entry| entry.split_once('='));
        let account = |account: &stoke_release::here::accounts::Account| Account {
            user: account.user,
            group: account.group,
            home: account.home.clone(),
        };
        Image {
            id,
            environment: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            entrypoint: execution.entrypoint,
            arguments: execution.cmd,
            working_directory: PathBuf::from(execution.working_dir),
            user: user.user,
            user_name: user.name,
            group: user.group,
            accounts: accounts.users.iter().map(account).collect(),
            mounts: self.shared.clone(),
            writable: Vec::new(),
            has_tree: true,
        }
    }

    fn refused(&self, image: &str, error: &OciError) -> Refused {
        let sentence = format!("{error}; {}", error.fix());
        match error.kind() {
            Kind::Reference => Refused::Name(sentence),
            Kind::NotFound | Kind::Unavailable => Refused::Image(format!(
                "failed to pull and unpack image \"{image}\": {sentence}; {}",
                or_map(&self.runtimes)
            )),
            _ => Refused::Image(format!("failed to pull and unpack image \"{image}\": {sentence}")),
        }
    }
}

impl Images for PodImages {
    fn present(&self, image: &str) -> Result<Option<Image>, Refused> {
        if is_local(&self.runtimes, image) {
            return self.local.present(image);
        }
        let found = Handle::current().block_on(self.machine.present(image, &Quiet));
        let found = found.map_err(|error| self.refused(image, &error))?;
        Ok(found.map(|ready| self.image(ready)))
    }

    fn pull(&self, image: &str, secrets: &[PullSecret]) -> Result<Image, Refused> {
        if is_local(&self.runtimes, image) {
            return self.local.pull(image, secrets);
        }
        let pulled = Handle::current().block_on(self.machine.pull(image, &texts(secrets), &Quiet));
        pulled
            .map(|ready| self.image(ready))
            .map_err(|error| self.refused(image, &error))
    }

    fn to_download(&self, image: &str) -> Option<String> {
        self.local.to_download(image)
    }

    fn tree(&self, image: &str, found: &Image, viewer: &Viewer, secrets: &[PullSecret]) -> Result<Tree, Refused> {
        let secrets = texts(secrets);
        let work = async {
            // The image that was found, whatever its name means by now.
            let ready = self.machine.by_id(image, &found.id)?;
            self.machine
                .root(&ready, viewer.user, viewer.group, &viewer.groups, &secrets, &Quiet)
                .await
        };
        let root = Handle::current()
            .block_on(work)
            .map_err(|error| self.refused(image, &error))?;
        Ok(Tree {
            path: root.tree.clone(),
            held: Arc::new(root),
        })
    }
}

fn texts(secrets: &[PullSecret]) -> Vec<(String, String)> {
    let both = secrets.iter().map(|secret| (secret.place.clone(), secret.text.clone()));
    both.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_local_sparks_or_images() {
        let home = tempfile::tempdir().unwrap();
        let runtimes = Runtimes::new(home.path()).with_own_sparks(Vec::new());
        let rules = "images:\n  - {image: \"acme/etl:*\", spark: \"4.1.4\"}\n";
        std::fs::write(runtimes.mapping_file(), rules).unwrap();
        for (image, expected) in [
            ("apache/spark:4.1.4", true),
            ("acme/etl:7", true),
            ("acme/other:7", false),
            ("local:etl", false),
            ("oci:/tmp/out:v1", false),
            ("UPPER", false),
        ] {
            assert_eq!(is_local_spark(&runtimes, image), expected, "{image}");
        }
        // A mapping that cannot be read leads to no registry.
        std::fs::write(runtimes.mapping_file(), "images: 7\n").unwrap();
        assert!(is_local_spark(&runtimes, "acme/other:7"));
    }
}
