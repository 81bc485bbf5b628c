//! Spark SQL in files and in Python, parsed as the job's own Spark parses it.
//!
//! The grammar is read out of that Spark's jar (room `sql`); with no Spark of that version at hand the gate cannot tell, and only looks for what is wrong in
//! any version ([`weak`]). [`habits`] of statements are warnings. [`names`] of tables and columns are looked at against the [`schema`] that the job gives.

mod habits;
mod joins;
mod names;
mod scan;
pub mod schema;
mod weak;

use std::ops::Range;
use std::sync::Arc;

use stoke_diagnostics::{Diagnostic, Place, Severity, Source};
use stoke_sql::{Entry, Grammar, Parsed, Set};

use self::habits::{Partitions, Statement};
use self::scan::Token;
use self::schema::Schema;
use super::Looked;
use crate::Settings;
use crate::cores::in_order;
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

/// What the grammars say of a statement.
#[derive(Default)]
struct Reading<'g> {
    /// Where, and what.
    wrong: Vec<(usize, String)>,
    /// Where reading was given up, and why.
    unread: Option<(usize, String)>,
    /// The first place where a parser stops.
    stopped: Option<usize>,
    /// The statement's first character, and its tree.
    parsed: Option<(usize, Parsed<'g>)>,
}

/// Grammars by the version they were asked for.
struct Grammars {
    known: Vec<(String, Grammar)>,
    missing: Vec<(String, String)>,
}

/// Statements that take about as long as a thread takes to learn the grammar.
const WORTH_A_THREAD: usize = 32;

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
        findings.push(Diagnostic::cannot_tell("sql-no-grammar", "", message).with_fix(fix));
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
    let small = small_views(&read);
    let schema = schema_of(job, &read, &grammars);
    let look = Look {
        grammars: &grammars,
        partitions: &partitions,
        small: &small,
        schema: &schema,
    };
    let mut cuts: Vec<(&Text, &[Token], Range<usize>)> = Vec::new();
    for (text, tokens) in &read {
        let ranges = match text.single && !tokens.is_empty() {
            true => std::iter::once(0..tokens.len()).collect(),
            false => scan::statements(tokens),
        };
        cuts.extend(ranges.into_iter().map(|range| (*text, tokens.as_slice(), range)));
    }
    let judged = in_order(&cuts, WORTH_A_THREAD, |(text, tokens, range)| {
        (!settings.is_late()).then(|| look.at(text, &tokens[range.clone()]))
    });
    let left = judged.iter().filter(|judged| judged.is_none()).count();
    findings.extend(Looked::late(left, "statement"));
    let mut judged = judged.into_iter().map(Option::unwrap_or_default);
    let (mut count, mut number) = (0, 0);
    while let (Some((text, tokens, range)), Some(mut first)) = (cuts.get(number), judged.next()) {
        (count, number) = (count + 1, number + 1);
        // A compound statement has semicolons of its own: it is as long as its parser says.
        if !first.wrong.is_empty() && !grammars.known.is_empty() && begins_block(text, &tokens[range.clone()]) {
            let same_text = |(other, ..): &&(&Text, &[Token], Range<usize>)| std::ptr::eq(*other, *text);
            let more = cuts[number..]
                .iter()
                .take_while(same_text)
                .map(|(_, _, range)| range.end);
            if let Some((more, whole)) = look.compound(text, tokens, range.start, more) {
                first = whole;
                number += more;
                judged.nth(more - 1);
            }
        }
        findings.extend(first.findings(text));
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
            let tokens = &tokens[range];
            if schema::may_define(&text.characters, tokens)
                && let Some((_, written)) = text.statement(tokens)
                && let Ok(parsed) = grammar.parse(Entry::Statement, &written)
            {
                schema.add_statement(&parsed);
            }
        }
    }
    schema
}

/// Views of few rows that the job makes.
fn small_views(read: &[(&Text, Vec<Token>)]) -> joins::Small {
    let mut small = joins::Small::new();
    for (text, tokens) in read {
        for range in scan::statements(tokens) {
            let view = Statement::new(&text.characters, &tokens[range]).small_view(&small);
            small.extend(view);
        }
    }
    small
}

/// What statements are looked at with.
struct Look<'a> {
    grammars: &'a Grammars,
    partitions: &'a Partitions,
    small: &'a joins::Small,
    schema: &'a Schema,
}

