//! Flags and values files to what is installed: files in their order, then flags.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use serde_json::Value;
use stoke_diagnostics::{Diagnostic, has_errors};
use stoke_operator::install::Options;

use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// What is installed.
#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Values file, of our chart or of the published one; may be given again, later ones win, and flags win over all of them
    #[arg(long, short = 'f', value_name = "FILE")]
    values: Vec<PathBuf>,
    /// Refuse values that have no effect here, instead of naming them
    #[arg(long)]
    strict: bool,
    /// Prefix of all names [default: spark-operator]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Namespace of the operator
    #[arg(long, short = 'n', value_name = "NAME", default_value = "spark-operator")]
    namespace: String,
    /// Image of the operator [default: stoke of this version]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Operators side by side [default: 1]
    #[arg(long, value_name = "N")]
    replicas: Option<u16>,
    /// Parts into which applications are divided among the operators [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// Namespaces of applications, comma-separated; '' for all of them [default: default]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    job_namespaces: Option<Vec<String>>,
    /// Namespaces of applications by their labels, besides those
    #[arg(long, value_name = "LABELS")]
    job_namespace_selector: Option<String>,
    /// Review applications before they are stored; needs a right to two named objects of the cluster [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    webhook: Option<bool>,
    /// Port of the webhook in the operator's pod [default: 9443]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    webhook_port: Option<u16>,
    /// What happens to applications while the webhook cannot be reached: Ignore stores them, Fail refuses them [default: Ignore]
    #[arg(long, value_name = "POLICY", value_parser = ["Ignore", "Fail"])]
    webhook_failure_policy: Option<String>,
    /// Seconds that the API server waits for the webhook [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(1..=30))]
    webhook_timeout_seconds: Option<u8>,
    /// Keep logs of drivers at s3://bucket/prefix after their pods are gone; credentials are the operator pod's
    #[arg(long, value_name = "URL")]
    keep_logs: Option<String>,
    /// Keep verdicts of data contracts at s3://bucket/prefix; credentials are those of the drivers that the contracts are of
    #[arg(long, value_name = "URL")]
    quality_history: Option<String>,
    /// Ask the policies in ConfigMaps of the operator's namespace with the label stoke.dev/policy=true [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    policy_config_maps: Option<bool>,
    /// Ask policies of the starter pack, comma-separated; `stoke policy list` names them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(stoke_policy::pack::names()))]
    policy_pack: Option<Vec<String>>,
    /// Leave out the CRDs
    #[arg(long)]
    pub no_crds: bool,
    /// Context of your kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl Arguments {
    /// What is installed. What has no effect is told; with `--strict` it is a failure.
    pub fn options(&self, terminal: &mut Terminal) -> Outcome<Options> {
        let mut options = Options {
            namespace: self.namespace.clone(),
            ..Options::default()
        };
        for file in &self.values {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::input("stoke::operator::values", format!("{name}: {error}"))
                    .fix("give the path of a values file")
            })?;
            if let Err(complaints) = options.values.lay(&name, &text) {
                return Err(refused(&complaints, terminal));
            }
        }
        self.flags(&mut options);
        let idle = options.values.without_effect();
        if has_errors(&idle) {
            return Err(refused(&idle, terminal).fix("remove them, or leave out --strict (strict: true)"));
        }
        for complaint in &idle {
            terminal.note(complaint.render());
        }
        match options.values.refusals(options.replicas()).first() {
            Some((message, fix)) => Err(Failure::input("stoke::operator::values", message).fix(fix)),
            None => Ok(options),
        }
    }

    fn flags(&self, options: &mut Options) {
        if let Some(name) = &self.name {
            options.name.clone_from(name);
            options.values.set("fullnameOverride", name.as_str().into());
        }
        if let Some(image) = &self.image {
            options.set_image(image);
        }
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let list = |list: &Option<Vec<String>>| list.clone().map(Value::from);
        let flags = [
            ("strict", self.strict.then_some(Value::Bool(true))),
            ("controller.replicas", self.replicas.map(Value::from)),
            ("controller.shards", self.shards.map(Value::from)),
            ("controller.keepLogs.url", text(&self.keep_logs)),
            ("controller.qualityHistory", text(&self.quality_history)),
            ("spark.jobNamespaces", list(&self.job_namespaces)),
            ("spark.jobNamespaceSelector", text(&self.job_namespace_selector)),
            ("webhook.enable", self.webhook.map(Value::from)),
            ("webhook.port", self.webhook_port.map(Value::from)),
            ("webhook.failurePolicy", text(&self.webhook_failure_policy)),
            ("webhook.timeoutSeconds", self.webhook_timeout_seconds.map(Value::from)),
            ("policies.configMaps", self.policy_config_maps.map(Value::from)),
            ("policies.packs", list(&self.policy_pack)),
        ];
        for (path, value) in flags {
            if let Some(value) = value {
                options.values.set(path, value);
            }
        }
    }
}

fn refused(complaints: &[Diagnostic], terminal: &mut Terminal) -> Failure {
    match terminal.format() {
        Format::Json => terminal.json(&serde_json::json!({ "complaints": complaints })),
        Format::Text => complaints
            .iter()
            .for_each(|complaint| terminal.note(complaint.render())),
    }
    let errors = complaints.iter().filter(|complaint| complaint.is_error()).count();
    let what = if errors == 1 { "value" } else { "values" };
    Failure::input(
        "stoke::operator::values",
        format!("{errors} {what} refused; nothing was changed"),
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn options(line: &[&str]) -> Options {
        let line = Line::parse_from(["x"].iter().chain(line));
        let mut options = Options::default();
        line.arguments.flags(&mut options);
        options
    }

    #[test]
    fn flags_are_values() {
        let default = Options::default;
        let cases: [(&[&str], Options); 7] = [
            (&[], default()),
            (
                &["--replicas", "2", "--shards", "4"],
                default().with("controller.replicas", 2).with("controller.shards", 4),
            ),
            (&["--webhook=false"], default().with("webhook.enable", false)),
            (&["--webhook"], default()),
            (
                &["--job-namespaces", "a,b"],
                default().with("spark.jobNamespaces", vec!["a", "b"]),
            ),
            (
                &["--job-namespaces", ""],
                default().with("spark.jobNamespaces", vec![""]),
            ),
            (
                &["--policy-pack", "limits", "--strict"],
                default().with("policies.packs", vec!["limits"]).with("strict", true),
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(options(line), expected, "{line:?}");
        }
        assert_eq!(options(&["--image", "r/s:1"]).image(), "r/s:1");
        let named = options(&["--name", "mine"]);
        assert_eq!((named.prefix(), named.name), ("mine".to_owned(), "mine".to_owned()));
    }
}
