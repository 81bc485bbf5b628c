//! The tree an expression is parsed into. Macros (`has`, `all`, `map`, `cel.bind`, …) are nodes of their own.

use std::sync::Arc;

/// One node and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub place: usize,
    pub expr: Expr,
}

/// An operator of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
}

impl Operator {
    /// Name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Operator::Add => "_+_",
            Operator::Subtract => "_-_",
            Operator::Multiply => "_*_",
            Operator::Divide => "_/_",
            Operator::Remainder => "_%_",
            Operator::Equal => "_==_",
            Operator::Unequal => "_!=_",
            Operator::Less => "_<_",
            Operator::LessEqual => "_<=_",
            Operator::Greater => "_>_",
            Operator::GreaterEqual => "_>=_",
            Operator::In => "@in",
        }
    }
}

/// What a macro over a list or map gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    TransformMap,
    TransformMapEntry,
    SortBy,
    OptionalMap,
    OptionalFlatMap,
}

/// A macro over a list, a map or an optional.
#[derive(Debug)]
pub(super) struct Fold {
    pub kind: FoldKind,
    pub range: Node,
    pub first: Arc<str>,
    pub second: Option<Arc<str>>,
    pub condition: Option<Node>,
    pub body: Node,
}

#[derive(Debug)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    Name(Arc<str>),
    /// `a.b`, `has(a.b)`, `a.?b`.
    Select {
        of: Box<Node>,
        field: Arc<str>,
        test: bool,
        optional: bool,
    },
    Index {
        of: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    Call {
        name: Arc<str>,
        target: Option<Box<Node>>,
        arguments: Vec<Node>,
    },
    List(Vec<(Node, bool)>),
    Map(Vec<(Node, Node, bool)>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Choose(Box<[Node; 3]>),
    Binary(Operator, Box<Node>, Box<Node>),
    Fold(Box<Fold>),
    Bind {
        name: Arc<str>,
        value: Box<Node>,
        body: Box<Node>,
    },
}

impl Node {
    /// Whether a variable is named in it.
    pub fn names(&self, wanted: &str) -> bool {
        match &self.expr {
            Expr::Name(name) => &**name == wanted,
            Expr::Select { of, .. } | Expr::Not(of) | Expr::Negate(of) => of.names(wanted),
            Expr::Index { of, index, .. } => of.names(wanted) || index.names(wanted),
            Expr::Call { target, arguments, .. } => {
                target.iter().any(|node| node.names(wanted)) || arguments.iter().any(|node| node.names(wanted))
            }
            Expr::List(items) => items.iter().any(|(node, _)| node.names(wanted)),
            Expr::Map(entries) => entries
                .iter()
                .any(|(key, value, _)| key.names(wanted) || value.names(wanted)),
            Expr::And(left, right) | Expr::Or(left, right) | Expr::Binary(_, left, right) => {
                left.names(wanted) || right.names(wanted)
            }
            Expr::Choose(parts) => parts.iter().any(|node| node.names(wanted)),
            Expr::Fold(fold) => {
                fold.range.names(wanted)
                    || fold.body.names(wanted)
                    || fold.condition.iter().any(|node| node.names(wanted))
            }
            Expr::Bind { value, body, .. } => value.names(wanted) || body.names(wanted),
            _ => false,
        }
    }
}
