/* Threads of several ids make threads and see them end, all at once: each new one has its maker's id, whoever
 * ends between its birth and its first call. */
#include "guest.h"

enum { MAKERS = 6, BIRTHS = 200 };

static void *born(void *maker)
{
    return (void *)(intptr_t)(syscall(SYS_setfsgid, -1) != (intptr_t)maker);
}

static void *make(void *me)
{
    intptr_t wrong = 0;
    syscall(SYS_setfsgid, (gid_t)(intptr_t)me);
    for (int i = 0; i < BIRTHS; i++) {
        pthread_t thread;
        void *differs;
        must(pthread_create(&thread, NULL, born, me) == 0);
        must(pthread_join(thread, &differs) == 0);
        wrong += (intptr_t)differs;
    }
    return (void *)wrong;
}

int main(void)
{
    pthread_t makers[MAKERS];
    for (intptr_t i = 0; i < MAKERS; i++)
        must(pthread_create(&makers[i], NULL, make, (void *)(i + 1)) == 0);
    for (int i = 0; i < MAKERS; i++) {
        void *wrong;
        must(pthread_join(makers[i], &wrong) == 0);
        say("maker %d: %d of %d wrong\n", i, (int)(intptr_t)wrong, BIRTHS);
    }
    return 0;
}
