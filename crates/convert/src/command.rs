//! `spark-submit` command lines, and the scripts they stand in.

use std::collections::BTreeMap;
use std::io;

use stoke_diagnostics::{Place, Source};
use stoke_submit::argv::{self, Action, Arguments, ArgvError, CommandLine, Files, spark_version_of_image};
use stoke_submit::{Identity, MainResource, SparkVersion, SubmitFiles};

use crate::configuration::{self, Setting, Settings};
use crate::report::Report;
use crate::shell::{self, Command, Variables, Word};
use crate::target::Target;
use crate::{Options, configuration::template};

/// What the operator's own submissions go to; the master of a command line means nothing to an application.
const MASTER: &str = "k8s://https://kubernetes.default.svc";
/// Words before a program that do not change what it does.
const TRANSPARENT: [&str; 10] = [
    "exec", "nohup", "time", "command", "then", "else", "do", "{", "!", "env",
];
/// Programs that only talk, or set up the shell.
const HARMLESS: [&str; 16] = [
    "set", "echo", "printf", "exit", "true", ":", "trap", "umask", "ulimit", "wait", "export", "readonly", "declare",
    "local", "unset", "date",
];
const CONTROL: [&str; 12] = [
    "if", "elif", "for", "while", "until", "case", "function", "select", "[", "[[", "test", "(",
];
const ENDS: [&str; 6] = ["fi", "done", "esac", "}", ")", ";;"];

/// A converted command line.
pub(crate) struct Submitted {
    pub(crate) target: Target,
    pub(crate) settings: Settings,
    /// True when the driver ran where `spark-submit` was called.
    pub(crate) client: bool,
}

/// Files with a script's own variables in the environment.
struct WithVariables<'a> {
    files: &'a dyn Files,
    variables: &'a Variables,
}

impl Files for WithVariables<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.files.read(path)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, bool)>> {
        self.files.list(directory)
    }

    fn env(&self, name: &str) -> Option<String> {
        let own = self.variables.get(name).filter(|value| !value.is_empty()).cloned();
        own.or_else(|| self.files.env(name))
    }

    fn working_dir(&self) -> String {
        self.files.working_dir()
    }

    fn user_name(&self) -> String {
        self.files.user_name()
    }

    fn now(&self) -> jiff::Timestamp {
        self.files.now()
    }
}

/// Converts every `spark-submit` of a script; says what else the script does.
pub(crate) fn convert(source: &Source, files: &dyn Files, options: &Options, report: &mut Report) -> Vec<Target> {
    submissions(source, files, options, report)
        .into_iter()
        .map(|submitted| complete(submitted, report))
        .collect()
}

/// Puts the configuration of a command line into its target.
pub(crate) fn complete(submitted: Submitted, report: &mut Report) -> Target {
    let Submitted {
        mut target,
        settings,
        client,
    } = submitted;
    if client {
        report.changed(
            target.place,
            "--deploy-mode",
            "deploy mode client: the driver ran where spark-submit was called, and is a pod now",
            "",
        );
    }
    configuration::apply(settings, &mut target, report);
    target
}

/// The submissions of a script, their configuration not yet in the targets.
pub(crate) fn submissions(
    source: &Source,
    files: &dyn Files,
    options: &Options,
    report: &mut Report,
) -> Vec<Submitted> {
    let mut variables = Variables::new();
    let mut found = Vec::new();
    let mut submits = false;
    for command in shell::commands(source, &options.environment) {
        let known = command
            .assignments
            .iter()
            .filter(|(_, value)| value.unresolved.is_empty());
        let own: Variables = known.map(|(name, value)| (name.clone(), value.text.clone())).collect();
        let Some(words) = program(&command, report) else {
            variables.extend(own);
            continue;
        };
        submits = true;
        let mut visible = variables.clone();
        visible.extend(own);
        visible.extend(options.environment.clone());
        about_the_line(&command, report);
        let files = WithVariables {
            files,
            variables: &visible,
        };
        found.extend(submission(words, &files, options, report));
    }
    if !submits {
        report.lost(
            source.place_at(0),
            "",
            "there is no spark-submit in it",
            "give the script or command line that submits",
        );
    }
    found
}

