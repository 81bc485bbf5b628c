//! The grammar of one Spark, out of its jar: what it takes, in `settings` what of the session's configuration it asks for, in `errors` what it says when
//! it cannot be had, and where a text stops being SQL.

mod errors;
mod settings;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::atn::{Atn, Takes};
use crate::class::{self, Predicate, Recognizer};
use crate::generate::{Random, Walker};
use crate::lexer::{self, Beginnings, LexerError, Rules, Token};
use crate::machine::Machine;
use crate::moves::{Moves, Network};
use crate::parsed::Parsed;
use crate::parser::{self, Ends, Stopped};
use crate::refusals;
use crate::tree::{NoTree, Read as ReadTree, Steps, Tree};

use errors::too_complex;
pub use errors::{GrammarError, SyntaxError, TOO_COMPLEX};
use settings::SETTINGS;
pub use settings::{ANSI, DOUBLE_QUOTED, SWITCHES, Set};

/// Classes in the jar.
const LEXER: &str = "org/apache/spark/sql/catalyst/parser/SqlBaseLexer.class";
const PARSER: &str = "org/apache/spark/sql/catalyst/parser/SqlBaseParser.class";
/// Bytes a class may have; that of Spark 4.3 has 528 KB.
const MOST_CLASS: u64 = 16 << 20;

/// Kinds of tokens a grammar may have; that of Spark 4.3 has some 500.
const MOST_KINDS: usize = 1 << 16;

/// Rules that take what Spark's parser then refuses with an error of its own: an identifier with a hyphen that is not quoted.
const ERRORS: [&str; 1] = ["errorCapturingIdentifierExtra"];

/// What a text is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A statement, perhaps a compound one.
    Statement,
    /// An expression, perhaps with a name: `a + 1 AS b`.
    Expression,
    /// Columns and their types: `a INT, b STRING`.
    TableSchema,
    DataType,
}

/// What is learned of a grammar while texts are parsed, and room for the next text.
#[derive(Default)]
struct Learned {
    machine: Machine,
    moves: Moves,
    ends: Ends,
    steps: Steps,
}

/// What a Spark's parser says of a text.
pub struct Reading<'g> {
    /// Where it stops, or what it refuses of the tree.
    pub error: Option<SyntaxError>,
    /// The tree, where the grammar takes the text as it is written; a text with `${variables}` it mostly does not.
    pub parsed: Option<Parsed<'g>>,
}

/// The grammar of one Spark. It can be asked from several threads at once; what it learns of the first texts makes it faster with those that follow.
pub struct Grammar {
    lexer: Atn,
    beginnings: Beginnings,
    lexer_predicates: Vec<Option<Predicate>>,
    lexer_actions: Vec<Option<String>>,
    parser: Network,
    start: usize,
    names: Names,
    rules: Vec<String>,
    kinds: Vec<String>,
    version: (u32, u32),
    switched: Vec<&'static str>,
    /// One for each thread that was at work at the same time.
    learned: Mutex<Vec<Learned>>,
}

impl Grammar {
    /// That of the Spark in this `SPARK_HOME`. Reading takes some 7 ms.
    ///
    /// # Errors
    /// When its jar cannot be read, or its grammar has something this Stoke does not know.
    pub fn of_spark(home: &Path) -> Result<Grammar, GrammarError> {
        Grammar::of_spark_with(home, &[])
    }

