/* What the guest programs share: they print facts, which must be the same natively and under remainroot. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* A line on stdout in one write, so that lines of several processes never mix. */
#define say(...) dprintf(1, __VA_ARGS__)

/* Fails loudly: the two runs would differ. */
#define must(condition) \
    do { \
        if (!(condition)) { \
            say("line %d: %s: %s\n", __LINE__, #condition, strerror(errno)); \
            _exit(99); \
        } \
    } while (0)

/* The ids of the calling thread, from the kernel and not from the library. */
static inline void say_ids(const char *who)
{
    uid_t u[3];
    gid_t g[3];
    syscall(SYS_getresuid, &u[0], &u[1], &u[2]);
    syscall(SYS_getresgid, &g[0], &g[1], &g[2]);
    say("%s: uid %d %d %d gid %d %d %d\n", who, u[0], u[1], u[2], g[0], g[1], g[2]);
}

/* Waits for a child and says what became of it. */
static inline int say_end(const char *who, pid_t child)
{
    int status = 0;
    pid_t got = waitpid(child, &status, __WALL);
    if (got != child)
        say("%s: waitpid %s\n", who, strerror(errno));
    else if (WIFEXITED(status))
        say("%s: exit %d\n", who, WEXITSTATUS(status));
    else
        say("%s: signal %d\n", who, WTERMSIG(status));
    return status;
}

static inline void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) == -1 && errno == EINTR) {
    }
}
