/* Credentials belong to a task. The library tells every thread; whoever does not is on its own. */
#include "guest.h"

enum { THREADS = 8 };

static pthread_barrier_t barrier;

static void *thread(void *argument)
{
    int me = (int)(intptr_t)argument;
    uid_t r, e, s;
    pthread_barrier_wait(&barrier); /* everybody is there; the main thread drops with the library */
    pthread_barrier_wait(&barrier);
    syscall(SYS_getresuid, &r, &e, &s);
    int told = r == 5 && e == 5 && s == 0;
    syscall(SYS_setresuid, 10 + me, -1, -1); /* not root any more: refused, except to an id it has */
    int failed = errno;
    must(syscall(SYS_setresuid, -1, 0, -1) == 0);
    must(syscall(SYS_setresuid, 10 + me, 10 + me, 0) == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    syscall(SYS_getresuid, &r, &e, &s);
    int own = r == (uid_t)(10 + me) && e == r && s == 0;
    pid_t child = fork();
    if (child == 0) {
        syscall(SYS_getresuid, &r, &e, &s);
        _exit(r == (uid_t)(10 + me) ? 0 : 1);
    }
    int status;
    must(waitpid(child, &status, 0) == child);
    return (void *)(intptr_t)(told | own << 1 | (failed == EPERM) << 2 | (status == 0) << 3);
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, thread, (void *)(intptr_t)i) == 0);
    pthread_barrier_wait(&barrier);
    must(setresuid(5, 5, 0) == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    say_ids("main");
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        say("thread %d: %d\n", i, (int)(intptr_t)result);
    }
    return 0;
}
