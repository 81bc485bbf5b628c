//! Why data cannot be read.

use stoke_diagnostics::Diagnostic;

/// What stopped a run. A check that cannot be determined for what single files hold is no such error; it is a result.
#[derive(Debug, thiserror::Error)]
pub enum QualityError {
    /// The contract is wrong; the complaints say where and how.
    #[error("{}", render(.0))]
    Contract(Vec<Diagnostic>),
    /// There are no data, or they cannot be listed or opened.
    #[error("cannot read {place}: {cause}; {fix}")]
    Data {
        /// The path or address.
        place: String,
        /// Why.
        cause: String,
        /// What to do.
        fix: String,
    },
    /// The layout of a table is of a kind that is not read.
    #[error("{place}: {cause}; {fix}")]
    Table {
        /// The path or address.
        place: String,
        /// What it is.
        cause: String,
        /// What to do.
        fix: String,
    },
    /// The quarantine cannot be written.
    #[error("cannot write the quarantine to {place}: {cause}; {fix}")]
    Quarantine {
        /// The directory.
        place: String,
        /// Why.
        cause: String,
        /// What to do.
        fix: String,
    },
    /// Two places cannot be compared as asked.
    #[error("{cause}; {fix}")]
    Comparison {
        /// Why.
        cause: String,
        /// What to do.
        fix: String,
    },
    /// Someone wanted it to end before it was done.
    #[error("interrupted before it was done; run it again")]
    Interrupted,
    /// The history cannot be read or written.
    #[error("cannot use the history {place}: {cause}; {fix}")]
    History {
        /// The file.
        place: String,
        /// Why.
        cause: String,
        /// What to do.
        fix: String,
    },
}

impl QualityError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Contract(_) => "stoke::quality::contract",
            Self::Data { .. } => "stoke::quality::data",
            Self::Table { .. } => "stoke::quality::table",
            Self::Quarantine { .. } => "stoke::quality::quarantine",
            Self::Comparison { .. } => "stoke::quality::comparison",
            Self::Interrupted => "stoke::quality::interrupted",
            Self::History { .. } => "stoke::quality::history",
        }
    }
}

fn render(complaints: &[Diagnostic]) -> String {
    let all: Vec<String> = complaints.iter().map(Diagnostic::render).collect();
    all.join("\n\n")
}
