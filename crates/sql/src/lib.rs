//! Room `sql`: whether a text is SQL, as the parser of one Spark takes it.
//!
//! In: a Spark (its `spark-sql-api` jar) and a text. Out: accepted, or where the parser would stop. There is no grammar in this room: [`class`] reads
//! the tables that ANTLR compiled into that Spark's own lexer and parser, [`atn`] decodes them, [`lexer`] and [`parser`] interpret them, [`tree`] says which
//! rule took which words, [`grammar`] puts the pieces together. So the grammar is always the right one, whichever Spark it is. Spark's parser then builds a
//! plan of the tree, and refuses there what its grammar cannot say; what it refuses is in `refusals`, by the names Spark has for it.
//!
//! What does not depend on the text is found out once for a run: `machine` for the lexer, `moves` for the parser.
//!
//! Never: what Spark checks after parsing (tables, columns, types); nor any JVM.
//!
//! ```no_run
//! let grammar = stoke_sql::Grammar::of_spark("/opt/spark".as_ref())?;
//! assert!(grammar.check("SELECT 1").is_ok());
//! let error = grammar.check("SELECT FROM WHERE").expect_err("not SQL");
//! println!("{error}");
//! # Ok::<(), stoke_sql::GrammarError>(())
//! ```

pub mod atn;
pub mod class;
#[doc(hidden)]
pub mod fuzz;
#[doc(hidden)]
pub mod generate;
pub mod grammar;
pub mod lexer;
mod machine;
mod moves;
pub mod parsed;
pub mod parser;
mod refusals;
pub mod tree;

pub use grammar::{
    ANSI, DOUBLE_QUOTED, Entry, Grammar, GrammarError, Reading, SWITCHES, Set, SyntaxError, TOO_COMPLEX,
};
pub use parsed::{Node, Parsed, Piece, Word};
