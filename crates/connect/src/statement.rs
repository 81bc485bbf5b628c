//! What a text is, and the form in which a server may have it.
//!
//! A server that only analyses a text may already run it: Spark 4.1 runs a script (`BEGIN … END`) and `EXECUTE IMMEDIATE` while it makes the plan, and
//! `EXPLAIN EXECUTE IMMEDIATE` too. So a text that may only read is never sent as it is. A query is sent inside `SELECT * FROM ( … )`: by Spark's
//! grammar a statement that begins with `SELECT` is a query, whatever follows, and statements cannot be strung together; what stands between the
//! parentheses and is not a query does not parse. `SHOW` and `DESCRIBE` are commands that read, whichever of their kind. The query of `EXPLAIN`
//! stands in parentheses too.
//!
//! A query may also have a program run on the executors (`TRANSFORM (…) USING '…'`): it is refused.
//!
//! It holds for statements. A function that a query calls does what it does: `java_method`, or one that someone registered.

/// A text in the form that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A query: it is sent in parentheses, and run as a relation.
    Query(String),
    /// A command: Spark runs it at once. One that only reads, unless the text was taken as it is.
    Command(String),
}

/// Why a text is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// No word in it.
    #[error("there is no statement")]
    Empty,
    /// Not a query.
    #[error("`{0}` is not a query, and only queries are run")]
    Command(String),
    /// It begins as a query does; Spark can parse it, but not as a query.
    #[error("the statement does more than query, and only queries are run")]
    MoreThanQuery,
    /// `TRANSFORM (…) USING '…'` and its like.
    #[error("`USING '…'` runs a program on the executors, and only queries are run")]
    Program,
}

impl StatementError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            StatementError::Empty => "stoke::sql::empty",
            StatementError::Command(_) | StatementError::MoreThanQuery | StatementError::Program => {
                "stoke::sql::writes"
            }
        }
    }

    /// What to do.
    pub fn fix(&self) -> &'static str {
        match self {
            StatementError::Empty => "write a query, for example SELECT 1",
            StatementError::Command(_) | StatementError::MoreThanQuery => {
                "begin with SELECT, WITH, FROM, VALUES, TABLE, SHOW, DESCRIBE or EXPLAIN, or allow commands with --allow-writes"
            }
            StatementError::Program => "use functions of Spark's SQL, or allow commands with --allow-writes",
        }
    }
}

/// Words that queries begin with.
const QUERIES: [&str; 5] = ["SELECT", "WITH", "FROM", "VALUES", "TABLE"];
/// Words that every command beginning with them only reads.
const READERS: [&str; 3] = ["SHOW", "DESCRIBE", "DESC"];
/// How an explanation may be asked for.
const MODES: [&str; 5] = ["LOGICAL", "FORMATTED", "EXTENDED", "CODEGEN", "COST"];

impl Statement {
    /// The form in which a text can only read.
    ///
    /// # Errors
    /// The text is empty, begins as no query and no command that reads, or names a program to run.
    pub fn reading(text: &str) -> Result<Self, StatementError> {
        let text = trimmed(text)?;
        if runs_program(text) {
            return Err(StatementError::Program);
        }
        let (word, rest) = word(text);
        if READERS.contains(&word.as_str()) {
            return Ok(Statement::Command(text.to_owned()));
        }
        if is_query(text) {
            return Ok(Statement::Query(text.to_owned()));
        }
        if word != "EXPLAIN" {
            return Err(StatementError::Command(word));
        }
        let (mode, after) = self::word(rest);
        let (mode, query) = if MODES.contains(&mode.as_str()) {
            (mode + " ", after)
        } else {
            (String::new(), rest)
        };
        if is_query(query) {
            return Ok(Statement::Command(format!("EXPLAIN {mode}{}", enclosed(query))));
        }
        let (other, _) = self::word(query);
        Err(StatementError::Command(
            format!("EXPLAIN {other}").trim_end().to_owned(),
        ))
    }

    /// The text as it is, whatever it does.
    ///
    /// # Errors
    /// The text is empty.
    pub fn writing(text: &str) -> Result<Self, StatementError> {
        trimmed(text).map(|_| Statement::Command(text.to_owned()))
    }
}

