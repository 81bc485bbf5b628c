//! The file of environments, with places.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use jiff::Timestamp;
use stoke_diagnostics::{Diagnostic, Source, has_errors};
use stoke_model::cron::Schedule;
use stoke_model::duration;
use stoke_model::manifest::{self, Fields, Node, join};
use stoke_model::memory::{ByteUnit, Memory};

use super::data;
use super::overlay::says_what_runs;
use super::{Approvals, Comparison, Delivery, Environment, Environments, Freeze, Key, Overlay, Side};
use crate::evidence::PublicKey;

pub(super) const ENVIRONMENT: [&str; 15] = [
    "name",
    "from",
    "namespace",
    "cluster",
    "git",
    "overlay",
    "gates",
    "shadow",
    "ab",
    "soak",
    "approvals",
    "freezes",
    "errorBudget",
    "automatic",
    "data",
];
pub(super) const SIDE: [&str; 9] = [
    "instances",
    "cores",
    "memory",
    "memoryOverhead",
    "coreLimit",
    "serviceAccount",
    "labels",
    "annotations",
    "nodeSelector",
];

/// Reads a file of environments. `key_file` gives the content of a file that holds a public key, or why it cannot.
///
/// # Errors
/// Every complaint; none of the environments is used then.
pub fn read(
    source: &Source,
    key_file: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Environments, Vec<Diagnostic>> {
    let (documents, mut complaints) = manifest::read(source);
    let mut reader = Reader {
        fields: Fields::new(source),
        key_file,
    };
    let mut environments = Vec::new();
    match documents.as_slice() {
        [root] => {
            if reader.fields.keys(root, "", &["environments"]) {
                if root.get("environments").is_none() {
                    reader.fields.missing(root, "environments", "");
                }
                for (path, node) in reader.fields.list(root, "environments", "") {
                    environments.extend(reader.environment(node, &path));
                }
                reader.together(root, &environments);
            }
        }
        _ => complaints.push(
            Diagnostic::of_file(
                stoke_diagnostics::Severity::Error,
                "environments-file",
                source.name(),
                format!("it has {} documents; one is wanted", documents.len()),
            )
            .with_fix("write one document with the key `environments`"),
        ),
    }
    complaints.extend(reader.fields.into_complaints());
    match has_errors(&complaints) {
        true => Err(complaints),
        false => Ok(Environments { environments }),
    }
}

pub(super) const OVERLAY: [&str; 7] = [
    "driver",
    "executor",
    "sparkConf",
    "hadoopConf",
    "arguments",
    "schedule",
    "suspend",
];
pub(super) const COMPARISON: [&str; 2] = ["maxAge", "against"];
pub(super) const APPROVALS: [&str; 3] = ["needed", "keys", "maySkipVerification"];

struct Reader<'a> {
    fields: Fields<'a>,
    key_file: &'a dyn Fn(&str) -> Result<String, String>,
}

