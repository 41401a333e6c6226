/* A vfork suspends the thread that called it and no other; its child shares the memory and may die. */
#include "guest.h"

static volatile int shared, done, turns;

static void *worker(void *unused)
{
    (void)unused;
    while (!done) {
        uid_t r, e, s;
        must(syscall(SYS_setresuid, -1, turns % 2 ? 5 : 0, -1) == 0);
        must(syscall(SYS_getresuid, &r, &e, &s) == 0);
        must(e == (turns % 2 ? 5u : 0u));
        turns++;
    }
    return NULL;
}

int main(void)
{
    pthread_t t;
    must(pthread_create(&t, NULL, worker, NULL) == 0);
    for (int i = 0; i < 50; i++) {
        pid_t child = vfork();
        if (child == 0) {
            int before = turns;
            for (int wait = 0; wait < 60000 && turns < before + 2; wait++) {
                struct timespec moment = {0, 1000000};
                syscall(SYS_nanosleep, &moment, NULL);
            }
            shared = turns >= before + 2 ? i + 1 : -1;
            syscall(SYS_setresuid, 7, 7, 7);
            if (i % 3 == 0)
                syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
            _exit(i % 3);
        }
        must(shared == i + 1);
        int status;
        must(waitpid(child, &status, 0) == child);
        must(i % 3 == 0 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == i % 3);
    }
    done = 1;
    pthread_join(t, NULL);
    say_ids("parent");
    pid_t child = vfork();
    if (child == 0) {
        execl("/nonexistent", "x", NULL);
        int failed = errno;
        execl("/bin/sh", "sh", "-c", failed == ENOENT ? "exit 12" : "exit 13", NULL);
        _exit(1);
    }
    say_end("exec'ed", child);
    return 0;
}
