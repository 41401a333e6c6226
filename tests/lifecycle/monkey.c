/* Monkeys make answered calls with hostile arguments, in both ABIs, while a second thread changes the memory
 * under them. Whatever becomes of them, everybody else is answered as before. Arguments: a seed, how many
 * monkeys, `storm`, or `tell` for monkeys that leave the memory alone and say what each call gave, and the
 * numbers of the calls, those of i386 with an `i` before them. */
#include "guest.h"
#include <sys/mman.h>

enum { CALLS = 400, PAGE = 4096 };

static uint64_t state;
static char *pages; /* writable, writable, read-only, without access, and nothing behind */

static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static uint64_t argument(void)
{
    static const int64_t plain[] = {0, 1, 2, 3, 4, 5, -1, -100, 0xffffffff, 65534, 65535, 65536, 1u << 31, INT64_MIN,
                                    0x1000, 0x100, 0x7ff, 16, 4096, 1 << 20, 020644, 060644, 0100644, 0140644, 0x42,
                                    0x410002, 8, 0x20080522, -22, (int64_t)0xffff800000000000};
    switch (draw(8)) {
    case 0:
        return (uint64_t)(pages + 64 * draw(8)); /* a path */
    case 1:
        return (uint64_t)(pages + draw(2 * PAGE));
    case 2:
        return (uint64_t)(pages + (1 + draw(4)) * PAGE - draw(24)); /* across an edge */
    case 3:
        return draw(70000);
    default:
        return plain[draw(sizeof plain / sizeof *plain)];
    }
}

static void fill(void)
{
    static const char *paths[] = {"a", "b", "d/c", ".", "", "/proc/self/fd/3", "/dev/null", "a/"};
    for (int i = 0; i < 2 * PAGE / 4; i++)
        ((uint32_t *)pages)[i] = draw(4) ? draw(70000) : UINT32_MAX;
    for (int i = 0; i < 8; i++)
        strcpy(pages + 64 * i, paths[i]);
    memset(pages + PAGE + PAGE / 2, 'a', PAGE / 2); /* a path without an end, on into the next page */
}

static void *change_memory(void *unused)
{
    uint32_t seed = 1;
    for (;;) {
        seed = seed * 1664525 + 1013904223;
        if (seed >> 28 == 0)
            mprotect(pages + PAGE, PAGE, seed & 0x10000 ? PROT_NONE : PROT_READ | PROT_WRITE);
        else
            pages[512 + (seed >> 8) % (PAGE - 512)] = seed >> 3;
    }
    return unused;
}

static long call(const char *number, uint64_t *a)
{
    for (int i = 0; i < 6; i++)
        a[i] = argument();
    long result = 0;
    if (*number != 'i') {
        result = syscall(atol(number), a[0], a[1], a[2], a[3], a[4], a[5]);
        return result == -1 ? -errno : result;
    }
#ifdef __x86_64__
    result = atol(number + 1);
    __asm__ volatile("int $0x80"
                     : "+a"(result)
                     : "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4])
                     : "memory", "r8", "r9", "r10", "r11");
#endif
    return result;
}

static void monkey(int tells, char **numbers, int count)
{
    pthread_t t;
    /* An address taken for a number is the same number in every run. */
    void *place = (void *)0x10000000;
    pages = mmap(place, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    must(pages == place);
    fill();
    memset(pages + 2 * PAGE, 'a', PAGE);
    mprotect(pages + 2 * PAGE, PAGE, PROT_READ);
    mprotect(pages + 3 * PAGE, PAGE, PROT_NONE);
    rmdir("a"); /* what the monkeys before have made of it */
    must(open("a", O_RDONLY | O_CREAT, 0600) == 3);
    alarm(5); /* a FIFO may be opened and never be written to */
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0), dup2(null, 2);
    if (tells)
        dup2(1, 9), dup2(null, 1);
    if (!tells && draw(2))
        pthread_create(&t, NULL, change_memory, NULL);
    for (int i = 0; i < CALLS; i++) {
        const char *number = numbers[draw(count)];
        uint64_t a[6];
        if (tells)
            fill(); /* times and inode numbers are not the same in two runs */
        long result = call(number, a);
        if (tells)
            dprintf(9, "%s(%#lx %#lx %#lx %#lx %#lx): %ld\n", number, a[0], a[1], a[2], a[3], a[4], result);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    must(argc > 4);
    int alive = 0, monkeys = atoi(argv[2]);
    for (int i = 0; i < monkeys; i++) {
        state = strtoull(argv[1], NULL, 0) * 1000003 + i;
        pid_t child = fork();
        if (child == 0)
            monkey(!strcmp(argv[3], "tell"), argv + 4, argc - 4);
        must(child > 0 && waitpid(child, NULL, 0) == child);
        child = fork();
        if (child == 0) {
            struct stat st;
            int file = open("witness", O_CREAT | O_RDWR | O_TRUNC, 0600);
            must(file >= 0 && fchown(file, 11, i) == 0 && fstat(file, &st) == 0);
            must(st.st_uid == 11 && st.st_gid == (gid_t)i);
            must(setresuid(7, 8, 9) == 0 && geteuid() == 8);
            _exit(42);
        }
        int status;
        must(waitpid(child, &status, 0) == child);
        alive += WIFEXITED(status) && WEXITSTATUS(status) == 42;
    }
    say("answered: %d\n", alive);
    return 0;
}
