//! Images as files and in registries: digests, manifests, layouts, archives, the registry protocol, a cache of blobs.
