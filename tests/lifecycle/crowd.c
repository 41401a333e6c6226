/* Where no more tasks may be had: those who were born are answered, and all end. */
#include "guest.h"

enum { CHILDREN = 12 };

int main(void)
{
    pid_t children[CHILDREN];
    int born = 0, good = 0;
    must(setresgid(8, 8, 8) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0) {
            pause_ms(100);
            must(setresuid(i + 1, i + 1, i + 1) == 0);
            pause_ms(100);
            _exit(getuid() == (uid_t)i + 1 && getgid() == 8 ? 0 : 1);
        }
        if (child > 0)
            children[born++] = child;
    }
    for (int i = 0; i < born; i++) {
        int status;
        must(waitpid(children[i], &status, 0) == children[i]);
        good += status == 0;
    }
    say("some were born: %d, all good: %d\n", born > 0, good == born);
    return 0;
}
