//! Names of the kinds of content: OCI image specification 1.1 and Docker's image manifest version 2, schema 2.

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The content `{}` of artifacts that are no images.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const DOCKER_LAYER_TAR: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// What a registry is asked for when a manifest is fetched, the most wanted first.
pub const ACCEPTED: [&str; 4] = [INDEX, MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

#[must_use]
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, INDEX | DOCKER_LIST)
}

#[must_use]
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, MANIFEST | DOCKER_MANIFEST)
}

/// Whether a config describes a file system of layers.
#[must_use]
pub fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, CONFIG | DOCKER_CONFIG)
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// How a layer of this kind is compressed; none for kinds that are not layers of a file system, and for those that are fetched from elsewhere.
#[must_use]
pub fn compression(media_type: &str) -> Option<Compression> {
    match media_type {
        LAYER_TAR | DOCKER_LAYER_TAR => Some(Compression::None),
        LAYER_GZIP | DOCKER_LAYER => Some(Compression::Gzip),
        LAYER_ZSTD => Some(Compression::Zstd),
        _ => None,
    }
}

/// Whether a layer is not in the registry but somewhere else, by its owner's licence.
#[must_use]
pub fn is_foreign(media_type: &str) -> bool {
    media_type == DOCKER_FOREIGN || media_type.contains(".layer.nondistributable.")
}
