//! What fuzzing drives: no promise to anybody else.

use std::io::Cursor;

use crate::bundle;

/// A bundle, whole and in parts.
pub fn bundle(bytes: &[u8]) {
    let _ = bundle::read_index(Cursor::new(bytes));
    let _ = bundle::read_objects(Cursor::new(bytes));
    let _ = bundle::read(Cursor::new(bytes));
}

#[cfg(test)]
mod tests {
    #[test]
    fn damaged_bundles_are_read_or_refused() {
        stoke_testkit::damage::damaged("bundle", 500, super::bundle);
    }
}
