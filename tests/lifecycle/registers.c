/* A syscall changes the result register and nothing else a program may use: library fallbacks call again
 * with the registers they have. */
#include "guest.h"

#ifdef __x86_64__
struct registers {
    uint64_t ax, bx, cx, dx, si, di, bp, r8, r9, r10, r11, r12, r13, r14, r15;
};

/* Loads every register, makes the call, stores every register. */
void call(struct registers *registers, uint64_t *after);
__asm__("call:\n"
        "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdi\n"
        "lea 1f(%rip), %rax; mov %rax, (%rsi)\n"
        "mov 0(%rdi), %rax; mov 8(%rdi), %rbx; mov 16(%rdi), %rcx; mov 24(%rdi), %rdx; mov 32(%rdi), %rsi\n"
        "mov 48(%rdi), %rbp; mov 56(%rdi), %r8; mov 64(%rdi), %r9; mov 72(%rdi), %r10; mov 80(%rdi), %r11\n"
        "mov 88(%rdi), %r12; mov 96(%rdi), %r13; mov 104(%rdi), %r14; mov 112(%rdi), %r15\n"
        "mov 40(%rdi), %rdi\n"
        "syscall\n"
        "1: push %rdi; mov 8(%rsp), %rdi\n"
        "mov %rax, 0(%rdi); mov %rbx, 8(%rdi); mov %rcx, 16(%rdi); mov %rdx, 24(%rdi); mov %rsi, 32(%rdi)\n"
        "mov %rbp, 48(%rdi); mov %r8, 56(%rdi); mov %r9, 64(%rdi); mov %r10, 72(%rdi); mov %r11, 80(%rdi)\n"
        "mov %r12, 88(%rdi); mov %r13, 96(%rdi); mov %r14, 104(%rdi); mov %r15, 112(%rdi)\n"
        "pop %rax; mov %rax, 40(%rdi)\n"
        "pop %rdi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n");

static void check(const char *name, long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t next;
    struct registers before = {number, 2, 3, c, b, a, 7, 0xabc8, 0xabc9, d, 11, 12, 13, 14, 15}, after = before;
    call(&after, &next);
    const char *names[] = {"ax", "bx", "cx", "dx", "si", "di", "bp", "r8",
                           "r9", "r10", "r11", "r12", "r13", "r14", "r15"};
    say("%s: %ld, changed:", name, (long)after.ax);
    for (int i = 1; i < 15; i++)
        if (((uint64_t *)&before)[i] != ((uint64_t *)&after)[i])
            say(" %s", names[i]);
    say(", cx is the next instruction: %d\n", after.cx == next);
}

int main(int argc, char **argv)
{
    must(argc == 2);
    uid_t u[3];
    gid_t groups[2] = {4, 5};
    struct stat st;
    char buffer[512];
    check("getpgid", SYS_getpgid, -1, 0, 0, 0x1234567890);
    check("nonsense", 5555, 1, 2, 3, 4);
    check("setgroups", SYS_setgroups, 2, (uint64_t)groups, 3, 4);
    check("chown", SYS_chown, (uint64_t)argv[1], 5, 6, 4);
    check("fchownat", SYS_fchownat, AT_FDCWD, (uint64_t)argv[1], 5, 6);
    check("setresgid", SYS_setresgid, 1, 2, 3, 4);
    check("setresuid", SYS_setresuid, 1, 2, 3, 4);
    check("setresuid", SYS_setresuid, 0xffffffff00000002, -1, -1, 4);
    check("setuid", SYS_setuid, 77, 2, 3, 4);
    check("getresuid", SYS_getresuid, (uint64_t)&u[0], (uint64_t)&u[1], (uint64_t)&u[2], 9);
    check("getresuid", SYS_getresuid, 8, 8, 8, 9);
    check("getuid", SYS_getuid, 1, 2, 3, 4);
    check("getgroups", SYS_getgroups, 0, 0, 3, 4);
    check("stat", SYS_stat, (uint64_t)argv[1], (uint64_t)&st, 3, 4);
    check("newfstatat", SYS_newfstatat, AT_FDCWD, (uint64_t)argv[1], (uint64_t)&st, 0);
    check("statx", SYS_statx, AT_FDCWD, (uint64_t)argv[1], 0, 0x7ff);
    check("chmod", SYS_chmod, (uint64_t)argv[1], 0640, 3, 4);
    check("getxattr", SYS_getxattr, (uint64_t)argv[1], (uint64_t)"user.none", (uint64_t)buffer, 0);
    check("prctl", SYS_prctl, PR_GET_KEEPCAPS, 2, 3, 4);
    return 0;
}
#else
int main(void)
{
    return 0;
}
#endif
