/* Many births and deaths at once, and a long chain: nothing hangs and nothing is lost. */
#include "guest.h"

enum { MAKERS = 4 };

static void *forks(void *argument)
{
    intptr_t count = (intptr_t)argument, good = 0;
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(i & 0x7f);
        int status;
        good += waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == (i & 0x7f);
    }
    return (void *)good;
}

static void *nothing(void *argument)
{
    return argument;
}

static void *threads(void *argument)
{
    intptr_t count = (intptr_t)argument, good = 0;
    for (intptr_t i = 0; i < count; i++) {
        pthread_t t;
        void *result;
        if (pthread_create(&t, NULL, nothing, (void *)i) == 0)
            good += pthread_join(t, &result) == 0 && result == (void *)i;
    }
    return (void *)good;
}

/* Every child has a child, to the given depth; the deepest one's ids come back as exit status. */
static int chain(int depth)
{
    if (depth == 0)
        return getuid();
    pid_t child = fork();
    if (child == 0)
        _exit(chain(depth - 1));
    int status;
    must(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* Threads are born while the process is being killed. */
static int doomed(int rounds)
{
    int killed = 0;
    for (int i = 0; i < rounds; i++) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t t;
            for (int j = 0; j < 2; j++)
                pthread_create(&t, NULL, threads, (void *)(intptr_t)100000);
            forks((void *)(intptr_t)100000);
            _exit(0);
        }
        struct timespec moment = {0, i * 300000};
        nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        int status;
        must(waitpid(child, &status, 0) == child);
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    return killed;
}

int main(int argc, char **argv)
{
    must(argc == 3);
    int count = atoi(argv[2]);
    if (!strcmp(argv[1], "chain")) {
        must(getuid() != 0 || count < 0 || setresuid(42, 42, 42) == 0 || errno == EINVAL);
        say("deepest: %d\n", chain(count));
        return 0;
    }
    if (!strcmp(argv[1], "doomed")) {
        say("killed: %d\n", doomed(count));
        return 0;
    }
    void *(*work)(void *) = !strcmp(argv[1], "forks") ? forks : threads;
    pthread_t makers[MAKERS];
    for (int i = 0; i < MAKERS; i++)
        must(pthread_create(&makers[i], NULL, work, (void *)(intptr_t)(count / MAKERS)) == 0);
    intptr_t good = 0;
    for (int i = 0; i < MAKERS; i++) {
        void *result;
        must(pthread_join(makers[i], &result) == 0);
        good += (intptr_t)result;
    }
    say("good: %d\n", (int)good);
    return 0;
}
