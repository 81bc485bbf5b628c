//! Images of this machine: Stoke's own store, blobs that were fetched, and file trees that containers run from.
//!
//! In: a name as a pod has it, credentials. Out: an image that can run here ([`Ready`]) and its tree ([`Root`]), or why not. A name is that of a registry; `local:NAME` is in the
//! store, `oci:DIRECTORY` and `archive:FILE` are where they say. A name or digest that the store has needs no registry.
//!
//! - [`Machine`]: names become images, images become trees
//! - [`accounts`]: who is who in an image
//! - `roots`: trees, unpacked once, removed when no one uses them
//!
//! Never: a container started, or a tree given out that is not whole.

pub mod accounts;
mod names;
mod roots;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use stoke_runtime::reference::Reference;

use self::accounts::{Accounts, User};
use self::names::{Names, Record};
use self::roots::Roots;
pub use self::roots::{Root, Unpacked};
use crate::oci::copy::Watch;
use crate::oci::unpack::Viewer;
use crate::oci::{
    Cache, Config, Credentials, Digest, Execution, Fetched, Kind, Layout, Location, Manifest, OciError, OciResult,
    Platform, Repository, Settings, Swept,
};

/// How the store is named in the names of its images.
pub const LOCAL: &str = "local:";

/// The images of one Stoke home.
#[derive(Debug, Clone)]
pub struct Machine {
    cache: Cache,
    store: PathBuf,
    names: Names,
    roots: Roots,
    settings: Settings,
}

/// An image that can run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// What it is called in a container's status: a name without its tag, and the digest that the name meant.
    pub id: String,
    /// Of its manifest for this machine.
    pub digest: Digest,
    pub execution: Execution,
    pub accounts: Accounts,
    /// Who it says its containers run as.
    pub user: User,
    location: Location,
}

/// What there is under a name, or without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// `local:NAME`, or the name by which it was fetched.
    pub name: String,
    pub digest: Digest,
}

/// What was removed, by where it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blobs that were fetched from registries.
    pub cache: Swept,
    /// Blobs of the store that none of its images has.
    pub store: Swept,
    /// Unpacked trees that no container uses.
    pub trees: Swept,
}

impl Machine {
    /// The images below a directory; blobs that were fetched and trees may have this many bytes each.
    ///
    /// # Errors
    /// A directory that cannot be made.
    pub fn open(directory: &Path, limit: u64, settings: Settings) -> OciResult<Self> {
        Ok(Self {
            cache: Cache::open(&directory.join("cache"), limit)?,
            store: directory.join("store"),
            names: Names::open(&directory.join("names"))?,
            roots: Roots::open(&directory.join("trees"), limit)?,
            settings,
        })
    }

    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Where an image is, by its name in a pod.
    ///
    /// # Errors
    /// A text that is no name of an image; a path that depends on who reads it.
    pub fn location(&self, name: &str) -> OciResult<Location> {
        let local = |name: &str| Location::Layout(self.store.clone(), Some(name.to_owned()));
        if let Some(rest) = name.strip_prefix(LOCAL) {
            let named = match rest.split_once("@sha256:") {
                Some((_, hex)) => format!("sha256:{hex}"),
                None => rest.to_owned(),
            };
            return match named.is_empty() {
                true => Err(OciError::new(Kind::Reference, format!("`{name}` names no image"))),
                false => Ok(local(&named)),
            };
        }
        match name.parse::<Location>()? {
            Location::Layout(path, _) | Location::Archive(path, _) if path.is_relative() => {
                let message = format!("`{name}`: a pod has no directory that this path could begin at");
                Err(OciError::new(Kind::Reference, message).with_fix("write the whole path, from `/`"))
            }
            Location::Registry(reference) => {
                let store = self.store_names();
                let tag = reference.tag.is_none().then(|| format!("{name}:latest"));
                let by_tag = [Some(name), tag.as_deref()].into_iter().flatten();
                let found = match &reference.digest {
                    Some(digest) => self.in_store(digest).then(|| digest.clone()),
                    None => by_tag.map(str::to_owned).find(|name| store.contains(name)),
                };
                Ok(found.map_or(Location::Registry(reference), |found| local(&found)))
            }
            other => Ok(other),
        }
    }

    fn store_names(&self) -> Vec<String> {
        // A store that cannot be read has nothing; who asks for one of its images by `local:` is told why.
        let names = Layout::open(&self.store).and_then(|store| store.tags());
        names.unwrap_or_default()
    }

    fn in_store(&self, digest: &str) -> bool {
        Layout::open(&self.store).is_ok_and(|store| store.find(Some(digest)).is_ok())
    }

    /// The image if it can be had without a registry.
    ///
    /// # Errors
    /// A text that is no name; an image on this machine that cannot be read or does not run here.
    pub async fn present(&self, name: &str, watch: &dyn Watch) -> OciResult<Option<Ready>> {
        let location = self.location(name)?;
        let Location::Registry(reference) = &location else {
            return self.take(name, &location, &self.settings, watch).await.map(Some);
        };
        let digest = match &reference.digest {
            Some(digest) => Some(digest.parse()?),
            None => self.names.digest(&reference.to_string())?,
        };
        let Some(digest) = digest else { return Ok(None) };
        let Some(record) = self.names.record(&digest)? else {
            return Ok(None);
        };
        let ready = ready(&location, &digest, record)?;
        let is_there = self
            .roots
            .get(&ready.digest, &ready.viewer(&ready.user, &[]))?
            .is_some();
        Ok(is_there.then_some(ready))
    }

