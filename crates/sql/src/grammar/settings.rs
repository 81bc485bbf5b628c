//! Keys of the session's configuration that the parser asks for.

/// What the parser's conditions ask of the session's configuration: the name they have for it, its key, and Spark's default (`SQLConf`,
/// `AbstractParser.configureParser`).
pub(super) const SETTINGS: [(&str, &str, Set); 7] = [
    (
        "legacy_setops_precedence_enabled",
        "spark.sql.legacy.setopsPrecedence.enabled",
        Set::No,
    ),
    (
        "legacy_exponent_literal_as_decimal_enabled",
        "spark.sql.legacy.exponentLiteralAsDecimal.enabled",
        Set::No,
    ),
    (
        "SQL_standard_keyword_behavior",
        "spark.sql.ansi.enforceReservedKeywords",
        Set::No,
    ),
    ("double_quoted_identifiers", DOUBLE_QUOTED, Set::No),
    (
        "parameter_substitution_enabled",
        "spark.sql.legacy.parameterSubstitution.constantsOnly",
        Set::Yes,
    ),
    (
        "legacy_identifier_clause_only",
        "spark.sql.legacy.identifierClause",
        Set::No,
    ),
    (
        "single_character_pipe_operator_enabled",
        "spark.sql.operatorPipeSyntax.singleCharacterEnabled",
        Set::Yes,
    ),
];

/// The key that makes names of what is in double quotes; in ANSI mode only.
pub const DOUBLE_QUOTED: &str = "spark.sql.ansi.doubleQuotedIdentifiers";
/// The key of ANSI mode, which is on by default since Spark 4.0.
pub const ANSI: &str = "spark.sql.ansi.enabled";

/// What is known of a key of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// It is off.
    No,
    /// It is on.
    Yes,
    /// It may be either: what one of the two takes is taken.
    Maybe,
}

impl Set {
    /// Both of two.
    pub(super) fn and(self, other: Set) -> Set {
        match (self, other) {
            (Set::No, _) | (_, Set::No) => Set::No,
            (Set::Yes, Set::Yes) => Set::Yes,
            _ => Set::Maybe,
        }
    }
}

/// Keys of Spark's configuration that have its parser take what it refuses as it comes.
pub const SWITCHES: [&str; 4] = [
    "spark.sql.scripting.enabled",
    "spark.sql.scripting.continueHandlerEnabled",
    "spark.sql.scripting.cursorEnabled",
    "spark.sql.collation.trim.enabled",
];
