// Makes calls as no C library does, and says what it finds: `stands WHAT`, in a directory of its own. What the kernel leaves alone is to
// be left alone by what answers in its place.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MANY 60 // after fewer a site is rewritten

// Registers before a call and after: rax rbx rcx rdx rsi rdi rbp rsp r8 … r15, flags.
struct registers {
    uint64_t at[17];
};
enum { RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15, FLAGS };
struct registers before, after;
uint64_t stack_pointer;

#define CALL(number)                                                                                                  \
    void call_##number(void);                                                                                         \
    extern char behind_##number[];                                                                                    \
    __asm__(".text\ncall_" #number ": push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"              \
            "mov %rsp, stack_pointer(%rip)\n push before+128(%rip)\n popfq\n"                                         \
            "mov before+8(%rip), %rbx; mov before+24(%rip), %rdx; mov before+32(%rip), %rsi; mov before+40(%rip), %rdi\n" \
            "mov before+48(%rip), %rbp; mov before+56(%rip), %rsp; mov before+64(%rip), %r8; mov before+72(%rip), %r9\n" \
            "mov before+80(%rip), %r10; mov before+96(%rip), %r12; mov before+104(%rip), %r13\n"                      \
            "mov before+112(%rip), %r14; mov before+120(%rip), %r15\n"                                                \
            "nop; nop; nop; nop; mov $" #number ", %eax; syscall\nbehind_" #number ":\n"                              \
            "mov %rax, after(%rip); mov %rbx, after+8(%rip); mov %rcx, after+16(%rip); mov %rdx, after+24(%rip)\n"    \
            "mov %rsi, after+32(%rip); mov %rdi, after+40(%rip); mov %rbp, after+48(%rip); mov %rsp, after+56(%rip)\n" \
            "mov %r8, after+64(%rip); mov %r9, after+72(%rip); mov %r10, after+80(%rip); mov %r11, after+88(%rip)\n"  \
            "mov %r12, after+96(%rip); mov %r13, after+104(%rip); mov %r14, after+112(%rip); mov %r15, after+120(%rip)\n" \
            "mov stack_pointer(%rip), %rsp\n pushfq\n pop after+128(%rip)\n push $0x202\n popfq\n"                    \
            "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n");

CALL(4) CALL(5) CALL(6) CALL(262) CALL(332) CALL(2) CALL(257) CALL(83) CALL(88) CALL(90) CALL(91) CALL(92) CALL(93) CALL(260)
CALL(280) CALL(102) CALL(108) CALL(191) CALL(194) CALL(188) CALL(197) CALL(217)

static struct stat found;
static struct statx foundx;
static char names[4096] __attribute__((aligned(8))), room[65536];
static int file, directory;
static const struct timespec times[] = {{1, 2}, {3, 4}};
static const char list[28] = {2, 0, 0, 0, 1, 0, 6, 0, -1, -1, -1, -1, 4, 0, 4, 0, -1, -1, -1, -1, 32, 0, 4, 0, -1, -1, -1, -1};
#define OF(x) ((uint64_t)(uintptr_t)(x))
#define ROW(number) call_##number, behind_##number, #number
static struct {
    void (*call)(void);
    char *behind;
    const char *name;
    uint64_t args[5];
} calls[] = {
    {ROW(4), {OF("f"), OF(&found)}},
    {ROW(6), {OF("l"), OF(&found)}},
    {ROW(5), {0, OF(&found)}},
    {ROW(262), {AT_FDCWD, OF("f"), OF(&found)}},
    {ROW(332), {AT_FDCWD, OF("f"), 0, STATX_BASIC_STATS, OF(&foundx)}},
    {ROW(90), {OF("f"), 0640}},
    {ROW(92), {OF("f"), 5, 6}},
    {ROW(93), {0, 7, -1}},
    {ROW(260), {AT_FDCWD, OF("f"), 0, 0}},
    {ROW(91), {0, 0600}},
    {ROW(280), {AT_FDCWD, OF("f"), OF(times)}},
    {ROW(2), {OF("none"), O_WRONLY}},
    {ROW(257), {AT_FDCWD, OF("none/f"), O_WRONLY | O_CREAT | O_EXCL, 0600}},
    {ROW(83), {OF("d"), 0700}},
    {ROW(88), {OF("f"), OF("l")}},
    {ROW(102), {0}},
    {ROW(108), {0}},
    {ROW(191), {OF("f"), OF("system.posix_acl_access"), OF(names), 100}},
    {ROW(194), {OF("f"), OF(names), sizeof names}},
    {ROW(188), {OF("f"), OF("system.posix_acl_access"), OF(list), sizeof list}},
    {ROW(197), {OF("f"), OF("system.posix_acl_access")}},
    {ROW(217), {0, OF(names), sizeof names}},
};
// Some are called with a descriptor.
static uint64_t first_argument(unsigned nth) {
    if (calls[nth].call == call_217) return lseek(directory, 0, SEEK_SET), directory;
    return calls[nth].args[0] ? calls[nth].args[0] : file;
}

