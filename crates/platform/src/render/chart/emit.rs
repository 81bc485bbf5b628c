//! Objects as templates of Helm: YAML with the values in it.

use std::fmt::Write;

use serde_json::Value;

use super::knob::Form;
use super::node::{Condition, Member, Node, Reference, Template};

/// Objects as one template.
#[must_use]
pub fn stream(templates: &[Template]) -> String {
    let mut text = String::new();
    for template in templates {
        let mut lines = Vec::new();
        node(&template.node, 0, &mut lines);
        let body = format!("---\n{}\n", lines.join("\n"));
        match &template.condition {
            None => text.push_str(&body),
            Some(condition) => {
                let _ = writeln!(text, "{{{{- if {} }}}}\n{body}{{{{- end }}}}", asked(condition));
            }
        }
    }
    text
}

/// The variable of a component.
#[must_use]
pub fn variable(component: &str) -> String {
    format!("${}", component.replace('-', "_"))
}

fn value(of: &Reference) -> String {
    format!("{}.{}", variable(&of.component), of.path)
}

fn asked(condition: &Condition) -> String {
    match condition {
        Condition::Set(of) => value(of),
        Condition::Several(of) => format!("gt (int {}) 1", value(of)),
        Condition::Is(of, name) => format!("eq (default \"\" {}) \"{name}\"", value(of)),
    }
}

/// Appends the lines of something that begins a line.
fn node(of: &Node, indent: usize, lines: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    match of {
        Node::Map(members) => {
            for (key, member) in members {
                self::member(key, member, indent, lines);
            }
        }
        Node::List(items) => {
            for (condition, item) in items {
                if let Some(condition) = condition {
                    lines.push(format!("{{{{- if {} }}}}", asked(condition)));
                }
                let at = lines.len();
                node(item, indent + 2, lines);
                let begins = lines
                    .get(at)
                    .is_some_and(|line| line.starts_with(&" ".repeat(indent + 2)));
                match begins {
                    true => lines[at].replace_range(indent..=indent, "-"),
                    false => lines.insert(at, format!("{pad}-")),
                }
                if condition.is_some() {
                    lines.push("{{- end }}".to_owned());
                }
            }
        }
        leaf => written(&pad, leaf, &format!("{pad}  "), lines),
    }
}

/// Appends a text, a number or the like, after what the line begins with.
fn written(begins: &str, leaf: &Node, pad: &str, lines: &mut Vec<String>) {
    match leaf {
        Node::Fixed(Value::String(text)) if is_block(text) => {
            lines.push(format!("{begins}{}", if text.ends_with('\n') { "|" } else { "|-" }));
            lines.extend(text.lines().map(|line| match line {
                "" => String::new(),
                line => format!("{pad}{}", quiet(line)),
            }));
        }
        leaf => lines.push(format!("{begins}{}", scalar(leaf))),
    }
}

fn member(key: &str, member: &Member, indent: usize, lines: &mut Vec<String>) {
    let mut word = "if";
    for (condition, node) in &member.cases {
        lines.push(format!("{{{{- {word} {} }}}}", asked(condition)));
        if let Some(node) = node {
            entry(key, node, indent, lines);
        }
        word = "else if";
    }
    if let Some(node) = &member.otherwise {
        if !member.cases.is_empty() {
            lines.push("{{- else }}".to_owned());
        }
        entry(key, node, indent, lines);
    }
    if !member.cases.is_empty() {
        lines.push("{{- end }}".to_owned());
    }
}

fn entry(key: &str, of: &Node, indent: usize, lines: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    let key = plain(key);
    match of {
        Node::Map(_) => {
            lines.push(format!("{pad}{key}:"));
            node(of, indent + 2, lines);
        }
        Node::List(_) => {
            lines.push(format!("{pad}{key}:"));
            node(of, indent, lines);
        }
        leaf => written(&format!("{pad}{key}: "), leaf, &format!("{pad}  "), lines),
    }
}

fn scalar(leaf: &Node) -> String {
    match leaf {
        Node::Fixed(Value::String(text)) => plain(text),
        Node::Fixed(value) => value.to_string(),
        Node::Number(of) => format!("{{{{ int {} }}}}", value(of)),
        Node::Text(of, form, parts) => {
            let text = match form {
                Form::Cpu | Form::Memory | Form::Size => format!("include \"platform.amount\" {}", value(of)),
                _ => value(of),
            };
            if parts.iter().all(String::is_empty) && parts.len() == 2 {
                return format!("{{{{ {text} | quote }}}}");
            }
            let inner = parts.iter().map(|part| {
                let quoted = Value::from(part.as_str()).to_string();
                quiet(&quoted[1..quoted.len() - 1])
            });
            format!("\"{}\"", inner.collect::<Vec<_>>().join(&format!("{{{{ {text} }}}}")))
        }
        Node::Either(condition, one, other) => {
            let (one, other) = (scalar(one), scalar(other));
            format!(
                "{{{{ if {} }}}}{one}{{{{ else }}}}{other}{{{{ end }}}}",
                asked(condition)
            )
        }
        // Both are written by `node` and `entry`; here they would be in flow style.
        Node::Map(_) | Node::List(_) => String::new(),
    }
}

/// What Helm would take for an action of its own.
fn quiet(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

/// A text as YAML, in quotes unless it surely is a text without.
fn plain(text: &str) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_plain = begins
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !words.contains(&text.to_ascii_lowercase().as_str());
    match is_plain {
        true => text.to_owned(),
        false => quiet(&Value::from(text).to_string()),
    }
}

/// Whether a text stands for itself below a `|`.
fn is_block(text: &str) -> bool {
    let lines = text.trim_end_matches('\n');
    let ends = text.len() - lines.len();
    lines.contains('\n')
        && ends <= 1
        && !lines.starts_with([' ', '\n'])
        && text
            .chars()
            .all(|c| c == '\n' || (' '..='~').contains(&c) || ('\u{a1}'..='\u{ff}').contains(&c))
}
