// Says whether its image began as exec(2) has it begin, and looks at a file that was given away to 7:8. Without a C library:
// `arrives FILE`.
#include <fcntl.h>
#include <sys/stat.h>
#include <asm/unistd.h>

static long call(long nr, long a, long b, long c, long d) {
    register long r10 __asm__("r10") = d;
    long result = nr;
    __asm__ volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return result;
}

// As a C library does.
static long look(const char *path, struct stat *found) {
    long result;
    __asm__ volatile("movl $4, %%eax\n syscall" : "=a"(result) : "D"(path), "S"(found) : "rcx", "r11", "memory");
    return result;
}

static void say(const char *text) {
    long length = 0;
    while (text[length]) length++;
    call(__NR_write, 1, (long)text, length, 0);
}

__attribute__((used)) static void begin(unsigned long *registers, unsigned long *stack) {
    unsigned long set = 0;
    for (int i = 0; i < 15; i++) set |= registers[i];
    say(set ? "registers are set, " : "registers are zero, ");
    say(call(__NR_fcntl, 3, F_GETFD, 0, 0) == -9 ? "3 is closed, " : "3 is open, ");
    struct stat found;
    int wrong = 0;
    for (int i = 0; i < 20; i++) wrong += look((char *)stack[2], &found) != 0 || found.st_uid != 7 || found.st_gid != 8;
    say(wrong ? "wrong\n" : "right\n");
    call(__NR_exit_group, wrong != 0, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n"
        "push %rax\npush %rbx\npush %rcx\npush %rdx\npush %rsi\npush %rdi\npush %rbp\npush %r8\npush %r9\npush %r10\n"
        "push %r11\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, %rdi\nlea 120(%rsp), %rsi\nand $-16, %rsp\ncall begin\n");
