//! What fuzzing drives: no promise to anybody else.

use crate::atn::Atn;
use crate::class;

/// A compiled recognizer of a jar, and the same bytes as tables of a grammar.
pub fn grammar(bytes: &[u8]) {
    if let Ok(recognizer) = class::read(bytes) {
        let _ = Atn::decode(&recognizer.tables);
    }
    let words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let _ = Atn::decode(&words.collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    #[test]
    fn damaged_grammars_are_read_or_refused() {
        stoke_testkit::damage::damaged("sql_grammar", 2_000, super::grammar);
    }
}
