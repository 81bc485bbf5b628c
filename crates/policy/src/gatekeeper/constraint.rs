//! Constraints: where a template applies, with which parameters, and what comes of it.

use serde_json::Value;

use super::complain;
use super::selection::Selection;
use crate::data::Document;
use crate::outcome::Effect;
use crate::problem::Problem;

#[derive(Clone, Debug)]
pub(crate) struct Constraint {
    /// Its kind: that of its template.
    pub kind: String,
    pub name: String,
    /// Directory of its file.
    pub home: String,
    pub effect: Effect,
    pub parameters: Value,
    pub selection: Selection,
}

impl Constraint {
    pub fn read(document: &Document, home: &str) -> Result<Self, Box<Problem>> {
        let value = &document.value;
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return Err(complain(document, "metadata.name", "the constraint has no name").into());
        }
        let selection = Selection::read(&value["spec"]["match"])
            .map_err(|(path, message)| complain(document, &format!("spec.match{path}"), message))?;
        let parameters = &value["spec"]["parameters"];
        Ok(Self {
            kind: value["kind"].as_str().unwrap_or_default().to_owned(),
            name: name.to_owned(),
            home: home.to_owned(),
            effect: effect(document)?,
            parameters: if parameters.is_null() {
                Value::Object(Default::default())
            } else {
                parameters.clone()
            },
            selection,
        })
    }
}

impl Constraint {
    /// `Kind/name`.
    pub fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// What `enforcementAction` asks for; of several scoped ones the strongest.
fn effect(document: &Document) -> Result<Effect, Box<Problem>> {
    let spec = &document.value["spec"];
    let known = |path: &str, action: &Value| match action.as_str() {
        None if action.is_null() => Ok(Effect::Deny),
        Some("deny") => Ok(Effect::Deny),
        Some("warn") => Ok(Effect::Warn),
        Some("dryrun") => Ok(Effect::DryRun),
        _ => Err(Box::new(complain(
            document,
            path,
            "the action is none of `deny`, `warn`, `dryrun`, `scoped`",
        ))),
    };
    if spec["enforcementAction"] != "scoped" {
        return known("spec.enforcementAction", &spec["enforcementAction"]);
    }
    let scoped = spec["scopedEnforcementActions"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate();
    let actions = scoped.map(|(index, scoped)| {
        known(
            &format!("spec.scopedEnforcementActions[{index}].action"),
            &scoped["action"],
        )
    });
    let actions = actions.collect::<Result<Vec<Effect>, Box<Problem>>>()?;
    let strongest = actions.into_iter().min();
    let missing = || complain(document, "spec.scopedEnforcementActions", "`scoped` names no actions").into();
    strongest.ok_or_else(missing)
}