    /// The same where some keys of the configuration are set: [`DOUBLE_QUOTED`] and [`ANSI`].
    ///
    /// # Errors
    /// As [`Grammar::of_spark`].
    pub fn of_spark_with(home: &Path, known: &[(&str, Set)]) -> Result<Grammar, GrammarError> {
        let jars = home.join("jars");
        let named = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("spark-sql-api_") && name.ends_with(".jar")
        };
        let entries = std::fs::read_dir(&jars).into_iter().flatten().flatten();
        let jar = entries.map(|entry| entry.path()).find(named);
        Grammar::of_jar(&jar.ok_or(GrammarError::NoJar(jars))?, known)
    }

    /// That in this `spark-sql-api` jar.
    fn of_jar(jar: &Path, known: &[(&str, Set)]) -> Result<Grammar, GrammarError> {
        let failed = |cause: String| GrammarError::Jar {
            place: jar.display().to_string(),
            cause,
        };
        let file = File::open(jar).map_err(|error| failed(error.to_string()))?;
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(|error| failed(error.to_string()))?;
        let mut class = |name: &str| -> Result<Vec<u8>, GrammarError> {
            let file = archive
                .by_name(name)
                .map_err(|error| failed(format!("{name}: {error}")))?;
            let mut bytes = Vec::new();
            file.take(MOST_CLASS)
                .read_to_end(&mut bytes)
                .map_err(|error| failed(format!("{name}: {error}")))?;
            Ok(bytes)
        };
        let (lexer, parser) = (class(LEXER)?, class(PARSER)?);
        let name = jar.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let version = name.rsplit_once('-').map_or("", |(_, version)| version);
        let mut numbers = version.split('.').map_while(|part| part.parse().ok());
        let version = numbers.next().zip(numbers.next());
        let set = |key: &str, default: Set| known.iter().find(|(of, _)| *of == key).map_or(default, |(_, set)| *set);
        let ansi = set(
            ANSI,
            if version.unwrap_or_default() >= (4, 0) {
                Set::Yes
            } else {
                Set::No
            },
        );
        let mut grammar = Grammar::of_classes(&lexer, &parser, set(DOUBLE_QUOTED, Set::No).and(ansi))?;
        // Where it is not known which Spark it is, what only some versions refuse is taken.
        grammar.version = version.unwrap_or_default();
        Ok(grammar)
    }

    /// That of a compiled lexer and parser.
    fn of_classes(lexer: &[u8], parser: &[u8], double_quoted: Set) -> Result<Grammar, GrammarError> {
        let read = |place: &'static str, bytes: &[u8]| -> Result<(Recognizer, Atn), GrammarError> {
            let class = class::read(bytes).map_err(|cause| GrammarError::Class { place, cause })?;
            let atn = Atn::decode(&class.tables).map_err(|cause| GrammarError::Tables { place, cause })?;
            Ok((class, atn))
        };
        // The lexer's is the smaller one; it is done when the parser's is.
        let (lexer, parser) = std::thread::scope(|scope| {
            let lexer = scope.spawn(|| {
                let (class, atn) = read(LEXER, lexer)?;
                let beginnings = Beginnings::of(&atn);
                Ok((class, atn, beginnings))
            });
            let parser = read(PARSER, parser);
            let lexer = lexer.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
            (lexer, parser)
        });
        let (lexer_class, lexer, beginnings) = lexer?;
        let (parser_class, parser) = parser?;
        let setting = |name: &str| {
            let found = SETTINGS.iter().find(|(known, ..)| *known == name)?;
            Some(if found.1 == DOUBLE_QUOTED {
                double_quoted
            } else {
                found.2
            })
        };
        let (mut never, mut aheads) = (Vec::new(), HashMap::new());
        for (number, predicate) in &parser_class.predicates {
            let value = match predicate {
                Predicate::Constant(value) => *value,
                // Those of precedences are ways of their own in the network.
                Predicate::Asks { what, .. } if what.contains("precpred") => true,
                Predicate::Asks { what, negated } => match (setting(what), parser_class.aheads.get(what)) {
                    (Some(Set::Maybe), _) => true,
                    (Some(value), _) => (value == Set::Yes) != *negated,
                    (None, Some(ahead)) => {
                        let on = ahead.settings.iter().map(|name| setting(name).ok_or(name));
                        let on: Result<Vec<Set>, _> = on.collect();
                        let on = on
                            .map_err(|name| GrammarError::Condition(name.clone()))?
                            .into_iter()
                            .all(|on| on != Set::No);
                        if on {
                            aheads.insert(*number, (ahead.clone(), *negated));
                        }
                        on || *negated
                    }
                    _ => return Err(GrammarError::Condition(what.clone())),
                },
            };
            if !value {
                never.push(*number);
            }
        }
        let errors: Vec<usize> = ERRORS
            .iter()
            .filter_map(|name| parser_class.rules.get(*name).copied())
            .collect();
        let rule_of: Vec<usize> = parser.states.iter().map(|state| state.rule).collect();
        let parser = Network::of(parser, aheads, |state, takes| match takes {
            Takes::Predicate(number) => !never.contains(number),
            Takes::Set(_) | Takes::NotSet(_) | Takes::Any => !errors.contains(&rule_of[state]),
            _ => true,
        });
        let starts = ["compoundOrSingleStatement", "singleStatement"];
        let start = starts
            .iter()
            .find_map(|name| parser_class.rules.get(*name).copied())
            .ok_or_else(|| GrammarError::Condition("a rule singleStatement".to_owned()))?;
        let named = |name: &str| parser_class.tokens.get(name).copied().unwrap_or_default();
        let names = Names {
            identifier: named("IDENTIFIER"),
            extract: named("EXTRACT"),
            colon: named("COLON"),
        };
        let mut rules = vec![String::new(); parser.atn().starts.len()];
        for (name, number) in &parser_class.rules {
            if let Some(rule) = rules.get_mut(*number) {
                rule.clone_from(name);
            }
        }
        let mut kinds = Vec::new();
        for (name, kind) in parser_class.tokens {
            if let Ok(kind @ 0..MOST_KINDS) = usize::try_from(kind) {
                if kinds.len() <= kind {
                    kinds.resize(kind + 1, String::new());
                }
                kinds[kind] = name;
            }
        }
        Ok(Grammar {
            beginnings,
            lexer,
            lexer_predicates: numbered(lexer_class.predicates),
            lexer_actions: numbered(lexer_class.actions),
            parser,
            start,
            names,
            rules,
            kinds,
            version: (0, 0),
            switched: Vec::new(),
            learned: Mutex::default(),
        })
    }

    /// The same, with some of the [`SWITCHES`] set: what hangs on them is taken.
    #[must_use]
    pub fn switched(mut self, keys: impl IntoIterator<Item = &'static str>) -> Grammar {
        self.switched.extend(keys);
        self
    }

    /// Whether one of the [`SWITCHES`] is set.
    pub(crate) fn switches(&self, key: &str) -> bool {
        self.switched.contains(&key)
    }

    /// The Spark it is of, as far as it is known: its first two numbers.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// The name of a rule.
    pub fn rule(&self, number: usize) -> &str {
        self.rules.get(number).map_or("", String::as_str)
    }

    /// The name of a kind of token.
    pub fn kind(&self, number: i32) -> &str {
        let kind = usize::try_from(number).ok().and_then(|kind| self.kinds.get(kind));
        kind.map_or("", String::as_str)
    }

    /// A statement this grammar takes, drawn at random; `budget` is about how many tokens it has.
    #[doc(hidden)]
    pub fn draw(&self, budget: usize, random: &mut Random) -> String {
        let kinds = Walker::of_parser(&self.parser).sentence(self.start, budget, random);
        let lexer = Walker::of_lexer(&self.lexer);
        let mut text = String::new();
        for kind in kinds.into_iter().filter(|kind| *kind > 0) {
            let Some(rule) = self.lexer.rule_tokens.iter().position(|token| *token == kind) else {
                continue;
            };
            let symbols = lexer.sentence(rule, 6, random);
            text.extend(
                symbols
                    .into_iter()
                    .filter_map(|symbol| char::from_u32(u32::try_from(symbol).ok()?)),
            );
            text.push(' ');
        }
        text
    }

    /// Whether this Spark's parser takes a text as one statement, or a compound one. Spark puts the values of `${variables}` in before it parses; as they are
    /// not known, the text is taken where it is right with nothing, a name or a number in their place.
    ///
    /// Cost: linear in the text for what people write and for long lists, joins and parentheses, some 15 µs for a statement of twenty words; more than linear
    /// for thousands of `CASE`s, `NOT`s or lambdas inside each other, which the grammar lets be read in many ways. What takes more than a budget is not
    /// read to its end, and is an error of the condition [`TOO_COMPLEX`].
    ///
    /// # Errors
    /// Where it stops.
    pub fn check(&self, sql: &str) -> Result<(), SyntaxError> {
        self.check_as(Entry::Statement, sql)
    }

    /// The same of something that is not a statement.
    ///
    /// # Errors
    /// Where it stops.
    pub fn check_as(&self, entry: Entry, sql: &str) -> Result<(), SyntaxError> {
        self.read_as(entry, sql).error.map_or(Ok(()), Err)
    }

    /// The tree of a text that the grammar takes, whatever Spark's tree builder says of it.
    ///
    /// # Errors
    /// Where the parser stops.
    pub fn parse(&self, entry: Entry, sql: &str) -> Result<Parsed<'_>, SyntaxError> {
        self.parse_text(entry, sql.chars().collect())
    }

    /// What [`Grammar::check_as`] and [`Grammar::parse`] say of a text, for reading it once.
    pub fn read_as(&self, entry: Entry, sql: &str) -> Reading<'_> {
        let text: Vec<char> = sql.chars().collect();
        let first = substituted(&text, ' ');
        if first == text {
            return match self.parse_text(entry, text) {
                Ok(parsed) => Reading {
                    error: refusals::first(&parsed),
                    parsed: Some(parsed),
                },
                Err(error) => Reading {
                    error: Some(error),
                    parsed: None,
                },
            };
        }
        // Only its form can be told: what Spark's tree builder says may hang on the values.
        let mut error = self.parse_text(entry, first).err();
        if error.is_some() {
            let others = ['x', '1'].map(|value| self.parse_text(entry, substituted(&text, value)));
            if others.iter().any(Result::is_ok) {
                error = None;
            }
        }
        Reading {
            error,
            parsed: self.parse_text(entry, text).ok(),
        }
    }

    fn parse_text(&self, entry: Entry, text: Vec<char>) -> Result<Parsed<'_>, SyntaxError> {
        let start = match entry {
            Entry::Statement => Some(self.start),
            Entry::Expression => self.rule_named("singleExpression"),
            Entry::TableSchema => self.rule_named("singleTableSchema"),
            Entry::DataType => self.rule_named("singleDataType"),
        };
        let stopped = |index: usize, message: String| SyntaxError::at(&text, index, "PARSE_SYNTAX_ERROR", message);
        let start = start.ok_or_else(|| stopped(0, format!("this Spark's grammar has no rule for {entry:?}")))?;
        let rules = Rules {
            atn: &self.lexer,
            beginnings: &self.beginnings,
            predicates: &self.lexer_predicates,
            actions: &self.lexer_actions,
        };
        let mut learned = self.lock().pop().unwrap_or_default();
        let read = self.read(&mut learned, &rules, start, &text, stopped);
        learned.machine.trim();
        learned.moves.trim();
        self.lock().push(learned);
        let (tokens, tree) = read?;
        Ok(Parsed {
            grammar: self,
            text,
            tokens,
            tree,
        })
    }

    /// How much was done for all texts so far, in steps: for tests of how that grows with a text.
    #[doc(hidden)]
    pub fn work(&self) -> u64 {
        let of = |learned: &Learned| learned.machine.made + learned.ends.looked + learned.steps.count;
        self.lock().iter().map(of).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tokens and the tree of a text.
    fn read(
        &self,
        learned: &mut Learned,
        rules: &Rules<'_>,
        start: usize,
        text: &[char],
        stopped: impl Fn(usize, String) -> SyntaxError,
    ) -> Result<(Vec<Token>, Tree), SyntaxError> {
        let Learned {
            machine,
            moves,
            ends,
            steps,
        } = learned;
        let mut tokens = lexer::tokens(rules, machine, text).map_err(|error| match error {
            LexerError::Nothing(index) => stopped(index, format!("no token begins with {:?}", text[index])),
            LexerError::UnclosedComment(index) => SyntaxError::at(
                text,
                index,
                "UNCLOSED_BRACKETED_COMMENT",
                "a comment begins here and does not end".to_owned(),
            ),
            LexerError::DeepComment(index) => too_complex(text, index),
            LexerError::Unknown(what) => stopped(0, format!("this Spark's lexer has something unknown: {what}")),
        })?;
        self.refuse_names(text, &mut tokens);
        parser::accepts(&self.parser, moves, ends, start, &tokens).map_err(|why| {
            let index = match why {
                Stopped::At(index) => index,
                Stopped::Budget(index) => return too_complex(text, tokens[index].from),
            };
            let token = tokens[index];
            match token.from == token.to {
                true => stopped(token.from, "the statement ends too early".to_owned()),
                false => {
                    let near: String = text[token.from..token.to].iter().collect();
                    stopped(token.from, format!("syntax error at or near '{near}'"))
                }
            }
        })?;
        let mut read = ReadTree {
            network: &self.parser,
            moves,
            tokens: &tokens,
            ends,
            steps,
        };
        // There is a way, as the parser takes it; were there none, nothing would be said of the tree.
        let tree = match read.tree(start) {
            Ok(tree) => tree,
            Err(NoTree::NoWay) => Tree::default(),
            Err(NoTree::Budget) => return Err(too_complex(text, 0)),
        };
        Ok((tokens, tree))
    }

    fn rule_named(&self, name: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule == name)
    }
}

