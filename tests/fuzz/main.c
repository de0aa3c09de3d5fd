// SPDX-License-Identifier: GPL-2.0
/*
 * Where there is no libFuzzer: feed a target the files that are named, and say
 * how many there were.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int main(int argc, char **argv)
{
	static uint8_t bytes[1 << 20];
	int i;

	for (i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "r");
		size_t size;
		uint8_t *copy;

		if (!file) {
			perror(argv[i]);
			return 1;
		}
		size = fread(bytes, 1, sizeof(bytes), file);
		fclose(file);
		/* Memory of its own size, so that ASan sees the end. */
		copy = malloc(size ? size : 1);
		memcpy(copy, bytes, size);
		fprintf(stderr, "%s\n", argv[i]);
		LLVMFuzzerTestOneInput(copy, size);
		free(copy);
	}
	printf("%d inputs\n", argc - 1);
	return 0;
}