impl Reader<'_> {
    fn environment(&mut self, node: &Node, path: &str) -> Option<Environment> {
        if !self.fields.keys(node, path, &ENVIRONMENT) {
            return None;
        }
        let name = self.fields.needed_text(node, "name", path)?.to_owned();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty()
            || name.len() > 63
            || !name.chars().all(plain)
            || name.starts_with('-')
            || name.ends_with('-')
        {
            self.wrong(
                node,
                "name",
                path,
                format!("`{name}` is not a name of an environment"),
                "write lower-case letters, digits and hyphens, at most 63",
            );
        }
        let namespace = self
            .fields
            .needed_text(node, "namespace", path)
            .unwrap_or_default()
            .to_owned();
        let seconds = self.seconds(node, "soak", path).unwrap_or(0);
        let from = self.fields.text(node, "from", path).map(str::to_owned);
        if from.is_none() && seconds > 0 {
            self.wrong(
                node,
                "soak",
                path,
                "soak time passes where a release comes from, and there is no `from`".into(),
                "add `from`, or remove `soak`",
            );
        }
        Some(Environment {
            delivery: self.delivery(node, path)?,
            overlay: self.overlay(node, path),
            gates: self.fields.texts(node, "gates", path).unwrap_or_default(),
            shadow: self.comparison(node, "shadow", path),
            ab: self.comparison(node, "ab", path),
            approvals: self.approvals(node, path),
            freezes: self.freezes(node, path),
            error_budget: self
                .fields
                .word(node, "errorBudget", path, &[("freeze", true), ("ignore", false)])
                .unwrap_or(false),
            automatic: self.fields.flag(node, "automatic", path).unwrap_or(false),
            soak_seconds: seconds,
            data: data::read(&mut self.fields, node, path),
            name,
            from,
            namespace,
        })
    }

    fn delivery(&mut self, node: &Node, path: &str) -> Option<Delivery> {
        match (node.get("cluster"), node.get("git")) {
            (Some(cluster), None) => {
                let path = join(path, "cluster");
                if !self.fields.keys(cluster, &path, &["context"]) {
                    return None;
                }
                let context = self.fields.needed_text(cluster, "context", &path)?.to_owned();
                Some(Delivery::Cluster { context })
            }
            (None, Some(git)) => {
                let path = join(path, "git");
                if !self.fields.keys(git, &path, &["repository", "branch", "path"]) {
                    return None;
                }
                let repository = self.fields.needed_text(git, "repository", &path)?.to_owned();
                let branch = self.fields.text(git, "branch", &path).unwrap_or("main").to_owned();
                let below = self.fields.needed_text(git, "path", &path)?.to_owned();
                if repository.starts_with('-') || branch.starts_with('-') || branch.is_empty() {
                    self.wrong(
                        git,
                        "repository",
                        &path,
                        "a name that begins with `-` is an option of git".into(),
                        "write the address of a repository and the name of a branch",
                    );
                }
                if below.starts_with('/')
                    || below
                        .split('/')
                        .any(|part| part.is_empty() || part == "." || part == ".." || part == ".git")
                {
                    self.wrong(
                        git,
                        "path",
                        &path,
                        format!("`{below}` is not a directory below the repository"),
                        "write a path such as `apps/prod`",
                    );
                }
                Some(Delivery::Git {
                    repository,
                    branch,
                    path: below,
                })
            }
            (None, None) => {
                self.fields.complain(
                    "missing-field",
                    node.place,
                    path,
                    "how a release gets there is missing".into(),
                    "add `cluster: {context: …}` or `git: {repository: …, path: …}`",
                );
                None
            }
            (Some(_), Some(git)) => {
                self.fields.complain(
                    "environments-delivery",
                    git.place,
                    path,
                    "both `cluster` and `git`: two writers would not agree".into(),
                    "keep one of them",
                );
                None
            }
        }
    }

    fn overlay(&mut self, node: &Node, path: &str) -> Overlay {
        let Some(node) = node.get("overlay") else {
            return Overlay::default();
        };
        let path = join(path, "overlay");
        if !self.fields.keys(node, &path, &OVERLAY) {
            return Overlay::default();
        }
        let schedule = self.fields.text(node, "schedule", &path).map(str::to_owned);
        if let Some(Err(error)) = schedule.as_deref().map(|text| Schedule::parse(text, "UTC")) {
            self.wrong(
                node,
                "schedule",
                &path,
                error.to_string(),
                "write five fields: minute, hour, day, month, weekday",
            );
        }
        let spark_conf = self.map(node, "sparkConf", &path);
        for key in spark_conf.keys().filter(|key| says_what_runs(key)) {
            let place = node
                .get("sparkConf")
                .and_then(|conf| conf.entry(key))
                .map_or(node.place, |entry| entry.key_place);
            let message = format!("`{key}` says what runs; that comes from the release alone");
            self.fields.complain(
                "environments-origin",
                place,
                &join(&path, "sparkConf"),
                message,
                "set it in the application and create a release of it",
            );
        }
        Overlay {
            driver: self.side(node, "driver", &path),
            executor: self.side(node, "executor", &path),
            hadoop_conf: self.map(node, "hadoopConf", &path),
            arguments: self.fields.texts(node, "arguments", &path),
            suspend: self.fields.flag(node, "suspend", &path),
            spark_conf,
            schedule,
        }
    }

    fn side(&mut self, node: &Node, key: &str, path: &str) -> Option<Side> {
        let side = node.get(key)?;
        let path = join(path, key);
        let keys: Vec<&str> = SIDE
            .iter()
            .copied()
            .filter(|name| key == "executor" || *name != "instances")
            .collect();
        if !self.fields.keys(side, &path, &keys) {
            return None;
        }
        for key in ["instances", "cores"] {
            if self.fields.whole(side, key, &path).is_some_and(|number| number < 1) {
                self.wrong(
                    side,
                    key,
                    &path,
                    format!("`{key}` must be at least 1"),
                    "write a larger number",
                );
            }
        }
        for key in ["memory", "memoryOverhead"] {
            if let Some(text) = self.fields.text(side, key, &path)
                && let Err(error) = Memory::parse(text, ByteUnit::Mib)
            {
                self.wrong(
                    side,
                    key,
                    &path,
                    error.to_string(),
                    "write a size as Spark does, for example `4g`",
                );
            }
        }
        let text = |fields: &mut Fields<'_>, key: &str| fields.text(side, key, &path).map(str::to_owned);
        Some(Side {
            instances: self.fields.whole(side, "instances", &path),
            cores: self.fields.whole(side, "cores", &path),
            memory: text(&mut self.fields, "memory"),
            memory_overhead: text(&mut self.fields, "memoryOverhead"),
            core_limit: text(&mut self.fields, "coreLimit"),
            service_account: text(&mut self.fields, "serviceAccount"),
            labels: self.map(side, "labels", &path),
            annotations: self.map(side, "annotations", &path),
            node_selector: self.map(side, "nodeSelector", &path),
        })
    }

    fn map(&mut self, node: &Node, key: &str, path: &str) -> BTreeMap<String, String> {
        let Some(map) = node.get(key) else {
            return BTreeMap::new();
        };
        let path = join(path, key);
        if !self.fields.mapping(map, &path) {
            return BTreeMap::new();
        }
        let mut all = BTreeMap::new();
        for entry in map.entries() {
            match entry.value.as_str() {
                Some(text) => {
                    all.insert(entry.key.clone(), text.to_owned());
                }
                None => self.fields.complain(
                    "wrong-type",
                    entry.value.place,
                    &join(&path, &entry.key),
                    format!("`{}` is not a text", entry.key),
                    "write it in quotes",
                ),
            }
        }
        all
    }

    fn approvals(&mut self, node: &Node, path: &str) -> Option<Approvals> {
        let node = node.get("approvals")?;
        let path = join(path, "approvals");
        if !self.fields.keys(node, &path, &APPROVALS) {
            return None;
        }
        let mut keys: Vec<Key> = Vec::new();
        for (path, key) in self.fields.list(node, "keys", &path) {
            keys.extend(self.key(key, &path));
        }
        let needed = self
            .fields
            .whole(node, "needed", &path)
            .and_then(|needed| usize::try_from(needed).ok())
            .unwrap_or(0);
        let distinct: BTreeSet<&str> = keys.iter().map(|key| key.public_key.as_str()).collect();
        let names: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
        if distinct.len() < keys.len() || names.len() < keys.len() {
            self.wrong(
                node,
                "keys",
                &path,
                "a key or a name stands here twice".into(),
                "one person, one key, one name",
            );
        }
        if needed == 0 || needed > keys.len() {
            self.wrong(
                node,
                "needed",
                &path,
                format!("{needed} of {} keys must approve", keys.len()),
                "write a number from 1 to the number of keys",
            );
        }
        Some(Approvals {
            needed,
            keys,
            may_skip_verification: self.fields.flag(node, "maySkipVerification", &path).unwrap_or(false),
        })
    }

    fn comparison(&mut self, node: &Node, key: &str, path: &str) -> Option<Comparison> {
        let node = node.get(key)?;
        let path = join(path, key);
        if !self.fields.keys(node, &path, &COMPARISON) {
            return None;
        }
        let against = self
            .fields
            .word(node, "against", &path, &[("current", true), ("any", false)]);
        Some(Comparison {
            max_age_seconds: self.seconds(node, "maxAge", &path),
            against_current: against.unwrap_or(true),
        })
    }

    fn key(&mut self, node: &Node, path: &str) -> Option<Key> {
        if !self.fields.keys(node, path, &["name", "publicKey", "file"]) {
            return None;
        }
        let name = self.fields.needed_text(node, "name", path)?.to_owned();
        let inline = self.fields.text(node, "publicKey", path).map(str::to_owned);
        let file = self.fields.text(node, "file", path).map(str::to_owned);
        let pem = match (inline, file) {
            (Some(pem), None) => Ok(pem),
            (None, Some(file)) => (self.key_file)(&file).map_err(|why| format!("{file}: {why}")),
            _ => Err("either `publicKey` or `file` is wanted".to_owned()),
        };
        let read = pem.and_then(|pem| PublicKey::from_pem(&pem).map_err(|error| error.to_string()));
        match read {
            Ok(key) => Some(Key {
                name,
                public_key: key.to_pem(),
            }),
            Err(why) => {
                self.fields.complain(
                    "environments-key",
                    node.place,
                    path,
                    format!("the key of {name}: {why}"),
                    "write a public key as PEM, or the file that has it; `stoke keygen` makes a pair",
                );
                None
            }
        }
    }

    fn freezes(&mut self, node: &Node, path: &str) -> Vec<Freeze> {
        let mut all = Vec::new();
        for (path, node) in self.fields.list(node, "freezes", path) {
            if self
                .fields
                .keys(node, &path, &["name", "from", "until", "schedule", "lasts", "zone"])
            {
                all.extend(self.freeze(node, &path));
            }
        }
        all
    }

    fn freeze(&mut self, node: &Node, path: &str) -> Option<Freeze> {
        let name = self.fields.needed_text(node, "name", path)?.to_owned();
        if node.get("schedule").is_some() {
            let zone = self.fields.needed_text(node, "zone", path)?.to_owned();
            let schedule = self.fields.needed_text(node, "schedule", path)?.to_owned();
            if let Err(error) = Schedule::parse(&schedule, &zone) {
                self.wrong(
                    node,
                    "schedule",
                    path,
                    error.to_string(),
                    "write five fields: minute, hour, day, month, weekday",
                );
            }
            if schedule.contains('@') || schedule.contains("TZ=") {
                self.wrong(
                    node,
                    "schedule",
                    path,
                    "a freeze comes at times of the calendar".into(),
                    "write five fields: minute, hour, day, month, weekday",
                );
            }
            let seconds = self.seconds(node, "lasts", path);
            if seconds.is_none() {
                self.fields.missing(node, "lasts", path);
            }
            return Some(Freeze::Each {
                name,
                schedule,
                zone,
                seconds: seconds?,
            });
        }
        let from = self.moment(node, "from", path);
        let until = self.moment(node, "until", path);
        let (from, until) = (from?, until?);
        if from >= until {
            self.wrong(
                node,
                "until",
                path,
                "it ends before it begins".into(),
                "write a later time",
            );
        }
        Some(Freeze::Between { name, from, until })
    }

    fn moment(&mut self, node: &Node, key: &str, path: &str) -> Option<Timestamp> {
        let text = self.fields.needed_text(node, key, path)?.to_owned();
        match text.parse() {
            Ok(moment) => Some(moment),
            Err(_) => {
                self.wrong(
                    node,
                    key,
                    path,
                    format!("`{text}` is not a time"),
                    "write it as 2026-12-20T00:00:00Z",
                );
                None
            }
        }
    }

    fn seconds(&mut self, node: &Node, key: &str, path: &str) -> Option<i64> {
        let value = node.get(key)?;
        let text = value.as_str().map(str::to_owned);
        let read = text.as_deref().and_then(|text| duration::parse_go(text).ok());
        match read {
            Some(time) if time.as_secs() > 0 => Some(time.as_secs()),
            _ => {
                let shown = self.fields.source.written(value.place).trim().to_owned();
                self.wrong(
                    node,
                    key,
                    path,
                    format!("`{shown}` is not a time of a second or more"),
                    "write a time with a unit, for example `24h` or `90m`",
                );
                None
            }
        }
    }

    /// What holds between environments: each name once, each origin there, no circle.
    fn together(&mut self, root: &Node, all: &[Environment]) {
        let mut seen = BTreeSet::new();
        for environment in all {
            if !seen.insert(&environment.name) {
                let message = format!("there are two environments `{}`", environment.name);
                self.fields.complain(
                    "environments-twice",
                    root.place,
                    "environments",
                    message,
                    "rename one of them",
                );
            }
            let mut at = environment;
            for _ in 0..=all.len() {
                let Some(from) = &at.from else { break };
                match all.iter().find(|other| other.name == *from) {
                    Some(next) if next.name == environment.name => {
                        let message = format!("a release comes to `{}` from itself", environment.name);
                        self.fields.complain(
                            "environments-circle",
                            root.place,
                            "environments",
                            message,
                            "let the first environment have no `from`",
                        );
                        break;
                    }
                    Some(next) => at = next,
                    None => {
                        let names: Vec<&str> = all.iter().map(|other| other.name.as_str()).collect();
                        let fix = match manifest::nearest(from, names.iter().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("there are {}", names.join(", ")),
                        };
                        if std::ptr::eq(at, environment) {
                            self.fields.complain(
                                "environments-from",
                                root.place,
                                "environments",
                                format!("`{}` takes releases from `{from}`, which is not there", at.name),
                                &fix,
                            );
                        }
                        break;
                    }
                }
            }
        }
    }

    fn wrong(&mut self, node: &Node, key: &str, path: &str, message: String, fix: &str) {
        let place = node.get(key).map_or(node.place, |value| value.place);
        self.fields
            .complain("environments-value", place, &join(path, key), message, fix);
    }
}
