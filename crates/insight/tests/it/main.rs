//! What is found in runs, real and written down, and what is written of them.

mod bundle;
mod collect;
mod documents;
mod failures;
mod fetch;
mod focus;
mod pairs;
mod performance;
mod pods;
mod texts;
mod whatif;
