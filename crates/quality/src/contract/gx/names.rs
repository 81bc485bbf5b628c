//! Expectations by name, with their arguments.

/// Keys of a suite.
pub(super) const SUITE: &[&str] = &[
    "name",
    "id",
    "expectations",
    "meta",
    "notes",
    "suite_parameters",
    "expectation_suite_name",
    "ge_cloud_id",
    "data_asset_type",
    "evaluation_parameters",
];

/// Keys of an expectation.
pub(super) const EXPECTATION: &[&str] = &[
    "type",
    "expectation_type",
    "kwargs",
    "meta",
    "notes",
    "id",
    "ge_cloud_id",
    "description",
    "severity",
    "rendered_content",
    "success_on_last_run",
    "expectation_context",
];

/// Arguments that any expectation may have and that change nothing here.
pub(super) const COMMON: &[&str] = &[
    "result_format",
    "catch_exceptions",
    "include_config",
    "batch_id",
    "meta",
    "notes",
    "description",
    "id",
    "severity",
    "windows",
    "rendered_content",
    "profiler_config",
    "output_strftime_format",
    "row_condition",
    "condition_parser",
    "auto",
    "mostly",
    // Older releases pass these to any expectation; most ignore them.
    "ignore_row_if",
    "parse_strings_as_datetimes",
    "allow_cross_type_comparisons",
];

/// Each expectation and its own arguments.
pub(super) const KNOWN: &[(&str, &[&str])] = &[
    (
        "expect_table_row_count_to_be_between",
        &["min_value", "max_value", "strict_min", "strict_max"],
    ),
    ("expect_table_row_count_to_equal", &["value"]),
    ("expect_table_column_count_to_be_between", &["min_value", "max_value"]),
    ("expect_table_column_count_to_equal", &["value"]),
    ("expect_table_columns_to_match_ordered_list", &["column_list"]),
    ("expect_table_columns_to_match_set", &["column_set", "exact_match"]),
    ("expect_column_to_exist", &["column", "column_index"]),
    ("expect_column_type_to_be", &["column", "type_"]),
    ("expect_column_values_to_be_of_type", &["column", "type_"]),
    ("expect_column_values_to_be_in_type_list", &["column", "type_list"]),
    ("expect_column_values_to_not_be_null", &["column"]),
    ("expect_column_values_to_be_null", &["column"]),
    ("expect_column_values_to_be_unique", &["column"]),
    ("expect_compound_columns_to_be_unique", &["column_list"]),
    (
        "expect_column_values_to_be_between",
        &["column", "min_value", "max_value", "strict_min", "strict_max"],
    ),
    ("expect_column_values_to_be_in_set", &["column", "value_set"]),
    ("expect_column_values_to_not_be_in_set", &["column", "value_set"]),
    ("expect_column_values_to_match_regex", &["column", "regex"]),
    ("expect_column_values_to_not_match_regex", &["column", "regex"]),
    (
        "expect_column_values_to_match_regex_list",
        &["column", "regex_list", "match_on"],
    ),
    (
        "expect_column_values_to_not_match_regex_list",
        &["column", "regex_list"],
    ),
    ("expect_column_value_lengths_to_equal", &["column", "value"]),
    (
        "expect_column_value_lengths_to_be_between",
        &["column", "min_value", "max_value", "strict_min", "strict_max"],
    ),
    (
        "expect_column_values_to_match_strftime_format",
        &["column", "strftime_format"],
    ),
    (
        "expect_column_values_to_match_like_pattern",
        &["column", "like_pattern"],
    ),
    (
        "expect_column_values_to_not_match_like_pattern",
        &["column", "like_pattern"],
    ),
    (
        "expect_column_values_to_match_like_pattern_list",
        &["column", "like_pattern_list", "match_on"],
    ),
    (
        "expect_column_values_to_not_match_like_pattern_list",
        &["column", "like_pattern_list"],
    ),
    ("expect_column_values_to_be_json_parseable", &["column"]),
    ("expect_column_values_to_be_increasing", &["column", "strictly"]),
    ("expect_column_values_to_be_decreasing", &["column", "strictly"]),
    ("expect_column_pair_values_to_be_equal", &["column_A", "column_B"]),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        &["column_A", "column_B", "or_equal"],
    ),
    (
        "expect_column_pair_values_to_be_in_set",
        &["column_A", "column_B", "value_pairs_set"],
    ),
    ("expect_multicolumn_values_to_be_equal", &["column_list"]),
    ("expect_multicolumn_sum_to_equal", &["column_list", "sum_total"]),
    (
        "expect_select_column_values_to_be_unique_within_record",
        &["column_list"],
    ),
    ("expect_multicolumn_values_to_be_unique", &["column_list"]),
    ("expect_column_min_to_be_between", AGGREGATE),
    ("expect_column_max_to_be_between", AGGREGATE),
    ("expect_column_mean_to_be_between", AGGREGATE),
    ("expect_column_median_to_be_between", AGGREGATE),
    ("expect_column_stdev_to_be_between", AGGREGATE),
    ("expect_column_sum_to_be_between", AGGREGATE),
    ("expect_column_unique_value_count_to_be_between", AGGREGATE),
    ("expect_column_proportion_of_unique_values_to_be_between", AGGREGATE),
    ("expect_column_proportion_of_non_null_values_to_be_between", AGGREGATE),
    (
        "expect_column_quantile_values_to_be_between",
        &["column", "quantile_ranges", "allow_relative_error"],
    ),
    ("expect_column_distinct_values_to_be_in_set", &["column", "value_set"]),
    ("expect_column_distinct_values_to_contain_set", &["column", "value_set"]),
    ("expect_column_distinct_values_to_equal_set", &["column", "value_set"]),
    (
        "expect_column_most_common_value_to_be_in_set",
        &["column", "value_set", "ties_okay"],
    ),
    (
        "expect_column_value_z_scores_to_be_less_than",
        &["column", "threshold", "double_sided"],
    ),
    (
        "expect_column_values_to_not_be_outliers",
        &["column", "method", "multiplier"],
    ),
    (
        "expect_column_kl_divergence_to_be_less_than",
        &[
            "column",
            "partition_object",
            "threshold",
            "tail_weight_holdout",
            "internal_weight_holdout",
            "bucketize_data",
        ],
    ),
];