static void make(unsigned nth, uint64_t stack, uint64_t flags) {
    for (int i = 0; i < 17; i++) before.at[i] = 0x1111111111111111u * i;
    before.at[RDI] = first_argument(nth), before.at[RSI] = calls[nth].args[1], before.at[RDX] = calls[nth].args[2];
    before.at[R10] = calls[nth].args[3], before.at[R8] = calls[nth].args[4];
    before.at[RSP] = stack, before.at[FLAGS] = flags;
    memset(&found, 0x77, sizeof found);
    calls[nth].call();
}

static void say(unsigned nth, uint64_t stack, uint64_t flags) {
    unsigned changed = 0, knows_flags = calls[nth].call != call_102 && calls[nth].call != call_108;
    for (int i = RBX; i <= FLAGS; i++)
        if (i != RCX && i != R11 && after.at[i] != before.at[i]) changed |= 1u << i;
    // A program may ask for its ids with AC set: then only what it has in r11 is not the whole truth.
    uint64_t odd = knows_flags ? 0 : 0x40000;
    printf("%s stack %lx flags %lx: %ld, changed %x, returns %d, says flags %d\n", calls[nth].name, stack, flags, (long)after.at[RAX], changed,
           after.at[RCX] == OF(calls[nth].behind), (after.at[R11] & ~odd) == (flags & ~odd));
    if (nth < 4) printf("  %u:%u %o\n", found.st_uid, found.st_gid, found.st_mode);
}

// Every call with every kind of stack pointer and flags.
static void registers(void) {
    memset(room, 0x5a, sizeof room);
    char *edge = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(edge, 4096, PROT_NONE);
    const uint64_t stacks[] = {OF(room + 32768), OF(room + 32765), 0, 1, 8, ~7ul, 1ul << 63, 0x800000000000, OF(edge + 4096), OF(edge + 4104), OF(edge + 4296)};
    const uint64_t flags[] = {0x202, 0x247, 0x2c3, 0xa97, 0xad7, 0x602, 0x40202, 0x40ad7, 0x40602, 0x200202};
    for (unsigned nth = 0; nth < COUNT(calls); nth++) {
        for (int i = 0; i < MANY; i++) make(nth, OF(room + 32768), 0x202);
        // What it does once, it has done.
        for (unsigned i = 0; i < COUNT(stacks); i++)
            make(nth, stacks[i], 0x202), say(nth, i < 2 || i > 7 ? i : stacks[i], 0x202);
        for (unsigned i = 0; i < COUNT(flags); i++) make(nth, OF(room + 32768), flags[i]), say(nth, 0, flags[i]);
    }
    unsigned touched = 0;
    for (unsigned i = 0; i < sizeof room; i++) touched += room[i] != 0x5a;
    printf("touched %u\n", touched);
}

