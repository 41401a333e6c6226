/* Asks all the time what a listener answers. */
#include "../lifecycle/guest.h"

int main(void)
{
    gid_t groups[8];
    for (int i = 0; i < 3; i++)
        fork();
    say("up\n");
    for (;;)
        syscall(SYS_getgroups, 8, groups);
}
