//! A Helm chart of a platform, for teams whose tools install charts: what `stoke platform render` gives for each environment, with the values that a
//! template can calculate. Which these are is found out by rendering ([`trace`]): a value is one when it stands in the objects as it is, or brings whole
//! parts of them; what changes a checksum, a name or a count of addresses is the file's.
//!
//! - [`knob`]: keys with a form
//! - [`trace`]: what a value changes
//! - [`node`]: objects with values in them
//! - `emit`: as templates
//! - `values`: values, their schema, and what environments set

mod emit;
pub mod knob;
pub mod node;
pub mod trace;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::tree::{decryptable, file_of, yaml};
use crate::environment::Resolved;
use crate::render::objects;
use knob::{Form, Knob, knobs};
use node::{Changes, Settings, Template, build, condition, filled, meet};
use trace::{What, trace};

/// What is the same in all charts.
const HELPERS: &str = include_str!("platform.tpl");

/// What a platform becomes for Helm.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Name of the platform.
    pub name: String,
    pub environments: Vec<OfEnvironment>,
}

/// What a chart has of an environment.
#[derive(Clone, Debug)]
pub struct OfEnvironment {
    pub name: String,
    /// Objects by the file they are in.
    pub files: BTreeMap<String, Vec<Template>>,
    /// Values, with what they are where nothing is set.
    pub values: Vec<(Knob, Option<Value>)>,
    /// Keys that are no values here, and why.
    pub without: Vec<(String, String)>,
    /// Hosts of components that cannot be set.
    pub hosts: Vec<String>,
}

impl Chart {
    /// The chart of a platform in its environments.
    ///
    /// # Errors
    /// When an environment has what only Flux applies, or when the chart would not give what `render` gives.
    pub fn of(environments: &[Resolved]) -> Result<Chart, String> {
        let first = environments.first().ok_or("a chart needs an environment")?;
        Ok(Chart {
            name: first.platform.name.clone(),
            environments: environments.iter().map(OfEnvironment::of).collect::<Result<_, _>>()?,
        })
    }

    /// The files of the chart, by path.
    ///
    /// # Errors
    /// When something has no form in YAML, which no object of ours lacks.
    pub fn files(&self, version: &str) -> Result<BTreeMap<String, String>, String> {
        let about = json!({"apiVersion": "v2", "name": self.name, "type": "application", "version": version,
            "description": format!("The platform {}, made from its platform.yaml", self.name)});
        let schema = serde_json::to_string_pretty(&values::schema(self)).map_err(|error| error.to_string())?;
        let mut all = BTreeMap::from([
            ("Chart.yaml".to_owned(), yaml(&about)?),
            ("values.yaml".to_owned(), values::file(self)),
            ("values.schema.json".to_owned(), schema + "\n"),
            ("templates/_platform.tpl".to_owned(), HELPERS.to_owned()),
        ]);
        for environment in &self.environments {
            let name = &environment.name;
            all.insert(format!("environments/{name}.yaml"), yaml(&values::set_by(environment))?);
            for (file, templates) in &environment.files {
                all.insert(format!("templates/{name}/{file}"), environment.template(templates));
            }
        }
        Ok(all)
    }
}

impl OfEnvironment {
    fn of(at: &Resolved) -> Result<OfEnvironment, String> {
        decryptable(&at.scope())?;
        let nodes: Vec<String> = at.platform.nodes.keys().cloned().collect();
        let base = trace::named(at);
        let mut changes: Vec<(Knob, Vec<trace::Change>)> = Vec::new();
        let mut environment = OfEnvironment {
            name: at.environment.clone(),
            files: BTreeMap::new(),
            values: Vec::new(),
            without: Vec::new(),
            hosts: Vec::new(),
        };
        for (name, component) in &at.platform.components {
            for knob in knobs(name, component, &nodes) {
                let traced = trace(at, &base, &knob).and_then(|traced| {
                    let earlier = changes
                        .iter()
                        .find(|(_, there)| there.iter().any(|one| traced.changes.iter().any(|two| meet(one, two))));
                    earlier.map_or(Ok(traced), |(other, _)| {
                        Err(format!("{} stands there too", other.name()))
                    })
                });
                match traced {
                    Ok(traced) => {
                        environment.values.push((knob.clone(), traced.usual));
                        changes.push((knob, traced.changes));
                    }
                    Err(why) => environment.without.push((knob.name(), why)),
                }
            }
            let is_set = changes
                .iter()
                .any(|(knob, _)| knob.component == *name && knob.form == Form::Host);
            environment
                .hosts
                .extend(component.host().filter(|_| !is_set).map(str::to_owned));
        }
        for object in objects(&at.scope()) {
            let name = trace::name(&object);
            let here: Changes<'_> = changes
                .iter()
                .flat_map(|(knob, all)| all.iter().map(move |change| (knob, change)))
                .filter(|(_, change)| change.object == name)
                .map(|(knob, change)| (knob, change.clone()))
                .collect();
            let whole = here.iter().find(|(_, change)| matches!(change.what, What::Object(_)));
            let template = Template {
                node: match whole {
                    Some((
                        knob,
                        trace::Change {
                            what: What::Object(pattern),
                            ..
                        },
                    )) => filled(pattern, knob),
                    _ => build(&object, &here),
                },
                condition: whole.and_then(|(knob, change)| condition(knob, change.when)),
                object: name,
            };
            environment.files.entry(file_of(&object)).or_default().push(template);
        }
        environment.further(&changes);
        environment.verify(at)?;
        Ok(environment)
    }

