/* A sandbox that kills for every call but a few: what remainroot does to answer them must not be among the
 * others. */
#include "guest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

static void allow_only(const int *numbers, int count)
{
    struct sock_filter code[64];
    int at = 0;
    code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < count; i++) {
        code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1);
        code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {at, code};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void ids(void)
{
    const int numbers[] = {SYS_setresuid, SYS_getresuid, SYS_setresgid, SYS_getresgid, SYS_setgroups,
                           SYS_getgroups, SYS_write, SYS_exit_group, SYS_clone, SYS_wait4, SYS_set_robust_list,
                           SYS_gettid, SYS_rseq};
    gid_t groups[2] = {3, 4};
    allow_only(numbers, sizeof numbers / sizeof *numbers);
    must(syscall(SYS_setgroups, 2, groups) == 0);
    must(syscall(SYS_setresgid, 6, 6, 6) == 0 && syscall(SYS_setresuid, 5, 5, 5) == 0);
    say_ids("sandboxed");
    say("groups: %ld\n", syscall(SYS_getgroups, 0, NULL));
    pid_t child = fork();
    if (child == 0) {
        say_ids("child");
        _exit(2);
    }
    say_end("child", child);
    syscall(SYS_getppid);
    say("not reached\n");
}

static void say_owner(const char *who, int result, const struct stat *st)
{
    say("%s: %d, %d:%d %o\n", who, result, st->st_uid, st->st_gid, st->st_mode);
}

static void files(const char *path)
{
    const int numbers[] = {SYS_chown, SYS_chmod, SYS_newfstatat, SYS_stat, SYS_write, SYS_exit_group, SYS_mkdir};
    struct stat st = {0};
    int before = open(path, O_RDONLY);
    allow_only(numbers, sizeof numbers / sizeof *numbers);
    int result = syscall(SYS_newfstatat, AT_FDCWD, path, &st, 0);
    say_owner("stat of what was there", result, &st);
    result = syscall(SYS_stat, path, &st);
    say_owner("the old call", result, &st);
    result = syscall(SYS_newfstatat, before, "", &st, AT_EMPTY_PATH);
    say_owner("its descriptor", result, &st);
    syscall(SYS_getppid);
    say("not reached\n");
}

int main(int argc, char **argv)
{
    must(argc == 2);
    must(chown(argv[1], 11, 12) == 0);
    pid_t child = fork();
    if (child == 0) {
        ids();
        _exit(1);
    }
    say_end("ids", child);
    child = fork();
    if (child == 0) {
        files(argv[1]);
        _exit(1);
    }
    say_end("files", child);
    return 0;
}