/// The words of a `spark-submit`; none for other commands, about which it is said what becomes of them.
fn program<'a>(command: &'a Command, report: &mut Report) -> Option<&'a [Word]> {
    let mut words = command.words.as_slice();
    while let Some((first, rest)) = words.split_first() {
        let setting = first.text.contains('=') && !first.text.starts_with('-');
        if CONTROL.contains(&first.text.as_str()) {
            report.lost(
                first.place,
                "",
                format!(
                    "`{}`: what is decided while a script runs cannot stand in a manifest",
                    first.text
                ),
                "write one manifest for each way it can go",
            );
        } else if !(TRANSPARENT.contains(&first.text.as_str()) || ENDS.contains(&first.text.as_str()) || setting) {
            break;
        }
        words = rest;
        if matches!(
            first.text.as_str(),
            "for" | "case" | "while" | "until" | "[" | "[[" | "test" | "select" | "function"
        ) {
            return None;
        }
    }
    let first = words.first()?;
    if argv::parse::is_program(&first.text) {
        return Some(words);
    }
    let said: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let said: String = said.join(" ").chars().take(80).collect();
    if HARMLESS.contains(&first.text.as_str()) {
        if !matches!(first.text.as_str(), "export" | "readonly" | "declare" | "local") {
            report.idle(first.place, "", format!("`{said}` belongs to the script"), "");
        }
    } else {
        report.lost(
            first.place,
            "",
            format!("`{said}` is not a submission, and a manifest runs nothing else"),
            "keep it where the script is, or make it an init container of the driver",
        );
    }
    None
}

/// What stands around the words.
fn about_the_line(command: &Command, report: &mut Report) {
    for redirection in &command.redirections {
        report.idle(
            redirection.place,
            "",
            format!("`{}` is left out: the driver's log is its pod's", redirection.text),
            "read it with `stoke logs NAME` or `kubectl logs`",
        );
    }
    match command.operator {
        Some(("&", place)) => report.idle(place, "", "`&` is left out: nothing waits for a manifest", ""),
        Some((operator, place)) => report.lost(
            place,
            "",
            format!("`{operator}` makes something depend on how the submission ends"),
            "let what follows wait: `kubectl wait sparkapplication/NAME --for=jsonpath='{.status.applicationState.state}'=COMPLETED`",
        ),
        None => {}
    }
}

/// One command line, its program first.
pub(crate) fn submission(
    words: &[Word],
    files: &dyn Files,
    options: &Options,
    report: &mut Report,
) -> Option<Submitted> {
    let place = words.first().map(|word| word.place).unwrap_or_default();
    let texts: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let refuse = |error: &ArgvError, report: &mut Report| {
        let place = place_of_error(error, words).unwrap_or(place);
        report.say(
            stoke_diagnostics::Severity::Error,
            error.code(),
            place,
            "",
            error.to_string(),
            "",
        );
    };
    let (line, version) = match parse(&texts, options) {
        Ok(parsed) => parsed,
        Err(error) => {
            refuse(&error, report);
            return None;
        }
    };
    if line.action != Action::Submit {
        refuse(&ArgvError::NotASubmission { action: line.action }, report);
        return None;
    }
    left_in_place(words, report);
    let (line, asked_mode) = with_our_master(line, words, place, report);
    let read = match argv::read_line(&line, files, &version, Identity::derive("", 1)) {
        Ok(read) => read,
        Err(error) => {
            refuse(&error, report);
            return None;
        }
    };
    for warning in &read.warnings {
        report.idle(place, "", warning.clone(), "");
    }
    Some(build(read, asked_mode, words, place, report))
}

/// Splits the line by the rules of the version that the options or the image tell, else of the newest known.
fn parse(texts: &[String], options: &Options) -> Result<(CommandLine, SparkVersion), ArgvError> {
    let newest = SparkVersion::new(4, 3, 0);
    if let Some(version) = &options.spark_version {
        return Ok((argv::parse::parse(texts, version)?, version.clone()));
    }
    let line = argv::parse::parse(texts, &newest)?;
    let image = line.conf.get("spark.kubernetes.container.image");
    match image.and_then(|image| spark_version_of_image(image)) {
        Some(version) => Ok((argv::parse::parse(texts, &version)?, version)),
        None => Ok((line, newest)),
    }
}

