/* Threads have each called vfork, and their children wait. Then the first file gets an owner, which every child must see, and
   whatever it starts. All of them make a call before the first executes a program. Arguments: how many, who gives the file away ("self" or "other"), a directory. */
#include "guest.h"

enum { TURNS = 2 };

static int go[TURNS][2], up[TURNS][2], blind;

static void *thread(void *unused)
{
    (void)unused;
    char byte;
    pid_t child = vfork();
    if (child == 0) {
        for (int turn = 0; turn < TURNS; turn++)
            if (write(up[turn][1], "u", 1) != 1 || read(go[turn][0], &byte, 1) != 1)
                _exit(98);
        execl("/bin/sh", "sh", "-c", "test $(stat -c %u:%g file) = 7:8 && test -n \"$(find file -uid 7)\"", (char *)0);
        _exit(97);
    }
    int status;
    must(waitpid(child, &status, 0) == child);
    if (status != 0)
        __sync_fetch_and_add(&blind, 1);
    return NULL;
}

int main(int count, char **arguments)
{
    must(count == 4 && chdir(arguments[3]) == 0);
    int threads = atoi(arguments[1]);
    pthread_t made[256];
    char byte;
    for (int turn = 0; turn < TURNS; turn++)
        must(pipe(go[turn]) == 0 && pipe(up[turn]) == 0);
    close(open("file", O_CREAT | O_RDWR, 0644));
    for (int i = 0; i < threads; i++)
        must(pthread_create(&made[i], NULL, thread, NULL) == 0);
    for (int i = 0; i < threads; i++)
        must(read(up[0][0], &byte, 1) == 1);
    if (strcmp(arguments[2], "self") == 0) {
        must(chown("file", 7, 8) == 0);
    } else {
        pid_t child = fork();
        if (child == 0) {
            execlp("chown", "chown", "7:8", "file", (char *)0);
            _exit(96);
        }
        say_end("chown", child);
    }
    for (int i = 0; i < threads; i++)
        must(write(go[0][1], "g", 1) == 1);
    for (int i = 0; i < threads; i++)
        must(read(up[1][0], &byte, 1) == 1);
    for (int i = 0; i < threads; i++)
        must(write(go[1][1], "g", 1) == 1);
    for (int i = 0; i < threads; i++)
        must(pthread_join(made[i], NULL) == 0);
    say("%d of %d see the kernel's owner\n", blind, threads);
    return 0;
}
