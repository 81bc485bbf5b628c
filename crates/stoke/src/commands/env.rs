//! `stoke env`: what a shell needs to use the embedded cluster and its object store.

use std::collections::BTreeMap;

use stoke_laptop::object_store;
use stoke_objectstore::Credentials;

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Prints `export` lines for `eval "$(stoke env)"`, or a JSON object.
pub async fn run(context: &mut Context) -> Outcome<u8> {
    let cluster = context.home.default_cluster();
    let Some(endpoint) = object_store::endpoint(&cluster).await else {
        return Err(
            Failure::environment("stoke::cluster::not-running", "the embedded cluster is not running")
                .fix("start it with `stoke up --detach`"),
        );
    };
    let credentials = Credentials::load(&object_store::directory(&context.home).join("credentials"))?;
    let access = object_store::access(&endpoint, stoke_objectstore::REGION, &credentials);
    let variables = access
        .variables()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut variables: BTreeMap<String, String> = variables.collect();
    let kubeconfig = cluster.join("kubeconfig").display().to_string();
    variables.insert("KUBECONFIG".into(), kubeconfig);
    match context.terminal.format() {
        Format::Json => context.terminal.json(&variables),
        Format::Text => {
            for (name, value) in variables {
                context.terminal.out(format!("export {name}={}", quoted(&value)));
            }
        }
    }
    Ok(0)
}

/// A value as a shell reads it back.
fn quoted(value: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=@".contains(letter);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_string();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for value in ["http://127.64.0.1:9000", "", "a b", "it's", "$(x)`y`\"z\"\n"] {
            let script = format!("printf %s {}", quoted(value));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), value);
        }
    }
}