/// The word an error is about.
fn place_of_error(error: &ArgvError, words: &[Word]) -> Option<Place> {
    let text = match error {
        ArgvError::UnknownOption { option, .. }
        | ArgvError::MissingValue { option }
        | ArgvError::EmptyValue { option } => option.as_str(),
        ArgvError::OptionOfLaterVersion { option, .. } => option,
        ArgvError::ConfWithoutEquals { text } => text,
        ArgvError::File { path, .. } => path,
        ArgvError::MainClass { jar, .. } => jar,
        ArgvError::Shell { resource } => resource,
        ArgvError::BlankArgument { position } => return words.get(position - 1).map(|word| word.place),
        _ => return None,
    };
    words
        .iter()
        .find(|word| word.text.contains(text))
        .map(|word| word.place)
}

/// Variables and substitutions that nothing gave a value.
fn left_in_place(words: &[Word], report: &mut Report) {
    for (index, word) in words.iter().enumerate().skip(1) {
        let of_master = index > 0 && words[index - 1].text == "--master" || word.text.starts_with("--master=");
        for unresolved in word.unresolved.iter().filter(|_| !of_master) {
            let name = unresolved.trim_matches(['$', '{', '}', '(', ')']);
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let fix = if is_name && !name.starts_with(|c: char| c.is_ascii_digit()) {
                format!("give its value with --env {name}=…, or replace it in the manifest")
            } else {
                "replace it in the manifest by the value it has".to_owned()
            };
            let message = format!(
                "`{unresolved}` stays as it is written: nothing here gives it a value, and a manifest has no shell"
            );
            report.say(
                stoke_diagnostics::Severity::Error,
                "left-in-place",
                word.place,
                &word.text,
                message,
                &fix,
            );
        }
    }
}

/// The line with the operator's master, in cluster mode; and the mode that was asked for on the line.
fn with_our_master(
    mut line: CommandLine,
    words: &[Word],
    place: Place,
    report: &mut Report,
) -> (CommandLine, Option<String>) {
    let in_conf = line.conf.remove("spark.master");
    let master = line.values.insert("--master", MASTER.to_owned()).or(in_conf);
    let word = words
        .iter()
        .find(|word| word.text.starts_with("--master") || word.text.starts_with("spark.master="));
    let at = word.map_or(place, |word| word.place);
    match master {
        None => {}
        Some(master) if master.starts_with("k8s://") || master.contains('$') => report.idle(
            at,
            "--master",
            format!("`{master}` is left out: the operator submits to the cluster it runs in"),
            "",
        ),
        Some(master) => report.changed(
            at,
            "--master",
            format!("`{master}` is left out: the application runs on Kubernetes now"),
            "look through its configuration for keys of the other cluster manager",
        ),
    }
    let mode = line.conf.remove("spark.submit.deployMode");
    let asked = line.values.insert("--deploy-mode", "cluster".to_owned()).or(mode);
    (line, asked)
}

fn build(read: Arguments, asked_mode: Option<String>, words: &[Word], place: Place, report: &mut Report) -> Submitted {
    let request = read.request;
    let mut target = Target {
        place,
        ..Target::default()
    };
    let (language, main) = match &request.resource {
        MainResource::Java(jar) => ("Scala", jar.clone()),
        MainResource::Python(file) => ("Python", Some(file.clone())),
        MainResource::R(file) => ("R", Some(file.clone())),
    };
    target.set("type", language);
    if let Some(class) = &request.main_class {
        target.set("mainClass", class.as_str());
    }
    if let Some(main) = &main {
        target.set("mainApplicationFile", main.as_str());
    }
    if !request.args.is_empty() {
        target.set("arguments", request.args.clone());
    }
    if let Some(user) = &request.proxy_user {
        target.set("proxyUser", user.as_str());
    }
    let mut settings = Settings::new();
    let mut elsewhere = Vec::new();
    for (key, value) in request.conf {
        let written = place_of_key(&key, words);
        if written.is_none() {
            elsewhere.push(key.clone());
        }
        let setting = Setting {
            value,
            place: written.unwrap_or(place),
            path: key.clone(),
        };
        settings.insert(key, setting);
    }
    let mode = settings.remove("spark.submit.deployMode").map(|setting| setting.value);
    settings.remove("spark.master");
    if !elsewhere.is_empty() {
        report.changed(
            place,
            "",
            format!(
                "not on the line, but in properties files, defaults or environment: {}",
                elsewhere.join(", ")
            ),
            "",
        );
    }
    let client = asked_mode.or(mode).is_none_or(|mode| mode != "cluster");
    if client {
        for key in ["spark.driver.host", "spark.driver.bindAddress"] {
            if let Some(setting) = settings.remove(key) {
                report.idle(
                    setting.place,
                    key,
                    format!("{key} is left out: the driver has a pod and a service of its own"),
                    "",
                );
            }
        }
    }
    contents(request.files, &mut settings, &mut target, report);
    if !settings.contains_key("spark.app.name") {
        let base = request
            .main_class
            .as_deref()
            .and_then(|class| class.rsplit('.').next())
            .map(str::to_owned);
        let file = main
            .as_deref()
            .and_then(|file| file.rsplit('/').next())
            .map(|file| file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned());
        let name = base.or(file).unwrap_or_else(|| "spark-application".to_owned());
        let name = stoke_model::names::suggest_dns_1035(&name, stoke_model::names::LABEL_LIMIT).unwrap_or(name);
        report.changed(
            place,
            "--name",
            format!("the line names no application; it is called `{name}`"),
            "give another with --name",
        );
        target.name = name;
    }
    Submitted {
        target,
        settings,
        client,
    }
}