/// The text with a value in place of each `${variable}`, at the same places otherwise.
fn substituted(text: &[char], value: char) -> Vec<char> {
    let mut text = text.to_vec();
    let mut from = 0;
    while let Some(start) = text[from..].windows(2).position(|pair| pair == ['$', '{']) {
        let start = from + start;
        let Some(length) = text[start..].iter().position(|c| *c == '}') else {
            break;
        };
        text[start..=start + length].fill(' ');
        text[start] = value;
        from = start + length;
    }
    text
}

impl Grammar {
    /// The lexer takes more than Spark lets stand for a name that is not quoted (letters and digits of ASCII, and `_`). Such a token stands for no type the
    /// grammar names: it may still be a part of a path, which may be anything. Spark does not look at the field of `EXTRACT` nor behind a `:`.
    fn refuse_names(&self, text: &[char], tokens: &mut [Token]) {
        let names = &self.names;
        for index in 0..tokens.len() {
            let token = tokens[index];
            if token.kind == names.colon {
                return;
            }
            let field = index > 1 && tokens[index - 2].kind == names.extract;
            let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            if token.kind == names.identifier && !field && !text[token.from..token.to].iter().all(plain) {
                tokens[index].kind = self.parser.atn().max_token + 1;
            }
        }
    }
}