/// What is to be said of a statement, at characters of its text.
#[derive(Clone, Default)]
struct Judged {
    wrong: Vec<(usize, String)>,
    unread: Option<(usize, String)>,
    unknown: Vec<names::Unknown>,
    habits: Vec<habits::Habit>,
}

impl Look<'_> {
    /// The compound statement that begins at a token and goes on over some of the statements that end at `ends`: over how many, and what is to be said of it.
    fn compound(
        &self,
        text: &Text,
        tokens: &[Token],
        start: usize,
        ends: impl Iterator<Item = usize>,
    ) -> Option<(usize, Judged)> {
        for (more, end) in ends.enumerate() {
            for whole in [start..tokens.len().min(end + 1), start..end] {
                let said = self.grammars.read(text, &tokens[whole.clone()]);
                if said.wrong.is_empty() {
                    return Some((more + 1, self.at(text, &tokens[whole])));
                }
                // What is wrong well before the end stays wrong, whatever follows.
                let settled = tokens[whole].iter().rev().nth(3).map_or(0, |token| token.from);
                if said.stopped.is_some_and(|at| at < settled) {
                    return None;
                }
            }
        }
        None
    }

    fn at(&self, text: &Text, tokens: &[Token]) -> Judged {
        let Reading {
            mut wrong,
            parsed,
            unread,
            ..
        } = self.grammars.read(text, tokens);
        if text.entry != Entry::Statement || unread.is_some() {
            return Judged {
                wrong,
                unread,
                ..Judged::default()
            };
        }
        if wrong.is_empty() && self.grammars.known.is_empty() {
            wrong = weak::check(text.characters.as_slice(), tokens).into_iter().collect();
        }
        let mut judged = Judged {
            wrong,
            ..Judged::default()
        };
        if judged.wrong.is_empty() {
            if let Some((from, parsed)) = parsed {
                judged.unknown = names::unknown(&parsed, self.schema);
                judged.unknown.iter_mut().for_each(|unknown| unknown.at += from);
            }
            judged.habits = habits::habits(&Statement::new(&text.characters, tokens), self.partitions, self.small);
        }
        judged
    }
}

impl Judged {
    fn findings(self, text: &Text) -> impl Iterator<Item = Diagnostic> {
        let unknown = self.unknown.into_iter().map(|unknown| {
            let severity = match unknown.code {
                "sql-unknown-table" => Severity::Warning,
                _ => Severity::Error,
            };
            let mut finding = text.finding(severity, unknown.code, unknown.at, unknown.message);
            finding.fix = unknown.fix.map(Into::into);
            finding
        });
        let habits = self.habits.into_iter().map(|habit| {
            let finding = text.finding(Severity::Warning, habit.code, habit.at, habit.message);
            finding.with_fix(habit.fix)
        });
        let unread = self.unread.into_iter().map(|(at, message)| {
            let mut finding = text.finding(Severity::Error, "sql-too-complex", at, message);
            finding.cannot_tell = true;
            finding.with_fix(
                "write it flat: a list for `IN`, a table to join for thousands of `CASE`s, several statements",
            )
        });
        let wrong = self.wrong.into_iter();
        let wrong = wrong.map(|(at, message)| text.finding(Severity::Error, "sql-syntax", at, message));
        unknown.chain(habits).chain(unread).chain(wrong)
    }
}