/// Where a key is set on the line; the last place counts.
fn place_of_key(key: &str, words: &[Word]) -> Option<Place> {
    let option = argv::options::OPTIONS
        .iter()
        .find(|option| option.key == Some(key))
        .map(|option| option.name);
    let pair = format!("{key}=");
    let mut places = words.iter().filter(|word| {
        let text = word.text.strip_prefix("--conf=").unwrap_or(&word.text);
        text.starts_with(&pair)
            || option.is_some_and(|option| text == option || text.starts_with(&format!("{option}=")))
    });
    places.next_back().map(|word| word.place)
}

/// Files whose content a submission carries.
fn contents(files: SubmitFiles, settings: &mut Settings, target: &mut Target, report: &mut Report) {
    let place = target.place;
    for (role, found) in [("driver", files.driver_template), ("executor", files.executor_template)] {
        if let Some(found) = found {
            settings.remove(&format!("spark.kubernetes.{role}.podTemplateFile"));
            target.set(&format!("{role}.template"), template(&found.pod));
        }
    }
    if let Some(setting) = settings.remove("spark.kubernetes.scheduler.volcano.podGroupTemplateFile") {
        report.lost(
            setting.place,
            &setting.path,
            "the pod group is made by the operator",
            "set spec.batchScheduler: volcano and spec.batchSchedulerOptions (queue, priorityClassName, resources)",
        );
    }
    let conf_dir: BTreeMap<_, _> = files
        .spark_conf_dir
        .into_iter()
        .filter(|(name, _)| travels(name))
        .collect();
    let directories = [
        ("SPARK_CONF_DIR", conf_dir, "sparkConfigMap"),
        (
            "HADOOP_CONF_DIR",
            files.hadoop_conf_dir.unwrap_or_default(),
            "hadoopConfigMap",
        ),
    ];
    for (variable, contents, field) in directories {
        if !contents.is_empty() {
            let names: Vec<&str> = contents.keys().map(String::as_str).collect();
            report.lost(
                place,
                variable,
                format!("spark-submit carries the files of {variable} to the driver: {}", names.join(", ")),
                &format!("make a ConfigMap of them (`kubectl create configmap NAME --from-file=DIRECTORY`) and set spec.{field}: NAME"),
            );
        }
    }
    for (variable, key) in [
        ("PYSPARK_PYTHON", "spark.pyspark.python"),
        ("PYSPARK_DRIVER_PYTHON", "spark.pyspark.driver.python"),
    ] {
        if let Some(value) = files.environment.get(variable).filter(|_| !settings.contains_key(key)) {
            report.changed(place, variable, format!("{variable} of the environment is {key}"), "");
            let setting = Setting {
                value: value.clone(),
                place,
                path: variable.to_owned(),
            };
            settings.insert(key.to_owned(), setting);
        }
    }
    if let Some(value) = files.environment.get("SPARK_LOCAL_DIRS") {
        report.lost(
            place,
            "SPARK_LOCAL_DIRS",
            format!("SPARK_LOCAL_DIRS={value} of the environment"),
            "mount volumes called spark-local-dir-…, or set it in driver.env and executor.env",
        );
    }
}

/// Whether Spark copies a file of its configuration directory.
fn travels(name: &str) -> bool {
    !name.ends_with(".template") && !matches!(name, "spark-defaults.conf" | "spark-env.sh")
}
