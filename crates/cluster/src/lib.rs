//! Room `cluster`: to be told.
