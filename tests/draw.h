/* Numbers drawn from a seed, for programs that do something at random. */
#define COUNT(array) (sizeof array / sizeof *array)
#define PICK(array) array[draw(COUNT(array))]

static unsigned state;

static void seed(unsigned number) {
	state = number * 2654435761u | 1;
}

static unsigned draw(unsigned below) {
	state ^= state << 13, state ^= state >> 17, state ^= state << 5;
	return state % below;
}
