/* One thread of several becomes somebody else, and makes children; the others are who they were. */
#include "../lifecycle/guest.h"

enum { THREADS = 4 };

static pthread_barrier_t barrier;

static void *thread(void *argument)
{
    long number = (long)argument;
    pthread_barrier_wait(&barrier);
    if (number == 1)
        must(syscall(SYS_setresuid, 5, 5, 0) == 0);
    if (number == 2)
        must(syscall(SYS_setresgid, 7, 8, 9) == 0);
    pthread_barrier_wait(&barrier);
    for (long turn = 0; turn < THREADS; turn++) {
        if (turn == number) {
            char name[32];
            snprintf(name, sizeof name, "thread %ld", number);
            say_ids(name);
            pid_t child = fork();
            if (child == 0) {
                say_ids("its child");
                _exit(0);
            }
            say_end("its child", child);
        }
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    must(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (long i = 0; i < THREADS; i++)
        must(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        must(pthread_join(threads[i], NULL) == 0);
    say_ids("main");
    must(setresuid(0, 6, 0) == 0); /* of all threads */
    say_ids("main");
    say("end\n");
    return 0;
}