    /// The image, asked for at its registry: fetched, held against its digests and unpacked. Credentials are asked before those of this machine.
    ///
    /// # Errors
    /// As [`Machine::present`]; not there, refused, not reached, not what its digests say, for another machine; a disk that is full.
    pub async fn pull(&self, name: &str, secrets: &[(String, String)], watch: &dyn Watch) -> OciResult<Ready> {
        let location = self.location(name)?;
        let ready = self.take(name, &location, &self.settings_with(secrets), watch).await?;
        self.roots.fit()?;
        self.cache.fit()?;
        Ok(ready)
    }

    /// An image that was found here, by its name and the [`Ready::id`] it had.
    ///
    /// # Errors
    /// One that was never here, or was removed.
    pub fn by_id(&self, name: &str, id: &str) -> OciResult<Ready> {
        let digest: Digest = id.rsplit('@').next().unwrap_or_default().parse()?;
        let Some(record) = self.names.record(&digest)? else {
            return Err(OciError::new(
                Kind::NotFound,
                format!("{name}: {digest} is no longer here"),
            ));
        };
        ready(&self.location(name)?, &digest, record)
    }

    /// The tree of an image with the rights of a user, who is in these groups too. What is missing for it is fetched.
    ///
    /// # Errors
    /// As [`Machine::pull`].
    pub async fn root(
        &self,
        image: &Ready,
        user: u32,
        group: u32,
        groups: &[u32],
        secrets: &[(String, String)],
        watch: &dyn Watch,
    ) -> OciResult<Root> {
        let user = User {
            user,
            group,
            name: None,
        };
        let viewer = image.viewer(&user, groups);
        if let Some(root) = self.roots.get(&image.digest, &viewer)? {
            return Ok(root);
        }
        let repository = Repository::open(&image.location, &self.settings_with(secrets))?;
        let (fetched, manifest) = repository.image(Some(image.digest.as_str()), &Platform::here()).await?;
        let (_, config) = repository.config(&manifest, &self.cache).await?;
        let ready = || {
            let found = self.roots.get(&image.digest, &viewer)?;
            Ok(found.map(|root| (root, image.accounts.clone())))
        };
        let parts = Parts {
            repository: &repository,
            fetched: &fetched,
            manifest: &manifest,
            config: &config,
        };
        let (root, _) = self.unpacked(&parts, ready, |_| Ok(viewer.clone()), watch).await?;
        self.roots.fit()?;
        Ok(root)
    }

    fn settings_with(&self, secrets: &[(String, String)]) -> Settings {
        // What is asked first was added first.
        let credentials = secrets.iter().fold(
            self.settings.credentials.clone(),
            |known: Credentials, (place, text)| known.with(place.clone(), text.clone()),
        );
        Settings {
            credentials,
            ..self.settings.clone()
        }
    }

    async fn take(&self, name: &str, location: &Location, settings: &Settings, watch: &dyn Watch) -> OciResult<Ready> {
        let repository = Repository::open(location, settings)?;
        let wanted = location.name();
        let root = repository.fetch(wanted.as_deref()).await?;
        let here = Platform::here();
        let digest = root.descriptor.digest.clone();
        let (fetched, manifest) = repository.below(root, &here).await?;
        let (_, config) = repository.config(&manifest, &self.cache).await?;
        if !config.platform.serves(&here) {
            let message = format!(
                "{name}: no match for platform in manifest: the image is for {}, this machine is {here}",
                config.platform
            );
            let error = OciError::new(Kind::Unsupported, message);
            return Err(error.with_fix(format!("name an image for {here}, or one for several platforms")));
        }
        let parts = Parts {
            repository: &repository,
            fetched: &fetched,
            manifest: &manifest,
            config: &config,
        };
        let image = &fetched.descriptor.digest;
        let viewer = |accounts: &Accounts| {
            let user = found(accounts, &config.config.user)?;
            Ok(viewer_of(accounts, &user, &[]))
        };
        let unpacked = || {
            let Some(record) = self.names.record(&digest)? else {
                return Ok(None);
            };
            let root = self.roots.get(image, &viewer(&record.accounts)?)?;
            Ok(root.map(|root| (root, record.accounts)))
        };
        let accounts = match unpacked()? {
            Some((_, accounts)) => accounts,
            None => self.unpacked(&parts, unpacked, viewer, watch).await?.1,
        };
        let record = Record {
            manifest: image.clone(),
            execution: config.config.clone(),
            accounts,
        };
        self.names.remember(&digest, &record)?;
        if let Location::Registry(reference) = location
            && reference.digest.is_none()
        {
            self.names.name(&reference.to_string(), &digest)?;
        }
        ready(location, &digest, record)
    }

