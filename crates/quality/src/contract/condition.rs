//! Conditions on rows: a check with one looks only at the rows it holds for.
//!
//! Three spellings are read, those of Great Expectations: expressions of pandas' `DataFrame.query` (comparisons, `in`, `and`, `or`, `not`, `&`, `|`, `~`,
//! `isnull()` and `notnull()`, of which the simple forms), the older `col("x") > 5`, and the structure that 1.x writes into suites. They mean what pandas
//! does with them: a null holds no comparison but `!=`.

use stoke_model::manifest::{Content, Node};

use super::Literal;

/// A condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A column is to a value so.
    Compare(String, Operator, Literal),
    /// A column is one of these.
    In(String, Vec<Literal>),
    /// A column is null.
    IsNull(String),
    /// A column of truth values is true.
    IsTrue(String),
    /// All hold.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
}

/// How a column is to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// The same with its sides swapped.
    fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

impl Condition {
    /// Reads an expression of `DataFrame.query`.
    ///
    /// # Errors
    /// What of it is not read, in words.
    pub fn of_query(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            at: 0,
        };
        let condition = parser.any()?;
        match parser.tokens.get(parser.at) {
            None => Ok(condition),
            Some(token) => Err(format!("{} is not expected", token.show())),
        }
    }

    /// Reads `col("x") > 5` or `col("x").notNull()`.
    ///
    /// # Errors
    /// What of it is not read, in words.
    pub fn of_column(text: &str) -> Result<Self, String> {
        let strange = || format!("{text:?} is not of the form col(\"x\") > 5");
        let rest = text.trim().strip_prefix("col(\"").ok_or_else(strange)?;
        let (name, rest) = rest.split_once("\")").ok_or_else(strange)?;
        let rest = rest.trim();
        if rest.eq_ignore_ascii_case(".notnull()") {
            return Ok(Self::Not(Box::new(Self::IsNull(name.to_owned()))));
        }
        let length = rest.find(|character| !"<>=!".contains(character)).ok_or_else(strange)?;
        let operator = Operator::of(&rest[..length]).ok_or_else(strange)?;
        let value = rest[length..].trim();
        let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
        let value = match quoted('"').or_else(|| quoted('\'')) {
            Some(text) => Literal::Text(text.to_owned()),
            None => number(value).ok_or_else(strange)?,
        };
        Ok(Self::Compare(name.to_owned(), operator, value))
    }

    /// Reads the structure of 1.x: `{type: comparison, column: {name: x}, operator: ">", parameter: 5}`.
    ///
    /// # Errors
    /// What of it is not read, in words.
    pub fn of_node(node: &Node) -> Result<Self, String> {
        let text = |node: Option<&Node>| match node.map(|node| &node.content) {
            Some(Content::String(text)) => Some(text.clone()),
            _ => None,
        };
        let column = || {
            let name = node.get("column").and_then(|column| text(column.get("name")));
            name.ok_or("a condition has a `column` with a `name`")
        };
        let parts = || -> Result<Vec<Self>, String> {
            let parts = node.get("conditions").ok_or("the condition has no `conditions`")?;
            parts.items().iter().map(Self::of_node).collect()
        };
        match text(node.get("type")).as_deref() {
            Some("and") => Ok(Self::All(parts()?)),
            Some("or") => Ok(Self::Any(parts()?)),
            Some("pass_through") => {
                let filter =
                    text(node.get("pass_through_filter")).ok_or("the condition has no `pass_through_filter`")?;
                Self::of_query(&filter)
            }
            Some("nullity") => {
                let null = Self::IsNull(column()?);
                match node.get("is_null").map(|node| &node.content) {
                    Some(Content::Bool(true)) => Ok(null),
                    Some(Content::Bool(false)) => Ok(Self::Not(Box::new(null))),
                    _ => Err("`is_null` is true or false".into()),
                }
            }
            Some("comparison") => {
                let operator = text(node.get("operator")).unwrap_or_default();
                let parameter = node.get("parameter").ok_or("the condition has no `parameter`")?;
                let among = || {
                    let values = parameter.items().iter().map(Literal::of).collect::<Option<Vec<_>>>();
                    Ok::<_, String>(Self::In(column()?, values.ok_or("`parameter` is a list of values")?))
                };
                match operator.as_str() {
                    "IN" => among(),
                    "NOT_IN" => Ok(Self::Not(Box::new(among()?))),
                    other => {
                        let operator = Operator::of(other).ok_or_else(|| format!("there is no operator `{other}`"))?;
                        let value = Literal::of(parameter).ok_or("`parameter` is a value")?;
                        Ok(Self::Compare(column()?, operator, value))
                    }
                }
            }
            other => Err(format!("there are no conditions of type {other:?}")),
        }
    }

    /// The columns it looks at.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Compare(column, ..) | Self::In(column, _) | Self::IsNull(column) | Self::IsTrue(column) => {
                vec![column]
            }
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::columns).collect(),
            Self::Not(part) => part.columns(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Value(Literal),
    Sign(String),
}

