/* The oracle's voice: performs scripts of credential calls and shows, after every step, the result
 * and everything the acting task can ask about itself. Run natively as root and under remainroot, it
 * must print the same.
 *
 *   probe [--namespace] < SCRIPT
 *
 * With --namespace it first enters a user namespace that maps every id. A script is lines of
 *
 *   main CALL ...          a call of the conductor itself, before the first sequence
 *   entry native|sites|int80|vdso    how calls enter the kernel from now on (see kernel.h)
 *   observe full|brief|not    brief asks for six capabilities only in the sets without a getter
 *   list0|list1|list2 PATH ...    what the last list did not show of these names; see files.c
 *   hosts PATH PATH        these two inodes are the host's
 *   sequence NAME          a new process, task t0; what follows happens in it
 *   tN CALL ARGUMENT ...   a call of calls.h; arguments as in operand.c
 *   tN thread|thread3|fork|fork3|vfork|vfork3|sibling tM    a new task (the 3 means clone3)
 *   tN exec PATH           execve of another copy of the probe, which goes on as tN
 *   tN exit|exit_group|look|copy FROM TO|script PATH INTERPRETER|stat WHAT [HOW]|xattrs PATH|entries PATH
 *   tN may LIST ...    the step, if nothing but owners decides it; see files.c
 *   tN into FD CALL ARGUMENT ...    what the call opens becomes this descriptor
 *   tN ... | tM ...        tasks that share no memory act at the same time
 *
 * The conductor, which never changes its ids, lets one line act at a time. It prints `tN does not
 * answer` after a deadline, and `bad` something where the script makes no sense. */
#include "probe.h"

struct channel *channel;
unsigned long vdso;

static struct text out;
static char script[SCRIPT];
static struct { u32 alive, group, blocks; } tasks[TASKS]; /* blocks: a vfork parent's task + 1 */
static u32 groups;

#ifdef __x86_64__
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n"
	".globl start_task\nstart_task: mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n"
	" xor %edx, %edx\n xor %r10d, %r10d\n xor %r8d, %r8d\n syscall\n test %rax, %rax\n jz 1f\n ret\n"
	".globl start_task_int80\nstart_task_int80: push %rbx\n mov %rdi, %rax\n mov %rsi, %rbx\n"
	" mov %rdx, %rcx\n xor %edx, %edx\n xor %esi, %esi\n xor %edi, %edi\n int $0x80\n"
	" test %rax, %rax\n jz 1f\n pop %rbx\n ret\n"
	"1: pop %rdi\n and $-16, %rsp\n call task_main\n");
#else
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %esp, %eax\n and $-16, %esp\n sub $12, %esp\n"
	" push %eax\n call begin\n"
	".globl start_task\nstart_task: push %ebx\n push %esi\n push %edi\n mov 16(%esp), %eax\n"
	" mov 20(%esp), %ebx\n mov 24(%esp), %ecx\n xor %edx, %edx\n xor %esi, %esi\n xor %edi, %edi\n"
	" int $0x80\n test %eax, %eax\n jnz 1f\n call task_main\n1: pop %edi\n pop %esi\n pop %ebx\n ret\n"
	".globl start_task_int80\nstart_task_int80: jmp start_task\n");
#endif

void *memset(void *at, int value, unsigned long size)
{
	void *start = at;
	__asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(value) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, unsigned long size)
{
	void *start = to;
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return start;
}

int wait_until(volatile u32 *word, int equal, u32 value, long seconds)
{
	struct timespec second = { 1, 0 };
	u32 now;
	while (((now = *word) == value) != equal)
		if (sys_futex_wait(word, now, &second) == -110 && --seconds <= 0)
			return -1;
	return 0;
}

void announce(volatile u32 *word, u32 value)
{
	__sync_synchronize();
	*word = value;
	sys_futex_wake(word);
}

static void flush(void)
{
	for (u32 done = 0; done < out.length;) {
		long n = sys_write(1, out.at + done, out.length - done);
		if (n <= 0)
			sys_exit_group(4);
		done += n;
	}
	out.length = 0;
}

static void show(const char *s)
{
	if (out.length + length_of(s) >= sizeof out.at)
		flush();
	put(&out, s);
}

/* A task's text, or its first line. */
static void show_text(struct slot *slot, int first_line)
{
	for (u32 i = 0; i < slot->text.length; i++) {
		char two[2] = { slot->text.at[i], 0 };
		show(two);
		if (first_line && *two == '\n')
			break;
	}
}

static void show_task(u32 index)
{
	char name[3] = { 't', '0' + index, 0 };
	show(name);
}