/// Whether `USING` stands before a text, as only `TRANSFORM`, `MAP` and `REDUCE` have it. Quotes are not looked at: where Spark sees their end
/// depends on its settings. So a text with such words in it is refused too.
fn runs_program(text: &str) -> bool {
    // As Spark's lexer compares: `ı` is an `I` to it.
    let upper = text.to_uppercase();
    upper.match_indices("USING").any(|(at, using)| {
        let after = meat(&upper[at + using.len()..]);
        after.strip_prefix('R').unwrap_or(after).starts_with(['\'', '"'])
    })
}

fn is_query(text: &str) -> bool {
    let (first, _) = word(text);
    QUERIES.contains(&first.as_str()) || meat(text).starts_with('(')
}

/// On lines of its own, so that a comment at its end does not take the parenthesis.
pub(crate) fn enclosed(query: &str) -> String {
    format!("SELECT * FROM (\n{query}\n)")
}

/// Without what may stand after a statement.
fn trimmed(text: &str) -> Result<&str, StatementError> {
    let text = text[..end_of_statement(text)].trim_end();
    if meat(text).is_empty() {
        return Err(StatementError::Empty);
    }
    Ok(text)
}

/// The first word in upper case, and what follows it.
fn word(text: &str) -> (String, &str) {
    let text = meat(text);
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if word.is_empty() {
        return (text.chars().take(1).collect(), text);
    }
    (word.chars().take(40).collect::<String>().to_uppercase(), rest)
}

/// The text from its first word on: without blanks and comments, which may be nested.
fn meat(mut text: &str) -> &str {
    loop {
        text = text.trim_start();
        if text.starts_with("--") {
            let Some(end) = text.find('\n') else { return "" };
            text = &text[end..];
        } else if text.starts_with("/*") && !text.starts_with("/*+") {
            let Some(end) = comment_end(text) else { return "" };
            text = &text[end..];
        } else {
            return text;
        }
    }
}

