//! Environments: clusters, overlays, policies and gates, in one file.
