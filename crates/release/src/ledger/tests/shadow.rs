//! Proof by data as a condition of a promotion.

use stoke_diagnostics::Source;

use super::super::*;
use super::{Chain, World, at, digest};
use crate::environment;

fn world(shadow: &str) -> World {
    let text =
        format!("environments:\n- name: prod\n  namespace: prod\n  cluster: {{context: ''}}\n  shadow: {shadow}\n");
    let environments = environment::read(&Source::new("environments.yaml", &text), &|_| Err("none".into())).unwrap();
    World {
        environments,
        keys: Vec::new(),
    }
}

/// Release 1 is in production, release 2 wants to replace it, release 3 is another one.
fn chain(world: &World) -> Chain {
    let mut chain = Chain::default();
    for number in 1..=3 {
        chain.created(&digest(number), at(0));
    }
    // Where nothing is, there is nothing to compare with.
    chain.promote(world, &digest(1), "prod", at(1)).unwrap();
    chain
}

#[test]
fn a_shadow_run_is_asked_for_and_must_be_of_this_release_against_what_is_there() {
    let (one, two, three) = (digest(1), digest(2), digest(3));
    let day = 86_400;
    type Before<'a> = &'a dyn Fn(&mut Chain);
    let table: [(&str, &str, Before<'_>, i64, Option<&str>); 10] = [
        ("none", "{maxAge: 24h}", &|_| {}, 10, Some("and there is none")),
        (
            "of another release",
            "{maxAge: 24h}",
            &|chain| chain.compared(&three, &one, Verdict::Pass, at(5)),
            10,
            Some("which says nothing of it"),
        ),
        (
            "good",
            "{maxAge: 24h}",
            &|chain| chain.compared(&two, &one, Verdict::Pass, at(5)),
            5 + day,
            None,
        ),
        (
            "too old",
            "{maxAge: 24h}",
            &|chain| chain.compared(&two, &one, Verdict::Pass, at(5)),
            6 + day,
            Some("and prod takes 24 h at most"),
        ),
        (
            "of any age",
            "{against: current}",
            &|chain| chain.compared(&two, &one, Verdict::Pass, at(5)),
            400 * day,
            None,
        ),
        (
            "against another release than what is there",
            "{maxAge: 24h}",
            &|chain| chain.compared(&two, &three, Verdict::Pass, at(5)),
            10,
            Some("is in prod now"),
        ),
        (
            "against any",
            "{against: any}",
            &|chain| chain.compared(&two, &three, Verdict::Pass, at(5)),
            10,
            None,
        ),
        (
            "worse",
            "{}",
            &|chain| {
                chain.compared(&two, &one, Verdict::Pass, at(5));
                chain.compared(&two, &one, Verdict::Fail, at(6));
            },
            10,
            Some("says that it is worse"),
        ),
        (
            "repaired",
            "{}",
            &|chain| {
                chain.compared(&two, &one, Verdict::Fail, at(5));
                chain.compared(&two, &one, Verdict::Pass, at(6));
            },
            10,
            None,
        ),
        (
            "by hand",
            "{}",
            &|chain| chain.judged(&two, "shadow", Verdict::Pass, at(5)),
            10,
            Some("does not say what it was compared with"),
        ),
    ];
    for (name, rules, before, now, refused) in table {
        let world = world(rules);
        let mut chain = chain(&world);
        before(&mut chain);
        let plan = promote(
            &chain.history(),
            &world.environments,
            &two,
            "prod",
            at(now),
            &Facts::default(),
        );
        match (plan, refused) {
            (Ok(_), None) => {}
            (Err(reasons), Some(part)) => {
                assert_eq!(reasons.len(), 1, "{name}: {reasons:#?}");
                assert_eq!(reasons[0].code, "release-shadow", "{name}");
                assert!(reasons[0].message.contains(part), "{name}: {}", reasons[0].message);
                assert!(reasons[0].message.contains(&two.to_string()), "{name}");
                assert_eq!(reasons[0].cannot_tell, name != "worse", "{name}");
            }
            (plan, _) => panic!("{name}: {plan:#?}"),
        }
        assert!(check_chain(&chain.texts(), None).is_ok(), "{name}");
    }
}

#[test]
fn it_is_asked_again_when_another_release_is_there_meanwhile() {
    let world = world("{}");
    let mut chain = chain(&world);
    chain.compared(&digest(2), &digest(1), Verdict::Pass, at(5));
    chain.compared(&digest(3), &digest(1), Verdict::Pass, at(6));
    chain.promote(&world, &digest(2), "prod", at(10)).unwrap();
    assert_eq!(
        chain.promote(&world, &digest(3), "prod", at(11)).unwrap_err(),
        ["release-shadow"]
    );
    chain.compared(&digest(3), &digest(2), Verdict::Pass, at(12));
    chain.promote(&world, &digest(3), "prod", at(13)).unwrap();
    // The way back asks for nothing.
    rollback(&chain.history(), &world.environments, "prod", at(14)).unwrap();
}

#[test]
fn an_ab_is_asked_for_like_a_shadow_run_and_neither_stands_in_for_the_other() {
    let text =
        "environments:\n- name: prod\n  namespace: prod\n  cluster: {context: ''}\n  shadow: {}\n  ab: {maxAge: 24h}\n";
    let environments = environment::read(&Source::new("environments.yaml", text), &|_| Err("none".into())).unwrap();
    let world = World {
        environments,
        keys: Vec::new(),
    };
    let mut chain = chain(&world);
    let (one, two, three) = (digest(1), digest(2), digest(3));
    let refused = |chain: &mut Chain, now: i64| chain.promote(&world, &two, "prod", at(now)).unwrap_err();
    assert_eq!(refused(&mut chain, 4), ["release-shadow", "release-ab"]);
    chain.compared(&two, &one, Verdict::Pass, at(5));
    assert_eq!(refused(&mut chain, 6), ["release-ab"]);
    chain.compared_by("ab", &three, &one, Verdict::Pass, at(7));
    assert_eq!(refused(&mut chain, 8), ["release-ab"]);
    chain.compared_by("ab", &two, &three, Verdict::Pass, at(9));
    assert_eq!(refused(&mut chain, 10), ["release-ab"]);
    chain.compared_by("ab", &two, &one, Verdict::Fail, at(11));
    assert_eq!(refused(&mut chain, 12), ["release-ab"]);
    chain.compared_by("ab", &two, &one, Verdict::Pass, at(13));
    assert_eq!(refused(&mut chain, 14 + 86_400), ["release-ab"]);
    chain.promote(&world, &two, "prod", at(14)).unwrap();
}
