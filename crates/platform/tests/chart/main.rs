//! `chart`: what real `helm` makes of a platform's chart is what `stoke platform render` gives, in each environment and for values of every key that it
//! takes; every other key is refused. Without helm its tests are ignored.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test, though without the harness"
)]

mod helm;
mod seeds;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::LazyLock;

use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use stoke_diagnostics::Source;
use stoke_platform::check::examine;
use stoke_platform::component::CATALOGUE;
use stoke_platform::environment::Resolved;
use stoke_platform::render::chart::knob::{FORMS, Knob, WITHOUT};
use stoke_platform::render::chart::node::Settings;
use stoke_platform::render::chart::{Chart, OfEnvironment, trace};
use stoke_platform::spec::{self, File, schema};
use stoke_testkit::{Tier, generated};

type Test = fn() -> Result<(), String>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let pure: [(&str, Test); 4] = [
        ("every key that an environment sets has a form or a reason", classified),
        ("seeded values give what the file with them gives", seeded),
        ("no value is without effect", effects),
        ("values are those that a template can calculate", chosen),
    ];
    let mut trials: Vec<Trial> = pure
        .into_iter()
        .map(|(name, test)| stoke_testkit::trial(name, Tier::Default, || Ok(()), move || Ok(test()?)))
        .collect();
    trials.extend(helm::trials());
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Files beside the one that is read.
fn beside(name: &str) -> Result<String, String> {
    match name {
        "sealed.yaml" => Ok(include_str!("../it/sealed.yaml").to_owned()),
        "prod/sealed.yaml" => Ok(include_str!("../it/sealed.yaml").replace("whole", "whole-prod")),
        _ => Err("No such file or directory".to_owned()),
    }
}

/// Nodes, hosts and limits where the others have none: what is not there by default.
const SMALL: &str = include_str!("small.yaml");

/// A platform, in all its environments, and its chart.
pub struct Made {
    pub name: &'static str,
    pub environments: Vec<Resolved>,
    pub chart: Chart,
}

impl Made {
    pub fn each(&self) -> impl Iterator<Item = (&Resolved, &OfEnvironment)> {
        self.environments.iter().zip(&self.chart.environments)
    }
}

/// All of them, made once: each value of each component is tried for that.
pub fn made() -> &'static [Made] {
    static MADE: LazyLock<Vec<Made>> = LazyLock::new(|| {
        let of = |(name, file): (&'static str, File)| {
            let mut environments = environments(&file);
            if name == "lakehouse" && Tier::Full.need().is_err() {
                environments.retain(|at| at.environment == "local" || at.environment == "prod");
            }
            let chart = Chart::of(&environments).unwrap_or_else(|why| panic!("{name}: {why}"));
            Made {
                name,
                environments,
                chart,
            }
        };
        platforms().into_iter().map(of).collect()
    });
    &MADE
}

/// Platforms, by name.
fn platforms() -> Vec<(&'static str, File)> {
    let lakehouse = std::fs::read_to_string(generated::repository("examples/platform/lakehouse.yaml")).unwrap();
    let texts = [
        ("begin", spec::BEGIN.to_owned()),
        ("lakehouse", lakehouse),
        ("small", SMALL.to_owned()),
        ("whole", include_str!("../it/full.yaml").to_owned()),
    ];
    let read = |(name, text): (&'static str, String)| {
        let file = spec::read(&Source::new("platform.yaml", &text), &beside).unwrap_or_else(|found| {
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            panic!("{name}: {}", found.join("\n"))
        });
        (name, file)
    };
    texts.into_iter().map(read).collect()
}

/// A platform in all its environments, as a chart has them.
fn environments(file: &File) -> Vec<Resolved> {
    let names = file.platform.environments.keys();
    names.map(|name| file.in_environment(Some(name)).unwrap()).collect()
}

/// Whether what an environment becomes with some values is right.
pub fn is_right(at: &Resolved) -> bool {
    let issues = examine(at, &at.platform, None);
    issues
        .iter()
        .all(|issue| issue.severity != stoke_diagnostics::Severity::Error)
}

fn with(at: &Resolved, set: &[(Knob, Value)]) -> Resolved {
    set.iter()
        .fold(at.clone(), |at, (knob, value)| knob.set(&at, value).unwrap())
}

fn settings(environment: &OfEnvironment, set: &[(Knob, Value)]) -> Settings {
    let mut settings = environment.usual();
    settings.extend(set.iter().map(|(knob, value)| (knob.reference(), value.clone())));
    settings
}

