//! Policy as code: Rego over manifests, effective Spark configuration and derived pods.
//!
//! In: policy files (`.rego`, data, Gatekeeper templates and constraints) and subjects: a Kubernetes object, the configuration an application
//! ends up with, the pods it would get. Out: [`Violation`]s, each with the rule it is of, and [`Problem`]s where a policy could not be read or
//! could not be evaluated: a gate that cannot decide fails.
//!
//! - [`PolicySet`]: loaded once, checked as a whole, evaluated many times from many threads
//! - [`Subject`] and [`Facts`]: what is judged, and what is known around it
//! - [`Violation`], [`Outcome`]: what comes out
//! - [`mod@test`]: unit tests, examples, and the proof that every rule can fire
//! - [`pod_security`]: the Pod Security Standards, in the same form
//! - [`pack`]: policies to start with, embedded
//! - [`files`]: reading a directory, the one edge of the room
//!
//! Policies are taken as conftest takes them (every package, `deny`, `violation`, `warn` and `deny_<name>`; the object is `input`) and as
//! Gatekeeper takes them (`ConstraintTemplate` and constraints). Rego is evaluated by `regorus`; what it does not have is refused when policies are loaded,
//! by name and place. Never: network, the environment, files besides those given; whatever a policy asks for.

mod ast;
mod builtins;
mod check;
pub mod codes;
mod data;
mod evaluate;
mod extensions;
pub mod files;
mod gatekeeper;
mod load;
mod module;
mod names;
mod negation;
mod outcome;
pub mod pack;
#[cfg(test)]
mod probes;
mod problem;
mod query;
mod rules;
mod safety;
mod sprintf;
mod standards;
mod subject;
pub mod test;
mod text;
mod types;
mod unit;

pub use files::PolicyFile;
pub use load::{PolicySet, Settings};
pub use outcome::{Effect, Outcome, Violation};
pub use problem::Problem;
pub use query::QueryResult;
pub use rules::RuleInfo;
pub use standards::pod_security;
pub use subject::{Facts, Known, Role, Subject};
