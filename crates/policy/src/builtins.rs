//! Which builtins there are here, which of OPA's are not, and which Rego v1 took away.

/// Builtins there are: of the interpreter, as its features are chosen in the workspace, and [`extensions`](crate::extensions). A test calls each of them.
pub(crate) const AVAILABLE: &[&str] = &[
    "abs",
    "and",
    "array.concat",
    "array.flatten",
    "array.reverse",
    "array.slice",
    "base64.decode",
    "base64.encode",
    "base64.is_valid",
    "base64url.decode",
    "base64url.encode",
    "base64url.encode_no_pad",
    "bits.and",
    "bits.lsh",
    "bits.negate",
    "bits.or",
    "bits.rsh",
    "bits.xor",
    "ceil",
    "concat",
    "contains",
    "count",
    "crypto.hmac.equal",
    "crypto.hmac.md5",
    "crypto.hmac.sha1",
    "crypto.hmac.sha256",
    "crypto.hmac.sha512",
    "crypto.md5",
    "crypto.sha1",
    "crypto.sha256",
    "div",
    "endswith",
    "eq",
    "equal",
    "floor",
    "format_int",
    "glob.match",
    "glob.quote_meta",
    "graph.reachable",
    "graph.reachable_paths",
    "gt",
    "gte",
    "hex.decode",
    "hex.encode",
    "indexof",
    "indexof_n",
    "intersection",
    "io.jwt.decode",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "json.filter",
    "json.is_valid",
    "json.marshal",
    "json.marshal_with_options",
    "json.patch",
    "json.remove",
    "json.unmarshal",
    "lower",
    "lt",
    "lte",
    "max",
    "min",
    "minus",
    "mul",
    "neq",
    "net.cidr_contains",
    "net.cidr_contains_matches",
    "net.cidr_expand",
    "net.cidr_intersects",
    "net.cidr_is_valid",
    "net.cidr_merge",
    "numbers.range",
    "numbers.range_step",
    "object.filter",
    "object.get",
    "object.keys",
    "object.remove",
    "object.subset",
    "object.union",
    "object.union_n",
    "plus",
    "print",
    "product",
    "rand.intn",
    "regex.find_all_string_submatch_n",
    "regex.find_n",
    "regex.is_valid",
    "regex.match",
    "regex.replace",
    "regex.split",
    "regex.template_match",
    "rem",
    "replace",
    "round",
    "semver.compare",
    "semver.is_valid",
    "sort",
    "split",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "strings.count",
    "strings.replace_n",
    "strings.reverse",
    "substring",
    "sum",
    "time.add_date",
    "time.clock",
    "time.date",
    "time.diff",
    "time.format",
    "time.now_ns",
    "time.parse_duration_ns",
    "time.parse_ns",
    "time.parse_rfc3339_ns",
    "time.weekday",
    "to_number",
    "trace",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "union",
    "units.parse",
    "units.parse_bytes",
    "upper",
    "urlquery.decode",
    "urlquery.decode_object",
    "urlquery.encode",
    "urlquery.encode_object",
    "uuid.parse",
    "uuid.rfc4122",
    "walk",
    "yaml.is_valid",
    "yaml.marshal",
    "yaml.unmarshal",
];

/// Groups of OPA's builtins that are not here, each with the reason.
const ABSENT: &[(&str, &str)] = &[
    (
        "http.send",
        "policies are evaluated without network; give what they need as data",
    ),
    (
        "net.lookup_ip_addr",
        "policies are evaluated without network; give what they need as data",
    ),
    ("opa.runtime", "policies do not see the process or its environment"),
    ("providers.aws.sign_req", "it has no use without network"),
    (
        "external_data",
        "policies are evaluated without network; give what they need as data",
    ),
    (
        "crypto.",
        "of cryptography only digests are available to policies here; verify it first and pass the result as data",
    ),
    (
        "io.jwt.",
        "tokens can be read by policies here (io.jwt.decode), not verified; verify it first and pass the result as data",
    ),
    ("graphql.", "GraphQL is not available to policies here"),
    (
        "rego.",
        "annotations and parsing of Rego are not available to policies here",
    ),
    (
        "json.match_schema",
        "JSON schemas are not available to policies here; manifests are checked against theirs before policies are asked",
    ),
    ("json.verify_schema", "JSON schemas are not available to policies here"),
    ("regex.globs_match", "use regex.match or glob.match"),
    ("strings.render_template", "use sprintf"),
];

/// Why a builtin of OPA is not here; `None` of a name that is none of OPA's.
pub(crate) fn absent(name: &str) -> Option<&'static str> {
    let matching = ABSENT
        .iter()
        .find(|(group, _)| name == *group || (group.ends_with('.') && name.starts_with(group)));
    matching.map(|(_, reason)| *reason)
}

/// True for a builtin of both versions of the language.
pub(crate) fn available(name: &str) -> bool {
    AVAILABLE.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interpreter says so, and only so, when it does not know a name.
    fn interpreter_knows(name: &str) -> bool {
        (0..=4).any(|count| {
            let arguments = vec!["input"; count].join(", ");
            let mut engine = regorus::Engine::new();
            engine.set_gather_prints(true);
            crate::extensions::add(&mut engine).unwrap();
            let text = format!("package a\nx := {name}({arguments})");
            if engine.add_policy("a.rego".to_owned(), text).is_err() {
                return false;
            }
            engine.set_input(regorus::Value::from("text"));
            let result = engine.eval_rule("data.a.x".to_owned());
            result.map_or_else(|error| !error.to_string().contains("could not find function"), |_| true)
        })
    }

    #[test]
    fn what_is_said_to_be_here_is_here() {
        assert!(AVAILABLE.is_sorted());
        for name in AVAILABLE {
            assert!(interpreter_knows(name), "{name}");
        }
    }

    #[test]
    fn what_is_said_to_be_absent_is_absent() {
        for name in [
            "http.send",
            "net.lookup_ip_addr",
            "opa.runtime",
            "crypto.x509.parse_certificates",
            "io.jwt.decode_verify",
            "graphql.parse",
            "rego.metadata.rule",
            "rego.parse_module",
            "json.match_schema",
            "regex.globs_match",
        ] {
            assert!(absent(name).is_some(), "{name}");
            assert!(!interpreter_knows(name), "{name}");
        }
        assert_eq!(absent("my.function"), None);
    }
}
