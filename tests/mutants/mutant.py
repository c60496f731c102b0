"""One check of the house, broken, and the test that has to notice."""
import collections

# what: what the broken program does. path, old, new: the one place where old stands, and what
# stands there instead. module: a unit test ("test_tuf_root") or a module of Python tests
# ("e2e/test_poll"). test: the one in it that fails.
Mutant = collections.namedtuple("Mutant", "what path old new module test")
