//! Room `sandbox`: to be told.
