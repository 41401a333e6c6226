/* A process with one filter of its own, which kills it for whatever it does not need: it makes the file `up` and waits for
 * the file `go`. */
#include "../lifecycle/guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#define ALLOWED(number) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

int main(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOWED(SYS_access),
        ALLOWED(SYS_faccessat),
        ALLOWED(SYS_clock_nanosleep),
        ALLOWED(SYS_nanosleep),
        ALLOWED(SYS_restart_syscall),
        ALLOWED(SYS_munmap),
        ALLOWED(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    must(close(creat("up", 0644)) == 0);
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
    while (access("go", F_OK) != 0)
        pause_ms(1);
    _exit(7);
}
