/* Processes one after the other: three that end at once, and one that gives a file away or becomes another. After each tenth
   it waits for a line, so that somebody can look at what the tracer holds. Argument: how many. */
#include "../lifecycle/guest.h"

int main(int count, char **arguments)
{
    must(count == 2);
    int processes = atoi(arguments[1]);
    char byte;
    close(open("file", O_CREAT | O_RDWR, 0644));
    must(chown("file", 5, 6) == 0);
    for (int i = 1; i <= processes; i++) {
        int status;
        pid_t child = i % 2 ? fork() : vfork();
        if (child == 0) {
            if (i % 4 == 1)
                _exit(i % 8 == 1 ? setuid(5) : chown("file", i % 1000, 6));
            _exit(0);
        }
        must(waitpid(child, &status, 0) == child && status == 0);
        if (i % (processes / 10) == 0) {
            say("tenth\n");
            must(read(0, &byte, 1) >= 0);
        }
    }
    return 0;
}