/// Each leaf of what an environment may set is one that a chart may set, or has a reason why not.
fn classified() -> Result<(), String> {
    fn leaves(path: &str, schema: &Value, into: &mut BTreeSet<String>) {
        match schema["properties"].as_object() {
            Some(properties) => properties.iter().for_each(|(key, property)| {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(&path, property, into);
            }),
            None => drop(into.insert(path.to_owned())),
        }
    }
    let mut all = BTreeSet::new();
    for about in &CATALOGUE {
        let mut overlay = schema::overlay(about.kind).unwrap();
        overlay["properties"].as_object_mut().unwrap().shift_remove("kind");
        leaves("", &overlay, &mut all);
    }
    all.remove("");
    let is_without = |path: &str| {
        WITHOUT
            .iter()
            .any(|(key, _)| path == *key || path.starts_with(&format!("{key}.")))
    };
    let unsaid: Vec<&String> = all
        .iter()
        .filter(|path| !is_without(path) && !FORMS.iter().any(|(form, _)| form == path))
        .collect();
    let stale: Vec<&str> = FORMS
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| !all.contains(*path))
        .chain(
            WITHOUT
                .iter()
                .map(|(key, _)| *key)
                .filter(|key| !all.iter().any(|path| path.split('.').next() == Some(key))),
        )
        .collect();
    match unsaid.is_empty() && stale.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "neither a form nor a reason: {unsaid:?}; of no kind: {stale:?}"
        )),
    }
}

/// The templates, with values of every key, against the file with the same values: through the types, without helm.
fn seeded() -> Result<(), String> {
    let rounds = if Tier::Full.need().is_ok() { 400 } else { 25 };
    let (mut compared, mut refused) = (0, 0);
    for Made {
        name,
        environments,
        chart,
    } in made()
    {
        for (at, environment) in environments.iter().zip(&chart.environments) {
            for seed in 0..rounds {
                let set = seeds::values(environment, seed);
                let at = with(at, &set);
                if !is_right(&at) {
                    refused += 1;
                    continue;
                }
                let (ours, rendered) = (environment.objects(&settings(environment, &set)), trace::named(&at));
                if let Some(object) = ours
                    .keys()
                    .chain(rendered.keys())
                    .find(|key| ours.get(*key) != rendered.get(*key))
                {
                    let set: Vec<(String, &Value)> = set.iter().map(|(knob, value)| (knob.name(), value)).collect();
                    return Err(format!(
                        "{name} {} seed {seed}: {object}\n{:?}\n{:?}\n{set:?}",
                        environment.name,
                        ours.get(object),
                        rendered.get(object)
                    ));
                }
                compared += 1;
            }
        }
    }
    println!("{compared} sets of values compared, {refused} contradict themselves");
    // What a schema cannot say is rare: bounds that cross, a host twice.
    match compared > rounds as usize * 6 && refused * 3 < compared {
        true => Ok(()),
        false => Err(format!("{compared} compared, {refused} refused")),
    }
}

/// Each value by itself, with another than the usual one: the objects change.
fn effects() -> Result<(), String> {
    let mut changed = BTreeMap::new();
    for Made { name, chart, .. } in made() {
        for environment in &chart.environments {
            let usual = environment.usual();
            let before = environment.objects(&usual);
            for (knob, _) in &environment.values {
                let other = knob
                    .probes()
                    .into_iter()
                    .find(|value| usual.get(&knob.reference()) != Some(value))
                    .unwrap();
                let after = environment.objects(&settings(environment, &[(knob.clone(), other)]));
                if after == before {
                    return Err(format!("{name} {}: {} has no effect", environment.name, knob.name()));
                }
                *changed.entry(knob.path).or_insert(0) += 1;
            }
        }
    }
    println!("{changed:?}");
    let never: Vec<&str> = FORMS
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| !changed.contains_key(path))
        .collect();
    // A further master is a further name in the configuration of all.
    match never[..] {
        ["masters"] => Ok(()),
        _ => Err(format!("never a value: {never:?}")),
    }
}

/// What is a value, and what is not because its effect is more than a template can do.
fn chosen() -> Result<(), String> {
    let Made { chart, .. } = made().last().unwrap();
    let prod = &chart.environments[0];
    let is_value = |key: &str| prod.values.iter().any(|(knob, _)| knob.name() == key);
    let why = |key: &str| {
        prod.without
            .iter()
            .find(|(of, _)| of == key)
            .map(|(_, why)| why.as_str())
    };
    for key in [
        "components.lake.replicas",
        "components.lake.resources.cpuLimit",
        "components.pg.storage.class",
        "components.pg.nodes",
        "components.shuffle.workers",
        "components.history.host",
        "components.history.cache",
        "components.lab.executors.max",
        "components.lab-legacy.nodes",
    ] {
        if !is_value(key) {
            return Err(format!("{key} is not a value: {:?}", why(key)));
        }
    }
    for (key, reason) in [
        ("components.stream.replicas", "of an even number"),
        ("components.shuffle.masters", "of an even number"),
        ("components.pg2.storage.size", "has no effect"),
    ] {
        if is_value(key) || !why(key).is_some_and(|why| why.contains(reason)) {
            return Err(format!("{key}: {:?}", why(key)));
        }
    }
    let files = chart.files("1.2.3")?;
    let values = &files["values.yaml"];
    let schema: Value = serde_json::from_str(&files["values.schema.json"]).unwrap();
    let parts = [
        "environment: prod\n",
        "#     replicas:  # 3\n",
        "components.shuffle.masters: ",
    ];
    if let Some(part) = parts.iter().find(|part| !values.contains(**part)) {
        return Err(format!("{part:?} is not in\n{values}"));
    }
    let lake = &schema["properties"]["components"]["properties"]["lake"];
    match lake["additionalProperties"] == json!(false) && lake["properties"]["config"].is_null() {
        true => Ok(()),
        false => Err(lake.to_string()),
    }
}
