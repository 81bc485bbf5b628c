//! Literals of a program, for what can be told of them whatever they are given to.

use super::{NoPython, nodes, tree};

/// A text that is written in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal<'a> {
    /// As it is written, without quotes; of an f-string what stands before the first part that is filled in.
    pub text: &'a str,
    /// Where it begins, in bytes.
    pub at: usize,
    /// The method or function whose first argument it is; empty when it is none's.
    pub given_to: &'a str,
    /// The literal before it in the same call: the key of `option("url", "jdbc:…")`; empty when there is none.
    pub after: &'a str,
}

/// The texts that are written in a program, those on lines of their own (which explain) left out.
///
/// # Errors
/// Where the program is not valid Python.
pub fn literals(text: &str) -> Result<Vec<Literal<'_>>, NoPython> {
    let tree = tree(text)?;
    let written = |node: tree_sitter::Node<'_>| text.get(node.byte_range()).unwrap_or_default();
    let content = |node: tree_sitter::Node<'_>| {
        let (start, end) = (node.child(0)?, node.child(node.child_count().checked_sub(1)?)?);
        let mut cursor = node.walk();
        let hole = node.children(&mut cursor).find(|part| part.kind() == "interpolation");
        let to = hole.map_or(end.start_byte(), |hole| hole.start_byte());
        Some((start.end_byte(), text.get(start.end_byte()..to)?))
    };
    let mut found = Vec::new();
    // By the first byte of an argument: what it is given to, and what stands before it.
    let mut given = std::collections::HashMap::new();
    let mut explains = std::collections::HashSet::new();
    for node in nodes(tree.root_node()) {
        match node.kind() {
            "expression_statement" if node.named_child_count() == 1 => {
                explains.extend(node.named_child(0).map(|only| only.start_byte()));
            }
            "call" => {
                let function = node.child_by_field_name("function");
                let method = function.map(|function| function.child_by_field_name("attribute").unwrap_or(function));
                let Some((method, arguments)) = method.zip(node.child_by_field_name("arguments")) else {
                    continue;
                };
                let mut cursor = arguments.walk();
                let mut before = "";
                for (number, argument) in arguments.named_children(&mut cursor).take(64).enumerate() {
                    let name = if number == 0 { written(method) } else { "" };
                    given.insert(argument.start_byte(), (name, before));
                    before = Some(argument)
                        .filter(|argument| argument.kind() == "string")
                        .and_then(content)
                        .map_or("", |(_, text)| text);
                }
            }
            "string" if !explains.contains(&node.start_byte()) => {
                if let Some((at, text)) = content(node) {
                    let (given_to, after) = given.get(&node.start_byte()).copied().unwrap_or_default();
                    found.push(Literal {
                        text,
                        at,
                        given_to,
                        after,
                    });
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_say_what_they_are_given_to() {
        let text = "\"\"\"Reads s3a://doc.\"\"\"\nspark.read.format('jdbc').option('url', f'jdbc:x:{y}').load()\nz = 's3a://b'\n";
        let found = literals(text).unwrap();
        let rows: Vec<_> = found.iter().map(|one| (one.text, one.given_to, one.after)).collect();
        assert_eq!(
            rows,
            [
                ("jdbc", "format", ""),
                ("url", "option", ""),
                ("jdbc:x:", "", "url"),
                ("s3a://b", "", "")
            ]
        );
        assert_eq!(&text[found[3].at..][..7], "s3a://b");
    }
}
