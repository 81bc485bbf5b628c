//! Arguments of expectations, and the checks that they make.

use stoke_model::manifest::{Content, Node, join};

use super::super::values::{empty_range, pattern, whole_limit};
use super::super::{
    Comparison, Condition, Interpolation, Kind, LeaveOut, Limit, Literal, MatchRule, Metric, Pattern, Range, SetRule,
    Strptime, TextFormat, TypeName,
};
use stoke_model::manifest::Fields;

/// What the ends of a range are. The library takes a text that is a number for that number, and refuses other texts where it wants one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Numbers, dates and texts.
    Values,
    Numbers,
    /// Numbers without what stands behind the point.
    Whole,
}

/// The arguments of an expectation.
pub(super) struct Arguments<'n, 'f, 'a> {
    pub(super) node: &'n Node,
    pub(super) path: &'n str,
    pub(super) fields: &'f mut Fields<'a>,
}

impl Arguments<'_, '_, '_> {
    /// Why the expectation cannot be checked whatever it is.
    pub(super) fn refused(&self) -> Option<String> {
        if self
            .node
            .get("auto")
            .is_some_and(|auto| auto.content == Content::Bool(true))
        {
            return Some("`auto` takes its limits from earlier batches of the library's own store".into());
        }
        let parameter = self.node.entries().iter().find(|entry| {
            let of_parameter = |inner: &Node| inner.entry("$PARAMETER").is_some();
            of_parameter(&entry.value) || entry.value.items().iter().any(of_parameter)
        })?;
        Some(super::parameters::unknown(&parameter.key, &parameter.value))
    }

    /// The condition on rows.
    ///
    /// # Errors
    /// Why it is not evaluated here.
    pub(super) fn condition(&mut self) -> Result<Option<Condition>, String> {
        let parser = self.node.get("condition_parser").and_then(Node::as_str);
        let Some(node) = self.node.get("row_condition") else {
            return Ok(None);
        };
        let read = match (&node.content, parser) {
            (Content::Null, _) => return Ok(None),
            (Content::Map(_), _) => Condition::of_node(node),
            (Content::String(text), None | Some("pandas")) => Condition::of_query(text),
            (Content::String(text), Some("great_expectations" | "great_expectations__experimental__")) => {
                Condition::of_column(text)
            }
            (Content::String(_), Some(other)) => Err(format!("conditions of `{other}` are not read")),
            _ => Err("it is a text, or a condition of 1.x".to_owned()),
        };
        read.map(Some)
            .map_err(|reason| format!("`row_condition` is not evaluated here: {reason}"))
    }

    pub(super) fn texts_are_dates(&mut self) -> bool {
        let key = "parse_strings_as_datetimes";
        self.fields.flag(self.node, key, self.path).unwrap_or(false)
    }

    pub(super) fn mostly(&mut self) -> f64 {
        let share = self.number("mostly").unwrap_or(1.0);
        if (0.0..=1.0).contains(&share) {
            return share;
        }
        let message = format!("{share} is not a share");
        let path = join(self.path, "mostly");
        self.fields.complain(
            "bad-share",
            self.node.place_of("mostly"),
            &path,
            message,
            "write a number from 0 to 1",
        );
        1.0
    }

    pub(super) fn leave_out(&mut self) -> LeaveOut {
        let words = [
            ("never", LeaveOut::Never),
            ("neither", LeaveOut::Never),
            ("all_values_are_missing", LeaveOut::AllNull),
            ("both_values_are_missing", LeaveOut::AllNull),
            ("any_value_is_missing", LeaveOut::AnyNull),
            ("either_value_is_missing", LeaveOut::AnyNull),
        ];
        let word = self.fields.word(self.node, "ignore_row_if", self.path, &words);
        word.unwrap_or(LeaveOut::AllNull)
    }

    pub(super) fn kind(&mut self, name: &str) -> Option<Kind> {
        let (node, path) = (self.node, self.path);
        Some(match name {
            "expect_table_row_count_to_be_between" => Kind::RowCount(self.range(Ends::Whole)?.as_limit()?),
            "expect_table_row_count_to_equal" => Kind::RowCount(self.equal()?),
            "expect_table_column_count_to_be_between" => Kind::ColumnCount(self.range(Ends::Numbers)?.as_limit()?),
            "expect_table_column_count_to_equal" => Kind::ColumnCount(self.equal()?),
            "expect_table_columns_to_match_ordered_list" => {
                Kind::ColumnOrder(self.fields.texts(node, "column_list", path).unwrap_or_default())
            }
            "expect_table_columns_to_match_set" => Kind::ColumnSet {
                names: self.needed_texts("column_set")?,
                exact: self.fields.flag(node, "exact_match", path).unwrap_or(true),
            },
            // The library takes a position of 0 for none.
            "expect_column_to_exist" => {
                Kind::ColumnExists(self.whole("column_index").filter(|position| *position != 0))
            }
            "expect_column_type_to_be" | "expect_column_values_to_be_of_type" => {
                let written = self.fields.needed_text(node, "type_", path)?.to_owned();
                Kind::ColumnType(vec![self.type_name(&written)?])
            }
            "expect_column_values_to_be_in_type_list" => {
                let written = self.needed_texts("type_list")?;
                Kind::ColumnType(
                    written
                        .iter()
                        .map(|written| self.type_name(written))
                        .collect::<Option<_>>()?,
                )
            }
            "expect_column_values_to_not_be_null" => Kind::NotNull,
            "expect_column_values_to_be_null" => Kind::IsNull,
            "expect_column_values_to_be_unique" | "expect_compound_columns_to_be_unique" => Kind::Unique,
            "expect_column_values_to_be_between" => {
                let range = self.range(Ends::Values)?;
                if range.is_open() {
                    self.fields.missing(node, "min_value", path);
                }
                Kind::Between(range)
            }
            "expect_column_values_to_be_in_set" => Kind::InSet(self.values()?),
            "expect_column_values_to_not_be_in_set" => Kind::NotInSet(self.values()?),
            // A pattern that is left out is one of any text to the library; null is none.
            "expect_column_values_to_match_regex" => match node.entry("regex") {
                None => pattern("(?s).*"),
                Some(_) => pattern(self.fields.needed_text(node, "regex", path)?),
            },
            "expect_column_values_to_not_match_regex" => match pattern(self.fields.needed_text(node, "regex", path)?) {
                Kind::Matches { patterns, .. } => Kind::Matches {
                    patterns,
                    rule: MatchRule::None,
                },
                refused => refused,
            },
            "expect_column_values_to_match_regex_list" => {
                let rules = [("any", MatchRule::Any), ("all", MatchRule::All)];
                let rule = self
                    .fields
                    .word(node, "match_on", path, &rules)
                    .unwrap_or(MatchRule::Any);
                self.patterns(rule)?
            }
            "expect_column_values_to_not_match_regex_list" => self.patterns(MatchRule::None)?,
            "expect_column_values_to_match_like_pattern" => self.likes(false, MatchRule::All)?,
            "expect_column_values_to_not_match_like_pattern" => self.likes(false, MatchRule::None)?,
            "expect_column_values_to_match_like_pattern_list" => {
                let rules = [("any", MatchRule::Any), ("all", MatchRule::All)];
                let rule = self.fields.word(node, "match_on", path, &rules);
                self.likes(true, rule.unwrap_or(MatchRule::Any))?
            }
            "expect_column_values_to_not_match_like_pattern_list" => self.likes(true, MatchRule::None)?,
            "expect_column_value_lengths_to_equal" => Kind::Length(self.equal()?),
            "expect_column_value_lengths_to_be_between" => {
                let range = self.range(Ends::Whole)?;
                if range.is_open() {
                    self.fields.missing(node, "min_value", path);
                }
                Kind::Length(range.as_limit()?)
            }
            "expect_column_values_to_match_strftime_format" => {
                let format = self.fields.needed_text(node, "strftime_format", path)?;
                match Strptime::new(format) {
                    Ok(format) => Kind::Format(TextFormat::Strptime(format)),
                    Err(reason) => Kind::Refused(format!("the format {format:?} cannot be used: {reason}")),
                }
            }
            "expect_column_values_to_be_json_parseable" => Kind::Format(TextFormat::Json),
            "expect_column_values_to_be_increasing" | "expect_column_values_to_be_decreasing" => Kind::Increasing {
                strictly: self.fields.flag(node, "strictly", path).unwrap_or(false),
                descending: name.ends_with("decreasing"),
            },
            "expect_column_pair_values_to_be_equal" => Kind::Compare(Comparison::Equal),
            "expect_column_pair_values_a_to_be_greater_than_b" => {
                Kind::Compare(match self.fields.flag(node, "or_equal", path).unwrap_or(false) {
                    true => Comparison::GreaterOrEqual,
                    false => Comparison::Greater,
                })
            }
            "expect_column_pair_values_to_be_in_set" => Kind::PairInSet(self.pairs()?),
            "expect_multicolumn_values_to_be_equal" => Kind::SameWithinRow,
            "expect_multicolumn_sum_to_equal" => {
                if node.get("sum_total").is_none() {
                    self.fields.missing(node, "sum_total", path);
                }
                Kind::RowSum(self.number("sum_total")?)
            }
            "expect_select_column_values_to_be_unique_within_record" | "expect_multicolumn_values_to_be_unique" => {
                Kind::DifferentWithinRow
            }
            "expect_column_quantile_values_to_be_between" => self.quantiles()?,
            "expect_column_distinct_values_to_be_in_set" => self.distinct(SetRule::Within)?,
            "expect_column_distinct_values_to_contain_set" => self.distinct(SetRule::Contains)?,
            "expect_column_distinct_values_to_equal_set" => self.distinct(SetRule::Equals)?,
            "expect_column_most_common_value_to_be_in_set" => {
                let ties = self.fields.flag(node, "ties_okay", path).unwrap_or(false);
                self.distinct(if ties {
                    SetRule::MostCommonTieIn
                } else {
                    SetRule::MostCommonIn
                })?
            }
            "expect_column_value_z_scores_to_be_less_than" => {
                if node.get("threshold").is_none() {
                    self.fields.missing(node, "threshold", path);
                }
                Kind::ZScore {
                    threshold: self.number("threshold")?,
                    double_sided: self.fields.flag(node, "double_sided", path).unwrap_or(true),
                }
            }
            "expect_column_values_to_not_be_outliers" => Kind::NotOutlier {
                quartiles: self
                    .fields
                    .word(node, "method", path, &[("iqr", true), ("std", false)])
                    .unwrap_or(true),
                multiplier: self.number("multiplier").unwrap_or(1.5),
            },
            "expect_column_kl_divergence_to_be_less_than" => super::partition::divergence(self)?,
            other => {
                let metric = metric(other)?;
                let range = self.range(match metric {
                    Metric::Distinct => Ends::Whole,
                    Metric::Stdev | Metric::DistinctShare | Metric::NonNullShare => Ends::Numbers,
                    _ => Ends::Values,
                })?;
                Kind::Aggregate { metric, range }
            }
        })
    }

    fn range(&mut self, ends: Ends) -> Option<Range> {
        let (node, path) = (self.node, self.path);
        let range = Range {
            min: self.end("min_value", ends)?,
            max: self.end("max_value", ends)?,
            strict_min: self.fields.flag(node, "strict_min", path).unwrap_or(false),
            strict_max: self.fields.flag(node, "strict_max", path).unwrap_or(false),
        };
        empty_range(&range, node.place_of("min_value"), path, self.fields);
        Some(range)
    }

    /// An end of a range; inner none where it is open, outer none where it cannot be used.
    fn end(&mut self, key: &str, ends: Ends) -> Option<Option<Literal>> {
        if self.node.get(key).is_none() {
            return Some(None);
        }
        let written = self.fields.literal(self.node, key, self.path)?;
        let dated = self.texts_are_dates();
        let literal = match number_like(&written) {
            // A text of a whole number is one; that of another is none.
            Some(number) if ends != Ends::Whole || matches!(number, Literal::Int(_)) => number,
            _ => written,
        };
        Some(Some(match (literal, ends) {
            (Literal::Float(value), Ends::Whole) if value.is_finite() => Literal::Int(value.trunc() as i128),
            (Literal::Float(value), Ends::Values | Ends::Numbers) if !value.is_nan() => Literal::Float(value),
            (literal @ Literal::Text(_), Ends::Values) => match dated {
                true => super::dates::iso(literal),
                false => literal,
            },
            (literal @ Literal::Int(_), _) => literal,
            (literal, _) => {
                let place = self.node.place_of(key);
                let message = format!("{literal} is not a number");
                let fix = "write a number; a range of texts or dates has no meaning here";
                self.fields
                    .complain("wrong-type", place, &join(self.path, key), message, fix);
                return None;
            }
        }))
    }

    fn equal(&mut self) -> Option<Limit> {
        if self.node.get("value").is_none() {
            self.fields.missing(self.node, "value", self.path);
        }
        let value = self.whole("value")?;
        Some(whole_limit(Some(value), Some(value)))
    }

    /// A number, as the library takes one: a text that is one, and a truth value, are too.
    pub(super) fn number(&mut self, key: &str) -> Option<f64> {
        let written = self.node.get(key).and_then(Literal::of);
        match written.as_ref().and_then(number_like) {
            Some(number) => number.number(),
            None => self.fields.number(self.node, key, self.path),
        }
    }

    /// The same, whole.
    fn whole(&mut self, key: &str) -> Option<i64> {
        let written = self.node.get(key).and_then(Literal::of);
        match written.as_ref().and_then(number_like) {
            Some(Literal::Int(number)) => i64::try_from(number).ok(),
            _ => self.fields.whole(self.node, key, self.path),
        }
    }

    fn values(&mut self) -> Option<Vec<Literal>> {
        if self.node.get("value_set").is_none() {
            self.fields.missing(self.node, "value_set", self.path);
        }
        self.fields.literals(self.node, "value_set", self.path)
    }

    fn distinct(&mut self, rule: SetRule) -> Option<Kind> {
        Some(Kind::DistinctValues {
            values: self.values()?,
            rule,
        })
    }

    fn needed_texts(&mut self, key: &str) -> Option<Vec<String>> {
        if self.node.get(key).is_none() {
            self.fields.missing(self.node, key, self.path);
        }
        self.fields.texts(self.node, key, self.path)
    }

    fn patterns(&mut self, rule: MatchRule) -> Option<Kind> {
        let mut patterns = Vec::new();
        for written in self.needed_texts("regex_list")? {
            match Pattern::new(&written) {
                Ok(pattern) => patterns.push(pattern),
                Err(reason) => {
                    return Some(Kind::Refused(format!(
                        "the pattern {written:?} cannot be compiled: {reason}"
                    )));
                }
            }
        }
        Some(Kind::Matches { patterns, rule })
    }

    /// Patterns of `LIKE`, which the library has for databases only; as Spark has them.
    fn likes(&mut self, list: bool, rule: MatchRule) -> Option<Kind> {
        let written = match list {
            true => self.needed_texts("like_pattern_list")?,
            false => vec![
                self.fields
                    .needed_text(self.node, "like_pattern", self.path)?
                    .to_owned(),
            ],
        };
        if written.is_empty() {
            return Some(Kind::Refused("the list has no pattern".into()));
        }
        let mut patterns = Vec::new();
        for written in written {
            match like(&written).and_then(|pattern| Pattern::new(&pattern)) {
                Ok(pattern) => patterns.push(pattern),
                Err(reason) => {
                    return Some(Kind::Refused(format!(
                        "the pattern {written:?} is not valid for LIKE: {reason}"
                    )));
                }
            }
        }
        Some(Kind::Matches { patterns, rule })
    }

    /// A name as numpy and pandas mean it: their `int` has 64 bits.
    fn type_name(&mut self, written: &str) -> Option<TypeName> {
        let meant = match written {
            "int" | "int_" | "Int64" | "Int64Dtype" => "int64",
            "float" | "float_" | "Float64Dtype" => "float64",
            "StringDtype" | "str_" => "str",
            "BooleanDtype" => "bool",
            "Timestamp" | "DatetimeTZDtype" => "datetime64",
            other => other,
        };
        match TypeName::parse(meant) {
            Ok(name) => Some(name),
            Err(near) => {
                let fix = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                let message = format!("there is no type `{written}`");
                self.fields
                    .complain("unknown-type", self.node.place, self.path, message, &fix);
                None
            }
        }
    }

    fn pairs(&mut self) -> Option<Vec<(Literal, Literal)>> {
        if self.node.get("value_pairs_set").is_none() {
            self.fields.missing(self.node, "value_pairs_set", self.path);
        }
        let mut pairs = Vec::new();
        for (path, item) in self.fields.list(self.node, "value_pairs_set", self.path) {
            let both = item.items().iter().map(Literal::of).collect::<Option<Vec<_>>>();
            match both.as_deref() {
                Some([one, other]) => pairs.push((one.clone(), other.clone())),
                _ => {
                    let message = "a pair is a list of two values".to_owned();
                    self.fields.complain("wrong-type", item.place, &path, message, "");
                    return None;
                }
            }
        }
        Some(pairs)
    }

    fn quantiles(&mut self) -> Option<Kind> {
        let between = match self.node.get("allow_relative_error").map(|node| &node.content) {
            None | Some(Content::Null | Content::Bool(false)) => Some(Interpolation::Nearest),
            Some(Content::String(word)) => match word.as_str() {
                "nearest" => Some(Interpolation::Nearest),
                "linear" => Some(Interpolation::Linear),
                "lower" => Some(Interpolation::Lower),
                "higher" => Some(Interpolation::Higher),
                "midpoint" => Some(Interpolation::Midpoint),
                _ => None,
            },
            Some(_) => None,
        };
        let Some(between) = between else {
            let reason = "quantiles are exact here; write for `allow_relative_error` false, or one of the words linear, \
                          lower, higher, midpoint and nearest";
            return Some(Kind::Refused(reason.into()));
        };
        let path = join(self.path, "quantile_ranges");
        let Some(ranges) = self.node.get("quantile_ranges") else {
            self.fields.missing(self.node, "quantile_ranges", self.path);
            return None;
        };
        if !self.fields.keys(ranges, &path, &["quantiles", "value_ranges"]) {
            return None;
        }
        let quantiles = self.fields.literals(ranges, "quantiles", &path).unwrap_or_default();
        let values = self.fields.list(ranges, "value_ranges", &path);
        if quantiles.len() != values.len() || quantiles.is_empty() {
            let message = format!("{} quantiles have {} ranges", quantiles.len(), values.len());
            self.fields.complain(
                "wrong-length",
                ranges.place,
                &path,
                message,
                "give each quantile one range",
            );
            return None;
        }
        let mut wanted = Vec::new();
        for (quantile, (path, item)) in quantiles.iter().zip(values) {
            let ends = item.items().iter().map(Literal::of).collect::<Option<Vec<_>>>();
            let quantile = quantile.number().filter(|quantile| (0.0..=1.0).contains(quantile));
            let (Some(quantile), Some([min, max])) = (quantile, ends.as_deref()) else {
                let message = "a quantile is a number from 0 to 1, its range a list of two values".to_owned();
                self.fields.complain("wrong-type", item.place, &path, message, "");
                return None;
            };
            let end = |literal: &Literal| (*literal != Literal::Null).then(|| literal.clone());
            let range = Range {
                min: end(min),
                max: end(max),
                ..Range::default()
            };
            wanted.push((quantile, range));
        }
        Some(Kind::Quantiles { wanted, between })
    }
}

