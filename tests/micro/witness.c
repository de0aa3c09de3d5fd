#include "micro.h"