// Text of a file, as a library's is.
static unsigned char *text(const unsigned char *code, size_t length) {
    static int count;
    unsigned char page[4096];
    char name[20];
    memset(page, 0x90, sizeof page);
    memcpy(page + 64, code, length);
    snprintf(name, sizeof name, "code%d", count++);
    int made = open(name, O_CREAT | O_RDWR | O_TRUNC, 0755);
    if (write(made, page, sizeof page) != sizeof page) exit(4);
    unsigned char *at = mmap(NULL, sizeof page, PROT_READ | PROT_EXEC, MAP_PRIVATE, made, 0);
    close(made);
    return at + 64;
}

typedef long (*Look)(const char *, void *);
static const unsigned char look_code[] = {0xb8, 4, 0, 0, 0, 0x0f, 5, 0xc3};

// Every instruction that may stand before a call with the number of one that is answered, which another has put into eax.
static void encodings(void) {
    static const struct {
        unsigned char bytes[8], length;
    } moves[] = {
        {{0xb8}, 1}, {{0xb9}, 1}, {{0xba}, 1}, {{0xbb}, 1}, {{0xbd}, 1}, {{0xbe}, 1}, {{0xbf}, 1}, // eax … edi
        {{0x41, 0xb8}, 2}, {{0x41, 0xb9}, 2}, {{0x41, 0xba}, 2}, {{0x41, 0xbb}, 2}, {{0x41, 0xbc}, 2}, {{0x41, 0xbd}, 2}, {{0x41, 0xbe}, 2},
        {{0x41, 0xbf}, 2}, {{0x40, 0xb8}, 2}, {{0x49, 0xc7, 0xc0}, 3}, {{0x48, 0xc7, 0xc0}, 3}, {{0xc7, 0xc0}, 2}, {{0x2e, 0xb8}, 2},
        {{0x64, 0xb8}, 2}, {{0x67, 0xb8}, 2}, {{0xf2, 0xb8}, 2}, {{0xf3, 0xb8}, 2}, {{0x3e, 0xb8}, 2},
        {{0xc7, 0x44, 0x24, 0xb8}, 4},                   // to [rsp - 72]
        {{0xc7, 0x45, 0xb8}, 3},                         // to [rbp - 72]
        {{0x41, 0x8b, 0xb8}, 3},                         // edi from [r8 + …]
        {{0x41, 0x0f, 0xb6, 0xb8}, 4},                   // the same, of a byte
        {{0x41, 0x8b, 0xbc, 0xb8}, 4},                   // edi from [r8 + rdi * 4 + …]
        {{0x48, 0xbb, 1, 2, 3, 0xb8}, 6},                // rbx, eight bytes
        {{0x81, 0x7d, 0xb8}, 3},                         // compares [rbp - 72]
        {{0x81, 0x7c, 0x24, 0xb8}, 4},                   // and [rsp - 72]
    };
    static const uint32_t numbers[] = {4, 188, 9, 90};
    for (unsigned n = 0; n < COUNT(numbers); n++)
        for (unsigned m = 0; m < COUNT(moves); m++) {
            // push rbx, rbp, r12 … r15; mov rbp, rsp; sub rsp, 128; mov eax, [rdi] where to, r8 = rdi - number
            unsigned char code[160], *at = code;
#define PUT(...) do { const unsigned char b[] = {__VA_ARGS__}; memcpy(at, b, sizeof b), at += sizeof b; } while (0)
            PUT(0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x48, 0x89, 0xe5, 0x48, 0x81, 0xec, 0x80, 0, 0, 0, 0x57);
            PUT(0x49, 0x89, 0xf8);                         // mov r8, rdi
            PUT(0x49, 0x81, 0xe8);                         // sub r8, number
            memcpy(at, &numbers[n], 4), at += 4;
            PUT(0x8b, 0x07);                               // mov eax, [rdi]
            PUT(0x31, 0xff, 0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc9, 0x90, 0x90, 0x90, 0x90); // nothing else
            memcpy(at, moves[m].bytes, moves[m].length), at += moves[m].length;
            memcpy(at, &numbers[n], 4), at += 4;
            PUT(0x0f, 0x05, 0x59);                         // syscall; pop rcx: where to
            PUT(0x48, 0x89, 0x41, 8, 0x48, 0x89, 0x59, 16, 0x48, 0x89, 0x51, 24, 0x48, 0x89, 0x71, 32, 0x48, 0x89, 0x79, 40);
            PUT(0x4c, 0x89, 0x41, 48, 0x4c, 0x89, 0x49, 56, 0x4c, 0x89, 0x51, 64, 0x4c, 0x89, 0x61, 72, 0x4c, 0x89, 0x69, 80);
            PUT(0x4c, 0x89, 0x71, 88, 0x4c, 0x89, 0x79, 96, 0x8b, 0x44, 0x24, 56, 0x48, 0x89, 0x41, 104, 0x48, 0x89, 0x69, 112);
            PUT(0x48, 0x81, 0xc4, 0x80, 0, 0, 0, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3);
            void (*run)(uint64_t *) = (void (*)(uint64_t *))text(code, at - code);
            uint64_t said[16], sum = 0;
            for (int i = 0; i < MANY; i++) {
                memset(said, 0, sizeof said), said[0] = numbers[n];
                run(said);
                // Addresses are not the same in each run.
                for (unsigned j = 1; j < 15; j++) sum = sum * 31 + (said[j] > 0xffffffffff && said[j] < -4096ul ? 0 : said[j]);
            }
            printf("%u %02x%02x%02x: %ld %lx\n", numbers[n], moves[m].bytes[0], moves[m].bytes[1], moves[m].bytes[2], (long)said[1], sum);
        }
    // Another call by the same `syscall`: mov eax, getpid; jmp there.
    static const unsigned char by_jump[] = {0xb8, 4, 0, 0, 0, 0x0f, 5, 0xc3, 0xb8, 39, 0, 0, 0, 0xeb, 0xf6};
    unsigned char *shared = text(by_jump, sizeof by_jump);
    for (int i = 0; i < MANY; i++) ((Look)shared)("f", &found);
    printf("by a jump %d\n", ((int (*)(void))(shared + 8))() == getpid());
}

