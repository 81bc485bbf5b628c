//! Asks a policy of images about those that a job's applications name, as the operator does.

use std::path::Path;

use kube::core::ObjectMeta;
use stoke_gate::Job;
use stoke_gate::runs::images::{Answer, ImageAnswer};
use stoke_laptop::image_policy::FilePolicy;
use stoke_model::crd::SparkApplication;
use stoke_operator::images::{Verified, Verifier, images};

use crate::failure::Outcome;
use crate::terminal::Terminal;

/// Asks about every image, each once for a document. A document that cannot be read as an application is what other gates complain of.
pub async fn run(job: &Job, file: &Path, terminal: &mut Terminal) -> Outcome<Vec<ImageAnswer>> {
    let policy = FilePolicy::open(file)?;
    let mut all = Vec::new();
    for file in &job.files {
        for (number, document) in file
            .documents()
            .iter()
            .enumerate()
            .filter(|(_, document)| document.is_ours())
        {
            let spec = document.node.lookup(document.spec_path()).map(|node| node.to_value());
            let Some(spec) = spec.and_then(|spec| serde_json::from_value(spec).ok()) else {
                continue;
            };
            let application = SparkApplication {
                metadata: ObjectMeta::default(),
                spec,
                status: None,
            };
            let asked = |image: String, said| ImageAnswer {
                file: file.name.clone(),
                document: number,
                image,
                said,
            };
            match images(&application, None) {
                Ok(names) => {
                    for image in names {
                        terminal.status(format!("verifying {image}"));
                        let said = match policy.verify(image.clone()).await {
                            Verified::Admitted(_) => Answer::Admitted,
                            Verified::Refused(why) => Answer::Refused(why),
                            Verified::Unknown(why) => Answer::Unknown(why),
                        };
                        all.push(asked(image, said));
                    }
                }
                Err(why) => all.push(asked("of a pod template".to_owned(), Answer::Refused(why))),
            }
        }
    }
    terminal.end_status();
    Ok(all)
}
