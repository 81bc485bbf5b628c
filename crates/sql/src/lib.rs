//! Room `sql`: whether a text is SQL, as the parser of one Spark takes it.
//!
//! In: a Spark (its `spark-sql-api` jar) and a text. Out: accepted, or where the parser would stop. There is no grammar in this room: [`class`] reads
//! the tables that ANTLR compiled into that Spark's own lexer and parser, [`atn`] decodes them, [`lexer`] and [`parser`] interpret them, [`grammar`]
//! puts the pieces together. So the grammar is always the right one, whichever Spark it is.
//!
//! Never: what Spark checks after parsing (tables, columns, types), and what its tree builder refuses of what its grammar takes; nor any JVM.

pub mod atn;
pub mod class;
#[doc(hidden)]
pub mod generate;
pub mod grammar;
pub mod lexer;
pub mod parser;

pub use grammar::{Grammar, GrammarError, SyntaxError};
