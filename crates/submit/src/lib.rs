//! Room `submit`: to be told.
