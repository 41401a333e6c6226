//! Programs that were run often before are answered inside from their first instruction on. Whoever runs them then is
//! somebody of his own: a user who has dropped, or root without some capability.

mod common;

use common::{How, Run, Scratch};

#[test]
fn who_runs_what_was_run_often_is_who_it_is() {
    if !common::needs_root()
        || !common::has(&["bash", "setpriv"])
        || !common::needs_privilege("a root of its own")
    {
        return;
    }
    let said = |how, option: &str, own_root: bool| {
        let (place, root) = (Scratch::new("often"), Scratch::new("often-root"));
        let run = Run::new(how, ["bash", "-c", include_str!("often/work.sh")])
            .directory(place.path())
            .option(option);
        let run = if own_root { run.own_root(root.path()) } else { run };
        run.seconds(60).output().success()
    };
    let native = said(How::Native, "", false);
    assert!(native.contains("user8/moved 42:43 640"), "{native}");
    assert!(native.contains("Operation not permitted"), "{native}");
    for store in ["--store=xattr", "--store=auto", "--store=memory"] {
        for how in [How::Remainroot, How::Attached] {
            for own_root in [false, true] {
                let ours = said(how, store, own_root);
                let differs = native.lines().zip(ours.lines()).find(|(native, ours)| native != ours);
                assert_eq!(differs, None, "{store} {how:?} {own_root}");
                assert_eq!(native.lines().count(), ours.lines().count(), "{store} {how:?} {own_root}");
            }
        }
    }
}