    /// Objects that are there with a value only.
    fn further(&mut self, changes: &[(Knob, Vec<trace::Change>)]) {
        let there: BTreeSet<String> = self
            .files
            .values()
            .flatten()
            .map(|template| template.object.clone())
            .collect();
        for (knob, all) in changes {
            for change in all.iter().filter(|change| !there.contains(&change.object)) {
                if let What::Object(pattern) = &change.what {
                    let example = pattern.at(knob.form, &knob.probes().into_iter().next().unwrap_or_default());
                    self.files.entry(file_of(&example)).or_default().push(Template {
                        object: change.object.clone(),
                        condition: condition(knob, change.when),
                        node: filled(pattern, knob),
                    });
                }
            }
        }
    }

    /// What is set where nothing else is.
    #[must_use]
    pub fn usual(&self) -> Settings {
        let of = |(knob, value): &(Knob, Option<Value>)| Some((knob.reference(), value.clone()?));
        self.values.iter().filter_map(of).collect()
    }

    /// The objects for some values, by kind and name.
    #[must_use]
    pub fn objects(&self, settings: &Settings) -> trace::Objects {
        let all = self.files.values().flatten();
        all.filter(|template| template.condition.as_ref().is_none_or(|it| it.holds(settings)))
            .map(|template| (template.object.clone(), template.node.at(settings)))
            .collect()
    }

    /// Holds the templates against what is rendered: as the environment is, and with everything set at once.
    fn verify(&self, at: &Resolved) -> Result<(), String> {
        let mut with = at.clone();
        let mut settings = self.usual();
        self.same(&with, &settings)?;
        for (knob, _) in &self.values {
            let value = match knob.form {
                Form::Host => json!(format!("{}.found.example", knob.component)),
                _ => knob.probes().into_iter().next().unwrap_or_default(),
            };
            with = knob.set(&with, &value)?;
            settings.insert(knob.reference(), value);
        }
        self.same(&with, &settings)
    }

    fn same(&self, at: &Resolved, settings: &Settings) -> Result<(), String> {
        let (ours, rendered) = (self.objects(settings), trace::named(at));
        let names: BTreeSet<&String> = ours.keys().chain(rendered.keys()).collect();
        let other = names.into_iter().find(|name| ours.get(*name) != rendered.get(*name));
        other.map_or(Ok(()), |name| {
            Err(format!(
                "{name} of environment `{}` would be another one than `stoke platform render` gives: two values of the chart have an effect together that none of them has alone. Report it",
                self.name
            ))
        })
    }

    /// A template with some objects: only where this environment is chosen.
    fn template(&self, templates: &[Template]) -> String {
        let body = emit::stream(templates);
        let mut head = format!("{{{{- if eq .Values.environment \"{}\" }}}}\n", self.name);
        let components: BTreeSet<&str> = self.values.iter().map(|(knob, _)| knob.component.as_str()).collect();
        let used: Vec<&str> = components
            .into_iter()
            .filter(|name| body.contains(&format!("{}.", emit::variable(name))))
            .collect();
        if !used.is_empty() {
            head.push_str("{{- $set := include \"platform.values\" . | fromJson }}\n");
        }
        for name in used {
            head.push_str(&format!(
                "{{{{- {} := index $set \"{name}\" }}}}\n",
                emit::variable(name)
            ));
        }
        let body = match templates
            .iter()
            .position(|template| template.object.starts_with("Namespace "))
        {
            Some(at) => {
                let namespace = emit::stream(&templates[at..=at]);
                let rest: Vec<Template> = templates
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| *index != at)
                    .map(|(_, it)| it.clone())
                    .collect();
                format!(
                    "{{{{- if .Values.createNamespace }}}}\n{namespace}{{{{- end }}}}\n{}",
                    emit::stream(&rest)
                )
            }
            None => body,
        };
        format!("{head}{body}{{{{- end }}}}\n")
    }
}