impl Token {
    fn show(&self) -> String {
        match self {
            Self::Name(text) | Self::Sign(text) => format!("`{text}`"),
            Self::Value(value) => value.to_string(),
        }
    }
}

/// A number as Python writes it.
fn number(text: &str) -> Option<Literal> {
    let starts = text
        .trim_start_matches(['+', '-'])
        .starts_with(|first: char| first.is_ascii_digit() || first == '.');
    if !starts {
        return None;
    }
    let whole = text.parse::<i128>().ok().map(Literal::Int);
    whole.or_else(|| text.parse::<f64>().ok().map(Literal::Float))
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' | '`' => {
                let end = rest[1..]
                    .find(first)
                    .ok_or_else(|| format!("a {first} is not closed"))?;
                let inner = &rest[1..=end];
                if inner.contains('\\') {
                    return Err("backslashes in texts are not read".into());
                }
                tokens.push(match first {
                    '`' => Token::Name(inner.to_owned()),
                    _ => Token::Value(Literal::Text(inner.to_owned())),
                });
                end + 2
            }
            _ if first.is_alphabetic() || first == '_' => {
                let inside = |character: char| character.is_alphanumeric() || character == '_';
                let length = rest.find(|character| !inside(character)).unwrap_or(rest.len());
                tokens.push(match &rest[..length] {
                    "True" => Token::Value(Literal::Bool(true)),
                    "False" => Token::Value(Literal::Bool(false)),
                    sign @ ("and" | "or" | "not" | "in") => Token::Sign(sign.to_owned()),
                    name => Token::Name(name.to_owned()),
                });
                length
            }
            _ if first.is_ascii_digit() || "+-.".contains(first) => {
                let mut before = ' ';
                let inside = |character: char| {
                    let exponent = matches!(before, 'e' | 'E') && "+-".contains(character);
                    let part = character.is_ascii_digit() || ".eE".contains(character) || exponent;
                    before = character;
                    part
                };
                let length = 1 + rest[1..].chars().map(inside).take_while(|part| *part).count();
                match number(&rest[..length]) {
                    Some(value) => tokens.push(Token::Value(value)),
                    // A method of a column.
                    None if first == '.' => {
                        tokens.push(Token::Sign(".".into()));
                        rest = &rest[1..];
                        continue;
                    }
                    None => return Err(format!("{:?} is not read", &rest[..length])),
                }
                length
            }
            _ => {
                let two = ["==", "!=", "<=", ">="].into_iter().find(|sign| rest.starts_with(sign));
                let one = ["<", ">", "(", ")", "[", "]", ",", "&", "|", "~"].into_iter();
                let sign = two.or_else(|| one.into_iter().find(|sign| rest.starts_with(sign)));
                let sign = sign.ok_or_else(|| format!("{first:?} is not read"))?;
                tokens.push(Token::Sign(sign.to_owned()));
                sign.len()
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn takes(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(text)) if text == sign);
        self.at += usize::from(found);
        found
    }

    fn needs(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(format!("`{sign}` is missing{}", self.here()))
    }

    fn here(&self) -> String {
        self.tokens
            .get(self.at)
            .map_or_else(String::new, |token| format!(" before {}", token.show()))
    }

    // `&` and `|` bind as `and` and `or` do in a query.
    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.takes("or") || self.takes("|") {
            parts.push(self.all()?);
        }
        Ok(one_of(parts, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.not()?];
        while self.takes("and") || self.takes("&") {
            parts.push(self.not()?);
        }
        Ok(one_of(parts, Condition::All))
    }

    fn not(&mut self) -> Result<Condition, String> {
        if self.takes("not") || self.takes("~") {
            return Ok(Condition::Not(Box::new(self.not()?)));
        }
        if self.takes("(") {
            let inner = self.any()?;
            self.needs(")")?;
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        let token = self
            .tokens
            .get(self.at)
            .cloned()
            .ok_or("the condition ends too early")?;
        self.at += 1;
        match token {
            Token::Name(column) => {
                if self.takes(".") {
                    return self.method(column);
                }
                let negated = self.takes("not");
                if self.takes("in") {
                    let among = Condition::In(column, self.list()?);
                    return Ok(if negated {
                        Condition::Not(Box::new(among))
                    } else {
                        among
                    });
                }
                if negated {
                    return Err(format!("`in` is missing{}", self.here()));
                }
                let Some(operator) = self.operator() else {
                    return Ok(Condition::IsTrue(column));
                };
                if let (Operator::Equal | Operator::NotEqual, Some(Token::Sign(sign))) =
                    (operator, self.tokens.get(self.at))
                    && sign == "["
                {
                    let among = Condition::In(column, self.list()?);
                    return Ok(if operator == Operator::Equal {
                        among
                    } else {
                        Condition::Not(Box::new(among))
                    });
                }
                let value = self.value()?;
                self.chained()?;
                Ok(Condition::Compare(column, operator, value))
            }
            Token::Value(value) => {
                let operator = self
                    .operator()
                    .ok_or_else(|| format!("nothing is compared with {value}"))?;
                let Some(Token::Name(column)) = self.tokens.get(self.at).cloned() else {
                    return Err(format!("a column is missing{}", self.here()));
                };
                self.at += 1;
                self.chained()?;
                Ok(Condition::Compare(column, operator.turned(), value))
            }
            token => Err(format!("{} is not expected", token.show())),
        }
    }

    /// `1 < x < 5` is two comparisons; it is not taken for one.
    fn chained(&mut self) -> Result<(), String> {
        match self.operator() {
            None => Ok(()),
            Some(_) => Err("comparisons in a row are not read; join them with `and`".into()),
        }
    }

    fn method(&mut self, column: String) -> Result<Condition, String> {
        let Some(Token::Name(method)) = self.tokens.get(self.at).cloned() else {
            return Err(format!("a method is missing{}", self.here()));
        };
        self.at += 1;
        let null = match method.as_str() {
            "isnull" | "isna" => true,
            "notnull" | "notna" => false,
            "isin" => {
                self.needs("(")?;
                let values = self.list()?;
                self.needs(")")?;
                return Ok(Condition::In(column, values));
            }
            other => return Err(format!("the method `{other}` is not read")),
        };
        self.needs("(")?;
        self.needs(")")?;
        let is_null = Condition::IsNull(column);
        Ok(if null {
            is_null
        } else {
            Condition::Not(Box::new(is_null))
        })
    }

    fn operator(&mut self) -> Option<Operator> {
        let Some(Token::Sign(sign)) = self.tokens.get(self.at) else {
            return None;
        };
        let operator = Operator::of(sign)?;
        self.at += 1;
        Some(operator)
    }

    fn value(&mut self) -> Result<Literal, String> {
        match self.tokens.get(self.at).cloned() {
            Some(Token::Value(value)) => {
                self.at += 1;
                Ok(value)
            }
            Some(Token::Name(name)) => Err(format!(
                "`{name}` is not a value; columns are compared with values only"
            )),
            _ => Err(format!("a value is missing{}", self.here())),
        }
    }

    fn list(&mut self) -> Result<Vec<Literal>, String> {
        let close = if self.takes("(") { ")" } else { "]" };
        if close == "]" {
            self.needs("[")?;
        }
        let mut values = Vec::new();
        while !self.takes(close) {
            values.push(self.value()?);
            if !self.takes(",") {
                self.needs(close)?;
                break;
            }
        }
        Ok(values)
    }
}

