use super::*;

fn pipelines() -> [Pipeline; 2] {
    [None, Some("registry.example.com/team/etl:main")].map(|image| Pipeline::new(image).unwrap())
}

#[test]
fn every_file_has_every_command() {
    for pipeline in pipelines() {
        for system in System::ALL {
            let file = system.file(&pipeline).unwrap();
            // YAML may go on with a long text in the next line.
            let file = file.split_whitespace().collect::<Vec<_>>().join(" ");
            for line in pipeline.steps().iter().flat_map(|step| step.lines.clone()) {
                // As the file writes a text.
                let written = [line.clone(), line.replace('"', "\\\""), line.replace('\'', "\\'")];
                assert!(
                    written.iter().any(|line| file.contains(line)),
                    "{line} is not in {file}"
                );
            }
            assert_eq!(file.contains("stoke image build"), pipeline.image.is_some(), "{file}");
        }
    }
}

#[test]
fn an_image_is_built_before_its_release() {
    let [without, with] = pipelines();
    let names = |pipeline: &Pipeline| pipeline.steps().iter().map(|step| step.name).collect::<Vec<_>>();
    assert_eq!(names(&without), ["check", "test", "release", "promote"]);
    assert_eq!(
        names(&with),
        ["check", "test", "build", "scan", "sign", "release", "promote"]
    );
    // Nothing is pushed, signed or released off the default branch.
    assert!(with.steps().iter().skip(2).all(|step| step.releases));
}

#[test]
fn names_of_images_are_nothing_else() {
    for name in ["", "-x", "a b", "a;b", "a$(b)", "a'b", "{{x}}", "a\nb", "a`b`"] {
        let why = Pipeline::new(Some(name)).unwrap_err();
        assert!(why.contains("is not the name of an image"), "{why}");
    }
    for name in ["etl", "r.io:5000/a/b_c-d:1.0", "oci:/tmp/x:v1"] {
        assert!(Pipeline::new(Some(name)).is_ok(), "{name}");
    }
}
