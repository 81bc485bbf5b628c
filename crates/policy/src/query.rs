//! Queries: what an expression of Rego evaluates to, for people who write policies.

use serde::Serialize;
use serde_json::Value;
use stoke_diagnostics::Source;

use crate::load::PolicySet;
use crate::problem::{EngineError, Problem, place};

/// One result of a query: a query with several solutions has several.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QueryResult {
    /// Values of the expressions of the query, in order.
    pub expressions: Vec<Value>,
    /// Values of the variables of the query; an empty map when it has none.
    pub bindings: Value,
}

impl PolicySet {
    /// What a query evaluates to, as `opa eval` has it; nothing when it is undefined. Rego outside of Gatekeeper's templates is asked, without
    /// `data.stoke`.
    ///
    /// ```
    /// use stoke_policy::{PolicyFile, PolicySet};
    /// let set = PolicySet::load(&[PolicyFile::new("a.rego", "package a\nlimit := 2 * input.cores\n")]).unwrap();
    /// let results = set.query("data.a.limit", Some(&serde_json::json!({"cores": 3}))).unwrap();
    /// assert_eq!(results[0].expressions, [6]);
    /// ```
    ///
    /// # Errors
    /// A query that cannot be read, or evaluated.
    pub fn query(&self, query: &str, input: Option<&Value>) -> Result<Vec<QueryResult>, Box<Problem>> {
        let mut engine = self.rego.engine();
        if let Some(input) = input {
            engine.set_input(regorus::Value::from(input.clone()));
        }
        let source = Source::new("<query.rego>", query);
        let fail = |text: String| {
            let sources = self.rego.modules.iter().map(|module| &module.source);
            let start = place(&source, 1, 1);
            Box::new(EngineError::parse(&text).problem("rego-evaluation", sources.chain([&source]), (&source, start)))
        };
        let results = engine.eval_query(query.to_owned(), false);
        let results = results.map_err(|error| fail(error.to_string()))?;
        let json = |value: &regorus::Value| serde_json::to_value(value).map_err(|error| fail(error.to_string()));
        let mut found = Vec::new();
        for result in &results.result {
            let values = result
                .expressions
                .iter()
                .filter(|expression| expression.value != regorus::Value::Undefined);
            let expressions = values
                .map(|expression| json(&expression.value))
                .collect::<Result<Vec<Value>, _>>()?;
            if expressions.len() == result.expressions.len() {
                found.push(QueryResult {
                    expressions,
                    bindings: json(&result.bindings)?,
                });
            }
        }
        Ok(found)
    }
}
