//! What an expression is made of.

use super::functions::Function;

/// A stretch of the text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    #[must_use]
    pub fn new(start: usize, end: usize) -> Span {
        Span { start, end }
    }

    /// From the beginning of this to the end of another.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start, other.end.max(self.end))
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub span: Span,
    pub node: Node,
}

/// What it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Number(f64),
    Text(String),
    Selector(Selector),
    Subquery(Subquery),
    Call(Call),
    Aggregate(Aggregate),
    Binary(Box<Binary>),
    /// True: negated.
    Unary(bool, Box<Expr>),
    Paren(Box<Expr>),
    /// A variable of a dashboard: anything.
    Variable,
}

/// A length of time; none where a variable says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duration {
    pub span: Span,
    pub seconds: Option<f64>,
}

/// Series by name and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The name, where it stands before the braces or quoted within; [`ANY`](super::ANY) stands for variables in it.
    pub name: Option<(String, Span)>,
    pub matchers: Vec<Matcher>,
    pub range: Option<Duration>,
    pub offset: Option<Duration>,
    pub at: Option<Span>,
}

/// A condition on a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    pub label: String,
    pub label_span: Span,
    pub op: Match,
    /// [`ANY`](super::ANY) stands for variables in it.
    pub value: String,
    pub value_span: Span,
}

/// How a label's value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    Equal,
    NotEqual,
    Regex,
    NotRegex,
}

/// An expression over a range of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    pub expr: Box<Expr>,
    pub range: Duration,
    pub step: Option<Duration>,
    pub offset: Option<Duration>,
    pub at: Option<Span>,
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub function: &'static Function,
    pub name_span: Span,
    pub args: Vec<Expr>,
}

/// An aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Its name, small.
    pub op: &'static str,
    pub op_span: Span,
    pub param: Option<Box<Expr>>,
    pub expr: Box<Expr>,
    pub grouping: Option<Grouping>,
}

/// `by (…)` or `without (…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    pub without: bool,
    pub labels: Vec<(String, Span)>,
    pub span: Span,
    /// True where a variable stands in the list: there may be other labels.
    pub open: bool,
}

/// Two expressions and what is between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: Op,
    pub op_span: Span,
    pub left: Expr,
    pub right: Expr,
    /// `bool` stands after a comparison.
    pub gives_bool: bool,
    pub matching: Option<Matching>,
}

/// `on (…)` or `ignoring (…)`, and a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// False: `ignoring`.
    pub on: bool,
    pub labels: Vec<(String, Span)>,
    pub group: Option<Group>,
    pub include: Vec<(String, Span)>,
    pub span: Span,
    pub open: bool,
}

/// Which side has many series for one of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Left,
    Right,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Unless,
}

impl Op {
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(self, Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge)
    }

    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Op::And | Op::Or | Op::Unless)
    }

    /// As it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Op::Add => "+",
            Op::Sub => "-",
            Op::Mul => "*",
            Op::Div => "/",
            Op::Mod => "%",
            Op::Pow => "^",
            Op::Atan2 => "atan2",
            Op::Eq => "==",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::And => "and",
            Op::Or => "or",
            Op::Unless => "unless",
        }
    }

    /// How strongly it binds.
    pub(super) fn strength(self) -> u8 {
        match self {
            Op::Or => 1,
            Op::And | Op::Unless => 2,
            Op::Eq | Op::Ne | Op::Lt | Op::Le | Op::Gt | Op::Ge => 3,
            Op::Add | Op::Sub => 4,
            Op::Mul | Op::Div | Op::Mod | Op::Atan2 => 5,
            Op::Pow => 6,
        }
    }
}

impl Expr {
    /// The expression without parentheses around it.
    #[must_use]
    pub fn inner(&self) -> &Expr {
        match &self.node {
            Node::Paren(inner) => inner.inner(),
            _ => self,
        }
    }

    /// The expressions directly below.
    #[must_use]
    pub fn parts(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Subquery(subquery) => vec![&subquery.expr],
            Node::Call(call) => call.args.iter().collect(),
            Node::Aggregate(aggregate) => aggregate
                .param
                .iter()
                .map(Box::as_ref)
                .chain([aggregate.expr.as_ref()])
                .collect(),
            Node::Binary(binary) => vec![&binary.left, &binary.right],
            Node::Unary(_, inner) | Node::Paren(inner) => vec![inner],
            Node::Number(_) | Node::Text(_) | Node::Selector(_) | Node::Variable => Vec::new(),
        }
    }

    /// This and all below it, in the order written.
    pub fn visit<'e>(&'e self, each: &mut dyn FnMut(&'e Expr)) {
        each(self);
        for part in self.parts() {
            part.visit(each);
        }
    }
}
