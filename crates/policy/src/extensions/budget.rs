//! How many values the builtins may make in one evaluation. `numbers.range(1, 100000000)` is short to write and takes gigabytes.
//!
//! The interpreter takes an error of a builtin for undefined where it happens in a function, and a rule that is undefined passes. So what was refused is kept
//! here, on the thread that evaluates, and asked for behind the evaluation.

use std::cell::Cell;

/// Numbers that ranges may have in one evaluation, all together: some 100 MB.
pub(crate) const MOST: u64 = 2_000_000;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(MOST) };
    static REFUSED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Begins an evaluation.
pub(crate) fn begin() {
    LEFT.set(MOST);
    REFUSED.set(None);
}

/// Takes some of what is left; false where that is not enough.
pub(super) fn take(count: u64) -> bool {
    match LEFT.get().checked_sub(count) {
        Some(left) => LEFT.set(left),
        None => REFUSED.set(Some(count)),
    }
    REFUSED.get().is_none()
}

/// What was refused since the evaluation began.
pub(crate) fn refused() -> Option<String> {
    let count = REFUSED.get()?;
    Some(format!(
        "a range of {count} numbers is more than an evaluation may have ({MOST} in all); compare with the ends instead of listing what is between them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_budget_is_refused_and_told() {
        begin();
        assert!(take(MOST - 1) && take(1));
        assert_eq!(refused(), None);
        assert!(!take(1));
        assert!(refused().is_some_and(|told| told.contains("a range of 1 numbers")));
        begin();
        assert!(take(1));
        assert!(!take(u64::MAX));
        // Once refused, nothing is given for the rest of the evaluation: it is not told what it would come to.
        assert!(!take(1));
    }
}
