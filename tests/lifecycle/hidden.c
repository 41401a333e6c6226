/* A process that may not be looked at, by prctl or because its ids changed, is answered like any other. */
#include "guest.h"

int main(int argc, char **argv)
{
    must(argc == 2);
    struct stat st;
    must(prctl(PR_SET_DUMPABLE, 0) == 0);
    gid_t groups[3] = {9, 8, 7}, got[3];
    must(setgroups(3, groups) == 0);
    say("groups %d", getgroups(3, got));
    say(" %d %d %d\n", got[0], got[1], got[2]);
    must(chown(argv[1], 11, 12) == 0);
    must(stat(argv[1], &st) == 0);
    say("owner %d %d\n", st.st_uid, st.st_gid);
    must(setresgid(1, 2, 3) == 0 && setresuid(4, 5, 6) == 0);
    say_ids("hidden");
    say("dumpable %d\n", prctl(PR_GET_DUMPABLE));
    pid_t child = fork();
    if (child == 0) {
        say_ids("child");
        _exit(1);
    }
    say_end("child", child);
    return 0;
}
