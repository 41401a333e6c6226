/* refuse ERRNO CALL [REQUEST] COMMAND...: a seccomp filter answers a system call so, or one first argument of it. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)

static const struct {
    const char *name;
    unsigned number;
} calls[] = {
    {"ptrace", SYS_ptrace},           {"seccomp", SYS_seccomp},       {"statx", SYS_statx},
    {"pidfd_getfd", SYS_pidfd_getfd}, {"pidfd_open", SYS_pidfd_open}, {"prctl", SYS_prctl},
};

int main(int count, char **words) {
    unsigned number = -1, answer = count > 4 ? atoi(words[1]) : 0, request = count > 4 ? strtoul(words[3], NULL, 0) : 0;
    for (unsigned at = 0; count > 4 && at < sizeof calls / sizeof *calls; at++)
        if (!strcmp(words[2], calls[at].name)) number = calls[at].number;
    if (number == -1u) return fprintf(stderr, "refuse: no such call\n"), 125;
    struct sock_filter filter[] = {
        LOAD(nr),          UNLESS(number, 4), BPF_JUMP(BPF_JMP | BPF_JA, request ? 0 : 2, 0, 0),
        LOAD(args[0]),     UNLESS(request, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return perror("refuse"), 125;
    execvp(words[4], words + 4);
    return perror(words[4]), 127;
}
