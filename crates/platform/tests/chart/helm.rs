//! Real helm: what it renders, and what it refuses.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use stoke_platform::environment::merge;
use stoke_platform::render::chart::knob::{Knob, nested};
use stoke_platform::render::chart::trace::{Objects, name, named};
use stoke_platform::render::tree::yaml;
use stoke_testkit::Tier;

use crate::{Made, is_right, made, seeds, with};

type Test = fn(&Path) -> Result<(), String>;

pub fn trials() -> Vec<Trial> {
    let helm = stoke_testkit::helm();
    let all: [(&str, Tier, Test); 5] = [
        ("helm lints the charts", Tier::Default, lint),
        ("helm renders what `render` gives", Tier::Default, usual),
        (
            "helm refuses what is outside of the schema, and what contradicts itself",
            Tier::Default,
            refusals,
        ),
        (
            "helm renders seeded values as the file with them",
            Tier::Default,
            seeded,
        ),
        ("each value changes what helm renders", Tier::Full, effects),
    ];
    let trial = |(name, tier, test): (&str, Tier, Test)| {
        let (needed, helm) = (helm.clone(), helm.clone());
        stoke_testkit::trial(name, tier, || needed.map(drop), move || Ok::<(), Failed>(test(&helm?)?))
    };
    all.into_iter().map(trial).collect()
}

/// A chart on disk.
struct Written {
    place: tempfile::TempDir,
    values: tempfile::NamedTempFile,
}

impl Written {
    fn of(made: &Made) -> Result<Written, String> {
        let place = tempfile::tempdir().map_err(|error| error.to_string())?;
        for (path, text) in made.chart.files("0.1.0")? {
            let path = place.path().join(path);
            let folder = path.parent().unwrap_or(place.path());
            std::fs::create_dir_all(folder)
                .and_then(|()| std::fs::write(&path, text))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let values = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        Ok(Written { place, values })
    }

    fn template(&self, helm: &Path, environment: &str, values: &Value) -> Result<Objects, String> {
        let mut values = values.clone();
        values["environment"] = json!(environment);
        std::fs::write(self.values.path(), yaml(&values)?).map_err(|error| error.to_string())?;
        let mut command = Command::new(helm);
        command.args(["template", "platform"]).arg(self.place.path());
        read(&output(command.arg("--values").arg(self.values.path()))?)
    }
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)),
    }
}

fn read(stream: &str) -> Result<Objects, String> {
    let stream = format!("\n{stream}");
    let mut all = Objects::new();
    for document in stream
        .split("\n---")
        .map(|document| document.trim_start_matches(|letter| letter != '\n'))
    {
        let object: Value = serde_saphyr::from_str(document).map_err(|error| format!("{error}: {document}"))?;
        if !object.is_null()
            && let Some(twice) = all.insert(name(&object), object)
        {
            return Err(format!("twice: {twice}"));
        }
    }
    Ok(all)
}

fn same(ours: &Objects, rendered: &Objects) -> Result<(), String> {
    let other = ours
        .keys()
        .chain(rendered.keys())
        .find(|key| ours.get(*key) != rendered.get(*key));
    other.map_or(Ok(()), |key| {
        Err(format!(
            "{key}: helm\n{:?}\nrender\n{:?}",
            ours.get(key),
            rendered.get(key)
        ))
    })
}

fn lint(helm: &Path) -> Result<(), String> {
    for made in made() {
        let (name, written) = (made.name, Written::of(made)?);
        for (_, environment) in made.each() {
            let set = format!("environment={}", environment.name);
            let said = output(
                Command::new(helm)
                    .args(["lint", "--strict"])
                    .arg(written.place.path())
                    .args(["--set", &set]),
            )
            .map_err(|why| format!("{name}: {why}"))?;
            if !said.contains("0 chart(s) failed") || said.contains("[WARNING]") || said.contains("[ERROR]") {
                return Err(format!("{name}: {said}"));
            }
        }
    }
    Ok(())
}

fn usual(helm: &Path) -> Result<(), String> {
    let mut compared = 0;
    for made in made() {
        let (name, written) = (made.name, Written::of(made)?);
        for (at, environment) in made.each() {
            let rendered = named(at);
            let ours = written.template(helm, &environment.name, &json!({}))?;
            same(&ours, &rendered).map_err(|why| format!("{name} {}: {why}", environment.name))?;
            compared += rendered.len();
            let without = written.template(helm, &environment.name, &json!({"createNamespace": false}))?;
            let mut rendered = rendered;
            rendered.retain(|key, _| !key.starts_with("Namespace "));
            same(&without, &rendered).map_err(|why| format!("{name} {}: {why}", environment.name))?;
        }
    }
    println!("{compared} objects are the same");
    Ok(())
}

/// Values as a file of them has it.
fn values(set: &[(Knob, Value)]) -> Value {
    let mut all = json!({});
    for (knob, value) in set {
        merge(
            &mut all,
            &nested(&format!("components.{}.{}", knob.component, knob.path), value),
        );
    }
    all
}