/// What a job says of a key of the configuration; none where it does not name it. What a program sets may hold for some of the statements only.
fn value_of(job: &Job, key: &str) -> Option<Set> {
    let mut said: Option<Set> = None;
    for file in &job.files {
        let for_all = matches!(file.kind, Kind::Manifest { .. } | Kind::Properties);
        for (at, _) in file.source.text().match_indices(key) {
            let rest = &file.source.text()[at + key.len()..];
            let value = rest.trim_start_matches(|c: char| c.is_whitespace() || "\"'`:=,".contains(c));
            let word = value
                .split(|c: char| !c.is_ascii_alphanumeric())
                .next()
                .unwrap_or_default();
            // A longer key, or what is only named.
            if rest.starts_with(|c: char| c.is_alphanumeric() || c == '.') {
                continue;
            }
            let set = match word.to_ascii_lowercase().as_str() {
                "true" if for_all => Set::Yes,
                "false" if for_all => Set::No,
                _ => Set::Maybe,
            };
            said = Some(match said {
                Some(before) if before != set => Set::Maybe,
                _ => set,
            });
        }
    }
    said
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
        let set: Vec<(&str, Set)> = [stoke_sql::DOUBLE_QUOTED, stoke_sql::ANSI]
            .into_iter()
            .filter_map(|key| Some((key, value_of(job, key)?)))
            .collect();
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
            match exact.or_else(near).map(|(_, home)| Grammar::of_spark_with(home, &set)) {
                Some(Ok(grammar)) => grammars.known.push((version, grammar.switched(switches.clone()))),
                Some(Err(cause)) => grammars.missing.push((version, cause.to_string())),
                None => grammars
                    .missing
                    .push((version, "no such Spark is installed".to_owned())),
            }
        }
        grammars
    }

    /// What is wrong with a statement, by the versions that say so; and its tree as the first of them has it.
    fn read(&self, text: &Text, tokens: &[Token]) -> Reading<'_> {
        let mut said = Reading::default();
        let Some((from, written)) = text.statement(tokens) else {
            return said;
        };
        let mut wrong: Vec<(usize, String, Vec<&str>)> = Vec::new();
        for (number, (version, grammar)) in self.known.iter().enumerate() {
            let read = grammar.read_as(text.entry, &written);
            // What a variable stands for may fix it.
            let stopped = read.parsed.is_none() && !written.contains("${");
            if number == 0 {
                said.parsed = read.parsed.map(|parsed| (from, parsed));
            }
            let Some(error) = read.error else { continue };
            let fields = || format!("struct<{written}>");
            if text.ddl
                && (grammar.check_as(Entry::DataType, &written).is_ok()
                    || grammar.check_as(Entry::DataType, &fields()).is_ok())
            {
                continue;
            }
            let at = from + character(&written, error.line, error.column);
            if error.condition == stoke_sql::TOO_COMPLEX {
                said.unread = Some((at, error.message));
                continue;
            }
            if stopped {
                said.stopped = Some(said.stopped.map_or(at, |first| first.min(at)));
            }
            match wrong.iter_mut().find(|known| known.0 == at && known.1 == error.message) {
                Some(known) => known.2.push(version),
                None => wrong.push((at, error.message, vec![version])),
            }
        }
        let by_versions = wrong.into_iter();
        said.wrong = by_versions
            .map(|(at, message, versions)| (at, format!("Spark {}: {message}", versions.join(", "))))
            .collect();
        said
    }
}

impl Text {
    /// A statement by its tokens: its first character, and how it is written.
    fn statement(&self, tokens: &[Token]) -> Option<(usize, String)> {
        let (first, last) = (tokens.first()?, tokens.last()?);
        Some((first.from, self.characters[first.from..last.to].iter().collect()))
    }

    fn finding(&self, severity: Severity, code: &'static str, character: usize, message: String) -> Diagnostic {
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
        Diagnostic::at(severity, code, &self.source, place, "", message)
    }
}

fn of_file(file: &File, findings: &mut Vec<Diagnostic>) -> Option<Text> {
    let text = file.source.text();
    if text.contains("{{") || text.contains("{%") {
        let message = "this is a template; what it becomes is not known before it is rendered";
        let fix = "check what is rendered (for dbt: the files under target/compiled)";
        findings.push(Diagnostic::cannot_tell("sql-template", &file.name, message).with_fix(fix));
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

fn of_python(file: &File, findings: &mut Vec<Diagnostic>) -> Vec<Text> {
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
        Err(cause @ python::NoPython::TooMuch { at }) => {
            let place = file.source.place_at(at);
            let finding = Diagnostic::at(Severity::Error, "too-much", &file.source, place, "", cause.to_string());
            findings.push(finding.unknown().with_fix("keep SQL of that size in files of its own"));
            Vec::new()
        }
        Err(python::NoPython::Syntax { at }) => {
            let place = file.source.place_at(at);
            let message = "this is not valid Python from here on; SQL in it cannot be determined";
            findings.push(
                Diagnostic::at(Severity::Error, "python-syntax", &file.source, place, "", message)
                    .with_fix("`python3 -m py_compile FILE` shows Python's error"),
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
        let missing = said("sql-no-grammar", "", true);
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
