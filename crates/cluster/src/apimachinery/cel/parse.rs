//! From words to a [tree](super::tree).

use std::sync::Arc;

use super::CompileError;
use super::functions::is_namespaced;
use super::lex::{Token, lex};
use super::tree::{Expr, Fold, FoldKind, Node, Operator};

/// Deepest nesting.
const MOST_DEPTH: usize = 100;

/// What an operand may begin with.
const OPERAND: &str =
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Result<Node, CompileError> {
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        depth: 0,
    };
    let node = parser.expression()?;
    if *parser.peek() != Token::End {
        // One token too many has other words than several.
        let what = if matches!(parser.tokens.get(parser.at + 1), Some((_, Token::End)) | None) {
            "extraneous input"
        } else {
            "mismatched input"
        };
        return Err(parser.unexpected(what, "<EOF>"));
    }
    Ok(node)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

type Parsed = Result<Node, CompileError>;

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(_, token)| token)
    }

    fn place(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |(place, _)| *place)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), CompileError> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(self.unexpected("mismatched input", &format!("'{sign}'")))
        }
    }

    fn unexpected(&self, what: &str, expected: &str) -> CompileError {
        let found = match self.peek() {
            Token::End => "<EOF>".to_owned(),
            Token::Name(name) => name.clone(),
            Token::Sign(sign) => (*sign).to_owned(),
            Token::Text(text) => format!("{text:?}"),
            Token::Int(number) | Token::Uint(number) => number.to_string(),
            Token::Double(number) => number.to_string(),
            Token::Bytes(_) => "bytes".to_owned(),
        };
        self.error(format!("Syntax error: {what} '{found}' expecting {expected}"))
    }

    fn error(&self, message: impl Into<String>) -> CompileError {
        CompileError {
            place: self.place(),
            message: message.into(),
        }
    }

    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.error(format!("expression recursion limit exceeded: {MOST_DEPTH}")));
        }
        let place = self.place();
        let condition = self.or()?;
        let node = if self.takes("?") {
            let then = self.or()?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            Node {
                place,
                expr: Expr::Choose(Box::new([condition, then, otherwise])),
            }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        let mut terms = 0;
        loop {
            let place = self.place();
            if !self.takes("||") {
                return Ok(left);
            }
            terms += 1;
            self.bounded(terms)?;
            let right = self.and()?;
            left = Node {
                place,
                expr: Expr::Or(Box::new(left), Box::new(right)),
            };
        }
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.relation()?;
        let mut terms = 0;
        loop {
            let place = self.place();
            if !self.takes("&&") {
                return Ok(left);
            }
            terms += 1;
            self.bounded(terms)?;
            let right = self.relation()?;
            left = Node {
                place,
                expr: Expr::And(Box::new(left), Box::new(right)),
            };
        }
    }

    /// A chain of operators makes a tree as deep as the chain is long.
    fn bounded(&self, terms: usize) -> Result<(), CompileError> {
        if terms > 10 * MOST_DEPTH {
            return Err(self.error("expression recursion limit exceeded"));
        }
        Ok(())
    }

    fn chain(&mut self, operand: fn(&mut Parser) -> Parsed, operators: &[(&'static str, Operator)]) -> Parsed {
        let mut left = operand(self)?;
        let mut terms = 0;
        'chain: loop {
            let place = self.place();
            for (sign, operator) in operators {
                let found = if *operator == Operator::In {
                    let found = matches!(self.peek(), Token::Name(name) if name == "in");
                    self.at += usize::from(found);
                    found
                } else {
                    self.takes(sign)
                };
                if found {
                    terms += 1;
                    self.bounded(terms)?;
                    let right = operand(self)?;
                    left = Node {
                        place,
                        expr: Expr::Binary(*operator, Box::new(left), Box::new(right)),
                    };
                    continue 'chain;
                }
            }
            return Ok(left);
        }
    }

    fn relation(&mut self) -> Parsed {
        self.chain(
            Parser::sum,
            &[
                ("==", Operator::Equal),
                ("!=", Operator::Unequal),
                ("<=", Operator::LessEqual),
                (">=", Operator::GreaterEqual),
                ("<", Operator::Less),
                (">", Operator::Greater),
                ("in", Operator::In),
            ],
        )
    }

    fn sum(&mut self) -> Parsed {
        self.chain(Parser::product, &[("+", Operator::Add), ("-", Operator::Subtract)])
    }

    fn product(&mut self) -> Parsed {
        self.chain(
            Parser::unary,
            &[
                ("*", Operator::Multiply),
                ("/", Operator::Divide),
                ("%", Operator::Remainder),
            ],
        )
    }

    fn unary(&mut self) -> Parsed {
        let place = self.place();
        if self.takes("!") {
            self.deeper()?;
            let of = self.unary()?;
            self.depth -= 1;
            return Ok(Node {
                place,
                expr: Expr::Not(Box::new(of)),
            });
        }
        if self.takes("-") {
            match *self.peek() {
                Token::Int(number) if number == 1 << 63 => {
                    self.at += 1;
                    return self.members(Node {
                        place,
                        expr: Expr::Int(i64::MIN),
                    });
                }
                Token::Int(number) => {
                    self.at += 1;
                    let number = i64::try_from(number).map_err(|_| self.error("invalid int literal"))?;
                    return self.members(Node {
                        place,
                        expr: Expr::Int(-number),
                    });
                }
                Token::Double(number) => {
                    self.at += 1;
                    return self.members(Node {
                        place,
                        expr: Expr::Double(-number),
                    });
                }
                _ => {}
            }
            self.deeper()?;
            let of = self.unary()?;
            self.depth -= 1;
            return Ok(Node {
                place,
                expr: Expr::Negate(Box::new(of)),
            });
        }
        let primary = self.primary()?;
        self.members(primary)
    }

    fn deeper(&mut self) -> Result<(), CompileError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.error(format!("expression recursion limit exceeded: {MOST_DEPTH}")));
        }
        Ok(())
    }

    fn members(&mut self, mut node: Node) -> Parsed {
        let mut steps = 0;
        loop {
            steps += 1;
            self.bounded(steps)?;
            let place = self.place();
            let optional = matches!(self.peek(), Token::Sign(".?" | "[?"));
            if self.takes(".") || self.takes(".?") {
                let Token::Name(name) = self.next() else {
                    self.at -= 1;
                    return Err(self.unexpected("mismatched input", "IDENTIFIER"));
                };
                if !optional && self.takes("(") {
                    let arguments = self.arguments(")")?;
                    node = self.method(node, name, arguments, place)?;
                } else {
                    let expr = Expr::Select {
                        of: Box::new(node),
                        field: name.into(),
                        test: false,
                        optional,
                    };
                    node = Node { place, expr };
                }
            } else if self.takes("[") || self.takes("[?") {
                let index = Box::new(self.expression()?);
                self.expect("]")?;
                node = Node {
                    place,
                    expr: Expr::Index {
                        of: Box::new(node),
                        index,
                        optional,
                    },
                };
            } else {
                return Ok(node);
            }
        }
    }

    fn arguments(&mut self, end: &str) -> Result<Vec<Node>, CompileError> {
        let mut arguments = Vec::new();
        while !self.takes(end) {
            if !arguments.is_empty() {
                self.expect(",")?;
                if self.takes(end) {
                    break;
                }
            }
            arguments.push(self.expression()?);
        }
        Ok(arguments)
    }

    fn primary(&mut self) -> Parsed {
        let place = self.place();
        let expr = match self.next() {
            Token::Int(number) => Expr::Int(i64::try_from(number).map_err(|_| CompileError {
                place,
                message: "invalid int literal".into(),
            })?),
            Token::Uint(number) => Expr::Uint(number),
            Token::Double(number) => Expr::Double(number),
            Token::Text(text) => Expr::Text(text.into()),
            Token::Bytes(bytes) => Expr::Bytes(bytes.into()),
            Token::Sign("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => {
                let mut items = Vec::new();
                while !self.takes("]") {
                    if !items.is_empty() {
                        self.expect(",")?;
                        if self.takes("]") {
                            break;
                        }
                    }
                    let optional = self.takes("?");
                    items.push((self.expression()?, optional));
                }
                Expr::List(items)
            }
            Token::Sign("[?") => {
                // `[?a]` is a list whose first item is optional.
                let mut items = vec![(self.expression()?, true)];
                while !self.takes("]") {
                    self.expect(",")?;
                    if self.takes("]") {
                        break;
                    }
                    let optional = self.takes("?");
                    items.push((self.expression()?, optional));
                }
                Expr::List(items)
            }
            Token::Sign("{") => {
                let mut entries = Vec::new();
                while !self.takes("}") {
                    if !entries.is_empty() {
                        self.expect(",")?;
                        if self.takes("}") {
                            break;
                        }
                    }
                    let optional = self.takes("?");
                    let key = self.expression()?;
                    self.expect(":")?;
                    entries.push((key, self.expression()?, optional));
                }
                Expr::Map(entries)
            }
            Token::Name(name) => match name.as_str() {
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                "null" => Expr::Null,
                _ if self.takes("(") => {
                    let arguments = self.arguments(")")?;
                    return self.call(&name, arguments, place);
                }
                _ if is_reserved(&name) => {
                    return Err(CompileError {
                        place,
                        message: format!("Syntax error: reserved identifier: {name}"),
                    });
                }
                _ => Expr::Name(name.into()),
            },
            _ => {
                self.at -= 1;
                // A call may have no arguments.
                let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.tokens.get(at));
                let called =
                    matches!(before(1), Some((_, Token::Sign("(")))) && matches!(before(2), Some((_, Token::Name(_))));
                let expected = if called {
                    OPERAND.replacen("'(', ", "'(', ')', ", 1)
                } else {
                    OPERAND.to_owned()
                };
                return Err(self.unexpected("mismatched input", &expected));
            }
        };
        Ok(Node { place, expr })
    }

    /// A call without a target: `has(a.b)` is a macro, the rest are functions.
    fn call(&self, name: &str, mut arguments: Vec<Node>, place: usize) -> Parsed {
        if name == "has" {
            let wrong = || CompileError {
                place,
                message: "invalid argument to has() macro".into(),
            };
            if arguments.len() != 1 {
                return Err(wrong());
            }
            let Some(Node {
                expr:
                    Expr::Select {
                        of,
                        field,
                        optional: false,
                        ..
                    },
                place,
            }) = arguments.pop()
            else {
                return Err(wrong());
            };
            return Ok(Node {
                place,
                expr: Expr::Select {
                    of,
                    field,
                    test: true,
                    optional: false,
                },
            });
        }
        Ok(Node {
            place,
            expr: Expr::Call {
                name: name.into(),
                target: None,
                arguments,
            },
        })
    }

    /// A call with a target: a macro, a function of a library (`math.greatest`), or a method.
    fn method(&self, target: Node, name: String, mut arguments: Vec<Node>, place: usize) -> Parsed {
        if let Expr::Name(library) = &target.expr {
            if &**library == "cel" && name == "bind" && arguments.len() == 3 {
                let (Some(body), Some(value), Some(variable)) = (arguments.pop(), arguments.pop(), arguments.pop())
                else {
                    return Err(self.error("invalid arguments to cel.bind"));
                };
                let name = variable_name(&variable)?;
                return Ok(Node {
                    place,
                    expr: Expr::Bind {
                        name,
                        value: Box::new(value),
                        body: Box::new(body),
                    },
                });
            }
            let full = format!("{library}.{name}");
            if is_namespaced(&full) {
                return Ok(Node {
                    place: target.place,
                    expr: Expr::Call {
                        name: full.into(),
                        target: None,
                        arguments,
                    },
                });
            }
        }
        let kind = match (name.as_str(), arguments.len()) {
            ("all", 2 | 3) => Some(FoldKind::All),
            ("exists", 2 | 3) => Some(FoldKind::Exists),
            ("exists_one" | "existsOne", 2 | 3) => Some(FoldKind::ExistsOne),
            ("filter", 2) => Some(FoldKind::Filter),
            ("map", 2 | 3) | ("transformList", 3 | 4) => Some(FoldKind::Map),
            ("transformMap", 3 | 4) => Some(FoldKind::TransformMap),
            ("transformMapEntry", 3 | 4) => Some(FoldKind::TransformMapEntry),
            ("sortBy", 2) => Some(FoldKind::SortBy),
            ("optMap", 2) => Some(FoldKind::OptionalMap),
            ("optFlatMap", 2) => Some(FoldKind::OptionalFlatMap),
            _ => None,
        };
        let Some(kind) = kind else {
            let expr = Expr::Call {
                name: name.into(),
                target: Some(Box::new(target)),
                arguments,
            };
            return Ok(Node { place, expr });
        };
        // One variable, or two: index and item, key and value.
        let two = match (name.as_str(), arguments.len()) {
            ("map", _) => false,
            (word, _) if word.starts_with("transform") => true,
            (_, count) => count == 3,
        };
        let body = arguments.pop().ok_or_else(|| self.error("missing argument"))?;
        let mut rest = arguments.into_iter();
        let first = rest.next().ok_or_else(|| self.error("missing argument"))?;
        let first = variable_name(&first)?;
        let second = if two {
            rest.next().as_ref().map(variable_name).transpose()?
        } else {
            None
        };
        let fold = Fold {
            kind,
            range: target,
            first,
            second,
            condition: rest.next(),
            body,
        };
        Ok(Node {
            place,
            expr: Expr::Fold(Box::new(fold)),
        })
    }
}

fn variable_name(node: &Node) -> Result<Arc<str>, CompileError> {
    match &node.expr {
        Expr::Name(name) => Ok(name.clone()),
        _ => Err(CompileError {
            place: node.place,
            message: "argument must be a simple name".into(),
        }),
    }
}

fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "as" | "break"
            | "const"
            | "continue"
            | "else"
            | "for"
            | "function"
            | "if"
            | "import"
            | "in"
            | "let"
            | "loop"
            | "package"
            | "namespace"
            | "return"
            | "var"
            | "void"
            | "while"
    )
}