static volatile int wrong, interrupted;
static volatile int jumps;
static sigjmp_buf out;
static Look look;

static void check(void) {
    struct stat it;
    wrong += look("f", &it) != 0 || it.st_uid != 7 || it.st_gid != 8 || look("none", &it) != -ENOENT;
}

static void handle(int number) {
    (void)number;
    interrupted++;
    check();
    if (jumps) siglongjmp(out, 1);
}

// Signals in the middle of a call, whose handlers make such calls as well, and may never return.
static void signals(void) {
    static char other[65536];
    stack_t stack = {.ss_sp = other, .ss_size = sizeof other};
    sigaltstack(&stack, NULL);
    for (int manner = 0; manner < 4; manner++) {
        jumps = manner & 1;
        struct sigaction action = {.sa_handler = handle, .sa_flags = manner & 2 ? SA_ONSTACK : 0};
        sigaction(SIGALRM, &action, NULL);
        interrupted = 0;
        // One at a time: a handler that is late is not to be interrupted by the next.
        for (volatile int turn = 0; turn < 400; turn++) {
            struct itimerval once = {{0, 0}, {0, 50 + turn % 100}};
            if (!jumps || !sigsetjmp(out, 1)) setitimer(ITIMER_REAL, &once, NULL);
            while (interrupted <= turn) check();
        }
        for (int i = 0; i < 1000; i++) check();
    }
    printf("wrong %d\n", wrong);
}

static void *look_on(void *unused) {
    for (int i = 0; i < 4000; i++) check();
    return unused;
}

static int look_once(void *unused) {
    (void)unused;
    for (int i = 0; i < 300; i++) check();
    return 0;
}

