//! A release: one content-addressed bundle of manifest, digests, configuration, contracts, verdicts and attestations.