    async fn unpacked(
        &self,
        parts: &Parts<'_>,
        ready: impl Fn() -> OciResult<Option<(Root, Accounts)>>,
        viewer: impl Fn(&Accounts) -> OciResult<Viewer>,
        watch: &dyn Watch,
    ) -> OciResult<(Root, Accounts)> {
        let mut layers = Vec::new();
        for (layer, diff_id) in parts.manifest.layers.iter().zip(&parts.config.rootfs.diff_ids) {
            watch.begins(layer);
            let moved = |bytes| watch.moved(bytes);
            let blob = parts.repository.blob(layer, &self.cache, &moved).await?;
            layers.push((blob, diff_id.clone()));
        }
        self.roots
            .unpack(&parts.fetched.descriptor.digest, &layers, ready, viewer)
    }

    /// Images that are named here: those of the store first.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn list(&self) -> OciResult<Vec<Known>> {
        let mut known = Vec::new();
        if self.store.join("oci-layout").is_file() {
            let store = Layout::open(&self.store)?;
            for name in store.tags()? {
                let digest = store.find(Some(&name))?.digest;
                let name = format!("{LOCAL}{name}");
                known.push(Known { name, digest });
            }
        }
        let fetched = self.names.all()?.into_iter();
        known.extend(fetched.map(|(name, digest)| Known { name, digest }));
        Ok(known)
    }

    /// Trees that are unpacked; and for each the digests that names mean by it.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn trees(&self) -> OciResult<Vec<Unpacked>> {
        self.roots.list()
    }

    /// The manifest for this machine that a name's digest led to, when it was unpacked.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn manifest_of(&self, digest: &Digest) -> OciResult<Option<Digest>> {
        Ok(self.names.record(digest)?.map(|record| record.manifest))
    }

    /// Takes a name away from an image; what none has then goes with [`Machine::prune`].
    ///
    /// # Errors
    /// No image of that name.
    pub fn forget(&self, name: &str) -> OciResult<()> {
        let missing = || {
            let error = OciError::new(Kind::NotFound, format!("no image here is named {name}"));
            error.with_fix("`stoke image list` lists those there are")
        };
        let own = name.strip_prefix(LOCAL).unwrap_or(name);
        let in_store = self.store_names().iter().any(|known| known == own);
        if in_store {
            return Layout::open(&self.store)?.forget(own);
        }
        if name.starts_with(LOCAL) {
            return Err(missing());
        }
        let reference = Reference::parse(name).map_err(|error| OciError::new(Kind::Reference, error.to_string()))?;
        match self.names.forget(&reference.to_string())? {
            true => Ok(()),
            false => Err(missing()),
        }
    }

    /// Removes what was used longest ago, until at most `most` bytes of fetched blobs and of trees are left each; and what no name leads to in the store.
    ///
    /// # Errors
    /// A directory that cannot be read or written.
    pub fn prune(&self, most: u64, now: SystemTime) -> OciResult<Pruned> {
        let store = match self.store.join("oci-layout").is_file() {
            true => Layout::open(&self.store)?.sweep(now)?,
            false => Swept::default(),
        };
        let trees = self.roots.prune(most)?;
        if most == 0 {
            let left: Vec<Digest> = self.roots.list()?.into_iter().map(|tree| tree.digest).collect();
            self.names.keep(|record| left.contains(&record.manifest))?;
        }
        Ok(Pruned {
            cache: self.cache.prune(most, now)?,
            store,
            trees,
        })
    }
}

/// An image on its way to a tree.
struct Parts<'a> {
    repository: &'a Repository,
    fetched: &'a Fetched,
    manifest: &'a Manifest,
    config: &'a Config,
}

impl Ready {
    fn viewer(&self, user: &User, groups: &[u32]) -> Viewer {
        viewer_of(&self.accounts, user, groups)
    }
}

fn viewer_of(accounts: &Accounts, user: &User, groups: &[u32]) -> Viewer {
    let mut all = vec![user.group];
    all.extend(accounts.memberships(user.user));
    all.extend(groups);
    all.sort_unstable();
    all.dedup();
    Viewer {
        user: user.user,
        groups: all,
    }
}

fn found(accounts: &Accounts, user: &str) -> OciResult<User> {
    accounts.find(user).map_err(|why| OciError::new(Kind::Unsupported, why))
}

fn ready(location: &Location, digest: &Digest, record: Record) -> OciResult<Ready> {
    let name = match location {
        Location::Registry(reference) => {
            let (host, path) = reference.address();
            format!("{host}/{path}")
        }
        other => match other.name().filter(|name| !name.starts_with("sha256:")) {
            Some(name) => name.rsplit_once(':').map_or(name.clone(), |(name, _)| name.to_owned()),
            None => "image".to_owned(),
        },
    };
    Ok(Ready {
        id: format!("{name}@{digest}"),
        digest: record.manifest,
        user: found(&record.accounts, &record.execution.user)?,
        execution: record.execution,
        accounts: record.accounts,
        location: location.with_name(digest.as_str()),
    })
}
