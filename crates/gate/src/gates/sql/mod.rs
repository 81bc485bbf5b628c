//! Spark SQL in files and in Python, parsed as the job's own Spark parses it.
//!
//! The grammar is read out of that Spark's jar (room `sql`); with no Spark of that version at hand the gate cannot tell, and only looks for what is wrong in
//! any version ([`weak`]). [`habits`] of statements are warnings. [`names`] of tables and columns are looked at against the [`schema`] that the job gives.

mod habits;
mod names;
mod scan;
pub mod schema;
mod weak;

use std::sync::Arc;

use stoke_model::manifest::{Place, Severity, Source};
use stoke_sql::{Entry, Grammar};

use self::habits::{Partitions, Statement};
use self::scan::Token;
use self::schema::Schema;
use super::Looked;
use crate::Settings;
use crate::finding::Finding;
use crate::job::{File, Job, Kind};
use crate::python;

/// A text with SQL, and where its characters stand in the file.
struct Text {
    source: Arc<Source>,
    characters: Vec<char>,
    /// Byte of each character in the file; empty when the text is the file.
    offsets: Vec<usize>,
    /// True for one statement, which no semicolon takes apart.
    single: bool,
    /// What it is.
    entry: Entry,
    /// Whether a type, or the fields of a structure, are as good as what it is.
    ddl: bool,
}

/// Grammars by the version they were asked for.
struct Grammars {
    known: Vec<(String, Grammar)>,
    missing: Vec<(String, String)>,
}

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let mut findings = Vec::new();
    let mut texts = Vec::new();
    for file in &job.files {
        match file.kind {
            Kind::Sql => texts.extend(of_file(file, &mut findings)),
            Kind::Python => texts.extend(of_python(file, &mut findings)),
            _ => {}
        }
    }
    if texts.is_empty() {
        return Looked::at(findings.len(), "statement", findings);
    }
    let grammars = Grammars::of(job, settings);
    for (version, why) in &grammars.missing {
        let message = format!("SQL of Spark {version} is not checked against its grammar: {why}");
        let fix = format!(
            "`stoke runtime install {version}` fetches that Spark; until then only what no Spark takes is found"
        );
        findings.push(Finding::cannot_tell("sql-no-grammar", "", message).with_fix(fix));
    }
    let mut read = Vec::new();
    for text in &texts {
        match scan::tokens(&text.characters) {
            Ok(tokens) => read.push((text, tokens)),
            Err(unclosed) => {
                let message = format!("{} begins here and does not end", unclosed.what);
                findings.push(text.finding(Severity::Error, "sql-syntax", unclosed.from, message));
            }
        }
    }
    let partitions: Partitions = read
        .iter()
        .flat_map(|(text, tokens)| {
            let ranges = scan::statements(tokens).into_iter();
            ranges.filter_map(|range| Statement::new(&text.characters, &tokens[range]).partitions())
        })
        .collect();
    let schema = schema_of(job, &read, &grammars);
    let mut count = 0;
    for (text, tokens) in &read {
        count += look_at(text, tokens, &grammars, &partitions, &schema, &mut findings);
    }
    Looked::at(count.max(findings.len().min(1)), "statement", findings)
}

/// What the job says of tables: its `CREATE TABLE` statements and the data contracts beside them.
fn schema_of(job: &Job, read: &[(&Text, Vec<Token>)], grammars: &Grammars) -> Schema {
    let mut schema = Schema::default();
    for file in &job.files {
        match file.kind {
            Kind::Python if file.source.text().contains("TempView(") => schema.has_views(),
            Kind::Contract => schema::of_contract(&file.source, &mut schema),
            _ => {}
        }
    }
    let Some((_, grammar)) = grammars.known.first() else {
        return schema;
    };
    for (text, tokens) in read {
        for range in scan::statements(tokens) {
            if let Some((_, written)) = text.statement(&tokens[range])
                && let Ok(parsed) = grammar.parse(Entry::Statement, &written)
            {
                schema.add_statement(&parsed);
            }
        }
    }
    schema
}

