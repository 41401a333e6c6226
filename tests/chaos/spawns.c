/* Threads that each start programs, one after the other, which give a file away and look at it; the first of them all gives the
   run's first owner. What is not seen is told. Arguments: threads, programs of each. */
#include "../lifecycle/guest.h"

extern char **environ;
static int programs, wrong;

static void *thread(void *argument)
{
    long number = (long)argument;
    for (int i = 1; i <= programs; i++) {
        char file[32], script[256];
        struct stat found;
        pid_t child;
        int status, owner = number * 1000 + i;
        snprintf(file, sizeof file, "s%ld.%d", number, i);
        close(open(file, O_CREAT | O_RDWR, 0644));
        snprintf(script, sizeof script, "chown %d:7 %s && test $(stat -c %%u:%%g %s) = %d:7", owner, file, file, owner);
        char *arguments[] = {"sh", "-c", script, NULL};
        must(posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ) == 0);
        must(waitpid(child, &status, 0) == child);
        if (status != 0 || stat(file, &found) != 0 || (int)found.st_uid != owner)
            __sync_fetch_and_add(&wrong, 1);
        unlink(file);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    pthread_t made[256];
    must(count == 3);
    int threads = atoi(arguments[1]);
    programs = atoi(arguments[2]);
    for (long i = 0; i < threads; i++)
        must(pthread_create(&made[i], NULL, thread, (void *)i) == 0);
    for (int i = 0; i < threads; i++)
        must(pthread_join(made[i], NULL) == 0);
    say("%d of %d wrong\n", wrong, threads * programs);
    return 0;
}
