//! Charts of Helm among the files of a job: their templates are judged by what they become, their values are not manifests.

use std::path::{Path, PathBuf};

use super::what::is_object;
use super::{File, Job, Kind, of_bytes};

impl Job {
    /// Directories of charts of Helm that are none of another chart's, by their cards.
    #[must_use]
    pub fn charts(&self) -> Vec<PathBuf> {
        let all: Vec<&Path> = directories(&self.files).collect();
        let within = |directory: &Path| {
            let above = |other: &&&Path| **other != directory && directory.starts_with(other.join("charts"));
            all.iter().any(|other| above(&other))
        };
        all.iter()
            .filter(|directory| !within(directory))
            .map(|directory| directory.to_path_buf())
            .collect()
    }

    /// Takes what a chart's templates become in place of them, or says why they could not be rendered.
    pub fn rendered(&mut self, chart: &Path, result: Result<&[u8], &str>) {
        let templates = |file: &&mut File| {
            let of_chart = file.path.strip_prefix(chart).unwrap_or(Path::new(""));
            of_chart.components().any(|part| part.as_os_str() == "templates")
        };
        let mut own = self.files.iter_mut().filter(templates);
        match result {
            Ok(bytes) => {
                own.filter(|file| matches!(file.kind, Kind::Template | Kind::Manifest { .. }))
                    .for_each(|file| file.kind = Kind::Text);
                let path = chart.join("templates.rendered.yaml");
                let mut file = of_bytes(&path.display().to_string(), bytes);
                file.path = path;
                self.files.push(file);
                self.files.sort_by(|one, other| one.name.cmp(&other.name));
            }
            Err(why) => {
                if let Some(file) = own.find(|file| matches!(file.kind, Kind::Template)) {
                    let message = format!("`helm template` does not render this chart: {why}");
                    let fix = "give the values it needs with --helm-values";
                    file.was_not_read("manifest-template", message, fix);
                }
            }
        }
    }
}

/// The directories with a card of a chart.
fn directories(files: &[File]) -> impl Iterator<Item = &Path> {
    let card = |file: &&File| file.path.ends_with("Chart.yaml") && matches!(file.kind, Kind::Text);
    files.iter().filter(card).filter_map(|file| file.path.parent())
}

/// Values of a chart may have a key `kind` or `spec`; they are still no manifests.
pub(super) fn leave_values(files: &mut [File]) {
    let charts: Vec<PathBuf> = directories(files).map(Path::to_path_buf).collect();
    for file in files {
        let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let of_chart = file
            .path
            .parent()
            .is_some_and(|parent| charts.iter().any(|chart| chart == parent));
        if of_chart
            && name.starts_with("values")
            && !file.documents().iter().any(is_object)
            && matches!(file.kind, Kind::Manifest { .. })
        {
            file.kind = Kind::Text;
        }
    }
}