// Threads, children that share the memory, and copies made meanwhile.
static void threads(void) {
    pthread_t all[70];
    for (unsigned i = 0; i < COUNT(all); i++) pthread_create(&all[i], NULL, look_on, NULL);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (!child) {
            for (int j = 0; j < 100; j++) check();
            _exit(wrong);
        }
        int status;
        waitpid(child, &status, 0), wrong += status;
        static char stack[65536];
        child = clone(look_once, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL);
        waitpid(child, &status, 0), wrong += status;
        child = vfork();
        if (!child) check(), _exit(0);
        waitpid(child, &status, 0), wrong += status;
    }
    for (unsigned i = 0; i < COUNT(all); i++) pthread_join(all[i], NULL);
    printf("wrong %d\n", wrong);
}

// Ids, as somebody else: what the kernel leaves in r11 is flags.
static void ids(void) {
    // push rdi; popfq; four nops; mov eax, getuid; syscall; mov [rsi], rax; mov rax, r11; push 0x202; popfq; ret
    static const unsigned char code[] = {0x57, 0x9d, 0x90, 0x90, 0x90, 0x90, 0xb8, 102, 0, 0, 0, 0x0f, 5, 0x48, 0x89, 0x06,
                                         0x4c, 0x89, 0xd8, 0x68, 2, 2, 0, 0, 0x9d, 0xc3};
    static const uint64_t flags[] = {0x202, 0x602, 0x247, 0x647, 0x2c3, 0xa97, 0xed7};
    uint64_t (*call)(uint64_t, uint64_t *) = (uint64_t (*)(uint64_t, uint64_t *))text(code, sizeof code), id = 0;
    if (syscall(SYS_setresgid, 6, 7, 6) || syscall(SYS_setresuid, 4, 5, 4)) exit(8);
    for (int i = 0; i < 10000; i++) wrong += call(flags[i % COUNT(flags)], &id) != flags[i % COUNT(flags)] || id != 4;
    printf("wrong %d\n", wrong);
}

// A signal in the middle of a call that waits for somebody to read a FIFO: its handler has what that call has in r9, and looks by
// a call that stands nowhere as C libraries have it.
void handle_bare(int);
struct stat bare_found;
long bare_result, bare_count;
uint64_t bare_ninth;
__asm__(".text\nhandle_bare: mov %r9, bare_ninth(%rip)\n lea bare_path(%rip), %rdi\n lea bare_found(%rip), %rsi\n push $4\n pop %rax\n"
        "syscall\n mov %rax, bare_result(%rip)\n incq bare_count(%rip)\n ret\nbare_path: .asciz \"f\"\n");

typedef long (*Open)(const char *, int, int);
static const unsigned char open_code[] = {0xb8, 2, 0, 0, 0, 0x0f, 5, 0xc3};
static Open open_fifo(void) {
    Open call = (Open)text(open_code, sizeof open_code);
    for (int i = 0; i < MANY; i++) wrong += call("f", O_CREAT | O_EXCL | O_WRONLY, 0600) != -EEXIST;
    wrong += mkfifo("fifo", 0600);
    return call;
}