fn seeded(helm: &Path) -> Result<(), String> {
    let rounds = if Tier::Full.need().is_ok() { 40 } else { 2 };
    let (mut compared, mut refused, mut objects) = (0, 0, 0);
    for made in made() {
        let (name, written) = (made.name, Written::of(made)?);
        for (at, environment) in made.each() {
            for seed in 1..=rounds {
                let set = seeds::values(environment, 1000 + seed);
                let at = with(at, &set);
                let said = written.template(helm, &environment.name, &values(&set));
                let told = |why: String| format!("{name} {} seed {seed} {}: {why}", environment.name, values(&set));
                // What the file would be refused for, the chart is refused for.
                match (is_right(&at), said) {
                    (true, Ok(ours)) => {
                        same(&ours, &named(&at)).map_err(told)?;
                        objects += ours.len();
                        compared += 1;
                    }
                    (false, Err(_)) => refused += 1,
                    (true, Err(why)) => return Err(told(why)),
                    (false, Ok(_)) => return Err(told("helm takes it, and the check does not".to_owned())),
                }
            }
        }
    }
    println!("{compared} sets of values, {objects} objects are the same; {refused} refused by both");
    Ok(())
}

/// Each with what the message names.
fn refusals(helm: &Path) -> Result<(), String> {
    let small = made().iter().find(|made| made.name == "small").unwrap();
    let written = Written::of(small)?;
    let of = |component: &str, set: Value| json!({"components": {component: set}});
    for (environment, values, part) in [
        ("inside", of("lake", json!({"replica": 2})), "replica"),
        ("inside", of("lake", json!({"replicas": 0})), "replicas"),
        ("inside", of("lake", json!({"replicas": 21})), "replicas"),
        ("inside", of("lake", json!({"replicas": "2"})), "replicas"),
        ("inside", of("lake", json!({"image": "x:1"})), "image"),
        ("inside", of("lake", json!({"config": {"a": "b"}})), "config"),
        ("inside", of("lake", json!({"resources": {"memory": "63Mi"}})), "memory"),
        ("inside", of("lake", json!({"resources": {"memory": "512m"}})), "memory"),
        ("inside", of("lake", json!({"resources": {"cpu": "0"}})), "cpu"),
        ("inside", of("lake", json!({"resources": {"cpu": 0.5}})), "cpu"),
        ("inside", of("lake", json!({"resources": null})), "resources"),
        ("inside", of("lake", json!({"host": "lake"})), "host"),
        (
            "inside",
            of("lake", json!({"host": "https://lake.example.com"})),
            "host",
        ),
        ("inside", of("database", json!({"nodes": "slow"})), "nodes"),
        (
            "inside",
            of("database", json!({"storage": {"class": "a\": b"}})),
            "class",
        ),
        ("inside", of("lab", json!({"executors": {"memory": "470m"}})), "memory"),
        ("inside", of("lab", json!({"executors": {"memory": "2Gi"}})), "memory"),
        ("inside", of("memory", json!({"replicas": 2})), "replicas"),
        ("inside", of("files", json!({"bucket": "x"})), "files"),
        ("inside", json!({"namespace": "x"}), "namespace"),
        ("inside", json!({"createNamespace": "no"}), "createNamespace"),
        ("outside", json!({}), "environment"),
        ("plain", of("notes", json!({"storage": {"size": "1Gi"}})), "notes"),
        (
            "inside",
            of("lake", json!({"resources": {"cpu": "2", "cpuLimit": "1500m"}})),
            "cpuLimit 1500m is less than cpu 2",
        ),
        (
            "inside",
            of("lake", json!({"resources": {"cpuLimit": "10m"}})),
            "cpuLimit 10m is less than cpu",
        ),
        (
            "inside",
            of("lab", json!({"executors": {"min": 6}})),
            "at least 6 and at most 5",
        ),
        (
            "open",
            of("history", json!({"host": "lake.example.com"})),
            "another component has the host lake.example.com",
        ),
    ] {
        let said = written.template(helm, environment, &values).err();
        let said = said.ok_or_else(|| format!("helm takes {values} in {environment}"))?;
        if !said.contains(part) {
            return Err(format!("{values}: {part} is not named: {said}"));
        }
    }
    let said = output(Command::new(helm).arg("template").arg(written.place.path())).err();
    match said.is_some_and(|said| said.contains("environment")) {
        true => Ok(()),
        false => Err("an environment must be named".to_owned()),
    }
}

fn effects(helm: &Path) -> Result<(), String> {
    let mut changed = 0;
    for made in made() {
        let (name, written) = (made.name, Written::of(made)?);
        for (_, environment) in made.each() {
            let before = written.template(helm, &environment.name, &json!({}))?;
            for (knob, usual) in &environment.values {
                let other = knob.probes().into_iter().find(|value| usual.as_ref() != Some(value));
                // With room for it, as the other bound has it.
                let other = match knob.path {
                    "executors.min" => Some(json!(1))
                        .filter(|one| usual.as_ref() != Some(one))
                        .or(Some(json!(0))),
                    "resources.cpu" => Some(json!("77m")),
                    "executors.max" => Some(json!(9_999)),
                    _ => other,
                };
                let set = [(knob.clone(), other.unwrap_or_default())];
                if written.template(helm, &environment.name, &values(&set))? == before {
                    return Err(format!("{name} {}: {} has no effect", environment.name, knob.name()));
                }
                changed += 1;
            }
        }
    }
    println!("{changed} values, each with an effect");
    Ok(())
}
