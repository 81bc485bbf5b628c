//! Room `operator`: to be told.
