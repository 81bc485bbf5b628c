//! Selectors, and what may follow them: ranges, subqueries, `offset`, `@`.

use super::super::Wrong;
use super::super::ast::{Duration, Expr, Match, Matcher, Node, Selector, Span, Subquery};
use super::super::lex::{ANY, Token, wrong};
use super::Parser;

/// Milliseconds of a time after `@` are 64 bits wide.
const LATEST: f64 = 9.2e18;

impl Parser {
    pub(super) fn selector(&mut self, name: Option<(String, Span)>) -> Result<Selector, Wrong> {
        let start = name.as_ref().map_or_else(|| self.here(), |(_, span)| *span);
        let mut selector = Selector {
            name,
            matchers: Vec::new(),
            range: None,
            offset: None,
            at: None,
        };
        if self.take("{") {
            while !self.take("}") {
                self.matcher(&mut selector)?;
                if !self.is("}") {
                    self.expect(",", "between conditions")?;
                }
            }
        }
        let span = Span::new(start.start, self.behind());
        let by_name: Vec<&Matcher> = selector
            .matchers
            .iter()
            .filter(|matcher| matcher.label == "__name__")
            .collect();
        if selector.name.is_some() && !by_name.is_empty() {
            return Err(wrong(span, "the name of the metric is given twice"));
        }
        if selector.name.is_none() && selector.matchers.iter().all(matches_empty) {
            let mut error = wrong(
                span,
                "every condition matches series without the label: this would select everything",
            );
            error.fix = Some("name a metric, or ask for a value of a label".to_owned());
            return Err(error);
        }
        Ok(selector)
    }

    fn matcher(&mut self, selector: &mut Selector) -> Result<(), Wrong> {
        let label_span = self.here();
        let label = match self.next().map(|spanned| spanned.token) {
            Some(Token::Word(word)) if !word.contains(':') => word,
            Some(Token::Text(text)) if !text.is_empty() => {
                let is_name = !["=", "!=", "=~", "!~"].iter().any(|op| self.is(op));
                if is_name {
                    if selector.name.is_some() {
                        return Err(wrong(label_span, "the name of the metric is given twice"));
                    }
                    selector.name = Some((text, label_span));
                    return Ok(());
                }
                text
            }
            Some(Token::Variable) => {
                // The variable holds a label or a whole condition.
                if !["=", "!=", "=~", "!~"].iter().any(|op| self.is(op)) {
                    return Ok(());
                }
                ANY.to_string()
            }
            _ => return Err(wrong(label_span, "a label's name is expected here")),
        };
        let here = self.here();
        let op = match self.next().map(|spanned| spanned.token) {
            Some(Token::Symbol("=")) => Match::Equal,
            Some(Token::Symbol("!=")) => Match::NotEqual,
            Some(Token::Symbol("=~")) => Match::Regex,
            Some(Token::Symbol("!~")) => Match::NotRegex,
            Some(Token::Symbol("==")) => {
                let mut error = wrong(here, "`==` does not compare labels");
                error.fix = Some("write `=`".to_owned());
                return Err(error);
            }
            _ => return Err(wrong(here, "one of `=`, `!=`, `=~` and `!~` is expected after a label")),
        };
        let value_span = self.here();
        let value = match self.next().map(|spanned| spanned.token) {
            Some(Token::Text(text)) => text,
            Some(Token::Variable) => ANY.to_string(),
            _ => return Err(wrong(value_span, "a text in quotes is expected here")),
        };
        if matches!(op, Match::Regex | Match::NotRegex) && !value.contains(ANY) {
            regular(&value)
                .map_err(|why| wrong(value_span, format!("`{value}` is not a regular expression: {why}")))?;
        }
        selector.matchers.push(Matcher {
            label,
            label_span,
            op,
            value,
            value_span,
        });
        Ok(())
    }

    /// A duration with or without a sign, as after `offset`.
    fn signed_duration(&mut self) -> Result<Duration, Wrong> {
        let here = self.here();
        let negative = self.is("-");
        if negative || self.is("+") {
            self.at += 1;
        }
        let duration = self.duration()?;
        let sign = if negative { -1.0 } else { 1.0 };
        Ok(Duration {
            span: here.to(duration.span),
            seconds: duration.seconds.map(|seconds| sign * seconds),
        })
    }

    fn duration(&mut self) -> Result<Duration, Wrong> {
        let span = self.here();
        match self.next().map(|spanned| spanned.token) {
            Some(Token::Duration(seconds) | Token::Number(seconds)) => Ok(Duration {
                span,
                seconds: Some(seconds),
            }),
            Some(Token::Variable) => Ok(Duration { span, seconds: None }),
            // `${window}m`
            Some(Token::Word(word)) if word.contains(ANY) => Ok(Duration { span, seconds: None }),
            _ => {
                let mut error = wrong(span, "a duration is expected here");
                error.fix = Some("write one such as `5m` or `1h30m`".to_owned());
                Err(error)
            }
        }
    }

