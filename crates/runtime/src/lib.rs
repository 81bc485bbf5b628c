//! Room `runtime`: to be told.
