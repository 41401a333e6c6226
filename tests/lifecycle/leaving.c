/* A process is killed as a whole while its leader is made to execute calls: its threads' ends come first. */
#include "guest.h"

enum { ROUNDS = 400 };

static void *wait_for_the_end(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return NULL;
}

/* Changes who it is for so long that other stages are loaded, and looks at a file. */
static void be_another(int round)
{
    struct stat found;
    must(seteuid(round % 7 + 1) == 0);
    for (int i = 0; i < 60; i++) {
        geteuid();
        stat(".", &found);
    }
    must(seteuid(0) == 0);
}

int main(void)
{
    int ended = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            must(pthread_create(&thread, NULL, wait_for_the_end, NULL) == 0);
            for (;;)
                be_another(round);
        }
        usleep(300 + round % 40 * 25);
        kill(child, SIGKILL);
        ended += waitpid(child, NULL, 0) == child;
    }
    say("ended: %d\n", ended);
    return 0;
}
