//! Draws statements that a Spark's grammar takes: `draw SPARK_HOME COUNT SEED` writes them as a JSON list.

use std::path::Path;

use stoke_sql::generate::Random;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [home, count, seed] = words.as_slice() else {
        return Err("usage: draw SPARK_HOME COUNT SEED".into());
    };
    let grammar = stoke_sql::Grammar::of_spark(Path::new(home))?;
    let mut random = Random::new(seed.parse()?);
    let budgets = [3, 8, 15, 30];
    let drawn: Vec<String> = (0..count.parse()?)
        .map(|n: usize| grammar.draw(budgets[n % 4], &mut random))
        .collect();
    serde_json::to_writer(std::io::stdout().lock(), &drawn)?;
    Ok(())
}
