/* sieve kill|mute CALL COMMAND...: runs it beneath a filter by which whoever makes the call is killed, or waits for a listener
 * that never answers. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
    {"ptrace", SYS_ptrace}, {"statx", SYS_statx}, {"unshare", SYS_unshare}, {"getcpu", SYS_getcpu},
};

int main(int count, char **words) {
    unsigned number = -1;
    for (unsigned at = 0; count > 3 && at < sizeof calls / sizeof *calls; at++)
        if (!strcmp(words[2], calls[at].name)) number = calls[at].number;
    if (number == -1u) return fprintf(stderr, "sieve: no such call\n"), 125;
    int mute = !strcmp(words[1], "mute");
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, mute ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return perror("sieve"), 125;
    int flags = mute ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (listener < 0) return perror("sieve"), 125;
    if (mute) {
        /* The listener is open as long as the command runs. */
        pid_t child = fork();
        int status = 125 << 8;
        if (child < 0) return perror("sieve"), 125;
        if (child > 0) return waitpid(child, &status, 0), WIFEXITED(status) ? WEXITSTATUS(status) : 126;
        close(listener);
    }
    execvp(words[3], words + 3);
    return perror(words[3]), 127;
}
