/* Processes that fork and make threads all the time while one of them makes the first fact: whoever begins to look when that
 * is done sees it, and nobody's calls fail. */
#include "../lifecycle/guest.h"
#include <sys/mman.h>

enum { MAKERS = 6 };

struct shared {
    volatile int done, stop, wrong, seen;
};

static void look(struct shared *all)
{
    struct stat f;
    int done = all->done;
    must(stat("f", &f) == 0);
    if (done) {
        __sync_fetch_and_add(&all->seen, 1);
        if (f.st_uid != 5 || f.st_gid != 6)
            __sync_fetch_and_add(&all->wrong, 1);
    }
}

static void *thread(void *all)
{
    for (int i = 0; i < 20; i++) {
        look(all);
        must(syscall(SYS_getuid) == 0);
    }
    return NULL;
}

/* Two threads at a time, so that one makes calls while another is made. */
static void make_threads(struct shared *all)
{
    pthread_t two[2];
    for (int i = 0; i < 2; i++)
        must(pthread_create(&two[i], NULL, thread, all) == 0);
    for (int i = 0; i < 2; i++)
        must(pthread_join(two[i], NULL) == 0);
}

int main(void)
{
    struct shared *all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(all != MAP_FAILED);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* orphans are waited for as well */
    must(close(creat("f", 0644)) == 0);
    for (int i = 0; i < MAKERS; i++) {
        if (fork() != 0)
            continue;
        while (!all->stop) {
            if (i % 3 == 2) {
                make_threads(all);
                continue;
            }
            pid_t child = i % 2 ? vfork() : fork();
            if (child == 0) {
                if (i % 2 == 0 && fork() == 0)
                    look(all); /* an orphan */
                look(all);
                _exit(0);
            }
            must(waitpid(child, NULL, 0) == child);
        }
        _exit(0);
    }
    pause_ms(3 + getpid() % 5);
    must(chown("f", 5, 6) == 0);
    all->done = 1;
    do
        pause_ms(60);
    while (all->seen <= 20);
    all->stop = 1;
    while (wait(NULL) > 0) {
    }
    say("wrong %d, seen many\n", all->wrong);
    return 0;
}
