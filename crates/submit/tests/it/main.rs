//! Our plan beside what `spark-submit` creates.

mod golden;
mod golden_shared;
