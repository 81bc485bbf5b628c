//! Shows the tree of statements: `tree SPARK_HOME < statements`, one a line.

use std::io::{BufRead, Write};
use std::path::Path;

use stoke_sql::{Entry, Grammar, Node, Piece};

fn show(node: Node<'_>) -> String {
    let parts: Vec<String> = node
        .pieces()
        .map(|piece| match piece {
            Piece::Token(word) => format!("{}:{}", word.kind(), word.text()),
            Piece::Node(node) => show(node),
        })
        .collect();
    format!("({} {})", node.rule(), parts.join(" "))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = std::env::args().nth(1).ok_or("usage: tree SPARK_HOME < statements")?;
    let grammar = Grammar::of_spark(Path::new(&home))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let shown = match grammar.parse(Entry::Statement, &line) {
            Ok(parsed) => parsed.root().map(show).unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        writeln!(std::io::stdout(), "{shown}")?;
    }
    Ok(())
}