/// A pattern of Spark's `LIKE` as a regular expression: `%` is any text, `_` one character, and `\\` before them, or before itself, takes them as they are.
fn like(written: &str) -> Result<String, String> {
    let mut pattern = String::from("(?s)\\A");
    let mut rest = written.chars();
    while let Some(character) = rest.next() {
        match character {
            '%' => pattern.push_str(".*"),
            '_' => pattern.push('.'),
            '\\' => match rest.next() {
                Some(literal @ ('%' | '_' | '\\')) => pattern.push_str(&regex::escape(&literal.to_string())),
                _ => return Err("`\\` stands before `%`, `_` or `\\` only".to_owned()),
            },
            other => pattern.push_str(&regex::escape(&other.to_string())),
        }
    }
    pattern.push_str("\\z");
    Ok(pattern)
}

/// What the library takes for a number, though it is written as a text or a truth value.
fn number_like(literal: &Literal) -> Option<Literal> {
    match literal {
        Literal::Bool(value) => Some(Literal::Int((*value).into())),
        Literal::Text(text) => number_of(text),
        _ => None,
    }
}

/// A text that is a number, as Python and the library read it.
fn number_of(text: &str) -> Option<Literal> {
    let text = text.trim();
    let looks = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    match text.parse::<i128>() {
        Ok(number) => Some(Literal::Int(number)),
        Err(_) if looks => text.parse().ok().map(Literal::Float),
        Err(_) => None,
    }
}