/* Waits for a task's reply and shows it; a task that gives none is never asked again. */
static void hear(u32 index)
{
	if (!wait_until(&channel->slots[index].turn, 1, REPLY, DEADLINE)) {
		show_text(&channel->slots[index], 0);
		return;
	}
	show("\n");
	show_task(index);
	show(" does not answer\n");
	tasks[index].alive = 0;
	if (channel->slots[index].tgid > 0) /* or it was never made */
		sys_kill(channel->slots[index].tgid, 9);
}

static void ask(u32 index, const char *step)
{
	struct slot *slot = &channel->slots[index];
	memcpy(slot->line, step, length_of(step) + 1);
	slot->execed = 0;
	announce(&slot->turn, COMMAND);
}

/* A vfork child is gone from its parent's memory: the parent goes on. */
static void release(u32 index)
{
	u32 parent = tasks[index].blocks;
	tasks[index].blocks = 0;
	if (parent && tasks[parent - 1].alive) {
		show_task(parent - 1);
		show(" returns");
		hear(parent - 1);
	}
}

static int blocked(u32 index)
{
	for (u32 i = 0; i < TASKS; i++)
		if (tasks[i].blocks == index + 1)
			return 1;
	return 0;
}

/* The end of a task, or of all of its group but one that has executed a program. */
static void bury(u32 index, int whole_group, int survives)
{
	for (u32 i = 0; i < TASKS; i++)
		if (tasks[i].group == tasks[index].group && (i == index || whole_group)) {
			tasks[i].alive = survives && i == index;
			release(i);
		}
}

/* Lets a task begin its step; the task it makes, TASKS if it makes none. */
static u32 begin_step(u32 index, const char *what)
{
	const char *thread = after(what, "thread"), *vfork = after(what, "vfork"), *at = what;
	u32 child = TASKS;
	if (thread || vfork || after(what, "fork") || after(what, "sibling")) {
		while (*at && *at != ' ')
			at++;
		child = after(at, " t") ? (u32)(at[2] - '0') : TASKS;
		if (child >= TASKS || tasks[child].group) {
			show(" bad child");
			child = TASKS;
		} else {
			tasks[child].group = thread ? tasks[index].group : ++groups;
			tasks[child].blocks = vfork ? index + 1 : 0;
		}
	}
	ask(index, what);
	return child;
}

static void end_step(u32 index, const char *what, u32 child)
{
	if (child < TASKS) {
		if (tasks[child].blocks)
			show("\n");
		else
			hear(index);
		show_task(child);
		show(" begins");
		tasks[child].alive = 1;
		hear(child);
		return;
	}
	hear(index);
	if (after(what, "exit")) {
		show("\n");
		bury(index, after(what, "exit_group") != 0, 0);
	} else if (channel->slots[index].execed)
		bury(index, 1, 1);
}

/* `tN STEP`, or `tN STEP | tM STEP | ...`: tasks that share no memory act at the same time. */
static void steps(char *line)
{
	struct { u32 index, child; char *what; } all[TASKS];
	u32 count = 0;
	for (char *at = line; *at && count < TASKS; count++) {
		all[count].index = at[0] == 't' && at[1] && at[2] == ' ' ? (u32)(at[1] - '0') : TASKS;
		all[count].what = at += 3;
		while (*at && !(at[0] == ' ' && at[1] == '|'))
			at++;
		if (*at) {
			*at = 0;
			at += 3;
		}
		u32 index = all[count].index;
		if (index >= TASKS || !tasks[index].alive || blocked(index)) {
			show(" bad task\n");
			return;
		}
	}
	for (u32 i = 0; i < count; i++)
		all[i].child = begin_step(all[i].index, all[i].what);
	for (u32 i = 0; i < count; i++) {
		if (count > 1) {
			show(i ? "" : "\n");
			show_task(all[i].index);
			show(":");
		}
		end_step(all[i].index, all[i].what, all[i].child);
	}
}

/* Shows what every task has come to, lets all end, and reaps them. */
static void end_sequence(void)
{
	for (u32 i = TASKS; i-- > 0;)
		if (tasks[i].alive && !blocked(i)) {
			show_task(i);
			show(" at last");
			ask(i, "look");
			hear(i);
		}
	for (u32 i = TASKS; i-- > 0;)
		if (tasks[i].alive && !blocked(i)) {
			ask(i, "exit_group");
			hear(i);
			bury(i, 1, 0);
		}
	memset(tasks, 0, sizeof tasks);
	while (sys_wait4(-1, 0, 0x40000000) > 0)
		;
}

static void begin_sequence(void)
{
	memset(tasks, 0, sizeof tasks);
	for (u32 i = 0; i < TASKS; i++) {
		struct slot *slot = &channel->slots[i];
		slot->turn = UNBORN;
		slot->birth = slot->tid = slot->tgid = slot->execed = slot->text.length = 0;
	}
	groups = 1;
	tasks[0].alive = tasks[0].group = 1;
	flush();
	if (sys_fork() == 0)
		task_main(0);
	show("t0 begins");
	hear(0);
}

