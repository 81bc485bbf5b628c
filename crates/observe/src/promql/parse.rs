//! Tokens become an expression.

mod selector;

use stoke_model::manifest::nearest;

use super::ast::{Aggregate, Binary, Call, Expr, Group, Grouping, Matching, Node, Op, Span};
use super::functions::{aggregation, function, names};
use super::lex::{ANY, Spanned, Token, Variables, tokens, wrong};
use super::{Wrong, types};

/// The deepest nesting.
const MAX_DEPTH: usize = 120;
/// The longest text.
const MAX_BYTES: usize = 1 << 18;

/// Reads an expression and checks its types.
///
/// # Errors
/// Where the text is not an expression, or its types do not go together.
pub fn parse(text: &str, variables: Variables) -> Result<Expr, Wrong> {
    if text.len() > MAX_BYTES {
        return Err(wrong(
            Span::default(),
            format!("the expression has {} bytes; at most {MAX_BYTES} are read", text.len()),
        ));
    }
    let mut parser = Parser {
        tokens: tokens(text, variables)?,
        at: 0,
        end: text.trim_end().len(),
        depth: 0,
    };
    if parser.tokens.is_empty() {
        return Err(wrong(Span::default(), "there is no expression"));
    }
    let expr = parser.expression(0)?;
    if let Some(rest) = parser.peek() {
        let what = text.get(rest.span.start..rest.span.end).unwrap_or_default();
        return Err(wrong(rest.span, format!("`{what}` is not expected here")));
    }
    types::check(&expr)?;
    Ok(expr)
}

struct Parser {
    tokens: Vec<Spanned>,
    at: usize,
    end: usize,
    depth: usize,
}

/// Unlike other keywords, these cannot be names of metrics.
const NOT_NAMES: [&str; 6] = ["bool", "on", "ignoring", "group_left", "group_right", "atan2"];
/// These are numbers wherever they stand.
const NUMBERS: [(&str, f64); 2] = [("inf", f64::INFINITY), ("nan", f64::NAN)];

fn number(word: &str) -> Option<f64> {
    let found = NUMBERS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known));
    found.map(|(_, value)| *value)
}

/// Whether a word can stand in a list of labels. Of the keywords, Prometheus' grammar leaves one out.
fn is_label(word: &str) -> bool {
    !word.contains(':') && number(word).is_none() && !word.eq_ignore_ascii_case("without")
}

impl Parser {
    fn peek(&self) -> Option<&Spanned> {
        self.tokens.get(self.at)
    }

    fn peek_token(&self) -> Option<&Token> {
        self.peek().map(|spanned| &spanned.token)
    }