fn one_of(mut parts: Vec<Condition>, many: impl FnOnce(Vec<Condition>) -> Condition) -> Condition {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let compare = |column: &str, operator, value| Condition::Compare(column.into(), operator, value);
        let more = compare("x", Operator::Greater, Literal::Int(5));
        let same = compare("a b", Operator::Equal, Literal::Text("it".into()));
        let table = [
            ("x > 5", more.clone()),
            ("5 < x", more.clone()),
            (
                "x >= -1.5e-3",
                compare("x", Operator::GreaterOrEqual, Literal::Float(-1.5e-3)),
            ),
            (
                "`a b` == 'it' and x>5",
                Condition::All(vec![same.clone(), more.clone()]),
            ),
            ("(x > 5) | `a b` == \"it\"", Condition::Any(vec![more.clone(), same])),
            (
                "not x.notnull()",
                Condition::Not(Box::new(Condition::Not(Box::new(Condition::IsNull("x".into()))))),
            ),
            (
                "x in [1, 'a',]",
                Condition::In("x".into(), vec![Literal::Int(1), Literal::Text("a".into())]),
            ),
            ("~(x)", Condition::Not(Box::new(Condition::IsTrue("x".into())))),
        ];
        for (text, expected) in table {
            assert_eq!(Condition::of_query(text), Ok(expected), "{text}");
        }
        for text in [
            "x >",
            "x > y",
            "x > 5 6",
            "1 < x < 5",
            "x.str.len() > 1",
            "@y > 1",
            "x == 'a",
            "(x > 5",
            "",
            "x = 5",
            "x > 5é",
        ] {
            assert!(Condition::of_query(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_older_form_is_read() {
        let read = Condition::of_column("col(\"x y\") <= -1.5");
        assert_eq!(
            read,
            Ok(Condition::Compare(
                "x y".into(),
                Operator::LessOrEqual,
                Literal::Float(-1.5)
            ))
        );
        assert_eq!(
            Condition::of_column("col(\"x\").notNull()"),
            Ok(Condition::Not(Box::new(Condition::IsNull("x".into()))))
        );
        for text in [
            "col('x') > 1",
            "col(\"x\") > 1 and y",
            "x > 1",
            "col(\"x\")",
            "col(\"x\") ~ 1",
            "col(\"x\") == date(\"2026-01-01\")",
        ] {
            assert!(Condition::of_column(text).is_err(), "{text}");
        }
    }
}
