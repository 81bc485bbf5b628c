//! CDEvents of what happened to a change, a build, an image, a release.
