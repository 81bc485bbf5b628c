//! Draws statements that a Spark's grammar takes: `draw SPARK_HOME COUNT SEED [lifelike]` writes them as a JSON list.
//!
//! Lifelike: with names, texts and numbers as people write them in place of drawn ones.

use std::collections::HashSet;
use std::path::Path;

use stoke_sql::generate::Random;
use stoke_sql::{Entry, Grammar};

const NAMES: [&str; 12] = [
    "a",
    "b",
    "c",
    "orders",
    "customer_id",
    "t1",
    "amount",
    "`a b`",
    "x",
    "ts",
    "s",
    "region",
];
const TEXTS: [&str; 14] = [
    "'a'",
    "'x%'",
    "'1'",
    "'2024-02-29'",
    "'2024-01-01 10:00:00'",
    "'1-2'",
    "'k'",
    "''",
    "'UTC'",
    "'1 10:00'",
    "'\\\\'",
    "'orc'",
    "'a b'",
    "'10'",
];
const NUMBERS: [&str; 6] = ["1", "2", "10", "0", "100", "7"];

fn pick(from: &[&str], random: &mut Random) -> String {
    from[random.below(from.len())].to_owned()
}

/// The statement with other names, texts and numbers; as it is where the grammar does not take it.
fn lifelike(grammar: &Grammar, drawn: &str, random: &mut Random) -> String {
    let plain = |word: &str| word.is_ascii() && !word.contains("://");
    let words: Vec<String> = drawn
        .split_whitespace()
        .map(|word| {
            if plain(word) {
                word.to_owned()
            } else {
                pick(&NAMES, random)
            }
        })
        .collect();
    let statement = words.join(" ");
    let Ok(parsed) = grammar.parse(Entry::Statement, &statement) else {
        return statement;
    };
    let keywords = |rule: &str| matches!(rule, "nonReserved" | "ansiNonReserved" | "strictNonReserved");
    let names: HashSet<usize> = parsed
        .nodes()
        .filter(|node| keywords(node.rule()) && !node.above().any(|above| above.rule() == "functionName"))
        .map(|node| node.first())
        .collect();
    let mut text = String::new();
    for word in parsed.root().iter().flat_map(|root| root.words()) {
        let named = names.contains(&word.index) && random.below(5) > 0;
        let word = match word.kind() {
            "IDENTIFIER" | "BACKQUOTED_IDENTIFIER" => pick(&NAMES, random),
            _ if named => pick(&NAMES, random),
            "STRING_LITERAL" | "DOUBLEQUOTED_STRING" => pick(&TEXTS, random),
            "INTEGER_VALUE" => pick(&NUMBERS, random),
            "DECIMAL_VALUE" => "1.5".to_owned(),
            "BIGINT_LITERAL" => "5L".to_owned(),
            "" => continue,
            _ => word.text(),
        };
        text.push_str(&word);
        text.push(' ');
    }
    text.trim_end().to_owned()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [home, count, seed, how @ ..] = words.as_slice() else {
        return Err("usage: draw SPARK_HOME COUNT SEED [lifelike]".into());
    };
    let grammar = Grammar::of_spark(Path::new(home))?;
    let mut random = Random::new(seed.parse()?);
    let budgets = [3, 8, 15, 30];
    let drawn: Vec<String> = (0..count.parse()?)
        .map(|n: usize| {
            let drawn = grammar.draw(budgets[n % 4], &mut random);
            match how {
                [] => drawn,
                // Half of what is drawn are scripts and settings: most of those are passed over.
                _ => {
                    let mut drawn = drawn;
                    for _ in 0..20 {
                        let common = ["BEGIN", "SET", "RESET", "REFRESH", "LIST", "ADD"];
                        if !common.iter().any(|word| drawn.starts_with(word)) || random.below(8) == 0 {
                            break;
                        }
                        drawn = grammar.draw(budgets[n % 4], &mut random);
                    }
                    lifelike(&grammar, &drawn, &mut random)
                }
            }
        })
        .collect();
    serde_json::to_writer(std::io::stdout().lock(), &drawn)?;
    Ok(())
}