    fn next(&mut self) -> Option<Spanned> {
        let next = self.tokens.get(self.at).cloned();
        self.at += usize::from(next.is_some());
        next
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.peek_token(), Some(Token::Symbol(found)) if *found == symbol)
    }

    fn take(&mut self, symbol: &str) -> bool {
        let is = self.is(symbol);
        self.at += usize::from(is);
        is
    }

    /// Where the next token is, or where the text ends.
    fn here(&self) -> Span {
        self.peek()
            .map_or(Span::new(self.end, self.end), |spanned| spanned.span)
    }

    /// The end of the token before.
    fn behind(&self) -> usize {
        self.at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(0, |spanned| spanned.span.end)
    }

    fn expect(&mut self, symbol: &str, what: &str) -> Result<Span, Wrong> {
        let here = self.here();
        match self.take(symbol) {
            true => Ok(here),
            false => Err(wrong(here, format!("`{symbol}` is missing {what}"))),
        }
    }

    fn word(&self) -> Option<&str> {
        match self.peek_token() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn word_is(&self, word: &str) -> bool {
        self.word().is_some_and(|found| found.eq_ignore_ascii_case(word))
    }

    fn op(&self) -> Option<Op> {
        Some(match self.peek_token()? {
            Token::Symbol("+") => Op::Add,
            Token::Symbol("-") => Op::Sub,
            Token::Symbol("*") => Op::Mul,
            Token::Symbol("/") => Op::Div,
            Token::Symbol("%") => Op::Mod,
            Token::Symbol("^") => Op::Pow,
            Token::Symbol("==") => Op::Eq,
            Token::Symbol("!=") => Op::Ne,
            Token::Symbol("<") => Op::Lt,
            Token::Symbol("<=") => Op::Le,
            Token::Symbol(">") => Op::Gt,
            Token::Symbol(">=") => Op::Ge,
            Token::Word(word) if word.eq_ignore_ascii_case("and") => Op::And,
            Token::Word(word) if word.eq_ignore_ascii_case("or") => Op::Or,
            Token::Word(word) if word.eq_ignore_ascii_case("unless") => Op::Unless,
            Token::Word(word) if word.eq_ignore_ascii_case("atan2") => Op::Atan2,
            _ => return None,
        })
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Wrong>) -> Result<T, Wrong> {
        if self.depth >= MAX_DEPTH {
            return Err(wrong(
                self.here(),
                format!("the expression is nested deeper than {MAX_DEPTH}"),
            ));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// An expression of operators that bind at least so strongly.
    fn expression(&mut self, least: u8) -> Result<Expr, Wrong> {
        self.deeper(|parser| {
            let mut left = parser.operand()?;
            let mut many = 0;
            while let Some(op) = parser.op().filter(|op| op.strength() >= least) {
                many += 1;
                if many > 500 {
                    return Err(wrong(parser.here(), "more than 500 operators stand in a row"));
                }
                let op_span = parser.here();
                parser.at += 1;
                if matches!(parser.peek_token(), Some(Token::Symbol("="))) && op == Op::Eq {
                    return Err(wrong(parser.here(), "`===` is not an operator"));
                }
                let gives_bool = parser.word_is("bool");
                parser.at += usize::from(gives_bool);
                let matching = parser.matching()?;
                // `^` binds to the right, all others to the left.
                let next = if op == Op::Pow {
                    op.strength()
                } else {
                    op.strength() + 1
                };
                let right = parser.expression(next)?;
                let span = left.span.to(right.span);
                let node = Node::Binary(Box::new(Binary {
                    op,
                    op_span,
                    left,
                    right,
                    gives_bool,
                    matching,
                }));
                left = Expr { span, node };
            }
            Ok(left)
        })
    }

    fn matching(&mut self) -> Result<Option<Matching>, Wrong> {
        let on = self.word_is("on");
        if !on && !self.word_is("ignoring") {
            return Ok(None);
        }
        let start = self.here().start;
        self.at += 1;
        let (labels, mut open) = self.labels()?;
        let mut matching = Matching {
            on,
            labels,
            group: None,
            include: Vec::new(),
            span: Span::default(),
            open: false,
        };
        for (word, group) in [("group_left", Group::Left), ("group_right", Group::Right)] {
            if matching.group.is_none() && self.word_is(word) {
                self.at += 1;
                matching.group = Some(group);
                if self.is("(") {
                    let (include, more) = self.labels()?;
                    matching.include = include;
                    open |= more;
                }
            }
        }
        matching.open = open;
        matching.span = Span::new(start, self.behind());
        Ok(Some(matching))
    }

    /// `(a, b)`; and whether a variable stands in it.
    fn labels(&mut self) -> Result<(Vec<(String, Span)>, bool), Wrong> {
        self.expect("(", "before the labels")?;
        let (mut labels, mut open) = (Vec::new(), false);
        while !self.take(")") {
            let here = self.here();
            match self.next().map(|spanned| spanned.token) {
                Some(Token::Word(word)) if word.contains(ANY) => open = true,
                Some(Token::Variable) => open = true,
                Some(Token::Word(word)) if is_label(&word) => labels.push((word, here)),
                Some(Token::Text(text)) if !text.is_empty() => labels.push((text, here)),
                _ => return Err(wrong(here, "a label's name is expected here")),
            }
            if !self.is(")") {
                self.expect(",", "between labels")?;
            }
        }
        Ok((labels, open))
    }

    /// What stands between operators.
    fn operand(&mut self) -> Result<Expr, Wrong> {
        let here = self.here();
        if self.is("+") || self.is("-") {
            let negated = self.is("-");
            self.at += 1;
            let inner = self.expression(Op::Pow.strength())?;
            let span = here.to(inner.span);
            return Ok(Expr {
                span,
                node: Node::Unary(negated, Box::new(inner)),
            });
        }
        let mut expr = self.primary()?;
        loop {
            if self.is("[") {
                expr = self.bracketed(expr)?;
            } else if self.word_is("offset") {
                expr = self.offset(expr)?;
            } else if self.is("@") {
                expr = self.at_modifier(expr)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, Wrong> {
        let here = self.here();
        let Some(next) = self.next() else {
            return Err(wrong(here, "the expression ends where something is expected"));
        };
        let node = match next.token {
            Token::Number(value) | Token::Duration(value) => Node::Number(value),
            Token::Text(text) => Node::Text(text),
            Token::Symbol("(") => {
                let inner = self.expression(0)?;
                self.expect(")", "after the expression in parentheses")?;
                Node::Paren(Box::new(inner))
            }
            Token::Symbol("{") => {
                self.at -= 1;
                Node::Selector(self.selector(None)?)
            }
            Token::Variable if self.is("{") => Node::Selector(self.selector(Some((ANY.to_string(), here)))?),
            Token::Variable if self.is("(") => {
                // The variable names a function or an aggregation.
                self.at += 1;
                while !self.take(")") {
                    self.expression(0)?;
                    if !self.is(")") {
                        self.expect(",", "between arguments")?;
                    }
                }
                Node::Variable
            }
            Token::Variable => Node::Variable,
            Token::Word(word) => self.named(word, here)?,
            Token::Symbol(symbol) => return Err(wrong(here, format!("`{symbol}` is not expected here"))),
        };
        Ok(Expr {
            span: Span::new(here.start, self.behind()),
            node,
        })
    }

    /// What begins with a word: a number, an aggregation, a call or a selector.
    fn named(&mut self, word: String, here: Span) -> Result<Node, Wrong> {
        if NOT_NAMES.iter().any(|reserved| word.eq_ignore_ascii_case(reserved)) {
            return Err(wrong(
                here,
                format!("`{word}` belongs to an operator: no metric has this name"),
            ));
        }
        let is_group = self.word_is("by") || self.word_is("without");
        if let Some((op, param)) = aggregation(&word)
            && (self.is("(") || is_group)
        {
            return self.aggregate(op, param.is_some(), here);
        }
        if self.is("(") {
            if word.contains(ANY) {
                return Err(wrong(
                    here,
                    "a variable within the name of a function is not understood",
                ));
            }
            let Some(known) = function(&word) else {
                let known = names().chain(super::AGGREGATIONS.iter().map(|(name, _)| *name));
                let mut error = wrong(here, format!("there is no function `{word}`"));
                error.fix = nearest(&word, known).map(|near| format!("write `{near}`"));
                return Err(error);
            };
            let args = self.arguments()?;
            return Ok(Node::Call(Call {
                function: known,
                name_span: here,
                args,
            }));
        }
        if let Some(value) = number(&word) {
            return Ok(Node::Number(value));
        }
        if ["by", "without", "and", "or", "unless", "offset"]
            .iter()
            .any(|keyword| word.eq_ignore_ascii_case(keyword))
            && !self.may_follow_a_name()
        {
            return Err(wrong(here, format!("`{word}` is not expected here")));
        }
        self.selector(Some((word, here))).map(Node::Selector)
    }

    /// Whether what comes may stand after a name: keywords are names, too.
    fn may_follow_a_name(&self) -> bool {
        matches!(
            self.peek_token(),
            None | Some(Token::Symbol("{" | "[" | ")" | "," | "@"))
        ) || self.op().is_some()
            || self.word_is("offset")
    }

    fn arguments(&mut self) -> Result<Vec<Expr>, Wrong> {
        self.expect("(", "before the arguments")?;
        let mut args = Vec::new();
        if self.take(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expression(0)?);
            if self.take(")") {
                return Ok(args);
            }
            if !self.take(",") {
                return Err(wrong(self.here(), "`)` is missing after the arguments"));
            }
            if self.is(")") {
                return Err(wrong(self.here(), "an argument is missing after the comma"));
            }
        }
    }

    fn aggregate(&mut self, op: &'static str, has_param: bool, op_span: Span) -> Result<Node, Wrong> {
        let mut grouping = self.grouping()?;
        let inner = self.here();
        let mut args = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wanted = 1 + usize::from(has_param);
        if args.len() != wanted {
            let message = format!(
                "`{op}` takes {} argument{}, not {}",
                wanted,
                if has_param { "s" } else { "" },
                args.len()
            );
            return Err(Wrong {
                is_type: true,
                ..wrong(inner, message)
            });
        }
        let Some(expr) = args.pop() else {
            return Err(wrong(inner, "an argument is missing"));
        };
        Ok(Node::Aggregate(Aggregate {
            op,
            op_span,
            param: args.pop().map(Box::new),
            expr: Box::new(expr),
            grouping,
        }))
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, Wrong> {
        let without = self.word_is("without");
        if !without && !self.word_is("by") {
            return Ok(None);
        }
        let start = self.here().start;
        self.at += 1;
        let (labels, open) = self.labels()?;
        Ok(Some(Grouping {
            without,
            labels,
            span: Span::new(start, self.behind()),
            open,
        }))
    }
}
