//! Flags for policies that the operator asks, of `stoke operator run` and `stoke up`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use stoke_laptop::image_policy::FilePolicy;
use stoke_operator::{ImagePolicy, Policies};
use stoke_policy::{PolicyFile, files, pack};

use crate::failure::{Failure, Outcome};

/// Policies that are there from the start.
#[derive(clap::Args, Clone, Default)]
pub struct Rules {
    /// Ask the policies in this directory before anything is submitted: Rego, data, Gatekeeper templates and constraints
    #[arg(long, value_name = "DIR")]
    pub policies: Vec<PathBuf>,
    /// Ask policies of the starter pack, comma-separated; `stoke policy list` names them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = PossibleValuesParser::new(pack::names()))]
    pub policy_pack: Vec<String>,
    /// Make pods only of images that have what this file asks, as `stoke verify --policy` reads it, and name them by digest
    #[arg(long, value_name = "FILE")]
    pub image_policy: Option<PathBuf>,
}

impl Rules {
    /// True when none are named.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.policy_pack.is_empty() && self.image_policy.is_none()
    }

    /// Who verifies images.
    pub fn images(&self) -> Outcome<ImagePolicy> {
        match self.image_policy.as_ref().filter(|file| !file.as_os_str().is_empty()) {
            Some(file) => Ok(ImagePolicy::of(Arc::new(FilePolicy::open(file)?))),
            None => Ok(ImagePolicy::default()),
        }
    }

    /// The policies, with those in ConfigMaps of a namespace.
    pub fn load(&self, namespace: Option<&str>) -> Outcome<Policies> {
        let named: Vec<&str> = self.policy_pack.iter().map(String::as_str).collect();
        let mut all: Vec<PolicyFile> = match named.is_empty() {
            true => Vec::new(),
            false => pack::policies(&named),
        };
        for directory in &self.policies {
            let read = files::read(directory).map_err(|(path, error)| {
                Failure::input("stoke::operator::policies", format!("{}: {error}", path.display()))
                    .fix("name a directory with policies that can be read")
            })?;
            if read.is_empty() {
                let message = format!("{}: there is no policy in it", directory.display());
                return Err(Failure::input("stoke::operator::policies", message)
                    .fix("`stoke policy init` writes some to start with"));
            }
            all.extend(read);
        }
        let namespace = namespace.filter(|name| !name.is_empty()).map(str::to_owned);
        Policies::new(all, namespace).map_err(|problems| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::input("stoke::operator::policies", texts.join("\n"))
                .fix("`stoke policy test DIR` shows what is wrong with policies")
        })
    }
}
