/* Pid 1, or a subreaper, has the children it made and the orphans they left, and nobody else. Pid 1 asks
 * for children that signal their end: the tracer lives in its namespace and signals none. */
#include "guest.h"

int main(void)
{
    int kinds = getpid() == 1 ? 0 : __WALL;
    int result = waitpid(-1, NULL, WNOHANG | kinds);
    say("at the start: %d %s\n", result, strerror(errno));
    if (getpid() != 1)
        must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t child = fork();
    if (child == 0) {
        pid_t orphan = fork();
        if (orphan == 0) {
            pause_ms(50);
            syscall(SYS_setresuid, 5, 5, 5);
            say("orphan of pid %d\n", getppid() == 1);
            _exit(8);
        }
        _exit(7);
    }
    int status, sum = 0, count = 0;
    while (waitpid(-1, &status, kinds) > 0) {
        sum += WEXITSTATUS(status);
        count++;
    }
    say("%d ended with %d: %s\n", count, sum, strerror(errno));
    return 5;
}