    /// `[5m]` or `[1h:1m]` after an expression.
    pub(super) fn bracketed(&mut self, expr: Expr) -> Result<Expr, Wrong> {
        let open = self.expect("[", "")?;
        let range = self.duration()?;
        if range.seconds.is_some_and(|seconds| seconds <= 0.0) {
            return Err(wrong(range.span, "a range is longer than nothing"));
        }
        if !self.take(":") {
            self.expect("]", "after the range")?;
            let span = Span::new(expr.span.start, self.behind());
            let Node::Selector(mut selector) = expr.node else {
                let mut error = wrong(open, "a range can only follow a selector");
                error.fix = Some("write a subquery, such as `[1h:1m]`".to_owned());
                return Err(error);
            };
            if selector.range.is_some() {
                return Err(wrong(open, "there is a range already"));
            }
            if selector.offset.is_some() || selector.at.is_some() {
                return Err(wrong(open, "the range stands before `offset` and `@`"));
            }
            selector.range = Some(range);
            return Ok(Expr {
                span,
                node: Node::Selector(selector),
            });
        }
        let step = match self.is("]") {
            true => None,
            false => Some(self.duration()?),
        };
        if step.is_some_and(|step| step.seconds.is_some_and(|seconds| seconds <= 0.0)) {
            return Err(wrong(open, "the step of a subquery is longer than nothing"));
        }
        self.expect("]", "after the subquery")?;
        Ok(Expr {
            span: Span::new(expr.span.start, self.behind()),
            node: Node::Subquery(Subquery {
                expr: Box::new(expr),
                range,
                step,
                offset: None,
                at: None,
            }),
        })
    }

    pub(super) fn offset(&mut self, mut expr: Expr) -> Result<Expr, Wrong> {
        let here = self.here();
        self.at += 1;
        let duration = self.signed_duration()?;
        let place = match &mut expr.node {
            Node::Selector(selector) => &mut selector.offset,
            Node::Subquery(subquery) => &mut subquery.offset,
            Node::Variable => return Ok(expr),
            _ => return Err(wrong(here, "`offset` can only follow a selector or a subquery")),
        };
        if place.replace(duration).is_some() {
            return Err(wrong(here, "there is an offset already"));
        }
        expr.span.end = self.behind();
        Ok(expr)
    }

    pub(super) fn at_modifier(&mut self, mut expr: Expr) -> Result<Expr, Wrong> {
        let here = self.here();
        self.at += 1;
        let is_signed = self.is("-") || self.is("+");
        self.at += usize::from(is_signed);
        let time = self.here();
        match self.next().map(|spanned| spanned.token) {
            Some(Token::Number(value)) if value.abs() < LATEST => {}
            Some(Token::Variable) => {}
            Some(Token::Word(word))
                if !is_signed
                    && ["start", "end"].iter().any(|known| word.eq_ignore_ascii_case(known))
                    && self.is("(") =>
            {
                self.at += 1;
                self.expect(")", "after `start(` or `end(`")?;
            }
            _ => return Err(wrong(time, "a time, `start()` or `end()` is expected after `@`")),
        }
        let span = Span::new(here.start, self.behind());
        let place = match &mut expr.node {
            Node::Selector(selector) => &mut selector.at,
            Node::Subquery(subquery) => &mut subquery.at,
            Node::Variable => return Ok(expr),
            _ => return Err(wrong(here, "`@` can only follow a selector or a subquery")),
        };
        if place.replace(span).is_some() {
            return Err(wrong(here, "there is an `@` already"));
        }
        expr.span.end = self.behind();
        Ok(expr)
    }
}

/// Whether Prometheus takes it for a regular expression.
fn regular(text: &str) -> Result<(), String> {
    // Go has these, the library here does not.
    if text.contains(r"\Q") || text.contains(r"\C") || text.contains(r"\p") || text.contains(r"\P") {
        return Ok(());
    }
    let error = match crate::catalogue::syntax(text) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let last = error.lines().rev().find_map(|line| line.strip_prefix("error: "));
    Err(last.unwrap_or(&error).to_owned())
}

/// Whether a series without the label meets a condition.
fn matches_empty(matcher: &Matcher) -> bool {
    if matcher.value.contains(ANY) {
        return false;
    }
    let regex = || {
        crate::catalogue::automaton(&matcher.value).is_none_or(|automaton| crate::catalogue::matches(&automaton, ""))
    };
    match matcher.op {
        Match::Equal => matcher.value.is_empty(),
        Match::NotEqual => !matcher.value.is_empty(),
        Match::Regex => regex(),
        Match::NotRegex => !regex(),
    }
}