fn metric(name: &str) -> Option<Metric> {
    Some(match name {
        "expect_column_min_to_be_between" => Metric::Min,
        "expect_column_max_to_be_between" => Metric::Max,
        "expect_column_mean_to_be_between" => Metric::Mean,
        "expect_column_median_to_be_between" => Metric::Median,
        "expect_column_stdev_to_be_between" => Metric::Stdev,
        "expect_column_sum_to_be_between" => Metric::Sum,
        "expect_column_unique_value_count_to_be_between" => Metric::Distinct,
        "expect_column_proportion_of_unique_values_to_be_between" => Metric::DistinctShare,
        "expect_column_proportion_of_non_null_values_to_be_between" => Metric::NonNullShare,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_like_are_those_of_spark() {
        for (written, text, expected) in [
            ("a%", "abc", true),
            ("a%", "ba", false),
            ("%b%", "a\nb\nc", true),
            ("_", "é", true),
            ("_", "", false),
            ("__", "a", false),
            ("", "", true),
            ("", "a", false),
            ("A", "a", false),
            ("a.c", "abc", false),
            ("a\\%", "a%", true),
            ("a\\%", "ab", false),
            ("a\\_b", "a_b", true),
            ("a\\\\%", "a\\bc", true),
            ("%(x)[y]%", "a(x)[y]b", true),
            ("a", "a\n", false),
        ] {
            let pattern = Pattern::new(&like(written).unwrap()).unwrap();
            assert_eq!(pattern.find(text), Some(expected), "{written} {text:?}");
        }
        for written in ["\\", "a\\b", "%\\"] {
            assert!(like(written).is_err(), "{written}");
        }
    }
}
