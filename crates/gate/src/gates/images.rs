//! Whether the images of applications have what a policy of images asks: signatures, attestations, predicates.

use stoke_diagnostics::{Diagnostic, Severity};
use stoke_model::manifest::{Document, join};

use super::{Looked, unsound};
use crate::Settings;
use crate::job::Job;
use crate::runs::images::{Answer, ImageAnswer};

/// Where an application names images, below its spec.
const PLACES: [&str; 3] = ["image", "driver.image", "executor.image"];
/// The same in Spark's configuration.
const CONF: [&str; 3] = [
    "spark.kubernetes.container.image",
    "spark.kubernetes.driver.container.image",
    "spark.kubernetes.executor.container.image",
];

pub(super) fn look(job: &Job, settings: &Settings) -> Looked {
    let Some(asked) = &settings.runs.images else {
        return Looked::default();
    };
    let mut findings = unsound(job, settings);
    findings.extend(asked.iter().filter_map(|asked| judge(job, asked)));
    Looked::at(asked.len(), "image", findings)
}

fn judge(job: &Job, asked: &ImageAnswer) -> Option<Diagnostic> {
    let file = job.files.iter().find(|file| file.name == asked.file)?;
    let document = file.documents().get(asked.document)?;
    let (code, message, cannot_tell, fix) = match &asked.said {
        Answer::Admitted => return None,
        Answer::Refused(why) => (
            "image-denied",
            format!("image {} is refused by the image policy: {why}", asked.image),
            false,
            "sign or attest it as the message says (`stoke sign`, `stoke attest`), or name another image",
        ),
        Answer::Unknown(why) => (
            "image-unknown",
            format!("image {} cannot be verified: {why}", asked.image),
            true,
            "do what the message says, then check again",
        ),
    };
    let path = place(document, &asked.image).unwrap_or_else(|| "metadata.name".to_owned());
    let place = document.node.place_of(&path);
    let mut finding = Diagnostic::at(Severity::Error, code, &document.source, place, &path, message).with_fix(fix);
    finding.cannot_tell = cannot_tell;
    Some(finding)
}

/// The path at which a document names an image; none where it stands deeper, in a template or a sidecar.
fn place(document: &Document, image: &str) -> Option<String> {
    let spec = document.spec_path();
    let own = PLACES.map(|place| format!("{spec}.{place}"));
    let conf = CONF.map(|key| join(&format!("{spec}.sparkConf"), key));
    own.into_iter().chain(conf).find(|path| {
        let node = document.node.lookup(path);
        node.is_some_and(|node| node.to_value().as_str() == Some(image))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::of_bytes;
    use crate::runs::Runs;

    #[test]
    fn what_was_said_stands_at_the_image() {
        let text = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a}\nspec:\n  type: Python\n  sparkVersion: 4.1.4\n  image: r/etl:1\n  mainApplicationFile: local:///a.py\n  driver: {image: r/driver:1}\n  executor: {}\n";
        let job = Job {
            files: vec![of_bytes("app.yaml", text.as_bytes())],
            ..Job::default()
        };
        let asked = |image: &str, said: Answer| ImageAnswer {
            file: "app.yaml".to_owned(),
            document: 0,
            image: image.to_owned(),
            said,
        };
        let look = |images| {
            let settings = Settings {
                runs: Runs {
                    images,
                    ..Runs::default()
                },
                ..Settings::default()
            };
            super::look(&job, &settings)
        };
        assert_eq!(look(None).count, 0);
        let looked = look(Some(vec![
            asked("r/etl:1", Answer::Admitted),
            asked("r/driver:1", Answer::Refused("no signature".into())),
            asked("r/side:1", Answer::Unknown("registry down".into())),
        ]));
        let found: Vec<_> = looked
            .findings
            .iter()
            .map(|found| (found.code.to_string(), found.line, found.cannot_tell))
            .collect();
        assert_eq!(looked.count, 3);
        assert_eq!(
            found,
            [
                ("image-denied".to_owned(), 9, false),
                ("image-unknown".to_owned(), 3, true)
            ]
        );
    }
}
