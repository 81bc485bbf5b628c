//! Arguments of expectations, and the checks that they make.

use stoke_model::manifest::{Content, Node, join};

use super::super::short::{empty_range, pattern, whole_limit};
use super::super::{
    Comparison, Condition, Interpolation, Kind, LeaveOut, Limit, Literal, MatchRule, Metric, Pattern, Range, SetRule,
    Strptime, TextFormat, TypeName,
};
use crate::contract::fields::Fields;

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
        Some(format!(
            "`{}` is a parameter that is known when the library runs it",
            parameter.key
        ))
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
        let share = self.fields.number(self.node, "mostly", self.path).unwrap_or(1.0);
        if (0.0..=1.0).contains(&share) {
            return share;
        }
        let message = format!("{share} is no share");
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
            "expect_table_row_count_to_be_between" => Kind::RowCount(self.range()?.as_limit()?),
            "expect_table_row_count_to_equal" => Kind::RowCount(self.equal()?),
            "expect_table_column_count_to_be_between" => Kind::ColumnCount(self.range()?.as_limit()?),
            "expect_table_column_count_to_equal" => Kind::ColumnCount(self.equal()?),
            "expect_table_columns_to_match_ordered_list" => {
                Kind::ColumnOrder(self.fields.texts(node, "column_list", path).unwrap_or_default())
            }
            "expect_table_columns_to_match_set" => Kind::ColumnSet {
                names: self.needed_texts("column_set")?,
                exact: self.fields.flag(node, "exact_match", path).unwrap_or(true),
            },
            // The library takes a position of 0 for none.
            "expect_column_to_exist" => Kind::ColumnExists(
                self.fields
                    .whole(node, "column_index", path)
                    .filter(|position| *position != 0),
            ),
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
                let range = self.range()?;
                if range.is_open() {
                    self.fields.missing(node, "min_value", path);
                }
                Kind::Between(range)
            }
            "expect_column_values_to_be_in_set" => Kind::InSet(self.values()?),
            "expect_column_values_to_not_be_in_set" => Kind::NotInSet(self.values()?),
            "expect_column_values_to_match_regex" => pattern(self.fields.text(node, "regex", path).unwrap_or("(?s).*")),
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
            "expect_column_value_lengths_to_equal" => Kind::Length(self.equal()?),
            "expect_column_value_lengths_to_be_between" => {
                let range = self.range()?;
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
                Kind::RowSum(self.fields.number(node, "sum_total", path)?)
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
                    threshold: self.fields.number(node, "threshold", path)?,
                    double_sided: self.fields.flag(node, "double_sided", path).unwrap_or(true),
                }
            }
            "expect_column_values_to_not_be_outliers" => Kind::NotOutlier {
                quartiles: self
                    .fields
                    .word(node, "method", path, &[("iqr", true), ("std", false)])
                    .unwrap_or(true),
                multiplier: self.fields.number(node, "multiplier", path).unwrap_or(1.5),
            },
            "expect_column_kl_divergence_to_be_less_than" => super::partition::divergence(self)?,
            other => Kind::Aggregate {
                metric: metric(other)?,
                range: self.range()?,
            },
        })
    }

    fn range(&mut self) -> Option<Range> {
        let (node, path) = (self.node, self.path);
        let dated = self.texts_are_dates();
        let mut end = |key| {
            let literal = self.fields.literal(node, key, path)?;
            Some(if dated { super::dates::iso(literal) } else { literal })
        };
        let range = Range {
            min: end("min_value"),
            max: end("max_value"),
            strict_min: self.fields.flag(node, "strict_min", path).unwrap_or(false),
            strict_max: self.fields.flag(node, "strict_max", path).unwrap_or(false),
        };
        empty_range(&range, node.place_of("min_value"), path, self.fields);
        Some(range)
    }

    fn equal(&mut self) -> Option<Limit> {
        if self.node.get("value").is_none() {
            self.fields.missing(self.node, "value", self.path);
        }
        let value = self.fields.whole(self.node, "value", self.path)?;
        Some(whole_limit(Some(value), Some(value)))
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