/// Where a semicolon ends the statement that nothing follows but further ones and comments; else the text's end. Quoted texts and comments are
/// passed over. What this misjudges Spark does not parse.
fn end_of_statement(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &text[at..];
        at += match byte {
            b'\'' | b'"' | b'`' => quoted_end(&bytes[at..]),
            b'-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => comment_end(rest).unwrap_or(rest.len()),
            b';' if nothing_follows(rest) => return at,
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    text.len()
}

/// Only semicolons, blanks and comments.
fn nothing_follows(mut rest: &str) -> bool {
    while let Some(after) = meat(rest).strip_prefix(';') {
        rest = after;
    }
    meat(rest).is_empty()
}

/// The length of what stands between two quotes of a kind, with them.
fn quoted_end(bytes: &[u8]) -> usize {
    let quote = bytes.first().copied().unwrap_or_default();
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        at += match byte {
            b'\\' if quote != b'`' => 2,
            byte if byte == quote => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

fn comment_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// Spark's message about an enclosed query, with the lines that its writer sees: the first of ours is none of theirs.
pub(crate) fn own_lines(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find("line ") {
        let (before, after) = rest.split_at(at + "line ".len());
        out.push_str(before);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, tail) = after.split_at(digits);
        let is_place = tail.starts_with(", pos") || tail.starts_with(" pos");
        match number.parse::<u64>() {
            Ok(line) if is_place && line > 1 => out.push_str(&(line - 1).to_string()),
            _ => out.push_str(number),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Result<Statement, StatementError> {
        Ok(Statement::Query(text.to_owned()))
    }

    fn command(text: &str) -> Result<Statement, StatementError> {
        Ok(Statement::Command(text.to_owned()))
    }

    fn refused(word: &str) -> Result<Statement, StatementError> {
        Err(StatementError::Command(word.to_owned()))
    }

    #[test]
    fn what_may_only_read_is_enclosed_and_what_may_write_is_refused() {
        for (text, form) in [
            ("SELECT 1", query("SELECT 1")),
            ("select 1 ;; \n", query("select 1")),
            (
                " -- why\n/* a /* b */ c */ with x as (select 1) select * from x",
                query(" -- why\n/* a /* b */ c */ with x as (select 1) select * from x"),
            ),
            ("(SELECT 1) UNION (SELECT 2)", query("(SELECT 1) UNION (SELECT 2)")),
            ("VALUES(1)", query("VALUES(1)")),
            ("FROM t SELECT *", query("FROM t SELECT *")),
            ("SELECT 1 -- ;", query("SELECT 1 -- ;")),
            ("SELECT 7; -- all of it", query("SELECT 7")),
            (
                "SELECT ';' a, \"'\" b, `;` -- x;\n /* ; */ ; /* y */ ;",
                query("SELECT ';' a, \"'\" b, `;` -- x;\n /* ; */"),
            ),
            ("SELECT '\\';", query("SELECT '\\';")),
            ("SELECT 'ü\\'; ü'; ", query("SELECT 'ü\\'; ü'")),
            // Only a query begins like this; Spark refuses the rest.
            (
                "SELECT 1); DROP TABLE t; SELECT (1",
                query("SELECT 1); DROP TABLE t; SELECT (1"),
            ),
            ("show tables;", command("show tables")),
            ("DESC t", command("DESC t")),
            ("EXPLAIN SELECT 1", command("EXPLAIN SELECT * FROM (\n SELECT 1\n)")),
            (
                "explain formatted select 1",
                command("EXPLAIN FORMATTED SELECT * FROM (\n select 1\n)"),
            ),
            ("EXPLAIN EXECUTE IMMEDIATE 'DROP TABLE t'", refused("EXPLAIN EXECUTE")),
            ("EXPLAIN EXTENDED INSERT INTO t SELECT 1", refused("EXPLAIN INSERT")),
            ("EXPLAIN", refused("EXPLAIN")),
            ("CREATE TABLE t (a int)", refused("CREATE")),
            ("/* SELECT */ insert into t values (1)", refused("INSERT")),
            ("EXECUTE IMMEDIATE 'DROP TABLE t'", refused("EXECUTE")),
            ("BEGIN SELECT 1; END", refused("BEGIN")),
            ("label: BEGIN SELECT 1; END", refused("LABEL")),
            (
                "SELECT TRANSFORM(a) USING 'sh -c x' FROM t",
                Err(StatementError::Program),
            ),
            (
                "FROM (SELECT R'\\', TRANSFORM(a) us\u{131}ng/* */\n--\n r\"x\" FROM t)",
                Err(StatementError::Program),
            ),
            ("EXPLAIN SELECT TRANSFORM(a) USING 'x'", Err(StatementError::Program)),
            ("MAP a USING 'x'", Err(StatementError::Program)),
            ("MAP a", refused("MAP")),
            (
                "SELECT * FROM a JOIN b USING (r)",
                query("SELECT * FROM a JOIN b USING (r)"),
            ),
            (
                "SELECT * FROM a JOIN b USING (`'`)",
                query("SELECT * FROM a JOIN b USING (`'`)"),
            ),
            ("SET", refused("SET")),
            ("CLEAR CACHE", refused("CLEAR")),
            ("SELECTS 1", refused("SELECTS")),
            ("`SELECT` 1", refused("`")),
            ("", Err(StatementError::Empty)),
            (" ; ", Err(StatementError::Empty)),
            ("-- nothing", Err(StatementError::Empty)),
            ("/* nothing", Err(StatementError::Empty)),
        ] {
            assert_eq!(Statement::reading(text), form, "{text}");
        }
        assert_eq!(
            Statement::writing("BEGIN SELECT 1; END;"),
            command("BEGIN SELECT 1; END;")
        );
        assert_eq!(Statement::writing(" "), Err(StatementError::Empty));
    }

    #[test]
    fn lines_of_a_message_are_the_writers() {
        for (spark, own) in [
            ("Syntax error (line 2, pos 13)", "Syntax error (line 1, pos 13)"),
            ("x; line 3 pos 7; line 2 pos 1", "x; line 2 pos 7; line 1 pos 1"),
            (
                "a line 2 of text, line 1 pos 0, line",
                "a line 2 of text, line 1 pos 0, line",
            ),
        ] {
            assert_eq!(own_lines(spark), own);
        }
    }
}
