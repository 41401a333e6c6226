/* Filters of the guest's own: they refuse and kill as they would natively, they may forbid seccomp(2)
 * itself, and who may load one is decided by what the program believes to be. */
#include "guest.h"
#include "filter.h"

static void said(const char *what, long result)
{
    say("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void *other_thread(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

int main(void)
{
    said("mode", prctl(PR_GET_SECCOMP));
    said("as root", load(SYS_getpgid, SECCOMP_RET_ERRNO | 77, 0));
    said("refused", syscall(SYS_getpgid, 0));
    said("mode", prctl(PR_GET_SECCOMP));
    pthread_t t;
    must(pthread_create(&t, NULL, other_thread, NULL) == 0);
    said("for all threads", load(SYS_getuid, SECCOMP_RET_ERRNO | 78, SECCOMP_FILTER_FLAG_TSYNC));
    said("getuid", syscall(SYS_getuid));
    said("geteuid", syscall(SYS_geteuid));
    must(syscall(SYS_setresgid, 6, 6, 6) == 0);
    must(syscall(SYS_setresuid, 5, 5, 5) == 0);
    said("geteuid", syscall(SYS_geteuid));
    said("getuid", syscall(SYS_getuid));
    said("unprivileged", load(SYS_getpgid, SECCOMP_RET_ERRNO | 79, 0));
    said("unknown flag", load(SYS_getpgid, SECCOMP_RET_ERRNO | 79, 1u << 30));
    said("no program", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    said("without new privileges", load(SYS_seccomp, SECCOMP_RET_ERRNO | 80, 0));
    said("forbidden", load(SYS_getpgid, SECCOMP_RET_ERRNO | 79, 0));
    struct stat st;
    said("stat", stat("/", &st));
    pid_t child = fork();
    if (child == 0) {
        say_ids("child");
        said("kill", load(SYS_getsid, SECCOMP_RET_KILL_PROCESS, 0));
        _exit(3);
    }
    say_end("child", child);
    child = fork();
    if (child == 0) {
        struct sock_filter kill_ids[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getresuid, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {4, kill_ids};
        said("prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
        say_ids("killed here");
        _exit(4);
    }
    say_end("killed child", child);
    return 0;
}
