//! What it takes to have many processes that do nothing.

use crate::session::{Clock, Place, Session, Step, Unit, step};

/// Starts the side with 200 sleepers and adds up what they and its helpers hold: all that carry this run's mark and are
/// neither sleepers nor shells. Prints KiB for each of them: what the helpers hold, and with the sleepers.
const MEASURE: &str = r#"
    "$@" sh -c 'i=0; while [ $i -lt 200 ]; do sleep 300 & i=$((i + 1)); done; : >ready; wait' &
    until [ -e ready ]; do sleep 0.1; done
    sleep 1
    perl -e '
        local $/;
        for (glob "/proc/[0-9]*") {
            next unless open(E, "$_/environ") && <E> =~ /REMAINROOT_TEST_RUN=\Q$ENV{REMAINROOT_TEST_RUN}\E\0/;
            my $name = open(C, "$_/comm") ? <C> : "";
            next if $name =~ /^(sh|perl|unshare)$/m || !open(M, "$_/smaps_rollup");
            my $held = <M> =~ /^Pss: +(\d+)/m ? $1 : 0;
            if ($name eq "sleep\n") { $sleepers += $held; $count++; kill "KILL", m/(\d+)/ } else { $helpers += $held }
        }
        die "$count sleepers\n" if $count != 200;
        printf "%.1f\n", $helpers / 200;
        open(O, ">", "all"); printf O "%.1f\n", ($helpers + $sleepers) / 200;
    ' || exit
    wait"#;

/// All of them.
pub fn sessions() -> Vec<Session> {
    let held =
        |title, command: &str| Step { clock: Clock::Own, unit: Unit::Memory, ..step(title, 1, command) };
    let steps = vec![
        held("memory of the side's own processes, for each of 200 that sleep", MEASURE),
        held("the same, with what the sleeping processes hold", "cat all"),
    ];
    vec![Session { place: Place::Outside, ..Session::new("memory", "memory", steps) }]
}
