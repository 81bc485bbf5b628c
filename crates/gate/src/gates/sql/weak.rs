//! What no Spark takes, told without a grammar: brackets that do not match, and a beginning that is none of a statement.

use super::scan::{Kind, Token};

/// Words a statement of Spark SQL begins with.
const BEGINNINGS: [&str; 52] = [
    "ADD", "ALTER", "ANALYZE", "BEGIN", "CACHE", "CALL", "CLEAR", "CLOSE", "COMMENT", "COMMIT", "CREATE", "DECLARE",
    "DELETE", "DESC", "DESCRIBE", "DFS", "DROP", "EXECUTE", "EXPLAIN", "EXPORT", "FETCH", "FROM", "GRANT", "IMPORT",
    "INSERT", "LIST", "LOAD", "LOCK", "MAP", "MERGE", "MSCK", "OPEN", "REDUCE", "REFRESH", "REPAIR", "REPLACE",
    "RESET", "REVOKE", "ROLLBACK", "SELECT", "SET", "SHOW", "START", "TABLE", "TRUNCATE", "UNCACHE", "UNLOCK", "UNSET",
    "UPDATE", "USE", "VALUES", "WITH",
];

/// The first thing that is wrong: its character, and what it is.
pub fn check(text: &[char], tokens: &[Token]) -> Option<(usize, String)> {
    let first = tokens.first()?;
    let word: String = text[first.from..first.to]
        .iter()
        .collect::<String>()
        .to_ascii_uppercase();
    let known = BEGINNINGS.contains(&word.as_str());
    let labelled = tokens.get(1).is_some_and(|token| token.kind == Kind::Sign(':'));
    if first.kind == Kind::Word && !known && !labelled && !word.starts_with("${") {
        return Some((first.from, format!("no statement of Spark SQL begins with `{word}`")));
    }
    let mut open: Vec<(char, usize)> = Vec::new();
    for token in tokens {
        let Kind::Sign(sign) = token.kind else { continue };
        match sign {
            '(' | '[' => open.push((sign, token.from)),
            ')' | ']' => {
                let opening = if sign == ')' { '(' } else { '[' };
                if open.pop().is_none_or(|(last, _)| last != opening) {
                    return Some((token.from, format!("`{sign}` closes nothing")));
                }
            }
            _ => {}
        }
    }
    open.pop().map(|(sign, from)| (from, format!("`{sign}` is not closed")))
}
