//! Trees of files.

use stoke_platform::render::Scope;
use stoke_platform::render::tree::{Form, Repository, files};

use crate::{FULL, environments, right};

#[test]
fn trees_have_what_their_reader_follows() {
    let file = right(FULL);
    let resolved = environments(&file);
    let scopes: Vec<Scope<'_>> = resolved.iter().map(|resolved| resolved.scope()).collect();
    let repository = Repository {
        url: "https://git.example.com/platform.git".into(),
        branch: "main".into(),
        path: "team/".into(),
    };
    for (form, of_environment, more) in [
        (Form::Plain, "environments/prod/component-lake.yaml", None),
        (Form::Kustomize, "environments/prod/kustomization.yaml", None),
        (
            Form::ArgoCd,
            "environments/prod/kustomization.yaml",
            Some(("argocd/prod.yaml", "path: team/environments/prod")),
        ),
        (
            Form::Flux,
            "environments/prod/kustomization.yaml",
            Some(("flux/prod.yaml", "path: ./team/environments/prod")),
        ),
    ] {
        let tree = files(form, &scopes, Some(&repository)).unwrap();
        assert!(tree.contains_key(of_environment), "{form:?}: {:?}", tree.keys());
        assert!(
            !tree.contains_key("environments/prod/component-lab-cloud.yaml"),
            "left out in prod"
        );
        if let Some((path, part)) = more {
            assert!(tree[path].contains(part), "{}", tree[path]);
            assert!(files(form, &scopes, None).is_err());
        }
        let waves = tree["environments/default/component-notebooks.yaml"].contains("argocd.argoproj.io/sync-wave: \"");
        assert_eq!(waves, form == Form::ArgoCd);
    }
}