pub(super) const AGGREGATE: &[&str] = &["column", "min_value", "max_value", "strict_min", "strict_max"];

/// Expectations that exist and are not checked here, with the reason.
pub(super) const REFUSED: &[(&str, &str)] = &[
    (
        "expect_column_bootstrapped_ks_test_p_value_to_be_greater_than",
        "the bootstrapped test draws random samples",
    ),
    (
        "expect_column_chisquare_test_p_value_to_be_greater_than",
        "tests of distributions are not computed",
    ),
    (
        "expect_column_pair_cramers_phi_value_to_be_less_than",
        "tests of association are not computed",
    ),
    (
        "expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than",
        "tests of distributions are not computed",
    ),
    (
        "expect_column_values_to_be_dateutil_parseable",
        "what dateutil guesses to be a date is not known here",
    ),
    (
        "expect_column_values_to_match_json_schema",
        "JSON schemas of values are not evaluated",
    ),
    (
        "expect_query_results_to_match_comparison",
        "there is no SQL engine here",
    ),
    (
        "expect_table_row_count_to_equal_other_table",
        "a suite names no data but its own",
    ),
    ("unexpected_rows_expectation", "there is no SQL engine here"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What both 0.18.22 and 1.24.1 have registered.
    const BOTH: &[&str] = &[
        "expect_column_distinct_values_to_be_in_set",
        "expect_column_distinct_values_to_contain_set",
        "expect_column_distinct_values_to_equal_set",
        "expect_column_kl_divergence_to_be_less_than",
        "expect_column_max_to_be_between",
        "expect_column_mean_to_be_between",
        "expect_column_median_to_be_between",
        "expect_column_min_to_be_between",
        "expect_column_most_common_value_to_be_in_set",
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_quantile_values_to_be_between",
        "expect_column_stdev_to_be_between",
        "expect_column_sum_to_be_between",
        "expect_column_to_exist",
        "expect_column_unique_value_count_to_be_between",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_value_z_scores_to_be_less_than",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_dateutil_parseable",
        "expect_column_values_to_be_decreasing",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_in_type_list",
        "expect_column_values_to_be_increasing",
        "expect_column_values_to_be_json_parseable",
        "expect_column_values_to_be_null",
        "expect_column_values_to_be_of_type",
        "expect_column_values_to_be_unique",
        "expect_column_values_to_match_json_schema",
        "expect_column_values_to_match_like_pattern",
        "expect_column_values_to_match_like_pattern_list",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_match_strftime_format",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_like_pattern",
        "expect_column_values_to_not_match_like_pattern_list",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
        "expect_compound_columns_to_be_unique",
        "expect_multicolumn_sum_to_equal",
        "expect_select_column_values_to_be_unique_within_record",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_columns_to_match_ordered_list",
        "expect_table_columns_to_match_set",
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
        "expect_table_row_count_to_equal_other_table",
        "unexpected_rows_expectation",
    ];
    /// What only 1.24.1 has registered.
    const NEWER: &[&str] = &[
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_type_to_be",
        "expect_column_values_to_not_be_outliers",
        "expect_multicolumn_values_to_be_equal",
        "expect_query_results_to_match_comparison",
    ];
    /// What 0.18.22 has as modules that register nothing, and older releases evaluate.
    const OLDER: &[&str] = &[
        "expect_column_bootstrapped_ks_test_p_value_to_be_greater_than",
        "expect_column_chisquare_test_p_value_to_be_greater_than",
        "expect_column_pair_cramers_phi_value_to_be_less_than",
        "expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than",
        "expect_multicolumn_values_to_be_unique",
    ];

    #[test]
    fn every_expectation_is_checked_or_refused_with_a_reason() {
        for name in [BOTH, NEWER, OLDER].concat() {
            let known = KNOWN.iter().filter(|(known, _)| *known == name).count();
            let refused: Vec<_> = REFUSED.iter().filter(|(known, _)| *known == name).collect();
            assert_eq!(known + refused.len(), 1, "{name}");
            assert!(refused.iter().all(|(_, why)| why.len() > 10), "{name}");
        }
        assert_eq!(KNOWN.len() + REFUSED.len(), BOTH.len() + NEWER.len() + OLDER.len());
    }
}