/// Checks the statements of a text; returns how many there are.
fn look_at(
    text: &Text,
    tokens: &[Token],
    grammars: &Grammars,
    partitions: &Partitions,
    schema: &Schema,
    findings: &mut Vec<Finding>,
) -> usize {
    let mut ranges = scan::statements(tokens);
    if text.single && !tokens.is_empty() {
        ranges = std::iter::once(0..tokens.len()).collect();
    }
    let mut count = 0;
    while !ranges.is_empty() {
        let mut range = ranges.remove(0);
        count += 1;
        let mut wrong = grammars.check(text, &tokens[range.clone()]);
        // A compound statement has semicolons of its own: it is as long as its parser says.
        if !wrong.is_empty() && begins_block(text, &tokens[range.clone()]) {
            for (more, end) in ranges.iter().map(|range| range.end).enumerate() {
                let whole = range.start..tokens.len().min(end + 1);
                let with = [whole.clone(), range.start..end];
                if let Some(whole) = with
                    .into_iter()
                    .find(|whole| grammars.check(text, &tokens[whole.clone()]).is_empty())
                {
                    (range, wrong) = (whole, Vec::new());
                    ranges.drain(..=more);
                    break;
                }
            }
        }
        let statement = text.entry == Entry::Statement;
        if wrong.is_empty() && grammars.known.is_empty() && statement {
            wrong = weak::check(text.characters.as_slice(), &tokens[range.clone()])
                .into_iter()
                .collect();
        }
        if wrong.is_empty() && statement {
            let statement = Statement::new(&text.characters, &tokens[range.clone()]);
            for unknown in grammars.unknown(text, &tokens[range], schema) {
                let severity = match unknown.code {
                    "sql-unknown-table" => Severity::Warning,
                    _ => Severity::Error,
                };
                let mut finding = text.finding(severity, unknown.code, unknown.at, unknown.message);
                finding.fix = unknown.fix;
                findings.push(finding);
            }
            for habit in habits::habits(&statement, partitions) {
                let finding = text.finding(Severity::Warning, habit.code, habit.at, habit.message);
                findings.push(finding.with_fix(habit.fix));
            }
        }
        for (at, message) in wrong {
            findings.push(text.finding(Severity::Error, "sql-syntax", at, message));
        }
    }
    count
}

fn begins_block(text: &Text, tokens: &[Token]) -> bool {
    let word = |index: usize| {
        tokens.get(index).map(|token| {
            text.characters[token.from..token.to]
                .iter()
                .collect::<String>()
                .to_ascii_uppercase()
        })
    };
    word(0).as_deref() == Some("BEGIN") || (word(1).as_deref() == Some(":") && word(2).as_deref() == Some("BEGIN"))
}

impl Grammars {
    /// Those of the versions that the job's applications name, or of the one that is asked for, or of the newest at hand.
    fn of(job: &Job, settings: &Settings) -> Grammars {
        let mut versions = settings.spark_versions(job);
        if versions.is_empty() {
            let newest = settings
                .runtimes
                .iter()
                .map(|(version, _)| version)
                .max_by_key(|version| numbers(version));
            versions.push(newest.cloned().unwrap_or_else(|| "4.1.4".to_owned()));
        }
        let mut grammars = Grammars {
            known: Vec::new(),
            missing: Vec::new(),
        };
        // Wherever a job names one of them, in its configuration or in a program, it may be set.
        let named = |key: &&str| job.files.iter().any(|file| file.source.text().contains(*key));
        let switches: Vec<&'static str> = stoke_sql::SWITCHES.into_iter().filter(named).collect();
        for version in versions {
            // A patch release does not change the grammar.
            let minor = |text: &str| numbers(text).into_iter().take(2).collect::<Vec<_>>();
            let exact = settings.runtimes.iter().find(|(at_hand, _)| *at_hand == version);
            let near = || {
                settings
                    .runtimes
                    .iter()
                    .find(|(at_hand, _)| minor(at_hand) == minor(&version))
            };
            match exact.or_else(near).map(|(_, home)| Grammar::of_spark(home)) {
                Some(Ok(grammar)) => grammars.known.push((version, grammar.switched(switches.clone()))),
                Some(Err(cause)) => grammars.missing.push((version, cause.to_string())),
                None => grammars
                    .missing
                    .push((version, "no such Spark is installed".to_owned())),
            }
        }
        grammars
    }

    /// What is wrong with a statement: where, and what; by the versions that say so.
    fn check(&self, text: &Text, tokens: &[Token]) -> Vec<(usize, String)> {
        let Some((from, written)) = text.statement(tokens) else {
            return Vec::new();
        };
        let mut wrong: Vec<(usize, String, Vec<&str>)> = Vec::new();
        for (version, grammar) in &self.known {
            let Err(error) = grammar.check_as(text.entry, &written) else {
                continue;
            };
            let fields = || format!("struct<{written}>");
            if text.ddl
                && (grammar.check_as(Entry::DataType, &written).is_ok()
                    || grammar.check_as(Entry::DataType, &fields()).is_ok())
            {
                continue;
            }
            let at = from + character(&written, error.line, error.column);
            match wrong.iter_mut().find(|known| known.0 == at && known.1 == error.message) {
                Some(known) => known.2.push(version),
                None => wrong.push((at, error.message, vec![version])),
            }
        }
        let said = wrong.into_iter();
        said.map(|(at, message, versions)| (at, format!("Spark {}: {message}", versions.join(", "))))
            .collect()
    }
}

impl Grammars {
    /// Tables and columns that a statement names and that are not there.
    fn unknown(&self, text: &Text, tokens: &[Token], schema: &Schema) -> Vec<names::Unknown> {
        let (Some((_, grammar)), Some((from, written))) = (self.known.first(), text.statement(tokens)) else {
            return Vec::new();
        };
        let Ok(parsed) = grammar.parse(Entry::Statement, &written) else {
            return Vec::new();
        };
        let mut found = names::unknown(&parsed, schema);
        for unknown in &mut found {
            unknown.at += from;
        }
        found
    }
}

