//! A text with its tree, for looking at.

use crate::grammar::Grammar;
use crate::lexer::Token;
use crate::tree::{Part, Taken, Tree};

/// A text that the grammar takes.
pub struct Parsed<'g> {
    pub(crate) grammar: &'g Grammar,
    pub(crate) text: Vec<char>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) tree: Tree,
}

/// What one rule took of a text.
#[derive(Clone, Copy)]
pub struct Node<'p> {
    parsed: &'p Parsed<'p>,
    index: usize,
}

/// A part of a node.
#[derive(Clone, Copy)]
pub enum Piece<'p> {
    Token(Word<'p>),
    /// What another rule took.
    Node(Node<'p>),
}

/// A token of a text.
#[derive(Clone, Copy)]
pub struct Word<'p> {
    parsed: &'p Parsed<'p>,
    /// Its index among the tokens.
    pub index: usize,
}

impl<'p> Parsed<'p> {
    /// The first node, of the rule the text was parsed as; `None` for a text without a tree.
    pub fn root(&'p self) -> Option<Node<'p>> {
        (!self.tree.nodes.is_empty()).then_some(Node { parsed: self, index: 0 })
    }

    /// All nodes, those above before those below.
    pub fn nodes(&'p self) -> impl Iterator<Item = Node<'p>> {
        (0..self.tree.nodes.len()).map(|index| Node { parsed: self, index })
    }

    pub fn text(&self) -> &[char] {
        &self.text
    }
}

impl<'p> Word<'p> {
    /// Its name in the grammar, such as `SELECT` or `STRING_LITERAL`; empty for the end.
    pub fn kind(self) -> &'p str {
        let token = self.parsed.tokens.get(self.index);
        token.map_or("", |token| self.parsed.grammar.kind(token.kind))
    }

    /// As it is written.
    pub fn text(self) -> String {
        let token = self.parsed.tokens.get(self.index);
        token.map_or_else(String::new, |token| {
            self.parsed.text[token.from..token.to].iter().collect()
        })
    }

    /// Its first character.
    pub fn at(self) -> usize {
        self.parsed.tokens.get(self.index).map_or(0, |token| token.from)
    }
}

impl<'p> Node<'p> {
    fn taken(self) -> &'p Taken {
        &self.parsed.tree.nodes[self.index]
    }

    fn parts(self) -> &'p [Part] {
        &self.parsed.tree.parts[self.taken().parts.clone()]
    }

    /// The first numbers of the Spark whose grammar it is; zeros where they are not known.
    pub fn version(self) -> (u32, u32) {
        self.parsed.grammar.version()
    }

    /// Whether the configuration has this key set.
    pub(crate) fn switches(self, key: &str) -> bool {
        self.parsed.grammar.switches(key)
    }

    /// The name of its rule.
    pub fn rule(self) -> &'p str {
        self.parsed.grammar.rule(self.taken().rule)
    }

    /// Whether it is of this rule.
    pub fn is(self, rule: &str) -> bool {
        self.rule() == rule
    }

    /// The node it is a part of.
    pub fn parent(self) -> Option<Node<'p>> {
        let parent = self.taken().parent;
        (parent != self.index).then_some(Node {
            parsed: self.parsed,
            index: parent,
        })
    }

    /// The nodes it is in, the nearest first.
    pub fn above(self) -> impl Iterator<Item = Node<'p>> {
        std::iter::successors(self.parent(), |node| node.parent())
    }

    /// Its parts in order.
    pub fn pieces(self) -> impl DoubleEndedIterator<Item = Piece<'p>> {
        let parsed = self.parsed;
        self.parts().iter().map(move |part| match *part {
            Part::Token(index) => Piece::Token(Word { parsed, index }),
            Part::Node(index) => Piece::Node(Node { parsed, index }),
        })
    }

    /// Its own tokens, without those of the nodes in it.
    pub fn own(self) -> impl DoubleEndedIterator<Item = Word<'p>> {
        self.pieces().filter_map(|piece| match piece {
            Piece::Token(word) => Some(word),
            Piece::Node(_) => None,
        })
    }

    /// The nodes directly in it.
    pub fn kids(self) -> impl DoubleEndedIterator<Item = Node<'p>> {
        self.pieces().filter_map(|piece| match piece {
            Piece::Node(node) => Some(node),
            Piece::Token(_) => None,
        })
    }

    /// The nodes directly in it that are of a rule.
    pub fn all(self, rule: &'p str) -> impl DoubleEndedIterator<Item = Node<'p>> {
        self.kids().filter(move |node| node.is(rule))
    }

    /// The first of them.
    pub fn kid(self, rule: &str) -> Option<Node<'p>> {
        self.kids().find(|node| node.is(rule))
    }

    /// Whether it has a token of its own of this kind.
    pub fn has(self, kind: &str) -> bool {
        self.own().any(|word| word.kind() == kind)
    }

    /// How many it has.
    pub fn count(self, kind: &str) -> usize {
        self.own().filter(|word| word.kind() == kind).count()
    }

    /// All tokens of it and of what is in it.
    pub fn words(self) -> impl DoubleEndedIterator<Item = Word<'p>> {
        let (parsed, taken) = (self.parsed, self.taken());
        (taken.from..taken.to).map(move |index| Word { parsed, index })
    }

    /// What is in it at any depth, itself too, in the order of the text.
    pub fn below(self) -> Vec<Node<'p>> {
        let (mut found, mut waiting) = (Vec::new(), vec![self]);
        while let Some(node) = waiting.pop() {
            found.push(node);
            waiting.extend(node.kids().rev());
        }
        found
    }

    /// As it is written, from its first token to its last.
    pub fn text(self) -> String {
        let taken = self.taken();
        let tokens = &self.parsed.tokens;
        match (
            tokens.get(taken.from),
            taken.to.checked_sub(1).and_then(|last| tokens.get(last)),
        ) {
            (Some(first), Some(last)) if taken.from < taken.to => {
                self.parsed.text[first.from..last.to].iter().collect()
            }
            _ => String::new(),
        }
    }

    /// The index of its first token.
    pub fn first(self) -> usize {
        self.taken().from
    }

    /// Its first character.
    pub fn at(self) -> usize {
        self.parsed.tokens.get(self.taken().from).map_or(0, |token| token.from)
    }

    /// The name it is: what is in backquotes without them, or in double quotes where these make names; else as it is written.
    pub fn name(self) -> String {
        let text = self.text();
        let within = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
        let is_name = || self.below().iter().any(|node| node.is("quotedIdentifier"));
        match (within('`'), within('"')) {
            (Some(inner), _) => inner.replace("``", "`"),
            (_, Some(inner)) if is_name() => inner.replace("\"\"", "\""),
            _ => text,
        }
    }

    /// The name with dots that a node is, however deep it lies; `None` for what names nothing by itself, such as `IDENTIFIER(:table)`.
    pub fn inner_name(self) -> Option<Node<'p>> {
        let below = self.below();
        let name = |node: &&Node<'p>| matches!(node.rule(), "multipartIdentifier" | "tableIdentifier");
        let found = below.iter().find(name).copied()?;
        (found.text() == self.text()).then_some(found)
    }

    /// Down through nodes that are nothing but one other node.
    pub fn inner(self) -> Node<'p> {
        let mut node = self;
        while let [Part::Node(only)] = node.parts() {
            node.index = *only;
        }
        node
    }
}