static void conduct_line(char *line)
{
	static struct slot self;
	const char *rest;
	if (after(line, "sequence"))
		end_sequence();
	show(line);
	if (after(line, "sequence")) {
		show("\n");
		begin_sequence();
	} else if ((rest = after(line, "entry "))) {
		channel->entry = same(rest, "int80") ? INT80 : same(rest, "vdso") ? VDSO : same(rest, "sites") ? SITES : NATIVE;
		show("\n");
	} else if ((rest = after(line, "observe "))) {
		channel->brief = same(rest, "brief");
		channel->silent = same(rest, "not");
		show("\n");
	} else if ((rest = after(line, "hosts "))) {
		show("\n");
		set_hosts(rest);
	} else if ((rest = after(line, "list"))) {
		self.text.length = 0;
		put(&self.text, "\n");
		put_list(&self.text, rest + 1 + (rest[1] == ' '), *rest - '0');
		show_text(&self, 0);
	} else if ((rest = after(line, "main "))) {
		self.text.length = 0;
		perform(&self, rest);
		show_text(&self, !same(rest, "look") && !channel->silent);
	} else if (line[0] == 't')
		steps(line);
	else
		show(" bad line\n");
}

static void conduct(void)
{
	u32 size = 0;
	long n;
	while (size < SCRIPT - 16 && (n = sys_read(0, script + size, SCRIPT - 16 - size)) > 0)
		size += n;
	sys_prctl(36 /* PR_SET_CHILD_SUBREAPER */, 1);
	for (char *at = script, *end; *at; at = end) {
		for (end = at; *end && *end != '\n'; end++)
			;
		if (*end)
			*end++ = 0;
		if (*at && *at != '#')
			conduct_line(at);
	}
	end_sequence();
	flush();
}

/* Enters a user namespace that maps every id to itself. */
static void enter_namespace(void)
{
	static const char map[] = "0 0 4294967295";
	static struct text path;
	long child, parent = sys_getpid(), status = 1;
	struct slot *door = &channel->slots[0];
	child = sys_fork();
	for (int i = 0; !child && i < 2; i++) {
		wait_until(&door->turn, 1, COMMAND, DEADLINE);
		path.length = 0;
		put(&path, "/proc/");
		put_signed(&path, parent);
		put(&path, i ? "/gid_map" : "/uid_map");
		path.at[path.length] = 0;
		long fd = sys_open(path.at, 1, 0);
		if (sys_write(fd, map, sizeof map - 1) != sizeof map - 1)
			sys_exit_group(1);
	}
	if (!child)
		sys_exit_group(0);
	long refused = sys_unshare(0x10000000);
	announce(&door->turn, COMMAND);
	sys_wait4(child, &status, 0);
	if (refused || (int)status) {
		show("bad namespace\n");
		flush();
		sys_exit_group(2);
	}
}

__attribute__((noreturn, used)) void begin(unsigned long *stack)
{
	unsigned long argc = stack[0], auxv[64] = { 0 }, *at;
	char **argv = (char **)(stack + 1);
	for (at = stack + argc + 2; *at; at++)
		;
	for (at++; *at; at += 2)
		if (*at < 64)
			auxv[*at] = at[1];
	vdso = auxv[32];
	if (argc >= 3 && same(argv[argc - 2], "--task")) { /* a script's interpreter gets more words */
		static const struct { int type; const char *name; } shown[] = {
			{ 11, " AT_UID " }, { 12, " AT_EUID " }, { 13, " AT_GID " }, { 14, " AT_EGID " }, { 23, " AT_SECURE " },
		};
		channel = (struct channel *)map_shared(CHANNEL_FD, sizeof *channel);
		struct slot *me = &channel->slots[argv[argc - 1][0] - '0'];
		put(&me->text, " = 0");
		for (u32 i = 0; i < sizeof shown / sizeof *shown; i++) {
			put(&me->text, shown[i].name);
			put_unsigned(&me->text, auxv[shown[i].type]);
		}
		put(&me->text, "\n");
		observe(&me->text);
		me->execed = 1;
		task_main(argv[argc - 1][0] - '0');
	}
	long fd = sys_memfd_create("probe");
	sys_ftruncate(fd, sizeof *channel);
	sys_dup2(fd, CHANNEL_FD);
	sys_close(fd);
	channel = (struct channel *)map_shared(CHANNEL_FD, sizeof *channel);
	if (argc == 2 && same(argv[1], "--namespace"))
		enter_namespace();
	conduct();
	sys_exit_group(0);
	for (;;)
		;
}