impl Text {
    /// A statement by its tokens: its first character, and how it is written.
    fn statement(&self, tokens: &[Token]) -> Option<(usize, String)> {
        let (first, last) = (tokens.first()?, tokens.last()?);
        Some((first.from, self.characters[first.from..last.to].iter().collect()))
    }

    fn finding(&self, severity: Severity, code: &'static str, character: usize, message: String) -> Finding {
        let offset = if self.offsets.is_empty() {
            self.characters.iter().take(character).map(|c| c.len_utf8()).sum()
        } else {
            let last = self.offsets.last().copied().unwrap_or_default();
            self.offsets.get(character).copied().unwrap_or(last)
        };
        let mut place: Place = self.source.place_at(offset);
        let rest = &self.source.text()[place.start..];
        let word = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        place.end = place.start + word.max(rest.chars().next().map_or(0, char::len_utf8));
        Finding::at(severity, code, &self.source, place, "", message)
    }
}

fn of_file(file: &File, findings: &mut Vec<Finding>) -> Option<Text> {
    let text = file.source.text();
    if text.contains("{{") || text.contains("{%") {
        let message = "this is a template; what it becomes is not known before it is rendered";
        let fix = "check what is rendered (for dbt: the files under target/compiled)";
        findings.push(Finding::cannot_tell("sql-template", &file.name, message).with_fix(fix));
        return None;
    }
    Some(Text {
        source: Arc::clone(&file.source),
        characters: text.chars().collect(),
        offsets: Vec::new(),
        single: false,
        entry: Entry::Statement,
        ddl: false,
    })
}

fn of_python(file: &File, findings: &mut Vec<Finding>) -> Vec<Text> {
    match python::sql_strings(file.source.text()) {
        Ok(found) => {
            let text = |found: python::SqlString| Text {
                source: Arc::clone(&file.source),
                characters: found.sql.chars().collect(),
                offsets: found.offsets,
                single: true,
                entry: match found.kind {
                    python::Form::Statement => Entry::Statement,
                    python::Form::Expression => Entry::Expression,
                    python::Form::Schema | python::Form::Ddl => Entry::TableSchema,
                    python::Form::Type => Entry::DataType,
                },
                ddl: found.kind == python::Form::Ddl,
            };
            found.into_iter().map(text).collect()
        }
        Err(python::NoPython { at }) => {
            let place = file.source.place_at(at);
            let message = "this is no Python from here on; SQL in it cannot be told";
            findings.push(
                Finding::at(Severity::Error, "python-syntax", &file.source, place, "", message)
                    .with_fix("`python3 -m py_compile FILE` tells what Python says of it"),
            );
            Vec::new()
        }
    }
}

/// The character of a line and column.
fn character(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(|line| line.chars().count())
        .sum();
    before + column.saturating_sub(1)
}

/// The numbers of a version, for comparing.
fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::*;

    fn codes(files: &[(&str, &str)]) -> Vec<(String, String, bool)> {
        let all = found(files, look).into_iter();
        all.map(|finding| (finding.code.to_string(), finding.place(), finding.cannot_tell))
            .collect()
    }

    fn said(code: &str, place: &str, cannot_tell: bool) -> (String, String, bool) {
        (code.to_owned(), place.to_owned(), cannot_tell)
    }

    #[test]
    fn without_a_spark_it_cannot_tell_and_says_so() {
        let missing = said("sql-no-grammar", "the job", true);
        assert_eq!(codes(&[("a.sql", "SELECT 1;")]), std::slice::from_ref(&missing));
        assert_eq!(
            codes(&[("a.sql", "SELECT 'a;")]),
            [missing.clone(), said("sql-syntax", "a.sql:1:8", false)]
        );
        assert_eq!(
            codes(&[("a.sql", "SELECT (1;")]),
            [missing.clone(), said("sql-syntax", "a.sql:1:8", false)]
        );
        assert_eq!(
            codes(&[("a.py", "spark.sql('''\nSELCT 1''')")]),
            [missing, said("sql-syntax", "a.py:2:1", false)]
        );
    }

    #[test]
    fn what_has_no_sql_asks_for_no_spark() {
        assert_eq!(codes(&[("a.py", "print(1)"), ("b.yaml", "a: 1")]), []);
        assert_eq!(codes(&[("a.py", "print(")]), [said("python-syntax", "a.py:1:1", false)]);
        assert_eq!(
            codes(&[("m.sql", "SELECT * FROM {{ ref('a') }}")]),
            [said("sql-template", "m.sql", true)]
        );
    }

    #[test]
    fn characters_of_lines_and_columns() {
        assert_eq!(character("ab\ncd", 2, 2), 4);
        assert_eq!(character("é", 1, 1), 0);
    }
}