/// Tokens this room asks for by name; 0, which is not a token, where the grammar has none.
struct Names {
    identifier: i32,
    extract: i32,
    colon: i32,
}

fn numbered<T>(by_number: std::collections::BTreeMap<usize, T>) -> Vec<Option<T>> {
    let mut list = Vec::new();
    for (number, value) in by_number {
        list.resize_with(number + 1, || None);
        list[number] = Some(value);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_grammar_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let said = |error: Option<GrammarError>| error.map(|error| error.to_string()).unwrap_or_default();
        assert!(said(Grammar::of_spark(directory.path()).err()).contains("there is no spark-sql-api_"));
        let jars = directory.path().join("jars");
        std::fs::create_dir(&jars).unwrap();
        let jar = jars.join("spark-sql-api_2.13-9.9.9.jar");
        std::fs::write(&jar, "no archive").unwrap();
        assert!(said(Grammar::of_spark(directory.path()).err()).contains("9.9.9.jar"));
        zip::ZipWriter::new(File::create(&jar).unwrap()).finish().unwrap();
        assert!(said(Grammar::of_spark(directory.path()).err()).contains("SqlBaseLexer.class"));
        assert!(said(Grammar::of_classes(b"no class", b"", Set::No).err()).contains("cannot be read"));
    }

    #[test]
    fn variables_are_filled_where_they_stand() {
        for (text, filled) in [
            ("a ${b} c", "a x    c"),
            ("${a}${b}", "x   x   "),
            ("${open", "${open"),
            ("$x {y}", "$x {y}"),
        ] {
            let text: Vec<char> = text.chars().collect();
            assert_eq!(substituted(&text, 'x').into_iter().collect::<String>(), filled);
        }
    }
}