static void inherits(void) {
    Open call = open_fifo();
    struct sigaction action = {.sa_handler = handle_bare};
    struct itimerval often = {{0, 3000}, {0, 3000}}, never = {{0, 0}, {0, 0}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    unsigned marked = 0;
    for (int turn = 0; turn < 50; turn++) {
        memset(&bare_found, 0, sizeof bare_found);
        wrong += call("fifo", O_WRONLY, 0) != -EINTR || bare_result || bare_found.st_uid != 7 || bare_found.st_gid != 8;
        marked += (uint32_t)bare_ninth == 0xfffff5ed;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    printf("wrong %d\n", wrong);
    close(open(marked ? "marked" : "bare", O_CREAT | O_RDWR, 0600));
}

static void leave(int number) {
    (void)number;
    siglongjmp(out, 1);
}

static long call_below(Open call, int depth) {
    volatile char room[48] = {0};
    return depth ? call_below(call, depth - 1) + room[0] : call("fifo", O_WRONLY, 0);
}

// Calls that are left by longjmp, at many depths of the stack. After them others are answered as before.
static void leaves(void) {
    Open call = open_fifo();
    struct sigaction action = {.sa_handler = leave, .sa_flags = SA_NODEFER};
    sigaction(SIGALRM, &action, NULL);
    for (volatile int turn = 0; turn < 10000; turn++) {
        struct itimerval once = {{0, 0}, {0, 60}};
        if (sigsetjmp(out, 0)) continue;
        setitimer(ITIMER_REAL, &once, NULL);
        call_below(call, turn % 300);
    }
    for (int i = 0; i < 10000; i++) check();
    printf("wrong %d\n", wrong);
}

// What is mapped and not the program's own, or a library's.
static unsigned strangers(uintptr_t (*at)[2], unsigned most) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned count = 0;
    while (fgets(line, sizeof line, maps) && count < most)
        if (strstr(line, "remainroot") && strstr(line, "memfd") && sscanf(line, "%lx-%lx", &at[count][0], &at[count][1]) == 2) count++;
    fclose(maps);
    return count;
}

static unsigned failed;
static void expect(int holds, int line) {
    if (!holds) printf("line %d: %d\n", line, errno), failed++;
}
#define EXPECT(condition) expect(condition, __LINE__)

// Takes away, protects, moves and forgets all that is mapped and that it has not mapped.
static void unmaps(void) {
    uintptr_t at[9][2];
    unsigned count = strangers(at, COUNT(at));
    for (unsigned i = 0; i < count; i++) {
        void *start = (void *)at[i][0];
        size_t length = at[i][1] - at[i][0];
        for (int protection = 0; protection < 8; protection++) EXPECT(!mprotect(start, length, protection)), check();
        EXPECT(!madvise(start, length, MADV_DONTNEED)), check();
        EXPECT(mremap(start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, room) == MAP_FAILED && errno == EFAULT), check();
        EXPECT(munmap(start, length - 4096) == 0), check();
        EXPECT(munmap(start, length) == 0), check();
    }
    if (count) {
        // With what is before and behind.
        uintptr_t start = at[0][0], end = at[count - 1][1];
        char *first = mmap((void *)(start - 8192), 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        char *last = mmap((void *)end, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        unsigned char there[2];
        EXPECT(first == (char *)start - 8192 && last == (char *)end);
        first[5] = last[5] = 1;
        EXPECT(!madvise(first, end - start + 16384, MADV_DONTNEED) && !first[5] && !last[5]), check();
        EXPECT(!mprotect(first, end - start + 12288, PROT_READ)), check();
        last[4096] = 1;
        EXPECT(!munmap(first + 4096, end - start + 8192)), check();
        EXPECT(mincore(first + 4096, 4096, there) && errno == ENOMEM && mincore(last, 4096, there) && !mincore(last + 4096, 4096, there));
        EXPECT(munmap(first + 1, end - start) && errno == EINVAL);
    }
    printf("wrong %d failed %u\n", wrong, failed);
}

// Maps something of its own where something stands that it has not mapped.
static void maps(void) {
    for (int manner = 0; manner < 4; manner++) {
        int status;
        fflush(stdout);
        pid_t child = fork();
        if (child) {
            waitpid(child, &status, 0);
            printf("manner %d: %x\n", manner, status);
            continue;
        }
        uintptr_t at[9][2];
        unsigned count = strangers(at, COUNT(at));
        // Where there is none, anywhere.
        char *start = (char *)(count ? at[0][0] : 1ul << 40), *own;
        size_t length = 1 << 16;
        if (manner == 1 && count) start += 1 << 16;
        if (manner == 2) start -= 4096, length = 8192;
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | (manner == 2 ? MAP_FIXED_NOREPLACE : MAP_FIXED);
        own = mmap(manner == 3 ? NULL : start, length, PROT_READ | PROT_WRITE, manner == 3 ? MAP_PRIVATE | MAP_ANONYMOUS : flags, -1, 0);
        if (manner == 3) own = mremap(own, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, start);
        wrong += own != start;
        for (size_t i = 0; own == start && i < length; i += 4096) wrong += own[i] != 0, own[i] = 1;
        for (int i = 0; i < MANY; i++) {
            struct stat it;
            check(), wrong += stat("f", &it) || it.st_uid != 7;
            DIR *list = opendir(".");
            wrong += !list || !readdir(list) || closedir(list);
        }
        _exit(wrong);
    }
    // What leads there from the loader's text is gone, too.
    printf("wrong %d\n", wrong);
}

// Changes the number of a call in its own text, in each way that text can be made writable.
static void patches(void) {
    for (int manner = 0; manner < 3; manner++) {
        unsigned char *code = text(look_code, sizeof look_code), *page = code - 64;
        for (int turn = 0; turn < 3; turn++) {
            code[1] == 4 ? (void)0 : exit(5);
            for (int i = 0; i < 2 * MANY; i++) wrong += ((Look)code)("l", &found) != 0 || !S_ISREG(found.st_mode);
            mprotect(page, 4096, manner == 0 ? 7 : 3);
            code[1] = 6;
            if (manner) mprotect(page, 4096, manner == 1 ? 5 : 7);
            for (int i = 0; i < 2 * MANY; i++) wrong += ((Look)code)("l", &found) != 0 || !S_ISLNK(found.st_mode);
            mprotect(page, 4096, manner == 0 ? 7 : 3);
            code[1] = 39;
            if (manner) mprotect(page, 4096, 5);
            wrong += ((Look)code)("l", &found) != getpid();
            mprotect(page, 4096, 7);
            wrong += memcmp(code + 5, look_code + 5, 3) || code[0] != 0xb8 || code[2] || code[3] || code[4];
            code[1] = 4;
            mprotect(page, 4096, 5);
        }
    }
    printf("wrong %d\n", wrong);
}

static volatile char selector;
static volatile int refused;
static void refuse(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
    refused++, selector = 0;
}

// Has the kernel send a signal for calls that are made elsewhere than in one page of its text.
static void dispatches(void) {
    struct sigaction action = {.sa_sigaction = refuse, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    for (int turn = 0; turn < 2; turn++) {
        if (prctl(59, 1, (char *)look - 64, 4096, &selector)) exit(6);
        for (int i = 0; i < MANY; i++) {
            selector = 1, check(), selector = 0;
            struct stat it;
            selector = 1;
            int said = stat("f", &it);
            selector = 0;
            printf("%d %d\n", said, refused);
        }
        if (prctl(59, 0, 0, 0, 0)) exit(7);
        for (int i = 0; i < MANY; i++) check();
    }
    printf("wrong %d\n", wrong);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } all[] = {{"registers", registers}, {"encodings", encodings}, {"signals", signals}, {"threads", threads},
               {"unmaps", unmaps},       {"patches", patches},     {"dispatches", dispatches}, {"inherits", inherits},
               {"leaves", leaves},       {"maps", maps}, {"ids", ids}};
    if (argc < 3 || chdir(argv[1])) return 2;
    file = open("f", O_CREAT | O_RDWR, 0644), directory = open(".", O_RDONLY);
    if (symlink("f", "l")) return 3;
    for (int i = 0; i < MANY; i++) fchmod(file, 0644);
    if (fchown(file, 7, 8)) return 3;
    look = (Look)text(look_code, sizeof look_code);
    for (int i = 0; i < MANY; i++) check();
    for (unsigned i = 0; i < COUNT(all); i++)
        if (!strcmp(argv[2], all[i].name)) all[i].run();
    return 0;
}
